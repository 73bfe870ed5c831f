"""Which tasks of an earlier command are followed, and what their events become."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runner.config import ConfigError
from runner.events import (
    CheckpointWritten,
    EpochEnded,
    Heartbeat,
    Logged,
    Measured,
    ReplicateEnded,
    Restarted,
    Resumed,
    TaskEnded,
    TaskStarted,
    WeightsWritten,
)
from runner.execution.backends import adoption
from runner.execution.backends.frames import FrameWriter
from runner.execution.backends.task_files import Attempt, task_folder, write_task
from runner.execution.plan import Plan, Planned, Task
from runner.machine import Room
from runner.plan import Key
from runner.records import PropagationRecord

ROOM = Room(1, 2**30, 2**20)
A, B, C = Key(0, 0, 0), Key(1, 0, 0), Key(1, 1, 1)
IDENTITIES = {0: "a" * 64, 1: "b" * 64}
NAMES = {key: (IDENTITIES[key.configuration], key.weight_seed, key.batch_seed) for key in (A, B, C)}
# What the later command calls them: its configurations stand in the other order.
THERE_HERE = {B: Key(0, 0, 0), C: Key(0, 1, 1)}
RECORDS = [PropagationRecord([], [], [], [], {}, {}, verdict=name) for name in "abc"]


@pytest.fixture(autouse=True)
def released():
    yield
    adoption.release()


@pytest.fixture
def sweep(tmp_path):
    """The folder of an earlier sweep with one task, which nobody follows."""
    folder = tmp_path / "2026-11-28" / "10-00-00"
    folder.mkdir(parents=True)
    task = Task("3", 0, (A, B, C), ROOM)
    planned = tuple(Planned(index, {}, identity) for index, identity in IDENTITIES.items())
    Plan("earlier", configurations=planned, tasks=(task,)).write(folder)
    write_task(folder, task)
    return folder


def told(folder, *events, task="3", number=1):
    """Writes what an attempt has told."""
    writer = FrameWriter(folder, Attempt(task, number))
    for event in events:
        writer.write(event)
    writer.close()


def found(folder, wanted, alive=()):
    root = folder.parents[1]
    return list(
        adoption.find(
            root, [NAMES[key] for key in wanted], lambda sweep: alive if sweep == "earlier" else ()
        )
    )


def here(folder, file):
    """The attempt as a later sweep follows it that wants B and C, under other numbers."""
    task = Task("0", 0, tuple(THERE_HERE.values()), ROOM, adopted=str(file))
    planned = (Planned(0, {}, IDENTITIES[1]), Planned(1, {}, IDENTITIES[0]))
    return adoption.adopted(task, Plan("later", configurations=planned, tasks=(task,)))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (TaskStarted("3", 2, {"python": "3.11"}), TaskStarted("0", 2, {"python": "3.11"})),
        (CheckpointWritten("3", 7), CheckpointWritten("0", 7)),
        (Heartbeat("3"), Heartbeat("0")),
        (TaskEnded("3", "interrupted"), TaskEnded("0", "interrupted")),
        (Measured(0, (A,), (RECORDS[0],)), Heartbeat("0")),
        (
            Measured(1, (B, C), tuple(RECORDS[1:])),
            Measured(0, tuple(THERE_HERE.values()), tuple(RECORDS[1:])),
        ),
        (
            EpochEnded((A, B, C), 1, 14, {"loss": [0.1, 0.2, 0.3]}),
            EpochEnded(tuple(THERE_HERE.values()), 1, 14, {"loss": [0.2, 0.3]}),
        ),
        (EpochEnded((A,), 1, 14, {"loss": [0.1]}), Heartbeat("0")),
        (Restarted((A, C)), Restarted((THERE_HERE[C],))),
        (Restarted((A,)), Heartbeat("0")),
        (Resumed(B, [0], {"loss": [0.1]}), Resumed(THERE_HERE[B], [0], {"loss": [0.1]})),
        (Resumed(A, [0], {"loss": [0.1]}), Heartbeat("0")),
        (ReplicateEnded(C, "diverged", 1.5), ReplicateEnded(THERE_HERE[C], "diverged", 1.5)),
        (ReplicateEnded(A, "finished"), Heartbeat("0")),
        (WeightsWritten(C, "arriving/x"), WeightsWritten(THERE_HERE[C], "arriving/x")),
        (WeightsWritten(A, "arriving/x"), Heartbeat("0")),
        (Logged(30, "of all"), Logged(30, "of all")),
        (Logged(30, "of both", (0, 1)), Logged(30, "of both", (0,))),
        (Logged(30, "of the other", (0,)), Heartbeat("0")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_is_told_of_the_replicates_that_are_wanted(event, expected):
    assert adoption.renamed(event, "0", THERE_HERE) == expected


def test_a_worker_that_lives_is_followed_with_all_that_is_wanted_of_it(sweep):
    told(sweep, TaskStarted("3", 1), number=1)
    (only,) = found(sweep, (B, C), alive=[Attempt("3", 2)])
    assert only.frames == task_folder(sweep, "3") / "2.frames"
    assert only.names == (NAMES[B], NAMES[C])
    task = only.task((C, B))
    assert (task.keys, task.room, task.adopted) == ((C, B), ROOM, str(only.frames))


def test_of_a_worker_that_is_gone_counts_what_has_ended(sweep):
    told(sweep, TaskStarted("3", 1), ReplicateEnded(B, "finished"), ReplicateEnded(C, "failed"))
    (only,) = found(sweep, (A, B, C))
    assert only.names == (NAMES[B],)


def test_nothing_is_followed_that_nobody_has_begun(sweep):
    assert found(sweep, (A, B, C)) == []


def test_nothing_is_followed_that_is_not_wanted(sweep):
    told(sweep, TaskStarted("3", 1), ReplicateEnded(B, "finished"))
    assert found(sweep, (A,), alive=[Attempt("9", 1)]) == []


def test_a_part_of_a_task_comes_before_the_task(sweep):
    part = Task("3.1", 0, (C,), ROOM)
    write_task(sweep, part)
    told(sweep, TaskStarted("3", 3))
    both = found(sweep, (A, B, C), alive=[Attempt("3", 3), Attempt("3.1", 1)])
    assert [(item.frames.parent.name, item.names) for item in both] == [
        ("3.1", (NAMES[C],)),
        ("3", (NAMES[A], NAMES[B])),
    ]


def test_following_ends_with_the_last_replicate_that_is_wanted(sweep):
    told(
        sweep,
        TaskStarted("3", 1),
        ReplicateEnded(B, "finished"),
        ReplicateEnded(C, "finished"),
        EpochEnded((A,), 0, 0, {"loss": [0.1]}),
    )
    (only,) = found(sweep, (B, C))
    followed = here(sweep, only.frames)
    assert followed.attempt == Attempt("0", 1)
    assert (followed.earlier, followed.sweep) == (Attempt("3", 1), "earlier")
    assert [(frame.number, frame.event) for frame in followed.frames()] == [
        (0, TaskStarted("0", 1)),
        (1, ReplicateEnded(THERE_HERE[B], "finished")),
        (2, ReplicateEnded(THERE_HERE[C], "finished")),
        (3, TaskEnded("0")),
    ]
    assert list(followed.frames()) == []


def test_a_second_parent_is_told_who_the_first_is(sweep):
    told(sweep, TaskStarted("3", 1))
    code = f"""
        from pathlib import Path
        from runner.execution.backends import adoption

        adoption.own(Path({str(sweep)!r}))
        print("followed", flush=True)
        input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=Path(adoption.__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout.readline() == "followed\n"
        with pytest.raises(ConfigError, match=rf"process {first.pid} on "):
            found(sweep, (B,), alive=[Attempt("3", 1)])
        first.communicate("\n")
    assert found(sweep, (B,), alive=[Attempt("3", 1)])
