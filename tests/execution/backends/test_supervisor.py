"""The supervisor against a cluster that does what a table says: every replicate ends, once."""

import itertools
from collections import Counter

import pytest

from runner import interruption
from runner.config import ConfigError
from runner.events import (
    EpochEnded,
    Heartbeat,
    Logged,
    ReplicateEnded,
    Restarted,
    TaskEnded,
    TaskStarted,
)
from runner.execution.backends.order import ConflictError
from runner.execution.backends.supervisor import Attempt, Frame, Supervisor
from runner.execution.under_way import UnderWay, without
from tests.execution.backends.made_up import EPOCHS, epoch, keys, plan, task, whole

GONE, SILENT, ENDS = "gone", "silent", "ends"


class Table:
    """A cluster whose attempts do what a function says, each at once.

    Attributes:
      behave: Attempt, task -> its events, and what becomes of it then.
      arrange: Frames -> in which order, and how often, they come.
      submitted, stopped: What was asked for.
    """

    def __init__(self, behave, arrange=list, left=()):
        self.behave, self.arrange = behave, arrange
        self.submitted, self.stopped = [], []
        self.running, self.coming, self.told = {}, [], {}
        for attempt, own in left:
            self.start(attempt, own)

    def start(self, attempt, own):
        events, end = self.behave(attempt, own)
        frames = [Frame(*attempt, number, event) for number, event in enumerate(events)]
        self.coming += self.arrange(frames)
        self.told[attempt] = len(frames)
        self.running[attempt] = end

    def submit(self, attempt, own):
        assert attempt.task == own.name
        self.submitted.append(attempt)
        self.start(attempt, own)

    def frames(self, timeout_s):
        came, self.coming = self.coming, []
        self.running = {a: end for a, end in self.running.items() if end == SILENT}
        return came

    def states(self):
        return dict.fromkeys(self.running, "running on n1")

    def stop(self, attempt, at_once):
        self.stopped.append((attempt, at_once))
        if at_once:
            self.running.pop(attempt, None)
        elif attempt in self.running:
            self.tell(attempt, Logged(30, "late"))
            self.tell(attempt, TaskEnded(attempt.task, "interrupted"))
            self.running[attempt] = GONE

    def tell(self, attempt, event):
        self.coming.append(Frame(*attempt, self.told[attempt], event))
        self.told[attempt] += 1

    def ending(self, attempt):
        return f"killed by SIGKILL; its log ends: last line of {attempt.task}"

    def close(self):
        self.running = {}


def well(attempt, own):
    return whole(own, attempt.number), ENDS


def supervised(cluster, retries=2, **options):
    times = {"heartbeat_s": 0.02, "start_s": 0.1, "linger_s": 0.0, "poll_s": 0.0, **options}
    return Supervisor(cluster, retries, **times)


def run(cluster, tasks, **options):
    return list(supervised(cluster, **options).run(plan(*tasks), tasks))


def recorded(events):
    """Returns what a collector would make of them: key -> status, epochs, losses."""
    under_way, found = UnderWay(), {}
    for event in events:
        if isinstance(event, ReplicateEnded):
            assert event.key not in found
            steps, curves = under_way.get(event.key, ([], {}))
            found[event.key] = (event.status, len(steps), curves.get("loss"))
        told = without(event, {*found}) if isinstance(event, EpochEnded) else event
        if told is not None:
            under_way.take(told)
    return found


def undisturbed(own):
    return recorded(event for each in own for event in whole(each, 1))


TASKS = (task("0", keys(4)), task("1", keys(3, configuration=1)))


def first_attempts(events_before, end, tasks=("0",), attempts=(1,)):
    """Returns a cluster in which some attempts end early."""

    def behave(attempt, own):
        if attempt.task in tasks and attempt.number in attempts:
            return whole(own, attempt.number)[:events_before], end
        return well(attempt, own)

    return behave


LOST = [
    pytest.param(first_attempts(count, end, tasks, attempts), id=f"{count}-{end}-{tasks}")
    for (count, tasks, attempts), end in itertools.product(
        [(0, ("1",), (1,)), (2, ("0",), (1,)), (4, ("0", "1"), (1, 2)), (7, ("0",), (1, 2))],
        [GONE, SILENT],
    )
]


@pytest.mark.parametrize("behave", LOST)
def test_a_lost_worker_changes_no_record(behave):
    events = run(Table(behave), TASKS)
    assert recorded(events) == undisturbed(TASKS)
    ends = [event for event in events if isinstance(event, TaskEnded)]
    assert sorted(ends, key=lambda end: end.task) == [TaskEnded("0"), TaskEnded("1")]
    assert not any(isinstance(event, Heartbeat) for event in events)


