"""What ends a command early: Ctrl-C, and SIGTERM, which is treated like it."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

INTERRUPTED = 130
"""The exit code after an interruption, as shells report it for Ctrl-C."""

log = logging.getLogger(__name__)

# The signal that a `deferred` block holds back; signals are handled in one thread only.
_held: list[int] = []


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Makes SIGTERM, which `kill`, containers and batch systems send, a Ctrl-C in the block."""
    if not _handles_signals():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def deferred(notice: str = "") -> Iterator[None]:
    """Holds an interruption back until the block has ended; a second one gets through.

    For what should not be cut in two: an interrupted call of MLflow leaves its database locked, and
    a record that is half on its way is on disk but not in MLflow. Inside of another such block it
    does nothing.

    Args:
      notice: What to log when an interruption arrives, for blocks that may take long to end.
    """

    def hold(number: int, _: object) -> None:
        if _held:
            raise KeyboardInterrupt
        _held.append(number)
        if notice:
            log.warning(notice)

    interrupting = (_interrupt, signal.default_int_handler)
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    replaced = {s: h for s, h in handlers.items() if h in interrupting and _handles_signals()}
    for number in replaced:
        signal.signal(number, hold)
    if not replaced:
        yield
        return
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        interrupted = is_held()
        _held.clear()
    if interrupted:
        raise KeyboardInterrupt


def is_held() -> bool:
    """Tells whether an interruption waits for the end of a `deferred` block."""
    return bool(_held)


def _handles_signals() -> bool:
    """Tells whether this is the thread that Python runs the handlers of signals in."""
    return threading.current_thread() is threading.main_thread()


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
