"""Does one number go with another? Spearman's rank correlation and its interval."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr

MIN_COUNT = 5


def rank_correlation(
    first: ArrayLike, second: ArrayLike, confidence: float
) -> tuple[int, float, float, float, float]:
    """Returns how far two numbers go together over configurations.

    The interval is Fisher's transform with the variance (1 + r² / 2) / (n - 3); p is that of
    Student's t with n - 2 degrees of freedom, as scipy's `spearmanr` has it.

    Args:
      first, second: Shape (configurations,); where either is NaN or infinite the pair is left out.
      confidence: Level of the interval.

    Returns:
      n, r, low, high, p; NaN below `MIN_COUNT` pairs or where one of the numbers does not vary; the
      interval of a perfect correlation is open, its end at ±1.

    Reference:
      Bonett & Wright (2000), Sample Size Requirements for Estimating Pearson, Kendall and Spearman
      Correlations.
    """
    x, y = np.asarray(first, float), np.asarray(second, float)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    count = len(x)
    if count < MIN_COUNT or np.ptp(x) == 0 or np.ptp(y) == 0:
        return count, np.nan, np.nan, np.nan, np.nan
    ranks = pd.DataFrame({"x": x, "y": y}).rank()
    rho = float(np.clip(np.corrcoef(ranks["x"], ranks["y"])[0, 1], -1, 1))
    with np.errstate(divide="ignore"):  # of a perfect one
        t = rho * np.sqrt(np.divide(count - 2, (1 + rho) * (1 - rho)))
    # One swap of neighbours away from perfect: the transform of exactly ±1 is infinite.
    nearest = 1 - 6 / (count * (count**2 - 1))
    inner = min(max(rho, -nearest), nearest)
    width = ndtri((1 + confidence) / 2) * np.sqrt((1 + inner**2 / 2) / (count - 3))
    low, high = np.tanh(np.arctanh(inner) + np.array([-width, width]))
    ends = float(min(low, rho)), float(max(high, rho))
    return count, rho, *ends, float(2 * stdtr(count - 2, -abs(t)))
