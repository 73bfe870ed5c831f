"""How long a report may take: seconds, however many replicates a sweep has."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Processor time, all processes together, which others on the machine change less than the clock:
# for 100 and 2,000 seeds each of ten initializers it was 6 and 14 seconds (AMD EPYC, two cores),
# and the memory 1.3 GiB. The rest is for slower machines: what fails is work that grows faster than
# the replicates.
LIMITS = {100: 20.0, 2_000: 40.0}
MEMORY_GIB = 2.0
_PROGRAM = """
import os, re, sys
from runner.report.__main__ import main
code = main(sys.argv[1:])
spent = sum(os.times()[:4])  # user and system, of those that draw too
with open("/proc/self/status") as file:  # getrusage counts the process before it became this one
    peak_kib = int(re.search(r"VmHWM:\\s+(\\d+)", file.read())[1])
print(spent, peak_kib / 2**20)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", LIMITS)
def test_thousands_of_replicates_are_reported_in_seconds(
    build: Callable[..., Path], behaviour: Any, num_seeds: int
) -> None:
    inits = {f"init_{n}": behaviour(0.9 + 0.005 * n, 0.1 + 0.01 * n) for n in range(10)}
    folder = build(inits, seeds=range(num_seeds), epochs=50)
    command = [sys.executable, "-c", _PROGRAM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (folder / "report.html").is_file()
    spent_s, memory_gib = map(float, done.stdout.split()[-2:])
    assert spent_s < LIMITS[num_seeds]
    assert memory_gib < MEMORY_GIB
