"""Results in memory: records, and their tables as tidy pandas frames."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from runner.design import UNSTAMPED
from runner.plan import Scalar
from runner.propagation.tables import Opinion, opinion
from runner.records import (
    ConfigurationRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
    curves_table,
    movement_table,
    propagation_table,
    replicates_table,
)
from runner.report import tables
from runner.report.combining import combined, one_sweep
from runner.report.errors import ResultsError
from runner.report.names import Name, configuration_names
from runner.report.reading import Records, read
from runner.report.selection import completed, selected

__all__ = ["Results", "ResultsError", "collect", "load"]


@dataclass(frozen=True)
class Results:
    """One sweep, or several looked at as one: what was asked for and what came of it.

    The frames are tidy; `(configuration, weight_seed, batch_seed)` is the key of a replicate in
    all of them, and `configuration` leads to `configurations`.

    Attributes:
      sweep: The command, versions, machine; of several sweeps, all of each.
      configurations: By number; those that were refused have an `error`.
      replicates: `replicates.csv`, one row a replicate that has ended.
      curves: `curves.parquet`, one row per replicate, epoch and metric.
      movement: `movement.csv`, one row per replicate and trainable variable.
      propagation: `propagation.parquet`, one row per replicate, layer and quantity.
      measured: What was measured before training, of each configuration where anything was.
      opinions: What is said of it.
      comparison: `comparison.csv`, one row a configuration.
      failures: One row a refused configuration or a replicate that did not finish, with its reason.
      sweeps: The single commands.
      where: The conditions that all of this meets.
      by: What configurations have in common that are compared with each other: factors, or
        `"init"`; None for all factors.
      num_repeated: Replicates that are left out because another sweep has the same.
      num_deselected: Replicates that a condition on their status has left out.
      num_damaged: Files that are left out because they cannot be read.
      between: Factor -> value in each of the sweeps, where all of a sweep have the same.
    """

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
    sweeps: tuple[SweepRecord, ...] = ()
    where: tuple[str, ...] = ()
    by: tuple[str, ...] | None = None
    num_repeated: int = 0
    num_deselected: int = 0
    num_damaged: int = 0
    between: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[int, Name]:
        """What each configuration is called, by its number."""
        return configuration_names(self.configurations, self.by)


def load(
    folders: Sequence[Path],
    mlflow: Sequence[str] = (),
    tracking_uri: str | None = None,
    where: Sequence[str] = (),
    by: Sequence[str] | None = None,
    margin: float | None = None,
) -> Results:
    """See `runner.report.load`."""
    from runner.report import tracked

    parts = [read(folder) for folder in folders]
    parts += tracked.fetch(mlflow, tracking_uri) if mlflow else []
    if not parts:
        raise ResultsError("There are no results to report on: name a folder.")
    records = selected(parts[0] if len(parts) == 1 else combined(parts), where)
    if margin is not None:
        records = _with_margin(records, margin)
    keys = sorted({key for record in records.configurations for key in record.factors})
    cells = None if by is None else tuple(completed(key, ["init", *keys], "--by") for key in by)
    told = where if len(where) == 1 else [f"({text})" for text in where]
    return _tabulated(records, tuple(told), cells)


def _with_margin(records: Records, margin: float) -> Records:
    """Returns the records as if this margin had been named, which is marked as late.

    Raises:
      ResultsError: It is no positive number.
    """
    if not 0 < margin < math.inf:
        raise ResultsError(f"--margin must be a positive number. Received: {margin}.")
    changed = []
    for record in records.configurations:
        design = record.design or UNSTAMPED
        if design.margin != margin:
            design = replace(design, margin=margin, has_late_margin=True)
        changed.append(replace(record, design=design))
    return replace(records, configurations=tuple(changed))


def collect(
    sweep: SweepRecord,
    configurations: Sequence[ConfigurationRecord],
    records: Sequence[ReplicateRecord],
) -> Results:
    """Returns the records of one sweep with their tables."""
    return _tabulated(Records((sweep,), tuple(configurations), tuple(records)))


def _tabulated(
    records: Records,
    where: tuple[str, ...] = (),
    by: tuple[str, ...] | None = None,
) -> Results:
    sweep = one_sweep(records.sweeps)
    configurations, ended = records.configurations, records.replicates
    replicates = replicates_table(configurations, ended)
    measured: dict[int, list[PropagationRecord]] = {}
    for record in ended:
        if record.propagation is not None:
            measured.setdefault(record.configuration, []).append(record.propagation)
    return Results(
        sweep=sweep,
        configurations=configurations,
        replicates=replicates,
        curves=curves_table(configurations, ended),
        movement=movement_table(configurations, ended),
        propagation=propagation_table(configurations, ended),
        measured=measured,
        opinions={
            record.index: opinion(record, measured[record.index])
            for record in configurations
            if record.index in measured
        },
        comparison=tables.comparison_table(configurations, replicates, sweep.confidence),
        failures=tables.failures_table(configurations, ended),
        sweeps=records.sweeps,
        where=where,
        by=by,
        num_repeated=records.num_repeated,
        num_deselected=records.num_deselected,
        num_damaged=records.num_damaged,
        between=records.between,
    )
