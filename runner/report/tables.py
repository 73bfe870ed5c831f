"""The tidy tables of a report: one row a configuration, or one row a thing that went wrong."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from runner.plan import Replicate
from runner.records import (
    KEY_COLUMNS,
    ConfigurationRecord,
    ReplicateRecord,
    bounds,
    replicates_table,
)
from runner.summary import summarize

NUMBERS = ("mean", "median", "std", "ci_low", "ci_high")
_ENDS = ("finished", "diverged", "failed")
COUNTS = tuple(f"num_{status}" for status in _ENDS)
FAILURE_COLUMNS = (*KEY_COLUMNS, "status", "epoch", "step", "reason")


def factor_keys(configurations: Sequence[ConfigurationRecord]) -> list[str]:
    """Returns the settings that vary, each once."""
    return list(dict.fromkeys(key for record in configurations for key in record.factors))


def endpoint_column(configuration: ConfigurationRecord) -> str:
    """Returns the column of `replicates.csv` that the comparison is about."""
    if configuration.endpoint.startswith("test_"):
        return configuration.endpoint  # measured once, at the end
    return f"{configuration.endpoint_at}_{configuration.endpoint}"


def endpoints(configurations: Sequence[ConfigurationRecord], replicates: pd.DataFrame) -> pd.Series:
    """Returns what each replicate contributes to the comparison.

    Returns:
      Float values by the index of `replicates`; missing unless the replicate finished.
    """
    of = {record.index: endpoint_column(record) for record in configurations}
    columns = replicates["configuration"].map(of)
    values = pd.Series(math.nan, replicates.index, dtype=float)
    for column in sorted(set(of.values()) & set(replicates.columns)):
        rows = (columns == column) & (replicates["status"] == "finished")
        values[rows] = replicates.loc[rows, column].astype(float)
    return values


def comparison_table(
    configurations: Sequence[ConfigurationRecord], replicates: pd.DataFrame, confidence: float
) -> pd.DataFrame:
    """Returns `comparison.csv`: the endpoint of every configuration over its finished replicates.

    Returns:
      Columns `configuration, init, <factors>, metric, mean, median, std, ci_low, ci_high,
      num_finished, num_diverged, num_failed`.
    """
    factors = factor_keys(configurations)
    configuration = replicates["configuration"]
    values = dict(list(endpoints(configurations, replicates).groupby(configuration)))
    statuses = status_counts(replicates)
    rows = [
        {"configuration": record.index, "init": record.init}
        | {key: record.factors.get(key) for key in factors}
        | {"metric": record.endpoint or None}
        | dict(zip(NUMBERS, (of.mean, of.median, of.std, of.low, of.high), strict=True))
        | {f"num_{status}": statuses.get(record.index, {}).get(status, 0) for status in _ENDS}
        for record in configurations
        for of in [summarize(values.get(record.index, ()), confidence, bounds(record.endpoint))]
    ]
    columns = ["configuration", "init", *factors, "metric", *NUMBERS, *COUNTS]
    return pd.DataFrame(rows, columns=columns)


def status_counts(replicates: pd.DataFrame) -> dict[int, dict[str, int]]:
    """Returns for each configuration with a replicate: status -> number of its replicates."""
    of = replicates.groupby("configuration")["status"]
    return {int(str(index)): dict(Counter(statuses)) for index, statuses in of}


def num_untrained(replicates: pd.DataFrame) -> dict[int, int]:
    """Returns how many replicates of each configuration diverged before any training."""
    if "diverged_epoch" not in replicates:
        return {}
    at_once = (replicates["status"] == "diverged") & (replicates["diverged_epoch"] == 0)
    counts = replicates.loc[at_once.fillna(False), "configuration"].value_counts()
    return {int(str(index)): int(count) for index, count in counts.items()}


def endpoint_numbers(
    configuration: ConfigurationRecord, records: Sequence[ReplicateRecord], confidence: float
) -> Mapping[str, float]:
    """Returns one configuration's numbers of `comparison.csv`, by column name."""
    replicates = replicates_table([configuration], records)
    row = comparison_table([configuration], replicates, confidence).iloc[0]
    return {name: float(row[name]) for name in (*NUMBERS, *COUNTS)}


