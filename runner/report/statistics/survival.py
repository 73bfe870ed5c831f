"""How long it takes to reach a target, where some never do: censored data.

A replicate that has not reached the target when it was last looked at is *censored*: its time is
longer than that, nobody knows how much.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import chdtrc, stdtrit

# Up to so many ways to deal replicates out all are looked at; beyond, so many random ones. From so
# many replicates on χ² is as good: its error is below the sampling error of the random ones.
MAX_EXACT = 20_000
NUM_DEALS = 10_000
MIN_ASYMPTOTIC = 100
_ROUNDING = 1e-9

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
    curve = _left_over(when, event)
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


def _left_over(times: np.ndarray, reached: np.ndarray) -> Any:
    """Returns scipy's estimate of the share that has not reached the target by each time."""
    from scipy import stats

    return stats.ecdf(stats.CensoredData.right_censored(times, ~reached)).sf


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
    curve = _left_over(np.asarray(times, float), np.asarray(reached, bool))
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
    return at, _left_over(times, events).evaluate(at)


def _variance(times: np.ndarray, events: np.ndarray, at: np.ndarray, areas: np.ndarray) -> float:
    left = np.array([np.sum(times >= time) for time in at], float)
    ended = np.array([np.sum(events & (times == time)) for time in at], float)
    terms = np.zeros(len(at))
    more = (left > ended) & (areas > 0)
    terms[more] = areas[more] ** 2 * ended[more] / (left[more] * (left[more] - ended[more]))
    return float(terms.sum())


def logrank(samples: Sequence[tuple[ArrayLike, ArrayLike]]) -> float:
    """Returns the p of the log-rank test that all samples take equally long; NaN without an event.

    It is a permutation test: p is the share of the ways to deal the replicates out to samples of
    these sizes that separate them at least as much as they are. (The usual χ² approximation tells
    equal samples of three to five apart in 6 to 10 % of cases where 5 % are allowed.) All ways are
    looked at up to `MAX_EXACT` of them (two samples of eight), else `NUM_DEALS` random ones, the
    observed one among them; from `MIN_ASYMPTOTIC` replicates on the approximation serves. The least
    p is 0.1 for three replicates against three and 0.0079 for five against five.

    A replicate's score is its event less the risk that it was under (Nelson and Aalen's); a
    sample's sum U of scores is its observed less its expected number of events, and samples of
    sizes n are apart by Σ U² / n.

    Replicates count as independent. That two of different samples share a seed makes a difference
    between them smaller, if anything, so the test keeps its level. Swapping within seeds instead
    would leave 2ⁿ ways, and no p below 0.0625 with five seeds.

    Args:
      samples: Two or more pairs of times and whether the target was reached.

    Reference:
      Mantel (1966), Evaluation of Survival Data; Peto & Peto (1972), Asymptotically Efficient Rank
      Invariant Test Procedures; Heinze, Gnant & Schemper (2003), Exact Log-Rank Tests for Unequal
      Follow-Up.
    """
    times = np.concatenate([np.asarray(when, float) for when, _ in samples])
    events = np.concatenate([np.asarray(event, bool) for _, event in samples])
    sizes = tuple(np.size(when) for when, _ in samples if np.size(when))
    if not events.any() or len(sizes) < 2:
        return np.nan
    scores = _scores(times, events)
    if times.size >= MIN_ASYMPTOTIC:
        spread = np.sum(scores**2) / (times.size - 1)
        observed = _separation(scores, _dealt(sizes)[np.newaxis], sizes)[0]
        return float(chdtrc(len(sizes) - 1, observed / spread)) if spread else 1.0
    separations = _separation(scores, _deals(sizes), sizes)
    return float(np.mean(separations >= separations[0] * (1 - _ROUNDING)))


def _scores(times: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Returns of each replicate 1 or 0, whether it had the event, less Σ dᵢ / nᵢ up to its time."""
    at, place = np.unique(times, return_inverse=True)
    left = times.size - np.searchsorted(np.sort(times), at)
    risk = np.cumsum(np.bincount(place[events], minlength=len(at)) / left)
    return events - risk[place]


def _separation(scores: np.ndarray, deals: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Returns Σ U² / n of each way to deal the replicates out, shape (ways,)."""
    left, total = np.full(len(deals), scores.sum()), np.zeros(len(deals))
    for sample, size in enumerate(sizes[:-1]):
        of_sample = (deals == sample) @ scores
        total += of_sample**2 / size
        left -= of_sample
    return total + left**2 / sizes[-1]


def _dealt(sizes: Sequence[int]) -> np.ndarray:
    """Returns the sample of each replicate, one sample after the other, int8."""
    return np.repeat(np.arange(len(sizes), dtype=np.int8), sizes)


@lru_cache(maxsize=8)
def _deals(sizes: tuple[int, ...]) -> np.ndarray:
    """Returns the ways to deal replicates out, the given one first, shape (ways, replicates)."""
    observed = _dealt(sizes)
    num_ways = math.factorial(sum(sizes)) // math.prod(math.factorial(size) for size in sizes)
    if num_ways <= MAX_EXACT:
        return np.array(list(_every_deal(observed.copy(), 0, sizes)))
    deals = np.tile(observed, (NUM_DEALS, 1))
    np.random.default_rng(sum(sizes)).permuted(deals[1:], axis=1, out=deals[1:])
    return deals


def _every_deal(deal: np.ndarray, sample: int, sizes: Sequence[int]) -> Iterator[np.ndarray]:
    """Yields every way to deal the replicates that no sample before this one has got."""
    if sample == len(sizes) - 1:
        yield deal
        return
    free = np.flatnonzero(deal >= sample)
    for chosen in combinations(free.tolist(), sizes[sample]):
        rest = deal.copy()
        rest[free] = sample + 1
        rest[list(chosen)] = sample
        yield from _every_deal(rest, sample + 1, sizes)
