"""How often an initializer succeeds, and whether two differ in that."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def wilson_interval(
    successes: ArrayLike, trials: ArrayLike, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ends of Wilson's score interval for a share; NaN where there was no trial.

    It stays within 0 and 1 and does not shrink to a point when all or none succeed.

    Args:
      successes: Numbers of successes.
      trials: Numbers of trials, same shape.
      confidence: Level of the interval.

    Reference:
      Wilson (1927), Probable Inference, the Law of Succession, and Statistical Inference.
    """
    from statsmodels.stats.proportion import proportion_confint

    number = np.asarray(trials, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = proportion_confint(
            np.asarray(successes, float), number, alpha=1 - confidence, method="wilson"
        )
    tried = number > 0
    return np.where(tried, np.clip(low, 0, 1), np.nan), np.where(tried, np.clip(high, 0, 1), np.nan)


def fisher_exact(
    successes: ArrayLike, trials: ArrayLike, other_successes: ArrayLike, other_trials: ArrayLike
) -> np.ndarray:
    """Returns the two-sided p of Fisher's exact test that two shares are equal, shape (pairs,).

    Args:
      successes, trials: Of the first, shape (pairs,).
      other_successes, other_trials: Of the second.

    Reference:
      Fisher (1922), On the Interpretation of χ² from Contingency Tables.
    """
    columns = (successes, trials, other_successes, other_trials)
    counts = np.column_stack([np.asarray(column, int) for column in columns])
    tables, which = np.unique(counts, axis=0, return_inverse=True)
    p = [
        stats.fisher_exact(np.array([[a, n - a], [b, m - b]])).pvalue if n and m else np.nan
        for a, n, b, m in tables.tolist()
    ]
    return np.asarray(p, float)[which.reshape(-1)]
