"""Attempts on a Ray cluster of two nodes on this machine; the workers make their events up."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pandas
import pytest

from runner.config import ConfigError
from runner.events import CheckpointWritten, Logged, TaskEnded
from runner.execution.backends import ray as backend
from runner.execution.backends import ray_task, shipping
from runner.execution.backends.ray import RayCluster
from runner.execution.backends.settings import Ray
from runner.execution.backends.task_files import Attempt
from runner.execution.identity import source_digest
from runner.execution.plan import Plan, Planned, Task
from runner.machine import Room
from runner.plan import Key

WORKER = (str(Path(__file__).with_name("told_worker.py")),)
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
# So that the loss of a node is noticed within seconds.
HEALTH = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "3",
}


@pytest.fixture(scope="module")
def nodes():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in HEALTH.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        head = {**NODE, "num_cpus": 0, "include_dashboard": False, "node_ip_address": "127.0.0.2"}
        nodes = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            nodes.add_node(**NODE)
        yield nodes
        nodes.shutdown()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Plan("sweep", configurations=(Planned(0, {}),)).write(tmp_path)
    return tmp_path


@pytest.fixture
def cluster(nodes, folder):
    cluster = RayCluster(Ray(address=nodes.address), folder, WORKER)
    yield cluster
    cluster.close()


def task(name):
    return Task(name, 0, (Key(0, 1, 1), Key(0, 2, 2)), Room(1, 1, 1))


def submit(cluster, *names):
    for name in names:
        cluster.submit(Attempt(name, 1), task(name))
    return [Attempt(name, 1) for name in names]


class Told(dict):
    """The events of each attempt, by its task, as they come from a cluster."""

    def __init__(self, cluster):
        self.cluster = cluster

    def until(self, holds, limit_s=30):
        end_s = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < end_s, (self, self.cluster.states())
            for frame in self.cluster.frames(0.2):
                events = self.setdefault(frame.task, [])
                assert (frame.attempt, frame.number) == (1, len(events))
                events.append(frame.event)

    def until_begun(self, *attempts):
        self.until(lambda: all(len(self.get(attempt.task, ())) >= 2 for attempt in attempts))

    def until_gone(self, *attempts):
        self.until(lambda: not {*attempts} & {*self.cluster.states()})

    def process(self, attempt):
        (said,) = [event for event in self[attempt.task] if isinstance(event, Logged)]
        return int(said.text)


@pytest.fixture
def events(cluster):
    return Told(cluster)


def status(process):
    """Returns a process's state and its parent, as Linux tells them."""
    state, parent, *_ = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return state, int(parent)


def is_alive(process):
    with contextlib.suppress(OSError):
        return status(process)[0] != "Z"
    return False


def ancestors(process):
    while process > 1:
        _, process = status(process)
        yield process


def raylet(node):
    return node.all_processes["raylet"][0].process.pid


@pytest.mark.ray
def test_all_that_attempts_tell_comes_in_order(cluster, events, folder):
    attempts = submit(cluster, "count-3", "count-2000", "count-1")
    assert {*cluster.states().values()} == {"waiting for a free node"}
    events.until_begun(*attempts[:2])
    assert any(state.startswith("running on ") for state in cluster.states().values())
    events.until_gone(*attempts)
    assert [len(events[attempt.task]) for attempt in attempts] == [9, 4003, 5]
    assert events["count-3"][0].environment == {"sweep": "sweep", "folder": str(folder)}


@pytest.mark.ray
def test_an_attempt_ends_as_it_is_told_to(cluster, events, capfd):
    asked, frozen, waiting = submit(cluster, "wait-1", "wait-2", "wait-3")
    events.until_begun(asked, frozen)
    os.kill(events.process(frozen), signal.SIGSTOP)
    cluster.stop(waiting, at_once=False)
    events.until_gone(waiting)
    cluster.stop(asked, at_once=False)
    cluster.stop(frozen, at_once=True)
    events.until_gone(asked, frozen)
    assert events["wait-1"][2:] == [
        CheckpointWritten("wait-1", 1),
        TaskEnded("wait-1", "interrupted"),
    ]
    assert len(events["wait-2"]) == 2
    assert cluster.ending(asked) == "exit code 75"
    events.until(lambda: not is_alive(events.process(frozen)))
    assert "wait-3" not in events
    assert capfd.readouterr() == ("", "")


