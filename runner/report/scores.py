"""The endpoint of every replicate as a table, with and without the replicates that diverged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.plan import Scalar
from runner.records import ConfigurationRecord, lower_is_better
from runner.report import names
from runner.report.combining import asked_replicates
from runner.report.learning import constant_guess, unlearned
from runner.report.results import Results
from runner.report.tables import endpoints, factor_keys

SEEDS = ["weight_seed", "batch_seed"]
# What belongs to the question; everything else that varies is a way to train.
_PROBLEM = ("dataset", "model")


@dataclass(frozen=True)
class Scores:
    """Endpoints, shape (seeds of the sweep, configurations that could be trained).

    Seeds are in the order in which they were asked for.

    Attributes:
      finished: NaN unless the replicate finished.
      counted: As `finished`, with the score of a constant guess, or the worst score on the same
        data if that is worse, for each replicate that diverged: it is an outcome and counts.
      asked: Whether there is to be such a replicate.
      ended: Whether it came to an end of its own.
      outcome: Whether that is an outcome: it finished or diverged.
      trained: Whether it finished and learned.
      crossed: The configurations of which seeds of weights and batches are crossed, at least two
        of each.
    """

    finished: pd.DataFrame
    counted: pd.DataFrame
    asked: pd.DataFrame
    ended: pd.DataFrame
    outcome: pd.DataFrame
    trained: pd.DataFrame
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
    rows = results.replicates
    asked = _asked(rows, trained)

    def by_seed(of: pd.Series) -> pd.DataFrame:
        keyed = rows[["configuration", *SEEDS]].assign(value=of.astype(float))
        table = keyed.pivot_table("value", SEEDS, "configuration")
        return table.reindex(index=asked.index, columns=columns).astype(float)

    def having(condition: pd.Series) -> pd.DataFrame:
        return by_seed(condition) == 1

    is_finished = rows["status"] == "finished"
    return Scores(
        finished=by_seed(values),
        counted=by_seed(with_failures(results, trained, values)),
        asked=asked,
        ended=having(rows["status"].isin(["finished", "diverged", "failed"])),
        outcome=having(rows["status"].isin(["finished", "diverged"])),
        trained=having(is_finished & ~unlearned(results)),
        crossed=_crossed(rows),
    )


def _asked(rows: pd.DataFrame, trained: Sequence[ConfigurationRecord]) -> pd.DataFrame:
    """Returns which replicates there are to be, seeds in the order in which they were asked for.

    What was taken over from an earlier command was asked for before what is new.
    """
    own = {int(str(index)): of for index, of in rows.groupby("configuration")}
    wanted: dict[int, dict[tuple[int, int], None]] = {}
    for record in trained:
        of = own.get(record.index, rows[:0])
        present = list(zip(*(of[key].tolist() for key in SEEDS), strict=True))
        named = [(each.weight_seed, each.batch_seed) for each in asked_replicates(record)]
        reused = (
            [pair for pair, source in zip(present, of["reused_from"], strict=True) if source]
            if "reused_from" in of
            else []
        )
        first = [pair for pair in named if pair in set(reused)]
        # Of a part of the records only what is there counts, of joined ones all that is.
        listed = named if len(named) == record.num_replicates else []
        wanted[record.index] = dict.fromkeys([*first, *listed, *present])
    order = list(dict.fromkeys(pair for of in wanted.values() for pair in of))
    index = pd.MultiIndex.from_arrays(list(zip(*order, strict=True)) or [[], []], names=SEEDS)
    return pd.DataFrame(
        {number: [pair in of for pair in order] for number, of in wanted.items()},
        index=index,
        columns=list(wanted),
        dtype=bool,
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
    for group in groups(trained):
        of_group = results.replicates["configuration"].isin([record.index for record in group])
        diverged = of_group & (results.replicates["status"] == "diverged")
        counted[diverged] = _failure_score(group[0], values[of_group])
    return counted


def groups(trained: Sequence[ConfigurationRecord]) -> list[list[ConfigurationRecord]]:
    """Returns the configurations that are comparable with each other."""
    found: dict[tuple[str, ...], list[ConfigurationRecord]] = {}
    for record in trained:
        found.setdefault(comparable(record), []).append(record)
    return list(found.values())


def _failure_score(record: ConfigurationRecord, finished: pd.Series) -> float:
    """Returns what a replicate that diverged is worth among those on the same data."""
    found = [value for value in finished if np.isfinite(value)]
    guess = constant_guess(record.dataset, record.endpoint)
    known = found if np.isnan(guess) else [*found, guess]
    worst = max if lower_is_better(record.endpoint) else min
    return float(worst(known)) if known else np.nan


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
