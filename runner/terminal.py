"""What reaches the terminal: log lines beside a live display, and nothing from chatty libraries."""

import html
import io
import logging
import os
import select
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runner.masking import masked

DETAIL = 15
"""Level of log lines for the log files, which the console shows with `verbose=true` only."""

# So often a bar in a notebook moves.
_BAR_EVERY_S = 0.3

logging.addLevelName(DETAIL, "DETAIL")


def tolerate_any_console() -> None:
    """Lets nothing that becomes of the console disturb what the command does.

    What a reader that has gone (`| head -n 1`), a full disk or a terminal that was closed does not
    take is dropped. Where there is no standard stream at all (`>&-`), the null device stands in for
    it: the next file that is opened would get its number, and what is printed. What a terminal of
    another encoding cannot show appears as a question mark.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _tolerant(stream, descriptor))
        elif isinstance(stream, io.TextIOWrapper):  # what a host of this process has put there
            stream.reconfigure(errors="replace")


def _tolerant(stream: io.TextIOWrapper, descriptor: int) -> io.TextIOWrapper:
    """Returns a stream to the same place as `stream` that never fails."""
    with suppress(OSError):
        stream.flush()
    console = _Console(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        console if stream.write_through else io.BufferedWriter(console),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Console(io.FileIO):
    """A file that drops what it cannot write."""

    def write(self, data: Any) -> int:
        """Writes what can be written; returns the number of bytes that are done with."""
        try:
            while (written := super().write(data)) is None:  # another program made it non-blocking
                select.select([], [self], [])
            return written
        except OSError:
            return memoryview(data).nbytes


class MaskingFormatter(logging.Formatter):
    """Formats log lines as usual, with passwords masked: those of Hydra and of libraries too."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, and the traceback if there is one."""
        return masked(super().format(record))


class ConsoleHandler(logging.Handler):
    """Prints log lines through rich's console, which keeps them apart from a live display.

    Lines are not wrapped, so that paths can be copied.
    """

    def __init__(self, verbose: bool = False) -> None:
        """Prepares a handler.

        Args:
          verbose: Whether it prints details too, as it does where the root logger is set to debug.
        """
        super().__init__()
        self.verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line, unless it is a detail that is not asked for."""
        from rich import get_console

        if record.levelno == DETAIL and not self.verbose and logging.root.level >= DETAIL:
            return
        try:
            line = self.format(record)
            get_console().print(line, markup=False, highlight=False, soft_wrap=True)
        except Exception:
            self.handleError(record)


class NotebookBar:
    """A progress bar below a cell of a notebook, where rich has none without further packages."""

    def __init__(self) -> None:
        self._shown: Any = None
        self._last_s = 0.0

    def show(self, done: int, total: int, text: str) -> None:
        """Moves the bar, a few times a second at most."""
        from IPython.display import HTML, display

        if (now_s := time.monotonic()) - self._last_s < _BAR_EVERY_S:
            return
        self._last_s = now_s
        bar = HTML(f'<progress value="{done}" max="{total}"></progress> {html.escape(text)}')
        if self._shown is None:
            self._shown = display(bar, display_id=True)
        else:
            self._shown.update(bar)

    def close(self) -> None:
        """Takes the bar away."""
        from IPython.display import HTML

        if self._shown is not None:
            self._shown.update(HTML(""))
            self._shown = None


class LogFile(logging.Handler):
    """Appends dated lines to a file, which it does not keep open: there may be a thousand of them.

    A file that cannot be written is told of once; nothing else depends on it.

    Attributes:
      path: The file.
    """

    def __init__(self, filename: Path | str) -> None:
        super().__init__()
        self.path = Path(filename).absolute()
        self.setFormatter(MaskingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._told = False

    def place(self) -> Path:
        """Returns the file that the next line belongs in."""
        return self.path

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        try:
            text = self.format(record)
            with self.place().open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{text}\n")
        except OSError as error:
            if not self._told:
                self._told = True
                reason = error.strerror or error
                print(f"{self.place()} cannot be written ({reason}).", file=sys.stderr)
        except Exception:
            self.handleError(record)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps what native libraries write to the standard error stream away from the terminal.

    TensorFlow's libraries log before any of their settings can silence them. If the block raises,
    what was held back is shown.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no such stream
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            with suppress(OSError):
                os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
