"""Tasks in this process, one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.events import TaskEvent
from runner.execution.diagnostics import Diagnostician
from runner.execution.plan import Plan, Task
from runner.execution.preflight import Ready
from runner.execution.running import run_task


@dataclass(frozen=True)
class Local:
    """Runs tasks with what the sweep has prepared already.

    Attributes:
      folder: The sweep's.
      ready: Its configurations, by their numbers.
      diagnostician: Measures before training.
    """

    folder: Path
    ready: Mapping[int, Ready]
    diagnostician: Diagnostician = field(default_factory=Diagnostician)

    def run(self, plan: Plan, tasks: Sequence[Task]) -> Iterator[TaskEvent]:
        """Yields what happens while the tasks are trained.

        Raises:
          KeyboardInterrupt: Interrupted; a checkpoint of what was under way has been written.
        """
        for task in tasks:
            yield from run_task(task, self.ready, self.diagnostician, self.folder)

    def close(self) -> None:
        """Does nothing: what runs here ends with `run`."""
