"""A results folder in memory: its records and its tables as tidy pandas frames."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from runner.propagation.tables import Opinion, opinion
from runner.records import (
    ConfigurationRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
    curves_table,
    movement_table,
    propagation_table,
    read_configurations,
    read_replicates,
    read_sweep,
)
from runner.report import tables

T = TypeVar("T")


class ResultsError(Exception):
    """A folder that cannot be reported on. Its message is one line that names the file."""


@dataclass(frozen=True)
class Results:
    """One sweep: what was asked for and what came of it.

    The frames are tidy; `(configuration, weight_seed, batch_seed)` is the key of a replicate in
    all of them, and `configuration` leads to `configurations`.

    Attributes:
      folder: Where it was read from.
      sweep: The command, versions, machine.
      configurations: By number; those that were refused have an `error`.
      replicates: `replicates.csv`, one row a replicate that has ended.
      curves: `curves.parquet`, one row per replicate, epoch and metric.
      movement: `movement.csv`, one row per replicate and trainable variable.
      propagation: `propagation.parquet`, one row per replicate, layer and quantity.
      measured: What was measured before training, of each configuration where anything was.
      opinions: What is said of it.
      comparison: `comparison.csv`, one row a configuration.
      failures: One row a refused configuration or a replicate that did not finish, with its reason.
    """

    folder: Path
    sweep: SweepRecord
    configurations: tuple[ConfigurationRecord, ...]
    replicates: pd.DataFrame
    curves: pd.DataFrame
    movement: pd.DataFrame
    propagation: pd.DataFrame
    measured: dict[int, list[PropagationRecord]]
    opinions: dict[int, Opinion]
    comparison: pd.DataFrame
    failures: pd.DataFrame


def load(folder: Path) -> Results:
    """Reads the records of a results folder; a sweep that is still running, or was killed, too.

    Raises:
      ResultsError: The folder is missing or has no records, or one of its files is corrupted.
    """
    if not folder.is_dir():
        raise ResultsError(f"{folder}: there is no such folder.")
    for pattern in ("sweep.json", "*/configuration.json"):
        if not any(folder.glob(pattern)):
            raise ResultsError(f"{folder}: not a results folder, it has no {pattern}.")
    sweep = _read(read_sweep, folder, "sweep.json", SweepRecord)
    configurations = _read(read_configurations, folder, "*/configuration.json", ConfigurationRecord)
    records = _read(read_replicates, folder, "*/replicates/*.json", ReplicateRecord)
    _check_numbers(folder, configurations, records)
    return collect(folder, sweep, configurations, records)


def collect(
    folder: Path,
    sweep: SweepRecord,
    configurations: list[ConfigurationRecord],
    records: list[ReplicateRecord],
) -> Results:
    """Returns the records with their tables."""
    replicates = tables.filled_replicates_table(configurations, records)
    measured: dict[int, list[PropagationRecord]] = {}
    for record in records:
        if record.propagation is not None:
            measured.setdefault(record.configuration, []).append(record.propagation)
    return Results(
        folder=folder,
        sweep=sweep,
        configurations=tuple(configurations),
        replicates=replicates,
        curves=curves_table(configurations, records),
        movement=movement_table(configurations, records),
        propagation=propagation_table(configurations, records),
        measured=measured,
        opinions={
            record.index: opinion(record, measured[record.index])
            for record in configurations
            if record.index in measured
        },
        comparison=tables.comparison_table(configurations, replicates, sweep.confidence),
        failures=tables.failures_table(configurations, records),
    )


def _read(reader: Callable[[Path], T], folder: Path, pattern: str, record: type) -> T:
    try:
        return reader(folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        path, reason = _unreadable(folder, pattern, record) or (folder / pattern, _line(error))
        raise ResultsError(f"{path}: cannot be read as a record ({reason}).") from error


def _unreadable(folder: Path, pattern: str, record: type) -> tuple[Path, str] | None:
    """Returns the first file that does not hold such a record, and why."""
    for path in sorted(folder.glob(pattern)):
        try:
            record(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            return path, _line(error)
    return None


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _check_numbers(
    folder: Path, configurations: list[ConfigurationRecord], records: list[ReplicateRecord]
) -> None:
    known = {configuration.index for configuration in configurations}
    for record in records:
        if record.configuration not in known:
            path = folder / str(record.configuration) / "replicates" / f"{record.key}.json"
            raise ResultsError(f"{path}: its configuration.json is missing.")
