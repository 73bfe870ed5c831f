"""How often the verdict is wrong, as arrays and through records: one sweep in twenty at most.

A few of the cases of `scripts/benchmark.py --error-rates`, which measures all with more sweeps.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from scipy import stats

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def rates() -> Iterator[ModuleType]:
    """Returns the module of the simulation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        from benchmark import error_rates

        yield error_rates
        for name in [name for name in sys.modules if name.partition(".")[0] == "benchmark"]:
            patch.delitem(sys.modules, name)


CASES = [
    ("normal; six, baseline; looks 5, 10, 20, 40", 60),
    ("normal; six, all pairs; any number of looks", 60),
    ("0.3 diverge; six, baseline; looks 5, 10, 20, 40", 40),
    ("normal; six, baseline; looked at 5, then as advised", 10),
]


@pytest.mark.parametrize(("name", "sweeps"), CASES)
def test_equal_initializers_are_called_different_in_one_sweep_in_twenty(
    rates: ModuleType, name: str, sweeps: int
) -> None:
    (case,) = (case for case in rates.CASES if case.name == name)
    # So many or more would happen by chance in one of a thousand runs if one in twenty erred.
    assert rates.simulate(case, sweeps).wrong < stats.binom(sweeps, 0.05).isf(0.001)


@pytest.mark.parametrize(
    "name",
    [
        "0.3 diverge; two initializers; looks 5, 10, 20, 40",
        pytest.param(CASES[3][0], marks=pytest.mark.slow),
    ],
)
def test_records_give_the_verdicts_of_arrays(rates: ModuleType, name: str) -> None:
    (case,) = (case for case in rates.CASES if case.name == name)
    assert rates.disagreements(case, 1) == []


@pytest.mark.slow
def test_so_they_are_in_many_sweeps_of_every_case(rates: ModuleType) -> None:
    for case in rates.CASES:
        if "one mean" in case.name or "added later" in case.name:
            continue  # above: the table tells, and the report warns of it
        found = rates.simulate(case, 100)
        assert found.wrong < stats.binom(100, 0.05).isf(1e-5), case.name
