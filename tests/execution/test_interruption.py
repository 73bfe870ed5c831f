"""Ctrl-C and SIGTERM: one way to end early, and nothing is cut in two."""

import signal
import threading

import pytest

from runner.execution.interruption import deferred, termination_interrupts


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
