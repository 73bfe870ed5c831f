"""MLflow in a thread of its own: the same events, at the times at which they happened."""

import logging
import threading
import time

import pytest

from runner.config import ConfigError
from runner.events import Concluded, EpochEnded, SweepEnded, SweepPlanned
from runner.plan import Key, Tracking
from runner.recording import background
from runner.recording.background import BackgroundRecorder
from runner.recording.mlflow import MlflowRecorder
from runner.records import SweepRecord

EPOCHS = [EpochEnded((Key(0, 0, 0),), epoch, epoch, {"loss": [1.0]}) for epoch in range(3)]


def planned(name="sweep"):
    return SweepPlanned(SweepRecord(name, "", "", {}, ""), ())


class Slow(MlflowRecorder):
    """Notes what it is told, and when that is said to have happened; waits before each epoch."""

    def __init__(self) -> None:
        super().__init__(Tracking(uri="sqlite:///unused.db"))
        self.told: list[tuple] = []
        self.go_on = threading.Event()
        self.breaks = False

    @property
    def events(self):
        return [event for event, *_ in self.told]

    def take(self, event):
        if isinstance(event, SweepPlanned) and event.sweep.name == "unusable":
            raise ConfigError("no such store")
        if isinstance(event, EpochEnded):
            assert self.go_on.wait(60)
            if self.breaks:
                raise KeyError("broken")
        self.told.append((event, threading.current_thread().name, self.clock()))


@pytest.fixture
def recorder():
    recorder = Slow()
    yield recorder
    recorder.go_on.set()


def begun(recorder):
    queue = BackgroundRecorder(recorder)
    for event in [planned(), planned("later"), *EPOCHS]:
        queue.take(event)
    return queue


def test_training_does_not_wait_and_mlflow_learns_when_it_happened(recorder):
    before_s = time.time()
    queue = begun(recorder)
    handed_s = time.time()
    assert EPOCHS[0] not in recorder.events
    time.sleep(0.2)
    recorder.go_on.set()
    last = [Concluded("", {}, {}), SweepEnded("finished", "results")]
    for event in last:
        queue.take(event)
    assert recorder.events == [planned(), planned("later"), *EPOCHS, *last]
    assert [thread for _, thread, _ in recorder.told] == ["MainThread"] + ["mlflow"] * 6
    times = [moment for *_, moment in recorder.told[1:5]]
    assert times == sorted(times)
    assert before_s <= times[0] <= times[-1] <= handed_s


def test_a_sweep_that_cannot_start_says_so_at_once(recorder):
    queue = BackgroundRecorder(recorder)
    with pytest.raises(ConfigError, match="no such store"):
        queue.take(planned("unusable"))
    queue.take(SweepEnded("failed"))
    assert recorder.events == [SweepEnded("failed")]


def test_an_error_is_raised_at_the_end_and_nothing_is_told_after_it(recorder):
    recorder.breaks = True
    queue = begun(recorder)
    recorder.go_on.set()
    with pytest.raises(KeyError, match="broken"):
        queue.take(SweepEnded("finished"))
    assert recorder.events == [planned(), planned("later")]


def interrupted_waits(monkeypatch, times):
    """Interrupts so many of the waits for the thread; the others are short. Returns the lengths."""
    join = threading.Thread.join
    waits = []

    def wait(thread, timeout=None):
        waits.append(timeout)
        if timeout != background._SILENT_S and len(waits) <= 1 + times:
            raise KeyboardInterrupt
        join(thread, 0.01)

    monkeypatch.setattr(threading.Thread, "join", wait)
    return waits


# The second interruption gives up what the first one still waits for.
@pytest.mark.parametrize("times", [1, 2])
def test_waiting_is_told_and_can_be_interrupted(recorder, monkeypatch, caplog, times):
    queue = begun(recorder)
    join = threading.Thread.join
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO, background.__name__):
        waits = interrupted_waits(patch, times)
        with pytest.raises(KeyboardInterrupt):
            queue.take(SweepEnded("finished", "results"))
    assert waits == [background._SILENT_S, None, background._PATIENCE_S]
    assert "Waiting until MLflow has everything" in caplog.text
    assert "interrupt again" in caplog.text
    recorder.go_on.set()
    join(queue._thread, 60)
    # What was under way is done; of the rest only the end, without the report's files.
    assert recorder.events == [planned(), planned("later"), EPOCHS[0], SweepEnded("interrupted")]
    assert abs(recorder.told[-1][-1] - time.time()) < 60
