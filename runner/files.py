"""Files that are whole or absent, and files that somebody else may have damaged or replaced.

A file is written beside its place, under a name such as `.page.md.1b2c3d4e`, flushed, and renamed.
Whoever writes such a half holds a lock on it, so that one without a lock is what a killed process
has left. Permissions follow the umask. Only the last folder of a path is made: one that vanishes
while a command runs is not there again because of a single file.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 1 << 28
"""Of a file that is read as a whole: hundreds of times what the record of a long training takes."""

# A pipe without a writer would be waited for.
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_HALF = re.compile(r"\..+\.[0-9a-f]{8}")


def user_cache() -> Path:
    """Returns the folder of what can be made again.

    Raises:
      RuntimeError: The user has no home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runner"


def write_text(path: Path, text: str, flushes_folder: bool = True) -> None:
    """Writes a whole file or none: beside its place, flushed to the disk, renamed."""
    with replacing(path, flushes_folder) as file:
        file.write(text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text`, for bytes."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, flushes_folder: bool = True) -> Iterator[BinaryIO]:
    """Opens a file beside `path`, which takes its place when the block has ended without error.

    Args:
      path: The file.
      flushes_folder: Whether it is there after a power failure; else `flush_folder` sees to it.

    Raises:
      OSError: It cannot be written; `filename` is `path`.
    """
    beside = None
    try:
        path.parent.mkdir(exist_ok=True)
        beside, descriptor = _half(path)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            beside.replace(path)
    except BaseException as error:
        if beside is not None:
            with contextlib.suppress(OSError):
                beside.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    if flushes_folder:
        flush_folder(path.parent)


def _half(path: Path) -> tuple[Path, int]:
    """Returns a new file beside `path`, which is locked, and its descriptor."""
    while True:
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        lock(descriptor)
        with contextlib.suppress(OSError):
            if os.path.samestat(beside.stat(), os.fstat(descriptor)):
                return beside, descriptor
        os.close(descriptor)  # removed by another command before it was locked


def flush_folder(folder: Path) -> None:
    """Flushes the names in a folder: a file is there after a power failure only with its name."""
    with contextlib.suppress(OSError):  # some file systems do not flush folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock(descriptor: int) -> bool | None:
    """Takes the lock of a file or folder until it is closed; the lock ends with the process.

    Returns:
      Whether it could be had; None where there are no such locks (Windows, some network disks).
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def unused(path: Path) -> Iterator[bool]:
    """Tells whether no living process holds the lock of `path`, and holds it in the block."""
    try:
        descriptor = os.open(path, _READING)
    except OSError:
        yield False
        return
    try:
        yield lock(descriptor) is True
    finally:
        os.close(descriptor)


def remove_halves(folder: Path) -> None:
    """Removes what processes that were killed in `replacing` have left in a folder."""
    with contextlib.suppress(OSError):
        for half in [path for path in folder.iterdir() if _HALF.fullmatch(path.name)]:
            with unused(half) as is_left:
                if is_left and half.is_file():
                    half.unlink(missing_ok=True)


def link(source: Path, path: Path) -> None:
    """Makes `path` the same file as `source`, or a copy of it where the disks do not allow that.

    Raises:
      OSError: It can be neither.
    """
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        beside.hardlink_to(source)
        beside.replace(path)
        # Renaming one name of a file to another one of its names does nothing.
        beside.unlink(missing_ok=True)
    except OSError:
        with opened(source) as file, replacing(path) as copy:
            shutil.copyfileobj(file, copy)


@contextmanager
def opened(path: Path, max_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Opens a file to be read; it may be anything that bears its name, such as a pipe.

    Args:
      path: The file.
      max_bytes: Its largest size; None for any.

    Raises:
      OSError: It cannot be opened, is no file, or is too large.
    """
    descriptor = os.open(path, _READING)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if max_bytes is not None and about.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"{about.st_size} bytes are too many", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read_bytes(path: Path) -> bytes:
    """Returns the content of a file of at most `MAX_BYTES`; raises as `opened` does."""
    with opened(path, MAX_BYTES) as file:
        return file.read()
