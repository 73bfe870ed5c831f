"""What ends a command early: Ctrl-C, SIGTERM and SIGHUP, all in the same way; none is ever lost.

The first signal asks the command to stop. It raises `KeyboardInterrupt` at once, unless a
`deferred` block holds that back. Python loses an exception that is raised while it runs a callback
of the garbage collector, and a library may catch one. So the request stays until whoever ends the
command has called `take_up`: an exception that Python reports as lost is raised again, and `check`,
between any two steps of the work, raises one that was lost in another way.

The second signal ends the command at once. If even that takes long, because the program that
TensorFlow runs cannot be interrupted, the process ends where it is: every file is whole anyway.
"""

import _thread
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130
"""The exit code after an interruption, as shells report it for Ctrl-C."""

log = logging.getLogger(__name__)


class Detached(BaseException):
    """Ends the command while its work goes on elsewhere; the message says how to come back to it.

    Nothing that catches errors on the way is to take it for one.
    """


SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""What asks a command to end."""

# `timeout`, batch systems and terminals that go away send several signals for one reason. A second
# SIGHUP comes from the shell that the terminal takes along: nobody is impatient.
_SAME_S = 0.5
_URGENT = (signal.SIGINT, signal.SIGTERM)

# So long after a second signal the process ends, wherever it is.
_AT_ONCE_S = 5.0
# After so long, whatever swallowed an exception will have returned.
_AGAIN_S = 0.05

# What the thread that watches is told besides the numbers of signals.
_CLOSED, _LOST = b"\0", b"\xff"
_SHOW_CURSOR = b"\x1b[?25h"  # a live display has hidden it


@dataclass
class _Request:
    """What the signals of a command ask for.

    Attributes:
      handled: The signals that a `stoppable` block handles; none where no such block is open.
      asked: Whether the command has ever been asked to stop.
      pending: Whether nothing has taken that up yet.
      urgent: Whether it is to stop at once.
      raised: Whether the handler has raised the exception; again only if that was lost.
      leaving: Whether the block is being left, which raises what is pending.
      depth: Open `deferred` blocks.
      notice: What to log when a signal arrives in these.
    """

    handled: Sequence[signal.Signals] = ()
    asked: bool = False
    pending: bool = False
    urgent: bool = False
    raised: bool = False
    leaving: bool = False
    depth: int = 0
    notice: str = ""


_request = _Request()


class stoppable:  # noqa: N801  (it reads as the block that it opens)
    """Lets signals stop a `with` block as this module says; inside of another one, does nothing.

    `stoppable(ends_process=False)` is for the guest of another program, such as a notebook: after a
    second signal the process stays, however long it takes.

    A signal that is ignored, as under `nohup` or in the background of a script, stays ignored. The
    block raises `KeyboardInterrupt` if it was asked to stop, whatever else came of that.
    """

    def __init__(self, ends_process: bool = True) -> None:
        """Prepares the block; `ends_process`: whether a second signal may end the process."""
        self._ends_process = ends_process

    def __enter__(self) -> None:
        """Takes over the signals."""
        global _request
        former = {number: signal.getsignal(number) for number in SIGNALS}
        free = [number for number, old in former.items() if old not in (signal.SIG_IGN, None)]
        self._former = {number: former[number] for number in free}
        self._outermost = not _request.handled and _handles_signals()
        if not self._outermost:
            return
        _request = _Request(handled=free)
        self._report_lost = sys.unraisablehook
        self._watch = _Watch(self._ends_process)
        sys.unraisablehook = partial(self._watch.note_lost, self._report_lost)
        for number in free:
            signal.signal(number, _raise)

    def __exit__(self, *_: object) -> None:
        """Gives the signals back."""
        global _request
        if not self._outermost:
            return
        _request.leaving = True
        self._watch.close()
        for number, old in self._former.items():
            signal.signal(number, old)
        sys.unraisablehook = self._report_lost
        pending, _request = _request.pending, _Request()
        if pending:
            raise KeyboardInterrupt


@contextmanager
def deferred(notice: str = "") -> Iterator[None]:
    """Holds an interruption back until the block has ended; a second one gets through.

    For what should not be cut in two: an interrupted call of MLflow leaves its database locked, and
    a record that is half on its way is on disk but not in MLflow. Inside of another such block it
    does nothing.

    Args:
      notice: What to log when an interruption arrives, for blocks that may take long to end.
    """
    if not _handles_signals() or _request.depth:
        yield
        return
    _request.depth, _request.notice = 1, notice
    try:
        yield
    finally:
        _request.depth, _request.notice = 0, ""
    check()


def check() -> None:
    """Raises the interruption that was asked for and has not come through yet, if there is one.

    Raises:
      KeyboardInterrupt: There is one.
    """
    if _request.pending and _handles_signals() and (_request.urgent or not _request.depth):
        raise KeyboardInterrupt


def take_up() -> None:
    """Notes that the interruption has come through: what follows ends the command in order."""
    _request.pending = False


def ask() -> None:
    """Asks for an interruption as a first signal does, but raises nothing: see `is_asked`."""
    _request.asked = _request.pending = True


def is_asked() -> bool:
    """Tells whether an interruption has been asked for and not been taken up."""
    return _request.pending


def is_urgent() -> bool:
    """Tells whether the command is to end at once: nothing that takes long is begun any more."""
    return _request.urgent


def end_without_traceback() -> None:
    """Lets Ctrl-C end the process where it is, until and after it can be stopped in order."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _handles_signals() -> bool:
    """Tells whether this is the thread that Python runs the handlers of signals in."""
    return threading.current_thread() is threading.main_thread()


