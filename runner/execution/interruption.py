"""What ends a command early."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Treats SIGTERM, which `kill`, containers and batch systems send, like Ctrl-C in the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
