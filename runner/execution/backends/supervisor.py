"""Keeps tasks running on a cluster whose workers may be lost, until all have ended."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from runner.execution.backends.frames import Frame
from runner.execution.backends.task_files import Attempt
from runner.execution.plan import Task

__all__ = ["Attempt", "Cluster", "Frame"]


class Cluster(Protocol):
    """Where attempts at tasks run. No method waits, except `frames` for at most its time."""

    def submit(self, attempt: Attempt, task: Task) -> None:
        """Starts an attempt, or puts it in a queue.

        The task may be a part of a planned one, which the plan does not know: a worker finds what
        it is in `task_files.read_task`, if the cluster has written it there.
        """

    def frames(self, timeout_s: float) -> Iterable[Frame]:
        """Returns what has come since, in any order; it may come again.

        Args:
          timeout_s: How long the first is waited for.
        """

    def states(self) -> Mapping[Attempt, str]:
        """Returns what attempts are doing that are not known to have ended, for people.

        Such as `"waiting"`, or `"running on n2"`: those that run begin with `"running"`. What an
        attempt that is not in there has told comes with the next `frames`, or soon after. Before
        anything was submitted, these are attempts of an earlier command, which go on.
        """

    def stop(self, attempt: Attempt, at_once: bool) -> None:
        """Asks an attempt to write a checkpoint and end, or kills it; one that waits is cancelled.

        Does nothing to one that has ended.
        """

    def ending(self, attempt: Attempt) -> str:
        """Returns how an attempt that is gone has ended, for people: one line, may be empty.

        Such as `"exit code 1; its log ends: MemoryError"`; see `task_files.log_tail`.
        """

    def close(self) -> None:
        """Kills whatever still runs, and frees what the cluster holds."""
