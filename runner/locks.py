"""Waiting for what another process holds: told after five seconds, given up after five minutes.

Who holds it is told too. A lock of this module comes with a note in which its holder says so; of a
database's own locks the operating system knows (Linux: `/proc/locks`).
"""

import contextlib
import json
import logging
import os
import shlex
import socket
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.files import lock
from runner.interruption import check
from runner.masking import masked

NOTICE_S = 5.0
PATIENCE_S = 300.0

_POLL_S = 0.1
_NOTE = ".runner-lock.json"
_MAX_COMMAND = 120  # characters
_TIME = "%Y-%m-%d %H:%M:%S"

log = logging.getLogger(__name__)


class HeldError(OSError):
    """Another process did not let go in time; the message says which."""


class Waiting:
    """One wait for something that another process holds."""

    def __init__(self, what: str, holder: Callable[[], str]) -> None:
        """Begins now.

        Args:
          what: What is waited for, as a message names it.
          holder: Returns who holds it.
        """
        self._what, self._holder = what, holder
        self._began_s = time.monotonic()
        self._told = False

    def go_on(self) -> None:
        """Tells of the wait when it becomes long; to be called several times a second.

        Raises:
          HeldError: It has become too long.
          KeyboardInterrupt: Interrupted.
        """
        check()
        waited_s = time.monotonic() - self._began_s
        if waited_s >= PATIENCE_S:
            raise HeldError(f"{self._what} is held by {self._holder()}; waited {waited_s:.0f} s")
        if waited_s >= NOTICE_S and not self._told:
            self._told = True
            log.warning(
                "Waiting for %s, which is held by %s. Giving up after %.0f minutes.",
                self._what,
                self._holder(),
                PATIENCE_S / 60,
            )

    def until(self, taken: Callable[[], bool]) -> None:
        """Tries again and again, until `taken` returns true; raises as `go_on` does."""
        while not taken():
            self.go_on()
            time.sleep(_POLL_S)


@contextmanager
def exclusive(folder: Path, what: str) -> Iterator[None]:
    """Lets one process at a time into the block.

    Some network file systems do not lock folders, nor does Windows: there, everybody comes in.

    Args:
      folder: A folder that is there; it is what is locked.
      what: What the block uses, as a message names it.

    Raises:
      HeldError: Another process did not come out in time.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    note = folder / _NOTE
    try:
        waiting = Waiting(what, lambda: _noted_holder(note) or listed_holder(folder))
        waiting.until(lambda: lock(descriptor) is not False)
        with contextlib.suppress(OSError):
            note.write_text(json.dumps(_myself()))
        yield
        with contextlib.suppress(OSError):
            note.unlink()  # what is left by an error says nothing wrong: nobody waits any more
    finally:
        os.close(descriptor)


def hold(path: Path) -> int:
    """Takes a file that only one process has, and notes in it which that is.

    Where the disk has no locks, as on some networks, the note alone counts: that of a process on
    this machine while it lives, and that of another machine until somebody removes the file.

    Args:
      path: The file, which may not be there yet.

    Returns:
      A descriptor; the file is held until that is closed, or the process ends.

    Raises:
      HeldError: Another process has it; the message says which.
      OSError: It cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # network disks lock what is written
    taken, holder = lock(descriptor), _noted_holder(path)
    if taken is False or (taken is None and holder and not _is_left(path)):
        os.close(descriptor)
        advice = "" if taken is False else f"; if that has ended, remove {path}"
        raise HeldError(f"{holder or 'another process'}{advice}")
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(_myself()).encode())
    return descriptor


def _is_left(note: Path) -> bool:
    """Tells whether the process of a note is known to have ended."""
    about = json.loads(note.read_text())
    return about["host"] == socket.gethostname() and not Path(f"/proc/{about['pid']}").exists()


def _myself() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": _shown(sys.orig_argv),
        "since": datetime.now().strftime(_TIME),
    }


def _noted_holder(note: Path) -> str:
    """Returns who holds a lock of this module; empty if there is no note."""
    try:
        about = json.loads(note.read_text())
        return _described(about["pid"], about["host"], about["command"], about["since"])
    except (OSError, ValueError, KeyError):
        return ""


def listed_holder(path: Path) -> str:
    """Returns who holds a lock on a file or folder, as far as the operating system knows."""
    with contextlib.suppress(OSError):
        number = path.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()  # such as: 1: POSIX ADVISORY WRITE 1234 08:01:5678 0 EOF
            if fields[1] != "->" and fields[5].rpartition(":")[2] == str(number):
                pid = int(fields[4])
                return _described(pid, socket.gethostname(), _command(pid))
    return "another process"


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return _shown([word for word in words if word])
    return "a command that cannot be seen from here"


def _shown(words: Sequence[str]) -> str:
    """Returns a command in one line, without passwords."""
    return textwrap.shorten(masked(shlex.join(words)), _MAX_COMMAND, placeholder=" ...")


def _described(pid: int, host: str, command: str, since: str = "") -> str:
    parts = [command, f"since {since}" if since else ""]
    if host == socket.gethostname() and _is_suspended(pid):
        parts.append(f"suspended; `kill -CONT {pid}` lets it go on")
    return f"process {pid} on {host} ({', '.join(part for part in parts if part)})"


def _is_suspended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in "Tt"  # the name before it may hold anything
