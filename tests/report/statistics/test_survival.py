import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from runner.report.statistics import survival

# Freireich et al. (1963), weeks of remission under 6-MP, + censored: the textbooks' example.
REMISSION = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
IS_EVENT = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_a_curve_worked_by_hand() -> None:
    # 2 of 5 at epoch 3, then one of the 2 that are left at 7; one is lost at 5, one never does.
    curve = survival.kaplan_meier([3, 3, 5, 7, 10], [True, True, False, True, False], 0.95)
    assert curve["time"].tolist() == [0, 3, 5, 7, 10]
    assert curve["num_at_risk"].tolist() == [5, 5, 3, 2, 1]
    assert curve["num_reached"].tolist() == [0, 2, 0, 1, 0]
    assert curve["num_censored"].tolist() == [0, 0, 1, 0, 1]
    # Left over: 3/5, then 3/5 * 1/2.
    assert curve["share_reached"].tolist() == pytest.approx([0, 0.4, 0.4, 0.7, 0.7])


def test_curve_and_interval_are_statsmodels() -> None:
    curve = survival.kaplan_meier(REMISSION, IS_EVENT, 0.95).set_index("time")
    expected = SurvfuncRight(REMISSION, IS_EVENT)
    at = curve.loc[expected.surv_times]
    assert at["share_reached"].tolist() == pytest.approx(list(1 - expected.surv_prob))
    # Log-log: Ŝ^exp(±z se / (Ŝ log Ŝ)).
    left = expected.surv_prob
    factor = np.exp(stats.norm.ppf(0.975) * expected.surv_prob_se / (left * np.log(left)))
    assert at["ci_low"].tolist() == pytest.approx(list(1 - left**factor))
    assert at["ci_high"].tolist() == pytest.approx(list(1 - left ** (1 / factor)))


def test_the_ends_of_a_curve_have_no_interval() -> None:
    curve = survival.kaplan_meier([1, 2], [True, True], 0.95)
    assert curve["share_reached"].tolist() == [0, 0.5, 1]
    assert curve["ci_low"].isna().tolist() == [True, False, True]


def test_nobody_reaches_the_target() -> None:
    curve = survival.kaplan_meier([20, 20], [False, False], 0.95)
    assert curve["share_reached"].tolist() == [0, 0]
    assert math.isnan(survival.median_time([20, 20], [False, False]))
    assert survival.restricted_mean([20, 20], [False, False], 20, 0.95) == (20, 20, 20)


def test_the_target_is_reached_before_training() -> None:
    curve = survival.kaplan_meier([0, 3], [True, True], 0.95)
    assert curve["share_reached"].tolist() == [0.5, 1]
    assert survival.median_time([0, 3], [True, True]) == 0


def test_the_median_is_statsmodels() -> None:
    median = survival.median_time(REMISSION, IS_EVENT)
    assert median == SurvfuncRight(REMISSION, IS_EVENT).quantile(0.5) == 23


def test_without_losses_the_restricted_mean_is_an_ordinary_one() -> None:
    times, reached = [3, 5, 5, 9, 20, 20], [True, True, True, True, False, False]
    mean, low, high = survival.restricted_mean(times, reached, 20, 0.95)
    restricted = np.minimum(times, 20)
    expected = stats.ttest_1samp(restricted, 0).confidence_interval(0.95)
    assert mean == pytest.approx(restricted.mean())
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_a_shorter_horizon_restricts_the_times() -> None:
    mean, low, high = survival.restricted_mean([3, 5, 9], [True, True, False], 4, 0.95)
    expected = stats.ttest_1samp([3, 4, 4], 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((11 / 3, expected.low, expected.high))


def test_with_losses_the_restricted_mean_is_the_area_under_the_curve() -> None:
    mean, low, high = survival.restricted_mean(REMISSION, IS_EVENT, 35, 0.95)
    curve = SurvfuncRight(REMISSION, IS_EVENT)
    edges = np.concatenate([[0], curve.surv_times, [35]])
    area = np.sum(np.diff(edges) * np.concatenate([[1], curve.surv_prob]))
    assert mean == pytest.approx(area)  # 23.287 in Klein & Moeschberger (2003), example 4.1
    assert mean == pytest.approx(23.287, abs=1e-3)
    # Their standard error is 2.827 without m / (m - 1); ten reach the horizon or the target.
    count = 9 + 1
    width = stats.t.ppf(0.975, count - 1) * 2.827 * math.sqrt(count / (count - 1))
    assert (high - low) / 2 == pytest.approx(width, rel=0.02)


def test_one_time_has_no_interval() -> None:
    mean, low, high = survival.restricted_mean([4], [True], 10, 0.95)
    assert mean == 4
    assert math.isnan(low)
    assert math.isnan(high)


def test_the_log_rank_test_is_the_textbooks_and_scipys() -> None:
    p = survival.logrank([(REMISSION, IS_EVENT), (PLACEBO, [1] * 21)])
    treated = stats.CensoredData.right_censored(REMISSION, 1 - np.array(IS_EVENT))
    expected = stats.logrank(treated, stats.CensoredData(PLACEBO))
    assert p == pytest.approx(expected.pvalue, rel=1e-6)
    assert expected.statistic**2 == pytest.approx(16.79, abs=0.01)  # χ² of the textbooks


@pytest.mark.parametrize(
    "samples",
    [
        [([20, 20], [False, False]), ([20, 20], [False, False])],
        [([3.0], [True])],
    ],
)
def test_without_anything_to_compare_there_is_no_p(samples: list) -> None:
    assert math.isnan(survival.logrank(samples))


def test_equal_samples_are_not_told_apart() -> None:
    sample = ([3, 4, 20], [True, True, False])
    assert survival.logrank([sample, sample, sample]) == pytest.approx(1)
    same = ([5, 5], [True, True])
    assert not survival.logrank([same, same]) < 1
