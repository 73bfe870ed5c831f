"""The whole walk, from the command line to the files that a person opens."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from runner import records
from runner.training import reference

SMALL = (
    *("dataset=iris", "model.width=8", "training.epochs=2", "report.figures=false"),
    "engine=keras",  # compiles nothing
)
QUIET = (*SMALL, "tracking=none")


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these train."""


def test_a_single_run_leaves_its_records(command):
    done = command(*QUIET, "init=he_uniform", "seeds=2")
    assert done.code == 0
    table = pd.read_csv(done.folder / "replicates.csv")
    assert table["init"].tolist() == ["he_uniform", "he_uniform"]
    assert table["status"].tolist() == ["finished", "finished"]
    assert table["seed"].tolist() == [0, 1]
    curves = pd.read_parquet(done.folder / "curves.parquet")
    assert set(curves["metric"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert sorted(set(curves["epoch"])) == [0, 1, 2]
    for name in ("sweep.json", "comparison.csv", "report.md", "report.html", "0/runner.log"):
        assert (done.folder / name).stat().st_size > 0, name
    assert (done.folder / "0" / ".hydra" / "config.yaml").exists()


def test_a_sweep_compares_its_configurations(command):
    done = command("--multirun", *QUIET, "init=zero,he_normal", "model.depth=1,2", "seeds=2")
    assert done.code == 0
    comparison = pd.read_csv(done.folder / "comparison.csv")
    assert comparison[["init", "model.depth"]].to_numpy().tolist() == [
        ["zero", 1],
        ["zero", 2],
        ["he_normal", 1],
        ["he_normal", 2],
    ]
    assert comparison["num_finished"].tolist() == [2, 2, 2, 2]
    assert (done.folder / "3" / ".hydra" / "overrides.yaml").exists()
    assert "he_normal" in (done.folder / "3" / "runner.log").read_text()


@pytest.mark.slow
def test_labels_have_their_own_metrics_endpoint_and_guess(command, tmp_path):
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(120, 4))
    np.savez(tmp_path / "labels.npz", x=x, y=x @ numbers.normal(size=(4, 3)) > 0)
    ways = (*QUIET[1:], "dataset=arrays", "dataset.path=labels.npz", "dataset.split_seed=0,1")
    target = ("training.target_metric=val_exact_match", "training.target_value=0.1")
    done = command("--multirun", *ways, *target, "seeds=2")
    assert done.code == 0
    assert done.output.count("taken for labels that may occur together (multilabel)") == 1
    table = pd.read_csv(done.folder / "replicates.csv")
    assert {"final_val_binary_accuracy", "test_exact_match", "epochs_to_target"} <= set(table)
    assert set(pd.read_csv(done.folder / "comparison.csv")["metric"]) == {"val_binary_accuracy"}
    record = records.read_configurations(done.folder)[0]
    assert record.dataset["task"] == "multilabel"
    assert record.dataset["task_guess"] in done.output
    report = (done.folder / "report.md").read_text("utf-8")
    assert "inal validation binary accuracy" in report
    assert record.dataset["task_guess"].partition(":")[0] in report


def test_initializers_of_one_seed_see_the_same_data_in_the_same_order(command, monkeypatch):
    seen = []
    train = reference.train

    def spy(cohort):
        seen.extend((member.batch_seed, cohort.dataset.fingerprint) for member in cohort.members)
        return train(cohort)

    monkeypatch.setattr(reference, "train", spy)
    command("--multirun", *QUIET, "init=zero,ones", "seeds=[4,9]")
    assert [seed for seed, _ in seen] == [4, 9, 4, 9]
    assert len({fingerprint for _, fingerprint in seen}) == 1


def test_a_sweep_gives_the_numbers_of_single_runs(command):
    alone = command(*QUIET, "init=he_normal", "seeds=[1]", "model.dropout=0.5")
    first = pd.read_parquet(alone.folder / "curves.parquet")["value"].tolist()
    sweep = command("--multirun", *QUIET, "init=zero,he_normal", "seeds=2", "model.dropout=0.5")
    table = pd.read_parquet(sweep.folder / "curves.parquet")
    same = table[(table["init"] == "he_normal") & (table["seed"] == 1)]
    assert same["value"].tolist() == first


def test_what_cannot_work_is_told_and_the_rest_runs(command):
    done = command("--multirun", *QUIET, "init=keras1/identity,zero", "seeds=1")
    assert done.code == 1
    assert "1 of 2 configurations cannot be trained" in done.output
    assert "Traceback" not in done.output
    comparison = pd.read_csv(done.folder / "comparison.csv").set_index("init")
    assert comparison.loc["zero", "num_finished"] == 1
    configuration = json.loads((done.folder / "0" / "configuration.json").read_text())
    assert "init.fallback" in configuration["error"]


def test_divergence_is_an_outcome(command):
    done = command(*QUIET, "optimizer.learning_rate=1e20", "seeds=1")
    assert done.code == 0
    assert pd.read_csv(done.folder / "replicates.csv")["status"].tolist() == ["diverged"]


def test_a_failing_replicate_is_reported_and_the_exit_code_says_so(command, monkeypatch):
    evaluate, calls = reference._Reference._evaluate, []

    def fail_once(self, part):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("out of luck")
        return evaluate(self, part)

    monkeypatch.setattr(reference._Reference, "_evaluate", fail_once)
    done = command(*QUIET, "seeds=2")
    assert done.code == 1
    assert "out of luck" in done.output
    assert pd.read_csv(done.folder / "replicates.csv")["status"].tolist() == ["failed", "finished"]


def test_interruption_keeps_what_has_finished(command, monkeypatch):
    reset, calls = reference._Reference._reset, []

    def interrupt(self, member):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return reset(self, member)

    monkeypatch.setattr(reference._Reference, "_reset", interrupt)
    done = command("--multirun", *QUIET, "init=zero,ones", "seeds=2")
    assert done.code == 130
    table = pd.read_csv(done.folder / "replicates.csv")
    assert table["status"].tolist() == ["finished", "finished"]
    assert (done.folder / "report.html").exists()


def test_without_training_epoch_0_is_recorded(command):
    done = command(*SMALL[:2], "training=none", "tracking=none", "report.figures=false", "seeds=2")
    assert done.code == 0
    curves = pd.read_parquet(done.folder / "curves.parquet")
    assert set(curves["epoch"]) == {0}


def test_dry_run_trains_nothing_and_leaves_nothing(command, tmp_path):
    done = command("--multirun", *QUIET, "init=zero,ones", "dry_run=true")
    assert done.code == 0
    assert "Nothing was trained" in done.output
    assert not list(tmp_path.rglob("replicates.csv"))
    assert not done.folder.exists()


def test_crossed_seeds(command):
    done = command(*QUIET, "weight_seeds=[0,1]", "batch_seeds=[0,5]")
    table = pd.read_csv(done.folder / "replicates.csv")
    assert table[["weight_seed", "batch_seed"]].to_numpy().tolist() == [
        [0, 0],
        [0, 5],
        [1, 0],
        [1, 5],
    ]
    # Epoch 0 depends on the weights alone.
    curves = pd.read_parquet(done.folder / "curves.parquet").query(
        "epoch == 0 and metric == 'loss'"
    )
    assert curves.groupby("weight_seed")["value"].nunique().tolist() == [1, 1]


def test_options_in_the_working_folder_are_found(command, tmp_path):
    (tmp_path / "conf" / "init").mkdir(parents=True)
    (tmp_path / "conf" / "init" / "tiny.yaml").write_text(
        "name: normal\nscale: 0.001\nbias: 0.0\nfallback: null\n"
    )
    done = command(*QUIET, "init=tiny", "seeds=1")
    assert done.code == 0
    assert pd.read_csv(done.folder / "replicates.csv")["init"].tolist() == ["normal(scale=0.001)"]


@pytest.mark.slow
def test_an_experiment_is_a_sweep_by_itself(command):
    done = command("experiment=article", *QUIET[3:], "training.epochs=1", "seeds=1")
    assert done.code == 0
    comparison = pd.read_csv(done.folder / "comparison.csv")
    assert comparison["init"].tolist() == [
        "uniform",
        "lecun_uniform",
        "normal",
        "keras1/identity(fallback=glorot_uniform)",
        "keras1/orthogonal",
        "zero",
        "keras1/glorot_normal",
        "glorot_uniform",
        "keras1/he_normal",
        "he_uniform",
    ]


TEN = (
    "init=uniform,lecun_uniform,normal,identity,orthogonal,zero,"
    "glorot_normal,glorot_uniform,he_normal,he_uniform"
)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--multirun", TEN), ("experiment=article",)])
def test_less_than_a_screen_stands_before_the_answer(command, arguments):
    done = command(*arguments, *QUIET[3:4], "tracking=none", "training.epochs=1", "seeds=1")
    assert done.code == 0
    lines = done.output.splitlines()
    ends = [number for number, line in enumerate(lines) if ": 1 finished, val_accuracy" in line]
    assert len(ends) == 10
    assert sum(math.ceil(max(len(line), 1) / 80) for line in lines[: ends[-1] + 1]) < 24
    assert "1 of 10 initializers looks unhealthy before training (zero: symmetric)" in done.output
    log = (done.folder / "runner.log").read_text()
    assert "Engine: 10 replicates are trained together" in log
    assert "DETAIL" in (done.folder / "0" / "runner.log").read_text()
    for detail in ("DETAIL", "Engine", "is healthy", "is symmetric", "fan_in", "Traceback"):
        assert detail not in "\n".join(lines[: ends[-1]])


def test_mlflow_runs_end_and_hold_the_curves(command, tmp_path):
    from mlflow import MlflowClient

    done = command("--multirun", *SMALL, "init=zero,he_normal", "seeds=2")
    assert done.code == 0
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("runner")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 1 + 2 + 4
    assert {run.info.status for run in runs} == {"FINISHED"}
    replicates = records.read_replicates(done.folder)
    run = next(run for run in runs if run.data.tags.get("mlflow.runName") == "he_normal seed 1")
    history = client.get_metric_history(run.info.run_id, "val_loss")
    wanted = next(r for r in replicates if r.configuration == 1 and r.seed == 1)
    assert [metric.value for metric in history] == wanted.curves["val_loss"]


@pytest.mark.slow
def test_the_engine_does_not_change_the_answer(command):
    """To rounding: both trained the same replicates on the same data in the same order."""
    sweep = ("--multirun", *QUIET[:-2], "tracking=none", "init=zero,he_normal", "seeds=2")
    rates = "optimizer.learning_rate=0.1,0.01"
    tables = [
        pd.read_parquet(command(*sweep, rates, f"engine={name}").folder / "curves.parquet")
        for name in ("keras", "vectorized")
    ]
    keys = ["configuration", "seed", "metric", "epoch"]
    first, second = (table.sort_values(keys).reset_index(drop=True) for table in tables)
    assert first[keys].equals(second[keys])
    assert (first["value"] - second["value"]).abs().max() < 1e-5


@pytest.mark.slow
def test_deep_nets_that_stall_are_no_successes(command):
    deep = ("model.depth=30", "optimizer.learning_rate=0.01", "training.epochs=30", "seeds=4")
    inits = "init=glorot_normal,lecun_uniform,he_normal"
    done = command("--multirun", *deep, inits, "report.figures=false", "tracking=none")
    table = pd.read_csv(done.folder / "success.csv").set_index("init")
    # The last keeps the variance of 30 layers of ReLUs; the others lose it and end at ln 10.
    assert table["num_unlearned"].to_dict() == {
        "glorot_normal": 4,
        "lecun_uniform": 4,
        "he_normal": 0,
    }


@pytest.mark.gpu
def test_a_gpu_that_is_asked_for_trains(command):
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow sees no GPU")
    settings = ("dataset=iris", "training.epochs=2", "report.figures=false", "tracking=none")
    done = command("--multirun", *settings, "device=gpu", "init=zero,he_normal", "seeds=2")
    assert done.code == 0
    assert "Device: GPU:0" in done.output
    assert pd.read_csv(done.folder / "replicates.csv")["status"].tolist() == ["finished"] * 4
