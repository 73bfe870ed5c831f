"""A recorded sweep is read back from a real SQLite store through MLflow's own client."""

import dataclasses
import math
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import pandas as pd
import pytest
import yaml

from runner import report
from runner.config import ConfigError, convert
from runner.events import (
    Concluded,
    ConfigurationEnded,
    EpochEnded,
    Judged,
    ReplicateRecorded,
    Restarted,
    Resumed,
    SweepEnded,
    SweepPlanned,
)
from runner.masking import masked
from runner.plan import Key, NoTracking, Tracking
from runner.recording import mlflow_fields, mlflow_store
from runner.recording.background import BackgroundRecorder
from runner.recording.disk import DiskRecorder
from runner.recording.mlflow import MlflowRecorder
from runner.records import (
    ConfigurationRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
    read_configurations,
    read_replicates,
    read_sweep,
)
from runner.report import results as report_results
from runner.stores import unobtrusive

CONF = Path(__file__).parents[2] / "conf" / "tracking"

SWEEP = SweepRecord(
    name="2026-11-23/18-02-11",
    command="python -m runner --multirun tracking.uri=http://me:hunter2@host init=he_uniform,zero",
    started="2026-11-23T18:02:11+01:00",
    versions={"runner": "0.1.0", "tensorflow": "2.21.0", "keras": "3.15.1", "python": "3.11.9"},
    machine="2 cores",
    id="0123456789abcdef",
)
STARTED_S = 1795453331  # the same moment


def configuration(index: int, init: str, depth: int, error: str | None = None) -> Any:
    dataset = {
        "name": "digits",
        "task": "classification",
        "fingerprint": "0123456789abcdef" * 4,
        "num_train": 1149,
        "uninformed_loss": math.log(10),
    }
    return ConfigurationRecord(
        index=index,
        init=init,
        factors={"model.depth": depth},
        settings={
            "dataset": {"name": "digits", "split_seed": 0},
            "model": {"name": "mlp", "depth": depth, "batch_norm": False},
            "init": {"name": "he_uniform", "gain": None},
            "optimizer": {"name": "sgd", "learning_rate": 0.1},
            "training": {"name": "default", "epochs": 3},
            "tracking": {"name": "mlflow", "uri": "http://me:hunter2@host"},
            "device": "auto",
        },
        dataset={} if error else dataset,
        model="" if error else f"mlp(depth={depth})",
        endpoint="val_accuracy",
        num_replicates=2 + index,
        error=error,
    )


def replicate(
    configuration: int, weights: int, batches: int, status: str = "finished", **more: Any
):
    num_epochs = 2 if status == "diverged" else 4
    curves = {
        name: [start + 0.1 * epoch + 0.01 * weights for epoch in range(num_epochs)]
        for name, start in [("loss", 1 / 3), ("accuracy", 0.1), ("val_accuracy", 0.2)]
    }
    return ReplicateRecord(
        configuration=configuration,
        seed=weights if weights == batches else None,
        weight_seed=weights,
        batch_seed=batches,
        status=status,  # type: ignore[arg-type]
        steps=[9 * epoch for epoch in range(num_epochs)],
        curves=curves,
        wall_time_s=1.25,
        **more,
    )


CONFIGURATIONS = [
    configuration(0, "he_uniform", 2),
    configuration(1, "he_uniform", 8),
    configuration(2, "identity", 2, error="`init` is not defined for dense/kernel (64, 10)."),
]
REPLICATES = [
    replicate(0, 0, 0, test={"loss": 0.5, "accuracy": 0.75}),
    replicate(0, 1, 1, "diverged", diverged_epoch=2, diverged_step=17),
    replicate(1, 0, 1),
    replicate(1, 1, 1, "failed", error="OOM " * 3000),
    replicate(1, 2, 2),
]
ENDS = ["finished", "failed", "failed"]


ENDPOINT = {"mean": 0.5, "median": 0.25, "num_finished": 2, "num_diverged": 0}
CONCLUDED = Concluded(
    "**he_uniform leads.**\n\n- Worse: zero.",
    ranks={0: 2, 1: 1},
    outcomes={0: "worse", 1: "best mean"},
)


def planned(*configurations: ConfigurationRecord, sweep: SweepRecord = SWEEP) -> SweepPlanned:
    return SweepPlanned(sweep, configurations or tuple(CONFIGURATIONS))


def key_of(record: ReplicateRecord) -> Key:
    return Key(record.configuration, record.weight_seed, record.batch_seed)


def epoch_of(record: ReplicateRecord, epoch: int) -> EpochEnded:
    metrics = {name: [values[epoch]] for name, values in record.curves.items()}
    return EpochEnded((key_of(record),), epoch, record.steps[epoch], metrics)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now_s = STARTED_S + 1.0

    def __call__(self) -> float:
        return self.now_s


def record_live(recorder: Any, record: ReplicateRecord) -> None:
    for epoch in range(len(record.steps)):
        recorder.take(epoch_of(record, epoch))
    recorder.take(ReplicateRecorded(record))


