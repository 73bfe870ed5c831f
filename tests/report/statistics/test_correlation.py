import numpy as np
import pytest
from scipy import stats

from runner.report.statistics.correlation import MIN_COUNT, rank_correlation


def test_a_correlation_worked_by_hand() -> None:
    # Ranks 1..6 against 2, 1, 4, 3, 6, 5: Σd² = 6, r = 1 - 6 * 6 / (6 * 35).
    count, rho, low, high, p = rank_correlation(range(6), [2, 1, 4, 3, 6, 5], 0.95)
    assert (count, rho) == (6, pytest.approx(1 - 36 / 210))
    width = 1.959964 * np.sqrt((1 + rho**2 / 2) / 3)
    assert (low, high) == pytest.approx(
        tuple(np.tanh(np.arctanh(rho) + np.array([-width, width]))), rel=1e-6
    )
    assert p == pytest.approx(stats.spearmanr(range(6), [2, 1, 4, 3, 6, 5]).pvalue)


def test_missing_and_infinite_values_are_left_out() -> None:
    x, y = [1, 2, np.nan, 4, 5, 6, 7], [2, 1, 3, np.inf, 5, 4, 6]
    assert rank_correlation(x, y, 0.95) == rank_correlation([1, 2, 5, 6, 7], [2, 1, 5, 4, 6], 0.95)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_correlation_has_an_interval(sign: int) -> None:
    _, rho, low, high, _ = rank_correlation(range(8), [sign * v for v in range(8)], 0.95)
    assert rho == pytest.approx(sign)
    assert max(low * sign, high * sign) == pytest.approx(1)
    assert 0.05 < high - low < 1


@pytest.mark.parametrize(
    ("x", "y"), [(range(MIN_COUNT - 1), range(MIN_COUNT - 1)), (range(6), [1] * 6), ([], [])]
)
def test_too_little_to_correlate(x: list, y: list) -> None:
    count, *numbers = rank_correlation(x, y, 0.95)
    assert count == len(x)
    assert np.isnan(numbers).all()


@pytest.mark.parametrize("count", [6, 30])
def test_the_interval_covers_no_correlation(count: int) -> None:
    generator = np.random.default_rng(count)
    pairs = generator.normal(size=(1_000, 2, count))
    covered = np.mean(
        [lo <= 0 <= hi for _, _, lo, hi, _ in (rank_correlation(*p, 0.95) for p in pairs)]
    )
    # Three standard errors of 0.95 over 1,000 samples: 0.021. Fisher's transform is approximate.
    assert covered >= 0.95 - 0.021
