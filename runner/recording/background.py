"""MLflow in a process of its own: training waits neither for a store nor for MLflow's import.

`BackgroundRecorder` hands the events of a sweep to the process, where an `MlflowRecorder` takes
them (`runner.recording.process`). The runs that are open are ended there, however this one ends.
"""

import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from runner.config import ConfigError
from runner.events import Event, SweepEnded, SweepPlanned
from runner.interruption import check, deferred, is_urgent, take_up
from runner.plan import Tracking
from runner.recording.mlflow_store import process_tags, resolve_uri, tell_loss, unusable
from runner.recording.recorder import Recorder

log = logging.getLogger(__name__)

# After so long, a user wants to know what is being waited for.
_SILENT_S = 5.0
# So long an interrupted command still waits for MLflow to end its runs.
_PATIENCE_S = 20.0

# No file of the working directory takes the place of a library.
PROCESS = (sys.executable, "-P", "-m", "runner.recording.process")
"""The command of the process."""


@dataclass(frozen=True)
class Line:
    """What the process logs."""

    level: int
    text: str


@dataclass(frozen=True)
class State:
    """How it stands with the store.

    The process tells this once the store is open, once the sweep has begun, and last of all.

    Attributes:
      curves_url, lost, loss: As the attributes of `MlflowRecorder`.
      error: Why the sweep cannot be recorded although it has to be; empty if it can.
      is_last: Whether the process does nothing more.
    """

    curves_url: str = ""
    lost: bool = False
    loss: str = ""
    error: str = ""
    is_last: bool = False


def process(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts the process.

    Raises:
      OSError: It cannot be started.
    """
    home, path = Path(__file__).parents[2], os.environ.get("PYTHONPATH")
    # What is installed is found anyway, and must not come before Python's own modules.
    checkout = None if home.name in ("site-packages", "dist-packages") else str(home)
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, checkout]))},
        start_new_session=True,  # Ctrl-C in the terminal does not reach it
    )


class BackgroundRecorder(Recorder):
    """Hands events on to the process, which is told when each of them happened.

    Only the start and the end of a sweep wait for it.

    Attributes:
      uri: Address of the store.
      state: What the process told last.
    """

    def __init__(self, settings: Tracking, command: Sequence[str] = PROCESS) -> None:
        """Starts the process, which imports MLflow; it opens no store yet.

        Args:
          settings: Which store and experiment.
          command: Of the process.

        Raises:
          ConfigError: `tracking.uri` cannot be an address.
          OSError: The process cannot be started.
        """
        self.uri = resolve_uri(settings)
        self.state = State()
        self._states: SimpleQueue[State] = SimpleQueue()
        self._settings = settings
        self._is_connected = self._is_planned = self._is_closed = False
        self._process = process(command)
        self._input: Any = self._process.stdin
        self._output: Any = self._process.stdout
        self._thread = threading.Thread(target=self._listen, name="mlflow", daemon=True)
        self._thread.start()

    def connect(self) -> None:
        """Opens the store, if that has not been done.

        Raises:
          ConfigError: It cannot be used, but is required.
          KeyboardInterrupt: Interrupted.
        """
        if not self._is_connected:
            self._is_connected = True
            self._send((self._settings, process_tags()))
            self._await()

    def take(self, event: Event) -> None:
        """Hands on an event; waits at the start of the sweep, and until all is done at its end.

        Raises:
          ConfigError: The sweep cannot be started.
          KeyboardInterrupt: Interrupted: what had not been sent yet will not be. The runs that are
            open are still ended; a second interruption gives up waiting for that.
        """
        self.connect()
        if isinstance(event, SweepEnded) and is_urgent():
            self.close()
            return
        self._send((time.time(), event))
        if isinstance(event, SweepEnded):
            self._end()
        elif isinstance(event, SweepPlanned) and not self._is_planned:
            self._is_planned = True
            self._await()

    def close(self) -> None:
        """Lets the process end: what it has not sent yet is left out."""
        self._is_closed = True
        with suppress(OSError):  # something is left in the buffer, and nobody reads it
            self._input.close()

    def _send(self, value: Any) -> None:
        """Hands something over, as a whole, if the process is still there."""
        content = pickle.dumps(value)
        with deferred(), suppress(OSError, ValueError):
            self._input.write(content)
            self._input.flush()

    def _await(self) -> None:
        """Waits until the process tells how it stands; after its last word, that holds."""
        if not self.state.is_last:
            self.state = self._states.get()
        if self.state.error:
            raise ConfigError(self.state.error)

    def _end(self) -> None:
        """Waits for the last word of the process."""
        try:
            check()
            self._thread.join(_SILENT_S)
            if self._thread.is_alive():
                log.info("Waiting until MLflow has everything.")
            self._thread.join()
        except KeyboardInterrupt:
            take_up()
            self.close()
            if not is_urgent():
                log.info("Ending MLflow's runs. To stop at once, interrupt again.")
                self._thread.join(_PATIENCE_S)
            raise
        finally:
            self.close()
            while not (self.state.is_last or self._states.empty()):
                self.state = self._states.get()

    def _listen(self) -> None:
        """Takes what the process tells, until it has ended."""
        state = self.state
        with self._output, suppress(EOFError, OSError, pickle.UnpicklingError):
            while not state.is_last:
                match pickle.load(self._output):
                    case Line(level, text):
                        log.log(level, "%s", text)
                    case State() as state:
                        self._states.put(state)
        code = self._process.wait()
        if not state.is_last:
            self._states.put(self._lost(state, f"its process ended with exit code {code}"))

    def _lost(self, state: State, reason: str) -> State:
        """Returns the last state of a process that ended without telling it."""
        if self._is_closed:
            return replace(state, is_last=True)
        if state == State() and self._settings.required:
            return State(error=str(unusable(self.uri, OSError(reason))), is_last=True)
        tell_loss(self.uri, reason)
        return replace(state, lost=True, loss=reason, is_last=True)