def finish(recorder: Any, folder: Path | None) -> None:
    for index, end in enumerate(ENDS):
        recorder.take(ConfigurationEnded(index, end, ENDPOINT))  # type: ignore[arg-type]
    recorder.take(CONCLUDED)
    recorder.take(SweepEnded("failed", folder and str(folder)))


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow creates it, which takes seconds."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowRecorder(Tracking(uri=f"sqlite:///{path}")).take(planned())
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM tags")
        connection.execute("DELETE FROM params")
        connection.execute("DELETE FROM runs")
        connection.execute("DELETE FROM experiment_tags")
        connection.execute("DELETE FROM experiments WHERE experiment_id > 0")
    connection.close()
    return path


@pytest.fixture
def uri(empty_database: Path, tmp_path: Path) -> str:
    return copy_of(empty_database, tmp_path)


def copy_of(database: Path, folder: Path) -> str:
    shutil.copy(database, folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}"


def results_folder(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ["sweep.json", "report.html", "report.md", "comparison.csv", "curves.parquet"]:
        (folder / name).write_text(name)
    for name in ["0/.hydra/config.yaml", "figures/curves.svg", "figures/scores.svg"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture(scope="module")
def recorded(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The whole synthetic sweep, recorded live: its client and its runs by name."""
    uri = copy_of(empty_database, tmp_path_factory.mktemp("store"))
    recorder = MlflowRecorder(Tracking(uri=uri), Clock())
    recorder.take(planned())
    for record in REPLICATES:
        record_live(recorder, record)
    finish(recorder, results_folder(tmp_path_factory.mktemp("results")))
    return SimpleNamespace(
        client=client_of(uri),
        runs=runs_of(uri),
        lost=recorder.lost,
        curves_url=recorder.curves_url,
    )


def client_of(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def runs_of(uri: str) -> dict[str, Any]:
    client = client_of(uri)
    experiment = client.get_experiment_by_name("runner")
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def history(client: Any, run: Any, metric: str) -> list[tuple[int, float]]:
    points = client.get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in points)


def content(uri: str) -> dict[str, Any]:
    """All that the store holds, without ids, times and what belongs to the process."""
    client = client_of(uri)
    runs = runs_of(uri)
    names = {run.info.run_id: name for name, run in runs.items()}
    return {
        name: {
            "status": run.info.status,
            "parent": names.get(run.data.tags.get("mlflow.parentRunId")),
            "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
            "params": run.data.params,
            "metrics": {metric: history(client, run, metric) for metric in run.data.metrics},
            "artifacts": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        }
        for name, run in runs.items()
    }


RUNS = {
    "2026-11-23/18-02-11": ("sweep", "FAILED", None),
    "he_uniform model.depth=2": ("configuration", "FINISHED", "2026-11-23/18-02-11"),
    "he_uniform model.depth=8": ("configuration", "FAILED", "2026-11-23/18-02-11"),
    "identity model.depth=2": ("configuration", "FAILED", "2026-11-23/18-02-11"),
    "he_uniform model.depth=2 seed 0": ("replicate", "FINISHED", "he_uniform model.depth=2"),
    "he_uniform model.depth=2 seed 1": ("replicate", "FINISHED", "he_uniform model.depth=2"),
    "he_uniform model.depth=8 weights 0 batches 1": (
        "replicate",
        "FINISHED",
        "he_uniform model.depth=8",
    ),
    "he_uniform model.depth=8 seed 1": ("replicate", "FAILED", "he_uniform model.depth=8"),
    "he_uniform model.depth=8 seed 2": ("replicate", "FINISHED", "he_uniform model.depth=8"),
}
REPLICATE_RUNS = [name for name, (level, *_) in RUNS.items() if level == "replicate"]


def test_runs_are_nested_named_and_ended(recorded: Any) -> None:
    names = {run.info.run_id: name for name, run in recorded.runs.items()}
    found = {
        name: (
            run.data.tags["level"],
            run.info.status,
            names.get(run.data.tags.get("mlflow.parentRunId")),
        )
        for name, run in recorded.runs.items()
    }
    assert found == RUNS
    assert not recorded.lost


def test_times_are_those_of_the_records(recorded: Any) -> None:
    sweep = recorded.runs[SWEEP.name].info
    assert (sweep.start_time, sweep.end_time) == (STARTED_S * 1000, STARTED_S * 1000 + 1000)


@pytest.mark.parametrize("name", RUNS)
def test_every_run_can_be_filtered_for(recorded: Any, name: str) -> None:
    tags = recorded.runs[name].data.tags
    depth = {"sweep": "2, 8"}.get(RUNS[name][0], name.partition("depth=")[2][:1])
    assert tags["model.depth"] == depth
    assert tags["sweep"] == SWEEP.name
    assert tags["dataset"] == "digits"
    assert tags["init"] in ("he_uniform", "identity", "he_uniform, identity")
    assert tags["model"].startswith("mlp")
    for library, version in SWEEP.versions.items():
        assert tags[f"version.{library}"] == version


def test_a_filter_on_level_and_factor_finds_the_configuration(recorded: Any) -> None:
    experiment = recorded.client.get_experiment_by_name("runner").experiment_id
    found = recorded.client.search_runs(
        [experiment], "tags.level = 'configuration' and tags.`model.depth` = '8'"
    )
    assert [run.info.run_name for run in found] == ["he_uniform model.depth=8"]


@pytest.mark.parametrize(("name", "record"), [*zip(REPLICATE_RUNS, REPLICATES, strict=True)])
def test_curves_are_exactly_those_of_the_record(
    recorded: Any, name: str, record: ReplicateRecord
) -> None:
    for metric, values in record.curves.items():
        assert history(recorded.client, recorded.runs[name], metric) == list(enumerate(values))


def test_a_finished_replicate_has_its_numbers_and_settings(recorded: Any) -> None:
    run = recorded.runs["he_uniform model.depth=2 seed 0"].data
    assert run.tags["status"] == "finished"
    last = REPLICATES[0].curves["val_accuracy"][-1]
    expected = {"final_val_accuracy": last, "best_val_accuracy": last, "best_epoch": 3}
    expected |= {"test_accuracy": 0.75, "epochs": 3, "wall_time_s": 1.25}
    assert run.metrics.items() >= expected.items()
    assert "diverged" not in run.metrics
    params = {"init": "he_uniform", "init.gain": "null", "model": "mlp", "model.depth": "2"}
    params |= {"model.batch_norm": "false", "optimizer.learning_rate": "0.1", "device": "auto"}
    params |= {"training.epochs": "3", "seed": "0", "weight_seed": "0", "batch_seed": "0"}
    assert run.params.items() >= params.items()


def test_crossed_seeds_have_no_common_seed(recorded: Any) -> None:
    params = recorded.runs["he_uniform model.depth=8 weights 0 batches 1"].data.params
    assert "seed" not in params
    assert (params["weight_seed"], params["batch_seed"]) == ("0", "1")


def test_a_diverged_replicate_says_so_in_finite_numbers(recorded: Any) -> None:
    run = recorded.runs["he_uniform model.depth=2 seed 1"].data
    assert run.tags["status"] == "diverged"
    expected = {"diverged": 1, "diverged_epoch": 2, "diverged_step": 17}
    assert run.metrics.items() >= expected.items()
    assert "final_loss" not in run.metrics
    assert run.metrics["best_loss"] == REPLICATES[1].curves["loss"][0]


def test_a_failed_replicate_tells_why(recorded: Any) -> None:
    tags = recorded.runs["he_uniform model.depth=8 seed 1"].data.tags
    assert tags["status"] == "failed"
    assert tags["error"].startswith("OOM OOM")


def test_a_configuration_has_mean_and_interval_of_each_curve(recorded: Any) -> None:
    run = recorded.runs["he_uniform model.depth=8"]
    # Of two values, d apart, the interval reaches t(1, 0.975) d / 2 to both sides.
    width = 12.7062047 * 0.02 / 2
    for name, offset in [("loss", 0.0), ("within_loss_low", -width), ("within_loss_high", width)]:
        expected = [1 / 3 + 0.1 * epoch + 0.01 + offset for epoch in range(4)]
        curve = history(recorded.client, run, name)
        assert [epoch for epoch, _ in curve] == list(range(4))
        assert [value for _, value in curve] == pytest.approx(expected)
    assert run.data.metrics.items() >= {"score": 0.5, "finished": 2, "rank": 1}.items()
    assert "within_score_low" not in run.data.metrics  # there is none
    assert "diverged" not in run.data.metrics  # none has
    assert run.data.tags["verdict"] == "best mean"
    assert run.data.tags["endpoint"] == "final val_accuracy"
    assert "seed" not in run.data.params


def test_a_refused_configuration_tells_why(recorded: Any) -> None:
    run = recorded.runs["identity model.depth=2"]
    assert run.data.tags["error"] == CONFIGURATIONS[2].error
    assert run.data.tags["status"] == "failed"
    assert run.data.metrics == {}


def test_the_page_of_curves_shows_the_configurations_of_the_sweep(recorded: Any) -> None:
    address, _, page = recorded.curves_url.partition("/#/")
    assert address == "http://127.0.0.1:5000"  # where `mlflow ui` listens
    assert f"(#/{page})" in recorded.runs[SWEEP.name].data.tags["mlflow.note.content"]
    path, _, encoded = page.partition("?")
    query = dict(parse_qsl(encoded, strict_parsing=True))
    assert query["orderByAsc"] == "false"  # of accuracies the best is the largest
    found = recorded.client.search_runs(
        [path.split("/")[1]], query["searchFilter"], order_by=[query["orderByKey"]]
    )
    assert {run.info.run_name for run in found} == {
        name for name, (level, *_) in RUNS.items() if level == "configuration"
    }
    assert query["orderByKey"] == "metrics.`score`"
    assert "score" in found[0].data.metrics


def test_the_verdict_is_the_description_of_the_sweep(recorded: Any) -> None:
    note = recorded.runs[SWEEP.name].data.tags["mlflow.note.content"]
    assert note.startswith("[The curves of its configurations](#/")
    assert "\n\n**he_uniform leads.**\n\n- Worse: zero.\n\n`python -m runner" in note
    assert recorded.runs["he_uniform model.depth=2"].data.tags["verdict"] == "worse"
    assert recorded.runs["he_uniform model.depth=2"].data.metrics["rank"] == 2
    assert "rank" not in recorded.runs["identity model.depth=2"].data.metrics


def test_a_long_verdict_is_left_to_the_report() -> None:
    lines = "\n".join(f"- sentence {number}" for number in range(1000))
    note = mlflow_fields.note("#/page", "python -m runner", f"**headline**\n\n{lines}")
    assert len(note) < 4000
    link, head, *told, more, command = note.split("\n\n")
    assert head == "**headline**"
    assert link == "[The curves of its configurations](#/page)"
    assert set("".join(told).splitlines()) < set(lines.splitlines())
    assert (more, command) == ("More in report.html.", "`python -m runner`")


def test_the_sweep_has_the_common_params(recorded: Any) -> None:
    params = recorded.runs[SWEEP.name].data.params
    assert params["optimizer"] == "sgd"
    assert not {"init", "model.depth", "seed"} & set(params)


def test_the_sweep_has_the_files_of_the_report(recorded: Any) -> None:
    run_id = recorded.runs[SWEEP.name].info.run_id
    paths = {file.path for file in recorded.client.list_artifacts(run_id)}
    files = {"sweep.json", "report.html", "report.md", "comparison.csv", "curves.parquet"}
    assert paths == files | {"figures", "records.zip"}
    figures = {file.path for file in recorded.client.list_artifacts(run_id, "figures")}
    assert figures == {"figures/curves.svg", "figures/scores.svg"}


@pytest.fixture(scope="module")
def kept(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The sweep in MLflow and on disk, and a second sweep of which MLflow has no files."""
    uri = copy_of(empty_database, tmp_path_factory.mktemp("kept"))
    folder = tmp_path_factory.mktemp("results")
    for recorder in (DiskRecorder(folder), MlflowRecorder(Tracking(uri=uri))):
        recorder.take(planned())
        for record in REPLICATES:
            record_live(recorder, record)
        finish(recorder, folder)
    bare = MlflowRecorder(Tracking(uri=uri))
    other = dataclasses.replace(SWEEP, name="bare", id="another")
    bare.take(planned(CONFIGURATIONS[0], sweep=other))
    bare.take(SweepEnded("finished"))
    return SimpleNamespace(uri=uri, folder=folder, run_id=runs_of(uri)[SWEEP.name].info.run_id)


@pytest.mark.parametrize("name", ["runner", SWEEP.name, "run id"])
def test_a_report_has_the_tables_of_the_folder(kept: Any, name: str) -> None:
    wanted = kept.run_id if name == "run id" else name
    found = report.load(mlflow=[wanted], tracking_uri=kept.uri)
    expected = report.load(kept.folder)
    assert found.sweep == expected.sweep
    assert found.configurations == expected.configurations
    for frame in ("replicates", "curves", "movement", "comparison", "failures"):
        pd.testing.assert_frame_equal(getattr(found, frame), getattr(expected, frame))


def test_an_experiment_and_a_folder_are_one_report(kept: Any) -> None:
    both = report.load(kept.folder, mlflow=["runner"], tracking_uri=kept.uri)
    assert both.num_repeated == len(REPLICATES)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "walker",
            r"--mlflow walker: there is no such experiment .* Experiments: Default, runner\.",
        ),
        ("it's", "--mlflow it's: there is no such experiment"),
        ("Default", "--mlflow Default: there is no such experiment with a sweep in it"),
        ("bare", "Sweep bare: MLflow has no records.zip of it"),
    ],
)
def test_what_mlflow_does_not_have_is_told(kept: Any, name: str, message: str) -> None:
    with pytest.raises(report_results.ResultsError, match=message):
        report.load(mlflow=[name], tracking_uri=kept.uri)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_configuration_has_all_its_settings(recorded: Any, index: int, tmp_path: Path) -> None:
    record = CONFIGURATIONS[index]
    run = recorded.runs[f"{record.init} model.depth={record.factors['model.depth']}"]
    path = recorded.client.download_artifacts(run.info.run_id, "config.yaml", str(tmp_path))
    expected = {**record.settings, "tracking": {"name": "mlflow", "uri": "http://***@host"}}
    assert yaml.safe_load(Path(path).read_text()) == expected


