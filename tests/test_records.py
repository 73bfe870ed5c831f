"""Records on disk and the tables made of them."""

import dataclasses
import math

import pandas as pd
import pytest

from runner import records
from runner.records import (
    ConfigurationRecord,
    KernelRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
)
from runner.summary import carried_forward, curve_summary

CONFIGURATION = ConfigurationRecord(
    index=0,
    init="he_normal",
    factors={"model.depth": 2},
    settings={"seeds": 2},
    kernels=[KernelRecord("dense/kernel", (64, 10), "he_normal")],
    endpoint="val_accuracy",
    target=("val_loss", 1.0),
    num_replicates=2,
)
FINISHED = ReplicateRecord(
    configuration=0,
    seed=1,
    weight_seed=1,
    batch_seed=1,
    status="finished",
    steps=[0, 10, 20, 30],
    curves={"val_loss": [2.3, 1.1, 0.9, 1.0], "val_accuracy": [0.1, 0.7, 0.9, 0.8]},
    wall_time_s=1.5,
    test={"loss": 1.2},
    movement={"dense/kernel": (0.1, 0.02)},
)
DIVERGED = dataclasses.replace(
    FINISHED,
    seed=0,
    weight_seed=0,
    batch_seed=0,
    status="diverged",
    steps=[0],
    curves={"val_loss": [2.3], "val_accuracy": [0.1]},
    test={},
    diverged_epoch=1,
    diverged_step=4,
)


def test_records_come_back_as_they_were(tmp_path):
    sweep = SweepRecord("d/t", "python -m runner", "now", {"keras": "3"}, "here")
    records.write_record(tmp_path / "sweep.json", sweep)
    records.write_record(tmp_path / "0" / "configuration.json", CONFIGURATION)
    for record in (FINISHED, DIVERGED):
        records.write_record(tmp_path / "0" / "replicates" / f"{record.key}.json", record)
    assert records.read_sweep(tmp_path) == sweep
    assert records.read_configurations(tmp_path) == [CONFIGURATION]
    assert records.read_replicates(tmp_path) == [DIVERGED, FINISHED]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e101, -1e308])
def test_what_is_written_can_be_read(tmp_path, number):
    """Predicted gradients of nets that explode pass 1e100 long before they overflow."""
    step_0 = PropagationRecord(
        ["dense"], ["relu"], [64], [0], {}, {"gradient_variance": [number]}, network={"x": number}
    )
    record = dataclasses.replace(FINISHED, propagation=step_0, test={"loss": number})
    path = tmp_path / "0" / "replicates" / f"{record.key}.json"
    path.parent.mkdir(parents=True)
    records.write_record(path, record)
    read = records.read_replicate(path)
    assert read.propagation.measured == {"gradient_variance": [None]}
    assert (read.propagation.network, read.test) == ({"x": None}, {"loss": None})


def test_replicates_table_has_the_documented_columns():
    table = records.replicates_table([CONFIGURATION], [FINISHED, DIVERGED])
    assert list(table.columns) == [
        "configuration", "init", "seed", "weight_seed", "batch_seed", "model.depth", "status",
        "reused_from", "epochs", "stopped_epoch", "diverged_epoch", "diverged_step",
        "final_val_loss", "final_val_accuracy", "best_val_loss", "best_val_accuracy", "best_epoch",
        "epochs_to_target", "steps_to_target", "wall_time_s", "wall_time_shared", "draw_time_s",
        "test_loss",
    ]  # fmt: skip


def test_a_replicate_that_stopped_early_stays_where_it_was():
    stopped = dataclasses.replace(FINISHED, stopped_epoch=3)
    later = dataclasses.replace(
        CONFIGURATION, endpoint_at="epoch", endpoint_epoch=7, settings={"training": {"epochs": 9}}
    )
    row = records.replicates_table([later], [stopped]).iloc[0]
    assert (row["epochs"], row["stopped_epoch"], row["epoch_val_accuracy"]) == (3, 3, 0.8)
    assert (stopped.fault(), records.misfit(later, stopped)) == ("", "")
    assert "not those of 9 epochs" in records.misfit(later, FINISHED)
    for wrong in ({"stopped_epoch": 2}, {"stopped_epoch": 3, "status": "diverged"}):
        assert "`stopped_epoch`" in dataclasses.replace(FINISHED, **wrong).fault()


