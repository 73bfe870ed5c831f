"""MLflow's database file: made whole or not at all, whoever is killed on the way."""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import runner
from runner.config import ConfigError
from runner.recording import mlflow_store
from runner.recording.mlflow_store import open_store

ROOT = Path(runner.__file__).parents[1]


def tables(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


@pytest.fixture
def interrupt_at():
    """Returns a context in which the statement of this number is interrupted."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @contextlib.contextmanager
    def block(number):
        statements = []

        def count(*_):
            statements.append(None)
            if len(statements) == number:
                raise KeyboardInterrupt

        event.listen(Engine, "before_cursor_execute", count)
        try:
            yield statements
        finally:
            event.remove(Engine, "before_cursor_execute", count)

    return block


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    """An empty folder in the place of the user's cache, where a database without runs is kept."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


# Its creation takes some 1500 statements; the later one has made temporary tables.
@pytest.mark.sampled
@pytest.mark.parametrize("number", [100, 700])
def test_a_creation_that_is_interrupted_is_begun_again(tmp_path, cache, interrupt_at, number):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with interrupt_at(number) as statements, pytest.raises(KeyboardInterrupt):
        open_store(uri, "runner")
    assert len(statements) >= number
    assert tables(tmp_path / "mlflow.db") == set()
    store = open_store(uri, "runner")
    assert store.client.get_experiment_by_name("runner").experiment_id == store.experiment_id
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def contents(path):
    """Returns the words of all statements that make a database, but for dates; order is chance."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE experiments SET creation_time = 0, last_update_time = 0")
        found = [sorted(re.findall(r"'.*?'|\w+", line)) for line in connection.iterdump()]
    return sorted(found)


def test_the_next_database_is_as_mlflow_makes_it(tmp_path, cache, monkeypatch):
    def opened(name):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)  # MLflow's own experiment has its files there
        path = tmp_path / name / "mlflow.db"
        open_store(f"sqlite:///{path}", "runner")
        return [[word.replace(f"/{name}/", "/") for word in line] for line in contents(path)]

    first = opened("first")
    (kept,) = (cache / "runner").glob("mlflow-*.db")
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_store, "_let_mlflow_migrate", None)
        assert opened("copied") == first
    kept.write_bytes(kept.read_bytes()[: 2**15])
    assert opened("damaged") == first
    assert kept.stat().st_size > 2**19
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept / "in a file"))
    assert opened("no-cache") == first


@pytest.fixture
def older(tmp_path):
    """A database as MLflow 2.0 left it, with an experiment in it."""
    import sqlalchemy.orm
    from alembic import command
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base

    path = tmp_path / "mlflow.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow about its own database library
        sqlalchemy.orm.configure_mappers()
    Base.metadata.create_all(engine)
    command.upgrade(utils._get_alembic_config(f"sqlite:///{path}"), "97727af70f4d")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)"
            " VALUES (7, 'mine', 'file:///nowhere', 'active')"
        )
    engine.dispose()
    return path


def test_an_older_database_gets_what_it_lacks_all_at_once(older, interrupt_at):
    before = tables(older)
    with interrupt_at(100), pytest.raises(KeyboardInterrupt):
        open_store(f"sqlite:///{older}", "mine")
    assert tables(older) == before
    assert open_store(f"sqlite:///{older}", "mine").experiment_id == "7"
    assert mlflow_store._mlflow_tables() <= tables(older)


def test_an_older_database_that_another_process_writes_to_is_left_alone(older, monkeypatch):
    migrate = mlflow_store._let_mlflow_migrate

    def meanwhile(uri):
        migrate(uri)
        with contextlib.closing(sqlite3.connect(older)) as other, other:
            other.execute("UPDATE experiments SET name = 'theirs' WHERE experiment_id = 7")

    monkeypatch.setattr(mlflow_store, "_let_mlflow_migrate", meanwhile)
    before = tables(older)
    with pytest.raises(ConfigError, match="another process writes to it"):
        open_store(f"sqlite:///{older}", "mine")
    assert tables(older) == before


# Forks a process that has MLflow imported, for its import takes longer than the database.
KILLER = """
import os, signal, sys, time
from runner.recording.mlflow_store import open_store
from runner.stores import unobtrusive

with unobtrusive():
    import mlflow.store.db.utils
    import mlflow.store.tracking.sqlalchemy_store

def opening(folder):
    pid = os.fork()
    if pid == 0:
        try:
            open_store(f"sqlite:///{folder}/mlflow.db", "runner")
        except BaseException as error:
            print(folder, error, flush=True)
            os._exit(1)
        os._exit(0)
    return pid

folder, kills = sys.argv[1], int(sys.argv[2])
killed, whole_s = 0, 1.0
for number in range(100 * kills):
    if killed == kills:
        break
    place = f"{folder}/{number}"
    os.mkdir(place)
    pid = opening(place)
    time.sleep((0.5 + 0.618 * number) % 1 * whole_s)  # the golden ratio spreads them evenly
    os.kill(pid, signal.SIGKILL)
    killed += os.waitpid(pid, 0)[1] != 0
    started = time.monotonic()
    if os.waitpid(opening(place), 0)[1] != 0:
        sys.exit(f"{place} cannot be opened")
    whole_s = time.monotonic() - started
sys.exit(0 if killed == kills else "too few were killed")
"""


@pytest.mark.slow
def test_a_database_whose_creation_was_killed_can_be_opened(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), "4"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