def failures_table(
    configurations: Sequence[ConfigurationRecord], records: Sequence[ReplicateRecord]
) -> pd.DataFrame:
    """Returns what went wrong: one row a refused configuration or a replicate that did not finish.

    Columns: the replicate's keys (seeds are missing for a whole configuration), `status`
    (`refused`, `diverged`, `failed`, `interrupted`), `epoch` and `step` of a divergence, `reason`.
    """
    refused = [
        {"configuration": record.index, "init": record.init, "status": "refused"}
        | {"reason": record.error}
        for record in configurations
        if record.error is not None
    ]
    labels = {record.index: record.init for record in configurations}
    ended = [_failure(labels, record) for record in records if record.status != "finished"]
    table = pd.DataFrame([*refused, *ended], columns=list(FAILURE_COLUMNS))
    integers = ["seed", "weight_seed", "batch_seed", "epoch", "step"]
    return table.astype(dict.fromkeys(integers, "Int64")).sort_values(
        "configuration", kind="stable", ignore_index=True
    )


def _failure(labels: Mapping[int, str], record: ReplicateRecord) -> dict[str, Any]:
    return {
        **{key: getattr(record, key) for key in (*KEY_COLUMNS, "status") if key != "init"},
        "init": labels[record.configuration],
        "epoch": record.diverged_epoch,
        "step": record.diverged_step,
        "reason": record.error or _reason(record),
    }


def _reason(record: ReplicateRecord) -> str:
    if record.status == "interrupted":
        return "the command ended before it did"
    if record.diverged_epoch == 0:
        return "loss of the untrained model non-finite or above the limit"
    return "loss non-finite or above the limit"


def missing_replicates(
    configurations: Sequence[ConfigurationRecord], replicates: pd.DataFrame
) -> dict[int, int]:
    """Returns how many replicates of each configuration have left no record, where any have."""
    ended = replicates["configuration"].value_counts()
    missing = {
        record.index: record.num_replicates - int(ended.get(record.index, 0))
        for record in configurations
        if record.error is None
    }
    return {index: count for index, count in missing.items() if count > 0}


def movement_medians(replicates: pd.DataFrame, movement: pd.DataFrame) -> pd.DataFrame:
    """Returns how far training moved each parameter, the median over the finished replicates.

    Returns:
      One row a configuration (the index), one column a parameter in the order of the models; NaN
      where a model has no such parameter. Configurations that were not trained have no row.
    """
    keys = ["configuration", "weight_seed", "batch_seed"]
    if movement.empty:  # and then perhaps there are no replicates at all
        return pd.DataFrame()
    trained = (replicates["status"] == "finished") & (replicates["epochs"] > 0)
    rows = movement.merge(replicates.loc[trained, keys], on=keys)
    if rows.empty:
        return pd.DataFrame()
    medians = rows.pivot_table("rms_change", "configuration", "parameter", aggfunc="median")
    return medians[list(dict.fromkeys(rows["parameter"]))]


def replicate_name(weight_seed: int, batch_seed: int) -> str:
    """Returns the name of a replicate for people, such as `"seed 3"`."""
    replicate = Replicate(weight_seed, batch_seed)
    if replicate.seed is not None:
        return f"seed {replicate.seed}"
    return f"weights {weight_seed}, batches {batch_seed}"


def ordered(frame: pd.DataFrame, configurations: Sequence[int]) -> pd.DataFrame:
    """Returns the rows of a table in the order of their configurations; others are left out."""
    place = {index: position for position, index in enumerate(configurations)}
    known = frame[frame["configuration"].isin(list(place))]
    return known.sort_values(
        "configuration", key=lambda column: column.map(place), kind="stable", ignore_index=True
    )
