"""The endpoint of every replicate as a table, with and without the replicates that diverged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from runner import tasks
from runner.plan import Scalar
from runner.records import ConfigurationRecord, lower_is_better
from runner.report import names
from runner.report.results import Results
from runner.report.tables import endpoints, factor_keys

SEEDS = ["weight_seed", "batch_seed"]
# What belongs to the question; everything else that varies is a way to train.
_PROBLEM = ("dataset", "model")


@dataclass(frozen=True)
class Scores:
    """Endpoints, shape (seeds of the sweep, configurations that could be trained).

    Attributes:
      finished: NaN unless the replicate finished.
      counted: As `finished`, with the score of a constant guess, or the worst score on the same
        data if that is worse, for each replicate that diverged: it is an outcome and counts.
      crossed: The configurations of which seeds of weights and batches are crossed, at least two
        of each.
    """

    finished: pd.DataFrame
    counted: pd.DataFrame
    crossed: frozenset[int]


def comparable(record: ConfigurationRecord) -> tuple[str, str, str]:
    """Returns what two configurations must share for their endpoints to be compared.

    That is the metric, where it is taken, and the data.
    """
    epoch = "" if record.endpoint_epoch is None else str(record.endpoint_epoch)
    return record.endpoint, record.endpoint_at + epoch, str(record.dataset.get("fingerprint"))


def scores(results: Results, trained: Sequence[ConfigurationRecord]) -> Scores:
    """Returns the endpoints of the configurations that could be trained.

    Args:
      results: The sweep.
      trained: Its configurations without those that were refused.
    """
    values = endpoints(trained, results.replicates)
    columns = [record.index for record in trained]
    finished = _by_seed(results.replicates, values, columns)
    counted = with_failures(results, trained, values)
    return Scores(
        finished=finished,
        counted=_by_seed(results.replicates, counted, columns),
        crossed=_crossed(results.replicates),
    )


def _crossed(replicates: pd.DataFrame) -> frozenset[int]:
    """Returns the configurations with seeds of either kind that occur with several of the other."""
    of = replicates.groupby("configuration")
    distinct = of[SEEDS].nunique().min(axis=1)
    return frozenset(distinct.index[(distinct > 1) & (of["seed"].count() < of.size())])


def with_failures(
    results: Results, trained: Sequence[ConfigurationRecord], values: pd.Series
) -> pd.Series:
    """Returns the values with a score for each replicate that diverged.

    Args:
      results: The sweep.
      trained: Configurations.
      values: The endpoint, or another metric of that kind, by the index of `results.replicates`.
    """
    counted = values.copy()
    for group in _groups(trained).values():
        of_group = results.replicates["configuration"].isin([record.index for record in group])
        diverged = of_group & (results.replicates["status"] == "diverged")
        counted[diverged] = _failure_score(group[0], values[of_group])
    return counted


def _by_seed(replicates: pd.DataFrame, values: pd.Series, columns: list[int]) -> pd.DataFrame:
    keyed = replicates[["configuration", *SEEDS]].assign(value=values.astype(float))
    table = keyed.pivot_table("value", SEEDS, "configuration")
    return table.reindex(columns=columns).astype(float)


def _groups(
    trained: Sequence[ConfigurationRecord],
) -> Mapping[tuple[str, ...], list[ConfigurationRecord]]:
    groups: dict[tuple[str, ...], list[ConfigurationRecord]] = {}
    for record in trained:
        groups.setdefault(comparable(record), []).append(record)
    return groups


def _failure_score(record: ConfigurationRecord, finished: pd.Series) -> float:
    """Returns what a replicate that diverged is worth among those on the same data."""
    found = [value for value in finished if np.isfinite(value)]
    guess = constant_guess(record.dataset, record.endpoint)
    known = found if np.isnan(guess) else [*found, guess]
    worst = max if lower_is_better(record.endpoint) else min
    return float(worst(known)) if known else np.nan


def constant_guess(dataset: Mapping[str, Any], metric: str) -> float:
    """Returns what the best constant guess reaches; NaN where the record does not tell it.

    Args:
      dataset: What the record keeps of the data set.
      metric: Of any part.
    """
    plain = tasks.parted(metric)[1]
    if plain == "accuracy":
        share = dataset.get("majority_share")
        return float(share if share is not None else 1 / (dataset.get("num_outputs") or np.nan))
    known = dataset.get(f"uninformed_{plain}")
    return np.nan if known is None else float(known)


def keys(results: Results, records: Sequence[ConfigurationRecord]) -> pd.DataFrame:
    """Returns the columns `configuration, init, <factors>` of each of the records."""
    factors = factor_keys(results.configurations)
    rows = [
        {"configuration": record.index, "init": record.init}
        | {key: record.factors.get(key) for key in factors}
        for record in records
    ]
    return pd.DataFrame(rows, columns=["configuration", "init", *factors])


def is_problem(key: str) -> bool:
    """Tells whether a factor belongs to the question rather than to the way of training."""
    return key.partition(".")[0] in _PROBLEM


def setting_text(factors: Mapping[str, Scalar], shortened: Mapping[str, str]) -> str:
    """Returns factors in words, such as `"depth=2, learning_rate=0.1"`.

    Args:
      factors: Key -> value.
      shortened: Key -> how it is called.
    """
    told = (f"{shortened[key]}={names.scalar_text(value)}" for key, value in factors.items())
    return names.one_line(", ".join(told))
