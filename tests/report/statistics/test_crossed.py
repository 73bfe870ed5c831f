import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from runner.report.statistics import crossed


def table(rows: int, columns: int, weights: float, batches: float, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (
        0.9
        + weights * generator.normal(size=(rows, 1))
        + batches * generator.normal(size=(1, columns))
        + 0.01 * generator.normal(size=(rows, columns))
    )


def components(values: np.ndarray) -> pd.DataFrame:
    return crossed.variance_components(values).set_index("source")


def test_a_table_worked_by_hand() -> None:
    parts = components(np.array([[1.0, 2.0, 3.0], [5.0, 8.0, 5.0]]))
    # Grand mean 4; row means 2, 6; column means 3, 5, 4.
    # MS_w = 3 (4 + 4) / 1 = 24, MS_b = 2 (1 + 1 + 0) / 2 = 2,
    # residuals 0, -1, 1 and 0, 1, -1: MS_e = 4 / 2 = 2.
    assert parts["mean_square"].tolist() == pytest.approx([24, 2, 2])
    assert parts["df"].tolist() == [1, 2, 2]
    # σ²_w = (24 - 2) / 3, σ²_b = (2 - 2) / 2 = 0, σ²_e = 2.
    assert parts["variance"].tolist() == pytest.approx([22 / 3, 0, 2])
    assert parts["share"].tolist() == pytest.approx([22 / 28, 0, 6 / 28])
    assert not parts["truncated"].any()


def test_the_analysis_of_variance_is_statsmodels() -> None:
    values = table(4, 6, 0.02, 0.005)
    rows, columns = np.indices(values.shape)
    data = pd.DataFrame({"y": values.ravel(), "w": rows.ravel(), "b": columns.ravel()})
    expected = anova_lm(ols("y ~ C(w) + C(b)", data).fit())
    parts = components(values)
    squares = (expected["sum_sq"] / expected["df"]).tolist()
    assert parts["mean_square"].tolist() == pytest.approx(squares)
    assert parts["df"].tolist() == expected["df"].tolist()
    assert parts["p_value"].tolist()[:2] == pytest.approx(expected["PR(>F)"].tolist()[:2])


def test_the_sources_are_told_apart() -> None:
    many = [components(table(6, 6, 0.03, 0.01, seed))["variance"] for seed in range(400)]
    mean = pd.concat(many, axis=1).mean(axis=1)
    # The estimators' standard deviations are about √(2/5) of the variance; over 400 tables
    # the standard error is 3 % of it. The smaller ones are hardly ever truncated.
    assert mean["weights"] == pytest.approx(0.03**2, rel=0.13)
    assert mean["batches"] == pytest.approx(0.01**2, rel=0.16)
    assert mean["residual"] == pytest.approx(0.01**2, rel=0.06)


def test_a_negative_estimate_is_set_to_zero_and_said_so() -> None:
    values = np.array([[1.0, 2.0], [2.0, 1.0]])  # equal means everywhere
    parts = components(values)
    assert parts["truncated"].tolist() == [True, True, False]
    assert parts["share"].tolist() == [0, 0, 1]


def test_equal_numbers_have_no_shares() -> None:
    parts = components(np.full((3, 3), 0.9))
    assert (parts["variance"] == 0).all()
    assert parts["share"].isna().all()


def test_seeds_with_a_missing_replicate_are_left_out() -> None:
    values = table(4, 3, 0.02, 0.01)
    gappy = values.copy()
    gappy[2, 1] = np.nan
    pd.testing.assert_frame_equal(components(gappy), components(np.delete(values, 2, axis=0)))
    gappy[:, 1] = np.nan
    kept = np.delete(np.delete(values, 1, axis=1), [], axis=0)
    pd.testing.assert_frame_equal(components(gappy), components(kept))


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (0, 0)])
def test_one_seed_of_a_kind_separates_nothing(shape: tuple[int, int]) -> None:
    assert crossed.variance_components(np.ones(shape)).empty
    mean, low, *_ = crossed.crossed_mean(np.ones(shape), 0.95)
    assert math.isnan(low)
    assert math.isnan(mean) == (shape == (0, 0))


def test_where_one_source_has_all_the_luck_its_means_decide() -> None:
    values = np.tile(np.array([[1.0], [2.0], [4.0]]), (1, 3))
    mean, low, high, p, degrees = crossed.crossed_mean(values, 0.95)
    expected = stats.ttest_1samp([1.0, 2.0, 4.0], 0)
    ends = expected.confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((7 / 3, ends.low, ends.high))
    assert p == pytest.approx(expected.pvalue)
    assert degrees == 2


def test_equal_numbers_tell_only_whether_they_are_zero() -> None:
    assert crossed.crossed_mean(np.zeros((3, 3)), 0.95)[3] == 1
    assert math.isnan(crossed.crossed_mean(np.full((3, 3), 0.02), 0.95)[3])


@pytest.mark.parametrize("shape", [(3, 3), (3, 8), (8, 3), (5, 5)])
@pytest.mark.parametrize("sources", [(1, 0), (1, 1), (0.3, 1), (0, 0)])
def test_the_interval_of_crossed_seeds_is_never_too_narrow(
    shape: tuple[int, int], sources: tuple[float, float]
) -> None:
    tables = [table(*shape, 0.1 * sources[0], 0.1 * sources[1], seed) for seed in range(1_000)]
    missed = np.mean([crossed.crossed_mean(values - 0.9, 0.95)[3] <= 0.05 for values in tables])
    # Three standard errors of a share of 0.05 over 1,000 tables: 0.021.
    assert missed <= 0.05 + 0.021
