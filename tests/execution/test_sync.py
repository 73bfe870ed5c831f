"""MLflow may fail at any moment: the records are on disk, and what it lacks is sent later."""

import shutil

import mlflow
import pytest

from runner.records import read_configurations, read_replicates, read_sweep
from runner.report import load, tables
from runner.sync import main as sync

SMALL = (
    *("--multirun", "dataset=iris", "model.width=8", "training.epochs=2", "report.figures=false"),
    *("engine=keras", "init=zero,he_normal", "seeds=2"),
)


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these train."""


@pytest.fixture
def stored(tracked):
    """Returns a function that tells all that MLflow has of a sweep, without times, by name."""

    def told(folder):
        client, runs = tracked(read_sweep(folder).name)
        return {
            run.info.run_name: (
                run.info.status,
                {
                    key: value
                    for key, value in run.data.tags.items()
                    if key in ("status", "incomplete", "level", "configuration", "replicate")
                },
                run.data.params,
                {
                    name: sorted(
                        (point.step, point.value)
                        for point in client.get_metric_history(run.info.run_id, name)
                    )
                    for name in run.data.metrics
                },
                sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            )
            for run in runs
        }

    return told


def assert_mlflow_has_what_the_disk_has(folder, runs):
    """Every value of every curve, once; and the means of the configurations."""
    results = load(folder)
    records = read_replicates(folder)
    replicates = {
        (int(tags["configuration"]), tags["replicate"]): (status, metrics)
        for status, tags, _, metrics, _ in runs.values()
        if tags["level"] == "replicate"
    }
    assert set(replicates) == {(record.configuration, record.key) for record in records}
    for record in records:
        status, metrics = replicates[record.configuration, record.key]
        assert status == "FINISHED"
        for name, curve in record.curves.items():
            assert metrics[name] == list(enumerate(curve))
    configurations = {
        int(tags["configuration"]): metrics
        for _, tags, _, metrics, _ in runs.values()
        if tags["level"] == "configuration"
    }
    assert set(configurations) == set(results.comparison["configuration"])
    for configuration in read_configurations(folder):
        own = [record for record in records if record.configuration == configuration.index]
        for row in tables.curve_summary(own, 0.95).to_dict("records"):
            assert (row["epoch"], row["mean"]) in configurations[configuration.index][row["metric"]]
    assert {status for status, *_ in runs.values()} == {"FINISHED"}


def breaks_after(monkeypatch, calls, fails):
    """Lets MLflow's client log so many batches and then `fails` times raise."""
    log_batch, counts = mlflow.MlflowClient.log_batch, {"calls": 0}

    def log(self, *args, **kwargs):
        counts["calls"] += 1
        if calls < counts["calls"] <= calls + fails:
            raise ConnectionError("the server is gone")
        return log_batch(self, *args, **kwargs)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", log)


def test_results_of_a_sweep_without_mlflow_can_be_sent_later(command, database, stored):
    folder = command(*SMALL, "tracking=none").folder.resolve()
    assert sync([str(folder), "--tracking-uri", database]) == 0
    runs = stored(folder)
    assert_mlflow_has_what_the_disk_has(folder, runs)
    tracked_from_the_start = command(*SMALL, "rerun=true").folder.resolve()
    direct = stored(tracked_from_the_start)
    name, other = read_sweep(folder).name, read_sweep(tracked_from_the_start).name
    runs["sweep"], direct["sweep"] = runs.pop(name), direct.pop(other)
    assert {name: run[1] | run[2] for name, run in runs.items()} == {
        name: run[1] | run[2] for name, run in direct.items()
    }
    assert {name: (run[0], run[4]) for name, run in runs.items()} == {
        name: (run[0], run[4]) for name, run in direct.items()
    }


# From the very first batch to the last ones of all.
@pytest.mark.parametrize("calls", [1, 2, 3, 4, 7, 9])
def test_what_mlflow_missed_is_sent_once(command, database, stored, monkeypatch, capsys, calls):
    with monkeypatch.context() as broken:
        breaks_after(broken, calls, fails=1000)
        done = command(*SMALL)
    assert done.code == 0
    assert done.output.count("stopped working (the server is gone)") == 1
    assert "python -m runner.sync results/" in done.output
    folder = done.folder.resolve()
    assert len(read_replicates(folder)) == 4
    assert sync([str(folder)]) == 0
    once = stored(folder)
    assert_mlflow_has_what_the_disk_has(folder, once)
    assert sync([str(folder)]) == 0
    assert stored(folder) == once
    assert not any("incomplete" in tags for _, tags, *_ in once.values())
    assert "MLflow has all of it" in capsys.readouterr().out


def test_a_server_that_is_back_at_the_end_gets_everything(command, database, stored, monkeypatch):
    breaks_after(monkeypatch, 3, fails=1)
    done = command(*SMALL)
    assert done.code == 0
    assert "stopped working" in done.output
    assert "runner.sync" not in done.output
    assert_mlflow_has_what_the_disk_has(done.folder, stored(done.folder))


def test_mlflow_that_is_required_is_asked_for_before_anything_is_trained(
    command, trained, tmp_path
):
    done = command(*SMALL, "tracking.uri=http://me:hunter2@127.0.0.1:9")
    assert done.code == 1
    assert "`tracking.uri` must be an MLflow server" in done.output
    assert "hunter2" not in done.output
    assert trained == []
    assert not list(tmp_path.glob("results/*/*"))


def test_training_goes_on_without_mlflow_where_it_is_not_required(command, database, stored):
    done = command(*SMALL, "tracking.uri=http://127.0.0.1:9", "tracking.required=false")
    assert done.code == 0
    assert "Training goes on without it" in done.output
    assert "python -m runner.sync results/" in done.output
    folder = done.folder.resolve()
    assert sync([str(folder), "--tracking-uri", database]) == 0
    assert_mlflow_has_what_the_disk_has(folder, stored(folder))


def test_an_interrupted_sweep_stays_interrupted(command, database, stored):
    folder = command(*SMALL, "tracking=none").folder.resolve()
    (folder / "1" / "replicates" / "seed-1.json").unlink()
    assert sync([str(folder), "--tracking-uri", database]) == 0
    runs = stored(folder)
    assert runs[read_sweep(folder).name][0] == "KILLED"
    assert runs["zero"][0] == "FINISHED"
    assert runs["he_normal"][0] == "KILLED"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "sweep.json: cannot be read"),
        (lambda folder: (folder / "sweep.json").write_text("{"), "sweep.json: cannot be read"),
        (lambda folder: None, "--tracking-uri"),
    ],
)
def test_what_cannot_be_sent_is_told_in_one_line(command, capsys, spoil, said):
    folder = command(*SMALL, "tracking=none").folder.resolve()
    spoil(folder)
    capsys.readouterr()
    assert sync([str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {folder}")
    assert said in line
