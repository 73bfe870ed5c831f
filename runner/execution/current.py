"""The sweep that this command runs: its batches in their order, and its end, once.

A sweeper may launch jobs again and again (`hydra.sweeper.max_batch_size`, or one that chooses the
next by the results of the last), and only whoever called Hydra knows when it has launched the last.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.events import End
    from runner.execution.configure import Job
    from runner.execution.sweep import Sweep

_sweeps: list["Sweep"] = []

# The Python call that the sweep comes from; None for the command line.
_call: str | None = None


@contextmanager
def called_by(call: str) -> Iterator[None]:
    """Makes sweeps that begin in the block those of a Python call, which shows the answer itself.

    Args:
      call: The call, as a line of Python.
    """
    global _call
    former, _call = _call, call
    try:
        yield
    finally:
        _call = former


def sweep() -> "Sweep | None":
    """Returns the sweep that has begun and has not been concluded, if there is one."""
    return _sweeps[0] if _sweeps else None


def train(jobs: "Sequence[Job]", is_whole: bool) -> dict[int, float]:
    """Checks, trains and records the next batch of the command's sweep.

    Args:
      jobs: The batch.
      is_whole: Whether no other batch can follow.

    Returns:
      Number of a job -> mean of its endpoint over the finished replicates; NaN without any.

    Raises:
      ConfigError: Nothing of it could be trained for a reason that all jobs share.
      KeyboardInterrupt: Interrupted; what had finished is kept.
    """
    from runner.execution.sweep import Sweep

    if not _sweeps:
        _sweeps.append(Sweep(jobs, _call))
    return _sweeps[0].train(jobs, is_whole)


def conclude(end: "End") -> "End":
    """Reports on the command's sweep, if it has begun one, and forgets it.

    Args:
      end: How Hydra's run ended.

    Returns:
      How the command ended: `"failed"` also where a configuration did.
    """
    return _sweeps.pop().conclude(end) if _sweeps else end
