"""Differences of configurations on the same seeds: all pairs, and each to its reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from runner.records import lower_is_better
from runner.report.scores import SEEDS, Scores
from runner.report.statistics import crossed, paired
from runner.report.statistics.proportions import fisher_exact, fisher_holm

STATISTICS = [
    *("num_pairs", "num_left_out", "mean", "ci_low", "ci_high", "std", "p_t"),
    *("p_wilcoxon", "p_wilcoxon_least", "p_sign_flip", "p_sign_flip_least"),
    *("d_z", "probability_better", "median"),
]
_EXACT = ["p_wilcoxon", "p_wilcoxon_least", "p_sign_flip", "p_sign_flip_least"]

# With one degree of freedom a t test takes two seeds that failed alike for a difference: where one
# in five does not learn, one of ten equal initializers differed from the first in 21 % of sweeps.
MIN_DEGREES = 2


@dataclass(frozen=True)
class Differences:
    """Differences of pairs of configurations, seed by seed, shape (pairs, seeds).

    Attributes:
      values: NaN where either has no value, and where a seed is left out.
      seeds: Weight and batch seed of each column.
      is_crossed: Whether they share seeds with each other, so that they are not independent, shape
        (pairs,).
      num_left_out: How many both configurations have that are left out, shape (pairs,).
    """

    values: np.ndarray
    seeds: pd.Index
    is_crossed: np.ndarray
    num_left_out: np.ndarray


def differences(found: Scores, first: Sequence[int], second: Sequence[int]) -> Differences:
    """Returns the differences `first - second` of pairs of configurations.

    A pair is crossed where both configurations are and some of the replicates that both have share
    a seed: crossed seeds beside plain ones have only the diagonal in common, which is independent.
    Of a crossed pair, seeds of which a replicate is missing are left out.

    Args:
      found: The endpoints.
      first, second: Configurations, shape (pairs,).
    """
    table = found.finished
    values = table.to_numpy(float).T
    place: dict[Any, int] = {column: position for position, column in enumerate(table.columns)}
    rows = [[place[column] for column in side] for side in (first, second)]
    of_pairs = paired.differences(values[rows[0]], values[rows[1]]).reshape(len(first), len(table))
    is_crossed = np.isin(first, list(found.crossed)) & np.isin(second, list(found.crossed))
    is_crossed[is_crossed] = _shares_seeds(~np.isnan(of_pairs[is_crossed]), table.index)
    kept = of_pairs.copy()
    grids, places = _grids(of_pairs[is_crossed], table.index)
    for pair, grid in zip(np.flatnonzero(is_crossed), grids, strict=True):
        part = np.zeros(grid.shape, bool)
        part[crossed.complete_seeds(grid)] = True
        kept[pair, ~part[places]] = np.nan
    num_left_out = np.sum(~np.isnan(of_pairs) & np.isnan(kept), axis=1)
    return Differences(kept, table.index, is_crossed, num_left_out)


def _shares_seeds(known: np.ndarray, seeds: pd.Index) -> np.ndarray:
    """Returns whether two of the known values of a row have a weight or a batch seed in common."""
    shares = np.zeros(len(known), bool)
    for key in SEEDS if len(known) else ():
        is_of = pd.get_dummies(seeds.get_level_values(key)).to_numpy(float)
        shares |= (known @ is_of > 1).any(axis=1)
    return shares


def _grids(rows: np.ndarray, seeds: pd.Index) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Returns rows of values by weight and batch seed, and where each column stands there."""
    places = tuple(pd.factorize(seeds.get_level_values(key))[0] for key in SEEDS)
    sizes = [seeds.get_level_values(key).nunique() for key in SEEDS]
    grids = np.full((len(rows), *sizes), np.nan)
    grids[:, places[0], places[1]] = rows
    return grids, places


def statistics(of: Differences, lower: Sequence[bool], confidence: float) -> pd.DataFrame:
    """Returns what the differences of each pair of configurations tell, one row a pair.

    Args:
      of: The differences.
      lower: Whether lower is better, shape (pairs,).
      confidence: Level of the intervals.

    Returns:
      The columns `STATISTICS`; `p_t` is missing below `MIN_DEGREES`. Of crossed seeds: interval and
      `p_t` by `crossed.crossed_mean`, and no exact tests, which need independent replicates.
    """
    frame = paired.paired_statistics(of.values, confidence)
    share = frame.pop("probability_higher")
    frame["num_left_out"] = of.num_left_out
    frame["degrees"] = frame["num_pairs"] - 1
    frame["probability_better"] = np.where(np.asarray(lower, bool), 1 - share, share)
    if of.is_crossed.any():
        grids, _ = _grids(of.values[of.is_crossed], of.seeds)
        told = np.array([crossed.crossed_mean(grid, confidence) for grid in grids])
        frame.loc[of.is_crossed, ["mean", "ci_low", "ci_high", "p_t", "degrees"]] = told
        frame.loc[of.is_crossed, _EXACT] = np.nan
    of_shares = frame[~np.asarray(lower, bool)]  # two differ by 1 at most
    frame.loc[of_shares.index, "ci_low"] = of_shares["ci_low"].clip(
        lower=np.minimum(-1, of_shares["mean"])
    )
    frame.loc[of_shares.index, "ci_high"] = of_shares["ci_high"].clip(
        upper=np.maximum(1, of_shares["mean"])
    )
    frame["p_t"] = frame["p_t"].where(frame["degrees"] >= MIN_DEGREES)
    return frame[STATISTICS]


