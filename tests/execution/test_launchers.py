"""Hydra's stock launchers end where `cohort` ends: same records, comparison, MLflow, exit code."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import runner
from runner.config import ConfigError
from runner.execution import apart, finish
from runner.records import Outcome, read_configurations, read_replicates, read_sweep
from runner.training import reference

# The reference engine trains one replicate at a time, so its bits do not depend on the grouping.
SMALL = (
    *("engine=keras", "dataset=iris", "model.width=8", "training.epochs=2", "seeds=2"),
    "report.figures=false",
    "rerun=true",  # one command repeats what another has finished
)
SWEEP = ("--multirun", *SMALL)
BASIC = (*SWEEP, "hydra/launcher=basic")
VARIED = ("init=keras1/identity,he_normal", "model.depth=1,2")

TAGS = ("init", "dataset", "model", "model.depth", "status", "error")


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these train."""


def frame(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    return table.drop(columns="wall_time_s", errors="ignore")


def assert_same_results(first: Path, second: Path) -> None:
    for name in ("comparison.csv", "replicates.csv", "curves.parquet", "movement.csv"):
        pd.testing.assert_frame_equal(frame(first / name), frame(second / name))
    assert read_configurations(first) == read_configurations(second)


@pytest.fixture
def mlflow_runs(tracked):
    """Returns a function that tells all of a sweep's runs but times and processes, by name."""

    def told(sweep: str) -> dict[tuple[str, str], tuple]:
        client, runs = tracked(sweep)
        names = {run.info.run_id: run.info.run_name.replace(sweep, "sweep") for run in runs}
        return {
            (run.data.tags["level"], names[run.info.run_id]): (
                run.info.status,
                {key: run.data.tags.get(key) for key in TAGS},
                run.data.params,
                {key: value for key, value in run.data.metrics.items() if key != "wall_time_s"},
                names.get(run.data.tags.get("mlflow.parentRunId")),
                sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            )
            for run in runs
        }

    return told


@pytest.mark.parametrize(
    ("error", "code", "end"), [(KeyboardInterrupt, 130, "KILLED"), (RuntimeError, 1, "FAILED")]
)
def test_mlflow_gets_everything_where_the_report_breaks(
    command, monkeypatch, mlflow_runs, error, code, end
):
    names = []

    def write(folder, figures):
        names.append(read_sweep(folder).name)
        raise error

    monkeypatch.setattr("runner.report.write", write)
    done = command(*SWEEP, "init=zero,ones")
    assert done.code == code
    assert "Traceback" not in done.output
    runs = mlflow_runs(names[0])
    assert runs.pop(("sweep", "sweep"))[0] == end
    assert len(runs) == 6
    assert {run[0] for run in runs.values()} == {"FINISHED"}


@pytest.mark.slow
def test_basic_gives_what_cohort_gives(command, mlflow_runs):
    done = command(*SWEEP, *VARIED)
    first = done.folder.resolve()
    again = command(*BASIC, *VARIED)
    second = again.folder.resolve()
    assert first != second
    assert done.code == again.code == 1  # keras1/identity is not defined for these kernels
    assert_same_results(first, second)
    assert {record.factors["model.depth"] for record in read_configurations(second)} == {1, 2}
    names = [read_sweep(folder).name for folder in (first, second)]
    runs = [mlflow_runs(name) for name in names]
    assert len(runs[0]) == 1 + 4 + 4
    assert runs[0] == runs[1]
    assert {run[0] for run in runs[1].values()} == {"FINISHED", "FAILED"}
    assert again.output.count("Report: ") == 1
    assert "he_normal" in (second / "3" / "runner.log").read_text()


@pytest.mark.slow
def test_batches_of_a_sweep_are_one_sweep(command, mlflow_runs):
    varied = ("init=zero,ones", "model.depth=1,2")
    first = command(*SWEEP, *varied).folder.resolve()
    done = command(*SWEEP, *varied, "hydra.sweeper.max_batch_size=3")
    second = done.folder.resolve()
    assert first != second
    assert done.code == 0
    assert_same_results(first, second)
    assert pd.read_csv(second / "comparison.csv")["model.depth"].tolist() == [1, 2, 1, 2]
    runs = [mlflow_runs(read_sweep(folder).name) for folder in (first, second)]
    assert runs[0] == runs[1]
    assert done.output.count("Report: ") == 1


def test_a_batch_that_is_refused_does_not_stop_the_others(command, trained):
    done = command(
        *SWEEP, "init=keras1/identity,zero,ones", "tracking=none", "hydra.sweeper.max_batch_size=1"
    )
    assert done.code == 1
    assert trained == [0, 1, 0, 1]
    table = pd.read_csv(done.folder / "comparison.csv").set_index("init")
    assert table["num_finished"].to_dict() == {"keras1/identity": 0, "zero": 2, "ones": 2}


@pytest.mark.parametrize("launcher", ["cohort", "basic"])
def test_a_folder_with_results_is_refused(command, tmp_path, trained, launcher):
    options = (*SWEEP, "tracking=none", f"hydra/launcher={launcher}", "hydra.sweep.dir=elsewhere")
    assert command(*options, "init=zero,ones").code == 0
    before = sorted(tmp_path.rglob("replicates/*"))
    done = command(*options, "init=ones,he_normal")
    assert done.code == 1
    assert "`hydra.sweep.dir` must be a folder without results" in done.output
    assert "Traceback" not in done.output
    assert trained == [0, 1, 0, 1]
    assert sorted(tmp_path.rglob("replicates/*")) == before


def test_another_folder(command, tmp_path):
    done = command(*BASIC, "init=zero,ones", "tracking=none", "hydra.sweep.dir=elsewhere")
    assert done.code == 0
    assert len(pd.read_csv(tmp_path / "elsewhere" / "comparison.csv")) == 2
    assert not done.folder.exists()
    told = read_sweep(tmp_path / "elsewhere").command
    assert told.startswith("python -m runner --multirun")
    assert told.endswith("init=zero,ones tracking=none hydra.sweep.dir=elsewhere")


def test_nothing_stays_where_nothing_can_be_trained(command, tmp_path):
    done = command(*BASIC, "init=zero,ones", "model.width=-1")
    assert done.code == 1
    assert "Received: -1" in done.output
    assert "Traceback" not in done.output
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_dry_run_shows_each_plan_and_leaves_nothing(command, tmp_path):
    done = command(*BASIC, "init=zero,ones", "dry_run=true")
    assert done.code == 0
    assert done.output.count("Nothing was trained") == 2
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_failing_replicate(command, monkeypatch):
    train = reference.train

    def fail(cohort):
        for event in train(cohort):
            failed = isinstance(event, Outcome) and event.replicate == 0
            yield Outcome(0, "failed", 0.0, error="out of luck") if failed else event

    monkeypatch.setattr(reference, "train", fail)
    done = command(*BASIC, "init=zero,ones", "tracking=none")
    assert done.code == 1
    assert "out of luck" in done.output
    comparison = pd.read_csv(done.folder / "comparison.csv")
    assert comparison[["num_finished", "num_failed"]].to_numpy().tolist() == [[1, 1], [1, 1]]


def test_a_crash_leaves_what_had_finished(command, monkeypatch):
    train = reference.train

    def crash(cohort):
        for event in train(cohort):
            yield event
            if isinstance(event, Outcome):
                raise RuntimeError("no more")

    monkeypatch.setattr(reference, "train", crash)
    done = command(*BASIC, "init=zero", "tracking=none")
    assert done.code == 1
    assert "no more" in done.output
    statuses = pd.read_csv(done.folder / "replicates.csv")["status"].tolist()
    assert statuses == ["finished", "failed"]


@pytest.mark.parametrize(
    ("launcher", "by"),
    [("basic", "Ctrl-C"), pytest.param("cohort", "SIGTERM", marks=pytest.mark.slow)],
)
def test_interruption_keeps_what_has_finished(command, monkeypatch, mlflow_runs, launcher, by):
    train = reference.train

    def interrupt(cohort):
        for event in train(cohort):
            yield event
            if isinstance(event, Outcome) and by == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)
            elif isinstance(event, Outcome):
                raise KeyboardInterrupt

    monkeypatch.setattr(reference, "train", interrupt)
    before = signal.getsignal(signal.SIGTERM)
    done = command(*SWEEP, f"hydra/launcher={launcher}", "init=zero,ones")
    assert signal.getsignal(signal.SIGTERM) is before
    assert done.code == 130
    assert "Traceback" not in done.output
    assert done.output.count("Interrupted.") == 1
    statuses = pd.read_csv(done.folder / "replicates.csv")["status"].tolist()
    # A signal lets the epoch that it falls into come to its end.
    assert statuses == ["finished"] + ["interrupted"] * (by == "SIGTERM")
    assert (done.folder / "report.html").exists()
    runs = mlflow_runs(read_sweep(done.folder).name)
    assert runs["sweep", "sweep"][0] == runs["configuration", "zero"][0] == "KILLED"
    assert runs["replicate", "zero seed 0"][0] == "FINISHED"
    assert "RUNNING" not in {run[0] for run in runs.values()}


