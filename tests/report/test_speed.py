"""How long a report may take, however many replicates a sweep has."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

# Processor time, all processes together, which others on the machine change less than the clock:
# for 100 and 2,000 seeds each of ten initializers it was 6 and 14 seconds (AMD EPYC, two cores),
# and the memory 1.3 GiB. The rest is for slower machines: what fails is work that grows faster than
# the replicates.
LIMITS = {100: 20.0, 2_000: 40.0}
MEMORY_GIB = 2.0
# Of a report of 12 seeds, times the processor time of the imports below: of the process that people
# wait for it was 3.0 to 4.0, and of all 5.0 to 7.0, on a busy machine; as Hydra and Altair were
# imported, and Altair copied charts, it was 6.0 to 6.7, and 8.8 to 9.5.
_IMPORTS = "import pandas, scipy.special"
MOST_OF_MAIN, MOST_OF_ALL = 5.0, 8.0
_REPORT = """
import sys
from runner.report.__main__ import main
if main(sys.argv[1:]):
    sys.exit(1)
"""
_SPENT = """
import os, re
times = os.times()
with open("/proc/self/status") as file:  # getrusage counts the process before it became this one
    peak_kib = int(re.search(r"VmHWM:\\s+(\\d+)", file.read())[1])
print(times.user + times.system, times.children_user + times.children_system, peak_kib / 2**20)
"""


def spent(program: str, *arguments: Path) -> tuple[float, float, float]:
    """Returns the processor time of a program, that of its processes, and its memory in GiB."""
    command = [sys.executable, "-c", program + _SPENT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    main_s, others_s, memory_gib = map(float, done.stdout.splitlines()[-1].split())
    return main_s, others_s, memory_gib


@pytest.fixture
def sweep(build: Callable[..., Path], behaviour: Any) -> Callable[[int], Path]:
    """Returns a sweep of ten initializers with so many seeds each."""
    inits = {f"init_{n}": behaviour(0.9 + 0.005 * n, 0.1 + 0.01 * n) for n in range(10)}
    return lambda num_seeds: build(inits, seeds=range(num_seeds), epochs=50)


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", LIMITS)
def test_thousands_of_replicates_are_reported_in_seconds(
    sweep: Callable[[int], Path], num_seeds: int
) -> None:
    folder = sweep(num_seeds)
    main_s, drawing_s, memory_gib = spent(_REPORT, folder)
    assert (folder / "report.html").is_file()
    assert main_s + drawing_s < LIMITS[num_seeds]
    assert memory_gib < MEMORY_GIB


@pytest.mark.slow
def test_a_report_takes_little_longer_than_its_imports(sweep: Callable[[int], Path]) -> None:
    folder = sweep(12)
    spent(_REPORT, folder)  # byte code, and the script of the page, are kept from here on
    pairs = [(spent(_IMPORTS)[0], spent(_REPORT, folder)) for _ in range(3)]
    assert median(main_s / imports_s for imports_s, (main_s, _, _) in pairs) < MOST_OF_MAIN
    of_all = [(main_s + drawing_s) / imports_s for imports_s, (main_s, drawing_s, _) in pairs]
    assert median(of_all) < MOST_OF_ALL
