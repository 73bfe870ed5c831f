"""What reaches the terminal: log lines beside a live display, and nothing from chatty libraries."""

import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from runner.masking import masked


def tolerate_any_terminal() -> None:
    """Lets what a terminal of another encoding cannot show appear as a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


class MaskingFormatter(logging.Formatter):
    """Formats log lines as usual, with passwords masked: those of Hydra and of libraries too."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, and the traceback if there is one."""
        return masked(super().format(record))


class ConsoleHandler(logging.Handler):
    """Prints log lines through rich's console, which keeps them apart from a live display.

    Lines are not wrapped, so that paths can be copied.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line."""
        from rich import get_console

        try:
            line = self.format(record)
            get_console().print(line, markup=False, highlight=False, soft_wrap=True)
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
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
