"""Makes the plan of a sweep: cuts cohorts into tasks that a worker trains in a minute or two."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner.execution import folders
from runner.execution.checkpoints import find, member_key
from runner.execution.cohorts import cohort_of, cohorts, pairs_of
from runner.execution.plan import Plan, Planned, Task
from runner.execution.preflight import Ready
from runner.machine import Room
from runner.plan import Key
from runner.records import ConfigurationRecord

log = logging.getLogger(__name__)

# What a worker prepares a configuration from.
_PREPARING = (
    *("dataset", "model", "init", "optimizer", "training", "diagnostics", "engine", "device"),
    *("seeds", "weight_seeds", "batch_seeds", "report"),
)


@dataclass(frozen=True)
class Division:
    """How cohorts are cut into tasks, whatever the number of workers.

    Attributes:
      room: What a task may use.
      task_s: About how long its training should take.
      rerun: Whether the checkpoints of earlier commands are left alone.
    """

    room: Room
    task_s: float
    rerun: bool


def grown(
    plan: Plan, ready: Sequence[Ready], refused: Sequence[ConfigurationRecord], division: Division
) -> Plan:
    """Returns the plan with another round: the tasks of these configurations.

    Args:
      plan: The plan so far, whose tasks stay as they are.
      ready: Configurations that are new in it.
      refused: Those that are new and cannot be trained.
      division: How they are cut.
    """
    number = max((task.round for task in plan.tasks), default=-1) + 1
    drafts = [task for items in cohorts(ready) for task in _drafts(items, division)]
    first = len(plan.tasks)
    tasks = [
        replace(task, name=str(first + place), round=number) for place, task in enumerate(drafts)
    ]
    planned = [_planned(item) for item in ready]
    planned += [
        Planned(record.index, _preparing(record.settings), error=record.error) for record in refused
    ]
    return replace(
        plan,
        configurations=(*plan.configurations, *sorted(planned, key=lambda each: each.index)),
        tasks=(*plan.tasks, *tasks),
    )


def _planned(item: Ready) -> Planned:
    index = item.record.index
    return Planned(
        index=index,
        settings=_preparing(item.configuration.settings),
        identity=item.record.identity,
        data=item.dataset.fingerprint,
        reused=tuple(Key(index, r.weight_seed, r.batch_seed) for r in item.reused),
        shared=tuple(Key.of(index, replicate) for replicate in item.shared),
    )


def _preparing(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in _PREPARING if name in settings}


def _drafts(items: Sequence[Ready], division: Division) -> Iterator[Task]:
    """Yields the tasks of a cohort, without name and round.

    What an interrupted command has begun goes on as it was: the replicates of each checkpoint
    together.
    """
    pending = {
        member_key(item.record.identity, replicate): Key.of(item.record.index, replicate)
        for item, replicate in pairs_of(items)
    }
    for checkpoint in [] if division.rerun else find(folders.ROOT, set(pending)):
        names = [name for name in checkpoint.members if name in checkpoint.curves]
        keys = tuple(pending.pop(name) for name in names if name in pending)
        if keys:
            yield Task("", 0, keys, division.room, checkpoint=str(checkpoint.path))
    if pending:
        yield from _cut(items, list(pending.values()), division)


def _cut(items: Sequence[Ready], keys: Sequence[Key], division: Division) -> Iterator[Task]:
    """Yields tasks of about the same size, which train for about as long as they should."""
    seconds, num_bytes = _cost(items, division.room)
    num_tasks = min(max(round(seconds * len(keys) / division.task_s), 1), len(keys))
    size = math.ceil(len(keys) / num_tasks)
    for first in range(0, len(keys), size):
        own = tuple(keys[first : first + size])
        yield Task(
            name="",
            round=0,
            keys=own,
            room=division.room,
            predicted_s=seconds * len(own),
            predicted_bytes=int(num_bytes * len(own)),
        )


def _cost(items: Sequence[Ready], room: Room) -> tuple[float, float]:
    """Returns about how many seconds and bytes a replicate of a cohort takes."""
    from runner.training.memory import need

    cohort = cohort_of(pairs_of(items[:1])[:1])
    one = need(cohort.model, cohort.dataset.train.x, cohort.training.batch_size)
    return one.step_s(room) * cohort.num_steps, one.state_bytes
