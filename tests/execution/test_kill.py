"""Real processes, killed or side by side: nothing that had ended is lost, repeated or mixed up."""

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
from runner.records import read_replicates, read_sweep
from runner.report.__main__ import main as report

pytestmark = pytest.mark.slow

# One replicate after the other, and far more of them than the test waits for.
LONG = (
    *("--multirun", "init=zero,he_normal", "engine=keras", "dataset=iris", "model.width=8"),
    *("training.epochs=50", "seeds=500", "report.figures=false"),
)
DEADLINE_S = 180.0


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "runner", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A test run in the background of a shell hands on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@contextmanager
def sweep(folder: Path, *arguments: str) -> Iterator[subprocess.Popen]:
    """Runs a long sweep until its first replicates are on disk; ends it with the block."""
    with start(folder, *LONG, *arguments) as process:
        try:
            wait_for_records(folder, process)
            yield process
        finally:
            process.kill()


def wait_for_records(folder: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + DEADLINE_S
    # `results/*` would now and then meet the name under which `latest` is prepared.
    # MLflow hears of a replicate after the disk, so of the first one when the second is there.
    while len(list(folder.glob("results/[0-9]*/*/*/replicates/seed-*.json"))) < 2:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no two replicates have ended"
        time.sleep(0.05)


@pytest.fixture
def statuses(tracked):
    """Returns a function that counts MLflow's runs of a sweep by level and status."""

    def count(sweep: str) -> Counter:
        return Counter((run.data.tags["level"], run.info.status) for run in tracked(sweep)[1])

    return count


def recording(process: subprocess.Popen) -> int:
    """Returns the number of the process that records a command's sweep in MLflow."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (found,) = (
        int(child)
        for child in children
        if b"runner.recording.process" in Path(f"/proc/{child}/cmdline").read_bytes()
    )
    return found


@pytest.mark.parametrize(
    "alone", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["with MLflow's", "alone"]
)
def test_what_had_ended_survives_sigkill(command, tmp_path, statuses, keras, alone):
    with sweep(tmp_path) as process:
        if not alone:
            os.kill(recording(process), signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
        process.wait()
    killed = (tmp_path / "results" / "latest").resolve()
    name = read_sweep(killed).name
    deadline = time.monotonic() + DEADLINE_S
    while alone and "RUNNING" in {status for _, status in statuses(name)}:
        assert time.monotonic() < deadline, "nobody ends the runs"
        time.sleep(0.1)
    assert statuses(name)["sweep", "KILLED" if alone else "RUNNING"] == 1
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


# What becomes of SIGHUP is told below, at all moments.
@pytest.mark.parametrize(("sent", "batch"), [("SIGTERM", "null"), ("SIGINT", "1")])
def test_an_interrupted_command_ends_in_order(tmp_path, statuses, sent, batch):
    with sweep(tmp_path, f"hydra.sweeper.max_batch_size={batch}") as process:
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


def test_a_second_interruption_ends_a_command_at_once(tmp_path):
    with sweep(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        began_s = time.monotonic()
        output, _ = process.communicate(timeout=DEADLINE_S)
    # Shells report either as 130: a command that has already concluded dies by the signal itself.
    assert process.returncode in (130, -signal.SIGINT), output
    assert time.monotonic() - began_s < 10  # five seconds, and the end of the interpreter
    assert "Traceback" not in output
    folder = (tmp_path / "results" / "latest").resolve()
    statuses = {record.status for record in read_replicates(folder)}
    assert "finished" in statuses <= {"finished", "interrupted"}
    assert report([str(folder), "--no-figures"]) == 0


# Sends SIGHUP at a moment of the command: when a module is imported for the first time; in the next
# callback of the garbage collector after that, where Python loses what is raised; in a call.
MOMENT = """
import gc, importlib, os, runpy, signal, sys

def send(*_):
    while callbacks:
        gc.callbacks.remove(callbacks.pop())
    os.kill(os.getpid(), signal.SIGHUP)

def collect():
    callbacks.append(send)
    gc.callbacks.append(send)

class Importing:
    def find_spec(self, name, path=None, target=None):
        if name == where:
            sys.meta_path.remove(self)
            send() if how == "import" else collect()

def call():
    path, _, name = where.rpartition(".")
    module = importlib.import_module(path)
    function = getattr(module, name)

    def sending(*args, **kwargs):
        setattr(module, name, function)
        send()
        return function(*args, **kwargs)

    setattr(module, name, sending)

callbacks = []
how, where = sys.argv[1].split(":")
call() if how == "call" else sys.meta_path.insert(0, Importing())
sys.argv = ["runner", *sys.argv[2:]]
runpy.run_module("runner", run_name="__main__", alter_sys=True)
"""


# The moment -> how many of the configurations have been trained, and whether they are reported.
@pytest.mark.parametrize(
    ("moment", "trained", "reported"),
    [
        ("call:runner.datasets.load", 0, False),
        ("import:tensorflow", 0, False),
        ("collector:keras", 0, False),
        ("call:runner.recording.background.process_tags", 0, False),  # MLflow opens its store
        ("call:runner.execution.checkpoints.discard", 1, True),  # between two configurations
        ("call:runner.report.files.summed_up", 2, False),
        ("call:runner.execution.finish._tell_where", 2, True),
    ],
)
def test_no_moment_loses_a_signal(tmp_path, moment, trained, reported):
    arguments = ("--multirun", "model.width=8,9", "init=zero", "engine=keras", "dataset=iris")
    quick = ("training.epochs=1", "seeds=1", "report.figures=false")
    done = subprocess.run(
        [sys.executable, "-c", MOMENT, moment, *arguments, *quick],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 130, output
    assert "Traceback" not in output
    assert "ignored" not in output
    records = list(tmp_path.glob("results/[0-9]*/*/*/replicates/*.json"))
    assert len(records) == trained
    assert len(list(tmp_path.glob("results/[0-9]*/*/report.html"))) == reported


# Checkpoints come often, so that some kills hit while one is written.
SHORT = (
    *("--multirun", "init=zero,he_normal", "dataset=iris", "model.width=8", "model.dropout=0.2"),
    *("training.epochs=60", "training.checkpoint_every_s=0.05", "report.figures=false"),
)


def kill_at_a_moment(folder: Path, number: int, *arguments: str) -> bool:
    """Starts the sweep and kills it; returns whether it was killed before it came to its end.

    The moments lie in the second after MLflow's database has been begun, until there is one; then
    every other one in the start, the others after the sweep's folder has been made. The golden
    ratio spreads them evenly, however many there are.
    """
    begun = "*mlflow.db*" if not (folder / "mlflow.db").exists() else "results/[0-9]*/*/sweep.json"
    known = set(folder.glob(begun))
    anywhere = begun.startswith("results") and number % 2 == 1
    process = start(folder, *arguments)
    with process:
        while not anywhere and process.poll() is None and set(folder.glob(begun)) == known:
            time.sleep(0.01)
        longest = 12 if anywhere else 3 if begun.startswith("results") else 1
        first = 0.5 if anywhere else 0
        waited = first + (0.5 + 0.618 * number) % 1 * (longest - first)
        deadline = time.monotonic() + waited
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        output = process.communicate()[0]
    assert "Traceback" not in output
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("engine", "kills"), [("keras", 4), ("vectorized", 4)])
def test_a_sweep_that_is_killed_again_and_again_ends_as_if_nothing_had_been(
    tmp_path, engine, kills
):
    arguments = (*SHORT, f"engine={engine}")
    killed, number, seeds = 0, 0, 6
    while killed < kills:
        number += 1
        if kill_at_a_moment(tmp_path, number, *arguments, f"seeds={seeds}"):
            killed += 1
        else:
            seeds += 6  # it has come to its end: there is to be more to train
    arguments = (*arguments, f"seeds={seeds}")
    with start(tmp_path, *arguments) as process:
        output = process.communicate(timeout=DEADLINE_S)[0]
    assert process.returncode == 0, output
    folder = (tmp_path / "results" / "latest").resolve()
    records = read_replicates(folder)
    assert len(records) == 2 * seeds
    assert {record.status for record in records} == {"finished"}

    _, runs = tracked_all(tmp_path)
    assert "RUNNING" not in {run.info.status for run in runs}
    finished = Counter(
        (run.data.tags["init"], run.data.tags["replicate"])
        for run in runs
        if run.data.tags["level"] == "replicate" and run.info.status == "FINISHED"
    )
    assert finished == Counter(
        (init, f"seed-{seed}") for init in ("zero", "he_normal") for seed in range(seeds)
    )

    with start(tmp_path, *arguments, "rerun=true", "tracking=none") as process:
        output = process.communicate(timeout=DEADLINE_S)[0]
    assert process.returncode == 0, output
    whole = read_replicates((tmp_path / "results" / "latest").resolve())
    for ours, theirs in zip(records, whole, strict=True):
        assert (ours.configuration, ours.seed) == (theirs.configuration, theirs.seed)
        assert ours.steps == theirs.steps
        if engine == "keras":
            assert ours.curves == theirs.curves
            continue
        # After a kill the rest may be trained in a program of another shape. Rounding of about
        # 1e-7 a step grows over 240 steps; an example more or less is 1/90 in an accuracy.
        for metric, values in ours.curves.items():
            margin = 0.05 if metric.endswith("accuracy") else 1e-3
            assert values == pytest.approx(theirs.curves[metric], abs=margin)


def tracked_all(folder: Path):
    """Returns MLflow's client and all runs in the folder's database."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow about its own database library
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
        experiment = client.get_experiment_by_name("runner")
        return client, list(client.search_runs([experiment.experiment_id], max_results=10_000))


def test_six_commands_that_start_together_do_not_disturb_each_other(tmp_path):
    inits = ("zero", "ones", "he_normal", "he_uniform", "orthogonal", "lecun_normal")
    arguments = ("engine=keras", "dataset=iris", "training.epochs=5", "seeds=4", "model.width=8")
    commands = [start(tmp_path, f"init={name}", *arguments) for name in inits]
    outputs = [process.communicate(timeout=DEADLINE_S)[0] for process in commands]
    assert [process.returncode for process in commands] == [0] * 6, outputs
    assert not any("Traceback" in output or "stopped working" in output for output in outputs)
    folders = [path.parent for path in tmp_path.glob("results/[0-9]*/*/sweep.json")]
    assert len(folders) == 6
    assert all(len(read_replicates(folder)) == 4 for folder in folders)
    _, runs = tracked_all(tmp_path)
    assert Counter((run.data.tags["level"], run.info.status) for run in runs) == {
        ("sweep", "FINISHED"): 6,
        ("configuration", "FINISHED"): 6,
        ("replicate", "FINISHED"): 24,
    }
