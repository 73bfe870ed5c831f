"""Which pairs of initializers differ, which are equivalent, and since how many seeds that is known.

Everything is decided at the looks of a design, on the seeds up to each; what is decided stays so.

- *Different*: the paired t test, by Holm's procedure over the family at the nominal levels of its
  looks (or its e-value at any number of seeds); or Fisher's exact test that one of the two trains
  less often. Where replicates of a pair failed, that has a fifth of the level, and the values have
  the rest.
- *Equivalent*: two one-sided t tests against a margin, at the same looks, one comparison at a time,
  and only where both lost equally many replicates.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from runner.report.statistics.looks import nominal_level, sequential_holm
from runner.report.statistics.paired import Running
from runner.report.statistics.proportions import fisher_exact, fisher_holm

DIFFERENT, EQUIVALENT = "different", "equivalent"
WITHIN, UNKNOWN = "different_within_margin", "unknown"

# With one degree of freedom a t test takes two seeds that failed alike for a difference: where one
# in five does not learn, one of ten equal initializers differed from the first in 21 % of sweeps.
MIN_PAIRS = 3
# Of the level of a pair of which replicates failed, for the test of how many trained.
_SUCCESS_LEVEL = 0.2
# Where any number of looks is allowed, other tests than the e-value look at so many seeds, and
# twice, four times, ... as many, with half, a quarter, ... of the level: all together at the level.
_FIRST_OF_ANY = 5
_LEAST = 1e-300

LEAST_CHANCE = 0.2
"""More seeds are not asked for where the last look decides with a smaller probability. To give up
adds no error: what is not said cannot be wrong. Of the forty sweeps of real trainings in
`scripts/benchmark.py --answer-cost`, those that it was chosen on lose 1.1 % of their verdicts by it
beside 0.1, and take 7 % fewer trainings; the others 0.9 % and 6 %."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of configurations, seed by seed in the order in which they are looked at.

    All have the shape (pairs, seeds).

    Attributes:
      values: Differences of the endpoint, first minus second; NaN where either has none.
      is_asked: Whether both are to have the seed.
      has_ended: Whether both have ended with it, however.
      has_outcome: Whether each has an outcome: it finished or diverged; shape (2, pairs, seeds).
      has_trained: Whether each finished and learned; same shape.
    """

    values: np.ndarray
    is_asked: np.ndarray
    has_ended: np.ndarray
    has_outcome: np.ndarray
    has_trained: np.ndarray

    def of(self, rows: np.ndarray) -> "Pairs":
        """Returns some of the pairs."""
        return Pairs(*(getattr(self, field.name)[..., rows, :] for field in fields(self)))

    def at(self, counts: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the column of each look, and whether it was reached, shape (looks, pairs)."""
        wanted = np.asarray(counts, int)[:, np.newaxis, np.newaxis]
        asked = np.cumsum(self.is_asked, axis=1)
        is_open = np.cumsum(self.is_asked & ~self.has_ended, axis=1) > 0
        columns = (asked >= wanted).argmax(axis=2)
        enough = asked[:, -1] >= wanted[:, :, 0]
        return columns, enough & ~is_open[np.arange(len(asked)), columns]

    def num_lost(self) -> np.ndarray:
        """Returns how many of each did not train up to each seed, shape (2, pairs, seeds)."""
        return np.cumsum(self.is_asked & ~self.has_trained, axis=2)

    def failing(self, columns: np.ndarray, level: float) -> np.ndarray:
        """Returns 1 where the first trains less often, -1 where the second, 0 where unknown.

        Args:
          columns: Up to which column each pair is looked at.
          level: That of the t tests at the same look; see `_SUCCESS_LEVEL`.
        """
        if not self.values.size:
            return np.zeros(len(self.values), int)
        rows = np.arange(len(columns))
        trained, outcomes = (
            np.cumsum(self.is_asked & of, axis=2)[:, rows, columns]
            for of in (self.has_trained, self.has_outcome)
        )
        if (trained == outcomes).all():
            return np.zeros(len(rows), int)
        p = fisher_holm(trained[0], outcomes[0], trained[1], outcomes[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            share = trained / outcomes
            return np.where(p <= _SUCCESS_LEVEL * level, np.sign(share[1] - share[0]), 0).astype(
                int
            )


def schedule(
    looks: tuple[int, ...] | None, most: int
) -> list[tuple[int, Callable[[float], float]]]:
    """Returns the looks of tests by p-values up to `most` seeds.

    For each the number of seeds, and its nominal level for a level over all looks.
    """
    if looks is not None:
        reached = [count for count in looks if count <= most]
        return [(count, partial(nominal_level, looks=looks, count=count)) for count in reached]
    doublings = range((most // _FIRST_OF_ANY).bit_length())
    return [(_FIRST_OF_ANY * 2**n, partial(operator.mul, 0.5 ** (n + 1))) for n in doublings]


def decide(
    pairs: Pairs,
    looks: tuple[int, ...] | None,
    level: float,
    margin: ArrayLike = np.nan,
    size: int = 0,
) -> pd.DataFrame:
    """Returns the verdict on each pair of a family.

    Args:
      pairs: The family, as far as it is known.
      looks: Numbers of seeds, rising; None for any number.
      level: Probability of a false difference in the family; of a false equivalence in each pair.
      margin: Difference that does not matter, of all or of each pair; NaN or 0 for none.
      size: Number of pairs in the family, if it is larger than what is known.

    Returns:
      One row a pair: `verdict`, `decided_at` (seeds; missing where unknown), `look` (seeds at the
      last look that was reached, 0 for none), `sign` (of the difference when it was found; 0 where
      none was), `fails` (1 where the first trains less often, -1 where the second, 0 where neither
      is known to), `level` (what p, or with any number of looks 1/e, had to be), `chance` (as it
      is predicted at the last look that was reached, of a verdict at the last look of all; 1 where
      there is one, or a replicate failed, or any number of looks is allowed; see `_chances`).
    """
    num_pairs = len(pairs.values)
    most = int(pairs.is_asked.sum(axis=1).max(initial=0))
    looked = schedule(looks, most)
    counts = np.array(range(1, most + 1) if looks is None else [k for k, _ in looked], int)
    if not num_pairs or not len(counts):
        none = np.zeros((3, num_pairs), int)
        return _frame(none[0], none, none[:2], np.full(num_pairs, np.nan))
    columns, is_reached = pairs.at(counts)
    running, rows = Running(pairs.values), np.arange(num_pairs)
    can_test = is_reached & (running.count[rows, columns] >= MIN_PAIRS)
    per_pair = np.broadcast_to(np.asarray(margin, float), num_pairs)[:, np.newaxis]
    per_pair = np.where(per_pair > 0, per_pair, np.nan)
    lost = pairs.num_lost()
    share = _share_of_values(lost)
    nominal: list[Callable[[float], float]] = [float] * len(counts)
    if looks is None:
        p = 1 / np.fmax(running.e_values(), _LEAST)
        is_within = running.e_within(per_pair)[rows, columns] >= 1 / level
    else:
        p, nominal = running.p_values(), [of for _, of in looked]
        levels_within = np.array([[of(level)] for of in nominal])
        is_within = running.within(per_pair)[rows, columns] <= levels_within
    p = np.where(can_test, (p / share)[rows, columns], np.nan)
    rejected, levels = sequential_holm(p, size, level, nominal)
    is_same = can_test & is_within & (lost[0] == lost[1])[rows, columns]
    same = np.where(is_same.any(axis=0), is_same.argmax(axis=0), -1)
    signs = np.where(rejected >= 0, np.sign(running.mean[rows, columns[rejected, rows]]), 0)
    fails, failed = np.zeros((2, num_pairs), int)
    places = pairs.at([count for count, _ in looked])
    for (count, of_failures), at, reached in zip(looked, *places, strict=True):
        found = np.where(reached & (failed == 0), pairs.failing(at, of_failures(level)), 0)
        fails, failed = fails + found, np.where(found, count, failed)
    known = np.append(counts, 0)
    frame = _frame(
        look=(counts[:, np.newaxis] * is_reached).max(axis=0),
        seeds=np.stack([known[rejected], known[same], failed]),
        signs=np.stack([signs.astype(int), fails]),
        level=levels * share[rows, columns[rejected, rows]],
    )
    if looks is not None:
        left = max(size, num_pairs) - int(np.sum(rejected >= 0))
        at = columns[np.maximum(is_reached.sum(axis=0) - 1, 0), rows]
        last = partial(nominal_level, looks=looks, count=looks[-1])
        chances = _chances(
            running.count[rows, at],
            running.mean[rows, at],
            running.error[rows, at],
            per_pair[:, 0],
            looks[-1],
            (last(level / max(left, 1)), last(level)),
        )
        is_simple = lost.sum(axis=0)[rows, at] == 0
        is_open = (frame["verdict"] == UNKNOWN) & (frame["look"] > 0) & is_simple
        frame["chance"] = np.where(is_open, chances, 1.0)
    return frame


def _chances(
    count: np.ndarray,
    mean: np.ndarray,
    error: np.ndarray,
    margin: np.ndarray,
    last: int,
    levels: tuple[float, float],
) -> np.ndarray:
    """Returns the probability that the last look finds a difference or an equivalence.

    With a flat prior the mean of all N values, given those of the first n with mean m and standard
    deviation s, is m + s √(1/n - 1/N) t with n - 1 degrees of freedom. The last look decides where
    it is beyond the bound of the t test, or within the margin by the bound of the one-sided tests,
    both for the same s.

    Args:
      count, mean, error: n, m and s / √n of each pair, shape (pairs,).
      margin: NaN for none, same shape.
      last: N.
      levels: Nominal levels of the last look: two-sided of a difference, one-sided of an
        equivalence.

    Returns:
      Shape (pairs,); 1 where all values are the same, and at the last look.

    Reference:
      Spiegelhalter, Freedman & Blackburn (1986), Monitoring Clinical Trials: Conditional or
      Predictive Power?
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        std = error * np.sqrt(count)
        last_error = std / np.sqrt(last)
        spread = std * np.sqrt(1 / count - 1 / last)
        far = stdtrit(last - 1, 1 - levels[0] / 2) * last_error
        near = margin - stdtrit(last - 1, 1 - levels[1]) * last_error

        def below(end: np.ndarray) -> np.ndarray:
            return np.asarray(stdtr(count - 1.0, (end - mean) / spread))

        outside = below(-far) + 1 - below(far)
        inside = np.where(near > 0, below(near) - below(-near), 0.0)
        chance = np.where(near >= far, 1.0, outside + inside)
        return np.where(spread > 0, chance, 1.0)


def decide_once(
    pairs: Pairs, p_values: np.ndarray, signs: np.ndarray, p_within: np.ndarray, level: float
) -> pd.DataFrame:
    """Returns the verdicts of one look at all seeds; see `decide`.

    `p_values` are of no difference, `p_within` of a difference that is not within the margin.
    """
    counts = pairs.is_asked.sum(axis=1)
    lost = pairs.num_lost()[:, :, -1] if pairs.values.size else np.zeros((2, len(counts)))
    share = _share_of_values(lost)
    rejected, levels = sequential_holm((p_values / share)[np.newaxis], 0, level, [float])
    fails = pairs.failing(np.full(len(counts), -1), level)
    is_same = (p_within <= level) & (lost[0] == lost[1])
    return _frame(
        look=counts,
        seeds=np.stack([found * counts for found in (rejected >= 0, is_same, fails != 0)]),
        signs=np.stack([np.where(rejected >= 0, np.sign(signs), 0).astype(int), fails]),
        level=levels * share,
    )


def _share_of_values(lost: np.ndarray) -> np.ndarray:
    """Returns the share of the level that the values have: all where nothing failed."""
    return np.where(lost.sum(axis=0) > 0, 1 - _SUCCESS_LEVEL, 1.0)


def _frame(
    look: np.ndarray, seeds: np.ndarray, signs: np.ndarray, level: np.ndarray
) -> pd.DataFrame:
    """Returns the frame of `decide`.

    Args:
      look, level: Its columns.
      seeds: At which each pair was found to differ, to be equivalent, and to differ in how many
        trained, 0 for not, shape (3, pairs).
      signs: `sign` and `fails`, shape (2, pairs).
    """
    differs, same = (seeds[0] > 0) | (seeds[2] > 0), seeds[1] > 0
    verdict = np.select(
        [differs & same, differs, same], [WITHIN, DIFFERENT, EQUIVALENT], default=UNKNOWN
    )
    first = np.where(seeds > 0, seeds, np.iinfo(int).max).min(axis=0, initial=np.iinfo(int).max)
    return pd.DataFrame(
        {
            "verdict": verdict.astype(object),
            "decided_at": pd.arrays.IntegerArray(first, ~(differs | same)),
            "look": look,
            "sign": signs[0],
            "fails": signs[1],
            "level": level,
            "chance": 1.0,
        }
    )


def success(pairs: Pairs) -> pd.DataFrame:
    """Returns how the shares that trained differ over all seeds, and Fisher's p of no difference.

    Columns `success_difference` (first minus second), `p_fisher`.
    """
    of = [
        (pairs.is_asked & n[side]).sum(axis=1)
        for side in (0, 1)
        for n in (pairs.has_trained, pairs.has_outcome)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = of[0] / of[1] - of[2] / of[3]
    return pd.DataFrame({"success_difference": difference, "p_fisher": fisher_exact(*of)})
