import math

import numpy as np
import pytest
from scipy import stats

from runner.report.statistics import ranks

# Demšar (2006), table 6: AUC of four classifiers on fourteen data sets.
AUC = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_the_average_ranks_are_those_of_the_paper() -> None:
    average = ranks.ranks(AUC).mean(axis=0)
    assert average == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)


def test_friedmans_test_is_that_of_the_paper() -> None:
    # χ² = 9.28 there. For ties (one problem with four, three with two) it is divided by
    # 1 - Σ (t³ - t) / (N k (k² - 1)) = 1 - (60 + 3 * 6) / (14 * 60).
    expected = stats.chi2.sf(9.28 / (1 - 78 / 840), 3)
    assert ranks.friedman(AUC) == pytest.approx(expected, rel=0.01)


def test_the_critical_difference_is_that_of_the_paper() -> None:
    # q(0.05, 4) = 2.569, q(0.10, 4) = 2.291: 1.25 and 1.12.
    assert ranks.critical_difference(4, 14, 0.05) == pytest.approx(2.569 * math.sqrt(20 / 84), 1e-3)
    assert ranks.critical_difference(4, 14, 0.10) == pytest.approx(2.291 * math.sqrt(20 / 84), 1e-3)


def test_nemenyis_p_is_the_level_at_the_critical_difference() -> None:
    critical = ranks.critical_difference(7, 5, 0.05)
    p = ranks.nemenyi([0.0, critical, -critical, 2 * critical], 7, 5)
    assert p[0] == 1
    assert p[1] == p[2] == pytest.approx(0.05, rel=1e-4)
    assert p[3] < 0.001


@pytest.mark.parametrize("scores", [[[1, 2, 3]], [[1, 2], [3, 4]], [[1, 1, 1], [2, 2, 2]]])
def test_too_little_for_friedman(scores: list) -> None:
    assert math.isnan(ranks.friedman(scores))


@pytest.mark.parametrize(
    ("average", "critical", "expected"),
    [
        ([1.0, 1.5, 3.0, 3.2], 1.0, [(0, 1), (2, 3)]),
        ([1.0, 1.8, 2.6, 4.0], 1.0, [(0, 1), (1, 2)]),
        ([1.0, 1.2, 1.4], 1.0, [(0, 2)]),
        ([1.0, 2.5, 4.0], 1.0, []),
        ([1.0, 2.0], 1.0, [(0, 1)]),
    ],
)
def test_the_bars_of_a_diagram(average: list, critical: float, expected: list) -> None:
    assert ranks.cliques(average, critical) == expected
