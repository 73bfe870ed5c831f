"""`report.baseline` against the initializers of a sweep, or of a part of it."""

import pytest

from runner.config import ConfigError
from runner.execution.preflight import check_baseline
from runner.records import ConfigurationRecord

SWEEP = [ConfigurationRecord(index, init, {}, {}) for index, init in enumerate(["zero", "my.Own"])]
# Baseline, and whether it may be that of a whole sweep, and of a part.
CASES = {
    None: (True, True),
    "zero": (True, True),
    "my.Own": (True, True),
    "he_normal": (False, True),
    "keras1/he_normal": (False, True),
    "normal(scale=0.1)": (False, True),
    "other.Own(scale=2)": (False, True),
    "HeNormal": (False, True),
    "he_norm": (False, False),
}


@pytest.mark.parametrize("baseline", CASES)
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_part_of_a_sweep_may_name_what_another_part_trains(baseline, is_whole):
    if CASES[baseline][0 if is_whole else 1]:
        check_baseline(baseline, SWEEP, is_whole)
        return
    with pytest.raises(ConfigError, match=r"^`report\.baseline` must be .*: zero, my\.Own\."):
        check_baseline(baseline, SWEEP, is_whole)
