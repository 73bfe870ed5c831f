"""One initializer against the others over several problems (data sets or models).

Demšar (2006), Statistical Comparisons of Classifiers over Multiple Data Sets: ranks within each
problem, Friedman's test that all are alike, Nemenyi's critical difference of average ranks.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def ranks(scores: ArrayLike) -> np.ndarray:
    """Returns the rank of each initializer in each problem; 1 is the highest score, ties share.

    Args:
      scores: Shape (problems, initializers), higher is better, without gaps.
    """
    from scipy import stats

    return stats.rankdata(-np.asarray(scores, float), axis=1)


def friedman(scores: ArrayLike) -> float:
    """Returns the p of Friedman's test that no initializer is ranked higher than another.

    The χ² approximation is coarse for few problems. NaN below three initializers or two problems,
    and where all scores of every problem are equal.

    Args:
      scores: Shape (problems, initializers).
    """
    values = np.asarray(scores, float)
    if values.shape[0] < 2 or values.shape[1] < 3 or np.all(np.ptp(values, axis=1) == 0):
        return np.nan
    from scipy import stats

    return float(stats.friedmanchisquare(*values.T).pvalue)


def critical_difference(num_initializers: int, num_problems: int, level: float) -> float:
    """Returns Nemenyi's critical difference of average ranks, q √(k (k + 1) / (6 N)).

    q is the studentized range's quantile over √2, for k initializers and N problems; all pairs of
    them are one family.
    """
    from scipy import stats

    quantile = stats.studentized_range.ppf(1 - level, num_initializers, np.inf)
    return float(quantile * _rank_error(num_initializers, num_problems))


def nemenyi(rank_differences: ArrayLike, num_initializers: int, num_problems: int) -> np.ndarray:
    """Returns Nemenyi's p, adjusted for all pairs, of differences of average ranks, any shape."""
    from scipy import stats

    error = _rank_error(num_initializers, num_problems)
    quotient = np.abs(np.asarray(rank_differences, float)) / error
    p = stats.studentized_range.sf(quotient, num_initializers, np.inf)
    return np.clip(np.asarray(p, float), 0.0, 1.0)


def _rank_error(num_initializers: int, num_problems: int) -> float:
    """Returns the standard error of an average rank, √(k (k + 1) / (12 N))."""
    return float(np.sqrt(num_initializers * (num_initializers + 1) / (12 * num_problems)))


def cliques(average_ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """Returns the bars of a critical-difference diagram.

    Args:
      average_ranks: Sorted, best first.
      critical: The critical difference.

    Returns:
      First and last position of each largest group that lies within the critical difference; groups
      of one are left out.
    """
    bars: list[tuple[int, int]] = []
    for first, rank in enumerate(average_ranks):
        last = max(i for i, other in enumerate(average_ranks) if other - rank <= critical + 1e-12)
        if last > first and (not bars or last > bars[-1][1]):
            bars.append((first, last))
    return bars
