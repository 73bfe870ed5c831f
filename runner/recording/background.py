"""MLflow in a thread of its own, so that training never waits for a store."""

import logging
import threading
import time
from contextlib import ExitStack
from queue import SimpleQueue

from runner.events import Event, SweepEnded, SweepPlanned
from runner.interruption import check, is_urgent, take_up
from runner.recording.mlflow import MlflowRecorder
from runner.recording.recorder import Recorder
from runner.stores import unobtrusive

log = logging.getLogger(__name__)

# After so long, a user wants to know what is being waited for.
_SILENT_S = 5.0
# So long an interrupted command still waits for MLflow to end its runs.
_PATIENCE_S = 20.0


class BackgroundRecorder(Recorder):
    """A queue of events, which an `MlflowRecorder` takes in another thread.

    Only the start and the end of a sweep wait for it. Whenever it comes to something, MLflow is
    told the time at which that happened.

    Attributes:
      recorder: The one that does the work; it can be asked once the sweep has ended.
    """

    def __init__(self, recorder: MlflowRecorder) -> None:
        self.recorder = recorder
        self._events: SimpleQueue[tuple[float, Event]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._environment = ExitStack()
        self._happened_s = 0.0
        self._error: BaseException | None = None
        self._abandoned = False

    def take(self, event: Event) -> None:
        """Queues an event; waits at the start of the sweep, and until all is done at its end.

        Raises:
          ConfigError: The sweep cannot be started.
          BaseException: At the end, what the recorder raised on the way, if it did.
          KeyboardInterrupt: Interrupted: what had not been sent yet will not be. The runs that are
            open are still ended, if that does not take long; a second interruption gives that up.
        """
        if not self._thread.is_alive():
            self.recorder.take(event)
            if isinstance(event, SweepPlanned):
                # The environment is not to change while other threads, such as TensorFlow's, run.
                self._environment.enter_context(unobtrusive())
                self.recorder.clock = lambda: self._happened_s
                self.recorder.has_more = lambda: not self._events.empty()
                self._thread.start()
        elif not isinstance(event, SweepEnded):
            self._events.put((time.time(), event))
        elif not is_urgent():
            self._events.put((time.time(), event))
            self._wait()

    def _wait(self) -> None:
        try:
            check()
            self._thread.join(_SILENT_S)
            if self._thread.is_alive():
                log.info("Waiting until MLflow has everything.")
            self._thread.join()
        except KeyboardInterrupt:
            take_up()
            self._abandoned = True
            if not is_urgent():
                log.info("Ending MLflow's runs. To stop at once, interrupt again.")
                self._thread.join(_PATIENCE_S)
            raise
        finally:
            self._environment.close()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        event: Event | None = None
        while not isinstance(event, SweepEnded):
            self._happened_s, event = self._events.get()
            if self._abandoned:
                self._happened_s, event = time.time(), SweepEnded("interrupted")
            if self._error is None:
                try:
                    self.recorder.take(event)
                except BaseException as error:
                    self._error = error
