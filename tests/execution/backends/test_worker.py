"""What a worker says of itself, and what it refuses."""

import signal
import threading
import time
from dataclasses import replace
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from runner import interruption
from runner.events import Heartbeat, Logged, TaskEnded, TaskStarted
from runner.execution import environment, worker
from runner.execution.plan import Planned
from runner.execution.worker import asked_by_signals, unfit, with_heartbeats, work
from tests.execution.backends.made_up import epoch, keys, plan, task, whole

TASK = task("0", keys(2))


@pytest.fixture(autouse=True)
def _taken_up():
    yield
    interruption.take_up()


def test_a_version_that_the_plan_was_not_made_with_is_refused_by_name():
    own = environment.required()
    assert unfit(own, own) == ""
    wanted = {**own, "keras": "2.0", "another": "1"}
    made = plan(TASK)
    alive, started, end = work(replace(made, environment=wanted), TASK, 2, None)
    assert (alive, started.task, started.attempt) == (Heartbeat("0"), "0", 2)
    assert {"python", "tensorflow", "keras", "runner", "processor", "threads"} <= {
        *started.environment
    }
    assert end.end == "failed"
    assert (
        f"On this worker: keras {own['keras']}, another none; in the plan: keras 2.0, another 1."
        in end.error
    )


def test_data_that_differ_are_named():
    record = SimpleNamespace(identity="a" * 64, index=0, dataset={"name": "digits"})
    dataset = SimpleNamespace(fingerprint="b" * 64)
    item = SimpleNamespace(record=record, dataset=dataset, device="/CPU:0")
    assert worker._differs(Planned(0, {}, "a" * 64, "c" * 64), item) == ""
    reason = worker._differs(Planned(0, {}, "d" * 64, "c" * 64), item)
    assert reason.startswith("The data on this worker are not those of the plan: fingerprint bbbb")
    assert "kind of device (CPU:0 here)" in worker._differs(
        Planned(0, {}, "d" * 64, "b" * 64), item
    )


def test_a_busy_worker_gives_signs_of_life_and_waits_for_each_event_to_be_taken():
    taken, made = [], []

    def events():
        for number in range(3):
            made.append(number)
            assert len(taken) == number  # the event before has been taken
            time.sleep(0.05)
            yield epoch(TASK.keys, number)

    beats = 0
    for event in with_heartbeats("0", events(), SimpleQueue(), lambda: True, every_s=0.01):
        if isinstance(event, Heartbeat):
            beats += 1
        else:
            assert len(made) == len(taken) + 1
            taken.append(event)
    assert taken == [epoch(TASK.keys, number) for number in range(3)]
    assert beats >= 5


def test_what_is_logged_comes_before_the_event_that_follows():
    queue = SimpleQueue()

    def events():
        yield epoch(TASK.keys, 0)
        queue.put(Logged(30, "in between"))
        yield epoch(TASK.keys, 1)

    came = list(with_heartbeats("0", events(), queue, lambda: True, every_s=60.0))
    expected = [Heartbeat("0"), epoch(TASK.keys, 0), Logged(30, "in between"), epoch(TASK.keys, 1)]
    assert came == expected


def test_an_error_in_the_thread_is_raised_here():
    def events():
        yield epoch(TASK.keys, 0)
        raise OSError("why")

    with pytest.raises(OSError, match="why"):
        list(with_heartbeats("0", events(), SimpleQueue(), lambda: True))


def test_an_interruption_is_obeyed_at_once_where_nothing_is_kept():
    going = threading.Event()

    def events():
        going.wait(60)
        yield epoch(TASK.keys, 0)

    came = with_heartbeats("0", events(), SimpleQueue(), lambda: False, every_s=60.0)
    assert next(came) == Heartbeat("0")
    interruption.ask()
    with pytest.raises(KeyboardInterrupt):
        next(came)
    going.set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2])
def test_signals_ask_and_interrupt_nothing(number):
    before = signal.getsignal(number)
    with asked_by_signals():
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert interruption.is_asked()
    assert signal.getsignal(number) is before


def test_a_whole_attempt_begins_and_ends_with_what_belongs_there(monkeypatch):
    events = whole(TASK, 1)
    monkeypatch.setattr(worker, "_work", lambda *_: iter(events[1:-1]))
    assert list(work(plan(TASK), TASK, 1, None)) == events
    assert isinstance(events[1], TaskStarted)
    assert isinstance(events[-1], TaskEnded)
