"""The plan of a sweep: which replicates are trained together, as tasks that any worker can take.

It lies in the sweep's folder as `plan.json` and is the same for any number of workers. It grows in
rounds, with each batch of a sweeper and each look; what is written never changes.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.files import read_bytes, replacing
from runner.machine import Room
from runner.masking import HIDDEN, masked
from runner.plan import Key
from runner.validation import Count, Seconds, fault, from_json, to_json

NAME = "plan.json"

VERSION = 1


@dataclass(frozen=True)
class Task:
    """Replicates of one cohort that one worker trains.

    Attributes:
      name: In the plan.
      round: Of the plan, counted from 0.
      keys: The replicates, in the order of their program.
      room: What it may use.
      checkpoint: A file of an earlier command where it goes on, from the working directory.
      adopted: The file in which a worker of an earlier command tells what it does for this task.
      predicted_s: About how long its training takes.
      predicted_bytes: About how much memory.
    """

    name: str
    round: Count
    keys: tuple[Key, ...]
    room: Room
    checkpoint: str | None = None
    adopted: str | None = None
    predicted_s: Seconds = 0.0
    predicted_bytes: Count = 0


@dataclass(frozen=True)
class Planned:
    """A configuration in the plan.

    Attributes:
      index: Its number.
      settings: What a worker prepares it from: the resolved configuration as plain values.
      identity: The key that a worker must find for it; see `runner.execution.identity`.
      data: The fingerprint of its data, which is part of that.
      error: Why it was refused, or None.
      reused: Replicates that an earlier command has finished.
      shared: Replicates that another configuration of the sweep trains.
    """

    index: Count
    settings: dict[str, Any]
    identity: str = ""
    data: str = ""
    error: str | None = None
    reused: tuple[Key, ...] = ()
    shared: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a sweep trains.

    Attributes:
      sweep: The id of the sweep.
      environment: What the plan was made with, and a worker must have: name -> version.
      configurations: All so far.
      tasks: All so far.
      is_elsewhere: Whether other machines train them, whose GPUs are known by their kind only.
    """

    sweep: str
    environment: dict[str, str] = field(default_factory=dict)
    configurations: tuple[Planned, ...] = ()
    tasks: tuple[Task, ...] = ()
    is_elsewhere: bool = False
    version: int = VERSION

    def fault(self) -> str:
        """Returns what does not hold of one that was read; empty if all does."""
        names = [task.name for task in self.tasks]
        numbers = {planned.index for planned in self.configurations}
        keys = [key for task in self.tasks for key in task.keys]
        return fault(
            (self.version == VERSION, f"`version`: this runner reads {VERSION}"),
            (len(set(names)) == len(names), "`tasks`: a name is there twice"),
            (len(set(keys)) == len(keys), "`tasks`: a replicate is there twice"),
            ({key.configuration for key in keys} <= numbers, "`tasks`: no such configuration"),
        )

    def write(self, folder: Path) -> None:
        """Writes the plan into the sweep's folder, whole or not at all; passwords are left out.

        Raises:
          OSError: It cannot be written.
        """
        told = tuple(replace(each, settings=masked(each.settings)) for each in self.configurations)
        with replacing(folder / NAME) as file:
            file.write(to_json(replace(self, configurations=told)))


def read(folder: Path) -> Plan:
    """Reads the plan of a sweep's folder; passwords come from where Hydra keeps them.

    Raises:
      OSError, ValueError: There is none that can be read.
    """
    plan = parsed(read_bytes(folder / NAME))
    whole = tuple(_with_passwords(each, folder) for each in plan.configurations)
    return replace(plan, configurations=whole)


def _with_passwords(planned: Planned, folder: Path) -> Planned:
    if HIDDEN not in str(planned.settings):
        return planned
    composed = OmegaConf.load(folder / str(planned.index) / ".hydra" / "config.yaml")
    found: Any = OmegaConf.to_container(composed, resolve=True)
    return replace(planned, settings={name: found[name] for name in planned.settings})


def parsed(content: bytes) -> Plan:
    """Returns the plan that JSON says.

    Raises:
      ValueError: It says none.
    """
    plan = from_json(Plan, content)
    if reason := plan.fault():
        raise ValueError(reason)
    return plan
