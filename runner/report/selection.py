"""Which part of the records is looked at: conditions in the query syntax of pandas.

A condition such as `depth <= 8 and init.str.startswith("he_")` is what `pandas.DataFrame.query`
takes, of a frame with one row a replicate and the columns `COLUMNS`, and every setting under its
whole name (`model.depth`, which pandas wants in backticks) and under its short one (`depth`) where
that is the only one of its kind; `model` alone is the option's name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from runner.plan import Replicate
from runner.records import ConfigurationRecord, ReplicateRecord
from runner.report.combining import asked_replicates, with_factors
from runner.report.errors import ResultsError
from runner.report.names import scalar_text, short_keys
from runner.report.reading import Records
from runner.spelling import did_you_mean

COLUMNS = ("init", "seed", "weight_seed", "batch_seed", "status")
# Of a replicate that has no record, and of a configuration that could not be trained.
MISSING, REFUSED = "missing", "refused"
_STATUSES = ("finished", "diverged", "failed", "interrupted", MISSING, REFUSED)
_MAX_TOLD = 8

Key = tuple[int, Any, Any]


def selected(records: Records, where: Sequence[str]) -> Records:
    """Returns the configurations and replicates that meet all conditions.

    Numbers stay as they are; factors that no longer vary are dropped.

    Raises:
      ResultsError: A condition is none, or names what is no column, or nothing meets them all.
    """
    if not where:
        return records
    frame = _frame(records)
    chosen = frame[_all_met(where, frame)]
    if chosen.empty:
        raise ResultsError(f"--where {' '.join(where)}: nothing is left.{_values(where, frame)}")
    kept = set(_keys(chosen))
    by_outcome = set(_keys(frame[_under_any_status(where, frame)])) - kept
    counts = chosen["weight_seed"].notna().groupby(chosen["configuration"]).sum()
    configurations = [
        replace(record, num_replicates=int(counts[record.index]))
        for record in records.configurations
        if record.index in counts.index
    ]
    return replace(
        records,
        configurations=tuple(with_factors(configurations)),
        replicates=tuple(record for record in records.replicates if _key(record) in kept),
        num_deselected=sum(_key(record) in by_outcome for record in records.replicates),
    )


def _frame(records: Records) -> pd.DataFrame:
    """Returns one row a replicate that has ended or was asked for, or a configuration without."""
    ended: dict[int, dict[Replicate, str]] = {}
    for replicate in records.replicates:
        seeds = Replicate(replicate.weight_seed, replicate.batch_seed)
        ended.setdefault(replicate.configuration, {})[seeds] = replicate.status
    flat = {record.index: settings(record) for record in records.configurations}
    short = short_keys(key for own in flat.values() for key in own)
    rows = [
        {**{short[key]: value for key, value in flat[record.index].items()}, **flat[record.index]}
        | {"configuration": record.index, "init": record.init, **replicate}
        for record in records.configurations
        for replicate in _replicates(record, ended.get(record.index, {}))
    ]
    first = ["configuration", *COLUMNS]
    columns = dict.fromkeys([*first, *short.values(), *short])
    frame = pd.DataFrame(rows, columns=list(columns))
    flags = [key for key in columns if pd.api.types.infer_dtype(frame[key]) == "boolean"]
    kinds = dict.fromkeys(("seed", "weight_seed", "batch_seed"), "Int64")
    return frame.astype(kinds | dict.fromkeys(flags, "boolean"))


def _replicates(
    record: ConfigurationRecord, ended: Mapping[Replicate, str]
) -> Iterator[dict[str, Any]]:
    """Yields seeds and status of each replicate; of a configuration without any, the status."""
    statuses = dict.fromkeys(asked_replicates(record), MISSING) | dict(ended)
    for replicate, status in statuses.items():
        weights, batches = replicate.weight_seed, replicate.batch_seed
        seeds = {"seed": replicate.seed, "weight_seed": weights, "batch_seed": batches}
        yield {**seeds, "status": status}
    if not statuses:
        yield {"status": MISSING if record.error is None else REFUSED}


def _key(record: ReplicateRecord) -> Key:
    return record.configuration, record.weight_seed, record.batch_seed


def _keys(rows: pd.DataFrame) -> Iterator[Key]:
    return zip(rows["configuration"], rows["weight_seed"], rows["batch_seed"], strict=True)


def _all_met(where: Sequence[str], frame: pd.DataFrame) -> pd.Series:
    met = pd.Series(True, frame.index)
    for text in where:
        met &= _met(text, frame)
    return met


def _under_any_status(where: Sequence[str], frame: pd.DataFrame) -> pd.Series:
    """Returns which rows would meet the conditions if the replicate had ended otherwise."""
    met = pd.Series(False, frame.index)
    for status in _STATUSES if any("status" in text for text in where) else ():
        met |= _all_met(where, frame.assign(status=status))
    return met


def _met(text: str, frame: pd.DataFrame) -> pd.Series:
    """Returns which rows meet a condition. It knows columns and nothing of the program's names."""
    try:
        met = frame.eval(text, engine="python", local_dict={}, global_dict={})
    except Exception as error:  # whatever pandas makes of a text that anybody may have written
        raise _mistake(text, str(error) or type(error).__name__, frame) from error
    if not isinstance(met, pd.Series) or pd.api.types.infer_dtype(met) not in ("boolean", "empty"):
        raise _mistake(text, "it is no condition, which compares with ==, <, in, …", frame)
    return met.astype("boolean").fillna(False).astype(bool)