@pytest.mark.ray
def test_a_lost_worker_is_gone_and_its_log_tells_why(cluster, events, capfd):
    (crashed,) = submit(cluster, "crash-0")
    events.until_gone(crashed)
    assert cluster.ending(crashed) == "ended by SIGKILL; its log ends: MemoryError: too much"
    assert not any(isinstance(event, TaskEnded) for event in events["crash-0"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.ray
def test_a_lost_node_takes_its_own_attempts_only(cluster, events, nodes, capfd):
    lost, other = submit(cluster, "wait-1", "wait-2")
    events.until_begun(lost, other)
    above = [*ancestors(events.process(lost))]
    (node,) = [node for node in nodes.worker_nodes if raylet(node) in above]
    nodes.remove_node(node, allow_graceful=False)
    try:
        events.until_gone(lost)
        assert "node" in cluster.ending(lost)
        assert other in cluster.states()
        events.until(lambda: not is_alive(events.process(lost)))  # it dies after its node
        assert capfd.readouterr() == ("", "")
    finally:
        nodes.add_node(**NODE)


@pytest.mark.ray
def test_without_a_shared_folder_the_worker_gets_plan_and_modules(nodes, folder, monkeypatch):
    (folder / "mine").mkdir()
    (folder / "mine" / "model.py").write_text("answer = 42")
    monkeypatch.setattr(backend, "write_task", lambda *_: None)
    program = f"import runpy, mine.model; runpy.run_path({WORKER[0]!r}, run_name='__main__')"
    cluster = RayCluster(Ray(address=nodes.address), folder, ("-c", program))
    try:
        events = Told(cluster)
        events.until_gone(*submit(cluster, "count-2"))
        Plan("grown", configurations=(Planned(0, {}),)).write(folder)
        events.until_gone(*submit(cluster, "count-3"))
    finally:
        cluster.close()
    found = [events[name][0].environment for name in ("count-2", "count-3")]
    assert [environment["sweep"] for environment in found] == ["sweep", "grown"]
    for environment in found:
        assert environment["folder"] != str(folder)
        assert not Path(environment["folder"]).exists()


# One round for each initializer.
COMMAND = (
    *(sys.executable, "-m", "runner", "--multirun", "init=glorot_uniform,zero", "seeds=2"),
    *("training.epochs=1500", "model.width=32", "hydra.sweeper.max_batch_size=1", "rerun=true"),
    *("tracking=none", "report.figures=false"),
)


def held_worker(folder, task, limit_s=120):
    """Stops a task's first worker once it has written a checkpoint; returns its process.

    So the task cannot come to its end before its node is taken.
    """
    frames = folder / "tasks" / task / "1.frames"
    end_s = time.monotonic() + limit_s
    while not (frames.exists() and b"CheckpointWritten" in frames.read_bytes()):
        assert time.monotonic() < end_s
        time.sleep(0.1)
    told = f"runner.execution.worker\0--parent\0{folder}\0{task}\0".encode()
    (process,) = [p for p in Path("/proc").glob("[0-9]*/cmdline") if told in p.read_bytes()]
    pid = int(process.parent.name)
    os.kill(pid, signal.SIGSTOP)
    assert b"TaskEnded" not in frames.read_bytes()
    return pid


@pytest.mark.ray
def test_a_command_that_loses_a_node_gives_the_numbers_of_a_local_one(nodes, tmp_path):
    def start(folder, *more):
        command = [*COMMAND, f"hydra.sweep.dir={folder}", *more]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)

    here, there = tmp_path / "here", tmp_path / "there"
    address = f"execution.address={nodes.address}"
    command = start(there, "execution=ray", address, "training.checkpoint_every_s=0.2")
    try:
        worker = held_worker(there, "0")
        above = [*ancestors(worker)]
        (node,) = [node for node in nodes.worker_nodes if raylet(node) in above]
        nodes.remove_node(node, allow_graceful=False)
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)
        assert command.wait(timeout=120) == 0
    finally:
        command.kill()
        command.wait()
    nodes.add_node(**NODE)
    assert start(here, "execution.cores=1").wait(timeout=120) == 0
    logs = sorted(path.relative_to(there / "tasks") for path in there.glob("tasks/*/*.log"))
    assert logs == [Path("0/1.log"), Path("0/2.log"), Path("1/1.log")]
    assert (there / "curves.parquet").read_bytes() == (here / "curves.parquet").read_bytes()
    wanted, found = (
        pandas.read_csv(folder / "replicates.csv").drop(columns=["wall_time_s", "draw_time_s"])
        for folder in (here, there)
    )
    pandas.testing.assert_frame_equal(wanted, found)


