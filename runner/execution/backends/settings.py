"""Settings of the config group `execution`: where tasks run, and what each worker has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.config import (
    ARGUMENTS,
    BOOLEAN,
    NON_NEGATIVE_INTEGER,
    POSITIVE,
    POSITIVE_INTEGER,
    TEXT,
    optional,
    setting,
)


@dataclass(frozen=True)
class Local:
    """This machine: in the process of the command, or in several beside it."""

    workers: int = setting(POSITIVE_INTEGER, 1)
    cores: int | None = setting(optional(POSITIVE_INTEGER), None)
    gpus: int | None = setting(optional(NON_NEGATIVE_INTEGER), None)
    memory_gb: float | None = setting(optional(POSITIVE), None)
    retries: int = setting(NON_NEGATIVE_INTEGER, 2)
    task_s: float = setting(POSITIVE, 60.0)


@dataclass(frozen=True)
class Ray:
    """A Ray cluster."""

    address: str | None = setting(optional(TEXT), None)
    workers: int | None = setting(optional(POSITIVE_INTEGER), None)
    cores: int = setting(POSITIVE_INTEGER, 1)
    gpus: int = setting(NON_NEGATIVE_INTEGER, 0)
    memory_gb: float | None = setting(optional(POSITIVE), None)
    retries: int = setting(NON_NEGATIVE_INTEGER, 2)
    task_s: float = setting(POSITIVE, 60.0)


@dataclass(frozen=True)
class Slurm:
    """Jobs of a SLURM cluster whose nodes share the working directory."""

    partition: str | None = setting(optional(TEXT), None)
    account: str | None = setting(optional(TEXT), None)
    time: str | None = setting(optional(TEXT), None)
    setup: str | None = setting(optional(TEXT), None)
    sbatch: Mapping[str, Any] = setting(ARGUMENTS, {})
    workers: int | None = setting(optional(POSITIVE_INTEGER), None)
    cores: int = setting(POSITIVE_INTEGER, 1)
    gpus: int = setting(NON_NEGATIVE_INTEGER, 0)
    memory_gb: float | None = setting(optional(POSITIVE), None)
    retries: int = setting(NON_NEGATIVE_INTEGER, 2)
    wait: bool = setting(BOOLEAN, True)
    task_s: float = setting(POSITIVE, 60.0)


CATALOGUE: dict[str, type] = {"local": Local, "ray": Ray, "slurm": Slurm}
