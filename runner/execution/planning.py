"""Makes the plan of a sweep: cuts cohorts into tasks that a worker trains in a minute or two."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner import machine
from runner.execution import folders
from runner.execution.backends import slurm
from runner.execution.backends.adoption import Found
from runner.execution.backends.settings import Execution, Slurm
from runner.execution.checkpoints import MemberKey, find, member_key
from runner.execution.cohorts import Pair
from runner.execution.devices import shared, work_of
from runner.execution.plan import Plan, Planned, Task
from runner.execution.preflight import Ready
from runner.machine import Room
from runner.plan import Key
from runner.records import ConfigurationRecord

log = logging.getLogger(__name__)

# What is free is not the same from one moment to the next, and is not to change the plan.
_GRAIN = 2**30

# What a worker prepares a configuration from.
_PREPARING = (
    *("dataset", "model", "init", "optimizer", "training", "diagnostics", "engine", "device"),
    *("seeds", "weight_seeds", "batch_seeds", "report", "compilation_cache"),
)


@dataclass(frozen=True)
class Division:
    """How cohorts are cut into tasks, whatever the number of workers.

    Attributes:
      execution: Where tasks run.
      rerun: Whether what earlier commands have begun is left alone.
      operation_threads: See `Room`.
    """

    execution: Execution
    rerun: bool
    operation_threads: int

    def room(self) -> Room:
        """Returns what a task may use; what the settings leave open is what this machine has."""
        here, gigabytes = machine.room(), self.execution.memory_gb
        memory = here.memory_bytes if gigabytes is None else int(gigabytes * 1e9)
        return replace(
            here,
            cores=self.execution.cores or here.cores,
            memory_bytes=max(memory // _GRAIN, 1) * _GRAIN,
            operation_threads=self.operation_threads,
        )

    def left(self, items: Sequence[Ready]) -> Sequence[Found]:
        """Returns the tasks of earlier commands with replicates of these whose workers go on.

        Raises:
          ConfigError: Another command that lives follows them.
        """
        if self.rerun or not isinstance(self.execution, Slurm):
            return ()
        last = [item for item in items if item.configuration.training.save == "end"]
        return slurm.left(folders.ROOT, set(_pending(items)), set(_pending(last)))


def grown(
    plan: Plan, ready: Sequence[Ready], refused: Sequence[ConfigurationRecord], division: Division
) -> Plan:
    """Returns the plan with another round: the tasks of these configurations.

    Args:
      plan: The plan so far, whose tasks stay as they are.
      ready: Configurations that are new in it, or have new replicates.
      refused: Those that are new and cannot be trained.
      division: How they are cut.
    """
    number = max((task.round for task in plan.tasks), default=-1) + 1
    room = division.room()
    drafts = [task for items in cohorts(ready) for task in _drafts(items, division, room)]
    first = len(plan.tasks)
    tasks = [
        replace(task, name=str(first + place), round=number) for place, task in enumerate(drafts)
    ]
    before = {each.index: each for each in plan.configurations}
    planned = [_planned(item, plan.is_elsewhere, before.get(item.record.index)) for item in ready]
    planned += [
        Planned(record.index, _preparing(record.settings), error=record.error) for record in refused
    ]
    own = {each.index: each for each in sorted(planned, key=lambda each: each.index)}
    return replace(plan, configurations=tuple((before | own).values()), tasks=(*plan.tasks, *tasks))


def _planned(item: Ready, is_elsewhere: bool, before: Planned | None) -> Planned:
    """Returns a configuration as it is planned.

    Args:
      item: The configuration, with the replicates of this round.
      is_elsewhere: See `Plan`.
      before: As it was planned in earlier rounds.
    """
    index, settings = item.record.index, _preparing(item.configuration.settings)
    settings["device"] = item.configuration.device  # `auto` is decided, whatever a worker has
    if is_elsewhere:
        settings["device"] = "gpu" if "GPU" in item.device else "cpu"
    return Planned(
        index=index,
        settings=settings,
        identity=item.record.identity,
        data=item.dataset.fingerprint,
        reused=(
            *(before.reused if before else ()),
            *(Key(index, r.weight_seed, r.batch_seed) for r in item.reused),
        ),
        shared=(
            *(before.shared if before else ()),
            *(Key.of(index, replicate) for replicate in item.shared),
        ),
    )


def _preparing(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in _PREPARING if name in settings}


def cohorts(ready: Sequence[Ready]) -> list[list[Ready]]:
    """Groups the configurations that differ only in initializer, seeds and learning rate.

    Those of which nothing is left to train are in no group.
    """
    groups: dict[str, list[Ready]] = {}
    for item in ready:
        if not item.replicates:
            continue
        key = repr((shared(item.configuration), item.device))
        groups.setdefault(key, []).append(item)
    return list(groups.values())


def pairs_of(items: Sequence[Ready]) -> list[Pair]:
    """Returns the replicates that are to be trained of a group."""
    return [(item, replicate) for item in items for replicate in item.replicates]


def _pending(items: Sequence[Ready]) -> dict[MemberKey, Key]:
    """Returns what is to be trained: its name among all commands -> its key in this one."""
    return {
        member_key(item.record.identity, replicate): Key.of(item.record.index, replicate)
        for item, replicate in pairs_of(items)
    }


def _drafts(items: Sequence[Ready], division: Division, room: Room) -> Iterator[Task]:
    """Yields the tasks of a cohort, without name and round.

    What an interrupted command has begun goes on as it was: the replicates of each worker that
    goes on, and of each checkpoint, together.
    """
    pending = _pending(items)
    for found in division.left(items):
        if keys := tuple(pending.pop(name) for name in found.names if name in pending):
            yield found.task(keys)
    for checkpoint in [] if division.rerun else find(folders.ROOT, set(pending)):
        names = [name for name in checkpoint.members if name in checkpoint.curves]
        keys = tuple(pending.pop(name) for name in names if name in pending)
        if keys:
            yield Task("", 0, keys, room, checkpoint=str(checkpoint.path))
    if pending:
        yield from _cut(items, list(pending.values()), division.execution.task_s, room)


def _cut(items: Sequence[Ready], keys: Sequence[Key], task_s: float, room: Room) -> Iterator[Task]:
    """Yields tasks of about the same size, which train for about as long as they should."""
    seconds, num_bytes = _cost(items, len(keys), room)
    num_tasks = min(max(round(seconds * len(keys) / task_s), 1), len(keys))
    size = math.ceil(len(keys) / num_tasks)
    for first in range(0, len(keys), size):
        own = tuple(keys[first : first + size])
        yield Task(
            name="",
            round=0,
            keys=own,
            room=room,
            predicted_s=seconds * len(own),
            predicted_bytes=int(num_bytes * len(own)),
        )


def _cost(items: Sequence[Ready], num_replicates: int, room: Room) -> tuple[float, float]:
    """Returns about how many seconds and bytes a replicate of a cohort takes."""
    first = items[0]
    work = work_of(first.configuration, first.model, first.dataset, num_replicates)
    return work.training_s(first.device, room) / num_replicates, work.need.state_bytes
