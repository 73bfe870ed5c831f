"""MLflow in a thread of its own: the same calls, at the times at which they were made."""

import logging
import threading
import time
from pathlib import Path

import pytest

from runner.config import ConfigError
from runner.plan import Replicate, Tracking
from runner.recording import beside
from runner.recording.beside import Beside
from runner.recording.mlflow import MlflowRecorder
from runner.recording.recorder import Recorder

SEEDS = Replicate(0, 0)


class Slow(MlflowRecorder):
    """Notes what it is told, and when that is said to have happened; waits before each epoch."""

    def __init__(self) -> None:
        super().__init__(Tracking(uri="sqlite:///unused.db"))
        self.told: list[tuple] = []
        self.go_on = threading.Event()
        self.breaks = False

    def _note(self, *what):
        self.told.append((*what, threading.current_thread().name, self.clock()))

    def start_sweep(self, sweep, configurations):
        if sweep == "unusable":
            raise ConfigError("no such store")
        self._note("sweep")

    def start_replicate(self, configuration, replicate):
        self._note("begin", configuration, replicate)

    def record_epoch(self, configuration, replicate, epoch, step, metrics):
        assert self.go_on.wait(60)
        if self.breaks:
            raise KeyError("broken")
        self._note("epoch", epoch, metrics)

    def finish_sweep(self, end, folder):
        self._note("end", end, folder)


@pytest.fixture
def recorder():
    recorder = Slow()
    yield recorder
    recorder.go_on.set()


def begun(recorder):
    handing = Beside(recorder)
    handing.start_sweep(None, [])
    handing.start_replicate(0, SEEDS)
    for epoch in range(3):
        handing.record_epoch(0, SEEDS, epoch, epoch, {"loss": 1.0})
    return handing


def test_every_method_is_handed_on():
    handed_on = {name for name in vars(Recorder) if not name.startswith("_")}
    assert handed_on <= set(vars(Beside))


def test_training_does_not_wait_and_mlflow_learns_when_it_happened(recorder):
    before_s = time.time()
    handing = begun(recorder)
    handed_s = time.time()
    assert not [entry for entry in recorder.told if entry[0] == "epoch"]
    time.sleep(0.2)
    recorder.go_on.set()
    handing.finish_sweep("finished", Path("results"))
    assert [entry[0] for entry in recorder.told] == ["sweep", "begin", *["epoch"] * 3, "end"]
    assert [entry[1] for entry in recorder.told if entry[0] == "epoch"] == [0, 1, 2]
    assert [entry[-2] for entry in recorder.told] == ["MainThread"] + ["mlflow"] * 5
    times = [entry[-1] for entry in recorder.told[1:5]]
    assert times == sorted(times)
    assert before_s <= times[0] <= times[-1] <= handed_s


def test_a_sweep_that_cannot_start_says_so_at_once(recorder):
    handing = Beside(recorder)
    with pytest.raises(ConfigError, match="no such store"):
        handing.start_sweep("unusable", [])
    handing.finish_sweep("failed", None)
    assert recorder.told[-1][:2] == ("end", "failed")


def test_an_error_is_raised_at_the_end_and_nothing_is_told_after_it(recorder):
    recorder.breaks = True
    handing = begun(recorder)
    recorder.go_on.set()
    with pytest.raises(KeyError, match="broken"):
        handing.finish_sweep("finished", None)
    assert [entry[0] for entry in recorder.told] == ["sweep", "begin"]


def interrupted_waits(monkeypatch, times):
    """Interrupts so many of the waits for the thread; the others are short. Returns the lengths."""
    join = threading.Thread.join
    waits = []

    def wait(thread, timeout=None):
        waits.append(timeout)
        if timeout != beside._SILENT_S and len(waits) <= 1 + times:
            raise KeyboardInterrupt
        join(thread, 0.01)

    monkeypatch.setattr(threading.Thread, "join", wait)
    return waits


# The second interruption gives up what the first one still waits for.
@pytest.mark.parametrize("times", [1, 2])
def test_waiting_is_told_and_can_be_interrupted(recorder, monkeypatch, caplog, times):
    handing = begun(recorder)
    join = threading.Thread.join
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO, beside.__name__):
        waits = interrupted_waits(patch, times)
        with pytest.raises(KeyboardInterrupt):
            handing.finish_sweep("finished", Path("results"))
    assert waits == [beside._SILENT_S, None, beside._PATIENCE_S]
    assert "Waiting for MLflow" in caplog.text
    assert "interrupt again" in caplog.text
    recorder.go_on.set()
    join(handing._thread, 60)
    # What was under way is done; of the rest only the end, without the report's files.
    assert [entry[0] for entry in recorder.told] == ["sweep", "begin", "epoch", "end"]
    assert recorder.told[-1][1:3] == ("interrupted", None)
    assert abs(recorder.told[-1][-1] - time.time()) < 60