def test_no_password_reaches_the_store(recorded: Any) -> None:
    stored = [str(run.to_dictionary()) for run in recorded.runs.values()]
    assert "hunter2" not in " ".join(stored)


def test_a_configuration_names_its_dataset(recorded: Any) -> None:
    inputs = recorded.runs["he_uniform model.depth=2"].inputs.dataset_inputs
    fingerprint = CONFIGURATIONS[0].dataset["fingerprint"]
    (dataset,) = [entry.dataset for entry in inputs]
    assert dataset.name == "digits"
    assert fingerprint.startswith(dataset.digest)
    assert fingerprint in dataset.source
    assert '"num_train": 1149' in dataset.profile


def replayed(recorder: MlflowRecorder, folder: Path) -> None:
    """Sends what the disk has to a recorder."""
    recorder.take(planned(*read_configurations(folder), sweep=read_sweep(folder)))
    for record in read_replicates(folder):
        recorder.take(ReplicateRecorded(record))
    finish(recorder, folder)


@pytest.fixture
def on_disk(tmp_path: Path) -> Path:
    folder = results_folder(tmp_path / "results")
    disk = DiskRecorder(folder)
    disk.take(planned())
    for record in REPLICATES:
        disk.take(ReplicateRecorded(record))
    return folder


def test_records_on_disk_give_the_same_runs(recorded: Any, uri: str, on_disk: Path) -> None:
    replayed(MlflowRecorder(Tracking(uri=uri), Clock()), on_disk)
    assert content(uri) == content(recorded.client.tracking_uri)


