"""Events on their way from a worker to its parent, in a file that one appends to and one follows.

A frame is one event with its task, its attempt and its number in there, counted from 0. In a file
stand the length of what follows the two (4 bytes, big-endian), its CRC-32 (4 bytes), a line of JSON
`[task, attempt, number]`, and the event as `runner.events.to_json` writes it.
"""

import json
import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from runner.events import Heartbeat, TaskEnded, TaskEvent, from_json, to_json
from runner.execution.backends.task_files import Attempt, frames_file
from runner.files import MAX_BYTES, lock, opened

log = logging.getLogger(__name__)

_HEAD = struct.Struct(">II")

# So much of a file is read at once.
_CHUNK_BYTES = 1 << 22

# A network disk may show the length of a file before its content: so long, damage may be just that,
# and so long after its end an attempt may still turn out to have told more.
_PATIENCE_S = 10.0
# Between two looks at all files, and between two tries to write to a full disk.
_LOOK_S = 0.1


class Frame(NamedTuple):
    """An event of an attempt at a task.

    Attributes:
      task: The task's name.
      attempt: Counted from 1.
      number: Of the event in this attempt, counted from 0 without a gap.
      event: What happened.
    """

    task: str
    attempt: int
    number: int
    event: TaskEvent


class DamagedError(ValueError):
    """Bytes that are no frame, and will not be one when more of them have come."""


def encode(frame: Frame) -> bytes:
    """Returns a frame as it stands in a file."""
    head = json.dumps([frame.task, frame.attempt, frame.number]).encode()
    content = head + b"\n" + to_json(frame.event)
    return _HEAD.pack(len(content), zlib.crc32(content)) + content


def decode(content: bytes, start: int = 0) -> tuple[Frame, int] | None:
    """Returns the frame that begins at a position, and where it ends; None if it is not whole yet.

    Raises:
      DamagedError: There is no frame.
    """
    begin = start + _HEAD.size
    if len(content) < begin:
        return None
    length, checksum = _HEAD.unpack_from(content, start)
    if not 0 < length <= MAX_BYTES:
        raise DamagedError("a length that no frame has")
    if len(content) < begin + length:
        return None
    whole = content[begin : begin + length]
    if zlib.crc32(whole) != checksum:
        raise DamagedError("a checksum that does not fit")
    head, _, event = whole.partition(b"\n")
    try:
        task, attempt, number = json.loads(head)
        return Frame(task, attempt, number, cast(TaskEvent, from_json(event))), begin + length
    except (ValueError, TypeError) as error:
        raise DamagedError(str(error)) from error


