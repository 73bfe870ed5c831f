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


def test_the_approximation_for_many_is_the_textbooks_and_scipys() -> None:
    treated = stats.CensoredData.right_censored(REMISSION, 1 - np.array(IS_EVENT))
    expected = stats.logrank(treated, stats.CensoredData(PLACEBO))
    assert expected.statistic**2 == pytest.approx(16.79, abs=0.01)  # χ² of the textbooks
    # Three of each make 126 replicates. Permutations have another variance than the textbooks'
    # hypergeometric one: 4 % apart here, and equal where all are equal.
    both = [(REMISSION * 3, IS_EVENT * 3), (PLACEBO * 3, [1] * 63)]
    chi2 = stats.chi2.isf(survival.logrank(both), 1)
    assert chi2 == pytest.approx(3 * 16.79, rel=0.1)


SMALL = {
    "ties": [([3, 4, 4, 6, 9], [1, 1, 1, 1, 1]), ([5, 6, 8, 9, 9], [1, 1, 1, 1, 0])],
    "unequal sizes": [([2, 3], [1, 1]), ([3, 5, 7, 7, 7], [1, 1, 0, 0, 1])],
    "three samples": [([1, 2], [1, 1]), ([2, 5], [1, 1]), ([6, 9], [1, 0])],
    "twelve": [
        ([2, 2, 3, 4, 5, 7] * 2, [1] * 12),
        ([3, 4, 6, 8, 9, 9] * 2, [1, 1, 1, 1, 0, 0] * 2),
    ],
}


@pytest.mark.parametrize("name", SMALL)
def test_the_log_rank_test_is_scipys_permutation_test_of_the_textbooks_sums(name: str) -> None:
    times, events = (np.concatenate([of[part] for of in SMALL[name]]) for part in (0, 1))

    def separation(*places: np.ndarray) -> float:
        total = 0.0
        for rows in places:
            expected = 0.0
            for time in np.unique(times[events == 1]):
                at_risk = np.sum(times >= time)
                died = np.sum((times == time) & (events == 1))
                expected += died * np.sum(times[rows] >= time) / at_risk
            total += (events[rows].sum() - expected) ** 2 / len(rows)
        return total

    order = np.arange(times.size)
    samples = np.split(order, np.cumsum([len(of[0]) for of in SMALL[name]])[:-1])
    number = 20_000 if times.size < 20 else 2_000
    found = stats.permutation_test(
        samples,
        separation,
        permutation_type="independent",
        alternative="greater",
        vectorized=False,
        n_resamples=number,
        rng=np.random.default_rng(1),
    )
    # Four standard errors of two sampled p where there are more ways than are looked at.
    sampled = 0.0 if times.size < 20 else 4 * np.sqrt(found.pvalue / number * 1.2)
    assert survival.logrank(SMALL[name]) == pytest.approx(found.pvalue, abs=sampled + 1e-9)


@pytest.mark.parametrize(("count", "least"), [(3, 2 / 20), (4, 2 / 70), (5, 2 / 252)])
def test_the_least_p_is_that_of_samples_one_after_the_other(count: int, least: float) -> None:
    soon, late = np.arange(1, count + 1), np.arange(11, count + 11)
    every = np.ones(count)
    assert survival.logrank([(soon, every), (late, every)]) == pytest.approx(least)
    never = np.zeros(count)
    assert survival.logrank([(soon, every), (late, never)]) == pytest.approx(least)


@pytest.mark.parametrize("shared", [0.0, 0.5])
@pytest.mark.parametrize("censored", [0.0, 0.3])
@pytest.mark.parametrize("count", [3, 5, 10, 60])
def test_equal_samples_differ_in_one_of_twenty(count: int, censored: float, shared: float) -> None:
    """Whole epochs, so with ties; seeds have a part of their luck in common, or none."""
    generator = np.random.default_rng(count)
    num_sweeps = 1_000 if count < 10 else 300
    luck = np.sqrt(shared) * generator.normal(size=(num_sweeps, 1, count))
    luck = luck + np.sqrt(1 - shared) * generator.normal(size=(num_sweeps, 2, count))
    times = np.ceil(np.exp(2 + 0.5 * luck))
    last = np.quantile(times, 1 - censored, axis=(1, 2)) if censored else np.full(num_sweeps, 1e9)
    p = [
        survival.logrank([(np.minimum(of, end), of <= end) for of in sweep])
        for sweep, end in zip(times, last, strict=True)
    ]
    wrong = np.sum(np.array(p) <= 0.05)
    # So many or more would happen by chance in one of ten thousand runs if one in twenty erred.
    assert wrong <= stats.binom(num_sweeps, 0.05).isf(1e-4)


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