def ids(uri: str) -> dict[str, str]:
    return {name: run.info.run_id for name, run in runs_of(uri).items()}


def test_what_is_whole_is_left_alone_and_the_rest_is_sent_anew(
    recorded: Any, uri: str, on_disk: Path
) -> None:
    broken = MlflowRecorder(Tracking(uri=uri), Clock())
    broken.take(planned())
    record_live(broken, REPLICATES[0])
    for epoch in range(2):
        broken.take(epoch_of(REPLICATES[2], epoch))
    broken.take(ConfigurationEnded(0, "finished", ENDPOINT))
    broken.lost = True
    broken.take(SweepEnded("failed"))
    begun = ids(uri)
    replayed(MlflowRecorder(Tracking(uri=uri), Clock(), late=True), on_disk)
    assert content(uri) == content(recorded.client.tracking_uri)
    sent = ids(uri)
    assert {name for name, run_id in begun.items() if sent[name] == run_id} == {
        SWEEP.name,
        "he_uniform model.depth=2 seed 0",
    }
    replayed(MlflowRecorder(Tracking(uri=uri), Clock(), late=True), on_disk)
    assert ids(uri) == sent
    assert content(uri) == content(recorded.client.tracking_uri)


def test_a_replicate_of_an_earlier_sweep_is_named_and_not_sent_again(uri: str) -> None:
    first, second = (dataclasses.replace(SWEEP, name=name, id=name) for name in ("old", "new"))
    known = dataclasses.replace(CONFIGURATIONS[0], identity="1" * 64)
    record = dataclasses.replace(REPLICATES[0], identity=known.identity)
    recorder = MlflowRecorder(Tracking(uri=uri), Clock())
    recorder.take(planned(known, sweep=first))
    record_live(recorder, record)
    recorder.take(SweepEnded("finished"))
    (old,) = [run_id for name, run_id in ids(uri).items() if name.endswith("seed 0")]
    again = MlflowRecorder(Tracking(uri=uri), Clock())
    twin = dataclasses.replace(known, index=1, factors={"model.depth": 3})
    again.take(planned(known, twin, sweep=second))
    again.take(ReplicateRecorded(dataclasses.replace(record, reused_from="old/0")))
    trained = replicate(0, 3, 3, identity=known.identity)
    record_live(again, trained)
    shared = dataclasses.replace(trained, configuration=1, reused_from="new/0")
    again.take(ReplicateRecorded(shared))
    for index in range(2):
        again.take(ConfigurationEnded(index, "finished", ENDPOINT))
    again.take(SweepEnded("finished"))
    client = client_of(uri)
    experiment = client.get_experiment_by_name("runner").experiment_id
    found = {
        (run.data.tags["level"], run.data.tags["model.depth"]): run
        for run in client.search_runs([experiment], "tags.sweep = 'new'")
    }
    assert set(found) == {
        ("sweep", "2, 3"),
        ("configuration", "2"),
        ("configuration", "3"),
        ("replicate", "2"),
    }
    own = found["replicate", "2"]
    assert own.data.tags["replicate"] == "seed-3"
    assert found["configuration", "2"].data.tags["reused_runs"] == old
    assert found["configuration", "3"].data.tags["reused_runs"] == own.info.run_id
    mean = found["configuration", "2"].data.metrics["loss"]
    assert mean == pytest.approx((record.curves["loss"][-1] + trained.curves["loss"][-1]) / 2)


