"""Runs the command line inside the test process, where TensorFlow is imported only once."""

import logging
import shutil
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from runner.training import reference


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    output: str
    folder: Path


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Returns a function that runs `python -m runner` with its arguments in an empty folder."""
    from runner import __main__

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
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

    def runs(sweep: str):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MLflow about its own database library
            from mlflow import MlflowClient

            client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
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
