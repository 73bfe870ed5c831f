"""Tasks in this process, one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runner.events import TaskEvent
from runner.execution.ahead import Ahead
from runner.execution.diagnostics import Diagnostician
from runner.execution.plan import Plan, Task
from runner.execution.preflight import Ready
from runner.execution.running import run_task


class Local:
    """Runs tasks with what the sweep has prepared already."""

    def __init__(
        self, folder: Path, ready: Mapping[int, Ready], diagnostician: Diagnostician
    ) -> None:
        """Runs nothing yet.

        Args:
          folder: The sweep's.
          ready: Its configurations, by their numbers.
          diagnostician: Measures before training.
        """
        self._folder = folder
        self._ready = ready
        self._diagnostician = diagnostician
        self._ahead = Ahead(ready, folder)

    def run(self, plan: Plan, tasks: Sequence[Task]) -> Iterator[TaskEvent]:
        """Begins to prepare the tasks; returns what happens while they are trained.

        Raises:
          KeyboardInterrupt: Interrupted; a checkpoint of what was under way has been written.
        """
        self._ahead.add(tasks)
        return self._run(tasks)

    def _run(self, tasks: Sequence[Task]) -> Iterator[TaskEvent]:
        for task in tasks:
            self._ahead.begin(task)
            yield from run_task(task, self._ready, self._diagnostician, self._folder)
            self._ahead.end(task)

    def close(self) -> None:
        """Waits for what is being prepared."""
        self._ahead.close()
