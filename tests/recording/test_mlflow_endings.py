"""Runs that are ended together are as those that MLflow's client ends, in every table."""

import contextlib
import sqlite3

import pytest

from runner.config import convert
from runner.plan import Tracking
from runner.recording import mlflow_endings, mlflow_store
from runner.recording.mlflow_endings import Ending

TABLES = {
    "runs": "status, end_time, lifecycle_stage",
    "metrics": "key, value, timestamp, step, is_nan",
    "latest_metrics": "key, value, timestamp, step, is_nan",
    "params": "key, value",
    "tags": "key, value",
}
LONG = "a text " * 100


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    return mlflow_store.open_store(
        mlflow_store.resolve_uri(convert(Tracking, {"uri": uri}, "tracking")), "runner"
    )


def content(store, run_id):
    with contextlib.closing(sqlite3.connect(store.uri.removeprefix("sqlite:///"))) as database:
        return {
            table: sorted(
                database.execute(f"select {columns} from {table} where run_uuid = ?", (run_id,))
            )
            for table, columns in TABLES.items()
        }


def begun(store):
    """Returns a run that has got its first epochs."""
    from mlflow.entities import Metric

    run = store.client.create_run(store.experiment_id, run_name="same", tags={"init": "zero"})
    points = [Metric("loss", 2.0 - step, 1000 + step, step) for step in range(2)]
    store.log(run.info.run_id, points, {"width": "8"}, {"status": "running"})
    return run.info.run_id


def ending(run_id, text="because"):
    from mlflow.entities import Metric

    points = [Metric("loss", 1.0 / step, 1000 + step, step) for step in range(1, 9)]
    points += [Metric("val_loss", 0.5, 1009, 0), Metric("val_loss", 0.25, 1009, 0)]
    points += [points[0], Metric("loss", 7.0, 1000, 3)]
    tags = {"status": "finished", "new": text, "init": "ones"}
    return Ending(run_id, "FINISHED", 1234, points, {"width": "8", "depth": "2"}, tags)


def test_all_tables_are_as_the_client_leaves_them(store, monkeypatch):
    together, alone = [begun(store), begun(store)], begun(store)
    mlflow_endings.write(store.uri, [ending(run_id) for run_id in together])
    monkeypatch.setattr(mlflow_endings, "is_plain", lambda ending: False)
    store.end([ending(alone)])
    expected = content(store, alone)
    assert len(expected["metrics"]) > 10
    assert [content(store, run_id) for run_id in together] == [expected] * 2


def test_the_client_reads_them(store):
    run_id = begun(store)
    store.end([ending(run_id)])
    run = store.client.get_run(run_id)
    assert (run.info.status, run.info.end_time) == ("FINISHED", 1234)
    assert run.data.metrics == {"loss": 1 / 8, "val_loss": 0.5}
    assert run.data.params == {"width": "8", "depth": "2"}
    assert (run.data.tags["init"], run.data.tags["status"]) == ("ones", "finished")
    assert len(store.client.get_metric_history(run_id, "loss")) == 10


def test_what_is_unusual_is_left_to_the_client(store):
    long, plain = begun(store), begun(store)
    assert not mlflow_endings.is_plain(ending(long, LONG))
    store.end([ending(long, LONG), ending(plain)])
    assert store.client.get_run(long).data.tags["new"] == LONG
    assert [content(store, run)["runs"][0][0] for run in (long, plain)] == ["FINISHED"] * 2


def test_all_are_ended_or_none(store):
    gone, left = begun(store), begun(store)
    store.client.delete_run(gone)
    before = content(store, left)
    with pytest.raises(LookupError, match=gone):
        mlflow_endings.write(store.uri, [ending(left), ending(gone)])
    assert content(store, left) == before
    with pytest.raises(Exception, match="active"):
        store.end([ending(left), ending(gone)])
    assert content(store, left)["runs"][0][0] == "FINISHED"