@pytest.mark.parametrize("how", ["hydra/launcher=basic", "hydra.sweeper.max_batch_size=1"])
def test_mlflow_that_cannot_be_used_is_told_before_anything_is_trained(command, trained, how):
    done = command(*SWEEP, how, "init=zero,ones", "tracking.uri=sqlite:nowhere")
    assert done.code == 1
    assert "`tracking.uri` must be" in done.output
    assert trained == []
    assert not done.folder.exists()


def test_what_was_trained_is_reported_even_if_mlflow_cannot_be_used_any_more(command, monkeypatch):
    def refuse(tracking):
        raise ConfigError("no such server")

    monkeypatch.setattr(finish, "MlflowRecorder", refuse)
    done = command(*BASIC, "init=zero,ones")
    assert done.code == 1
    assert "no such server" in done.output
    assert len(pd.read_csv(done.folder / "replicates.csv")) == 4
    assert (done.folder / "report.html").exists()


def test_settings_of_the_sweep_must_agree(command):
    done = command(*BASIC, "init=zero", "report.at=final,best", "tracking=none")
    assert done.code == 1
    assert "`report` must be the same in every configuration" in done.output
    assert len(pd.read_csv(done.folder / "replicates.csv")) == 4


def test_a_password_is_used_but_not_recorded(command, monkeypatch):
    used = []

    def refuse(tracking):
        used.append(tracking.uri)
        raise ConfigError("no such server")

    monkeypatch.setattr(apart, "_check_tracking", lambda config: None)
    monkeypatch.setattr(finish, "MlflowRecorder", refuse)
    uri = "http://me:hunter2@127.0.0.1:9"
    done = command(*BASIC, "init=zero", f"tracking.uri={uri}")
    assert used == [uri]
    assert "hunter2" not in (done.folder / "0" / "configuration.json").read_text()


@pytest.mark.slow
def test_joblib_gives_what_cohort_gives(command, tmp_path, mlflow_runs):
    first = command(*SWEEP, *VARIED).folder.resolve()
    arguments = (*SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *VARIED)
    root = str(Path(runner.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "runner", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=300,
    )
    second = (tmp_path / "results" / "latest").resolve()
    assert done.returncode == 1, done.stderr  # for keras1/identity, as before
    assert "Traceback" not in done.stdout + done.stderr
    assert first != second
    assert_same_results(first, second)
    names = [read_sweep(folder).name for folder in (first, second)]
    assert mlflow_runs(names[0]) == mlflow_runs(names[1])
    assert len(read_replicates(second)) == 4
