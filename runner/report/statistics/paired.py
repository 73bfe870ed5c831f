"""Two initializers on the same seeds: is the difference more than luck?

The paired t interval and test decide (Student 1908), because the t interval keeps its level at the
few seeds that people use, which bootstrap intervals do not. Values are compared in rows: shape
(pairs of samples, seeds).
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtr

from runner.report.statistics.looks import e_value
from runner.summary import half_width

# Digits that a difference is worth: equal accuracies of 1,000 examples must be ties.
_DIGITS = 12
# Fewer pairs whose differences are all the same show nothing.
MIN_IDENTICAL = 10


def differences(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Returns `first - second` without the rounding that would tell equal differences apart.

    Args:
      first, second: Shape (pairs, seeds); where either is NaN there is no difference.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.fmax.reduce(np.fmax(np.abs(a), np.abs(b)), axis=-1, initial=0.0)
        exponent = np.where(size > 0, np.floor(np.log10(size)), 0)
        unit = 10.0 ** np.fmax(exponent - _DIGITS, -300)[..., np.newaxis]
        return np.round((a - b) / unit) * unit


def paired_statistics(values: ArrayLike, confidence: float) -> pd.DataFrame:
    """Returns what the differences of each pair of samples tell.

    Args:
      values: Differences, shape (pairs, seeds), as `differences` returns them.
      confidence: Level of the interval.

    Returns:
      One row a pair: `num_pairs` (seeds that both have), `mean`, `ci_low`, `ci_high` (paired t),
      `std`, `p_t`, `d_z` (mean / std), `probability_higher` (share of seeds where the difference is
      positive, ties half), `median`. What cannot be computed is NaN.
    """
    rows = np.atleast_2d(np.asarray(values, float))
    if not rows.size:
        return pd.DataFrame(np.nan, range(len(rows)), _COLUMNS).assign(num_pairs=0)
    frame, running = pd.DataFrame(rows), Running(rows)
    count, p_t = running.count[:, -1], running.p_values()[:, -1]
    mean = np.where(count == 1, frame.mean(axis=1), running.mean[:, -1])
    std = np.where(count > 1, running.error[:, -1] * np.sqrt(count), np.nan)
    width = half_width(std, count, confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where((std == 0) & (mean == 0), 0.0, mean / np.where(std == 0, np.nan, std))
    higher = ((np.sign(frame) + 1) / 2).mean(axis=1)
    told = count, mean, mean - width, mean + width, std, p_t, effect, higher, frame.median(axis=1)
    return pd.DataFrame(dict(zip(_COLUMNS, told, strict=True)))


_COLUMNS = [
    *("num_pairs", "mean", "ci_low", "ci_high", "std", "p_t"),
    *("d_z", "probability_higher", "median"),
]


class Running:
    """The differences of each pair up to each seed, and what they tell by then.

    Attributes:
      count: Numbers of differences, shape (pairs, seeds).
      mean, error: Their mean and its standard error, same shape; NaN without two of them.
      is_identical: Whether all of them are the same.
    """

    def __init__(self, values: ArrayLike) -> None:
        """Takes differences, shape (pairs, seeds), NaN where there is none."""
        rows = np.atleast_2d(np.asarray(values, float))
        known = ~np.isnan(rows)
        self.count = np.cumsum(known, axis=1)
        first = np.take_along_axis(rows, known.argmax(axis=1)[:, np.newaxis], axis=1)
        shifted = np.where(known, rows - first, 0.0)  # sums of small numbers are exact enough
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.cumsum(shifted, axis=1) / self.count
            square = np.cumsum(shifted**2, axis=1) - self.count * mean**2
            variance = np.maximum(square, 0.0) / (self.count - 1)
        self.is_identical = np.maximum.accumulate(np.abs(shifted), axis=1) == 0
        enough = self.count > 1
        self.mean = np.where(enough, np.where(self.is_identical, first, mean + first), np.nan)
        error = np.where(self.is_identical, 0.0, np.sqrt(variance / np.maximum(self.count, 1)))
        self.error = np.where(enough, error, np.nan)

    def t(self, null: ArrayLike = 0.0) -> np.ndarray:
        """Returns Student's t against a mean of `null`, shape (pairs, seeds)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (self.mean - np.asarray(null)) / self.error
        return np.where((self.error == 0) & (self.mean == null), 0.0, t)

    def p_values(self) -> np.ndarray:
        """Returns the two-sided p of the paired t test, shape (pairs, seeds).

        Where all differences are the same, t is infinite at any number of seeds: p is then what
        their signs alone tell, 2 / 2ⁿ, or 1 if they are zero.
        """
        p = 2 * stdtr(self.count - 1.0, -np.abs(self.t()))
        of_signs = np.where(self.mean == 0, 1.0, 2.0 ** (1 - self.count))
        return np.where(self.is_identical & (self.count > 1), of_signs, p)

    def e_values(self) -> np.ndarray:
        """Returns the evidence against a mean of zero, shape (pairs, seeds); see `looks.e_value`.

        Where all differences are the same it is what their signs tell, 2ⁿ / (n + 1): the likelihood
        ratio of a uniform mixture over the probability of a sign. It is the smaller of the two.
        """
        of_signs = np.where(self.mean == 0, 1.0, 2.0**self.count / (self.count + 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            of_t = e_value(self.t(), self.count)
        return np.where(self.is_identical & (self.count > 1), of_signs, of_t)

    def within(self, margin: ArrayLike) -> np.ndarray:
        """Returns the p that the mean is not within ±`margin`, shape (pairs, seeds).

        The larger of two one-sided t tests; 1 where fewer than `MIN_IDENTICAL` are all the same.

        Reference:
          Schuirmann (1987), A Comparison of the Two One-Sided Tests Procedure and the Power
          Approach for Assessing the Equivalence of Average Bioavailability.
        """
        above, below = self.t(np.negative(margin)), -self.t(margin)
        p = stdtr(self.count - 1.0, -np.minimum(above, below))
        return np.where(self._shows_nothing(), 1.0, p)

    def e_within(self, margin: ArrayLike) -> np.ndarray:
        """Returns the evidence that the mean is within ±`margin`, shape (pairs, seeds).

        The smaller of the e-values against means of -margin and of margin; 0 where the mean is not
        within, and where fewer than `MIN_IDENTICAL` differences are all the same.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            evidence = np.minimum(
                *(e_value(self.t(end), self.count) for end in (np.negative(margin), margin))
            )
        is_outside = ~(np.abs(self.mean) < np.asarray(margin))
        return np.where(is_outside | self._shows_nothing(), 0.0, evidence)

    def _shows_nothing(self) -> np.ndarray:
        return self.is_identical & (self.count < MIN_IDENTICAL)


def holm(p_values: ArrayLike) -> np.ndarray:
    """Returns p adjusted for so many comparisons; missing ones stay missing and do not count.

    The i-th smallest of m, times m - i + 1, but not below a smaller one and not above 1. (That of
    statsmodels collects garbage at every call, which takes longer than all the rest of a report.)

    Reference:
      Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure.
    """
    p = np.asarray(p_values, float)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
