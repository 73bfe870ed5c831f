"""Events on their way from a worker to its parent, in a file that one appends to and one follows.

A frame is one event with its task, its attempt and its number in there, counted from 0. In a file
stand the length of what follows the two (4 bytes, big-endian), its CRC-32 (4 bytes), a line of JSON
`[task, attempt, number]`, and the event as `runner.events.to_json` writes it.
"""

import logging
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, cast

from runner.events import Heartbeat, TaskEnded, TaskEvent, from_json, to_json
from runner.execution.backends.task_files import Attempt, frames_file
from runner.files import MAX_BYTES, lock, opened
from runner.validation import from_json as checked

log = logging.getLogger(__name__)

_HEAD = struct.Struct(">II")

# So much of a file is read at once.
_CHUNK_BYTES = 1 << 22

# A network disk may show the length of a file before its content: so long, damage may be just that.
_PATIENCE_S = 10.0


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


class Damaged(ValueError):
    """Bytes that are no frame, and will not be one when more of them have come."""


def encode(frame: Frame) -> bytes:
    """Returns a frame as it stands in a file."""
    name = frame.task.replace("\\", "\\\\").replace('"', '\\"')
    head = f'["{name}", {frame.attempt}, {frame.number}]\n'.encode()
    content = head + to_json(frame.event)
    return _HEAD.pack(len(content), zlib.crc32(content)) + content


def decode(content: bytes, start: int = 0) -> tuple[Frame, int] | None:
    """Returns the frame that begins at a position, and where it ends; None if it is not whole yet.

    Raises:
      Damaged: There is no frame.
    """
    if len(content) < start + _HEAD.size:
        return None
    length, checksum = _HEAD.unpack_from(content, start)
    if not 0 < length <= MAX_BYTES:
        raise Damaged("a length that no frame has")
    begin, end = start + _HEAD.size, start + _HEAD.size + length
    if len(content) < end:
        return None
    whole = content[begin:end]
    if zlib.crc32(whole) != checksum:
        raise Damaged("a checksum that does not fit")
    head, _, event = whole.partition(b"\n")
    try:
        task, attempt, number = checked(tuple[str, int, int], head)  # type: ignore[arg-type]
        return Frame(task, attempt, number, cast(TaskEvent, from_json(event))), end
    except ValueError as error:
        raise Damaged(str(error)) from error
