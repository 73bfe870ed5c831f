"""MLflow beside the training: in a thread of its own, so that training never waits for a store."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from runner.interruption import check, is_urgent, take_up
from runner.plan import Replicate
from runner.recording.mlflow import MlflowRecorder
from runner.recording.recorder import End, Recorder, Summary, Verdict
from runner.records import (
    ConfigurationRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
)
from runner.stores import unobtrusive

log = logging.getLogger(__name__)

# After so long, a user wants to know what is being waited for.
_SILENT_S = 5.0
# So long an interrupted command still waits for MLflow to end its runs.
_PATIENCE_S = 20.0

_Call = tuple[float, Callable[..., None], tuple[Any, ...]]


class Beside(Recorder):
    """Hands everything on to an `MlflowRecorder`, in the same order, in another thread.

    Only the start and the end of a sweep wait for it. Whenever it comes to something, MLflow is
    told the time at which that happened.

    Attributes:
      recorder: The one that does the work; it can be asked once the sweep has ended.
    """

    def __init__(self, recorder: MlflowRecorder) -> None:
        self.recorder = recorder
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._environment = ExitStack()
        self._happened_s = 0.0
        self._error: BaseException | None = None
        self._abandoned = False

    def start_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Starts the sweep, and then the thread.

        Raises:
          ConfigError: As of the recorder.
        """
        self.recorder.start_sweep(sweep, configurations)
        # The environment is not to change while other threads, TensorFlow's too, may read it.
        self._environment.enter_context(unobtrusive())
        self.recorder.clock = lambda: self._happened_s
        self._thread.start()

    def extend_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Hands it on."""
        self._hand_on(self.recorder.extend_sweep, sweep, configurations)

    def record_propagation(self, configuration: int, records: Sequence[PropagationRecord]) -> None:
        """Hands it on."""
        self._hand_on(self.recorder.record_propagation, configuration, records)

    def start_replicate(self, configuration: int, replicate: Replicate) -> None:
        """Hands it on."""
        self._hand_on(self.recorder.start_replicate, configuration, replicate)

    def record_epoch(
        self,
        configuration: int,
        replicate: Replicate,
        epoch: int,
        step: int,
        metrics: Mapping[str, float],
    ) -> None:
        """Hands it on."""
        self._hand_on(self.recorder.record_epoch, configuration, replicate, epoch, step, metrics)

    def finish_replicate(self, record: ReplicateRecord) -> None:
        """Hands it on."""
        self._hand_on(self.recorder.finish_replicate, record)

    def finish_configuration(
        self, configuration: int, end: End, summary: Summary, endpoint: Mapping[str, float]
    ) -> None:
        """Hands it on."""
        self._hand_on(self.recorder.finish_configuration, configuration, end, summary, endpoint)

    def tell(self, verdict: Verdict) -> None:
        """Hands it on."""
        self._hand_on(self.recorder.tell, verdict)

    def finish_sweep(self, end: End, folder: Path | None) -> None:
        """Hands it on and waits until everything has been done.

        Raises:
          BaseException: What the recorder raised on the way, if it did.
          KeyboardInterrupt: Interrupted: what had not been sent yet will not be. The runs that are
            open are still ended, if that does not take long; a second interruption gives that up.
        """
        if not self._thread.is_alive():
            self.recorder.finish_sweep(end, folder)
            return
        if is_urgent():
            return
        self._hand_on(self.recorder.finish_sweep, end, folder)
        self._calls.put(None)
        try:
            check()
            self._thread.join(_SILENT_S)
            if self._thread.is_alive():
                log.info("Waiting for MLflow, which has not taken everything yet.")
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

    def _hand_on(self, method: Callable[..., None], *args: Any) -> None:
        self._calls.put((time.time(), method, args))

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if abandoned := self._abandoned:
                call = time.time(), self.recorder.finish_sweep, ("interrupted", None)
            self._happened_s, method, args = call
            if self._error is not None:
                continue
            try:
                method(*args)
            except BaseException as error:
                self._error = error
            if abandoned:
                return