# Passes between the epochs; a clock that was set back must not keep the curves waiting.
@pytest.mark.parametrize("passed_s", [[0, 6, 6, 6], [0, 6, -3600, 6]])
def test_curves_are_sent_while_training_goes_on_and_each_point_once(
    uri: str, passed_s: list[int]
) -> None:
    clock = Clock()
    recorder = MlflowRecorder(Tracking(uri=uri), clock)
    recorder.take(planned(CONFIGURATIONS[0]))
    seen = []
    for epoch, passed in enumerate(passed_s):
        clock.now_s += passed
        recorder.take(epoch_of(REPLICATES[0], epoch))
        run = runs_of(uri)["he_uniform model.depth=2 seed 0"]
        seen.append(len(history(client_of(uri), run, "loss")))
    assert seen == [0, 0, 3, 3]
    recorder.take(ReplicateRecorded(REPLICATES[0]))
    losses = list(enumerate(REPLICATES[0].curves["loss"]))
    assert history(client_of(uri), run, "loss") == losses


@pytest.mark.parametrize("by", ["restarted", "an earlier epoch", "resumed", "a shorter record"])
def test_what_is_trained_again_has_the_points_of_the_last_time(uri: str, by: str) -> None:
    clock = Clock()
    recorder = MlflowRecorder(Tracking(uri=uri), clock)
    recorder.take(planned(CONFIGURATIONS[0]))
    record = REPLICATES[0]
    stale = dataclasses.replace(record, curves={"loss": [9.0] * 4, "val_accuracy": [0.0] * 4})
    for epoch in range(3):
        recorder.take(epoch_of(stale, epoch))
        clock.now_s += 11
    if by == "a shorter record":
        record = dataclasses.replace(record, status="failed", error="no", steps=[], curves={})
    elif by == "resumed":
        start = {name: values[:2] for name, values in record.curves.items()}
        recorder.take(Resumed(key_of(record), record.steps[:2], start))
        recorder.take(epoch_of(record, 2))
    else:
        if by == "restarted":
            recorder.take(Restarted((key_of(record),)))
        for epoch in range(2):
            recorder.take(epoch_of(record, epoch))
    recorder.take(ReplicateRecorded(record))
    run = runs_of(uri)["he_uniform model.depth=2 seed 0"]
    found = {name: history(client_of(uri), run, name) for name in record.curves}
    assert found == {name: list(enumerate(values)) for name, values in record.curves.items()}
    assert ("loss" in run.data.metrics) == (by != "a shorter record")
    assert not recorder.lost


