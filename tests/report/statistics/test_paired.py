import math
import time

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

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
    # Of 32 sign patterns these reach |sum| >= 9: all +, all but ±1 (twice) and their mirrors: 6.
    assert told["p_sign_flip"] == pytest.approx(6 / 32)
    # Ranks 1.5 (-1), 1.5, 3, 4, 5; W- = 1.5. Sums at most 1.5: none, either 1.5: 3 of 32; doubled.
    assert told["p_wilcoxon"] == pytest.approx(6 / 32)
    assert told["p_wilcoxon_least"] == told["p_sign_flip_least"] == 2 / 2**5


@pytest.mark.parametrize("name", SAMPLES)
def test_the_t_test_is_scipys(name: str) -> None:
    told = statistics(SAMPLES[name], 0.9)
    expected = stats.ttest_1samp(SAMPLES[name], 0)
    ends = expected.confidence_interval(0.9)
    assert told["p_t"] == pytest.approx(expected.pvalue)
    assert (told["ci_low"], told["ci_high"]) == pytest.approx((ends.low, ends.high))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_exact_tests_are_scipys_over_all_sign_patterns(name: str) -> None:
    sample = SAMPLES[name]
    flips = stats.permutation_test(
        (sample,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    told = statistics(sample)
    assert told["p_sign_flip"] == pytest.approx(flips.pvalue)
    nonzero = sample[sample != 0]
    every = stats.PermutationMethod(n_resamples=10_000)  # more than 2¹²: scipy looks at all
    ranks = stats.wilcoxon(nonzero, method=every)
    assert told["p_wilcoxon"] == pytest.approx(ranks.pvalue)


def test_wilcoxons_distribution_is_exact_for_many_seeds() -> None:
    samples = np.random.default_rng(5).normal(0.2, 1, (20, 40))
    expected = stats.wilcoxon(samples, axis=1, method="exact").pvalue
    assert paired.wilcoxon(samples) == pytest.approx(expected)


def test_sign_flips_of_many_seeds_are_sampled() -> None:
    samples = np.random.default_rng(6).normal(0.3, 1, (50, 30))
    p = paired.sign_flip(samples)
    assert (p == paired.sign_flip(samples)).all()  # the same patterns every time
    assert p.min() >= paired.least_sign_flip(30) == 1 / paired.NUM_FLIPS
    # Normal differences: close to the t test. Sampling error of p: √(p (1 - p) / 10,000) <= 0.005.
    assert np.abs(p - stats.ttest_1samp(samples, 0, axis=1).pvalue).max() < 0.03


@pytest.mark.parametrize("count", [2, 5, 6, 14])
def test_the_smallest_p_is_reached_by_differences_of_one_sign(count: int) -> None:
    told = statistics(np.arange(1.0, count + 1))
    assert told["p_wilcoxon"] == told["p_sign_flip"] == 2 / 2**count
    assert told["p_wilcoxon_least"] == told["p_sign_flip_least"] == 2 / 2**count


@pytest.mark.parametrize("count", [15, 20, 40])
def test_ranks_go_below_what_sampled_flips_can_show(count: int) -> None:
    told = statistics(np.arange(1.0, count + 1))
    assert told["p_wilcoxon"] == told["p_wilcoxon_least"] == 2 / 2**count
    assert told["p_sign_flip"] == told["p_sign_flip_least"] >= 1 / paired.NUM_FLIPS


@pytest.mark.parametrize(("unit", "near"), [(0.0, 0.002), (0.5, 0.02)])
def test_both_tests_of_many_seeds_are_close_to_what_counting_gives(
    unit: float, near: float
) -> None:
    samples = np.random.default_rng(4).normal(0.15, 1, (200, 160))
    if unit:  # many ties, and a fifth of the differences are zero
        samples = unit * np.round(samples / unit)
    told = paired.paired_statistics(samples, 0.95)
    assert np.abs(told["p_wilcoxon"] - paired._counted_wilcoxon(samples)).max() < near
    # A sum of 160 differences is nearly normal: close to the t test.
    p_t = stats.ttest_1samp(samples, 0, axis=1).pvalue
    assert np.abs(told["p_sign_flip"] - p_t).max() < 0.005


def test_thousands_of_seeds_take_no_longer_than_they_should() -> None:
    samples = np.random.default_rng(2).normal(0.02, 1, (45, 4_000)).round(1)
    started = time.process_time()
    told = paired.paired_statistics(samples, 0.95)
    # A tenth of a second here; counting rank sums out would take hours.
    assert time.process_time() - started < 5
    assert (told["p_wilcoxon"] >= told["p_wilcoxon_least"]).all()
    assert (told["p_sign_flip"] >= told["p_sign_flip_least"]).all()


@pytest.mark.parametrize(("sample", "least"), [([0, 0, 0, 0.01, 0.02, 0.01], 0.25), ([0, 0, 1], 1)])
def test_zeros_have_no_sign_to_tell(sample: list[float], least: float) -> None:
    told = statistics(np.array(sample))  # three of one sign: 2 / 2³; one: 2 / 2
    assert told["p_wilcoxon"] == told["p_wilcoxon_least"] == least
    assert told["p_sign_flip"] == told["p_sign_flip_least"] == least


def test_nothing_is_below_the_least_that_is_told() -> None:
    samples = np.random.default_rng(8).integers(-1, 4, (400, 17)).astype(float)  # zeros and ties
    told = paired.paired_statistics(samples, 0.95)
    for test in ("p_wilcoxon", "p_sign_flip"):
        assert (told[test] >= told[f"{test}_least"]).all()
    assert told["p_sign_flip_least"].nunique() > 3


def test_flips_of_few_differences_among_many_zeros_are_exact() -> None:
    few = np.array([0.3, -0.1, 0.2, 0.5, 0.4])
    among = np.concatenate([np.zeros(15), few])
    flips = stats.permutation_test(
        (few,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    assert statistics(among)["p_sign_flip"] == pytest.approx(flips.pvalue)


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
    assert told["p_t"] == told["p_sign_flip"] == 2 / 2**5
    assert math.isnan(told["d_z"])


def test_no_difference_at_all_has_p_one() -> None:
    told = statistics(np.zeros(5))
    assert told["p_t"] == told["p_wilcoxon"] == told["p_sign_flip"] == 1
    assert told["d_z"] == told["mean"] == 0
    assert told["probability_higher"] == 0.5


def test_one_pair_and_none() -> None:
    frame = paired.paired_statistics([[np.nan, 2.0], [np.nan, np.nan]], 0.95)
    assert list(frame["num_pairs"]) == [1, 0]
    assert frame.loc[0, ["mean", "median", "probability_higher"]].tolist() == [2, 2, 1]
    assert frame.loc[0, ["ci_low", "std", "p_t", "p_wilcoxon", "d_z"]].isna().all()
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


@pytest.mark.parametrize(("effect", "level"), [(0.4, 0.05), (0.8, 0.05), (1.2, 0.005), (5.0, 0.05)])
def test_the_further_seeds_are_the_least_that_suffice(effect: float, level: float) -> None:
    further = paired.further_seeds([effect], [3], [level]).item()
    needed = math.ceil(TTestPower().solve_power(effect, alpha=level, power=paired.POWER))
    assert further == max(needed - 3, 0)


def test_a_design_for_a_medium_effect_is_the_textbooks() -> None:
    # Cohen (1988), table 2.3.5 by way of the paired design: d_z = 0.5 needs 34 pairs.
    assert paired.further_seeds([0.5], [10], [0.05]).item() == 34 - 10


def test_the_strictest_levels_have_a_number_of_seeds() -> None:
    effect, level = np.array([0.5, 0.8, 5.0, 1e3]), 0.05 / 499_500  # all pairs of a thousand
    further = paired.further_seeds(effect, [5] * 4, level)
    # Guenther (1981): n = (z + z(0.8))² / d² + z² / 2, where statsmodels runs into NaN.
    z = stats.norm.isf(level / 2)
    needed = (z + stats.norm.ppf(0.8)) ** 2 / effect[:2] ** 2 + z**2 / 2
    assert further[:2] == pytest.approx(needed - 5, abs=2)
    assert (np.diff(further) < 0).all()


def test_hopeless_and_unknown_effects_need_no_number_of_seeds() -> None:
    assert np.isnan(paired.further_seeds([0.0, 0.01, np.nan], [5, 5, 5], 0.05)).all()


def test_the_bootstrap_is_only_for_many_seeds() -> None:
    sample = np.random.default_rng(1).normal(0.5, 1, 40)
    low, high = paired.bca_interval(sample, 0.95)
    student = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
    width = student.high - student.low
    # Normal data: the two intervals differ by a few percent of their width.
    assert (low, high) == pytest.approx((student.low, student.high), abs=0.1 * width)
    assert np.isnan(paired.bca_interval(sample[: paired.MIN_BOOTSTRAP - 1], 0.95)).all()
    assert np.isnan(paired.bca_interval(np.ones(30), 0.95)).all()


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
