"""`python -m runner.recording.process`: records the sweep of another process in MLflow.

Standard input is the settings and the tags of that process, then the events with the times at which
they happened; standard output is what is logged, and how it stands. All are pickles. Where the
input ends before the sweep does, the runs that are open are ended as interrupted ones.
"""

import logging
import os
import pickle
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, BinaryIO

from runner.config import ConfigError
from runner.events import Event, SweepEnded, SweepPlanned
from runner.imports import told
from runner.interruption import SIGNALS
from runner.machine import few_collections
from runner.plan import Tracking
from runner.recording.background import Line, State
from runner.recording.mlflow import MlflowRecorder
from runner.recording.mlflow_store import tell_loss
from runner.stores import unobtrusive

# A process that nobody listens to any more ends after so long, wherever it is.
_ORPHAN_S = 60.0


class Input:
    """What comes: the settings and the tags, and then the events.

    Attributes:
      has_ended: Whether no more comes.
      has_begun: Whether there may be runs that have to be ended then.
    """

    def __init__(self, source: BinaryIO) -> None:
        """Begins to read; closes the source at its end."""
        self.has_ended = threading.Event()
        self.has_begun = False
        self._source = source
        self._queue: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def settings(self) -> tuple[Tracking, dict[str, str]] | None:
        """Returns which store, and the tags of the other process; None where no sweep comes."""
        return self._queue.get()

    def next(self) -> tuple[float, Event]:
        """Returns the next event and its time; when the input has ended, that the sweep did."""
        found = self._queue.get()
        return (time.time(), SweepEnded("interrupted")) if self.has_ended.is_set() else found

    def has_more(self) -> bool:
        """Tells whether another event is waiting."""
        return not self._queue.empty()

    def _read(self) -> None:
        with self._source, suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                self._queue.put(pickle.load(self._source))
        self.has_ended.set()
        self._queue.put(None)


class Output:
    """Where it is said what is logged, and how it stands."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._turn = threading.Lock()

    def say(self, value: Line | State) -> None:
        """Says something, if anybody listens."""
        with self._turn, suppress(OSError):
            pickle.dump(value, self._target)
            self._target.flush()


class _Told(logging.Handler):
    """Says what is logged."""

    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Says a line."""
        self._output.say(Line(record.levelno, record.getMessage()))


def serve(given: Input, output: Output) -> None:
    """Records one sweep."""
    if (found := given.settings()) is not None:
        settings, process = found
        output.say(_record(MlflowRecorder(settings, process=process), given, output))


def _record(recorder: MlflowRecorder, given: Input, output: Output) -> State:
    """Records the events; returns how it stands in the end."""
    happened_s, event = 0.0, None
    try:
        recorder.connect()
        output.say(_state(recorder))
        recorder.clock, recorder.has_more = lambda: happened_s, given.has_more
        while not isinstance(event, SweepEnded):
            happened_s, event = given.next()
            is_first = isinstance(event, SweepPlanned) and not given.has_begun
            given.has_begun = given.has_begun or is_first
            recorder.take(event)
            if is_first:
                output.say(_state(recorder))
    except ConfigError as error:
        return State(error=str(error), is_last=True)
    except Exception as error:  # training must not depend on it
        reason = told(error)
        tell_loss(recorder.uri, reason)
        return replace(_state(recorder, is_last=True), lost=True, loss=reason)
    return _state(recorder, is_last=True)


def _state(recorder: MlflowRecorder, is_last: bool = False) -> State:
    return State(recorder.curves_url, recorder.lost, recorder.loss, is_last=is_last)


def _leave_in_time(given: Input) -> None:
    """Ends the process when the other one has gone, however long a store takes."""
    given.has_ended.wait()
    if given.has_begun:
        time.sleep(_ORPHAN_S)
    os._exit(0)


def main() -> None:
    """Records one sweep between standard input and output."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    output = Output(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what a library prints is no answer
    logging.getLogger().addHandler(_Told(output))
    given = Input(sys.stdin.buffer)
    threading.Thread(target=_leave_in_time, args=(given,), daemon=True).start()
    with suppress(Exception), unobtrusive():  # while nothing comes; an error is told when it does
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    serve(given, output)
    os._exit(0)  # a library may still have threads


if __name__ == "__main__":
    with few_collections():
        main()