def test_a_later_batch_renames_what_an_earlier_one_called_otherwise(uri: str) -> None:
    recorder = MlflowRecorder(Tracking(uri=uri), Clock())
    first = dataclasses.replace(CONFIGURATIONS[0], factors={"optimizer.momentum": 0.5})
    recorder.take(planned(first))
    record_live(recorder, REPLICATES[0])
    recorder.take(planned())
    runs = runs_of(uri)
    assert set(runs) == {
        SWEEP.name,
        "he_uniform model.depth=2",
        "he_uniform model.depth=2 seed 0",
    }
    for run in runs.values():
        assert "optimizer.momentum" not in run.data.tags
        assert "model.depth" in run.data.tags


def test_a_configuration_that_gets_more_replicates_ends_again(uri: str) -> None:
    recorder = MlflowRecorder(Tracking(uri=uri), Clock())
    recorder.take(planned(CONFIGURATIONS[1]))
    for record in (REPLICATES[2], REPLICATES[4]):
        record_live(recorder, record)
        recorder.take(ConfigurationEnded(1, "finished", ENDPOINT))
    recorder.take(SweepEnded("finished"))
    runs = runs_of(uri)
    run = runs["he_uniform model.depth=8"]
    assert [epoch for epoch, _ in history(client_of(uri), run, "loss")] == [0, 1, 2, 3]
    parents = {
        child.data.tags["mlflow.parentRunId"]
        for child in runs.values()
        if child.data.tags["level"] == "replicate"
    }
    assert parents == {run.info.run_id}


def test_step_zero_is_that_of_the_last_judgement(uri: str) -> None:
    recorder = MlflowRecorder(Tracking(uri=uri), Clock())
    recorder.take(planned(CONFIGURATIONS[0]))
    network = [{"log10_signal_gain": value} for value in (1.0, 3.0)]
    records = tuple(PropagationRecord([], [], [], [], {}, {}, network=net) for net in network)
    recorder.take(Judged(0, records[:1], "dead", "too soon"))
    recorder.take(Judged(0, records, "healthy", "all is well"))
    recorder.take(ConfigurationEnded(0, "finished", ENDPOINT))
    run = runs_of(uri)["he_uniform model.depth=2"].data
    assert (run.tags["step0"], run.tags["step0.reason"]) == ("healthy", "all is well")
    assert run.metrics["log10_signal_gain"] == 2.0


def test_a_process_of_its_own_ends_the_runs_of_a_command_that_is_gone(uri: str) -> None:
    recorder = BackgroundRecorder(Tracking(uri=uri))
    recorder.take(planned())
    recorder.take(epoch_of(REPLICATES[0], 0))
    assert recorder.state.curves_url
    runs = runs_of(uri).values()
    assert {run.data.tags["runner.pid"] for run in runs} == {str(os.getpid())}
    recorder.close()
    recorder._thread.join(60)
    assert {run.info.status for run in runs_of(uri).values()} == {"KILLED"}


