"""Which backend the settings of `execution` ask for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from runner import machine
from runner.events import TaskEvent
from runner.execution.backends import settings, slurm
from runner.execution.backends.local import Local
from runner.execution.backends.processes import Processes
from runner.execution.backends.ray import RayCluster
from runner.execution.backends.supervisor import Supervisor
from runner.execution.diagnostics import Diagnostician
from runner.execution.plan import Plan, Task
from runner.execution.preflight import Ready


class Backend(Protocol):
    """Where tasks run."""

    def run(self, plan: Plan, tasks: Sequence[Task]) -> Iterator[TaskEvent]:
        """Returns what happens in the tasks; is called for one round after another.

        They run once it is asked for; what needs no records may begin before.

        Raises:
          ConfigError: Nothing can be trained there.
          KeyboardInterrupt: Interrupted; checkpoints of what was under way have been written.
        """

    def close(self) -> None:
        """Ends whatever still runs."""


def backend_of(
    execution: settings.Execution,
    folder: Path,
    ready: Mapping[int, Ready],
    diagnostician: Diagnostician,
    uses_gpu: bool,
) -> Backend:
    """Returns where the tasks of a sweep run.

    Args:
      execution: The settings.
      folder: Of the sweep.
      ready: Its configurations by their numbers, for tasks in this process.
      diagnostician: Measures before training, in this process.
      uses_gpu: Whether any of them is trained on a GPU.

    Raises:
      ConfigError: What it needs is not installed, or cannot be reached.
    """
    if isinstance(execution, settings.Local):
        gpus = machine.num_gpus() if execution.gpus is None else execution.gpus
        workers = execution.workers or max(gpus if uses_gpu else 0, 1)
        if workers == 1:
            return Local(folder, ready, diagnostician)
        return Supervisor(Processes(folder, gpus or execution.gpus), execution.retries, workers)
    if isinstance(execution, settings.Ray):
        return Supervisor(RayCluster(execution, folder), execution.retries, execution.workers)
    return slurm.SlurmBackend(execution, folder)