def test_curves_keep_the_last_value_of_what_stopped_early():
    curves = {"val_loss": [3.0, 2.0, 1.0], "val_accuracy": [0.1, 0.2, 0.3]}
    early = dataclasses.replace(
        FINISHED, seed=9, weight_seed=9, batch_seed=9, steps=[0, 10, 20], stopped_epoch=2,
        curves=curves,
    )  # fmt: skip
    told = [FINISHED, early]
    table = carried_forward(records.curves_table([CONFIGURATION], told))
    own = table[(table["weight_seed"] == 9) & (table["metric"] == "val_loss")]
    assert own["epoch"].tolist() == [0, 1, 2, 3]
    assert own["value"].tolist() == [3.0, 2.0, 1.0, 1.0]
    means = curve_summary(told, 0.95).query("metric == 'val_loss' and epoch == 3")["mean"]
    assert means.tolist() == [(1.0 + FINISHED.curves["val_loss"][3]) / 2]


def test_a_finished_replicate_row():
    row = records.replicates_table([CONFIGURATION], [FINISHED]).iloc[0]
    assert row["epochs"] == 3
    assert row["final_val_loss"] == 1.0
    assert row["best_val_loss"] == 0.9
    assert row["final_val_accuracy"] == 0.8
    assert row["best_val_accuracy"] == 0.9
    assert row["best_epoch"] == 2  # of the endpoint, val_accuracy
    assert row["epochs_to_target"] == 2  # val_loss <= 1.0 first at epoch 2
    assert row["steps_to_target"] == 20
    assert row["test_loss"] == 1.2


def test_a_diverged_replicate_has_no_final_value():
    row = records.replicates_table([CONFIGURATION], [DIVERGED]).iloc[0]
    assert math.isnan(row["final_val_accuracy"])
    assert row["best_val_accuracy"] == 0.1
    assert (row["epochs"], row["diverged_epoch"], row["diverged_step"]) == (0, 1, 4)
    assert row["epochs_to_target"] is pd.NA


def test_the_endpoint_at_an_epoch_has_a_column_where_it_was_asked_for():
    asked = dataclasses.replace(CONFIGURATION, endpoint_at="epoch", endpoint_epoch=1)
    table = records.replicates_table([asked], [FINISHED, DIVERGED])
    assert table["epoch_val_accuracy"][0] == 0.7
    assert math.isnan(table["epoch_val_accuracy"][1])
    assert list(table.columns).index("epoch_val_accuracy") < list(table.columns).index("best_epoch")
    later = dataclasses.replace(asked, endpoint_epoch=4)  # never trained so long
    assert math.isnan(records.replicates_table([later], [FINISHED])["epoch_val_accuracy"][0])


@pytest.mark.parametrize("endpoint", ["val_accuracy", "test_loss"])
def test_an_endpoint_is_a_curve_or_measured_at_the_end(endpoint):
    asked = dataclasses.replace(CONFIGURATION, endpoint=endpoint)
    assert not records.misfit(asked, FINISHED)
    without = dataclasses.replace(FINISHED, curves={"val_loss": [1.0] * 4}, test={})
    assert records.misfit(asked, without) == f"`curves`: no {endpoint}"


def test_curves_table_is_long_and_ends_where_the_replicate_diverged():
    table = records.curves_table([CONFIGURATION], [FINISHED, DIVERGED])
    assert list(table.columns) == [*records.KEY_COLUMNS, "epoch", "step", "metric", "value"]
    assert len(table) == 2 * 4 + 2 * 1
    row = table[(table.seed == 1) & (table.metric == "val_loss") & (table.epoch == 2)].iloc[0]
    assert (row["step"], row["value"], row["init"]) == (20, 0.9, "he_normal")


def test_movement_table():
    table = records.movement_table([CONFIGURATION], [FINISHED])
    assert table.iloc[0][["parameter", "rms_start", "rms_change"]].tolist() == [
        "dense/kernel",
        0.1,
        0.02,
    ]


def test_tables_without_replicates_keep_their_columns():
    assert list(records.curves_table([CONFIGURATION], []).columns)[-2:] == ["metric", "value"]
    assert "status" in records.replicates_table([CONFIGURATION], []).columns
