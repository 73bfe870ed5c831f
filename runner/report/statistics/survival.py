"""How long it takes to reach a target, where some never do: censored data.

A replicate that has not reached the target when it was last looked at is *censored*: its time is
longer than that, nobody knows how much.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import stdtrit

COLUMNS = ["time", "num_at_risk", "num_reached", "num_censored", "share_reached"]


def kaplan_meier(times: ArrayLike, reached: ArrayLike, confidence: float) -> pd.DataFrame:
    """Returns the share that has reached the target by each time, 1 - Ŝ(t).

    Ŝ(t) = Π (1 - dᵢ / nᵢ) over the times tᵢ <= t at which dᵢ of nᵢ still under watch reach it.

    Args:
      times: To the target, or to the last look; shape (replicates,).
      reached: Whether it was reached, same shape.
      confidence: Level of the interval.

    Returns:
      One row a time, the first is zero: `time`, `num_at_risk` (just before), `num_reached`,
      `num_censored`, `share_reached`, `ci_low`, `ci_high` (log-log, pointwise; missing while none
      and once all have reached it).

    Reference:
      Kaplan & Meier (1958); the interval: Kalbfleisch & Prentice (1980), equation 1.13.
    """
    when, event = np.asarray(times, float), np.asarray(reached, bool)
    table = _counts(when, event)
    curve = stats.ecdf(_censored(when, event)).sf
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        interval: Any = curve.confidence_interval(confidence, method="log-log")
    at = table["time"].to_numpy()
    share = 1 - curve.evaluate(at)
    inside = (share > 0) & (share < 1)
    return table.assign(
        share_reached=share,
        ci_low=np.where(inside, 1 - interval.high.evaluate(at), np.nan),
        ci_high=np.where(inside, 1 - interval.low.evaluate(at), np.nan),
    )


def _censored(times: np.ndarray, reached: np.ndarray) -> stats.CensoredData:
    return stats.CensoredData.right_censored(times, ~reached)


def _counts(times: np.ndarray, reached: np.ndarray) -> pd.DataFrame:
    distinct = np.unique(np.append(times, 0.0))
    return pd.DataFrame(
        {
            "time": distinct,
            "num_at_risk": [int(np.sum(times >= time)) for time in distinct],
            "num_reached": [int(np.sum(reached & (times == time))) for time in distinct],
            "num_censored": [int(np.sum(~reached & (times == time))) for time in distinct],
        }
    )


def median_time(times: ArrayLike, reached: ArrayLike) -> float:
    """Returns the time by which half have reached the target; NaN where fewer than half do."""
    curve = stats.ecdf(_censored(np.asarray(times, float), np.asarray(reached, bool))).sf
    by = curve.quantiles[curve.probabilities <= 0.5 + 1e-12]
    return float(by[0]) if by.size else np.nan


def restricted_mean(
    times: ArrayLike, reached: ArrayLike, horizon: float, confidence: float
) -> tuple[float, float, float]:
    """Returns the mean of the time to the target or to the horizon, whichever is first.

    It is the area under Ŝ up to the horizon. Its variance is
    m / (m - 1) · Σ Aᵢ² dᵢ / (nᵢ (nᵢ - dᵢ)) with Aᵢ the area from tᵢ to the horizon and m the number
    that reached the target or the horizon (Kaplan & Meier 1958, section 6). The interval is
    Student's with m - 1 degrees of freedom: that of an ordinary mean where nobody is lost before
    the horizon.

    Args:
      times: To the target, or to the last look; shape (replicates,).
      reached: Whether it was reached.
      horizon: Not after the last look at a replicate that has not reached the target, or the curve
        is held at its last value up to there.
      confidence: Level of the interval.

    Returns:
      The mean and the ends of its interval; the ends are NaN below two times.
    """
    when, event = np.asarray(times, float), np.asarray(reached, bool)
    # Who stays under watch up to the horizon has a known restricted time: the horizon.
    whole = ~event & (when >= horizon)
    known = event | whole
    when = np.minimum(when, horizon)
    at, survivors = _survival(when, known)
    steps = np.diff(np.append(at, horizon))
    areas = np.cumsum((steps * survivors)[::-1])[::-1]
    mean = float(areas[0])
    count = int(known.sum())
    if count < 2:
        return mean, np.nan, np.nan
    variance = _variance(when, known, at[1:], areas[1:]) * count / (count - 1)
    width = float(stdtrit(count - 1, (1 + confidence) / 2) * np.sqrt(variance))
    return mean, mean - width, mean + width


def _survival(times: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the event times, zero first, and the share that is left after each."""
    at = np.unique(np.append(times[events], 0.0))
    return at, stats.ecdf(_censored(times, events)).sf.evaluate(at)


def _variance(times: np.ndarray, events: np.ndarray, at: np.ndarray, areas: np.ndarray) -> float:
    left = np.array([np.sum(times >= time) for time in at], float)
    ended = np.array([np.sum(events & (times == time)) for time in at], float)
    terms = np.zeros(len(at))
    more = (left > ended) & (areas > 0)
    terms[more] = areas[more] ** 2 * ended[more] / (left[more] * (left[more] - ended[more]))
    return float(terms.sum())


def logrank(samples: Sequence[tuple[ArrayLike, ArrayLike]]) -> float:
    """Returns the p of the log-rank test that all samples take equally long; NaN without an event.

    Replicates count as independent; what they share by their seed is not used.

    Args:
      samples: Two or more pairs of times and whether the target was reached.

    Reference:
      Mantel (1966), Evaluation of Survival Data.
    """
    from statsmodels.duration.survfunc import survdiff

    times = np.concatenate([np.asarray(when, float) for when, _ in samples])
    events = np.concatenate([np.asarray(event, bool) for _, event in samples])
    group = np.repeat(np.arange(len(samples)), [len(np.atleast_1d(when)) for when, _ in samples])
    last = times[events].max(initial=-np.inf)
    # Without an event that some outlive, or with one group left, there is nothing to compare.
    if not events.any() or len(np.unique(group[times > 0])) < 2 or not np.any(times >= last):
        return np.nan
    try:
        _, p = survdiff(times, events.astype(int), group)
    except np.linalg.LinAlgError:
        return np.nan
    return float(p)
