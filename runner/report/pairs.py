"""Pairs of configurations on the same seeds: their differences, and the verdict on each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from runner.design import Design
from runner.records import lower_is_better
from runner.report.scores import SEEDS, Scores
from runner.report.statistics import crossed, paired, verdicts

STATISTICS = [
    *("num_pairs", "num_left_out", "mean", "ci_low", "ci_high", "std", "p_t"),
    *("d_z", "probability_better", "median"),
]


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

    Returns:
      The columns `STATISTICS`; `p_t` is missing below `verdicts.MIN_PAIRS`. Of crossed seeds:
      interval and `p_t` by `crossed.crossed_mean`.
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
    most = np.where(lower, np.inf, np.fmax(1, frame["mean"].abs()))  # two shares differ by 1
    frame["ci_low"] = frame["ci_low"].clip(lower=-most)
    frame["ci_high"] = frame["ci_high"].clip(upper=most)
    frame["p_t"] = frame["p_t"].where(frame["degrees"] >= verdicts.MIN_PAIRS - 1)
    return frame[STATISTICS]


@dataclass(frozen=True)
class Group:
    """The configurations of a cell of which a replicate finished or diverged.

    Attributes:
      members: Configuration -> how it is compared, in their order.
      references: Family -> the configuration that the others are compared with; a family that is
        missing compares all pairs.
      metric: What is compared.
    """

    members: dict[int, Design]
    references: dict[str, int]
    metric: str


def compare(groups: Sequence[Group], found: Scores, confidence: float) -> pd.DataFrame:
    """Returns every pair of configurations of each group.

    A pair belongs to the family of its later configuration. Statistics are of the seeds up to the
    last look that was reached, of all seeds where none was.

    Returns:
      Columns `group` (its position), `configuration_a`, `configuration_b`, `metric`, `family`,
      `is_tested` (whether the family has this pair), `num_asked`, `margin`, `next_look` (0 after
      the last), `STATISTICS` of a minus b, those of `verdicts.decide` and of `verdicts.success`.
    """
    table, designs = _all_pairs(groups)
    first, second = table["configuration_a"].tolist(), table["configuration_b"].tolist()
    of = differences(found, first, second)
    seeds = _seeds(found, of, first, second)
    told = _judged(table, of, seeds, designs, 1 - confidence)
    lower = [lower_is_better(metric) for metric in table["metric"]]
    counts = np.cumsum(seeds.is_asked, axis=1)
    last = told[["look"]].to_numpy(int)
    is_looked = (last == 0) | (counts <= last) | of.is_crossed[:, np.newaxis]
    looked = replace(of, values=np.where(is_looked, of.values, np.nan))
    return pd.concat(
        [
            table.assign(
                num_asked=seeds.is_asked.sum(axis=1),
                margin=[design.margin or np.nan for design in designs],
                next_look=[
                    next((count for count in design.looks or () if count > look), 0)
                    for design, look in zip(designs, told["look"], strict=True)
                ],
            ),
            statistics(looked, lower, confidence),
            told,
            verdicts.success(seeds),
        ],
        axis=1,
    )


def explore(found: Scores, members: Sequence[int], metric: str) -> pd.DataFrame:
    """Returns all pairs of configurations that were picked from the data, corrected by Holm.

    In a pair the one that comes later is a, the earlier one b.

    Returns:
      Columns `configuration_a`, `configuration_b`, `mean` (a minus b), `p_holm`.
    """
    second, first = np.triu_indices(len(members), k=1)
    of_pairs = [[members[place] for place in side.tolist()] for side in (first, second)]
    of = differences(found, *of_pairs)
    told = statistics(of, [lower_is_better(metric)] * len(first), 0.95)
    return pd.DataFrame(
        {
            "configuration_a": of_pairs[0],
            "configuration_b": of_pairs[1],
            "mean": told["mean"],
            "p_holm": paired.holm(told["p_t"]),
        }
    )


def _all_pairs(groups: Sequence[Group]) -> tuple[pd.DataFrame, list[Design]]:
    """Returns the pairs, and the design of each."""
    rows: list[tuple[int, int, int, str, str, bool]] = []
    designs: list[Design] = []
    for number, group in enumerate(groups):
        for pair in combinations(group.members, 2):
            design = max((group.members[index] for index in pair), key=lambda each: each.family)
            is_tested = group.references.get(design.family, pair[0]) in pair
            rows.append((number, *pair, group.metric, design.family, is_tested))
            designs.append(design)
    columns = ["group", "configuration_a", "configuration_b", "metric", "family", "is_tested"]
    return pd.DataFrame(rows, columns=columns).astype({"is_tested": bool}), designs


def _seeds(
    found: Scores, of: Differences, first: Sequence[int], second: Sequence[int]
) -> verdicts.Pairs:
    def both(table: pd.DataFrame) -> np.ndarray:
        return np.stack([table[list(side)].to_numpy(bool).T for side in (first, second)])

    return verdicts.Pairs(
        values=of.values,
        is_asked=np.logical_and(*both(found.asked)),
        has_ended=np.logical_and(*both(found.ended)),
        has_outcome=both(found.outcome),
        has_trained=both(found.trained),
    )


def _judged(
    table: pd.DataFrame,
    of: Differences,
    seeds: verdicts.Pairs,
    designs: Sequence[Design],
    level: float,
) -> pd.DataFrame:
    """Returns the verdicts, family by family; a pair that no family has is unknown."""
    told = verdicts.decide(seeds, (), level)
    for _, rows in table[table["is_tested"]].groupby("family"):
        places = rows.index.to_numpy()
        design = designs[places[0]]
        margins = np.array([designs[place].margin or np.nan for place in places])
        if of.is_crossed[places].any() or not design.is_stamped:
            told.loc[places] = _once(of, seeds, places, designs, margins, level).to_numpy()
        else:
            size = max(designs[place].comparisons for place in places)
            found = verdicts.decide(seeds.of(places), design.looks, level, margins, size)
            told.loc[places] = found.to_numpy()
    return told


def _once(
    of: Differences,
    seeds: verdicts.Pairs,
    places: np.ndarray,
    designs: Sequence[Design],
    margins: np.ndarray,
    level: float,
) -> pd.DataFrame:
    """Returns the verdicts of one look: at crossed seeds, or at records without a stamp."""
    running = paired.Running(of.values[places])
    count = running.count[:, -1]
    p, sign = running.p_values()[:, -1], np.sign(running.mean[:, -1])
    within = running.within(margins[:, np.newaxis])[:, -1]
    is_crossed = of.is_crossed[places]
    grids, _ = _grids(of.values[places[is_crossed]], of.seeds)
    for place, grid in zip(np.flatnonzero(is_crossed), grids, strict=True):
        margin = margins[place]
        if size := designs[places[place]].grid:
            grid = grid[: size[0], : size[1]]
        mean, _, _, p[place], degrees = crossed.crossed_mean(grid, 1 - level)
        low, high = (crossed.crossed_mean(grid + by, 1 - level) for by in (margin, -margin))
        is_inside = low[0] > 0 > high[0]
        within[place] = max(low[3], high[3]) / 2 if is_inside else 1.0
        sign[place], count[place] = np.sign(mean), degrees + 1
    p = np.where(count >= verdicts.MIN_PAIRS, p, np.nan)
    return verdicts.decide_once(seeds.of(places), p, sign, within, level)


_SIGNED = ["mean", "median", "d_z", "success_difference", "sign", "fails"]


def oriented(table: pd.DataFrame, to: int) -> pd.DataFrame:
    """Returns the comparisons with one configuration, all as the other minus this one.

    Instead of `configuration_a` and `configuration_b` they have `configuration`: the other.
    """
    is_first = table["configuration_a"] == to
    rows = table[is_first | (table["configuration_b"] == to)]
    turned = is_first[rows.index].to_numpy()
    sign = np.where(turned, -1, 1)
    return rows.assign(
        configuration=np.where(turned, rows["configuration_b"], rows["configuration_a"]),
        **{name: rows[name] * sign for name in _SIGNED},
        ci_low=np.where(turned, -rows["ci_high"], rows["ci_low"]),
        ci_high=np.where(turned, -rows["ci_low"], rows["ci_high"]),
        probability_better=np.where(
            turned, 1 - rows["probability_better"], rows["probability_better"]
        ),
    ).drop(columns=["configuration_a", "configuration_b"])
