"""One sample: where it lies, how wide it spreads, and an interval for its mean.

The interval is Student's (1908): mean ± t(n - 1, (1 + confidence) / 2) · std / √n with the sample
standard deviation (n - 1). One value has no interval (NaN); values that are all equal have one of
zero width. Where a quantity has bounds the interval is cut off there: no mean lies beyond them, so
the interval covers as often as before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from runner.records import ReplicateRecord, bounds


@dataclass(frozen=True)
class Summary:
    """Location, spread and interval of one sample.

    Attributes:
      mean, median: NaN where there is no value.
      std: Sample standard deviation (n - 1); NaN below two values.
      low, high: Ends of the interval for the mean; NaN below two values.
      count: Number of values.
    """

    mean: float
    median: float
    std: float
    low: float
    high: float
    count: int


UNBOUNDED = (-np.inf, np.inf)


def summarize(
    values: ArrayLike, confidence: float, within: tuple[float, float] = UNBOUNDED
) -> Summary:
    """Returns the summary of one sample.

    Args:
      values: Shape (replicates,); NaN where there is none.
      confidence: Level of the interval, 0 <= confidence < 1.
      within: The least and the greatest value that there can be; an end that a value of the sample
        passes does not count.
    """
    sample = np.asarray(values, float)
    sample = sample[~np.isnan(sample)]
    if not sample.size:
        return Summary(np.nan, np.nan, np.nan, np.nan, np.nan, count=0)
    equal = sample.min() == sample.max()  # the rounding of a mean must not pass for spread
    mean = sample[0] if equal else sample.mean()
    std = np.nan if sample.size == 1 else 0.0 if equal else sample.std(ddof=1)
    width = half_width(std, sample.size, confidence)
    return Summary(
        mean=float(mean),
        median=float(np.median(sample)),
        std=float(std),
        low=float(np.maximum(mean - width, min(within[0], sample.min()))),
        high=float(np.minimum(mean + width, max(within[1], sample.max()))),
        count=int(sample.size),
    )


def paired_difference(values: ArrayLike, reference: ArrayLike, confidence: float) -> Summary:
    """Returns the summary of `values - reference`, replicate by replicate.

    Args:
      values: Shape (replicates,).
      reference: Shape (replicates,), in the same order of seeds; where either is NaN the pair is
        left out.
      confidence: Level of the interval.
    """
    return summarize(np.asarray(values, float) - np.asarray(reference, float), confidence)


def half_width(std: ArrayLike, count: ArrayLike, confidence: float) -> np.ndarray:
    """Returns half the width of the interval for a mean, shape of the arguments.

    Args:
      std: Sample standard deviations.
      count: Numbers of values; below two the result is NaN.
      confidence: Level of the interval.
    """
    number = np.asarray(count, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.asarray(std, float) / np.sqrt(number)
        width = stdtrit(number - 1, (1 + confidence) / 2) * error
    return np.where(number > 1, width, np.nan)


def summarize_curves(
    curves: pd.DataFrame, confidence: float, by: Sequence[str] = ("epoch", "metric")
) -> pd.DataFrame:
    """Returns the mean and the interval of each curve, epoch by epoch.

    Args:
      curves: Columns of `curves.parquet`; only replicates that finished.
      confidence: Level of the interval.
      by: What makes a point; by default one configuration's curves are expected.

    Returns:
      Columns `by`, `mean`, `ci_low`, `ci_high`, sorted by `by`.
    """
    values = curves.groupby(list(by), observed=True)["value"]
    points = values.agg(["mean", "std", "count", "min", "max"]).reset_index()
    equal = points["min"] == points["max"]
    mean = points["mean"].mask(equal, points["min"])
    width: Any = half_width(points["std"].mask(equal, 0.0), points["count"], confidence)
    return points[list(by)].assign(mean=mean, ci_low=mean - width, ci_high=mean + width)


def carried_forward(curves: pd.DataFrame) -> pd.DataFrame:
    """Returns the curves, each with its last value up to its configuration's last epoch.

    So a mean at the end is over all replicates, those that stopped early included.

    Args:
      curves: Columns of `curves.parquet`; only replicates that finished.
    """
    of = ["configuration", "weight_seed", "batch_seed", "metric"]
    ends = curves.loc[curves.groupby(of, observed=True)["epoch"].idxmax()]
    missing = ends.groupby("configuration")["epoch"].transform("max") - ends["epoch"]
    if not missing.any():
        return curves
    rest = ends.loc[ends.index.repeat(missing)]
    ahead = rest.groupby(of, observed=True).cumcount() + 1
    return pd.concat([curves, rest.assign(epoch=rest["epoch"] + ahead)], ignore_index=True)


def curve_summary(records: Sequence[ReplicateRecord], confidence: float) -> pd.DataFrame:
    """Returns the mean curves of one configuration over those of its replicates that finished.

    One that stopped early keeps its last values.

    Args:
      records: Its replicates, in whichever status.
      confidence: Level of the intervals.

    Returns:
      Columns `epoch, metric, mean, ci_low, ci_high`.
    """
    finished = [record for record in records if record.status == "finished"]
    last = max((record.last_epoch for record in finished), default=0)
    points = [
        (epoch, metric, values[min(epoch, record.last_epoch)])
        for record in finished
        for metric, values in record.curves.items()
        for epoch in range(last + 1)
    ]
    curves = pd.DataFrame(points, columns=["epoch", "metric", "value"])
    return within_bounds(summarize_curves(curves.astype({"value": float}), confidence))


def within_bounds(table: pd.DataFrame) -> pd.DataFrame:
    """Returns what `summarize_curves` does, by metric, with intervals cut off at its bounds."""
    least, greatest = zip(*map(bounds, table["metric"]), strict=True) if len(table) else ((), ())
    return table.assign(
        ci_low=table["ci_low"].clip(lower=np.minimum(least, table["mean"])),
        ci_high=table["ci_high"].clip(upper=np.maximum(greatest, table["mean"])),
    )
