"""Ctrl-C, SIGTERM and SIGHUP: one way to end early, nothing is cut in two, no signal is lost."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

import runner
from runner import interruption
from runner.interruption import check, deferred, is_urgent, stoppable, take_up

ROOT = Path(runner.__file__).parents[1]
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEADLINE_S = 20.0


@pytest.fixture(autouse=True)
def _signals_as_in_a_terminal():
    """A test run in the background of a shell or under `nohup` inherits that some are ignored."""
    usual = (signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL)
    before = [signal.signal(*pair) for pair in zip(NUMBERS, usual, strict=True)]
    yield
    for pair in zip(NUMBERS, before, strict=True):
        signal.signal(*pair)


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_signal_interrupts_inside_the_block_only(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stoppable():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_another_thread_may_run_the_block():
    reached = []

    def run():
        with stoppable(), deferred():
            reached.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert reached == [True]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_that_is_ignored_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)  # as under `nohup` or in the background
    try:
        with stoppable():
            signal.raise_signal(number)
            check()
    finally:
        signal.signal(number, before)


def test_an_interruption_waits_for_the_end_of_a_deferred_block():
    steps = []

    def work():
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)  # as `timeout` does: to the process, to its group
            steps.append("whole")
        steps.append("more")

    with pytest.raises(KeyboardInterrupt), stoppable():
        work()
    assert steps == ["whole"]


@pytest.mark.parametrize("taken_up", [False, True])
def test_a_second_interruption_gets_through_everything(monkeypatch, taken_up):
    monkeypatch.setattr(interruption, "_SAME_S", 0.0)
    urgent = []

    def work():
        with deferred():
            signal.raise_signal(signal.SIGINT)
            if taken_up:
                take_up()
            time.sleep(0.1)
            signal.raise_signal(signal.SIGHUP)  # the shell goes when its terminal has gone
            time.sleep(0.1)
            urgent.append(is_urgent())
            try:
                signal.raise_signal(signal.SIGTERM)
                wait_until(lambda: False)
            finally:
                urgent.append(is_urgent())

    with pytest.raises(KeyboardInterrupt), stoppable():
        work()
    assert urgent == [False, True]


class Swallowing:
    """Is deleted while a signal arrives."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def by_the_collector():
    def interrupt(*_):
        gc.callbacks.remove(interrupt)
        signal.raise_signal(signal.SIGTERM)

    gc.callbacks.append(interrupt)
    gc.collect(0)  # of all that a process holds it takes long, once TensorFlow is in it


def by_a_weak_reference():
    item = Swallowing.__new__(type("Plain", (), {}))
    reference = weakref.ref(item, lambda _: signal.raise_signal(signal.SIGTERM))
    del item
    assert reference() is None


def by_a_deletion():
    Swallowing()


def by_a_library():
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)


def by_another_error():
    try:
        signal.raise_signal(signal.SIGTERM)
    except BaseException:
        raise SystemExit(1) from None


LOSING = [by_the_collector, by_a_weak_reference, by_a_deletion, by_a_library]


@pytest.mark.parametrize("lose", LOSING)
def test_an_interruption_that_is_lost_is_raised_at_the_next_safe_point(lose, capsys, monkeypatch):
    monkeypatch.setattr(interruption, "_AGAIN_S", 0.5)  # after the safe point
    reached = []

    def work():
        lose()
        reached.append(True)
        check()

    with pytest.raises(KeyboardInterrupt), stoppable():
        work()
    assert reached == [True]
    assert "Exception ignored" not in capsys.readouterr().err


@pytest.mark.parametrize("lose", [*LOSING, by_another_error])
def test_an_interruption_is_not_lost_where_the_work_comes_to_its_end(lose):
    with pytest.raises(KeyboardInterrupt), stoppable():
        lose()


@pytest.mark.parametrize("lose", [by_the_collector, by_a_weak_reference, by_a_deletion])
def test_an_interruption_that_python_reports_as_lost_needs_no_safe_point(lose):
    def work():
        lose()
        wait_until(lambda: False)

    with pytest.raises(KeyboardInterrupt), stoppable():
        work()


def test_what_ends_the_command_is_not_interrupted_again():
    with stoppable():
        try:
            by_a_library()
            check()
        except KeyboardInterrupt:
            take_up()
        with deferred():
            check()


def run(folder, code, *arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


# What the main thread does here cannot be interrupted, and takes hours.
STUCK = """
import hashlib, signal
from runner import interruption

interruption._AT_ONCE_S = 0.1
signal.signal(signal.SIGINT, signal.default_int_handler)
with interruption.stoppable(), interruption.deferred():
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


def test_a_second_interruption_ends_what_cannot_be_interrupted(tmp_path):
    with run(tmp_path, STUCK) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        time.sleep(2 * interruption._SAME_S)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
        assert process.stderr.read() == ""


# Interrupts the process when it imports the module that is named first.
EARLY = """
import os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), int(sys.argv[3]))

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
runpy.run_module(sys.argv[2], run_name="__main__")
print("not interrupted")
"""


@pytest.mark.parametrize(
    ("module", "command", "number", "code"),
    [
        ("hydra", "runner", signal.SIGINT, -signal.SIGINT),
        ("runner.execution.sync", "runner.sync", signal.SIGINT, 130),
        ("runner.report.files", "runner.report", signal.SIGHUP, 130),
    ],
)
def test_an_interruption_in_the_first_second_shows_no_traceback(
    tmp_path, module, command, number, code
):
    with run(tmp_path, EARLY, module, command, str(int(number))) as process:
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert "not interrupted" not in output
