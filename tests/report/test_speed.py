"""How long a report may take: seconds, however many replicates a sweep has."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# The aim is ten seconds of the clock. What is measured is processor time, all processes together,
# which others on the machine change less; it was six seconds on two cores (AMD EPYC). The rest of
# the limit is for slower machines: what fails is work that grows faster than the replicates.
LIMIT_S = 20.0
_PROGRAM = """
import os, sys
from runner.report.__main__ import main
code = main(sys.argv[1:])
spent = sum(os.times()[:4])  # user and system, of those that draw too
print(spent)
sys.exit(code)
"""


@pytest.mark.slow
def test_a_thousand_replicates_are_reported_in_seconds(
    build: Callable[..., Path], behaviour: Any
) -> None:
    inits = {f"init_{n}": behaviour(0.9 + 0.005 * n, 0.1 + 0.01 * n) for n in range(10)}
    folder = build(inits, seeds=range(100), epochs=50)
    command = [sys.executable, "-c", _PROGRAM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (folder / "report.html").is_file()
    assert float(done.stdout.split()[-1]) < LIMIT_S
