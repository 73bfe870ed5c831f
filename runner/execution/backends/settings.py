"""Settings of the group `execution`: where tasks run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.config import (
    BOOLEAN,
    NON_NEGATIVE_INTEGER,
    POSITIVE,
    POSITIVE_INTEGER,
    TEXT,
    Rule,
    optional,
    setting,
)


def _lines(value: Any) -> tuple[str, ...]:
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        raise ValueError
    return tuple(lines)


_LINES = Rule("a list of lines of shell, such as ['module load cuda']", _lines)

# By which a job is found, and where it writes.
_TAKEN = ("array", "chdir", "error", "job_name", "open_mode", "output")


def _options(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError
    options = {str(name).replace("-", "_"): each for name, each in value.items()}
    for name, each in options.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in _TAKEN:
            raise ValueError
        if not isinstance(each, str | int | float | None) or "\n" in str(each):
            raise ValueError
    return options


_OPTIONS = Rule(
    f"a mapping of sbatch's long options, but for {', '.join(_TAKEN)}, to a value of one line",
    _options,
)


@dataclass(frozen=True)
class Local:
    """Tasks on this machine: in this process, or in several.

    Attributes:
      workers: How many tasks run at the same time, if more than one in processes of their own;
        None for one, or as many as there are GPUs.
      cores: Threads of a task; None for as many as this machine has, however many workers share
        them.
      gpus: GPUs that are shared out among the workers; None for all.
      memory_gb: Memory of a task; None for what is free.
      retries: New attempts at a task whose worker was lost.
      task_s: About how long the training of a task should take.
    """

    workers: int | None = setting(optional(POSITIVE_INTEGER), None)
    cores: int | None = setting(optional(POSITIVE_INTEGER), None)
    gpus: int | None = setting(optional(NON_NEGATIVE_INTEGER), None)
    memory_gb: float | None = setting(optional(POSITIVE), None)
    retries: int = setting(NON_NEGATIVE_INTEGER, 2)
    task_s: float = setting(POSITIVE, 120.0)


@dataclass(frozen=True)
class Ray:
    """Tasks on a Ray cluster.

    Attributes:
      address: Of the cluster; None for the environment's RAY_ADDRESS, else one on this machine.
      workers: How many tasks run at the same time at the most; None for as many as there is room.
      cores, gpus, memory_gb: What a task asks for; None for Ray's own measure of memory.
      retries, task_s: As of `Local`.
    """

    address: str | None = setting(optional(TEXT), None)
    workers: int | None = setting(optional(POSITIVE_INTEGER), None)
    cores: int = setting(POSITIVE_INTEGER, 1)
    gpus: int = setting(NON_NEGATIVE_INTEGER, 0)
    memory_gb: float | None = setting(optional(POSITIVE), None)
    retries: int = setting(NON_NEGATIVE_INTEGER, 2)
    task_s: float = setting(POSITIVE, 120.0)


@dataclass(frozen=True)
class Slurm:
    """Tasks as jobs of SLURM.

    Attributes:
      partition, account: As of `sbatch`; None for the cluster's own.
      time: Limit of a job in minutes; None for three times what its training should take.
      setup: Lines of shell before the work.
      sbatch: Any other key of `#SBATCH`.
      workers: How many jobs at the same time at the most; None for all.
      cores, gpus, memory_gb: What a job asks for.
      retries, task_s: As of `Local`.
      wait: Whether this command waits for the jobs.
    """

    partition: str | None = setting(optional(TEXT), None)
    account: str | None = setting(optional(TEXT), None)
    time: int | None = setting(optional(POSITIVE_INTEGER), None)
    setup: tuple[str, ...] = setting(_LINES, ())
    sbatch: Mapping[str, Any] = setting(_OPTIONS, {})
    workers: int | None = setting(optional(POSITIVE_INTEGER), None)
    cores: int = setting(POSITIVE_INTEGER, 1)
    gpus: int = setting(NON_NEGATIVE_INTEGER, 0)
    memory_gb: float | None = setting(optional(POSITIVE), None)
    retries: int = setting(NON_NEGATIVE_INTEGER, 2)
    task_s: float = setting(POSITIVE, 120.0)
    wait: bool = setting(BOOLEAN, True)


Execution = Local | Ray | Slurm

CATALOGUE: dict[str, type[Execution]] = {"local": Local, "ray": Ray, "slurm": Slurm}
