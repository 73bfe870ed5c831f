"""Commands on a real SLURM: killed, repeated and stopped, they end as a local one does."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

import runner
from runner.records import read_replicates
from tests.execution.backends.slurm_cluster import is_installed, slurm_cluster, wait_for

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not is_installed(), reason="needs SLURM"),
]

DEADLINE_S = 240.0
SWEEP = (
    *("--multirun", "init=zero,he_normal", "dataset=iris", "model.width=8", "seeds=2"),
    *("training.epochs=300", "engine=keras", "execution.task_s=0.005", "execution.cores=1"),
    *("tracking=none", "report.figures=false", "diagnostics=none"),
)
ON_SLURM = (*SWEEP, "execution=slurm")


@pytest.fixture(scope="module")
def nodes():
    with slurm_cluster() as started:
        yield started


@pytest.fixture
def cluster(nodes):
    yield nodes
    nodes.mend()


@contextmanager
def command(cluster, folder, *arguments):
    """A command under way, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    output = (folder / "output").open("a")
    with (
        output,
        subprocess.Popen(
            [sys.executable, "-m", "runner", *arguments],
            cwd=folder,
            env={**cluster.environment, "PYTHONPATH": str(Path(runner.__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def ended(cluster, folder, *arguments):
    """Runs a command to its end; returns its exit code and what it printed."""
    with command(cluster, folder, *arguments) as process:
        code = process.wait(DEADLINE_S)
    return code, (folder / "output").read_text()


def has_trained(folder):
    """Tells whether a worker has told of epochs."""
    return any(path.stat().st_size > 4000 for path in folder.glob("results/*/*/tasks/*/*.frames"))


def curves(folder):
    return pd.read_parquet(folder / "results" / "latest" / "curves.parquet")


@pytest.fixture(scope="module")
def local(nodes, tmp_path_factory):
    """What the sweep gives on this machine alone."""
    folder = tmp_path_factory.mktemp("local")
    code, output = ended(nodes, folder, *SWEEP)
    assert code == 0, output
    return curves(folder)


def test_a_command_that_was_killed_is_repeated_and_gives_what_a_local_one_gives(
    cluster, tmp_path, local
):
    with command(cluster, tmp_path, *ON_SLURM) as first:
        wait_for(lambda: has_trained(tmp_path), DEADLINE_S)
        before = cluster.jobs()
        numbers = [number for number, state, _ in before.values() if state == "RUNNING"]
        cluster.ask("scontrol", "suspend", ",".join(numbers))  # as slow as it takes
        code, output = ended(cluster, tmp_path, *ON_SLURM)
        assert code == 1
        assert f"is being trained: process {first.pid} on " in output
        first.send_signal(signal.SIGKILL)
    cluster.ask("scontrol", "resume", ",".join(numbers))
    code, output = ended(cluster, tmp_path, *ON_SLURM)
    assert code == 0, output
    assert set(cluster.jobs()) <= set(before)
    pd.testing.assert_frame_equal(curves(tmp_path), local)
    records = read_replicates((tmp_path / "results" / "latest").resolve())
    assert [record.status for record in records] == ["finished"] * 4


def test_a_command_that_is_stopped_leaves_checkpoints_and_goes_on(cluster, tmp_path, local):
    with command(cluster, tmp_path, *ON_SLURM) as first:
        wait_for(lambda: has_trained(tmp_path), DEADLINE_S)
        first.send_signal(signal.SIGTERM)
        assert first.wait(DEADLINE_S) == 130
    assert list(tmp_path.glob("results/*/*/checkpoints/*.npz"))
    wait_for(lambda: not cluster.jobs())
    code, output = ended(cluster, tmp_path, *ON_SLURM)
    assert code == 0, output
    assert "Going on after epoch" in output
    pd.testing.assert_frame_equal(curves(tmp_path), local)
