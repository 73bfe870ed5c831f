"""The events of one attempt, in their order and each once, whatever way their frames have taken."""

import zlib
from array import array
from collections.abc import Iterator

from runner.events import TaskEvent, to_json
from runner.execution.backends.frames import Frame


class ConflictError(RuntimeError):
    """Two different events have the same number: two workers run the same attempt."""


class InOrder:
    """Sorts the frames of an attempt."""

    def __init__(self) -> None:
        self._early: dict[int, TaskEvent] = {}
        self._checksums = array("L")  # of the events that have been handed on

    def take(self, frame: Frame) -> Iterator[TaskEvent]:
        """Yields the events whose turn it is now; none for a repetition, or before a gap.

        Raises:
          ConflictError: Another event has had this number.
        """
        number, event = frame.number, frame.event
        if number < len(self._checksums):
            if self._checksums[number] != _checksum(event):
                raise _conflict(frame)
        elif self._early.setdefault(number, event) != event:
            raise _conflict(frame)
        while (following := self._early.pop(len(self._checksums), None)) is not None:
            self._checksums.append(_checksum(following))
            yield following


def _checksum(event: TaskEvent) -> int:
    return zlib.crc32(to_json(event))


def _conflict(frame: Frame) -> ConflictError:
    return ConflictError(
        f"Two different events came as number {frame.number} of attempt {frame.attempt} at task "
        f"{frame.task}. Two workers run the same attempt."
    )
