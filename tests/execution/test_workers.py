"""Real trainings by workers in processes of their own, which are killed, stopped and resumed.

Whatever happens to the workers, the records are those of an undisturbed command in one process.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import runner
from runner.execution import plan as plans
from runner.records import read_replicates

pytestmark = pytest.mark.slow

DEADLINE_S = 300.0
# Two tasks, long enough to be met in the middle of their training.
SWEEP = (
    *("--multirun", "init=he_normal,glorot_normal", "seeds=2", "dataset=digits", "model.width=8"),
    *("training.epochs=1200", "training.checkpoint_every_s=0.1", "diagnostics=none"),
    *("tracking=none", "report.figures=false", "execution.cores=1", "execution.task_s=0.02"),
)
IN_PROCESSES = (*SWEEP, "execution.workers=2")


def begun(folder: Path, *arguments: str) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])}
    with (folder / "output").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def ended(process: subprocess.Popen) -> int:
    return process.wait(timeout=DEADLINE_S)


def until(holds: Callable[[], object]):
    give_up_s = time.monotonic() + DEADLINE_S
    while not (found := holds()):
        assert time.monotonic() < give_up_s
        time.sleep(0.02)
    return found


def curves(folder: Path) -> pd.DataFrame:
    keys = ["configuration", "seed", "epoch", "metric"]
    table = pd.read_parquet(folder / "results" / "latest" / "curves.parquet")
    return table.sort_values(keys)[[*keys, "step", "value"]].reset_index(drop=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The curves of the sweep when nothing happens, trained in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert ended(begun(folder, *SWEEP)) == 0, (folder / "output").read_text()
    latest = folder / "results" / "latest"
    assert len(plans.read(latest).tasks) > 1
    return curves(folder)


def assert_whole(folder: Path, undisturbed: pd.DataFrame) -> None:
    output = (folder / "output").read_text()
    records = read_replicates(folder / "results" / "latest")
    assert [record.status for record in records] == ["finished"] * 4, output
    pd.testing.assert_frame_equal(curves(folder), undisturbed, check_exact=True)


def workers(folder: Path) -> dict[str, int]:
    """Returns the processes of the workers that are training, by task."""
    found = {}
    for checkpoint in folder.glob("results/[0-9]*/*/checkpoints/*.npz"):
        task = checkpoint.stem
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            home = str(checkpoint.parents[1].name).encode()
            is_worker = b"runner.execution.worker" in words and task.encode() in words
            if is_worker and any(home in word for word in words):
                found[task] = int(entry.parent.name)
    return found


def test_workers_that_end_go_on_from_their_checkpoints(tmp_path, undisturbed):
    process = begun(tmp_path, *IN_PROCESSES)
    hit: set[int] = set()
    for number in (signal.SIGKILL, signal.SIGUSR2):
        hit.add(pid := until(lambda: next(iter({*workers(tmp_path).values()} - hit), None)))
        os.kill(pid, number)
    assert ended(process) == 0, (tmp_path / "output").read_text()
    output = (tmp_path / "output").read_text()
    assert output.count("lost its worker once") == 1
    assert output.count("Going on after epoch") == 2
    assert_whole(tmp_path, undisturbed)


def test_the_same_command_goes_on_after_its_parent_was_killed(tmp_path, undisturbed):
    process = begun(tmp_path, *IN_PROCESSES)
    pids = until(lambda: workers(tmp_path))
    process.kill()
    ended(process)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()))
    assert ended(begun(tmp_path, *IN_PROCESSES)) == 0, (tmp_path / "output").read_text()
    assert_whole(tmp_path, undisturbed)


def test_an_interruption_ends_the_workers_with_checkpoints(tmp_path, undisturbed):
    process = begun(tmp_path, *IN_PROCESSES)
    pids = until(lambda: workers(tmp_path))
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 130
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())
    assert ended(begun(tmp_path, *IN_PROCESSES)) == 0
    assert "Going on after epoch" in (tmp_path / "output").read_text()
    assert_whole(tmp_path, undisturbed)


def test_two_rounds_of_an_optimizing_sweeper(tmp_path):
    batches = ("--multirun", "init=zero,ones", "hydra.sweeper.max_batch_size=1", "seeds=1")
    quick = ("dataset=iris", "training.epochs=1", "tracking=none", "report.figures=false")
    code = ended(begun(tmp_path, *batches, *quick, "execution.workers=2", "execution.cores=1"))
    assert code == 0, (tmp_path / "output").read_text()
    latest = tmp_path / "results" / "latest"
    assert [task["round"] for task in json.loads((latest / "plan.json").read_bytes())["tasks"]] == [
        0,
        1,
    ]
    assert len(read_replicates(latest)) == 2
