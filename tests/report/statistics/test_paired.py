import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from runner.report.statistics import paired

# Differences of every awkward kind; seeded, so that the expected values are those of one sample.
GENERATOR = np.random.default_rng(11)
SAMPLES = {
    "normal": GENERATOR.normal(0.3, 1, 8),
    "ties": np.array([1.0, 1.0, -1.0, 2.0, 2.0, 3.0, -2.0]),
    "zeros": np.array([0.0, 0.0, 1.0, -2.0, 3.0, 4.0]),
    "one sign": np.array([0.5, 0.1, 0.3, 0.2, 0.4]),
    "three": np.array([1.0, 2.0, -0.5]),
    "large": GENERATOR.normal(0.5, 1, 12),
}


def statistics(sample: np.ndarray, confidence: float = 0.95) -> dict[str, float]:
    return paired.paired_statistics(sample[np.newaxis], confidence).iloc[0].to_dict()


def test_a_case_worked_by_hand() -> None:
    told = statistics(np.array([1.0, 2.0, 3.0, 4.0, -1.0]))
    # mean 9/5; std² = (0.64 + 0.04 + 1.44 + 4.84 + 7.84) / 4 = 3.7; t = 1.8 / √(3.7 / 5) = 2.0925.
    assert told["mean"] == pytest.approx(1.8)
    assert told["std"] == pytest.approx(math.sqrt(3.7))
    assert told["d_z"] == pytest.approx(1.8 / math.sqrt(3.7))
    # t(4, 0.975) = 2.776445, the standard error √0.74 = 0.860233.
    assert told["ci_low"] == pytest.approx(1.8 - 2.776445 * 0.8602325)
    assert told["median"] == 2
    assert told["probability_higher"] == pytest.approx(4 / 5)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_t_test_is_scipys(name: str) -> None:
    told = statistics(SAMPLES[name], 0.9)
    expected = stats.ttest_1samp(SAMPLES[name], 0)
    ends = expected.confidence_interval(0.9)
    assert told["p_t"] == pytest.approx(expected.pvalue)
    assert (told["ci_low"], told["ci_high"]) == pytest.approx((ends.low, ends.high))


def test_gaps_are_left_out_row_by_row() -> None:
    rows = np.array([[1, 2, np.nan, 4, 5], [np.nan, 1, 2, 4, 5], [1, 2, 3, 4, 5.5]])
    frame = paired.paired_statistics(rows, 0.95)
    assert list(frame["num_pairs"]) == [4, 4, 5]
    assert frame.iloc[0].equals(frame.iloc[1])
    assert frame.iloc[2].to_dict() == statistics(rows[2])


def test_equal_differences_tell_no_more_than_their_signs() -> None:
    told = statistics(np.full(5, -0.02))
    assert (told["mean"], told["std"]) == (-0.02, 0)
    assert told["ci_low"] == told["ci_high"] == -0.02
    assert told["p_t"] == 2 / 2**5
    assert math.isnan(told["d_z"])


def test_no_difference_at_all_has_p_one() -> None:
    told = statistics(np.zeros(5))
    assert told["p_t"] == 1
    assert told["d_z"] == told["mean"] == 0
    assert told["probability_higher"] == 0.5


def test_one_pair_and_none() -> None:
    frame = paired.paired_statistics([[np.nan, 2.0], [np.nan, np.nan]], 0.95)
    assert list(frame["num_pairs"]) == [1, 0]
    assert frame.loc[0, ["mean", "median", "probability_higher"]].tolist() == [2, 2, 1]
    assert frame.loc[0, ["ci_low", "std", "p_t", "d_z"]].isna().all()
    assert frame.loc[1].drop("num_pairs").isna().all()


def test_equal_differences_of_accuracies_are_ties() -> None:
    first, second = np.array([0.92, 0.94, 0.96, 0.98]), np.array([0.9, 0.92, 0.94, 0.96])
    assert len(set(first - second)) > 1  # the rounding that this is about
    assert len(set(paired.differences(first, second))) == 1
    assert paired.differences([1e-3], [1e-3 - 1e-9])[0] == pytest.approx(1e-9, rel=1e-3)


