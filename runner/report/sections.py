"""The tables behind the comparison: what failed, what moved, what was drawn, what was trained."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from runner.records import ConfigurationRecord
from runner.report import names
from runner.report.cautions import is_fallback
from runner.report.ranking import Entry, Table
from runner.report.results import Results
from runner.report.tables import movement_medians, replicate_name

MAX_ROWS = 100
# A table wider than this is not read; the figure shows the same.
_MAX_PARAMETERS = 16


def failures(results: Results) -> Table | None:
    """Returns what went wrong and why, or None if nothing did."""
    by = results.names
    rows = [_failure(by, row) for row in results.failures.to_dict("records")]
    columns = ("configuration", "replicate", "status", "when", "why")
    return Table(columns, tuple(rows[:MAX_ROWS]), omitted=len(rows[MAX_ROWS:])) if rows else None


def _failure(by: Mapping[int, names.Name], row: Mapping[Hashable, Any]) -> tuple[Entry, ...]:
    whole = pd.isna(row["weight_seed"])
    replicate = "all" if whole else replicate_name(row["weight_seed"], row["batch_seed"])
    return (
        Entry(by[row["configuration"]].title, row["configuration"]),
        Entry(replicate),
        Entry(row["status"], emphasis="bad"),
        Entry("" if pd.isna(row["epoch"]) else f"epoch {row['epoch']}, step {row['step']}"),
        Entry(row["reason"]),
    )


def movement(results: Results) -> Table | None:
    """Returns the median change of each parameter, or None where there is none to show."""
    medians = movement_medians(results.replicates, results.movement)
    if medians.empty or len(medians.columns) > _MAX_PARAMETERS:
        return None
    by = results.names
    rows = [
        (Entry(by[index].title, index), *(_moved(value) for value in values))
        for index, *values in medians.itertuples()
    ]
    parameters = [str(column) for column in medians.columns]
    return Table(
        ("configuration", *parameters),
        tuple(rows[:MAX_ROWS]),
        numeric=frozenset(parameters),
        omitted=len(rows[MAX_ROWS:]),
    )


def _moved(value: float) -> Entry:
    if value == 0:
        return Entry("did not move", 0.0, "muted")
    return Entry(names.significant(value, 3), value)


def kernels(results: Results) -> list[Table]:
    """Returns which law drew each kernel: one table for each set of kernels that models have."""
    groups: dict[tuple[tuple[str, tuple[int, ...]], ...], dict[tuple[str, ...], None]] = {}
    for record in results.configurations:
        if record.kernels:
            shapes = tuple((kernel.path, kernel.shape) for kernel in record.kernels)
            laws = tuple(kernel.law for kernel in record.kernels)
            groups.setdefault(shapes, {})[(record.init, *laws)] = None
    return [
        Table(
            ("initializer", *(f"{path} {_shape_text(shape)}" for path, shape in shapes)),
            tuple(_laws(*row) for row in rows),
        )
        for shapes, rows in groups.items()
    ]


def _shape_text(shape: Sequence[int]) -> str:
    return " × ".join(str(size) for size in shape)


def _laws(init: str, *laws: str) -> tuple[Entry, ...]:
    marked = [
        Entry(f"{law} (fallback)", emphasis="bad") if is_fallback(init, law) else Entry(law)
        for law in laws
    ]
    return (Entry(init), *marked)


_GROUPS = ("dataset", "model", "optimizer", "training")
_DATASET_FACTS = {
    "name": "dataset",
    "task": "task",
    "task_guess": "how the task was told",
    "num_train": "training examples",
    "num_validation": "validation examples",
    "num_test": "test examples",
    "input_shape": "input shape",
    "num_outputs": "outputs",
    "fingerprint": "fingerprint of the data",
}


def trained(results: Results) -> Table:
    """Returns what was trained; a value that varies is told in all its values."""
    records = [record for record in results.configurations if record.error is None]
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
        return _shape_text(value)
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
