"""The logs of a sweep: what concerns one configuration in its folder, the rest in the sweep's."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from runner.execution.configure import Job
from runner.terminal import LogFile

_subject: ContextVar[int | None] = ContextVar("_subject", default=None)


@contextmanager
def about(configurations: Iterable[int]) -> Iterator[None]:
    """Makes what is logged in the block a matter of one configuration, or of several together.

    Args:
      configurations: Their numbers.
    """
    numbers = set(configurations)
    token = _subject.set(numbers.pop() if len(numbers) == 1 else None)
    try:
        yield
    finally:
        _subject.reset(token)


def subject() -> tuple[int, ...]:
    """Returns the configuration that is spoken of now; none for several, or for the sweep."""
    number = _subject.get()
    return () if number is None else (number,)


@contextmanager
def logging_for(jobs: Sequence[Job]) -> Iterator[None]:
    """Sends what is logged in the block to the logs of these jobs and of their sweep.

    Where Hydra runs a job by itself, the job's log gets everything already.
    """
    root = logging.getLogger()
    files = {job.index: job.log_file for job in jobs}
    present = {handler.path for handler in root.handlers if isinstance(handler, LogFile)}
    if present & {file.absolute() for file in files.values()}:
        yield
        return
    handler = _SweepLogs(jobs[0].folder / jobs[0].log_file.name, files)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _SweepLogs(LogFile):
    """Appends each line to the one log that it belongs in."""

    def __init__(self, sweep: Path, configurations: dict[int, Path]) -> None:
        super().__init__(sweep)
        self.configurations = configurations

    def place(self) -> Path:
        """Returns the log of the configuration that is spoken of, or the sweep's."""
        subject = _subject.get()
        return self.path if subject is None else self.configurations.get(subject, self.path)