def test_holm_worked_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.04 times 3, 2, 1: 0.03, 0.04, 0.04; the missing one is no comparison.
    adjusted = paired.holm([0.04, np.nan, 0.01, 0.02])
    assert adjusted[[0, 2, 3]] == pytest.approx([0.04, 0.03, 0.04])
    assert math.isnan(adjusted[1])
    assert paired.holm([0.9, 0.8]).max() == 1
    assert np.isnan(paired.holm([np.nan])).all()
    assert paired.holm([]).size == 0


def test_holm_is_statsmodels() -> None:
    p = np.random.default_rng(3).uniform(0, 0.1, 40).round(2)  # with ties
    assert paired.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


@pytest.mark.parametrize("count", [3, 5, 10])
def test_the_deciding_interval_covers_normal_differences(count: int) -> None:
    samples = np.random.default_rng(count).normal(size=(4_000, count))
    told = paired.paired_statistics(samples, 0.95)
    covered = np.mean((told["ci_low"] <= 0) & (told["ci_high"] >= 0))
    # Four standard errors of a share of 0.95 over 4,000 samples: 0.0138; asked for are 0.02.
    assert covered == pytest.approx(0.95, abs=0.0138)


@pytest.mark.parametrize(("count", "expected"), [(5, 0.88), (10, 0.90), (20, 0.92)])
def test_the_coverage_of_skewed_differences_is_as_the_readme_says(
    count: int, expected: float
) -> None:
    samples = np.random.default_rng(count).exponential(size=(4_000, count)) - 1
    told = paired.paired_statistics(samples, 0.95)
    covered = np.mean((told["ci_low"] <= 0) & (told["ci_high"] >= 0))
    # Four standard errors of a share of 0.9 over 4,000 samples, and half a unit of the last place.
    assert covered == pytest.approx(expected, abs=0.019 + 0.005)


@pytest.mark.parametrize("count", [5, 10])
def test_the_difference_of_equally_skewed_scores_is_covered(count: int) -> None:
    generator = np.random.default_rng(count)
    first, second = generator.lognormal(size=(2, 4_000, count))
    told = paired.paired_statistics(first - second, 0.95)
    assert np.mean((told["ci_low"] <= 0) & (told["ci_high"] >= 0)) >= 0.95


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_known_up_to_each_seed_is_what_these_seeds_alone_tell(name: str) -> None:
    sample = SAMPLES[name]
    gappy = np.insert(sample, 1, np.nan)
    running = paired.Running(gappy)
    for count in range(2, len(sample) + 1):
        alone = statistics(sample[:count])
        assert running.p_values()[0, count] == pytest.approx(alone["p_t"])
        assert running.mean[0, count] == pytest.approx(alone["mean"])
        assert running.count[0, count] == count


@pytest.mark.parametrize("name", SAMPLES)
def test_equivalence_is_statsmodels_two_one_sided_tests(name: str) -> None:
    sample = SAMPLES[name]
    expected, *_ = DescrStatsW(sample).ttost_mean(-1.5, 1.5)
    assert paired.Running(sample).within(1.5)[0, -1] == pytest.approx(expected)


def test_students_sleep_data_have_the_evidence_of_the_formula() -> None:
    # Student (1908): extra hours of sleep, t = -4.062128; 25.4751 by hand from the formula.
    hours = np.array([-1.2, -2.4, -1.3, -1.3, 0.0, -1.0, -1.8, -0.8, -4.6, -1.4])
    running = paired.Running(hours)
    assert running.t()[0, -1] == pytest.approx(-4.062128, abs=1e-6)
    assert running.e_values()[0, -1] == pytest.approx(25.4751, abs=1e-4)


def test_ten_equal_differences_may_be_equivalent_and_nine_may_not() -> None:
    running = paired.Running(np.full(12, 0.001))
    assert (running.within(0.005)[0] <= 0.05).tolist() == [False] * 9 + [True] * 3
    assert (running.e_within(0.005)[0] >= 20).tolist() == [False] * 9 + [True] * 3
