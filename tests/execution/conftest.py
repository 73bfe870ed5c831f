"""Runs the command line inside the test process, where TensorFlow is imported only once."""

import logging
import os
import shutil
import sys
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import rich
from hydra.core.hydra_config import HydraConfig

from runner import stores
from runner.recording import background, process
from runner.records import read_configurations, read_replicates, read_sweep
from runner.summary import curve_summary
from runner.training import reference


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    output: str
    folder: Path


@dataclass(frozen=True)
class Stored:
    """What MLflow has of a run."""

    status: str
    tags: dict
    params: dict
    metrics: dict
    files: list


class Here:
    """Stands in for the process that records in MLflow, which would import it once more."""

    def __init__(self, _):
        (source, given), (answers, target) = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(given, "wb"), os.fdopen(answers, "rb")
        self._source, self._target = os.fdopen(source, "rb"), os.fdopen(target, "wb")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with self._target:
            process.serve(process.Input(self._source), process.Output(self._target))

    def wait(self):
        self._thread.join()
        return 0


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Returns a function that runs `python -m runner` with its arguments in an empty folder."""
    from runner import __main__

    monkeypatch.setattr(background, "process", Here)
    fixed = stores.ENVIRONMENT | {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    for name, value in fixed.items():  # which no thread changes beside those of TensorFlow
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(rich, "_console", None)  # another test's is as wide as that one had it
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = logging.getLogger()

    def run(*arguments: str) -> Done:
        handlers, level = list(root.handlers), root.level
        monkeypatch.setattr(sys, "argv", ["runner", *arguments])
        try:
            __main__.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            for handler in set(root.handlers) - set(handlers):
                handler.close()
            root.handlers, root.level = list(handlers), level
            HydraConfig.instance().cfg = None
        captured = capsys.readouterr()
        return Done(code, captured.out + captured.err, tmp_path / "results" / "latest")

    return run


@pytest.fixture
def tracked(tmp_path):
    """Returns a function that gives MLflow's client and its runs of one sweep."""

    def runs(sweep: str, client=None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MLflow about its own database library
            from mlflow import MlflowClient

            client = client or MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
            experiment = client.get_experiment_by_name("runner")
            found = client.search_runs([experiment.experiment_id], f"tags.sweep = '{sweep}'")
        return client, found

    return runs


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database as MLflow creates it, which takes seconds."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow about its own database library
        from mlflow import MlflowClient

        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def database(empty_database, tmp_path):
    """The database of the commands that a test runs, so that they need not create it."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def trained(monkeypatch):
    """The seeds of every member that the reference engine has been given, in order."""
    train, seen = reference.train, []

    def spy(cohort):
        seen.extend(member.batch_seed for member in cohort.members)
        return train(cohort)

    monkeypatch.setattr(reference, "train", spy)
    return seen


@pytest.fixture
def stored(tracked):
    """Returns a function that tells all that MLflow has of a sweep, without times, by name."""

    def told(folder, client=None):
        client, runs = tracked(read_sweep(folder).name, client)
        return {run.info.run_name: _content(client, run) for run in runs}

    return told


def _content(client, run):
    tags = ("status", "incomplete", "level", "configuration", "replicate")
    return Stored(
        status=run.info.status,
        tags={key: value for key, value in run.data.tags.items() if key in tags},
        params=run.data.params,
        metrics={
            name: sorted(
                (point.step, point.value)
                for point in client.get_metric_history(run.info.run_id, name)
            )
            for name in run.data.metrics
        },
        files=sorted(file.path for file in client.list_artifacts(run.info.run_id)),
    )


@pytest.fixture
def same_as_disk():
    """Returns the check that MLflow has every value of a sweep on disk, once, and the means."""

    def check(folder, runs):
        records = read_replicates(folder)
        replicates = _at(runs, "replicate")
        assert set(replicates) == {(str(record.configuration), record.key) for record in records}
        for record in records:
            run = replicates[str(record.configuration), record.key]
            for name, curve in record.curves.items():
                assert run.metrics[name] == list(enumerate(curve))
        configurations = _at(runs, "configuration")
        for configuration in read_configurations(folder):
            run = configurations[str(configuration.index), None]
            own = [record for record in records if record.configuration == configuration.index]
            for row in curve_summary(own, 0.95).to_dict("records"):
                points = [point for point in run.metrics[row["metric"]] if point[0] == row["epoch"]]
                assert points == [(row["epoch"], row["mean"])]
        assert {run.status for run in runs.values()} == {"FINISHED"}

    return check


def _at(runs, level):
    return {
        (run.tags["configuration"], run.tags.get("replicate")): run
        for run in runs.values()
        if run.tags["level"] == level
    }
