"""A training that was cut off goes on where it was, and gives the numbers of one that was not."""

import json
import signal

import numpy as np
import pandas as pd
import pytest

from runner.execution import checkpoints
from runner.execution.checkpoints import CheckpointWriter
from runner.records import read_replicates
from runner.training import vectorized

TINY = (
    *("dataset=iris", "model.width=8", "training.epochs=6", "report.figures=false"),
    *("tracking=none", "seeds=3", "engine=keras"),  # which compiles nothing
)

# Every form of the compiled program, the reference, and every kind of variable that is kept.
TRAININGS = {
    "reference": ("engine=keras", "optimizer=nadam", "model.dropout=0.5"),
    "stacked": ("engine=vectorized", "optimizer=adam", "optimizer.schedule=cosine"),
    "unrolled": (
        *("engine=vectorized", "optimizer=momentum"),
        *("model.dropout=0.5", "model.batch_norm=true"),
    ),
    "single": ("engine=vectorized", "optimizer.clipnorm=1"),
}


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these train."""


@pytest.fixture
def stop_at(monkeypatch):
    """Returns a function that lets SIGTERM arrive when an engine pauses for the n-th time."""
    call = CheckpointWriter.__call__

    def stop(pause: int) -> None:
        calls = []
        monkeypatch.setattr(vectorized, "_CALL_S", 0.0)  # one epoch a call

        def paused(self, take):
            calls.append(1)
            if len(calls) == pause:
                signal.raise_signal(signal.SIGTERM)
            call(self, take)

        monkeypatch.setattr(CheckpointWriter, "__call__", paused)

    return stop


def numbers_of(folder):
    """Returns curves and movements, in one order."""
    keys = ["init", "optimizer.learning_rate", "seed"]
    curves = pd.read_parquet(folder / "curves.parquet")
    movement = pd.read_csv(folder / "movement.csv")
    rest = [key for key in keys if key in curves]
    return (
        curves.sort_values([*rest, "configuration", "metric", "epoch"], ignore_index=True),
        movement.sort_values([*rest, "configuration", "parameter"], ignore_index=True),
    )


def assert_same_numbers(first, second):
    for one, other in zip(numbers_of(first), numbers_of(second), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_a_resumed_training_gives_the_numbers_of_a_whole_one(command, stop_at, name):
    arguments = ("--multirun", *TINY, "init=he_normal,orthogonal", *TRAININGS[name])
    stop_at(2)
    done = command(*arguments)
    first = done.folder.resolve()
    assert done.code == 130
    assert done.output.count("Interrupted.") == 1
    assert len(list(first.glob("checkpoints/*.npz"))) == 1
    stop_at(1)  # once more, soon after it went on
    assert command(*arguments).code == 130
    stop_at(0)
    again = command(*arguments)
    assert again.code == 0
    assert "Going on after epoch" in again.output
    second = again.folder.resolve()
    assert {record.status for record in read_replicates(second)} == {"finished"}
    assert not list(first.parents[1].glob("*/*/checkpoints"))
    whole = command(*arguments, "rerun=true")
    assert "Going on" not in whole.output
    assert_same_numbers(second, whole.folder)


@pytest.mark.slow
def test_members_that_are_not_wanted_any_more_stay_in_the_program(command, stop_at):
    rates = "optimizer.learning_rate=1e20,0.1,0.01"  # the first diverges before the checkpoint
    stop_at(3)
    assert command("--multirun", *TINY, "engine=vectorized", rates).code == 130
    stop_at(0)
    part = command(
        *("--multirun", *TINY, "engine=vectorized", "optimizer.learning_rate=1e20,0.1")
    ).folder.resolve()
    assert [record.status for record in read_replicates(part)] == ["diverged"] * 3 + [
        "finished"
    ] * 3
    whole = command("--multirun", *TINY, "engine=vectorized", rates, "rerun=true").folder.resolve()
    ours, theirs = (
        {
            (record.configuration, record.seed): record.curves
            for record in read_replicates(folder)
            if record.configuration < 2
        }
        for folder in (part, whole)
    )
    assert ours == theirs


@pytest.mark.slow
def test_a_larger_command_goes_on_too(command, stop_at):
    stop_at(2)
    assert command(*TINY, "init=he_normal").code == 130
    stop_at(0)
    done = command("--multirun", *TINY, "init=he_normal,zero", "seeds=4")
    assert done.code == 0
    assert "Going on after epoch 1" in done.output
    assert {record.status for record in read_replicates(done.folder)} == {"finished"}
    assert len(read_replicates(done.folder)) == 8


@pytest.mark.slow
def test_rerun_starts_from_the_beginning(command, stop_at):
    stop_at(2)
    assert command(*TINY).code == 130
    stop_at(0)
    done = command(*TINY, "rerun=true")
    assert done.code == 0
    assert "Going on" not in done.output


def test_checkpoints_come_when_they_are_due(command, monkeypatch):
    written = []
    monkeypatch.setattr(
        CheckpointWriter, "_write", lambda self, path, snapshot: written.append(snapshot.epoch)
    )
    command(*TINY, "seeds=1", "training.checkpoint_every_s=1e-9")
    often, written = list(written), written.clear() or written
    command(*TINY, "seeds=1", "rerun=true")
    assert 0 in often
    assert written == []


@pytest.mark.parametrize(
    "damage",
    [
        "other numbers",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("cut", "empty", "pickle")),
    ],
)
def test_a_damaged_checkpoint_is_told_and_not_used(command, stop_at, damage):
    stop_at(2)
    arguments = (*TINY, "init=he_normal")
    folder = command(*arguments).folder.resolve()
    stop_at(0)
    (path,) = folder.glob("checkpoints/*.npz")
    content = path.read_bytes()
    if damage in ("cut", "empty"):
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    else:
        with np.load(path) as arrays:
            values = {name: arrays[name] for name in arrays.files}
        if damage == "pickle":
            values["about"] = np.array([{"members": []}], object)
        else:
            about = values["about"]
            values = {name: value.reshape(-1)[:1] for name, value in values.items()}
            values["about"] = about
        np.savez(path, **values)
    done = command(*arguments)
    assert done.code == 0
    assert "Traceback" not in done.output
    assert "npz" in done.output
    assert {record.status for record in read_replicates(done.folder)} == {"finished"}


@pytest.mark.slow
def test_a_full_disk_stops_the_checkpoints_and_nothing_else(command, monkeypatch):
    def refuse(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "replacing", refuse)
    done = command(*TINY, "training.checkpoint_every_s=1e-9")
    assert done.code == 0
    assert done.output.count("no checkpoint can be written") == 1
    assert {record.status for record in read_replicates(done.folder)} == {"finished"}


@pytest.mark.slow
def test_what_a_checkpoint_says_can_be_read_without_pickle(command, stop_at):
    stop_at(2)
    folder = command(*TINY, "init=he_normal").folder.resolve()
    (path,) = folder.glob("checkpoints/*.npz")
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
    assert about["epoch"] == 1
    assert [len(steps) for _, steps, _ in about["curves"]] == [2]
