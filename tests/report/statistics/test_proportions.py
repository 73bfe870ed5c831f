import numpy as np
import pytest
from scipy import stats

from runner.report.statistics.proportions import fisher_exact, wilson_interval


def test_wilsons_interval_worked_by_hand() -> None:
    low, high = wilson_interval([5], [10], 0.95)
    # z = 1.96: centre (0.5 + z²/20) / (1 + z²/10) = 0.5, half the width
    # z √(0.25/10 + z²/400) / (1 + z²/10) = 0.2634.
    assert (low.item(), high.item()) == pytest.approx((0.2366, 0.7634), abs=1e-4)


@pytest.mark.parametrize("successes", range(6))
def test_wilsons_interval_is_scipys(successes: int) -> None:
    low, high = wilson_interval([successes], [5], 0.9)
    expected = stats.binomtest(successes, 5).proportion_ci(0.9, "wilson")
    assert (low.item(), high.item()) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low.item() < high.item() <= 1


def test_no_trial_has_no_interval() -> None:
    low, high = wilson_interval([0, 1], [0, 1], 0.95)
    assert np.isnan([low[0], high[0]]).all()
    assert not np.isnan([low[1], high[1]]).any()


def test_fishers_test_worked_by_hand() -> None:
    # The tea tasting: 3 of 4 against 1 of 4. Tables as extreme: (16 + 1 + 16 + 1) / 70.
    assert fisher_exact([3], [4], [1], [4]).item() == pytest.approx(34 / 70)


def test_fishers_test_is_scipys_for_every_pair() -> None:
    counts = np.random.default_rng(0).integers(0, 6, (40, 2))
    p = fisher_exact(counts[:, 0], np.full(40, 5), counts[:, 1], np.full(40, 5))
    expected = [stats.fisher_exact([[a, 5 - a], [b, 5 - b]]).pvalue for a, b in counts]
    assert p == pytest.approx(expected)


def test_nothing_ended_is_nothing_to_compare() -> None:
    assert np.isnan(fisher_exact([0, 1], [0, 1], [1, 0], [3, 0])).all()
    assert fisher_exact([], [], [], []).size == 0