def test_a_task_whose_end_was_lost_only_is_not_tried_again():
    cluster = Table(first_attempts(-1, GONE))
    assert recorded(run(cluster, TASKS)) == undisturbed(TASKS)
    assert [attempt for attempt in cluster.submitted if attempt.number > 1] == []


@pytest.mark.parametrize(
    "arrange",
    [
        lambda frames: frames[::-1],
        lambda frames: frames * 2,
        lambda frames: [frame for frame in frames for _ in range(3)],
        lambda frames: frames[1::2] + frames[::2] + frames[::3],
    ],
    ids=["backwards", "twice", "three times", "mixed"],
)
def test_order_and_repetition_of_frames_change_nothing(arrange):
    tasks = (task("0", keys(3)), task("1", keys(2, configuration=1)))
    expected = run(Table(well), tasks)
    assert sorted(map(repr, run(Table(well, arrange), tasks))) == sorted(map(repr, expected))


def test_two_workers_of_one_attempt_are_an_error_that_ends_the_others():
    def behave(attempt, own):
        return whole(own, attempt.number)[:4], SILENT

    def arrange(frames):
        return [*frames, frames[2]._replace(event=Heartbeat("another"))]

    cluster = Table(behave, arrange)
    with pytest.raises(ConflictError, match="Two workers run the same attempt"):
        run(cluster, TASKS)
    assert not cluster.running


@pytest.mark.parametrize("poison", range(5))
def test_the_replicate_that_takes_its_workers_along_is_found(poison):
    own = task("0", keys(5))
    bad = own.keys[poison]

    def behave(attempt, each):
        return (whole(each, attempt.number)[:4], GONE) if bad in each.keys else well(attempt, each)

    cluster = Table(behave)
    events = run(cluster, [own])
    expected = undisturbed([own])
    found = recorded(events)
    assert found.pop(bad)[0] == "failed"
    assert found == {key: value for key, value in expected.items() if key != bad}
    [failed] = [e for e in events if isinstance(e, ReplicateEnded) and e.status == "failed"]
    assert "lost 3 times: its process ended; killed by SIGKILL" in failed.error
    assert "its log ends: last line of 0." in failed.error
    assert [e for e in events if isinstance(e, TaskEnded)] == [
        TaskEnded("0", "failed", failed.error)
    ]
    tries = Counter(attempt.task for attempt in cluster.submitted)
    assert tries["0"] == 3
    assert sum(tries.values()) <= 3 + 2 * 3 + 3


def test_a_task_without_retries_is_cut_at_once():
    own = task("0", keys(2))
    cluster = Table(first_attempts(4, GONE))
    assert recorded(run(cluster, [own], retries=0)) == undisturbed([own])
    assert cluster.submitted == [("0", 1), ("0.0", 1), ("0.1", 1)]


def test_an_attempt_that_was_given_up_and_comes_back_is_not_listened_to():
    behind = []

    def behave(attempt, own):
        if attempt == ("0", 1):
            behind.extend(Frame(*attempt, n, e) for n, e in enumerate(whole(own, 1)))
            return whole(own, 1)[:3], SILENT
        if attempt == ("0", 2):
            cluster.coming += behind[3:]
        return well(attempt, own)

    cluster = Table(behave)
    assert recorded(run(cluster, TASKS)) == undisturbed(TASKS)
    assert (("0", 1), True) in cluster.stopped


def test_a_worker_that_was_told_to_end_is_no_loss():
    def behave(attempt, own):
        if attempt.number < 9:
            events = [TaskStarted(own.name, attempt.number), epoch(own.keys, 1)]
            return [*events, TaskEnded(own.name, "interrupted")], ENDS
        return well(attempt, own)

    own = task("0", keys(1))
    events = run(Table(behave), [own], retries=0)
    assert recorded(events) == undisturbed([own])


def test_workers_that_are_never_given_time_for_an_epoch_are_not_tried_for_ever():
    def behave(attempt, own):
        return [TaskStarted(own.name, attempt.number), TaskEnded(own.name, "interrupted")], ENDS

    events = run(Table(behave), [task("0", keys(2))])
    assert {status for status, *_ in recorded(events).values()} == {"failed"}
    assert "stopped 10 times in a row before an epoch had ended" in events[-1].error


