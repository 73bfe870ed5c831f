"""What a sweep says of itself while it runs, where there is no live display."""

import logging
import platform

import pytest

from runner.events import (
    ConfigurationEnded,
    EpochEnded,
    Heartbeat,
    Judged,
    ReplicateRecorded,
    Restarted,
    Resumed,
    SweepEnded,
    SweepPlanned,
    TaskStarted,
)
from runner.plan import Key
from runner.recording.console import ConsoleRecorder
from runner.records import (
    ConfigurationRecord,
    KernelRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
)

SWEEP = SweepRecord("name", "command", "now", {}, "here")
CONFIGURATION = ConfigurationRecord(
    index=0,
    init="zero",
    factors={"model.depth": 2},
    settings={},
    kernels=[KernelRecord("a/kernel", (3, 5), "zero", 3, 5, 0.0)],
    endpoint="val_accuracy",
    num_replicates=3,
)
KEYS = tuple(Key(0, seed, seed) for seed in range(3))
MEASURED = PropagationRecord(
    ["a"], ["relu"], [5], [0], {"a/kernel": 0.0}, {"weight_variance": [0.25]}
)


def epoch(number: int, *keys: Key) -> EpochEnded:
    metrics = {name: [0.5] * len(keys) for name in ("loss", "val_loss")}
    return EpochEnded(keys, number, 9 * number, metrics)


def ended(seed: int, status: str = "finished", **more) -> ReplicateRecorded:
    return ReplicateRecorded(
        ReplicateRecord(0, seed, seed, seed, status, [0, 9], {"loss": [1.0, 0.5]}, 1.5, **more)
    )


@pytest.fixture
def console():
    console = ConsoleRecorder()
    console.take(SweepPlanned(SWEEP, (CONFIGURATION,), num_epochs=6))
    yield console
    console.take(SweepEnded("finished"))


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "runner.recording.console")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def test_epochs_of_all_replicates_count_once(console):
    console.take(epoch(0, *KEYS))
    assert (console.done, console.num_epochs) == (0, 6)
    console.take(epoch(1, *KEYS))
    assert console.done == 3
    console.take(Restarted(KEYS[:2]))
    for number in range(3):
        console.take(epoch(number, *KEYS[:2]))
    assert console.done == 2 * 2 + 1
    console.take(Resumed(KEYS[2], [0, 9, 18], {"loss": [1.0, 0.5, 0.25]}))
    assert console.done == 6
    console.take(SweepPlanned(SWEEP, (CONFIGURATION,), num_epochs=4))
    assert console.num_epochs == 10


def test_only_a_task_on_another_machine_is_named(console, told):
    console.take(TaskStarted("0", 1))
    console.take(TaskStarted("0", 1, {"host": platform.node()}))
    console.take(Heartbeat("0"))
    assert told() == []
    console.take(TaskStarted("1", 1, {"host": "n1"}))
    console.take(TaskStarted("1", 2, {"host": "n2"}))
    assert told() == [("INFO", "Task 1 runs on n1"), ("INFO", "Task 1 runs on n2, attempt 2")]


def test_a_verdict_comes_with_its_reason_its_advice_and_tables(console, told, capsys):
    console.take(Judged(0, (MEASURED,), "dead", "all units are 0", "Take he_normal."))
    told_of = "zero model.depth=2 is dead: all units are 0. Take he_normal."
    assert told() == [("WARNING", told_of)]
    output = " ".join(capsys.readouterr().out.split())
    for text in ("zero model.depth=2: initial weights", "a/kernel", "mean of 1 seed", "0.25"):
        assert text in output
    console.take(Judged(0, (MEASURED, MEASURED), "dead", "all units are 0", "Take he_normal."))
    console.take(Judged(0, (MEASURED, MEASURED), "healthy", "all is well"))
    assert told()[1:] == [("INFO", "zero model.depth=2 is healthy: all is well.")]
    assert capsys.readouterr().out == ""


def test_failures_and_ends_are_told(console, told):
    console.take(ended(0))
    console.take(ended(1))
    console.take(ended(2, "failed", error="ValueError: no"))
    console.take(ConfigurationEnded(0, "failed", {"mean": 0.75}))
    assert told() == [
        ("ERROR", "zero model.depth=2 seed 2 failed: ValueError: no"),
        ("INFO", "zero model.depth=2: 2 finished, 1 failed, val_accuracy 0.7500 (4.5 s)"),
    ]


def test_a_long_silence_is_broken(console, told):
    console.take(epoch(1, *KEYS))
    assert told() == []
    console.told -= 61.0
    console.take(epoch(2, *KEYS))
    text = "6 of 6 epochs: zero model.depth=2 seed 2  epoch 2  loss 0.5  val_loss 0.5"
    assert told() == [("INFO", text)]
