"""What a sweep says of itself while it runs, where there is no live display."""

import platform
import sys
import types
from dataclasses import replace

import pytest
from rich import get_console

from runner import terminal
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
from runner.terminal import DETAIL

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
    caplog.set_level(DETAIL, "runner.recording.console")
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


VERDICT = "zero model.depth=2 is dead: all units are 0. Take he_normal."


def test_a_verdict_and_its_tables_go_to_the_log_and_one_warning_to_the_console(console, told):
    console.take(Judged(0, (MEASURED,), "dead", "all units are 0", "Take he_normal."))
    (level, tables), verdict = told()
    assert level == "DETAIL"
    for text in ("zero model.depth=2: initial weights", "a/kernel", "mean of 1 seed", "0.25"):
        assert text in tables
    assert verdict == ("DETAIL", VERDICT)
    console.take(epoch(1, *KEYS))
    console.take(epoch(2, *KEYS))
    assert told()[2:] == [("WARNING", f"Before training, {VERDICT.replace(' is ', ' looks ')}")]
    console.take(Judged(0, (MEASURED, MEASURED), "dead", "all units are 0", "Take he_normal."))
    console.take(Judged(0, (MEASURED, MEASURED), "healthy", "all is well"))
    assert told()[3:] == [("DETAIL", "zero model.depth=2 is healthy: all is well.")]


def test_where_nothing_is_trained_the_verdict_is_the_answer(told):
    console = ConsoleRecorder()
    record = replace(CONFIGURATION, settings={"training": {"name": "none"}})
    console.take(SweepPlanned(SWEEP, (record,), num_epochs=0))
    console.take(Judged(0, (MEASURED,), "dead", "all units are 0", "Take he_normal."))
    console.take(epoch(0, *KEYS))
    console.take(SweepEnded("finished"))
    assert [level for level, _ in told()] == ["INFO", "INFO"]
    assert told()[1] == ("INFO", VERDICT)


@pytest.mark.parametrize("is_trained", [True, False])
def test_one_line_names_all_that_look_unhealthy(told, is_trained):
    names = [*("zero", "ones", "constant", "uniform", "normal", "glorot_uniform"), "he_normal"]
    verdicts = ["symmetric"] * 3 + ["vanishing"] * 2 + ["healthy"] * 2
    console = ConsoleRecorder()
    configurations = [
        replace(CONFIGURATION, index=index, init=name, factors={})
        for index, name in enumerate(names)
    ]
    console.take(SweepPlanned(SWEEP, tuple(configurations), num_epochs=6))
    for index, verdict in enumerate(verdicts):
        console.take(Judged(index, (MEASURED,), verdict, "why"))
        if not is_trained:  # an earlier command has: there will be no epoch
            console.take(ConfigurationEnded(index, "finished", {}))
    if is_trained:
        console.take(epoch(0, *KEYS))
    console.take(SweepEnded("finished"))
    shown = [line for line in told() if line[0] != "DETAIL"]
    text = (
        "5 of 7 initializers look unhealthy before training (zero: symmetric, ones: symmetric, "
        "constant: symmetric, uniform: vanishing and 1 more): details in the report."
    )
    assert shown == [("WARNING", text)]


def test_failures_and_ends_are_told(console, told):
    console.take(ended(0))
    console.take(ended(1, "failed", error="ValueError: no"))
    console.take(ended(2, "failed", error="ValueError: no"))
    console.take(ConfigurationEnded(0, "failed", {"mean": 0.75}))
    assert told() == [
        ("ERROR", "zero model.depth=2 seed 1 failed: ValueError: no"),
        ("DETAIL", "zero model.depth=2 seed 2 failed: ValueError: no"),
        ("INFO", "zero model.depth=2: 2 failed, 1 finished, val_accuracy 0.7500 (4.5 s)"),
    ]


def test_a_long_silence_is_broken(console, told):
    console.take(epoch(1, *KEYS))
    assert told() == []
    console.last_line -= 61.0
    console.take(epoch(2, *KEYS))
    text = "6 of 6 epochs: zero model.depth=2 seed 2  epoch 2  loss 0.5  val_loss 0.5"
    assert told() == [("INFO", text)]


class Shown:
    """What a notebook has displayed."""

    def __init__(self, page):
        self.pages = [page]

    def update(self, page):
        self.pages.append(page)


def test_a_notebook_shows_a_bar(monkeypatch):
    """IPython need not be there: a stand-in tells what it is given."""
    shown: list[Shown] = []

    def display(page, display_id):
        shown.append(Shown(page))
        return shown[-1]

    stand_in = types.SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=stand_in))
    monkeypatch.setitem(sys.modules, "IPython.display", stand_in)
    monkeypatch.setattr(get_console(), "is_jupyter", True)
    monkeypatch.setattr(terminal, "_BAR_EVERY_S", -1.0)
    recorder = ConsoleRecorder()
    recorder.take(SweepPlanned(SWEEP, (CONFIGURATION,), 6))
    for number in (1, 2):
        recorder.take(epoch(number, *KEYS))
    recorder.take(SweepEnded("finished"))
    (bar,) = shown
    values = [page.partition(' max="6"')[0].rpartition("=")[2] for page in bar.pages[:-1]]
    assert values == ['"3"', '"6"']
    assert bar.pages[-1] == ""
