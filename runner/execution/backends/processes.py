"""Workers as processes beside this one, on the same machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.execution.backends.frames import Followers, Frame
from runner.execution.backends.task_files import Attempt, log_file, log_tail, write_task
from runner.execution.plan import Task

_VISIBLE = "CUDA_VISIBLE_DEVICES"

WORKER = (sys.executable, "-m", "runner.execution.worker", "--parent")
"""The command of a worker, which is given folder, task and attempt."""


@dataclass
class _Worker:
    """A process.

    Attributes:
      process: It.
      slot: Its place among those at the same time.
    """

    process: subprocess.Popen
    slot: int


class Processes:
    """A cluster of processes; they end when this one does, whatever ends it.

    Standard input of each is a pipe that is open as long as this process lives. They have a session
    of their own: Ctrl-C in the terminal reaches this process alone, which tells them.
    """

    def __init__(
        self, folder: Path, gpus: int | None = None, command: Sequence[str] = WORKER
    ) -> None:
        """Starts nothing yet.

        Args:
          folder: Of the sweep.
          gpus: How many GPUs the workers share, one for each of them; 0 for none, None for all.
          command: Of a worker.
        """
        self._folder = folder
        self._gpus = gpus
        self._command = command
        self._workers: dict[Attempt, _Worker] = {}
        self._codes: dict[Attempt, int] = {}
        self._followers = Followers(folder, patience_s=1.0)

    def submit(self, attempt: Attempt, task: Task) -> None:
        """Starts a process.

        Raises:
          OSError: It cannot be started.
        """
        write_task(self._folder, task)
        slots = {worker.slot for worker in self._workers.values()}
        slot = next(number for number in range(len(slots) + 1) if number not in slots)
        arguments = (str(self._folder), attempt.task, str(attempt.number))
        with log_file(self._folder, attempt).open("ab") as log:
            process = subprocess.Popen(
                [*self._command, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(slot),
                start_new_session=True,
            )
        self._workers[attempt] = _Worker(process, slot)
        self._followers.follow(attempt)

    def frames(self, timeout_s: float) -> Iterable[Frame]:
        """Returns what has come since; see `Cluster`."""
        return self._followers.frames(timeout_s)

    def states(self) -> Mapping[Attempt, str]:
        """Returns which processes run."""
        for attempt in self._followers.damaged():
            self.stop(attempt, at_once=True)
        for attempt, worker in list(self._workers.items()):
            if (code := worker.process.poll()) is not None:
                self._leave(attempt, code)
        pids = {attempt: worker.process.pid for attempt, worker in self._workers.items()}
        return {attempt: f"running as process {pid}" for attempt, pid in pids.items()}

    def stop(self, attempt: Attempt, at_once: bool) -> None:
        """Asks a process to end, or kills it."""
        if (worker := self._workers.get(attempt)) is None:
            return
        worker.process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
        if at_once:
            self._leave(attempt, worker.process.wait())

    def ending(self, attempt: Attempt) -> str:
        """Returns how a process ended and what it printed last."""
        code = self._codes.get(attempt)
        tail = log_tail(log_file(self._folder, attempt))
        return "; ".join([*_how(code), *([f"its log ends: {tail}"] if tail else [])])

    def close(self) -> None:
        """Kills what still runs."""
        for attempt in list(self._workers):
            self.stop(attempt, at_once=True)

    def _leave(self, attempt: Attempt, code: int) -> None:
        worker = self._workers.pop(attempt)
        if worker.process.stdin is not None:
            worker.process.stdin.close()
        self._codes[attempt] = code
        self._followers.leave(attempt)

    def _environment(self, slot: int) -> dict[str, str]:
        if self._gpus is None:
            return dict(os.environ)
        visible = os.environ.get(_VISIBLE)
        names = visible.split(",") if visible else [str(number) for number in range(self._gpus)]
        shared = names[: self._gpus]
        return {**os.environ, _VISIBLE: shared[slot % len(shared)] if shared else "-1"}


def _how(code: int | None) -> list[str]:
    if code is None:
        return []
    if code >= 0:
        return [f"exit code {code}"]
    try:
        return [f"killed by {signal.Signals(-code).name}"]
    except ValueError:
        return [f"killed by signal {-code}"]
