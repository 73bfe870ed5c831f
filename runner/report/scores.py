"""The endpoint of every replicate as a table, with and without the replicates that diverged."""

from collections.abc import Iterable, Mapping, Sequence
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
    """Returns the endpoints of the configurations that could be trained."""
    rows, values = results.replicates, endpoints(trained, results.replicates)
    asked = _asked(rows, trained)
    column = asked.columns.get_indexer(pd.Index(rows["configuration"], dtype=int))
    known = column >= 0
    seeds = pd.MultiIndex.from_frame(rows.loc[known, SEEDS])
    places = asked.index.get_indexer(seeds), column[known]

    def placed(of: pd.Series, missing: float | bool) -> pd.DataFrame:
        table = np.full(asked.shape, missing)
        table[places] = of.to_numpy(table.dtype)[known]
        return pd.DataFrame(table, asked.index, asked.columns)

    has_outcome = rows["status"].isin(["finished", "diverged"])
    return Scores(
        finished=placed(values, np.nan),
        counted=placed(with_failures(results, trained, values), np.nan),
        asked=asked,
        ended=placed(has_outcome | (rows["status"] == "failed"), False),
        outcome=placed(has_outcome, False),
        trained=placed((rows["status"] == "finished") & ~unlearned(results), False),
        crossed=_crossed(rows),
    )


def _asked(rows: pd.DataFrame, trained: Sequence[ConfigurationRecord]) -> pd.DataFrame:
    """Returns which replicates there are to be, seeds in the order in which they were asked for.

    What was taken over from an earlier command was asked for before what is new.
    """
    own = dict(list(rows.groupby("configuration")))
    wanted: dict[int, dict[tuple[int, int], None]] = {}
    for record in trained:
        of = own.get(record.index, rows[:0])
        present = list(of[SEEDS].itertuples(index=False, name=None))
        sources = of.get("reused_from", [None] * len(of))
        reused = {pair for pair, source in zip(present, sources, strict=True) if source}
        named = [(each.weight_seed, each.batch_seed) for each in asked_replicates(record)]
        first = [pair for pair in named if pair in reused]
        # Of a part of the records only what is there counts, of joined ones all that is.
        listed = named if len(named) == record.num_replicates else []
        wanted[record.index] = dict.fromkeys([*first, *listed, *present])
    order = list(dict.fromkeys(pair for of in wanted.values() for pair in of))
    index = pd.MultiIndex.from_arrays(list(np.array(order, int).reshape(-1, 2).T), names=SEEDS)
    asked = {number: [pair in of for pair in order] for number, of in wanted.items()}
    return pd.DataFrame(asked, index, list(wanted), bool)


def _crossed(replicates: pd.DataFrame) -> frozenset[int]:
    """Returns the configurations with seeds of either kind that occur with several of the other."""
    of = replicates.groupby("configuration")
    distinct = of[SEEDS].nunique().min(axis=1)
    return frozenset(distinct.index[(distinct > 1) & (of["seed"].count() < of.size())])


def with_failures(
    results: Results, trained: Sequence[ConfigurationRecord], values: pd.Series
) -> pd.Series:
    """Returns `values`, by the index of `results.replicates`, with a score for what diverged."""
    counted = values.copy()
    for group in grouped(trained).values():
        of_group = results.replicates["configuration"].isin([record.index for record in group])
        diverged = of_group & (results.replicates["status"] == "diverged")
        counted[diverged] = _failure_score(group[0], values[of_group])
    return counted


def grouped(
    records: Iterable[ConfigurationRecord],
) -> dict[tuple[str, ...], list[ConfigurationRecord]]:
    """Returns the configurations whose endpoints may be compared, by what they share."""
    groups: dict[tuple[str, ...], list[ConfigurationRecord]] = {}
    for record in records:
        groups.setdefault(comparable(record), []).append(record)
    return groups


def _failure_score(record: ConfigurationRecord, finished: pd.Series) -> float:
    """Returns what a replicate that diverged is worth among those on the same data."""
    guess = constant_guess(record.dataset, record.endpoint)
    known = [value for value in [*finished, guess] if np.isfinite(value)]
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
    """Returns factors in words, such as `"depth=2, learning_rate=0.1"`, by their short keys."""
    told = (f"{shortened[key]}={names.scalar_text(value)}" for key, value in factors.items())
    return names.one_line(", ".join(told))
