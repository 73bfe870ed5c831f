"""What a command bears whose tasks run elsewhere: made-up events of many workers, no training."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from runner.events import (
    EpochEnded,
    Heartbeat,
    Measured,
    ReplicateEnded,
    TaskEnded,
    TaskEvent,
    TaskStarted,
)
from runner.execution.backends.frames import Followers, Frame, FrameWriter
from runner.execution.backends.supervisor import Supervisor
from runner.execution.backends.task_files import Attempt
from runner.execution.collector import Collector
from runner.execution.plan import Plan, Planned, Task
from runner.machine import Room
from runner.plan import Key
from runner.recording.disk import DiskRecorder
from runner.records import ConfigurationRecord, PropagationRecord, SweepRecord

_WORKERS = 256
_EPOCHS = 50
_CONFIGURATIONS = 10
_COUNTS = (1_000, 10_000)
# A task of each worker at the largest count, which trains for so long.
_TASK_REPLICATES = 40
_TASK_S = 120.0
# How much quicker than the workers the command should be.
_TARGET = 10

_LAYERS = ("hidden_1", "hidden_2", "output")
_QUANTITIES = ("var_w", "var_z", "var_h", "gradient", "off", "correlation")
_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
_ROOM = Room(cores=1, memory_bytes=2**30, cache_bytes=2**20)


class Simulated:
    """A cluster whose workers have told everything already: their files are followed."""

    def __init__(self, folder: Path) -> None:
        self._followers = Followers(folder)
        self._running: dict[Attempt, str] = {}

    def submit(self, attempt: Attempt, task: Task) -> None:
        """Follows the file of an attempt."""
        self._followers.follow(attempt)
        self._running[attempt] = "running on n1"

    def frames(self, timeout_s: float) -> Iterable[Frame]:
        """Returns what has come; an attempt that has ended is followed no more."""
        for frame in self._followers.frames(timeout_s):
            if isinstance(frame.event, TaskEnded):
                self._running.pop(Attempt(frame.task, frame.attempt))
            yield frame

    def states(self) -> Mapping[Attempt, str]:
        """Returns the attempts that run."""
        return dict(self._running)

    def stop(self, attempt: Attempt, at_once: bool) -> None:
        """Does nothing."""

    def ending(self, attempt: Attempt) -> str:
        """Returns nothing."""
        return ""

    def close(self) -> None:
        """Does nothing."""


def measure(folder: Path, quick: bool, head: str) -> int:
    """Writes simulated_workers.md into the folder; returns the exit code.

    Args:
      folder: Of the results.
      quick: A tenth of the replicates.
      head: Machine, versions, date.
    """
    counts = [count // (10 if quick else 1) for count in _COUNTS]
    rows = []
    for count in counts:
        print(f"{count} replicates ...", flush=True)
        command = [sys.executable, __file__, str(count)]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True)
        rows.append(json.loads(done.stdout))
    text = _page(head, rows)
    (folder / "simulated_workers.md").write_text(text, "utf-8")
    print(text)
    return 0


def _page(head: str, rows: list[dict[str, float]]) -> str:
    lines = [
        f"# The command beside {_WORKERS} simulated workers\n",
        head,
        f"Made-up events of {_CONFIGURATIONS} configurations and {_EPOCHS} epochs with "
        f"{len(_METRICS)} metrics, in tasks of {_TASK_REPLICATES} replicates, lie in the files "
        "that workers write. Measured is what the command does with them: it follows the files, "
        "checks and orders the events, makes the records, and writes each to the disk. Memory is "
        f"what came on top of the imports. A task that trains for {_TASK_S:.0f} s sets the pace of "
        f"the workers; the command should be at least {_TARGET} times as quick.\n",
        "| replicates | events | whole s | CPU s | CPU ms per replicate | memory MB "
        "| kB per replicate | times as quick as the workers |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        count = row["replicates"]
        pace_s = _TASK_S * count / (_TASK_REPLICATES * _WORKERS)
        lines.append(
            f"| {count} | {row['events']} | {row['whole_s']:.1f} | {row['cpu_s']:.1f} "
            f"| {row['cpu_s'] / count * 1e3:.2f} | {row['memory_bytes'] / 1e6:.0f} "
            f"| {row['memory_bytes'] / count / 1e3:.1f} | {pace_s / row['whole_s']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def _run(num_replicates: int, folder: Path) -> dict[str, float]:
    """Returns what it takes to collect the events of so many replicates."""
    tasks = list(_tasks(num_replicates))
    num_events = sum(_write(folder, task) for task in tasks)
    planned = tuple(
        Planned(index, {"training": {"epochs": _EPOCHS}}) for index in range(_CONFIGURATIONS)
    )
    plan = Plan("simulated", {}, planned, tuple(tasks))
    before_bytes = _memory_bytes()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    collector = Collector([DiskRecorder(folder)])
    sweep = SweepRecord("a/b", "benchmark", "2026-01-01T00:00:00+00:00", {}, "", id="simulated")
    collector.plan(sweep, [_configuration(i, num_replicates) for i in range(_CONFIGURATIONS)])
    for event in Supervisor(Simulated(folder), retries=2, workers=_WORKERS).run(plan, tasks):
        collector.take(event)
    ended = collector.records()
    if len(ended) != num_replicates:
        raise SystemExit(f"{len(ended)} of {num_replicates} replicates have ended")
    return {
        "replicates": num_replicates,
        "events": num_events,
        "whole_s": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - began_cpu_s,
        "memory_bytes": _memory_bytes() - before_bytes,
    }


def _memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _tasks(num_replicates: int) -> Iterator[Task]:
    seeds = num_replicates // _CONFIGURATIONS
    keys = [Key(index, seed, seed) for index in range(_CONFIGURATIONS) for seed in range(seeds)]
    for first in range(0, len(keys), _TASK_REPLICATES):
        own = tuple(keys[first : first + _TASK_REPLICATES])
        yield Task(str(first // _TASK_REPLICATES), 0, own, _ROOM)


def _configuration(index: int, num_replicates: int) -> ConfigurationRecord:
    return ConfigurationRecord(
        index,
        f"normal(scale={index + 1})",
        {},
        {"training": {"name": "default", "epochs": _EPOCHS}},
        endpoint="val_accuracy",
        num_replicates=num_replicates // _CONFIGURATIONS,
    )


def _write(folder: Path, task: Task) -> int:
    """Writes what a worker tells; returns the number of events."""
    writer = FrameWriter(folder, Attempt(task.name, 1))
    events = list(_events(task))
    for event in events:
        writer.write(event)
    if not writer.close():
        raise SystemExit(f"{folder} has no room")
    return len(events)


def _events(task: Task) -> Iterator[TaskEvent]:
    """Yields what a worker tells of a task, with a sign of life every 10 s."""
    yield TaskStarted(task.name, 1, {"python": "3"})
    for index in sorted({key.configuration for key in task.keys}):
        own = tuple(key for key in task.keys if key.configuration == index)
        yield Measured(index, own, tuple(_measured(key) for key in own))
    beat = max(1, round(_EPOCHS * 10 / _TASK_S))
    for epoch in range(_EPOCHS + 1):
        values = [(key.weight_seed % 97 + epoch + 1) / 1009 for key in task.keys]
        yield EpochEnded(task.keys, epoch, 14 * epoch, dict.fromkeys(_METRICS, values))
        if epoch % beat == 0:
            yield Heartbeat(task.name)
    for key in task.keys:
        yield ReplicateEnded(
            key,
            "finished",
            wall_time_s=_TASK_S / len(task.keys),
            test={"loss": 1 / 3, "accuracy": 2 / 3},
            movement={f"{layer}/kernel": (1 / 7, 1 / 11) for layer in _LAYERS},
            wall_time_shared=True,
        )
    yield TaskEnded(task.name)


def _measured(key: Key) -> PropagationRecord:
    value = 1 / (key.weight_seed + 2)
    return PropagationRecord(
        list(_LAYERS),
        ["relu", "relu", "softmax"],
        [64, 64, 10],
        [0, 1],
        {f"{layer}/kernel": value for layer in _LAYERS},
        {quantity: [value] * len(_LAYERS) for quantity in _QUANTITIES},
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(_run(int(sys.argv[1]), Path(place))))