def test_a_refusal_is_not_tried_again():
    def behave(attempt, own):
        if own.name == "0":
            return [TaskStarted("0", 1), TaskEnded("0", "failed", "tensorflow 1 here")], ENDS
        return well(attempt, own)

    cluster = Table(behave)
    events = run(cluster, TASKS)
    failed = [e for e in events if isinstance(e, ReplicateEnded) and e.status == "failed"]
    assert [e.key for e in failed] == list(TASKS[0].keys)
    assert {e.error for e in failed} == {"tensorflow 1 here"}
    assert len(cluster.submitted) == 2


def test_ends_that_are_missing_are_trained_for():
    def behave(attempt, own):
        if own.name == "0":
            events = whole(own, 1)
            return [e for e in events if getattr(e, "key", None) != own.keys[1]], ENDS
        return well(attempt, own)

    cluster = Table(behave)
    assert recorded(run(cluster, TASKS)) == undisturbed(TASKS)
    assert ("0.0", 1) in cluster.submitted


def test_where_no_worker_can_be_started_the_command_ends():
    cluster = Table(lambda attempt, own: ([], GONE))
    with pytest.raises(ConfigError, match="No worker could be started: its process ended; killed"):
        run(cluster, TASKS, workers=1)
    assert len(cluster.submitted) == 3


def test_a_task_that_cannot_be_started_where_others_can_is_not_cut():
    def behave(attempt, own):
        return ([], GONE) if own.name == "1" else well(attempt, own)

    cluster = Table(behave)
    found = recorded(run(cluster, TASKS))
    assert [found[key][0] for key in TASKS[1].keys] == ["failed"] * 3
    assert [attempt.task for attempt in cluster.submitted].count("1") == 3


def test_only_so_many_are_submitted_at_the_same_time():
    most = []

    def behave(attempt, own):
        most.append(len(cluster.running) + 1)
        return well(attempt, own)

    cluster = Table(behave)
    tasks = [task(str(n), keys(1, configuration=n)) for n in range(7)]
    assert recorded(run(cluster, tasks, workers=2)) == undisturbed(tasks)
    assert max(most) == 2


def test_attempts_of_an_earlier_command_are_taken_over():
    left = [(Attempt("0", 3), TASKS[0]), (Attempt("9", 1), task("9", keys(1)))]
    cluster = Table(well, left=left)
    assert recorded(run(cluster, TASKS)) == undisturbed(TASKS)
    assert cluster.submitted == [("1", 1)]
    assert (("9", 1), True) in cluster.stopped


@pytest.fixture
def ask():
    yield interruption.ask
    interruption.take_up()


def test_an_interruption_stops_all_and_collects_what_they_still_tell(ask):
    def behave(attempt, own):
        return whole(own, 1)[:3], SILENT

    cluster = Table(behave)
    supervisor = supervised(cluster, workers=1, heartbeat_s=60.0)
    came = []

    def collect():
        for event in supervisor.run(plan(*TASKS), TASKS):
            came.append(event)
            if isinstance(event, EpochEnded):
                ask()

    with pytest.raises(KeyboardInterrupt):
        collect()
    assert cluster.stopped == [(("0", 1), False)]
    assert Logged(30, "late") in came
    ends = [event for event in came if isinstance(event, TaskEnded)]
    assert ends == [TaskEnded("0", "interrupted"), TaskEnded("1", "interrupted")]
    assert supervisor.status() == {"0": "interrupted", "1": "interrupted"}


def test_leaving_early_ends_all_at_once():
    cluster = Table(lambda attempt, own: (whole(own, 1)[:3], SILENT))
    events = supervised(cluster).run(plan(*TASKS), TASKS)
    next(events)
    events.close()
    assert not cluster.running
    assert {at_once for _, at_once in cluster.stopped} == {True}


def test_status_says_what_each_task_does():
    def behave(attempt, own):
        if attempt == ("0", 1):
            return [], GONE
        return (whole(own, attempt.number)[:4], SILENT)

    supervisor = supervised(Table(behave), workers=1, heartbeat_s=60.0)
    events = supervisor.run(plan(*TASKS), TASKS)
    assert epoch(TASKS[0].keys, 1) in events
    assert supervisor.status() == {
        "0": f"running on n1, epoch 1 of {EPOCHS}, lost once",
        "1": "waiting",
    }
    assert supervisor.overview() == "0 of 2 tasks ended, 1 running, 1 waiting"


def test_what_begins_anew_is_taken_back_first():
    events = run(Table(first_attempts(4, GONE)), TASKS)
    place = events.index(TaskStarted("0", 2, {"python": "3"}))
    assert events[place - 1] == Restarted(TASKS[0].keys)