@dataclass(frozen=True)
class Group:
    """The configurations of a cell of which a replicate finished or diverged.

    Attributes:
      members: In their order.
      repeated: Those with more than one such replicate.
      reference, leader: Two of them, each compared with all others whatever those have.
      is_baseline: Whether the reference was fixed beforehand.
      metric: What is compared.
    """

    members: tuple[int, ...]
    repeated: frozenset[int]
    reference: int
    leader: int
    is_baseline: bool
    metric: str


def compare(groups: Sequence[Group], found: Scores, confidence: float) -> pd.DataFrame:
    """Returns every pair of configurations of each group, corrected together.

    Args:
      groups: The cells.
      found: The endpoints.
      confidence: Level of the intervals; 1 - confidence is that of the tests.

    Returns:
      Columns `group` (its position), `configuration_a`, `configuration_b`, `metric`, `STATISTICS`
      of a minus b, `p_holm` and `family` (corrected for all rows, and for how many), `p_deciding`
      and `family_deciding` (for the comparisons with baselines and all pairs of groups without one;
      missing for others), `further_seeds` (at the level of the family that decides on the row).
    """
    table = _all_pairs(groups)
    group = [groups[number] for number in table["group"]]
    first, second = table["configuration_a"].tolist(), table["configuration_b"].tolist()
    lower = [lower_is_better(of.metric) for of in group]
    told = statistics(differences(found, first, second), lower, confidence)
    deciding = np.array(
        [
            not of.is_baseline or of.reference in pair
            for of, pair in zip(group, zip(first, second, strict=True), strict=True)
        ],
        bool,
    )
    p_deciding = told["p_t"].where(deciding)
    tested, num_deciding = int(told["p_t"].count()), int(p_deciding.count())
    size = np.where(deciding, num_deciding, tested)
    further = paired.further_seeds(
        told["d_z"], told["num_pairs"], (1 - confidence) / np.maximum(size, 1)
    )
    is_known = (
        told["p_sign_flip"].notna() & told["p_t"].notna()
    )  # seeds that are crossed are no design for this formula
    return table.assign(metric=[of.metric for of in group], **told).assign(
        p_holm=paired.holm(told["p_t"]),
        family=tested,
        p_deciding=paired.holm(p_deciding),
        family_deciding=num_deciding,
        further_seeds=np.where(is_known, further, np.nan),
    )


def _all_pairs(groups: Sequence[Group]) -> pd.DataFrame:
    blocks = [np.empty((0, 3), int)]
    for number, group in enumerate(groups):
        members = np.asarray(group.members, int)
        rows, columns = np.triu_indices(len(members), k=1)
        pair = np.column_stack([members[rows], members[columns]])
        repeated = np.isin(pair, list(group.repeated)).all(axis=1)
        chosen = pair[repeated | np.isin(pair, [group.reference, group.leader]).any(axis=1)]
        blocks.append(np.column_stack([np.full(len(chosen), number), chosen]))
    return pd.DataFrame(
        np.concatenate(blocks), columns=["group", "configuration_a", "configuration_b"]
    )


def by_group(table: pd.DataFrame, num_groups: int) -> list[pd.DataFrame]:
    """Returns the rows of each group."""
    found = dict(list(table.groupby("group")))
    return [found.get(number, table.iloc[:0]) for number in range(num_groups)]


_SIGNED = ["mean", "median", "d_z", "success_difference"]


def oriented(table: pd.DataFrame, to: int) -> pd.DataFrame:
    """Returns the comparisons with one configuration, all as the other minus this one.

    Args:
      table: What `compare` returns, that of `fisher` beside it or not.
      to: The configuration.

    Returns:
      The same columns but for `configuration_a` and `configuration_b`, which become
      `configuration`: the other.
    """
    is_first = table["configuration_a"] == to
    rows = table[is_first | (table["configuration_b"] == to)]
    turned = is_first[rows.index].to_numpy()
    other = np.where(turned, rows["configuration_b"], rows["configuration_a"])
    sign = np.where(turned, -1.0, 1.0)
    flipped = {name: rows[name] * sign for name in _SIGNED if name in rows}
    return rows.assign(
        configuration=other,
        **flipped,
        ci_low=np.where(turned, -rows["ci_high"], rows["ci_low"]),
        ci_high=np.where(turned, -rows["ci_low"], rows["ci_high"]),
        probability_better=np.where(
            turned, 1 - rows["probability_better"], rows["probability_better"]
        ),
    ).drop(columns=["configuration_a", "configuration_b"])


def fisher(pairs: pd.DataFrame, succeeded: pd.Series, ended: pd.Series) -> pd.DataFrame:
    """Returns how the success of two configurations differs, one row a pair.

    Args:
      pairs: With the columns `configuration_a` and `configuration_b`.
      succeeded, ended: Numbers of replicates by configuration.

    Returns:
      Columns `success_difference` (share of a minus share of b), `p_fisher`, `p_fisher_holm`,
      `p_fisher_least` (the least that so many replicates can give).
    """
    counts = [
        of.reindex(pairs[f"configuration_{side}"]).fillna(0).to_numpy(int)
        for side in "ab"
        for of in (succeeded, ended)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = counts[0] / counts[1] - counts[2] / counts[3]
    return pd.DataFrame(
        {
            "success_difference": difference,
            "p_fisher": fisher_exact(*counts),
            "p_fisher_holm": fisher_holm(*counts),
            "p_fisher_least": fisher_exact(0 * counts[1], counts[1], counts[3], counts[3]),
        }
    )
