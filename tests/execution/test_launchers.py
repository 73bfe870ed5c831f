"""A sweep is one sweep, however its sweeper launches the jobs: at once, or batch after batch."""

import dataclasses
import os
import signal
import warnings
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from runner.events import ReplicateEnded
from runner.records import read_configurations, read_replicates, read_sweep
from runner.training import reference

# The reference engine trains one replicate at a time, so its bits do not depend on the grouping.
SMALL = (
    *("engine=keras", "dataset=iris", "model.width=8", "training.epochs=2", "seeds=2"),
    "report.figures=false",
    "rerun=true",  # one command repeats what another has finished
)
SWEEP = ("--multirun", *SMALL)
ONE_BY_ONE = (*SWEEP, "hydra.sweeper.max_batch_size=1")
OPTUNA = (
    *(*SWEEP, "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=4"),
    *("hydra.sweeper.direction=maximize", "hydra.sweeper.sampler.seed=1"),
)

TAGS = (
    *("init", "dataset", "model", "model.depth", "optimizer.learning_rate", "status", "error"),
    *("rank", "verdict", "step0"),
)


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these train."""


@pytest.fixture(scope="module", autouse=True)
def _optuna():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is an old release
        import optuna  # noqa: F401


def frame(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    return table.drop(columns=["wall_time_s", "draw_time_s"], errors="ignore")


def assert_same_results(first: Path, second: Path) -> None:
    for name in ("comparison.csv", "replicates.csv", "curves.parquet", "movement.csv"):
        pd.testing.assert_frame_equal(frame(first / name), frame(second / name))
    # Each command stamps what it does not reuse; a batch cannot count the comparisons to come.
    unstamped = [
        [dataclasses.replace(record, design=None) for record in read_configurations(folder)]
        for folder in (first, second)
    ]
    assert unstamped[0] == unstamped[1]


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
                {key: value for key, value in run.data.metrics.items() if "time_s" not in key},
                names.get(run.data.tags.get("mlflow.parentRunId")),
                sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            )
            for run in runs
        }

    return told


@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_slurm"])
@pytest.mark.parametrize("options", [(), ("--multirun", "init=zero,ones")])
def test_other_launchers_are_refused(command, tmp_path, launcher, options):
    done = command(*options, f"hydra/launcher={launcher}")
    assert done.code == 1
    (line,) = done.output.splitlines()
    assert line.startswith("`hydra/launcher` must be left out: the launcher `cohort` plans all job")
    assert line.endswith(f"Received: {launcher}.")
    assert not list(tmp_path.iterdir())


def test_a_launcher_by_its_class_is_refused(command, tmp_path):
    basic = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
    done = command("--multirun", f"hydra.launcher._target_={basic}", "init=zero,ones")
    assert done.code == 1
    assert "`hydra/launcher` must be left out" in done.output
    assert not (tmp_path / "results").exists()


def test_studies_stay_in_memory(command, tmp_path):
    done = command(*OPTUNA, "init=zero,ones", "hydra.sweeper.storage=sqlite:///study.db")
    assert done.code == 1
    (line,) = done.output.splitlines()
    assert line.startswith("`hydra.sweeper.storage` must be null")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "code", "end"),
    [
        (KeyboardInterrupt, 130, "KILLED"),
        pytest.param(RuntimeError, 1, "FAILED", marks=pytest.mark.slow),
    ],
)
def test_mlflow_gets_everything_where_the_report_breaks(
    command, monkeypatch, database, mlflow_runs, error, code, end
):
    names = []

    def write(folder, figures):
        names.append(read_sweep(folder).name)
        raise error

    monkeypatch.setattr("runner.report.write", write)
    done = command(*ONE_BY_ONE, "init=zero,ones")
    assert done.code == code
    assert "Traceback" not in done.output
    runs = mlflow_runs(names[0])
    assert runs.pop(("sweep", "sweep"))[0] == end
    assert len(runs) == 6
    assert {run[0] for run in runs.values()} == {"FINISHED"}


# The first batch can be such that nothing of it can be trained, or that it has no factor yet.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("batch", "varied"),
    [
        (1, ("init=keras1/identity,he_normal", "model.depth=1,2")),
        # What is a factor alone in the first batch is a part of one in the second.
        (2, ("optimizer=sgd,adam", "optimizer.learning_rate=0.1,1")),
    ],
)
def test_batches_of_a_sweep_are_one_sweep(command, database, mlflow_runs, batch, varied):
    first = command(*SWEEP, *varied)
    folder = first.folder.resolve()
    done = command(*SWEEP, *varied, f"hydra.sweeper.max_batch_size={batch}")
    assert folder != done.folder.resolve()
    assert done.code == first.code
    assert_same_results(folder, done.folder)
    runs = [mlflow_runs(read_sweep(each).name) for each in (folder, done.folder)]
    assert runs[0] == runs[1]
    assert len(runs[0]) == 1 + 4 + len(read_replicates(folder))
    assert done.output.count("Report: ") == 1


@pytest.mark.slow
def test_an_optimizing_sweeper_goes_by_the_results(command, database, mlflow_runs, monkeypatch):
    train = reference.train

    def fail(cohort):
        for event in train(cohort):
            failed = isinstance(event, ReplicateEnded) and cohort.training.batch_size == 64
            yield ReplicateEnded(event.key, "failed", error="luck") if failed else event

    monkeypatch.setattr(reference, "train", fail)
    swept = ("init=he_normal", "training.batch_size=8,64", "optimizer.learning_rate=interval(.1,1)")
    done = command(*OPTUNA, *swept)
    assert done.code == 1  # some trials failed, and the others went on
    table = pd.read_csv(done.folder / "comparison.csv")
    assert table["configuration"].tolist() == [0, 1, 2, 3]
    assert sorted(set(table["num_failed"])) == [0, 2]
    best = OmegaConf.load(done.folder / "optimization_results.yaml")
    assert best.best_value == table["mean"].max()
    rates = {
        record.factors["optimizer.learning_rate"] for record in read_configurations(done.folder)
    }
    assert best.best_params["optimizer.learning_rate"] in rates
    assert len(rates) == 4
    assert done.output.count("Report: ") == 1
    runs = mlflow_runs(read_sweep(done.folder).name)
    assert len(runs) == 1 + 4 + 4 * 2
    assert runs["sweep", "sweep"][0] == "FAILED"
    assert all(run[1]["optimizer.learning_rate"] for run in runs.values())


@pytest.mark.slow
def test_an_optimizing_sweeper_avoids_what_has_no_value(command):
    done = command(*OPTUNA, "init=keras1/identity,zero", "tracking=none")
    assert done.code == 1
    assert {record.init for record in read_configurations(done.folder)} == {
        "keras1/identity",
        "zero",
    }
    best = OmegaConf.load(done.folder / "optimization_results.yaml")
    assert best.best_params["init"] == "zero"


@pytest.mark.slow
def test_a_batch_that_is_refused_does_not_stop_the_others(command, trained):
    done = command(*ONE_BY_ONE, "init=keras1/identity,zero,ones", "tracking=none")
    assert done.code == 1
    assert trained == [0, 1, 0, 1]
    table = pd.read_csv(done.folder / "comparison.csv").set_index("init")
    assert table["num_finished"].to_dict() == {"keras1/identity": 0, "zero": 2, "ones": 2}
    log = (done.folder / "0" / "runner.log").read_text()
    assert "must be defined for every kernel" in log
    assert "zero" in (done.folder / "1" / "runner.log").read_text()


# What is wrong with the second batch -> what is told.
WRONG = {
    "composed": (("init=uniform,zero", "init.scale=0.1"), "is not a setting of init=zero"),
    "settings": (("init=zero", "report.at=final,best"), "`report` must be the same in every"),
    "baseline": (("init=zero,ones", "report.baseline=zer"), "must be null or an initializer"),
}


@pytest.mark.sampled
@pytest.mark.parametrize("kind", WRONG)
def test_what_was_trained_before_a_mistake_is_reported(command, kind):
    arguments, told = WRONG[kind]
    done = command(*ONE_BY_ONE, *arguments, "tracking=none")
    assert done.code == 1
    assert told in done.output
    assert "Traceback" not in done.output
    if kind != "baseline":  # told at once
        assert pd.read_csv(done.folder / "replicates.csv")["status"].tolist() == ["finished"] * 2
        assert (done.folder / "report.html").exists()


@pytest.mark.parametrize("options", [SWEEP, pytest.param(ONE_BY_ONE, marks=pytest.mark.slow)])
def test_a_folder_with_results_is_refused(command, tmp_path, trained, options):
    options = (*options, "tracking=none", "hydra.sweep.dir=elsewhere")
    assert command(*options, "init=zero,ones").code == 0
    assert not (tmp_path / "results" / "latest").exists()
    told = read_sweep(tmp_path / "elsewhere").command
    assert told.endswith("tracking=none hydra.sweep.dir=elsewhere init=zero,ones")
    before = sorted(tmp_path.rglob("replicates/*"))
    done = command(*options, "init=ones,he_normal")
    assert done.code == 1
    assert "`hydra.sweep.dir` must be a folder without results" in done.output
    assert "Traceback" not in done.output
    assert trained == [0, 1, 0, 1]
    assert sorted(tmp_path.rglob("replicates/*")) == before


def test_nothing_stays_where_nothing_can_be_trained(command, tmp_path):
    done = command(*ONE_BY_ONE, "init=zero,ones", "model.width=-1")
    assert done.code == 1
    assert "Received: -1" in done.output
    assert "Traceback" not in done.output
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("options", "code", "plans"),
    [
        ((*ONE_BY_ONE, "init=zero,ones"), 0, 2),
        ((*ONE_BY_ONE, "init=zero,keras1/identity"), 1, 2),
        ((*OPTUNA, "init=zero,ones"), 0, 1),
        ((*OPTUNA, "init=keras1/identity"), 1, 1),
    ],
)
def test_dry_run_shows_each_plan_and_leaves_nothing(command, tmp_path, options, code, plans):
    done = command(*options, "dry_run=true")
    assert done.code == code
    assert done.output.count("Nothing was trained") == plans
    assert ("depends on the results" in done.output) == (options[: len(OPTUNA)] == OPTUNA)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_crash_leaves_what_had_finished(command, monkeypatch):
    train = reference.train

    def crash(cohort):
        for event in train(cohort):
            yield event
            if isinstance(event, ReplicateEnded):
                raise RuntimeError("no more")

    monkeypatch.setattr(reference, "train", crash)
    done = command(*ONE_BY_ONE, "init=zero,ones", "tracking=none")
    assert done.code == 1
    assert "no more" in done.output
    statuses = pd.read_csv(done.folder / "replicates.csv")["status"].tolist()
    assert statuses == ["finished", "failed"] * 2


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("options", "by"),
    [
        (ONE_BY_ONE, "Ctrl-C"),
        (ONE_BY_ONE, "between"),
        pytest.param(ONE_BY_ONE, "SIGTERM", marks=pytest.mark.slow),
        pytest.param(SWEEP, "Ctrl-C", marks=pytest.mark.slow),
        pytest.param(SWEEP, "SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_interruption_keeps_what_has_finished(
    command, monkeypatch, database, mlflow_runs, options, by
):
    train, ends = reference.train, []

    def interrupt(cohort):
        for event in train(cohort):
            yield event
            if isinstance(event, ReplicateEnded):
                ends.append(event)
            if isinstance(event, ReplicateEnded) and len(ends) == 3:
                if by == "SIGTERM":
                    os.kill(os.getpid(), signal.SIGTERM)
                elif by == "Ctrl-C":
                    raise KeyboardInterrupt

    def compose(self, *args):
        if ends:
            raise KeyboardInterrupt
        return take(self, *args)

    from hydra_plugins.runner_launcher import QuickLoader

    take = QuickLoader.take
    if by == "between":
        monkeypatch.setattr(QuickLoader, "take", compose)
    monkeypatch.setattr(reference, "train", interrupt)
    before = signal.getsignal(signal.SIGTERM)
    done = command(*options, "init=zero,ones,he_normal")
    assert signal.getsignal(signal.SIGTERM) is before
    assert done.code == 130
    assert "Traceback" not in done.output
    assert done.output.count("Interrupted.") == 1
    statuses = pd.read_csv(done.folder / "replicates.csv")["status"].tolist()
    # A signal lets the epoch that it falls into come to its end.
    finished = 2 if by == "between" else 3
    assert statuses == ["finished"] * finished + ["interrupted"] * (by == "SIGTERM")
    assert (done.folder / "report.html").exists()
    runs = mlflow_runs(read_sweep(done.folder).name)
    assert runs["sweep", "sweep"][0] == "KILLED"
    assert runs["configuration", "zero"][0] == "FINISHED"
    assert runs["replicate", "zero seed 0"][0] == "FINISHED"
    assert "RUNNING" not in {run[0] for run in runs.values()}


@pytest.mark.parametrize("options", [SWEEP, ONE_BY_ONE])
def test_mlflow_that_cannot_be_used_is_told_before_anything_is_trained(command, trained, options):
    done = command(*options, "init=zero,ones", "tracking.uri=sqlite:nowhere")
    assert done.code == 1
    assert "`tracking.uri` must be" in done.output
    assert trained == []
    assert not done.folder.exists()
