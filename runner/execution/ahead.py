"""Prepares the programs of tasks in threads of their own: while a command gets ready, while earlier
tasks are trained, and while step 0 of the same task is measured.

Tracing is Python's work, one program after the other; XLA compiles each on a core of its own. What
comes of it are programs that `runner.training.programs` keeps, so a task finds them, and trains as
if it had made them itself. What cannot be prepared is left to the task, whose error it will be.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from runner.execution import checkpoints
from runner.execution.cohorts import cohort_of
from runner.execution.plan import Task
from runner.execution.preflight import Ready
from runner.imports import told
from runner.plan import Configuration

log = logging.getLogger(__name__)

# For each task that is prepared before its turn, so many cores: one for each of its programs.
_CORES_EACH = 4

# What Keras keeps for each thread, and a model may be called by.
_OF_KERAS = ("dtype_policy", "global_random_seed", "global_seed_generator")


class Ahead:
    """Prepares tasks in the order of their turns; only a few are before theirs at any time."""

    def __init__(self, ready: Mapping[int, Ready], folder: Path | None) -> None:
        """Prepares nothing yet.

        Args:
          ready: The configurations of all tasks, by their numbers.
          folder: The sweep's, where checkpoints are; None if there are none.
        """
        self._ready = ready
        self._folder = folder
        self._waiting: deque[Task] = deque()
        self._begun: dict[str, Future[Any]] = {}
        self._threads: tuple[ThreadPoolExecutor, ...] = ()
        self._num_ahead = 0

    def add(self, tasks: Sequence[Task]) -> None:
        """Begins with tasks that are trained in turn, in this order.

        Where one of them computes in another precision than Keras does by itself, nothing is
        prepared: training in it changes Keras for all threads.
        """
        if not tasks or any(c.training.precision != "float32" for c in self._of(tasks)):
            return
        if not self._threads:
            cores = tasks[0].room.cores
            self._num_ahead = max(1, cores // _CORES_EACH)
            self._threads = ThreadPoolExecutor(1, "trace"), ThreadPoolExecutor(cores, "compile")
        self._waiting.extend(tasks)
        self._fill()

    def begin(self, task: Task) -> None:
        """Leaves a task whose turn has come to itself, but for what is being prepared of it."""
        while self._waiting and task in self._waiting:
            self._waiting.popleft()
        if task.name in self._begun:
            self._begun[task.name].cancel()
        self._fill()

    def end(self, task: Task) -> None:
        """Lets go what was prepared for a task."""
        self._begun.pop(task.name, None)

    def close(self) -> None:
        """Begins nothing more, and waits for what is under way."""
        self._waiting.clear()
        for executor in self._threads:
            executor.shutdown(wait=False, cancel_futures=True)
        for executor in self._threads:
            executor.shutdown()
        self._threads = ()
        self._begun.clear()

    def _of(self, tasks: Sequence[Task]) -> list[Configuration]:
        numbers = {key.configuration for task in tasks for key in task.keys}
        return [self._ready[number].configuration for number in sorted(numbers)]

    def _fill(self) -> None:
        """Begins with as many of the tasks that wait as may be before their turns."""
        while self._waiting and len(self._begun) <= self._num_ahead:
            task = self._waiting.popleft()
            if self._is_known(task):
                work = partial(self._prepare, task, _of_keras())
                self._begun[task.name] = self._threads[0].submit(work)

    def _is_known(self, task: Task) -> bool:
        """Tells whether it is certain now which replicates are trained together, from their start.

        A checkpoint goes on with its own, and `diagnostics.require` may turn some away.
        """
        own = self._folder and checkpoints.path_of(self._folder, task.name)
        goes_on = task.checkpoint is not None or (own is not None and own.exists())
        return not goes_on and all(
            c.engine == "vectorized" and c.diagnostics.require is None for c in self._of([task])
        )

    def _prepare(self, task: Task, of_keras: Mapping[str, Any]) -> Any:
        """Returns what is to be held until the task has ended."""
        from keras.src.backend.common import global_state  # names have no public place

        from runner.training import vectorized

        for name, value in of_keras.items():
            global_state.set_global_attribute(name, value)
        pairs = [(self._ready[key.configuration], key.replicate) for key in task.keys]
        try:
            return vectorized.prepare(replace(cohort_of(pairs), room=task.room), self._later)
        except Exception as error:  # the task meets it again, or has been overtaken by the end
            log.debug("Task %s is not prepared: %s", task.name, told(error))
            return None

    def _later(self, work: Callable[[], Any]) -> None:
        self._threads[1].submit(work)


def _of_keras() -> dict[str, Any]:
    from keras.src.backend.common import global_state

    return {name: global_state.get_global_attribute(name) for name in _OF_KERAS}
