"""Two initializers on the same seeds: is the difference more than luck?

The paired t interval and test decide (Student 1908), because the t interval keeps its level at the
few seeds that people use; bootstrap intervals do not (see `bca_interval`). Two exact tests stand
beside it: Wilcoxon's signed ranks (1945) and Fisher's sign flips (1935). A difference of zero has
no sign and tells neither of them anything: with n others, the smallest p that they can reach is
2 / 2ⁿ, 0.0625 at five. It is returned with them. From `MAX_COUNTED` seeds on both are normal
approximations.

Values are compared in rows: shape (pairs of samples, seeds).
"""

import warnings
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import nctdtrinc, ndtr, stdtr, stdtrit

from runner.summary import half_width

# Up to here all 2ⁿ⁻¹ sign patterns are looked at; beyond, so many random ones.
MAX_EXACT = 14
NUM_FLIPS = 10_000
# Up to here rank sums are counted out and signs are flipped at random. Beyond, both sums count as
# normal: that moves a p near 0.05 by 0.001, or by 0.01 to 0.02 where differences are coarse, while
# counting takes time with the cube of the number.
MAX_COUNTED = 100
# Below this number of pairs a bootstrap interval is too narrow to be shown.
MIN_BOOTSTRAP = 20
NUM_RESAMPLES = 4_000
POWER = 0.8
# A design that needs more seeds than this is as good as hopeless.
MAX_FURTHER = 1_000
# Digits that a difference is worth: equal accuracies of 1,000 examples must be ties.
_DIGITS = 12
_MAX_CRITICAL = 100.0
_BLOCK = 4_000_000  # numbers in memory at once


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
      `std`, `p_t`, `p_wilcoxon`, `p_sign_flip`, each of the two followed by the least that it can
      give with so many differences that are not zero, `p_wilcoxon_least` and `p_sign_flip_least`,
      `d_z` (mean / std), `probability_higher` (share of seeds where the difference is positive,
      ties half), `median`. What cannot be computed is NaN. Where all differences are equal a t
      statistic would be infinite at any number of seeds: `p_t` is then what their signs alone tell,
      `p_wilcoxon_least`, or 1 if they are all zero.
    """
    rows = np.atleast_2d(np.asarray(values, float))
    counts = np.sum(~np.isnan(rows), axis=1)
    table = np.full((len(rows), len(_COLUMNS)), np.nan)
    table[:, 0] = counts
    for count in np.unique(counts[counts > 0]):
        chosen = counts == count
        table[chosen, 1:] = _statistics(_without_gaps(rows[chosen], count), confidence)
    frame = pd.DataFrame(table, columns=_COLUMNS)
    return frame.astype({"num_pairs": int})


_COLUMNS = [
    *("num_pairs", "mean", "ci_low", "ci_high", "std", "p_t"),
    *("p_wilcoxon", "p_wilcoxon_least", "p_sign_flip", "p_sign_flip_least"),
    *("d_z", "probability_higher", "median"),
]


def _without_gaps(rows: np.ndarray, count: int) -> np.ndarray:
    """Returns the `count` values that each row has, in their order."""
    return rows[~np.isnan(rows)].reshape(len(rows), count)


def _statistics(sample: np.ndarray, confidence: float) -> np.ndarray:
    count = sample.shape[1]
    equal = sample.min(axis=1) == sample.max(axis=1)
    mean = np.where(equal, sample[:, 0], sample.mean(axis=1))
    if count == 1:
        nothing = np.full(len(sample), np.nan)
        higher = _share_higher(sample)
        columns = [mean, *[nothing] * 9, higher, mean]
        return np.column_stack(columns)
    std = np.where(equal, 0.0, sample.std(axis=1, ddof=1))
    width = half_width(std, count, confidence)
    signs, place = np.unique(np.count_nonzero(sample, axis=1), return_inverse=True)
    least_of_ranks = np.array([least_wilcoxon(number) for number in signs])[place]
    least_of_flips = np.array([least_sign_flip(number) for number in signs])[place]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / (std / np.sqrt(count))
        effect = np.where(equal, np.where(mean == 0, 0.0, np.nan), mean / std)
    p_t = np.where(equal, least_of_ranks, 2 * stdtr(count - 1, -np.abs(t)))
    return np.column_stack(
        [
            *(mean, mean - width, mean + width, std, p_t),
            *(wilcoxon(sample), least_of_ranks, sign_flip(sample), least_of_flips),
            *(effect, _share_higher(sample), np.median(sample, axis=1)),
        ]
    )


def _share_higher(sample: np.ndarray) -> np.ndarray:
    return np.mean((np.sign(sample) + 1) / 2, axis=1)


@cache
def least_wilcoxon(count: int) -> float:
    """Returns the least p of `wilcoxon` with `count` differences that are not zero.

    It is reached where all have one sign, and is 2 / 2ⁿ while rank sums are counted out; beyond, it
    is reached where all have one size too. Without any difference it is 1.
    """
    if count <= MAX_COUNTED:
        return min(2.0 ** (1 - count), 1.0)
    return float(wilcoxon(np.ones((1, count)))[0])


@cache
def least_sign_flip(count: int) -> float:
    """Returns the least p of `sign_flip` with `count` differences that are not zero.

    It is reached where all have one sign: only the patterns that give all of them one sign count;
    beyond `MAX_COUNTED` differences, where all have one size too.
    """
    if count > MAX_COUNTED:
        return float(_flipped(np.ones((1, count)))[0])
    return float(np.mean(np.abs(_sign_patterns(count).sum(axis=1)) == count))


def sign_flip(sample: np.ndarray) -> np.ndarray:
    """Returns the two-sided p of the sign-flip test of a zero mean, shape (pairs,).

    Under no difference each seed's difference could as well have had the other sign. p is the share
    of sign patterns whose sum is at least as far from zero as that observed; exact for up to
    `MAX_EXACT` differences that are not zero, over `NUM_FLIPS` random patterns, the observed one
    among them, up to `MAX_COUNTED`, and beyond that from the normal distribution: the sum has mean
    zero and variance Σ d².

    Args:
      sample: Differences, shape (pairs, seeds), without gaps.

    Reference:
      Fisher (1935), The Design of Experiments, section 21.
    """
    counts = np.count_nonzero(sample, axis=1)
    p = np.empty(len(sample))
    for count in np.unique(counts):
        rows = sample[counts == count]
        p[counts == count] = _flipped(rows[rows != 0].reshape(len(rows), count))
    return p


def _flipped(sample: np.ndarray) -> np.ndarray:
    """Returns the p of the sign-flip test of rows without zeros."""
    if sample.shape[1] > MAX_COUNTED:
        return 2 * ndtr(-np.abs(sample.sum(axis=1)) / np.sqrt(np.sum(sample**2, axis=1)))
    signs = _sign_patterns(sample.shape[1])
    observed = np.abs(sample.sum(axis=1))
    rounding = 1e-9 * np.abs(sample).sum(axis=1)
    p = np.empty(len(sample))
    block = max(_BLOCK // len(signs), 1)
    for start in range(0, len(sample), block):
        part = slice(start, start + block)
        sums = np.abs(sample[part] @ signs.T)
        p[part] = np.mean(sums >= (observed - rounding)[part, np.newaxis], axis=1)
    return p


def _sign_patterns(count: int) -> np.ndarray:
    """Returns ±1, shape (patterns, count), the observed signs first.

    A pattern and its mirror image have the same absolute sum: half of them are enough.
    """
    if count <= MAX_EXACT:
        numbers = np.arange(2 ** max(count - 1, 0))[:, np.newaxis]
        return 1.0 - 2.0 * ((numbers >> np.arange(count)) & 1)
    signs = np.random.default_rng(count).choice([-1.0, 1.0], (NUM_FLIPS, count))
    signs[0] = 1.0
    return signs


def wilcoxon(sample: np.ndarray) -> np.ndarray:
    """Returns the two-sided p of Wilcoxon's signed-rank test, shape (pairs,).

    Ties share their mean rank, zeros are dropped. Up to `MAX_COUNTED` differences that are not zero
    the distribution is that of the ranks at hand, so p is exact with ties too (scipy's is not, or
    takes a quarter of a second each). Beyond, it is scipy's normal approximation with corrections
    for ties and continuity.

    Args:
      sample: Differences, shape (pairs, seeds), without gaps.

    Reference:
      Wilcoxon (1945), Individual Comparisons by Ranking Methods.
    """
    is_many = np.count_nonzero(sample, axis=1) > MAX_COUNTED
    p = np.empty(len(sample))
    p[~is_many] = _counted_wilcoxon(sample[~is_many])
    if is_many.any():
        many = stats.wilcoxon(sample[is_many], axis=1, correction=True, method="approx")
        p[is_many] = many.pvalue
    return p


def _counted_wilcoxon(sample: np.ndarray) -> np.ndarray:
    """Returns the exact p of Wilcoxon's test of each row."""
    zero = sample == 0
    sizes = np.where(zero, -1.0, np.abs(sample))
    ranks = np.where(zero, 0, stats.rankdata(sizes, axis=1) - zero.sum(axis=1, keepdims=True))
    doubled = np.rint(2 * ranks).astype(int)  # mean ranks are halves
    positive = np.sum(doubled * (sample > 0), axis=1)
    p = np.empty(len(sample))
    patterns, which = np.unique(np.sort(doubled, axis=1), axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = which.reshape(-1) == number
        below = np.cumsum(_rank_sum_distribution(pattern))
        # The distribution is symmetric: that a sum is at least w is that it is at most total - w.
        nearer = np.minimum(positive[rows], pattern.sum() - positive[rows])
        p[rows] = np.minimum(2 * below[nearer], 1.0)
    return p


def _rank_sum_distribution(ranks: np.ndarray) -> np.ndarray:
    """Returns the probability of each sum of ranks if each counts or not with probability 1/2."""
    probability = np.zeros(ranks.sum() + 1)
    probability[0] = 1.0
    for rank in ranks[ranks > 0]:
        with_rank = np.zeros_like(probability)
        with_rank[rank:] = probability[:-rank]
        probability = (probability + with_rank) / 2
    return probability


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


def further_seeds(effect: ArrayLike, count: ArrayLike, level: ArrayLike) -> np.ndarray:
    """Returns how many more seeds tell a difference with a probability of `POWER`.

    That is if the effect is what it looks like now, which few seeds tell badly.

    Args:
      effect: d_z so far, shape (pairs,).
      count: Numbers of pairs so far.
      level: Level of the test, after the correction for multiple comparisons.

    Returns:
      Numbers of further pairs, shape (pairs,); NaN where there is no effect or where more than
      `MAX_FURTHER` would be needed.
    """
    size, number, alpha = np.broadcast_arrays(
        np.abs(np.asarray(effect, float)), np.asarray(count, float), np.asarray(level, float)
    )
    further = np.full(size.shape, np.nan)
    for of_level in np.unique(alpha):
        chosen = (alpha == of_level) & (size > 0)
        if chosen.any():
            least = _least_effects(of_level, int(number[chosen].max()) + MAX_FURTHER)
            needed = 2 + np.searchsorted(-least, -size[chosen])
            further[chosen] = np.fmax(needed - number[chosen], 0)
    return np.where(further <= MAX_FURTHER, further, np.nan)


def _least_effects(level: float, most: int) -> np.ndarray:
    """Returns the effects that 2, 3, ..., `most` pairs find with a probability of `POWER`.

    An error of the sign is not counted as a find; it has no share in a power of that size. Where
    the critical t is beyond all measure, and scipy's search for the effect without end, no effect
    is large enough.
    """
    number = np.arange(2.0, most + 1)
    critical = stdtrit(number - 1, 1 - level / 2)
    least = np.full(number.shape, np.inf)
    sane = critical < _MAX_CRITICAL
    least[sane] = nctdtrinc(number[sane] - 1, 1 - POWER, critical[sane]) / np.sqrt(number[sane])
    return least


def bca_interval(sample: ArrayLike, confidence: float) -> tuple[float, float]:
    """Returns the bias-corrected, accelerated bootstrap interval of the mean; a supplement only.

    Its coverage falls short with few seeds (Student's does not: see the tests), so there is none
    below `MIN_BOOTSTRAP` values, nor where all are equal.

    Args:
      sample: Shape (seeds,); NaN where there is none.
      confidence: Level of the interval.

    Reference:
      Efron (1987), Better Bootstrap Confidence Intervals.
    """
    values = np.asarray(sample, float)
    values = values[~np.isnan(values)]
    if values.size < MIN_BOOTSTRAP or values.min() == values.max() or not confidence:
        return np.nan, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=NUM_RESAMPLES,
            confidence_level=confidence,
            method="BCa",
            rng=np.random.default_rng(values.size),
        )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
