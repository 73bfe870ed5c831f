import numpy as np
import pytest
from scipy import stats

from runner.report.statistics.proportions import fisher_exact, fisher_holm, wilson_interval


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


def test_who_never_fails_does_not_count_for_the_correction() -> None:
    # Beside twenty pairs of which nobody failed, one alone: C(12, 8) 2 / C(24, 8) = 990 / 735471.
    adjusted = fisher_holm([4, *[12] * 20], [12] * 21, [12] * 21, [12] * 21)
    assert adjusted[0] == pytest.approx(990 / 735471)
    assert adjusted[1:] == pytest.approx(1)
    assert np.isnan(fisher_holm([4, 0], [12, 0], [12, 1], [12, 1])).tolist() == [False, True]


def test_the_correction_sums_the_chances_of_so_small_a_p() -> None:
    counts = np.random.default_rng(1).integers(0, 8, (12, 2)).tolist()
    p = [stats.fisher_exact([[a, 7 - a], [b, 7 - b]]).pvalue for a, b in counts]

    def chance(total: int, limit: float) -> float:
        """The probability of a p of at most `limit` with so many successes in all."""
        tables = [a for a in range(8) if 0 <= total - a <= 7]
        each = [stats.fisher_exact([[a, 7 - a], [total - a, 7 - total + a]]) for a in tables]
        law = stats.hypergeom(14, 7, total)
        return sum(
            law.pmf(a) for a, of in zip(tables, each, strict=True) if of.pvalue <= limit + 1e-9
        )

    expected: list[float] = []
    order = np.argsort(p, kind="stable")
    for rank, pair in enumerate(order):
        left = [sum(counts[other]) for other in order if p[other] >= p[pair] - 1e-12]
        total = sum(chance(of, p[pair]) for of in left)
        expected.append(max(min(total, 1), expected[rank - 1] if rank else 0))
    first, second = np.array(counts).T
    assert fisher_holm(first, [7] * 12, second, [7] * 12)[order] == pytest.approx(expected)
