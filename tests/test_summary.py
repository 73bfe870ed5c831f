import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from runner.summary import half_width, paired_difference, summarize, summarize_curves

SAMPLES = {
    "normal": np.random.default_rng(0).normal(0.9, 0.01, 12),
    "with ties": np.array([0.9, 0.9, 0.9, 0.91, 0.91]),
    "two": np.array([0.0, 1.0]),
    "large numbers": np.array([1e6, 1e6 + 1, 1e6 + 2]),
    "skewed": np.random.default_rng(1).lognormal(size=30),
}


def test_an_interval_worked_by_hand() -> None:
    summary = summarize([1, 2, 3, 4, 5], 0.95)
    # std = sqrt(10 / 4), t(4, 0.975) = 2.776445, half the width = 2.776445 * 1.581139 / sqrt(5).
    assert summary.mean == summary.median == 3
    assert summary.std == pytest.approx(1.5811388)
    assert summary.low == pytest.approx(3 - 1.9632432)
    assert summary.high == pytest.approx(3 + 1.9632432)
    assert summary.count == 5


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_interval_is_scipys(name: str, confidence: float) -> None:
    sample = SAMPLES[name]
    summary = summarize(sample, confidence)
    expected = stats.t.interval(confidence, len(sample) - 1, sample.mean(), stats.sem(sample))
    assert (summary.low, summary.high) == pytest.approx(expected)
    assert summary.median == pytest.approx(stats.quantile(sample, 0.5))


def test_one_value_has_no_interval() -> None:
    summary = summarize([0.9], 0.95)
    assert (summary.mean, summary.median, summary.count) == (0.9, 0.9, 1)
    assert all(math.isnan(number) for number in (summary.std, summary.low, summary.high))


@pytest.mark.parametrize("value", [0.1, 0.7, 1e-300, 1e15 / 3])
def test_equal_values_have_an_interval_of_zero_width(value: float) -> None:
    summary = summarize([value] * 7, 0.95)
    assert summary.low == summary.mean == summary.high == value
    assert summary.std == 0


@pytest.mark.parametrize("values", [[], [math.nan, math.nan]])
def test_no_value_gives_no_number(values: list[float]) -> None:
    summary = summarize(values, 0.95)
    assert summary.count == 0
    assert all(math.isnan(number) for number in (summary.mean, summary.median, summary.low))


def test_missing_values_are_left_out() -> None:
    assert summarize([1, math.nan, 3], 0.95) == summarize([1, 3], 0.95)


def test_a_paired_difference_is_scipys() -> None:
    generator = np.random.default_rng(2)
    first, second = generator.normal(0.9, 0.05, (2, 10))
    first[3] = second[7] = math.nan
    both = ~np.isnan(first) & ~np.isnan(second)
    expected = stats.ttest_rel(first[both], second[both]).confidence_interval(0.9)
    difference = paired_difference(first, second, 0.9)
    assert difference.count == 8
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("count", [2, 5, 10])
def test_the_interval_covers_the_mean_as_often_as_it_says(count: int) -> None:
    samples = np.random.default_rng(count).normal(size=(count, 10_000))
    width = half_width(samples.std(axis=0, ddof=1), np.full(10_000, count), 0.95)
    coverage = np.mean(np.abs(samples.mean(axis=0)) <= width)
    # Four standard errors of a share of 0.95 over 10,000 samples: 0.0087.
    assert coverage == pytest.approx(0.95, abs=0.0087)


def test_curves_are_summarized_point_by_point() -> None:
    generator = np.random.default_rng(3)
    curves = pd.DataFrame(
        [
            (seed, epoch, metric, generator.normal())
            for seed in range(6)
            for epoch in range(3)
            for metric in ("loss", "val_loss")
        ],
        columns=["weight_seed", "epoch", "metric", "value"],
    )
    summary = summarize_curves(curves, 0.95)
    assert list(summary.columns) == ["epoch", "metric", "mean", "ci_low", "ci_high"]
    assert len(summary) == 6
    for row in summary.itertuples():
        of_point = (curves.epoch == row.epoch) & (curves.metric == row.metric)
        single = summarize(curves.loc[of_point, "value"], 0.95)
        assert (row.mean, row.ci_low, row.ci_high) == pytest.approx(
            (single.mean, single.low, single.high)
        )


def test_curves_of_one_replicate_have_no_interval_and_equal_ones_no_width() -> None:
    one = pd.DataFrame({"epoch": [0, 1], "metric": "loss", "value": [2.3, 0.1]})
    assert summarize_curves(one, 0.95)[["ci_low", "ci_high"]].isna().all(axis=None)
    equal = summarize_curves(pd.concat([one] * 3), 0.95)
    assert (equal["ci_low"] == equal["mean"]).all()
    assert (equal["ci_high"] == equal["mean"]).all()


def test_no_curves_give_a_summary_without_rows() -> None:
    empty = pd.DataFrame({"epoch": [], "metric": [], "value": np.array([], float)})
    summary = summarize_curves(empty, 0.95)
    assert list(summary.columns) == ["epoch", "metric", "mean", "ci_low", "ci_high"]
    assert summary.empty


def test_an_interval_ends_where_values_do() -> None:
    free, bound = summarize([0.8, 1.0], 0.95), summarize([0.8, 1.0], 0.95, (0.0, 1.0))
    assert free.low < 0
    assert free.high > 1
    assert (bound.low, bound.high) == (0, 1)
    assert bound.mean == free.mean
    # What passes the bounds shows that they are none.
    assert summarize([-0.2, 0.1], 0.95, (0.0, math.inf)).low == -0.2
    assert math.isnan(summarize([0.9], 0.95, (0.0, 1.0)).low)