def _raise(number: int, frame: FrameType | None) -> None:
    """Handles a signal. A repetition does not interrupt what ends the command."""
    if not _request.asked:
        _request.asked = _request.pending = True
    leaving = frame is not None and frame.f_code is stoppable.__exit__.__code__
    if not (_request.raised or _request.leaving or leaving):
        _request.raised = True
        check()


class _Watch:
    """A thread that hears of signals at once.

    Python's handlers wait until a call into a library returns, which may be the training of a whole
    epoch, and run once for all signals that came meanwhile.
    """

    def __init__(self, ends_process: bool) -> None:
        self._ends_process = ends_process
        self._heard, self._told = os.pipe()
        os.set_blocking(self._told, False)
        self._former = signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
        self._first_s: float | None = None
        self._interrupted = False
        self._ending = threading.Timer(_AT_ONCE_S, _end_at_once)
        self._ending.daemon = True
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        signal.set_wakeup_fd(self._former)
        os.write(self._told, _CLOSED)
        self._thread.join()
        self._ending.cancel()
        for end in (self._heard, self._told):
            os.close(end)

    def note_lost(self, report: Callable[[Any], object], lost: Any) -> None:
        """Is told by Python of an exception that it lost; interruptions are raised again."""
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            report(lost)
        elif _request.pending:
            os.write(self._told, _LOST)

    def _run(self) -> None:
        while _CLOSED not in (heard := os.read(self._heard, 64)):
            if numbers := {*heard} & {*_request.handled}:
                self._hear(numbers)
            if _LOST in heard:
                time.sleep(_AGAIN_S)
                self._interrupt_main()

    def _hear(self, numbers: set[int]) -> None:
        now_s = time.monotonic()
        if self._first_s is None:
            self._first_s = now_s
            if notice := _request.notice:  # in a thread, for the terminal may be held up
                threading.Thread(target=log.warning, args=(notice,), daemon=True).start()
        elif self._interrupted:  # by this thread
            self._interrupted = False
        elif numbers & {*_URGENT} and now_s - self._first_s >= _SAME_S and not _request.urgent:
            _request.urgent = _request.pending = True
            if self._ends_process:
                self._ending.start()
            self._interrupt_main()

    def _interrupt_main(self) -> None:
        """Lets the main thread run the handler of signals once more."""
        _request.raised, self._interrupted = False, True
        _thread.interrupt_main(_request.handled[0])


def _end_at_once() -> NoReturn:
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if os.isatty(stream):
                os.write(stream, _SHOW_CURSOR)
    os._exit(INTERRUPTED)
