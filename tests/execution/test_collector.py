"""Events by hand: what a collector makes of them, whatever their source."""

from dataclasses import dataclass, field

import pytest

from runner.events import (
    ConfigurationEnded,
    EpochEnded,
    Event,
    Heartbeat,
    Judged,
    Measured,
    ReplicateEnded,
    ReplicateRecorded,
    Restarted,
    Resumed,
    SweepEnded,
    SweepPlanned,
    TaskStarted,
)
from runner.execution.collector import Collector
from runner.plan import Key
from runner.records import ConfigurationRecord, PropagationRecord, SweepRecord

SWEEP = SweepRecord("a/b", "python -m runner", "2026-01-01T00:00:00", {}, "a machine", 0.95, id="x")
A, B = Key(0, 0, 0), Key(0, 1, 1)


@dataclass
class Witness:
    """A recorder that remembers."""

    seen: list[Event] = field(default_factory=list)

    def take(self, event):
        self.seen.append(event)

    def of(self, kind):
        return [event for event in self.seen if isinstance(event, kind)]


def configuration(index=0, replicates=2, **more):
    return ConfigurationRecord(
        index, "zero", {}, {}, endpoint="val_accuracy", num_replicates=replicates, **more
    )


def epoch(number, *keys, value=0.5):
    values = [value] * len(keys)
    return EpochEnded(keys, number, 7 * number, {"loss": values, "val_accuracy": values})


@pytest.fixture
def collecting():
    witness = Witness()
    collector = Collector([witness])
    collector.plan(SWEEP, [configuration()], 10)
    return collector, witness


def record_of(witness, key):
    (record,) = (
        event.record
        for event in witness.of(ReplicateRecorded)
        if (event.record.weight_seed, event.record.batch_seed) == key[1:]
    )
    return record


def test_epochs_of_many_become_the_record_of_each(collecting):
    collector, witness = collecting
    for event in (epoch(0, A, B), epoch(1, A, B, value=0.25), epoch(2, B)):
        collector.take(event)
    collector.take(ReplicateEnded(A, "diverged", diverged_epoch=2, diverged_step=9))
    collector.take(ReplicateEnded(B, "finished"))
    assert record_of(witness, A).curves["loss"] == [0.5, 0.25]
    assert record_of(witness, A).diverged_step == 9
    assert record_of(witness, B).steps == [0, 7, 14]
    (ended,) = witness.of(ConfigurationEnded)
    assert (ended.end, ended.endpoint["num_diverged"]) == ("finished", 1)


@pytest.mark.parametrize(
    "again",
    [
        (epoch(0, A, value=0.1), ReplicateEnded(A, "finished")),
        (Resumed(A, [0], {"loss": [0.1], "val_accuracy": [0.1]}),),
        (Measured(0, (A,), (PropagationRecord([], [], [], [], {}, {}),)),),
        (ReplicateEnded(A, "failed", error="a late one"),),
    ],
    ids=["trained twice", "resumed", "measured", "failed"],
)
def test_what_is_told_after_the_end_does_not_count(collecting, again):
    collector, witness = collecting
    collector.take(epoch(0, A))
    collector.take(ReplicateEnded(A, "finished"))
    before = list(witness.seen)
    for event in again:
        collector.take(event)
    assert witness.seen == before


def test_another_attempt_begins_anew_for_those_that_have_not_ended(collecting):
    collector, witness = collecting
    for event in (epoch(0, A, B), epoch(1, A, B), ReplicateEnded(A, "finished")):
        collector.take(event)
    collector.take(Restarted((A, B)))
    for number in range(3):
        collector.take(epoch(number, A, B, value=0.75))
    collector.take(ReplicateEnded(B, "finished"))
    assert record_of(witness, A).curves["loss"] == [0.5, 0.5]
    assert record_of(witness, B).curves["loss"] == [0.75] * 3


def test_a_resumed_replicate_has_its_earlier_epochs(collecting):
    collector, witness = collecting
    collector.take(Resumed(A, [0, 7], {"loss": [0.5, 0.25], "val_accuracy": [0.5, 0.25]}))
    collector.take(epoch(2, A))
    collector.take(ReplicateEnded(A, "finished"))
    assert record_of(witness, A).curves["loss"] == [0.5, 0.25, 0.5]


def test_what_only_people_look_at_is_handed_on(collecting):
    collector, witness = collecting
    for event in (TaskStarted("0", 1, {"host": "n2"}), Heartbeat("0")):
        collector.take(event)
        assert witness.seen[-1] == event


def test_who_may_get_more_replicates_does_not_end(collecting):
    collector, witness = collecting
    collector.plan(SWEEP, [configuration(), configuration(1)], 10, growing=[0, 1])
    for key in (A, B, Key(1, 0, 0), Key(1, 1, 1)):
        collector.take(ReplicateEnded(key, "finished"))
    assert not witness.of(ConfigurationEnded)
    collector.settle([1])
    assert [event.configuration for event in witness.of(ConfigurationEnded)] == [1]
    collector.plan(SWEEP, [configuration(replicates=3), configuration(1)], 5, growing=[0])
    collector.take(ReplicateEnded(Key(0, 2, 2), "finished"))
    collector.settle([0, 1])
    assert [event.configuration for event in witness.of(ConfigurationEnded)] == [1, 0]


def test_stopping_ends_who_might_have_got_more(collecting):
    collector, witness = collecting
    collector.plan(SWEEP, [configuration(replicates=1)], 10, growing=[0])
    collector.take(ReplicateEnded(A, "finished"))
    collector.stop("interrupted")
    assert [event.end for event in witness.of(ConfigurationEnded)] == ["interrupted"]


def test_stopping_keeps_what_had_come_so_far(collecting):
    collector, witness = collecting
    collector.take(epoch(0, A))
    collector.stop("interrupted")
    collector.close("interrupted", None)
    assert record_of(witness, A).status == "interrupted"
    assert [event.end for event in witness.of(ConfigurationEnded)] == ["interrupted"]
    assert witness.of(SweepEnded) == [SweepEnded("interrupted")]


def test_step_0_is_judged_once_for_what_is_new(collecting):
    collector, witness = collecting
    found = PropagationRecord(["a"], ["relu"], [4], [0], {}, {"off_share": [0.0]})
    for _ in range(2):
        collector.take(Measured(0, (A,), (found,)))
    assert len(witness.of(Judged)) == 1
    collector.take(Measured(0, (B,), (found,)))
    assert [len(event.records) for event in witness.of(Judged)] == [1, 2]


def test_a_sweep_goes_on_with_another_batch(collecting):
    collector, witness = collecting
    for key in (A, B):
        collector.take(ReplicateEnded(key, "failed", error="luck"))
    refused = configuration(1, error="why")
    collector.plan(SWEEP, [configuration(), refused, configuration(2, replicates=1)], 5)
    collector.take(ReplicateEnded(Key(2, 0, 0), "finished"))
    ends = {event.configuration: event.end for event in witness.of(ConfigurationEnded)}
    assert ends == {0: "failed", 1: "failed", 2: "finished"}
    assert collector.failures() == {0: "luck", 1: "why"}
    assert [event.num_epochs for event in witness.of(SweepPlanned)] == [10, 5]
