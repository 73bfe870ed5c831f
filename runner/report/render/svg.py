"""From Vega-Lite specifications to SVG, without a network.

vl-convert takes a second to start and holds Python's lock while it draws, so that processes of
their own draw what a report writes to files.
"""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import escape

import vl_convert

from runner.machine import num_cores

_SMALLEST = '{"data": {"values": []}, "mark": "point"}'
_REFERENCE = re.compile(r'( id="|url\(#)(gradient_|clip)(\d+)')


class Drawer:
    """Processes that draw while this one goes on; to be used in a `with` statement."""

    def __init__(self, num_processes: int) -> None:
        """Starts nothing yet."""
        self.num_processes = num_processes
        self.pool = ProcessPoolExecutor(
            num_processes, multiprocessing.get_context("spawn"), initializer=_start
        )

    def __enter__(self) -> "Drawer":
        """Has the processes start, which takes a second, before there is a figure."""
        with contextlib.suppress(BrokenProcessPool), _apart():
            for _ in range(self.num_processes):
                self.pool.submit(int)
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the processes, each after the figure that it draws."""
        self.pool.shutdown(cancel_futures=True)

    def draw(self, spec: Mapping[str, Any]) -> Callable[[], str]:
        """Begins to draw a Vega-Lite specification.

        Returns:
          Waits for the SVG document. Where the processes have died this one draws it.
        """
        text = json.dumps(spec)
        try:
            with _apart():
                image = self.pool.submit(svg, text)
        except BrokenProcessPool:
            return lambda: svg(text)
        return lambda: _drawn(image, text)


def _drawn(image: Future[str], spec: str) -> str:
    try:
        return image.result()
    except BrokenProcessPool:
        return svg(spec)


def _start() -> None:
    """Readies a process: what interrupts a command is for the process that waits for this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    svg(_SMALLEST)  # the first one takes half a second, in which figures are still thought up


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


@contextmanager
def _apart() -> Iterator[None]:
    """Keeps what is this process's from one that starts meanwhile.

    That is the script, which would be run again if nothing guards it, and what interrupts a
    command: Python prints a traceback if that comes before `_start`.
    """
    script, held = sys.modules["__main__"], None
    if hasattr(signal, "pthread_sigmask"):  # a new process inherits what is blocked
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        if held is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)


def svg(spec: str) -> str:
    """Returns a Vega-Lite specification, as JSON, as an SVG document.

    Vega numbers gradients and clippings through all that a process draws; here, each document has
    its own numbers, so that the same figure is the same file. It says what is seen there, for those
    who do not see it.
    """
    numbers: dict[str, dict[str, int]] = {}

    def renumbered(found: re.Match[str]) -> str:
        of_kind = numbers.setdefault(found[2], {})
        return f"{found[1]}{found[2]}{of_kind.setdefault(found[3], len(of_kind))}"

    start, end, rest = vl_convert.vegalite_to_svg(spec).partition(">")
    given = json.loads(spec)
    title, seen = given.get("title", {}).get("text", ""), given.get("description", "")
    told = f"<title>{escape(title)}</title><desc>{escape(seen)}</desc>" if seen else ""
    return start + end + told + _REFERENCE.sub(renumbered, rest)


@contextmanager
def drawing(figures: bool) -> Iterator[Drawer | None]:
    """Gives what draws the figures, if there are to be any; None if not.

    It starts in processes of its own, while this one imports and reads what there is to draw.
    """
    if not figures:
        yield None
        return
    # This process has its own work for one of the cores.
    with Drawer(max(1, num_cores() - 1)) as drawer:
        yield drawer
