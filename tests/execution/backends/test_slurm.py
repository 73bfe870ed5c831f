"""Jobs on a real SLURM of two nodes: whatever happens to them, the same is told in the end."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runner.config import ConfigError, convert
from runner.events import EpochEnded, ReplicateEnded, TaskEnded, TaskStarted
from runner.execution.backends import adoption, slurm
from runner.execution.backends.settings import Slurm
from runner.execution.backends.supervisor import Supervisor
from runner.execution.backends.task_files import Attempt
from runner.execution.checkpoints import member_key
from runner.execution.plan import Plan, Planned, Task
from runner.files import write_text
from runner.interruption import Detached
from runner.machine import Room
from runner.plan import Key
from tests.execution.backends.made_up_worker import PACE, value
from tests.execution.backends.slurm_cluster import is_installed, slurm_cluster, wait_for


def needs_slurm(test):
    """Marks a test; asked for where there is no SLURM, it is skipped."""
    return pytest.mark.slurm(pytest.mark.skipif(not is_installed(), reason="needs SLURM")(test))


ROOT = Path(slurm.__file__).parents[3]
WORKER = (sys.executable, "-u", str(Path(__file__).with_name("made_up_worker.py")))
POLL_S = 0.5
ROOM = Room(1, 2**30, 2**20)
IDENTITY = "a" * 64


def tasks(count=2, **about):
    return tuple(
        Task(str(number), 0, (Key(0, 2 * number, 0), Key(0, 2 * number + 1, 0)), ROOM, **about)
        for number in range(count)
    )


def plan(*of, sweep="sweep"):
    return Plan(sweep, configurations=(Planned(0, {}, IDENTITY),), tasks=of)


class Told:
    """What a sweep's collector would keep of events: the curves of replicates that have ended."""

    def __init__(self) -> None:
        self.under_way: dict[Key, list[tuple[int, float]]] = {}
        self.ended: dict[Key, list[tuple[int, float]]] = {}
        self.counts: Counter[str] = Counter()

    def take(self, event):
        self.counts[type(event).__name__] += 1
        match event:
            case EpochEnded(keys, epoch, _, metrics):
                for key, loss in zip(keys, metrics["loss"], strict=True):
                    self.under_way.setdefault(key, []).append((epoch, loss))
            case ReplicateEnded(key):
                assert key not in self.ended
                self.ended[key] = sorted(set(self.under_way.pop(key)))
        return event


def whole(of, num_epochs):
    """What is to be told in the end, whatever happened."""
    return {
        key: [(epoch, value(key, epoch)) for epoch in range(num_epochs)]
        for task in of
        for key in task.keys
    }


@pytest.fixture(scope="session")
def nodes():
    with slurm_cluster() as started:
        yield started


@pytest.fixture
def cluster(nodes, monkeypatch):
    """SLURM as this process reaches it."""
    for name, text in nodes.environment.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield nodes
    adoption.release()
    nodes.mend()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "2026-11-28" / "10-00-00"
    path.mkdir(parents=True)
    return path


def paced(folder, num_epochs, epoch_s):
    write_text(folder / PACE, json.dumps([num_epochs, epoch_s]))


def jobs_of(folder, of, **settings):
    jobs = slurm.SlurmCluster(Slurm(**settings), folder, WORKER, POLL_S)
    jobs.begin(of, of.tasks)
    return jobs


def supervised(folder, of, **settings) -> Iterator:
    jobs = jobs_of(folder, of, **settings)
    with closing(jobs):
        supervisor = Supervisor(jobs, retries=2, heartbeat_s=6.0, linger_s=1.0, poll_s=0.2)
        yield from supervisor.run(of, of.tasks)


@pytest.mark.parametrize("fault", ["told", "killed", "node lost", "requeued", "preempted"])
@needs_slurm
def test_what_happens_to_a_job_changes_nothing_in_the_end(cluster, folder, fault):
    of = plan(*tasks(2))
    num_epochs = 24 if fault == "preempted" else 8
    paced(folder, num_epochs, 0.25)
    told = Told()
    victim = None
    for event in supervised(folder, of, cores=2):
        told.take(event)
        if victim is None and isinstance(event, EpochEnded) and event.epoch == 2:
            name = next(task.name for task in of.tasks if task.keys == event.keys)
            victim = cluster.jobs()[slurm.job_name(of.sweep, Attempt(name, 1))]
            harm(cluster, fault, *victim)
    assert told.ended == whole(of.tasks, num_epochs)
    assert told.counts["TaskStarted"] == 3


