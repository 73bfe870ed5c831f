"""How often an initializer succeeds, and whether two differ in that."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, ndtri

# Tables of equal probability are equally extreme, whatever the rounding.
_ROUNDING = 1e-7


def wilson_interval(
    successes: ArrayLike, trials: ArrayLike, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ends of Wilson's score interval for a share; NaN where there was no trial.

    It stays within 0 and 1 and does not shrink to a point when all or none succeed.

    Reference:
      Wilson (1927), Probable Inference, the Law of Succession, and Statistical Inference.
    """
    number = np.asarray(trials, float)
    z = ndtri((1 + confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share, weight = np.asarray(successes, float) / number, z**2 / number
        centre = (share + weight / 2) / (1 + weight)
        width = np.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    low, high = centre - width, centre + width
    tried = number > 0
    return np.where(tried, np.clip(low, 0, 1), np.nan), np.where(tried, np.clip(high, 0, 1), np.nan)


def half_width_of_share(share: float, size: int, confidence: float) -> float:
    """Returns half the width of the interval for a share of so many examples, by the normal law.

    That is what a part of this size leaves open about all data, whatever the number of seeds.
    """
    return float(ndtri((1 + confidence) / 2) * np.sqrt(share * (1 - share) / size))


def fisher_exact(
    successes: ArrayLike, trials: ArrayLike, other_successes: ArrayLike, other_trials: ArrayLike
) -> np.ndarray:
    """Returns the two-sided p of Fisher's exact test that two shares are equal, shape (pairs,).

    Reference:
      Fisher (1922), On the Interpretation of χ² from Contingency Tables.
    """
    counts = _counts(successes, trials, other_successes, other_trials)
    return np.array(
        [
            _two_sided(n, m, a + b)[a - max(0, a + b - m)] if n and m else np.nan
            for a, n, b, m in counts.tolist()
        ],
        float,
    )


def fisher_holm(
    successes: ArrayLike, trials: ArrayLike, other_successes: ArrayLike, other_trials: ArrayLike
) -> np.ndarray:
    """Returns the p of `fisher_exact` adjusted for all pairs, shape (pairs,), as Holm does.

    A pair with few failures cannot have a small p, whatever the truth. So p counts for each pair
    that is left only with the probability that its test gives so small a one: adjusted is the sum
    of these, but not below that of a smaller p. Holm's own correction counts p itself for all.

    Reference:
      Westfall & Wolfinger (1997), Multiple Tests with Discrete Distributions.
    """
    p = fisher_exact(successes, trials, other_successes, other_trials)
    counts = _counts(successes, trials, other_successes, other_trials)
    margins = np.column_stack([counts[:, 1], counts[:, 3], counts[:, 0] + counts[:, 2]])
    kinds, kind = np.unique(margins, axis=0, return_inverse=True)
    attainable = [np.unique(_two_sided(*margin)) for margin in kinds.tolist()]
    adjusted, least = np.full(p.shape, np.nan), 0.0
    for value in np.unique(p[~np.isnan(p)]):
        limit = value * (1 + _ROUNDING)
        left = np.bincount(kind.reshape(-1)[p >= value], minlength=len(kinds))
        chances = [
            of[: np.searchsorted(of, limit, side="right")].max(initial=0) for of in attainable
        ]
        least = max(least, min(float(left @ np.array(chances)), 1.0))
        adjusted[p == value] = least
    return adjusted


@lru_cache(maxsize=4096)
def _two_sided(trials: int, other_trials: int, succeeded: int) -> np.ndarray:
    """Returns Fisher's p for each number of successes of the first that so many in all allow."""
    lowest, highest = max(0, succeeded - other_trials), min(trials, succeeded)
    first = np.arange(lowest, highest + 1)
    chosen = _log_choices(trials, first) + _log_choices(other_trials, succeeded - first)
    probability = np.exp(chosen - _log_choices(trials + other_trials, succeeded))  # hypergeometric
    as_extreme = probability <= probability[:, np.newaxis] * (1 + _ROUNDING)
    return np.minimum(as_extreme @ probability, 1.0)


def _log_choices(num: int, chosen: ArrayLike) -> np.ndarray:
    """Returns the logarithm of the number of ways to choose so many of `num`."""
    k = np.asarray(chosen)
    return -betaln(1 + num - k, 1 + k) - np.log1p(num)


def _counts(*columns: ArrayLike) -> np.ndarray:
    return np.column_stack([np.asarray(column, int) for column in columns])
