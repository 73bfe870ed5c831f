"""What lies in the folder of a task, `<sweep>/tasks/<task>/`, for whoever shares it.

`task.json` says what the task is, `<attempt>.frames` what an attempt at it has told,
`<attempt>.log` what it printed.
"""

from pathlib import Path
from typing import NamedTuple

from runner.execution.plan import Task
from runner.files import opened, read_bytes, write_bytes
from runner.validation import from_json, to_json

_TAIL_BYTES = 16_384
_TAIL_LINES = 5


class Attempt(NamedTuple):
    """Which try at which task, counted from 1."""

    task: str
    number: int


def task_folder(folder: Path, task: str) -> Path:
    """Returns the folder of a task of the sweep whose folder is given."""
    return folder / "tasks" / task


def frames_file(folder: Path, attempt: Attempt) -> Path:
    """Returns the file in which an attempt tells its events; see `frames`."""
    return task_folder(folder, attempt.task) / f"{attempt.number}.frames"


def log_file(folder: Path, attempt: Attempt) -> Path:
    """Returns the file with what an attempt's process printed."""
    return task_folder(folder, attempt.task) / f"{attempt.number}.log"


def write_task(folder: Path, task: Task) -> None:
    """Writes what a task is, so that a worker need not find it in the plan.

    Parts of a task that lost its workers are not in there.

    Raises:
      OSError: It cannot be written.
    """
    task_folder(folder, task.name).mkdir(parents=True, exist_ok=True)
    write_bytes(task_folder(folder, task.name) / "task.json", to_json(task))


def read_task(folder: Path, name: str) -> Task:
    """Returns what `write_task` has written.

    Raises:
      OSError, ValueError: There is none that can be read.
    """
    return from_json(Task, read_bytes(task_folder(folder, name) / "task.json"))


def log_tail(path: Path) -> str:
    """Returns the last lines of a log as one line; empty where there are none."""
    try:
        with opened(path) as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_TAIL_LINES:])
