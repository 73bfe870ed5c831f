"""The levels of looks: against published numbers, simulation and the formulas."""

import math

import numpy as np
import pytest
from scipy import stats

from runner.report.statistics import looks as of_looks
from runner.report.statistics.looks import (
    e_value,
    nominal_level,
    rejection_probability,
    sequential_holm,
)

LOOKS = (5, 10, 20, 40)
NUM_SIMULATED = 100_000


# Comparisons -> level of each look; simulated elsewhere, to three percent.
@pytest.mark.parametrize(
    ("comparisons", "levels"),
    [
        (1, [0.00613, 0.0106, 0.017, 0.026]),
        (2, [0.00238, 0.00459, 0.00817, 0.0136]),
        (9, [0.000303, 0.000749, 0.00166, 0.00334]),
        (45, [3.27e-5, 1.06e-4, 2.99e-4, 7.41e-4]),
    ],
)
def test_levels_of_the_default_looks_are_the_known_ones(comparisons: int, levels: list) -> None:
    found = [nominal_level(0.05 / comparisons, LOOKS, look) for look in LOOKS]
    assert found == pytest.approx(levels, rel=0.035)


# Shape -> bound of the last of 2, 3, 4, 5 equally spaced looks at normal values, for 0.05: tables
# 2.1, 2.3 and 2.9 of Jennison & Turnbull (2000), Group Sequential Methods. 0.5 is Pocock's, 0
# O'Brien and Fleming's.
BOUNDS = {
    0.5: [2.178, 2.289, 2.361, 2.413],
    0.4: [2.111, 2.186, 2.233, 2.267],
    0.25: [2.038, 2.083, 2.113, 2.136],
    0.0: [1.977, 2.004, 2.024, 2.040],
}


@pytest.mark.parametrize("shape", BOUNDS)
def test_many_large_looks_have_the_published_bounds(shape: float) -> None:
    for number, bound in enumerate(BOUNDS[shape], start=2):
        place = np.arange(1, number + 1)
        levels = 2 * stats.norm.sf(bound * (place / number) ** (shape - 0.5))
        # Bounds have four digits; 400 values are not quite normal.
        assert rejection_probability(levels, 400 * place) == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize(
    "looks", [LOOKS, (3, 5), (5, 6, 7, 8), (3, 4, 6), (5, 7, 9), (12,), (4, 50)]
)
def test_a_true_null_hypothesis_is_rejected_as_often_as_was_computed(looks: tuple) -> None:
    levels = np.linspace(0.01, 0.02, len(looks))
    values = np.random.default_rng(len(looks)).standard_normal((NUM_SIMULATED, looks[-1]))
    rejected = np.zeros(NUM_SIMULATED, bool)
    for count, level in zip(looks, levels, strict=True):
        rejected |= stats.ttest_1samp(values[:, :count], 0, axis=1).pvalue <= level
    expected = rejection_probability(levels, looks)
    # Four standard errors of a share over as many simulations, and the quadrature's thousandth.
    error = 4 * math.sqrt(expected / NUM_SIMULATED) + 1e-3 * expected
    assert rejected.mean() == pytest.approx(expected, abs=error)


def test_one_look_has_the_whole_level() -> None:
    assert nominal_level(0.05, (12,), 12) == 0.05
    assert rejection_probability([0.05], (12,)) == pytest.approx(0.05)


@pytest.mark.parametrize("level", [0.02, 0.001, 0.0004])
def test_looks_at_two_values_have_a_level_too(level: float) -> None:
    """The quadratures are too coarse for small levels there: Bonferroni's is the least there is."""
    levels = [nominal_level(level, (2, 3, 4), look) for look in (2, 3, 4)]
    assert level / 3 <= levels[-1] < level
    assert levels == sorted(levels)


def test_finer_quadratures_give_the_same_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = [[0.006, 0.01, 0.017, 0.026], [3e-5, 1e-4, 3e-4, 7e-4]]
    coarse = [rejection_probability(each, LOOKS) for each in levels]
    monkeypatch.setattr(of_looks, "_NUM_STATES", 129)
    monkeypatch.setattr(of_looks, "_NUM_ANGLES", 128)
    monkeypatch.setattr(of_looks, "_NUM_DIRECTIONS", 128)
    fine = [rejection_probability(each, LOOKS) for each in levels]
    assert coarse == pytest.approx(fine, rel=3e-5)


# The t from which on one comparison differs at any number of seeds.
@pytest.mark.parametrize(("count", "t"), [(5, 8.453), (10, 3.870), (20, 3.425)])
def test_the_evidence_reaches_twenty_at_the_known_t(count: int, t: float) -> None:
    assert e_value(t, count) == pytest.approx(20, rel=1e-3)


@pytest.mark.parametrize(("comparisons", "fewest"), [(1, 5), (9, 7), (45, 8)])
def test_the_evidence_for_many_comparisons_needs_more_seeds(comparisons: int, fewest: int) -> None:
    largest = e_value(np.inf, np.arange(2, 12))
    assert 2 + int(np.argmax(largest >= comparisons / 0.05)) == fewest


def test_the_evidence_is_one_on_the_average_at_any_number_of_values() -> None:
    values = np.random.default_rng(2).standard_normal((200_000, 6))
    t = stats.ttest_1samp(values, 0, axis=1).statistic
    evidence = e_value(t, 6)
    # Mean 1 under no effect; its standard error is measured, as the tail is heavy.
    assert evidence.mean() == pytest.approx(1, abs=4 * evidence.std() / math.sqrt(len(evidence)))


def test_holm_goes_on_over_looks() -> None:
    """Three hypotheses, two looks, each with half of the level: 0.025 / r."""
    p = [[0.008, 0.02, np.nan], [0.9, 0.012, 0.026]]
    rejected, levels = sequential_holm(p, 0, 0.05, [lambda level: level / 2] * 2)
    # First look: 0.008 <= 0.025 / 3, then 0.02 > 0.025 / 2. Second: 0.012 <= 0.025 / 2, then
    # 0.026 > 0.025.
    assert rejected.tolist() == [0, 1, -1]
    assert levels == pytest.approx([0.025 / 3, 0.025 / 2, 0.025])


def test_holm_counts_what_is_not_there_yet() -> None:
    rejected, _ = sequential_holm([[0.02]], 3, 0.05, [float])
    assert rejected.tolist() == [-1]
    assert sequential_holm([[0.016]], 3, 0.05, [float])[0].tolist() == [0]