def harm(cluster, fault, number, _, node):
    if fault == "told":
        cluster.ask("scancel", "--signal=USR2", number)
    elif fault == "killed":
        cluster.ask("scancel", "--signal=KILL", f"{number}.0")
    elif fault == "node lost":
        cluster.lose(node)
    elif fault == "requeued":
        cluster.ask("scontrol", "update", f"JobId={number}", "Requeue=1")
        cluster.ask("scontrol", "requeue", number)
    else:
        options = ("--partition=urgent", "--exclusive", f"--nodelist={node}", "--output=/dev/null")
        cluster.ask("sbatch", *options, "--wrap", "sleep 1")


@needs_slurm
def test_a_time_limit_ends_no_task(cluster, folder):
    of = plan(*tasks(1))
    paced(folder, 60, 0.6)  # SLURM looks at time limits every half a minute
    told = Told()
    for event in supervised(folder, of, time=1, sbatch={"signal": "USR2@55"}):
        told.take(event)
        if told.counts["TaskStarted"] > 1:
            paced(folder, 60, 0.0)
    assert told.ended == whole(of.tasks, 60)
    assert told.counts["TaskStarted"] > 1


@needs_slurm
def test_a_busy_cluster_is_asked_again(cluster, folder, tmp_path, monkeypatch):
    of = plan(*tasks(2))
    paced(folder, 4, 0.25)
    busy = tmp_path / "busy"
    busy.mkdir()
    for name, complaint in {
        "sbatch": "error: Batch job submission failed: Job violates accounting/QOS policy (limit)",
        "squeue": "error: slurm_receive_msg: Socket timed out on send/recv operation",
    }.items():
        program = busy / name
        count = f"n=$(($(cat {busy}/{name}.n 2>/dev/null || echo 0) + 1)); echo $n >{busy}/{name}.n"
        refuse = f"if [ $n -le 3 ]; then echo '{complaint}' >&2; exit 1; fi"
        real = cluster.ask("bash", "-c", f"type -p {name}")
        program.write_text(f'#!/bin/bash\n{count}\n{refuse}\nexec {real} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{busy}:{os.environ['PATH']}")
    told = Told()
    for event in supervised(folder, of):
        told.take(event)
    assert told.ended == whole(of.tasks, 4)
    assert told.counts["TaskStarted"] == 2


@needs_slurm
def test_a_job_that_slurm_refuses_ends_the_sweep(cluster, folder):
    with pytest.raises(ConfigError, match=r"SLURM refuses a job: .*nvalid partition"):
        list(supervised(folder, plan(*tasks(2)), partition="nowhere"))
    assert cluster.jobs() == {}


@needs_slurm
def test_jobs_that_are_stopped_write_checkpoints_and_those_that_wait_are_cancelled(cluster, folder):
    of = plan(*tasks(3))
    paced(folder, 100, 0.25)
    jobs = jobs_of(folder, of, cores=2)
    attempts = [Attempt(task.name, 1) for task in of.tasks]
    for attempt, task in zip(attempts, of.tasks, strict=True):
        jobs.submit(attempt, task)
    list(until(jobs, TaskStarted, 2))
    wait_for(lambda: sorted(jobs.states()[attempt][:7] for attempt in attempts)[2] == "waiting")
    for attempt in attempts:
        jobs.stop(attempt, at_once=False)
    ended = [frame.event for frame in until(jobs, TaskEnded, 2) if is_end(frame)]
    assert [event.end for event in ended] == ["interrupted"] * 2
    wait_for(lambda: not jobs.states())
    jobs.close()


@needs_slurm
def test_a_job_that_does_not_listen_is_killed(cluster, folder):
    of = plan(*tasks(1))
    paced(folder, 2, 60)
    jobs = jobs_of(folder, of)
    attempt = Attempt("0", 1)
    jobs.submit(attempt, of.tasks[0])
    list(until(jobs, TaskStarted, 1))
    jobs.stop(attempt, at_once=True)
    wait_for(lambda: not jobs.states())
    assert "job " in jobs.ending(attempt)
    assert "Killed" in jobs.ending(attempt)
    jobs.close()


def until(jobs, kind, count):
    """Yields frames until so many of a kind have come."""
    while count:
        for frame in jobs.frames(0.5):
            count -= isinstance(frame.event, kind)
            yield frame
        jobs.states()


def is_end(frame):
    return isinstance(frame.event, TaskEnded)


PARENT = """
import sys
from pathlib import Path
from tests.execution.backends.test_slurm import plan, supervised, tasks

print("begun", flush=True)
for event in supervised(Path(sys.argv[1]), plan(*tasks(3), sweep="earlier"), cores=2):
    print(type(event).__name__, flush=True)
"""


def going_on(folder, names):
    """What a later command plans: the tasks of the earlier one, as far as they can be followed."""
    keys = {name: key for key, name in names.items()}
    return [
        replace(found.task(tuple(keys[name] for name in found.names)), name=str(place))
        for place, found in enumerate(slurm.left(folder.parents[1], keys))
    ]


@needs_slurm
def test_after_the_parent_was_killed_the_jobs_are_followed_by_the_next(cluster, folder, tmp_path):
    earlier = plan(*tasks(3), sweep="earlier")
    earlier.write(folder)
    paced(folder, 12, 0.25)
    # The later command numbers its configurations in another way.
    keys = whole(earlier.tasks, 1)
    names = {Key(5, *key[1:]): member_key(IDENTITY, key.replicate) for key in keys}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        wait_for(lambda: parent.stdout.readline() == "EpochEnded\n")
        with pytest.raises(ConfigError, match=f"is being trained: process {parent.pid} on"):
            going_on(folder, names)
        parent.send_signal(signal.SIGKILL)
        parent.stdout.read()
    before = cluster.jobs()
    assert len(before) == 3  # one of them waits
    mine = tmp_path / "2026-11-28" / "11-00-00"
    mine.mkdir()
    of = plan(*going_on(folder, names), sweep="later")
    of = replace(of, configurations=(Planned(5, {}, IDENTITY),))
    told = Told()
    for event in supervised(mine, of):
        told.take(event)
    assert told.ended == whole(of.tasks, 12)
    assert len(told.ended) == 6
    assert told.counts["TaskStarted"] == 3
    assert not list(mine.glob("tasks/*/*.frames"))


@needs_slurm
def test_jobs_that_were_left_are_found_when_they_have_ended(cluster, folder, tmp_path):
    earlier = plan(*tasks(2), sweep="earlier")
    earlier.write(folder)
    paced(folder, 4, 0.25)
    names = {key: member_key(IDENTITY, key.replicate) for key in whole(earlier.tasks, 1)}
    with pytest.raises(Detached, match=r"^2 jobs left running \(\d+, \d+\)\. To follow them"):
        list(supervised(folder, earlier, wait=False))
    wait_for(lambda: not cluster.jobs())
    mine = tmp_path / "2026-11-28" / "11-00-00"
    mine.mkdir()
    of = plan(*going_on(folder, names), sweep="later")
    told = Told()
    for event in supervised(mine, of, wait=False):
        told.take(event)
    assert told.ended == whole(earlier.tasks, 4)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"sbatch": {"job-name": "mine"}}, "execution.sbatch"),
        ({"sbatch": {"qos": "low\nrm -rf /"}}, "execution.sbatch"),
        ({"sbatch": "qos=low"}, "execution.sbatch"),
        ({"sbatch": {"a b": 1}}, "execution.sbatch"),
        ({"setup": [1]}, "execution.setup"),
        ({"time": 0.5}, "execution.time"),
        ({"gpus": -1}, "execution.gpus"),
    ],
)
def test_refuses_what_sbatch_must_not_be_told(settings, key):
    with pytest.raises(ConfigError, match=f"^`{key}` must be "):
        convert(Slurm, settings, "execution")


@pytest.mark.parametrize(
    ("predicted_s", "time", "minutes"), [(1, None, 10), (600, None, 30), (601, None, 31), (1, 2, 2)]
)
def test_a_job_may_take_three_times_what_is_predicted(predicted_s, time, minutes):
    (task,) = tasks(1, predicted_s=predicted_s)
    assert slurm.minutes(task, Slurm(time=time)) == minutes
