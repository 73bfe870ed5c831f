"""Real processes with a training that is made up: killed, stopped, orphaned, out of disk."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from runner import interruption
from runner.events import EpochEnded, Logged, ReplicateEnded, TaskEnded, TaskStarted
from runner.execution.backends.frames import Follower
from runner.execution.backends.processes import Processes
from runner.execution.backends.supervisor import Supervisor
from runner.execution.backends.task_files import Attempt, frames_file, log_file, write_task
from tests.execution.backends.made_up import keys, plan, task

pytestmark = pytest.mark.slow

FAKE = Path(__file__).with_name("fake_worker.py")
ROOT = FAKE.parents[3]
DEADLINE_S = 30.0

TASKS = tuple(task(str(number), keys(2, configuration=number)) for number in range(3))


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def prepare(folder, accidents, tasks=TASKS):
    made = plan(*tasks)
    made.write(folder)
    (folder / "accidents.json").write_text(json.dumps(accidents))
    return made


def supervised(folder, **options):
    cluster = Processes(folder, command=(sys.executable, str(FAKE), "--parent"))
    times = {"heartbeat_s": 3.0, "linger_s": 0.2, "poll_s": 0.1, **options}
    return Supervisor(cluster, retries=2, **times)


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_whatever_happens_to_workers_every_replicate_ends_once(tmp_path, caplog):
    tasks = TASKS[:3]
    accidents = {"0 1": "killed", "0 2": "disk", "1 1": "stopped", "1 2": "warns", "2 1": "raises"}
    made = prepare(tmp_path, accidents, tasks)
    with closing(supervised(tmp_path, workers=3)) as supervisor:
        events = list(supervisor.run(made, tasks))
    ended = {event.key: event for event in events if isinstance(event, ReplicateEnded)}
    assert len(ended) == sum(isinstance(event, ReplicateEnded) for event in events)
    assert ended.keys() == {key for each in tasks for key in each.keys}
    failed = {key.configuration: e.error for key, e in ended.items() if e.status == "failed"}
    assert list(failed) == [2]
    assert failed[2].startswith("UnpicklableError: nothing helps")
    attempts = {(e.task, e.attempt) for e in events if isinstance(e, TaskStarted)}
    expected = {("0", 1), ("0", 2), ("0", 3), ("1", 1), ("1", 2), ("2", 1)}
    assert attempts == expected
    logged = [(event.level, event.text) for event in events if isinstance(event, Logged)]
    assert logged == [(30, "a password: ***"), (20, "told")]
    told = " ".join(record.getMessage() for record in caplog.records)
    assert "killed by SIGKILL" in told
    assert "no sign of life for" in told
    assert "exit code 74; its log ends: " in told
    assert "Not all events could be written to the disk (File too large)" in told


def test_an_interruption_ends_workers_with_a_checkpoint(tmp_path):
    made = prepare(tmp_path, {"0 1": "waits", "1 1": "prepares"}, TASKS[:2])
    came = []

    def collect(supervisor):
        for event in supervisor.run(made, TASKS[:2]):
            came.append(event)
            if isinstance(event, EpochEnded) and event.epoch == 1:
                wait_until(lambda: "preparing" in log_file(tmp_path, Attempt("1", 1)).read_text())
                interruption.ask()

    try:
        with closing(supervised(tmp_path)) as supervisor, pytest.raises(KeyboardInterrupt):
            collect(supervisor)
    finally:
        interruption.take_up()
    for each in ("0", "1"):
        frames = list(Follower(frames_file(tmp_path, Attempt(each, 1))).frames())
        assert frames[-1].event == TaskEnded(each, "interrupted")
    assert {e for e in came if isinstance(e, TaskEnded)} == {
        TaskEnded("0", "interrupted"),
        TaskEnded("1", "interrupted"),
    }


def test_workers_end_when_their_parent_is_killed(tmp_path):
    prepare(tmp_path, {"0 1": "waits"}, TASKS[:1])
    write_task(tmp_path, TASKS[0])
    log = log_file(tmp_path, Attempt("0", 1))
    command = [sys.executable, str(FAKE), "--parent", str(tmp_path), "0", "1"]
    parent = f"""
import subprocess, time
worker = subprocess.Popen({command!r}, stdin=subprocess.PIPE)
print(worker.pid, flush=True)
time.sleep(600)
"""
    with (
        log.open("ab") as file,
        subprocess.Popen([sys.executable, "-c", parent], stdout=-1, stderr=file) as process,
    ):
        pid = int(process.stdout.readline())
        follower = Follower(frames_file(tmp_path, Attempt("0", 1)))
        came = []

        def has(kind):
            came.extend(frame.event for frame in follower.frames())
            return any(isinstance(event, kind) for event in came)

        wait_until(lambda: has(EpochEnded))
        process.kill()
        wait_until(lambda: has(TaskEnded))
    assert came[-1] == TaskEnded("0", "interrupted")
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in _state(pid))


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_signals_end_a_worker_with_its_own_exit_code(tmp_path):
    prepare(tmp_path, {"0 1": "waits"}, TASKS[:1])
    write_task(tmp_path, TASKS[0])
    follower = Follower(frames_file(tmp_path, Attempt("0", 1)))
    came = []

    def has_trained():
        came.extend(frame.event for frame in follower.frames())
        return any(isinstance(event, EpochEnded) for event in came)

    worker = subprocess.Popen([sys.executable, str(FAKE), str(tmp_path), "0", "1"])
    wait_until(has_trained)
    for _ in range(3):  # impatience changes nothing
        worker.send_signal(signal.SIGUSR2)
    assert worker.wait(DEADLINE_S) == 75


def test_gpus_are_shared_by_place(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    shared = [Processes(tmp_path, gpus)._environment(3)["CUDA_VISIBLE_DEVICES"] for gpus in (0, 2)]
    assert shared == ["-1", "5"]
    assert Processes(tmp_path)._environment(3) == dict(os.environ)
