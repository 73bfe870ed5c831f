"""Ctrl-C and SIGTERM: one way to end early, and nothing is cut in two."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import runner
from runner.interruption import deferred, termination_interrupts
from runner.report import drawing


def test_sigterm_is_a_ctrl_c_inside_the_block_only():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), termination_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_may_run_the_block():
    reached = []

    def run():
        with termination_interrupts(), deferred():
            reached.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert reached == [True]


def interrupted(times: int, steps: list[str]) -> None:
    with deferred():
        for _ in range(times):
            signal.raise_signal(signal.SIGTERM)
        steps.append("whole")


@pytest.mark.parametrize(("times", "steps"), [(1, ["whole"]), (2, [])])
def test_the_first_interruption_waits_and_the_second_does_not(times, steps):
    done: list[str] = []
    with termination_interrupts():
        handler = signal.getsignal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            interrupted(times, done)
        assert signal.getsignal(signal.SIGTERM) is handler
    assert done == steps


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under `nohup` or in the background
    try:
        with deferred():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


# Interrupts the process when it imports the module that is named first.
EARLY = """
import os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
how = runpy.run_path if sys.argv[2].endswith(".py") else runpy.run_module
how(sys.argv[2], run_name="__main__")
print("not interrupted")
"""


@pytest.mark.parametrize(
    ("module", "command", "code"),
    [
        ("hydra", "runner", -signal.SIGINT),
        ("runner.execution.sync", "runner.sync", 130),
        ("runner.report.files", "runner.report", 130),
        ("vl_convert", drawing.__file__, 0),  # it leaves Ctrl-C to the process that waits for it
    ],
)
def test_an_interruption_in_the_first_second_shows_no_traceback(tmp_path, module, command, code):
    done = subprocess.run(
        [sys.executable, "-c", EARLY, module, command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert ("not interrupted" in done.stdout) == (code == 0)
