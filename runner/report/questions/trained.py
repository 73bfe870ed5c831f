"""What was trained, and where it comes from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.records import ConfigurationRecord
from runner.report import names
from runner.report.answer import Answer, Block
from runner.report.names import shape_text
from runner.report.results import Results
from runner.report.sweep import Sweep
from runner.report.table import Entry, Table


def ask(sweep: Sweep) -> Answer:
    """What was trained?"""
    return Answer("trained", "What was trained", blocks=[Block(trained(sweep.trained))])


_GROUPS = ("dataset", "model", "optimizer", "training")
_DATASET_FACTS = {
    "name": "dataset",
    "task": "task",
    "task_guess": "how the task was found",
    "num_train": "training examples",
    "num_validation": "validation examples",
    "num_test": "test examples",
    "input_shape": "input shape",
    "num_outputs": "outputs",
    "fingerprint": "fingerprint of the data",
}


def trained(records: Sequence[ConfigurationRecord]) -> Table:
    """Returns what was trained; a value that varies is told in all its values."""
    rows = [
        (title, _values(record.dataset.get(key) for record in records))
        for key, title in _DATASET_FACTS.items()
    ]
    rows += [
        ("model", _values(record.model for record in records)),
        ("trainable parameters", _values(record.num_parameters for record in records)),
    ]
    rows += [(f"{group} settings", _settings(records, group)) for group in _GROUPS]
    return _facts((title, text) for title, text in rows if text)


def _values(values: Iterable[Any]) -> str:
    known = [_plain(value) for value in values if value is not None]
    return " | ".join(dict.fromkeys(known))


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return shape_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return names.scalar_text(value)


def _settings(records: Sequence[ConfigurationRecord], group: str) -> str:
    """Returns the settings of a group's options: `"sgd: learning_rate=0.01 | 0.1"`."""
    nodes = [record.settings.get(group) for record in records]
    mappings = [node for node in nodes if isinstance(node, Mapping)]
    options = _values(node.get("name") for node in mappings)
    keys = dict.fromkeys(key for node in mappings for key in node if key != "name")
    told = {key: _setting_values([node[key] for node in mappings if key in node]) for key in keys}
    return ": ".join(filter(None, [options, ", ".join(f"{k}={text}" for k, text in told.items())]))


def _setting_values(values: Sequence[Any]) -> str:
    scalars = (str, int, float, bool, type(None))
    texts = [names.scalar_text(v) if isinstance(v, scalars) else str(v) for v in values]
    return " | ".join(dict.fromkeys(texts))


def origin(results: Results) -> Table:
    """Returns where the numbers come from: machine, versions, seeds."""
    sweep = results.sweep
    versions = ", ".join(f"{library} {version}" for library, version in sweep.versions.items())
    wall_time = results.replicates["wall_time_s"].sum()
    return _facts(
        (
            ("results", str(sweep.name)),
            *([("selected", " and ".join(results.where))] if results.where else []),
            *([("compared within", ", ".join(results.by) or "one group")] if results.by else []),
            ("started", sweep.started),
            ("machine", sweep.machine),
            ("versions", versions),
            ("seeds", _seeds(results)),
            ("training time, all replicates", f"{wall_time:,.0f} s"),
        )
    )


def _seeds(results: Results) -> str:
    rows = results.replicates
    asked = _values(r.num_replicates for r in results.configurations if r.error is None)
    if rows.empty:
        return f"{asked or 0} for each configuration; none has ended"
    weights, batches = (sorted(set(rows[key])) for key in ("weight_seed", "batch_seed"))
    if rows["seed"].notna().all():
        return f"{asked} for each configuration: {_ranges(weights)}"
    return f"weights {_ranges(weights)}, crossed with batches {_ranges(batches)}"


def _ranges(numbers: Sequence[int]) -> str:
    """Returns sorted integers in words: `"0 to 4, 7"`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(
        f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs
    )


def _facts(rows: Iterable[tuple[str, str]]) -> Table:
    return Table(("", ""), tuple((Entry(title), Entry(text)) for title, text in rows))
