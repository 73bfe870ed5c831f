"""Several sweeps as one: equal configurations are joined, and what varies is found out anew."""

import json
from collections.abc import Sequence
from dataclasses import replace

from runner.plan import Replicate, Scalar, factors, replicates
from runner.records import ConfigurationRecord, SweepRecord
from runner.report.names import endpoint_name, listed
from runner.report.reading import Records
from runner.report.tables import factor_keys

_SETTINGS = ("dataset", "model", "optimizer", "training", "engine", "device")


def combined(parts: Sequence[Records]) -> Records:
    """Returns the records of several sweeps under new numbers, in the order of the sweeps.

    The seeds of identical configurations are pooled. Where two sweeps have trained
    the same replicate, the first counts.
    """
    same: dict[str, list[tuple[int, ConfigurationRecord]]] = {}
    for place, part in enumerate(parts):
        for record in part.configurations:
            same.setdefault(_identity(record), []).append((place, record))
    number = {
        (place, record.index): index
        for index, members in enumerate(same.values())
        for place, record in members
    }
    found = [
        replace(record, configuration=number[place, record.configuration])
        for place, part in enumerate(parts)
        for record in part.replicates
    ]
    kept = {(r.configuration, r.weight_seed, r.batch_seed): r for r in reversed(found)}
    joined = [
        _joined(index, [record for _, record in members])
        for index, members in enumerate(same.values())
    ]
    configurations = with_factors(joined)
    indices = [
        {number[place, r.index] for r in part.configurations} for place, part in enumerate(parts)
    ]
    return Records(
        sweeps=tuple(sweep for part in parts for sweep in part.sweeps),
        configurations=tuple(configurations),
        replicates=tuple(kept[key] for key in sorted(kept)),
        num_repeated=len(found) - len(kept),
        num_damaged=sum(part.num_damaged for part in parts),
        between=_between([[configurations[index] for index in own] for own in indices]),
    )


def _between(parts: Sequence[Sequence[ConfigurationRecord]]) -> dict[str, tuple[Scalar, ...]]:
    """Returns each factor that every sweep has one value of, but not the same: that of each."""
    keys = factor_keys([record for part in parts for record in part])
    values = {
        key: [{r.factors[key] for r in part if key in r.factors} for part in parts] for key in keys
    }
    return {
        key: tuple(value for own in of_parts for value in own)
        for key, of_parts in values.items()
        if all(len(own) == 1 for own in of_parts)
    }


def _identity(record: ConfigurationRecord) -> str:
    """Returns a text that two configurations share if they differ in their seeds at most.

    What a GPU has trained is kept apart: it rounds differently, and `device=auto` may mean either.
    """
    settings = {key: record.settings.get(key) for key in _SETTINGS}
    dataset = record.dataset.get("fingerprint")
    compared = (*_endpoint(record), record.target)
    whole = [record.init, settings, dataset, compared, record.model, record.error]
    whole.append(_is_of_gpu(record))
    return json.dumps(whole, sort_keys=True, default=str)


def _joined(index: int, records: Sequence[ConfigurationRecord]) -> ConfigurationRecord:
    first = records[0]
    asked = {replicate for record in records for replicate in asked_replicates(record)}
    return replace(first, index=index, num_replicates=len(asked))


def asked_replicates(record: ConfigurationRecord) -> Sequence[Replicate]:
    """Returns the replicates that were asked for; of `seeds=auto` as many as it came to."""
    if not record.num_replicates:
        return ()
    settings = record.settings
    seeds = settings.get("seeds")
    seeds = seeds if isinstance(seeds, int | list) else record.num_replicates
    return replicates(seeds, settings.get("weight_seeds"), settings.get("batch_seeds"))


def with_factors(records: Sequence[ConfigurationRecord]) -> list[ConfigurationRecord]:
    """Returns the records with what varies among them; see `runner.plan.factors`.

    The endpoint is a factor where it varies on the same data; each task may have its own. So is the
    kind of device, where it was left open and both have trained.
    """
    trained = [record for record in records if record.error is None]
    others = _endpoints(trained) | _devices(trained)
    found = {
        record.index: {key: values[row] for key, values in others.items()} | varying
        for row, (record, varying) in enumerate(
            zip(trained, factors([record.settings for record in trained]), strict=True)
        )
    }
    return [replace(record, factors=found.get(record.index, {})) for record in records]


def _endpoints(records: Sequence[ConfigurationRecord]) -> dict[str, list[Scalar]]:
    data = [record.dataset.get("fingerprint") for record in records]
    of_data = set(zip(data, map(_endpoint, records), strict=True))
    if len(of_data) == len(set(data)):
        return {}
    return {"endpoint": [endpoint_name(record) for record in records]}


def _devices(records: Sequence[ConfigurationRecord]) -> dict[str, list[Scalar]]:
    kinds: list[Scalar] = ["gpu" if _is_of_gpu(record) else "cpu" for record in records]
    return {"device": kinds} if len(set(kinds)) > 1 else {}


def _is_of_gpu(record: ConfigurationRecord) -> bool:
    return record.device.startswith("GPU")


def _endpoint(record: ConfigurationRecord) -> tuple[str, str, int | None]:
    return record.endpoint, record.endpoint_at, record.endpoint_epoch


def one_sweep(sweeps: Sequence[SweepRecord]) -> SweepRecord:
    """Returns what is said of several sweeps where one is expected."""
    if len(sweeps) == 1:
        return sweeps[0]
    libraries = dict.fromkeys(library for sweep in sweeps for library in sweep.versions)

    def each(texts: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(text for text in texts if text))

    return SweepRecord(
        name=listed(each([sweep.name for sweep in sweeps])),
        command="\n".join(each([sweep.command for sweep in sweeps])),
        started=listed(sorted(each([sweep.started for sweep in sweeps]))),
        versions={
            library: " and ".join(each([sweep.versions.get(library, "") for sweep in sweeps]))
            for library in libraries
        },
        machine="; ".join(each([sweep.machine for sweep in sweeps])),
        confidence=max(sweep.confidence for sweep in sweeps),
    )
