"""MLflow in a process of its own: the same events, at the times at which they happened."""

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from runner.config import ConfigError
from runner.events import Concluded, EpochEnded, SweepEnded, SweepPlanned
from runner.plan import Key, Tracking
from runner.recording import background
from runner.recording.background import BackgroundRecorder, State
from runner.records import SweepRecord

EPOCHS = [EpochEnded((Key(0, 0, 0),), epoch, epoch, {"loss": [1.0]}) for epoch in range(3)]
SLOW = (sys.executable, str(Path(__file__).with_name("slow_process.py")))
LONG_S = 60.0


def planned(name="sweep"):
    return SweepPlanned(SweepRecord(name, "", "", {}, ""), ())


@pytest.fixture
def recorder(tmp_path):
    """Hands on to a process that notes what it is told; see `slow_process`."""
    recorder = BackgroundRecorder(Tracking(uri=f"sqlite:///{tmp_path}/unused.db"), SLOW)
    yield recorder
    (tmp_path / "go").touch()
    recorder.close()
    recorder._thread.join(LONG_S)


def told(folder):
    """Returns the events that the process was told, and when they are said to have happened."""
    return [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]


def begun(recorder):
    for event in [planned(), planned("later"), *EPOCHS]:
        recorder.take(event)


def test_training_does_not_wait_and_mlflow_learns_when_it_happened(recorder, tmp_path):
    recorder.connect()
    before_s = time.time()
    begun(recorder)
    handed_s = time.time()
    assert recorder.state == State("sweep")
    time.sleep(0.2)
    (tmp_path / "go").touch()
    last = [Concluded("", {}, {}), SweepEnded("finished", "results")]
    for event in last:
        recorder.take(event)
    events, times = zip(*told(tmp_path), strict=True)
    assert events == tuple(map(repr, [planned(), planned("later"), *EPOCHS, *last]))
    assert [*times[:5]] == sorted(times[:5])
    assert before_s <= times[0] <= times[4] <= handed_s
    assert recorder.state == State("later", is_last=True)


def test_signals_for_the_command_do_not_end_the_process(recorder, tmp_path):
    begun(recorder)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(recorder._process.pid, number)
    (tmp_path / "go").touch()
    recorder.take(SweepEnded("finished"))
    assert len(told(tmp_path)) == 6
    assert not recorder.state.lost


def test_a_process_that_raises_loses_mlflow_and_nothing_else(recorder, tmp_path, caplog):
    (tmp_path / "broken").touch()
    begun(recorder)
    (tmp_path / "go").touch()
    recorder.take(SweepEnded("finished"))
    loss = recorder.state.loss
    assert recorder.state == State("later", lost=True, loss=loss, is_last=True)
    assert loss.startswith("KeyError: 'broken'")
    assert len(told(tmp_path)) == 2
    assert caplog.text.count(f"stopped working ({loss})") == 1


def test_a_process_that_is_killed_loses_mlflow_and_nothing_else(recorder, caplog):
    begun(recorder)
    recorder._process.kill()
    for event in (*EPOCHS, SweepEnded("finished")):
        recorder.take(event)
    loss = "its process ended with exit code -9"
    assert recorder.state == State("sweep", lost=True, loss=loss, is_last=True)
    assert caplog.text.count(f"stopped working ({loss})") == 1


@pytest.mark.parametrize("required", [True, False])
def test_a_process_that_cannot_start_is_one_line(tmp_path, caplog, required):
    settings = Tracking(uri=f"sqlite:///{tmp_path}/unused.db", required=required)
    recorder = BackgroundRecorder(settings, (sys.executable, "-c", "raise SystemExit(3)"))
    if required:
        for _ in range(2):
            with pytest.raises(ConfigError, match=r"`tracking\.uri` .* ended with exit code 3\. "):
                recorder.take(planned())
    else:
        recorder.take(planned())
        assert recorder.state.lost
    assert ("stopped working" in caplog.text) is not required
    recorder.take(SweepEnded("failed"))


def interrupted_waits(monkeypatch, times):
    """Interrupts so many of the waits for the end; the others are short. Returns the lengths."""
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
def test_waiting_is_told_and_can_be_interrupted(recorder, tmp_path, monkeypatch, caplog, times):
    begun(recorder)
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO, background.__name__):
        waits = interrupted_waits(patch, times)
        with pytest.raises(KeyboardInterrupt):
            recorder.take(SweepEnded("finished", "results"))
    assert waits == [background._SILENT_S, None, background._PATIENCE_S]
    assert "Waiting until MLflow has everything" in caplog.text
    assert "interrupt again" in caplog.text
    assert "stopped working" not in caplog.text
    (tmp_path / "go").touch()
    recorder._thread.join(LONG_S)
    # What was under way is done; of the rest only the end, without the report's files.
    expected = [planned(), planned("later"), EPOCHS[0], SweepEnded("interrupted")]
    events, times = zip(*told(tmp_path), strict=True)
    assert events == tuple(map(repr, expected))
    assert abs(times[-1] - time.time()) < LONG_S