def test_what_an_interrupt_leaves_open_is_killed(uri: str) -> None:
    recorder = MlflowRecorder(Tracking(uri=uri), Clock())
    recorder.take(planned())
    recorder.take(ConfigurationEnded(2, "failed", {}))
    record_live(recorder, REPLICATES[0])
    recorder.take(EpochEnded((Key(1, 0, 0),), 0, 0, {"loss": [2.5]}))
    recorder.take(SweepEnded("interrupted"))

    runs = runs_of(uri)
    ended = {name: (run.info.status, run.data.tags["status"]) for name, run in runs.items()}
    assert ended == {
        SWEEP.name: ("KILLED", "interrupted"),
        "he_uniform model.depth=2": ("KILLED", "interrupted"),
        "he_uniform model.depth=2 seed 0": ("FINISHED", "finished"),
        "he_uniform model.depth=8": ("KILLED", "interrupted"),
        "he_uniform model.depth=8 seed 0": ("KILLED", "interrupted"),
        "identity model.depth=2": ("FAILED", "failed"),
    }
    assert runs["he_uniform model.depth=8 seed 0"].data.metrics == {"loss": 2.5}


def test_sending_a_sweep_ends_what_a_vanished_machine_left_open(uri: str) -> None:
    recorder = MlflowRecorder(Tracking(uri=uri), Clock())
    recorder.take(planned())
    record_live(recorder, REPLICATES[0])
    recorder.take(epoch_of(REPLICATES[2], 0))
    for run in runs_of(uri).values():
        client_of(uri).set_tag(run.info.run_id, "runner.host", "a container that is gone")
    mlflow_store.open_store(uri, "runner")
    assert "RUNNING" in {run.info.status for run in runs_of(uri).values()}

    late = MlflowRecorder(Tracking(uri=uri), Clock(), late=True)
    late.take(planned())
    late.take(ReplicateRecorded(REPLICATES[0]))
    late.take(SweepEnded("interrupted"))
    ended = {name: run.info.status for name, run in runs_of(uri).items()}
    assert ended[SWEEP.name] == "KILLED"
    assert ended["he_uniform model.depth=2 seed 0"] == "FINISHED"
    assert "RUNNING" not in ended.values()


def test_runs_of_processes_that_are_gone_are_killed(uri: str) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = mlflow_store.process_tags()
    owners = {
        "gone": mine | {"runner.pid": str(gone.pid)},
        "pid reused": mine | {"runner.process_start": "1"},
        "alive": mine,
        "elsewhere": mine | {"runner.pid": str(gone.pid), "runner.host": "elsewhere"},
        "a stranger's": {},
    }
    client = client_of(uri)
    experiment = client.create_experiment("runner")
    for name, tags in owners.items():
        client.create_run(experiment, tags=tags, run_name=name)

    mlflow_store.open_store(uri, "runner")

    killed = {name for name, run in runs_of(uri).items() if run.info.status == "KILLED"}
    assert killed == {"gone", "pid reused"}