class FrameWriter:
    """Appends the events of an attempt to its file; what a full disk does not take is kept.

    Any thread may write. An attempt that its batch system has started once more goes on behind what
    it has told so far.

    Attributes:
      error: Why the disk does not take the rest, or None.
    """

    def __init__(self, folder: Path, attempt: Attempt) -> None:
        """Opens the file.

        Args:
          folder: Of the sweep.
          attempt: Whose file it is.

        Raises:
          OSError: It cannot be opened, another process writes it, or the attempt has ended.
          DamagedError: What is in there is no frame.
        """
        self.attempt = attempt
        self.error: OSError | None = None
        self._kept = bytearray()
        self._lock = threading.Lock()
        path = frames_file(folder, attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            if lock(self._descriptor) is False:
                raise BlockingIOError(0, "another process writes it", str(path))
            place, self._number, has_ended = _told(path)
            if has_ended:
                raise FileExistsError(0, "this attempt has ended already", str(path))
            os.ftruncate(self._descriptor, place)
        except BaseException:
            os.close(self._descriptor)
            raise

    def write(self, event: TaskEvent) -> None:
        """Writes an event, or keeps it until there is room; a heartbeat tries again then."""
        with self._lock:
            lives = isinstance(event, Heartbeat)
            if not (lives and self._kept):
                frame = Frame(*self.attempt, self._number, event)
                self._number += 1
                self._kept += encode(frame)
            if self._flush() and (lives or isinstance(event, TaskEnded)):
                self._send()

    def close(self, patience_s: float = _PATIENCE_S) -> bool:
        """Closes the file.

        Args:
          patience_s: How long a full disk is given to have room again.

        Returns:
          Whether everything was written; `error` says why not.
        """
        until_s = time.monotonic() + patience_s
        with self._lock:
            while not self._flush() and time.monotonic() < until_s:
                time.sleep(_LOOK_S)
            if not self._kept:
                self._send()
            os.close(self._descriptor)
        return self.error is None

    def _flush(self) -> bool:
        """Writes what was kept; returns whether that is all of it."""
        try:
            while self._kept:
                del self._kept[: os.write(self._descriptor, self._kept)]
        except OSError as error:
            self.error = error
        else:
            self.error = None
        return not self._kept

    def _send(self) -> None:
        """Lets a network disk show the file to other machines, and tell what it did not take."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.error = error


def _told(path: Path) -> tuple[int, int, bool]:
    """Returns where the last whole frame of a file ends, how many there are, if it is the last."""
    place, number, has_ended = 0, 0, False
    content = path.read_bytes()
    while (found := decode(content, place)) is not None:
        frame, place = found
        number, has_ended = frame.number + 1, isinstance(frame.event, TaskEnded)
    return place, number, has_ended


class Follower:
    """Reads the frames of a file as they come, the file being there or not.

    A file that was replaced is read from its start. A frame that is not whole yet is waited for.
    Nothing is read behind a damaged one: what stands there cannot be told from chance.

    Attributes:
      path: The file.
      is_damaged: Whether nothing more comes of it.
    """

    def __init__(self, path: Path, patience_s: float = _PATIENCE_S) -> None:
        self.path = path
        self.is_damaged = False
        self._patience_s = patience_s
        self._place = 0
        self._file: tuple[int, int] | None = None
        self._damaged_s: float | None = None

    def frames(self) -> Iterator[Frame]:
        """Yields the frames that have come since the last call."""
        if self.is_damaged:
            return
        try:
            with opened(self.path) as file:
                self._begin(os.fstat(file.fileno()))
                for frame in self._rest(file):
                    self._damaged_s = None
                    yield frame
        except OSError:  # it is not there yet, or its disk is away for a while
            return
        except DamagedError as error:
            self._doubt(error)

    def _begin(self, about: os.stat_result) -> None:
        """Goes to the start of a file that is another one than before, or was cut."""
        file = (about.st_dev, about.st_ino)
        if file != self._file or about.st_size < self._place:
            self._file, self._place, self._damaged_s = file, 0, None

    def _rest(self, file: BinaryIO) -> Iterator[Frame]:
        size = _CHUNK_BYTES
        while True:
            file.seek(self._place)
            content, start = file.read(size), 0
            while (found := decode(content, start)) is not None:
                frame, end = found
                self._place += end - start
                start = end
                yield frame
            if len(content) < size:
                return
            size = _CHUNK_BYTES
            if len(content) >= start + _HEAD.size:
                size = max(size, _HEAD.size + _HEAD.unpack_from(content, start)[0])

    def _doubt(self, error: DamagedError) -> None:
        now_s = time.monotonic()
        if self._damaged_s is None:
            self._damaged_s = now_s
        if now_s - self._damaged_s >= self._patience_s:
            self.is_damaged = True
            log.warning(
                "%s is damaged at byte %d (%s). This attempt is given up.",
                self.path,
                self._place,
                error,
            )


class Followers:
    """The files of all attempts that are under way, read together."""

    def __init__(self, folder: Path, patience_s: float = _PATIENCE_S) -> None:
        """Follows nothing yet.

        Args:
          folder: Of the sweep.
          patience_s: How long damage may be a network disk's delay, and the end of a file too.
        """
        self._folder = folder
        self._patience_s = patience_s
        self._files: dict[Attempt, Follower] = {}
        self._until_s: dict[Attempt, float] = {}

    def follow(self, attempt: Attempt) -> None:
        """Reads what an attempt tells from now on."""
        self._files[attempt] = Follower(frames_file(self._folder, attempt), self._patience_s)

    def leave(self, attempt: Attempt) -> None:
        """Notes that an attempt is gone: it is followed for a short while only."""
        self._until_s.setdefault(attempt, time.monotonic() + self._patience_s)

    def damaged(self) -> list[Attempt]:
        """Returns the attempts of which nothing more can be read."""
        return [attempt for attempt, file in self._files.items() if file.is_damaged]

    def frames(self, timeout_s: float) -> Iterator[Frame]:
        """Yields what has come since, and waits at most so long for the first."""
        end_s = time.monotonic() + timeout_s
        any_came = False
        while not any_came:
            for file in list(self._files.values()):
                for frame in file.frames():
                    any_came = True
                    yield frame
            now_s = time.monotonic()
            for attempt in [a for a, until_s in self._until_s.items() if until_s <= now_s]:
                del self._until_s[attempt]
                self._files.pop(attempt, None)
            if now_s >= end_s:
                return
            if not any_came:
                time.sleep(min(_LOOK_S, end_s - now_s))
