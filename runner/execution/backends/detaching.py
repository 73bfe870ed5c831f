"""Leaving jobs that go on without the command that sent them."""

import contextlib
import logging
import os
import select
import sys
import threading
from collections.abc import Sequence

from runner.config import abridged
from runner.interruption import Detached
from runner.report.names import counted

log = logging.getLogger(__name__)

_LOOK_S = 0.5
_MOST_SHOWN = 10


def detached(jobs: Sequence[str], num_waiting: int) -> Detached:
    """Returns what ends the command and says what was left.

    Args:
      jobs: The numbers of those that wait or run.
      num_waiting: Tasks for which there is no job yet.
    """
    numbers = f" ({abridged(jobs, _MOST_SHOWN)})" if jobs else ""
    rest = f"; {counted(num_waiting, 'task')} could not be submitted yet" if num_waiting else ""
    return Detached(
        f"{counted(len(jobs), 'job')} left running{numbers}{rest}. "
        "To follow them again, give the same command in the same folder."
    )


class Terminal:
    """Hears Ctrl-D, where a person sits at the terminal. The end of a pipe or file says nothing.

    Attributes:
      is_left: Whether it was heard.
    """

    def __init__(self) -> None:
        """Begins to listen, if there is a terminal."""
        self.is_left = False
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            descriptor = sys.stdin.fileno()
            if os.isatty(descriptor):
                log.info("Ctrl-D leaves the jobs running; the same command follows them again.")
                self._thread = threading.Thread(
                    target=self._listen, args=(descriptor,), name="terminal", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._is_closed.set()
        if self._thread is not None:
            self._thread.join()

    def _listen(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # the terminal has gone
            while not self._is_closed.wait(0.0) and not self.is_left:
                self.is_left = _is_ended(descriptor)


def _is_ended(descriptor: int) -> bool:
    """Tells whether Ctrl-D comes within a moment.

    Raises:
      OSError: The terminal has gone.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    ready = poll.poll(_LOOK_S * 1000)
    if not ready:
        return False
    if ready[0][1] & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
        raise OSError("no terminal any more")
    # Whoever reads in the background is stopped by the system.
    if os.tcgetpgrp(descriptor) != os.getpgrp():
        return False
    return os.read(descriptor, 1024) == b""