def test_an_error_on_the_way_is_told_once_and_stops_nothing(
    uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = MlflowRecorder(Tracking(uri=uri), Clock())
    recorder.take(planned())
    recorder.take(epoch_of(REPLICATES[0], 0))
    run = runs_of(uri)["he_uniform model.depth=2 seed 0"]
    client_of(uri).delete_run(run.info.run_id)  # from now on MLflow refuses its records
    recorder.take(ReplicateRecorded(REPLICATES[0]))
    for record in REPLICATES[1:]:
        record_live(recorder, record)
    finish(recorder, None)

    (message,) = [record.getMessage() for record in caplog.records]
    assert "the records are on disk" in message
    runs = runs_of(uri)
    assert {run.info.status for run in runs.values()} <= {"FAILED", "KILLED"}
    assert runs[SWEEP.name].data.tags["incomplete"] == "true"


def test_files_that_cannot_be_stored_do_not_stop_the_numbers(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mlruns").write_text("a file where MLflow keeps its folders")
    recorder = MlflowRecorder(Tracking(uri=uri), Clock())
    recorder.take(planned(CONFIGURATIONS[0]))
    record_live(recorder, REPLICATES[0])
    recorder.take(SweepEnded("finished", str(results_folder(tmp_path))))

    (message,) = [record.getMessage() for record in caplog.records]
    assert "MLflow accepts no files" in message
    assert runs_of(uri)["he_uniform model.depth=2 seed 0"].data.metrics["final_loss"] > 0


def test_an_experiment_of_a_server_takes_no_files_through_its_database(
    uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    client_of(uri).create_experiment("runner", "mlflow-artifacts:/1")
    assert not mlflow_store.open_store(uri, "runner").takes_artifacts
    assert "stay in the results folder" in caplog.text


@pytest.mark.parametrize(
    ("explicit", "variable", "expected"),
    [
        (None, None, "sqlite:///{here}/mlflow.db"),
        (None, "", "sqlite:///{here}/mlflow.db"),
        (None, "http://server:5000", "http://server:5000"),
        ("sqlite:///own/runs.db", "http://server:5000", "sqlite:///{here}/own/runs.db"),
        ("sqlite:////own/runs.db", None, "sqlite:////own/runs.db"),
        ("postgresql://host/db", None, "postgresql://host/db"),
    ],
)
def test_the_explicit_address_beats_the_variable_beats_the_default(
    explicit: str | None,
    variable: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if variable is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    old_runs = tmp_path / "mlruns" / "0" / "meta.yaml"  # it would mislead MLflow's own default
    old_runs.parent.mkdir(parents=True)
    old_runs.touch()
    recorder = MlflowRecorder(Tracking(uri=explicit))
    assert recorder.uri == expected.format(here=tmp_path)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_without_a_file_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="must be a server or a database file"):
        MlflowRecorder(Tracking(uri=uri))


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def spoil(kind: str, folder: Path, database: Path) -> str:
    """Returns the address of a store that cannot be used."""
    if kind == "server":
        return f"http://me:hunter2@127.0.0.1:{closed_port()}"
    if kind == "database server":
        return f"unknowndb://me:hunter2@127.0.0.1:{closed_port()}/runs"
    if kind == "old files":
        return str(folder)
    uri = copy_of(database, folder)
    path = folder / "mlflow.db"
    if kind == "no database":
        path.write_text("this is not SQLite " * 100)
    if kind == "folder":
        path.unlink()
        path.mkdir()
    if kind == "old schema":
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'cfd24bdc0731'")
        connection.close()
    return uri


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("server", "Connection refused"),
        ("database server", "unsupported URI"),
        ("old files", "filesystem tracking backend"),
        ("no database", "file is not a database"),
        ("folder", "unable to open database file"),
        ("old schema", "out-of-date database schema"),
    ],
)
def test_a_store_that_cannot_be_used_gives_one_clear_line_soon(
    kind: str,
    cause: str,
    empty_database: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    recorder = MlflowRecorder(Tracking(uri=spoil(kind, tmp_path, empty_database)))
    started = time.monotonic()
    with pytest.raises(ConfigError, match=cause) as caught:
        recorder.take(planned())
    # MLflow left to itself goes on trying for 100 s (databases) or 250 s (servers).
    assert time.monotonic() - started < 30
    message = str(caught.value)
    assert message.startswith("`tracking.uri` must be an MLflow server or database")
    assert "tracking=none" in message
    assert "hunter2" not in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")
    recorder.take(SweepEnded("failed"))  # nothing was opened, nothing is to be ended


def test_a_deleted_experiment_is_not_brought_back_silently(uri: str) -> None:
    client = client_of(uri)
    client.delete_experiment(client.create_experiment("runner"))
    with pytest.raises(ConfigError, match=r"`tracking.experiment`.*'runner'.*restore"):
        MlflowRecorder(Tracking(uri=uri)).take(planned())


def test_a_fresh_database_is_created_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new folder #1" / "mlflow.db"
    recorder = MlflowRecorder(Tracking(uri=f"sqlite:///{path}"))
    recorder.take(planned(CONFIGURATIONS[0]))
    record_live(recorder, REPLICATES[0])
    recorder.take(SweepEnded("finished", str(results_folder(tmp_path))))
    assert path.exists()
    assert len(list(path.parent.glob("mlruns/runner/*/artifacts/report.html"))) == 1
    assert capfd.readouterr() == ("", "")


def test_the_environment_is_left_as_it_was(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    before = dict(os.environ)
    with unobtrusive():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
        assert int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) < 120  # seconds, MLflow's default
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:hunter2@host:5000/path", "http://***@host:5000/path"),
        ("postgresql+psycopg2://me:p@ss:word@host/db", "postgresql+psycopg2://***@host/db"),
        ("mssql://host/db?password=hunter2&x=1", "mssql://host/db?password=***&x=1"),
        ("http://host:5000/a:b@c", "http://host:5000/a:b@c"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
    ],
)
def test_passwords_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_the_ui_command_opens_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI", raising=False)
    default = f"sqlite:///{tmp_path}/mlflow.db"
    explicit = f"mlflow ui --backend-store-uri {default}"
    assert mlflow_store.ui_command(default) == "mlflow ui"
    assert mlflow_store.ui_command("http://server:5000") == "http://server:5000"
    other = "sqlite:////other/mlflow.db"
    assert mlflow_store.ui_command(other) == f"mlflow ui --backend-store-uri {other}"
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", other)
    assert mlflow_store.ui_command(default) == explicit
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI")
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").touch()
    assert mlflow_store.ui_command(default) == explicit


@pytest.mark.parametrize(("option", "spec"), [("mlflow", Tracking), ("none", NoTracking)])
def test_yaml_has_every_setting_with_its_default(option: str, spec: Any) -> None:
    node = yaml.safe_load((CONF / f"{option}.yaml").read_text())
    assert next(iter(node.items())) == ("name", option)
    assert set(node) - {"name"} == {field.name for field in dataclasses.fields(spec)}
    assert convert(spec, node, "tracking") == spec()