@pytest.mark.ray
def test_refuses_what_no_node_has(nodes, folder):
    with pytest.raises(
        ConfigError, match=r"^`execution` must .*1 cores.* Received: 3 cores, 2 GPUs"
    ):
        RayCluster(Ray(address=nodes.address, cores=3, gpus=2), folder)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "Nothing answers at that address .*refused"),
        ("somewhere", "Nothing answers at that address"),
        ("ray://127.0.0.1:10001", "run the command on a node"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address, why, folder, monkeypatch):
    with pytest.raises(ConfigError, match=rf"^`execution.address` must .*{address}.*{why}"):
        RayCluster(Ray(address=address), folder)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match=rf"^`RAY_ADDRESS` must .*{address}.*{why}"):
        RayCluster(Ray(), folder)


def test_without_the_package_it_is_told_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"needs: pip install 'runner\[ray\]'"):
        RayCluster(Ray(), folder)


def order(folder, **changes):
    own = {"runner": ray_task.installed(str(folder)), "worker": WORKER, "stop": b""}
    shared = {"folder": str(folder), "working_directory": str(folder), "content": b"{}"}
    return {**own, **shared, "task": "count-1", "attempt": 1, **changes}


def test_a_node_s_runner_is_known_by_the_digest_of_the_plan(folder):
    assert ray_task.installed(str(folder))[0] == source_digest()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("version = 2", "has another runner .* than the command .*: install the same"),
        (None, "has no runner for .*: install the same"),
    ],
)
def test_a_node_with_another_runner_is_refused(source, why, folder, monkeypatch):
    wanted = ("0" * 64, "/elsewhere/runner")
    if source is None:
        monkeypatch.setattr(ray_task, "_FIND", "")
    else:
        (folder / "runner").mkdir()
        (folder / "runner" / "__init__.py").write_text(source)
    ((kind, text),) = ray_task.on_node(order(folder, runner=wanted), b"")
    assert kind == ray_task.REFUSED
    assert re.search(why, text)
    if source is not None:
        assert f"{'0' * 16} in /elsewhere/runner" in text
        assert str(folder / "runner") in text


def test_only_python_files_of_the_user_s_own_are_sent(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    sent = {"model.py", "package/part.py"}
    left = {"data.csv", "results/x.py", ".git/x.py", "env/lib/x.py", "mlruns/x.py"}
    for name in {*sent, *left, "env/pyvenv.cfg"}:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text("answer = 42")
    shipping.copy_modules(here, there)
    assert {p.relative_to(there).as_posix() for p in there.rglob("*") if p.is_file()} == sent
    monkeypatch.setattr(shipping, "MAX_BYTES", 20)
    with pytest.raises(ConfigError, match=r"0 MB at most\. Received: .*here, which has more"):
        shipping.copy_modules(here, there)


# In a process of its own: Ray reads once whether there is a token, which other clusters here lack.
OWN = """
import signal
import sys
from pathlib import Path

from runner.execution.backends.ray import RayCluster
from runner.execution.backends.settings import Ray
from tests.execution.backends import test_ray as tests

handler = signal.getsignal(signal.SIGTERM)
cluster = RayCluster(Ray(workers=1), Path.cwd(), tests.WORKER)
assert signal.getsignal(signal.SIGTERM) is handler
events = tests.Told(cluster)
attempts = tests.submit(cluster, "count-2", "wait-1")
events.until_begun(*attempts)
assert len(events["count-2"]) == 7
cluster.close()
events.until(lambda: not tests.is_alive(events.process(attempts[1])))
"""


@pytest.mark.ray
def test_a_cluster_of_the_command_s_own(folder, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", uuid.uuid4().hex)  # else Ray keeps one in the home folder
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    done = subprocess.run([sys.executable, "-c", OWN], capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
