"""Events as values: what is written is read as the same."""

import pytest

from runner import events
from runner.events import from_json, to_json
from runner.plan import Key
from runner.records import ConfigurationRecord, PropagationRecord, ReplicateRecord, SweepRecord

KEY = Key(3, 1, 2)
MEASURED = PropagationRecord(["a"], ["relu"], [3], [0], {"a/kernel": 0.1}, {"gain": [None]})
RECORD = ReplicateRecord(
    configuration=3,
    seed=None,
    weight_seed=1,
    batch_seed=2,
    status="finished",
    steps=[0, 5],
    curves={"loss": [0.1, 1 / 3]},
    wall_time_s=0.1,
    movement={"a/kernel": (1.0, None)},
    propagation=MEASURED,
)
SWEEP = SweepRecord("a", "b", "c", {}, "d", 0.95, id="e")
CONFIGURATION = ConfigurationRecord(3, "zero", {"é": 1.5}, {"model": {"width": [1, None, "x"]}})

EVENTS = [
    events.TaskStarted("0", 1, {"tensorflow": "2"}),
    events.Measured(3, (KEY,), (MEASURED,)),
    events.Resumed(KEY, [0, 5], {"loss": [0.1, 1 / 3]}),
    events.EpochEnded((KEY, Key(3, 0, 0)), 1, 5, {"loss": [1e-300, 0.1 + 0.2]}),
    events.WeightsWritten(KEY, "arriving/3-weights-1-batches-2.weights.h5"),
    events.ReplicateEnded(KEY, "diverged", 0.5, 1, 3, {"loss": 0.1}, {"a": (0.1, None)}),
    events.Restarted((KEY,)),
    events.CheckpointWritten("0", 2),
    events.Logged(30, 'a line with "quotes"', (3,)),
    events.Heartbeat("0"),
    events.TaskEnded("0", "failed", "why"),
    events.SweepPlanned(SWEEP, (CONFIGURATION,), 100),
    events.Judged(3, (MEASURED,), "healthy", "why"),
    events.ReplicateRecorded(RECORD),
    events.ConfigurationEnded(3, "finished", {"mean": 0.5}),
    events.Concluded("text", {3: 1}, {3: "worse"}),
    events.SweepEnded("failed", "results"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_is_written_is_read_as_the_same(event):
    content = to_json(event)
    assert b"\n" not in content
    assert from_json(content) == event


def test_every_kind_is_in_the_table():
    assert {type(event) for event in EVENTS} == set(events.KINDS.values())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"version": 2, "event": "Heartbeat", "value": {"task": "0"}}', "version 2"),
        (b'{"version": 1, "event": "Nothing", "value": {}}', "no event is called 'Nothing'"),
        (b'{"version": 1, "event": "Heartbeat", "value": {"task": 1}}', "`task`"),
        (b"[]", "no event"),
        (b"{", "no event"),
        (b'{"version": 1, "event": "Heartbeat", "value": {"task": "0"}', "Invalid JSON"),
    ],
)
def test_other_content_is_refused(content, reason):
    with pytest.raises(ValueError, match=reason):
        from_json(content)
