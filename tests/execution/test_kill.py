"""Real processes that are killed in the middle of a sweep: nothing that had ended is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

import runner
from runner.records import read_sweep
from runner.report.__main__ import main as report

pytestmark = pytest.mark.slow

# One replicate after the other, and far more of them than the test waits for.
LONG = (
    *("--multirun", "init=zero,he_normal", "engine=keras", "dataset=iris", "model.width=8"),
    *("training.epochs=50", "seeds=500", "report.figures=false"),
)
DEADLINE_S = 180.0


@contextmanager
def sweep(folder: Path, *arguments: str) -> Iterator[subprocess.Popen]:
    """Runs a long sweep until its first replicates are on disk; ends it with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", *LONG, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A test run in the background of a shell hands on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        try:
            wait_for_records(folder, process)
            yield process
        finally:
            process.kill()


def wait_for_records(folder: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + DEADLINE_S
    # MLflow hears of a replicate after the disk, so of the first one when the second is there.
    while len(list(folder.glob("results/*/*/*/replicates/seed-*.json"))) < 2:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no two replicates have ended"
        time.sleep(0.05)


@pytest.fixture
def statuses(tracked):
    """Returns a function that counts MLflow's runs of a sweep by level and status."""

    def count(sweep: str) -> Counter:
        return Counter((run.data.tags["level"], run.info.status) for run in tracked(sweep)[1])

    return count


def test_what_had_ended_survives_sigkill(command, tmp_path, statuses, keras):
    with sweep(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    killed = (tmp_path / "results" / "latest").resolve()
    name = read_sweep(killed).name
    assert statuses(name)["sweep", "RUNNING"] == 1
    half = killed / "0" / "replicates" / ".seed-499.json.half"
    half.write_text('{"configuration": 0, "seed": 499, "st')
    whole = list(killed.glob("*/replicates/seed-*.json"))
    assert [json.loads(path.read_text())["status"] for path in whole] == ["finished"] * len(whole)

    assert report([str(killed)]) == 0
    assert len(pd.read_csv(killed / "replicates.csv")) == len(whole)
    assert "Missing" in (killed / "report.md").read_text()

    done = command("dataset=iris", "training.epochs=1", "seeds=1", "report.figures=false")
    assert done.code == 0
    after = statuses(name)
    assert after["sweep", "KILLED"] == 1
    assert {status for _, status in after} <= {"KILLED", "FINISHED"}


@pytest.mark.parametrize(
    ("sent", "launcher"),
    [("SIGINT", "cohort"), ("SIGTERM", "cohort"), ("SIGINT", "joblib")],
)
def test_an_interrupted_command_ends_in_order(tmp_path, statuses, sent, launcher):
    with sweep(tmp_path, f"hydra/launcher={launcher}") as process:
        process.send_signal(signal.Signals[sent])
        output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "Interrupted." in output
    folder = (tmp_path / "results" / "latest").resolve()
    table = pd.read_csv(folder / "replicates.csv")
    assert "finished" in set(table["status"]) <= {"finished", "interrupted"}
    assert (folder / "report.html").exists()
    ended = statuses(read_sweep(folder).name)
    assert ended["sweep", "KILLED"] == 1
    assert ended["replicate", "FINISHED"] >= 1
    assert {status for _, status in ended} == {"KILLED", "FINISHED"}
