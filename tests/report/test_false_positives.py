"""How often the verdict is wrong, through records and whole verdicts: one sweep in twenty at most.

The tests alone are in `statistics/test_verdicts.py`; `scripts/error_rates.py` measures both with
more sweeps, for the table of the documentation.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from runner.report.results import Results
from runner.report.verdict import judge

Scored = Callable[..., Results]


def claims(results: Results) -> bool:
    """Tells whether a verdict calls any two initializers different."""
    (cell,) = judge(results)
    return bool((cell.pairs[["sign", "fails"]] != 0).any(axis=None))


def wrong_verdicts(
    scored: Scored, num_sweeps: int, num_seeds: int, first: str, share: float, **options: object
) -> int:
    """Returns how many sweeps of six equal initializers have a difference.

    Args:
      scored: Makes results.
      num_sweeps: How many are looked at.
      num_seeds: Of each initializer.
      first: The name of the first initializer: the default baseline or another.
      share: Of the replicates of all initializers that diverge.
      options: Of `scored`.
    """
    generator = np.random.default_rng(num_seeds)
    names = [first, "b", "c", "d", "e", "f"]
    wrong = 0
    for _ in range(num_sweeps):
        shared = generator.normal(size=num_seeds)
        values = 0.9 + 0.01 * shared + 0.01 * generator.normal(size=(6, num_seeds))
        lost = generator.random(values.shape) < share
        scores = {
            name: ["diverged" if is_lost else score for score, is_lost in zip(*rows, strict=True)]
            for name, *rows in zip(names, values.tolist(), lost.tolist(), strict=True)
        }
        wrong += claims(scored(scores, **options))
    return wrong


CASES = [
    ("glorot_uniform", 0.0, {}),
    ("a", 0.0, {}),
    ("glorot_uniform", 0.3, {}),
    ("a", 0.1, {"looks": None}),
]


@pytest.mark.parametrize(("first", "share", "options"), CASES[2:])
def test_whole_verdicts_over_all_looks_err_in_one_sweep_in_twenty(
    scored: Scored, first: str, share: float, options: dict
) -> None:
    wrong = wrong_verdicts(scored, 15, 40, first, share, **options)
    # So many or more would happen by chance in one of a thousand runs if one in twenty erred.
    assert wrong < stats.binom(15, 0.05).isf(0.001)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "share", "options"), CASES)
def test_so_they_do_in_many_sweeps(scored: Scored, first: str, share: float, options: dict) -> None:
    wrong = wrong_verdicts(scored, 150, 40, first, share, **options)
    assert wrong < stats.binom(150, 0.05).isf(0.001)
