"""Tasks whose workers make their events up, with keys and losses that can be told apart."""

from runner.events import EpochEnded, Heartbeat, ReplicateEnded, TaskEnded, TaskEvent, TaskStarted
from runner.execution.plan import Plan, Planned, Task
from runner.machine import Room
from runner.plan import Key

EPOCHS = 3
ROOM = Room(cores=1, memory_bytes=2**30, cache_bytes=2**20)


def keys(count, configuration=0):
    return tuple(Key(configuration, seed, seed) for seed in range(count))


def task(name, own):
    return Task(name, 0, tuple(own), ROOM)


def plan(*tasks):
    numbers = sorted({key.configuration for each in tasks for key in each.keys})
    settings = {"training": {"epochs": EPOCHS}}
    return Plan("sweep", {}, tuple(Planned(number, settings) for number in numbers), tasks)


def epoch(own, number):
    values = [key.weight_seed + number / 8 for key in own]
    return EpochEnded(tuple(own), number, 10 * number, {"loss": values})


def whole(task: Task, attempt: int, first: int = 0) -> list[TaskEvent]:
    """Returns what a worker tells that is not disturbed."""
    return [
        Heartbeat(task.name),
        TaskStarted(task.name, attempt, {"python": "3"}),
        *(epoch(task.keys, number) for number in range(first, EPOCHS + 1)),
        *(ReplicateEnded(key, "finished", 0.5) for key in task.keys),
        TaskEnded(task.name),
    ]