def _mistake(text: str, reason: str, frame: pd.DataFrame) -> ResultsError:
    """Returns the error of a condition, in one line, with the columns that there are."""
    keys = [str(key) for key in frame]
    whole = [key for key in keys if "." in key]
    rare = [key for key in whole if key.partition(".")[2] not in keys]  # not under a short name
    short = [key for key in keys if key not in whole and key != "configuration"]
    bare = [key for key in whole if re.search(rf"(?<![`\w.]){re.escape(key)}(?![`\w.])", text)]
    name = (re.findall(r"name '(.+?)' is not defined", reason) or [""])[0]
    hint = f" Write `{bare[0]}` in backticks." if bare else did_you_mean(name, short)
    told = " ".join(f"{re.sub(r' .<unknown>.*', '', reason)}.{hint}".split())
    example = 'depth <= 8 and init.str.startswith("he_")'
    return ResultsError(
        f"--where {' '.join(text.split())}: {told} It takes the query syntax of pandas, such as "
        f"{example}. The columns are {', '.join([*short, *(f'`{key}`' for key in rare)])}; whole "
        f"names such as `model.depth` stand in backticks."
    )


def _values(where: Sequence[str], frame: pd.DataFrame) -> str:
    """Returns which values the first column that the conditions name has."""
    text = " ".join(where)
    keys = [str(key) for key in frame]
    named = [key for key in keys if re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.])", text)]
    if not named:
        return ""
    values = sorted({scalar_text(value) for value in frame[named[0]].dropna()})
    shown = ", ".join(values[:_MAX_TOLD]) + (", …" if len(values) > _MAX_TOLD else "")
    return f" {named[0]} is: {shown}."


def completed(key: str, known: Sequence[str], option: str) -> str:
    """Returns the key of `known` that `key` is or abbreviates.

    Raises:
      ResultsError: There is no such key.
    """
    whole = {short: whole for whole, short in short_keys(known).items()}
    if key in known or key in whole:
        return key if key in known else whole[key]
    shown = ", ".join(known[:_MAX_TOLD]) + (", …" if len(known) > _MAX_TOLD else "")
    raise ResultsError(f"{option}: there is no {key!r} here. There are: {shown or 'none'}.")


def settings(record: ConfigurationRecord) -> dict[str, Any]:
    """Returns the settings of a configuration, flat: `model` is its option's name.

    What is a list is a text.
    """
    flat: dict[str, Any] = {}
    for key, value in record.settings.items():
        flat |= _flat(key, value)
    own = {key: value for key, value in record.factors.items() if key not in record.settings}
    return flat | own


def _flat(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {key: str(value) if isinstance(value, list) else value}
    flat = {key: value["name"]} if "name" in value else {}
    for name, item in value.items():
        if name != "name":
            flat |= _flat(f"{key}.{name}", item)
    return flat
