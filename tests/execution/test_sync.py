"""MLflow may fail at any moment: the records are on disk, and what it lacks is sent later."""

import itertools
import shutil
import signal

import mlflow
import pytest

from runner.recording import mlflow_endings
from runner.records import read_replicates, read_sweep
from runner.sync import main as sync

SMALL = (
    *("--multirun", "dataset=iris", "model.width=8", "training.epochs=2", "report.figures=false"),
    *("engine=keras", "init=zero,he_normal", "seeds=2"),
)


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these train."""


CLIENT = mlflow.MlflowClient, "log_batch"
BATCHES = CLIENT, (mlflow_endings, "write")


def before_each_batch(monkeypatch, act, places=BATCHES):
    """Calls `act` with 1, 2, ... before MLflow gets a batch: of a run, or of many that end."""
    counted = itertools.count(1)

    def counting(original):
        def counts(*args, **kwargs):
            act(next(counted))
            return original(*args, **kwargs)

        return counts

    for place, name in places:
        monkeypatch.setattr(place, name, counting(getattr(place, name)))


def breaks_after(monkeypatch, calls, fails, places=BATCHES):
    """Lets MLflow take so many batches and then `fails` times raise."""

    def act(number):
        if calls < number <= calls + fails:
            raise ConnectionError("the server is gone")

    before_each_batch(monkeypatch, act, places)


@pytest.mark.slow
def test_results_of_a_sweep_without_mlflow_can_be_sent_later(
    command, database, stored, same_as_disk
):
    folder = command(*SMALL, "tracking=none").folder.resolve()
    assert sync([str(folder), "--tracking-uri", database]) == 0
    runs = stored(folder)
    same_as_disk(folder, runs)
    tracked_from_the_start = command(*SMALL, "rerun=true").folder.resolve()
    direct = stored(tracked_from_the_start)
    name, other = read_sweep(folder).name, read_sweep(tracked_from_the_start).name
    runs["sweep"], direct["sweep"] = runs.pop(name), direct.pop(other)
    for name, run in runs.items():
        other = direct[name]
        assert (run.status, run.tags, run.params, run.files) == (
            *(other.status, other.tags, other.params, other.files),
        )
        assert run.metrics.keys() == other.metrics.keys()


# From the very first batch to the last ones of all.
@pytest.mark.parametrize(
    "calls", [4, *(pytest.param(calls, marks=pytest.mark.slow) for calls in (1, 2, 5))]
)
def test_what_mlflow_missed_is_sent_once(
    command, database, stored, monkeypatch, capsys, calls, same_as_disk
):
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
    same_as_disk(folder, once)
    assert sync([str(folder)]) == 0
    assert stored(folder) == once
    assert not any("incomplete" in run.tags for run in once.values())
    assert "MLflow has all of it" in capsys.readouterr().out


@pytest.mark.slow
def test_a_server_that_is_back_at_the_end_gets_everything(
    command, database, stored, monkeypatch, same_as_disk
):
    breaks_after(monkeypatch, 3, fails=1, places=[CLIENT])
    done = command(*SMALL)
    assert done.code == 0
    assert "stopped working" in done.output
    assert "runner.sync" not in done.output
    same_as_disk(done.folder, stored(done.folder))


def test_mlflow_that_is_required_is_asked_for_before_anything_is_trained(
    command, trained, tmp_path
):
    done = command(*SMALL, "tracking.uri=http://me:hunter2@127.0.0.1:9")
    assert done.code == 1
    assert "`tracking.uri` must be an MLflow server" in done.output
    assert "hunter2" not in done.output
    assert trained == []
    assert not list(tmp_path.glob("results/*/*"))


@pytest.mark.slow
def test_training_goes_on_without_mlflow_where_it_is_not_required(
    command, database, stored, same_as_disk
):
    done = command(*SMALL, "tracking.uri=http://127.0.0.1:9", "tracking.required=false")
    assert done.code == 0
    assert "Training goes on without it" in done.output
    assert "python -m runner.sync results/" in done.output
    folder = done.folder.resolve()
    assert sync([str(folder), "--tracking-uri", database]) == 0
    same_as_disk(folder, stored(folder))


@pytest.mark.slow
def test_an_interrupted_sweep_stays_interrupted(command, database, stored):
    folder = command(*SMALL, "tracking=none").folder.resolve()
    (folder / "1" / "replicates" / "seed-1.json").unlink()
    assert sync([str(folder), "--tracking-uri", database]) == 0
    runs = stored(folder)
    statuses = [runs[name].status for name in (read_sweep(folder).name, "he_normal", "zero")]
    assert statuses == ["KILLED", "KILLED", "FINISHED"]


def interrupts_at(monkeypatch, calls):
    """Sends Ctrl-C in the course of MLflow's batch of this number."""

    def act(number):
        if number == calls:
            signal.raise_signal(signal.SIGTERM)

    before_each_batch(monkeypatch, act)


# In the start, among the replicates, in what is said of the whole.
@pytest.mark.parametrize(
    "calls", [3, *(pytest.param(calls, marks=pytest.mark.slow) for calls in (1, 4))]
)
def test_an_interrupted_sync_leaves_nothing_running_and_is_made_good(
    command, database, stored, monkeypatch, capsys, calls, same_as_disk
):
    folder = command(*SMALL, "tracking=none").folder.resolve()
    arguments = [str(folder), "--tracking-uri", database]
    with monkeypatch.context() as interrupted:
        interrupts_at(interrupted, calls)
        assert sync(arguments) == 130
    assert "Interrupted." in capsys.readouterr().err
    runs = stored(folder)
    assert runs[read_sweep(folder).name].status == "KILLED"
    assert "RUNNING" not in {run.status for run in runs.values()}
    assert sync(arguments) == 0
    same_as_disk(folder, stored(folder))


@pytest.mark.slow
def test_a_replicate_that_a_later_command_has_recorded_is_not_recorded_again(
    command, database, stored, monkeypatch
):
    first = command(*SMALL, "tracking=none").folder.resolve()
    later = command(*SMALL).folder.resolve()
    ids = {run.tags["replicate"] for run in stored(later).values() if "replicate" in run.tags}
    assert ids == {"seed-0", "seed-1"}
    assert sync([str(first)]) == 1
    assert sync([str(first), "--tracking-uri", database]) == 0
    assert sync([str(first), "--tracking-uri", database]) == 0
    runs = stored(first)
    assert [run.tags["level"] for run in runs.values() if "replicate" in run.tags] == []
    assert {run.status for run in runs.values()} == {"FINISHED"}
    recorded = stored(later)
    for init in ("zero", "he_normal"):
        assert runs[init].metrics == recorded[init].metrics


def forget_configurations(folder):
    for number in ("0", "1"):
        shutil.rmtree(folder / number)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "sweep.json: cannot be read"),
        (lambda folder: (folder / "sweep.json").write_text("{"), "sweep.json: cannot be read"),
        (lambda folder: shutil.rmtree(folder / "0"), "--tracking-uri"),
        (forget_configurations, "there is no configuration.json"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_sent_is_told_in_one_line(command, capsys, spoil, said):
    folder = command(*SMALL, "tracking=none").folder.resolve()
    spoil(folder)
    capsys.readouterr()
    assert sync([str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {folder}")
    assert said in line


@pytest.mark.slow
def test_a_configuration_that_is_missing_is_named_and_left_out(command, caplog):
    folder = command(*SMALL, "tracking=none").folder.resolve()
    (folder / "0" / "configuration.json").unlink()
    sync([str(folder)])
    assert f"{folder}/0/configuration.json" in caplog.text
