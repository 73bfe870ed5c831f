"""Diagnostics by the command line: tables, records, the gate, MLflow, batches."""

import json
import math

import pandas as pd
import pytest

SMALL = (
    *("dataset=iris", "model.width=8", "training.epochs=1", "engine=keras"),
    *("tracking=none", "report.figures=false"),
)

KEYS = ["configuration", "init", "seed", "layer_index", "layer", "quantity"]


def test_training_none_tells_everything_and_the_gate_lets_the_healthy_pass(command):
    done = command(
        "training=none", "init=he_normal", "seeds=2", "tracking=none",
        "diagnostics.require=healthy",
    )  # fmt: skip
    assert done.code == 0, done.output
    assert (done.folder / "figures" / "propagation_variance.svg").is_file()
    assert "he_normal is healthy" in done.output
    for text in ("hidden_1/kernel", "intended", "0.177", "theory", "fan_in"):
        assert text in done.output
    table = pd.read_parquet(done.folder / "propagation.parquet")
    assert list(table.columns) == [
        *("configuration", "init", "seed", "weight_seed", "batch_seed"),
        *("layer_index", "layer", "quantity", "measured", "predicted"),
    ]
    assert not table.duplicated(KEYS).any()
    assert set(table["layer"]) == {"hidden_1", "hidden_2", "output", "network"}
    variance = table[table["quantity"] == "preactivation_variance"]
    assert len(variance) == 2 * 3
    assert variance["predicted"].notna().all()
    assert pd.read_csv(done.folder / "replicates.csv")["verdict"].tolist() == ["healthy"] * 2


@pytest.mark.parametrize("batch", ["null", "1"])
def test_the_gate_stops_the_ill_with_one_line(command, batch):
    done = command(
        "--multirun", "training=none", "init=he_normal,zero", "seeds=1", "tracking=none",
        "report.figures=false", "diagnostics.require=healthy",
        f"hydra.sweeper.max_batch_size={batch}",
    )  # fmt: skip
    assert done.code == 1
    line = "`diagnostics.require` asks for healthy; zero is symmetric: all units of hidden_1"
    assert line in done.output
    verdicts = pd.read_csv(done.folder / "replicates.csv")["verdict"].tolist()
    assert verdicts == ["healthy", "symmetric"]


def test_the_ill_are_turned_away_before_they_are_trained(command, trained):
    sweep = ("--multirun", *SMALL, "init=zero,he_normal", "seeds=2")
    done = command(*sweep, "diagnostics.require=healthy")
    assert done.code == 1
    assert trained == [0, 1]  # of he_normal
    assert "Not trained: `diagnostics.require` asks for healthy; zero is symmetric" in done.output
    table = pd.read_csv(done.folder / "replicates.csv")
    assert table["status"].tolist() == ["failed"] * 2 + ["finished"] * 2
    assert table["verdict"].tolist() == ["symmetric"] * 2 + ["healthy"] * 2
    again = command(*sweep)  # let in now
    assert again.code == 0
    assert trained == [0, 1] * 2


@pytest.mark.slow
def test_what_is_reused_is_measured_as_the_settings_ask_for(command, trained):
    def quantities(done):
        assert done.code == 0, done.output
        return set(pd.read_parquet(done.folder / "propagation.parquet")["quantity"])

    options = (*SMALL, "init=he_normal", "seeds=2")
    assert not quantities(command(*options, "diagnostics=none"))
    standard = command(*options)
    assert "preactivation_variance" in quantities(standard)
    assert "gradient_quotient" not in quantities(standard)
    assert "gradient_quotient" in quantities(command(*options, "diagnostics=full"))
    fewer = command(*options, "seeds=3", "diagnostics.examples=8", "verbose=true")
    assert "before training, mean of 3 seeds" in fewer.output
    assert trained == [0, 1, 2]


def test_what_was_measured_is_told_again(command, trained):
    first = command(*SMALL, "init=he_normal", "seeds=2", "verbose=true")
    again = command(*SMALL, "init=he_normal", "seeds=2")
    assert trained == [0, 1]
    log = (again.folder / "0" / "runner.log").read_text()
    for text in ("hidden_1/kernel", "before training, mean of 2 seeds", "he_normal is healthy"):
        assert text in first.output
        assert text not in again.output
        assert text in log


def test_none_measures_nothing(command):
    done = command(
        "training=none", "seeds=1", "diagnostics=none", "tracking=none", "report.figures=false"
    )
    assert done.code == 0, done.output
    assert pd.read_parquet(done.folder / "propagation.parquet").empty
    assert "verdict" not in pd.read_csv(done.folder / "replicates.csv")


def test_training_starts_from_the_weights_that_were_measured(command):
    options = (*SMALL, "seeds=2", "rerun=true")
    curves = []
    for diagnostics in ("standard", "none"):
        done = command(*options, f"diagnostics={diagnostics}")
        assert done.code == 0, done.output
        curves.append(pd.read_parquet(done.folder / "curves.parquet"))
    pd.testing.assert_frame_equal(*curves)


def test_verdicts_and_numbers_reach_mlflow(command, tracked):
    done = command(
        "training=none",
        "dataset=iris",
        "model.width=8",
        "init=zero",
        "seeds=1",
        "report.figures=false",
        "diagnostics=full",
        "engine=keras",
    )
    assert done.code == 0, done.output
    name = json.loads((done.folder / "sweep.json").read_text())["name"]
    _, runs = tracked(name)
    found = {run.data.tags["level"]: run.data for run in runs}
    for level in ("configuration", "replicate"):
        assert found[level].tags["step0"] == "symmetric"
        assert found[level].metrics["max_off_share"] == 1
        assert found[level].metrics["log10_signal_gain"] == -300
    assert math.isfinite(found["replicate"].metrics["singular_value_mean"])


@pytest.mark.slow
def test_what_was_traced_for_other_data_measures_as_what_is_new(command):
    from runner.training import programs

    options = ("--multirun", *SMALL, "diagnostics=full", "init=he_normal,zero", "rerun=true")

    def measured(split_seed):
        done = command(*options, "seeds=2", f"dataset.split_seed={split_seed}")
        assert done.code == 0, done.output
        return pd.read_parquet(done.folder / "propagation.parquet"), list(programs._kept.values())

    programs.let_go()
    others, made = measured(1)
    again, kept = measured(2)
    assert made
    assert kept == made
    programs.let_go()
    alone, _ = measured(2)
    pd.testing.assert_frame_equal(again, alone, check_exact=True)
    assert not again["measured"].equals(others["measured"])
