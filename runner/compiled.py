"""Programs that XLA has compiled, kept for later commands in the user's cache.

TensorFlow can read and write them, but it fails where a file is damaged or cannot be written. So
each process gives it a folder of its own, in which the whole ones among those that are kept appear
under TensorFlow's names; what is new in there is kept afterwards. A file that is kept bears the
digest of its content in its name. TensorFlow looks a program up by all that it computes, but not by
what compiles it for what: version, processor and threads are in the name of the folder.

The machine code is the same, and so are the numbers, whether it was compiled or read.
"""

import atexit
import contextlib
import hashlib
import itertools
import json
import logging
import os
import platform
import re
import shutil
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import metadata, util
from pathlib import Path
from threading import Thread

from runner.files import link, lock, read_bytes, unused, user_cache
from runner.machine import hardware, num_cores
from runner.terminal import DETAIL

log = logging.getLogger(__name__)

FLAGS = "TF_XLA_FLAGS"
"""Environment variable: what TensorFlow is to tell XLA."""

MAX_BYTES = 500 * 10**6
"""Of all files that are kept; and what must be free on the disk, or none is written."""

_FLAG = "--tf_xla_persistent_cache_"
_DIRECTORY, _WRITABLE = f"{_FLAG}directory=", f"{_FLAG}read_only=false"
_OURS = re.compile(rf"{_DIRECTORY}'[^']*[\\/]runner[\\/]xla[\\/][^']*' {_WRITABLE}")
_COMPILED = re.compile(r"(xla_compile_cache__\w+\.pb)(?:\.([0-9a-f]{16}))?")

# Of the environment, what XLA compiles by.
_DECIDING = {"XLA_FLAGS", "TF_NUM_INTRAOP_THREADS", "TF_ENABLE_ONEDNN_OPTS", "CUDA_VISIBLE_DEVICES"}

# Bits of the numbers of functions that are traced together, and digits of what tells these apart.
_NUMBER_BITS, _NAME_DIGITS = 14, 12


class _Kept:
    """What is kept, as this process sees it.

    Attributes:
      root: Where the files of all versions and processors are.
      own: The folder that TensorFlow reads and writes.
    """

    def __init__(self, root: Path) -> None:
        """Makes this process's folder, and removes those of processes that have ended.

        Raises:
          OSError: It cannot be written, or the disk is full.
        """
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        _remove_left(root)
        if shutil.disk_usage(root).free < MAX_BYTES:
            raise OSError(f"less than {MAX_BYTES // 10**6} MB are free in {root}")
        self.own, self._descriptor = _own_folder(root)
        self._place: Path | None = None
        self._thread: Thread | None = None
        self._known: set[str] = set()

    def read(self, key: str) -> None:
        """Begins to give TensorFlow what is kept under a key; what is damaged is removed.

        What it was given under another key is taken away: it must have used none of it.
        """
        if self._place == self.root / key:
            return
        self.wait()
        for name in self._known:
            (self.own / name).unlink(missing_ok=True)
        self._known.clear()
        self._place = self.root / key
        self._thread = Thread(target=self._read, args=(self._place,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Waits until all is read."""
        if self._thread is not None:
            self._thread.join()

    def _read(self, place: Path) -> None:
        for path, name, digest in _files(place):
            with contextlib.suppress(OSError):
                if _digest(path) != digest:
                    path.unlink()
                elif not (self.own / name).exists():
                    link(path, self.own / name)
                    self._known.add(name)

    def write(self) -> None:
        """Keeps what TensorFlow has compiled since, and removes the oldest of what is too much."""
        new = [path for path, name, _ in _files(self.own) if name not in self._known]
        if self._place is None or not new:
            return
        try:
            self._place.mkdir(exist_ok=True)
            there = {name for _, name, _ in _files(self._place)}
            for path in new:
                self._known.add(path.name)
                if path.name not in there:
                    link(path, self._place / f"{path.name}.{_digest(path)}")
            log.log(DETAIL, "XLA has compiled %d programs, kept in %s", len(new), self._place)
            _remove_oldest(self.root)
        except OSError as error:
            log.log(DETAIL, "Compiled programs cannot be kept in %s (%s).", self.root, error)

    def close(self) -> None:
        """Keeps what is new, and removes this process's folder."""
        self.wait()
        self.write()
        shutil.rmtree(self.own, ignore_errors=True)
        if self._descriptor is not None:
            os.close(self._descriptor)


_kept: _Kept | None = None
_threads: int | None = None


def use(is_wanted: bool) -> None:
    """Has compiled programs kept and found, or not.

    It comes before TensorFlow's import, and does nothing after it; nor where the environment names
    a folder for them.

    Args:
      is_wanted: The setting.
    """
    global _kept
    if _kept is not None or "tensorflow" in sys.modules:
        return
    others = _others()
    _set_flags(others)  # without those of the process that has started this one
    is_file = not others.startswith("-") and others != ""  # with flags in it
    if not is_wanted or is_file or _FLAG in others:
        return
    try:
        kept = _Kept(user_cache() / "xla")
        if "'" in str(kept.own):
            raise OSError(f"TensorFlow cannot be told a path with a quote: {kept.own}")
    except (OSError, RuntimeError) as error:  # the latter where there is no home
        log.log(DETAIL, "Compiled programs are not kept (%s).", error)
        return
    _kept = kept
    atexit.register(end)
    _set_flags(f"{others} {_DIRECTORY}'{kept.own}' {_WRITABLE}".lstrip())


def read(threads_per_operation: int) -> None:
    """Begins to read what is kept, while TensorFlow is being imported; the first call counts.

    Args:
      threads_per_operation: See `runner.training.tensorflow.start`.
    """
    global _threads
    if _kept is not None and _threads is None:
        _threads = threads_per_operation
        _kept.read(_key(_threads))


def read_anew() -> None:
    """Reads what is kept for what the environment says now, before anything is compiled."""
    if _kept is not None and _threads is not None:
        _kept.read(_key(_threads))
        _kept.wait()


def wait() -> None:
    """Waits until it is read."""
    if _kept is not None:
        _kept.wait()


def write() -> None:
    """Keeps what has been compiled since."""
    if _kept is not None:
        _kept.write()


def end() -> None:
    """Keeps what has been compiled, and removes what only this process needs."""
    global _kept, _threads
    kept, _kept, _threads = _kept, None, None
    if kept is not None:
        kept.close()


class _Numbers(threading.local):
    """What numbers functions in a thread: their names' counter, or None for TensorFlow's own."""

    own: "Iterator[int] | None" = None


_numbers = _Numbers()
_num_traced: Counter[str] = Counter()


@contextlib.contextmanager
def named_alike(name: str) -> Iterator[None]:
    """Gives the functions that this thread has TensorFlow trace in the block names of their own.

    By their names, among others, it finds what is compiled. It counts what a process makes, in all
    threads, and so gives them other ones in every command. Here they are numbered apart, from a
    number on that follows from a name; those that are traced once more under it, from another one.

    Args:
      name: Tells the functions from all others; the same in every command.
    """
    from tensorflow.python.framework import ops  # the public places only name one function

    if not isinstance(ops.uid, _Counter):
        ops.uid = _Counter(ops.uid)
    ops.get_default_graph()  # made when a thread first needs it, and numbered: not among these
    former, _numbers.own = _numbers.own, _counted(name)
    try:
        yield
    finally:
        _numbers.own = former


class _Counter:
    """Takes the place of the function by which TensorFlow numbers what is to be told apart."""

    def __init__(self, shared: Callable[[], int]) -> None:
        self._shared = shared

    def __call__(self) -> int:
        return self._shared() if _numbers.own is None else next(_numbers.own)


def _counted(name: str) -> Iterator[int]:
    """Yields numbers that nobody else has."""
    _num_traced[name] += 1
    digest = hashlib.sha256(f"{name} {_num_traced[name]}".encode()).hexdigest()
    yield from itertools.count(int(digest[:_NAME_DIGITS], 16) << _NUMBER_BITS)


def _key(threads_per_operation: int) -> str:
    """Returns what tells apart for what XLA compiles, as far as it does not ask itself."""
    spec = util.find_spec("tensorflow")
    file = Path(spec.origin) if spec and spec.origin else None
    parts = [
        [str(file), file.stat().st_mtime_ns] if file and file.exists() else [],
        _version(),
        platform.platform(),
        hardware(),
        num_cores(),
        threads_per_operation,
        {name: value for name, value in os.environ.items() if name in _DECIDING},
        _others(),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _version() -> str:
    try:
        return metadata.version("tensorflow")
    except metadata.PackageNotFoundError:  # it has other names, too
        return ""


def _others() -> str:
    """Returns the flags for XLA but for this module's."""
    return _OURS.sub("", os.environ.get(FLAGS, "")).strip()


def _set_flags(flags: str) -> None:
    os.environ.pop(FLAGS, None)
    if flags:
        os.environ[FLAGS] = flags


def _files(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Yields the compiled programs in a folder: path, TensorFlow's name, digest or `""`."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            if found := _COMPILED.fullmatch(path.name):
                yield path, found[1], found[2] or ""


def _digest(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()[:16]


def _remove_oldest(root: Path) -> None:
    """Removes the oldest files of what is more than is kept."""
    found = []
    places = [place for place in root.iterdir() if not place.name.startswith(".")]
    for path in [path for place in places for path, *_ in _files(place)]:
        with contextlib.suppress(OSError):
            about = path.stat()
            found.append((about.st_mtime_ns, about.st_size, path))
    rest = MAX_BYTES
    for _, size, path in sorted(found, reverse=True):
        rest -= size
        if rest < 0:
            path.unlink(missing_ok=True)


def _own_folder(root: Path) -> tuple[Path, int | None]:
    """Returns a new folder, which is locked, and its descriptor; None where there is no lock."""
    while True:
        own = root / f".{uuid.uuid4().hex}"
        own.mkdir(0o700)
        if os.name != "posix":
            return own, None
        with contextlib.suppress(OSError):
            descriptor = os.open(own, os.O_RDONLY)
            lock(descriptor)
            if own.exists():
                return own, descriptor
            os.close(descriptor)  # removed by another command before it was locked


def _remove_left(root: Path) -> None:
    """Removes the folders that processes which were killed have left."""
    for folder in root.glob(".*"):
        with unused(folder) as is_left:
            if is_left:
                shutil.rmtree(folder, ignore_errors=True)
