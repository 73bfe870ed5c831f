from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.records import (
    ConfigurationRecord,
    ReplicateRecord,
    movement_table,
    read_configurations,
    read_replicates,
    replicates_table,
)
from runner.report import load, tables
from runner.report.results import Results
from runner.summary import curve_summary

Scored = Callable[..., Results]
COLUMNS = ["configuration", "init", "metric", "mean", "median", "std", "ci_low", "ci_high"]
COUNTS = ["num_finished", "num_diverged", "num_failed"]


def test_the_comparison_has_exactly_these_columns(scored: Scored) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 8}]
    table = scored({"zero": [0.1], "zero#1": [0.1]}, factors=factors).comparison
    with_factors = [*COLUMNS[:2], "model.depth", *COLUMNS[2:]]
    assert list(table.columns) == [*with_factors, *COUNTS]
    assert list(table["model.depth"]) == [2, 8]
    assert list(scored({"zero": [0.1]}).comparison.columns) == COLUMNS + COUNTS


def test_the_comparison_is_over_finished_replicates(scored: Scored) -> None:
    results = scored({"a": [0.8, "diverged", 0.9, "failed", 1.0, None, "interrupted"]})
    row = results.comparison.iloc[0]
    # std = 0.1, t(2, 0.975) = 4.302653, half the width = 4.302653 * 0.1 / sqrt(3); an accuracy
    # ends at 1.
    assert row["metric"] == "val_accuracy"
    assert (row["mean"], row["median"], row["std"]) == pytest.approx((0.9, 0.9, 0.1))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.9 - 0.2484138, 1.0))
    assert tuple(row[COUNTS]) == (3, 1, 1)


def test_rows_stand_in_the_order_of_the_configurations(scored: Scored) -> None:
    table = scored({"worst": [0.1], "best": [0.9], "lost": ["diverged"]}).comparison
    assert list(table["configuration"]) == [0, 1, 2]
    assert list(table["init"]) == ["worst", "best", "lost"]
    assert np.isnan(table["mean"][2])


def test_the_best_or_a_given_epoch_counts_if_that_was_asked_for(scored: Scored) -> None:
    curves = {"loss": [2.0, 0.5, 0.7], "val_loss": [2.0, 0.4, 0.9]}
    replicates = pd.DataFrame(
        {"configuration": [0], "status": ["finished"]}
        | {f"final_{name}": [line[-1]] for name, line in curves.items()}
        | {f"best_{name}": [min(line)] for name, line in curves.items()}
        | {"epoch_val_loss": [2.0]}
    )
    for at, expected in (("final", 0.9), ("best", 0.4), ("epoch", 2.0)):
        record = ConfigurationRecord(0, "a", {}, {}, endpoint="val_loss", endpoint_at=at)
        table = tables.comparison_table([record], replicates, 0.95)
        assert table["mean"][0] == expected


def test_configurations_without_replicates_have_rows() -> None:
    refused = ConfigurationRecord(0, "identity", {}, {}, error="`init` must be defined.")
    waiting = ConfigurationRecord(1, "zero", {}, {}, endpoint="val_loss", num_replicates=5)
    replicates = replicates_table([refused, waiting], [])
    table = tables.comparison_table([refused, waiting], replicates, 0.95)
    assert list(table.columns) == COLUMNS + COUNTS
    assert table["mean"].isna().all()
    assert (table[COUNTS] == 0).all(axis=None)


@pytest.fixture
def folder(build: Callable[..., Path], behaviour: Any) -> Path:
    lossy = behaviour(0.9, ends={1: "diverged"})
    return build({"he_normal": behaviour(), "normal(scale=1)": lossy}, seeds=range(3), epochs=4)


def test_the_numbers_of_one_configuration_are_those_of_its_row(folder: Path) -> None:
    records = [record for record in read_replicates(folder) if record.configuration == 1]
    numbers = tables.endpoint_numbers(read_configurations(folder)[1], records, 0.95)
    row = load(folder).comparison.iloc[1]
    assert numbers == pytest.approx({name: float(row[name]) for name in COLUMNS[3:] + COUNTS})
    assert {type(number) for number in numbers.values()} == {float}


def test_a_curve_summary_leaves_out_what_did_not_finish(folder: Path) -> None:
    records = [record for record in read_replicates(folder) if record.configuration == 1]
    summary = curve_summary(records, 0.95)
    assert list(summary.columns) == ["epoch", "metric", "mean", "ci_low", "ci_high"]
    assert set(summary["epoch"]) == set(range(5))
    finished = [record.curves["loss"][4] for record in records if record.status == "finished"]
    last = summary[(summary["epoch"] == 4) & (summary["metric"] == "loss")]
    assert last["mean"].item() == pytest.approx(np.mean(finished))


def test_no_curves_have_a_summary_without_rows() -> None:
    summary = curve_summary([], 0.95)
    assert list(summary.columns) == ["epoch", "metric", "mean", "ci_low", "ci_high"]
    assert summary.empty


def test_failures_tell_who_when_and_why(scored: Scored) -> None:
    table = scored({"a": [0.9, "diverged", "failed"], "b": ["interrupted", 0.9, 0.9]}).failures
    assert tuple(table.columns) == tables.FAILURE_COLUMNS
    assert list(table["init"]) == ["a", "a", "b"]
    assert list(table["weight_seed"]) == [1, 2, 0]
    assert list(table["status"]) == ["diverged", "failed", "interrupted"]
    assert (table["epoch"][0], table["step"][0]) == (3, 27)
    assert table["reason"][1] == "ValueError: it broke"


def test_a_refused_configuration_is_a_failure_without_seeds() -> None:
    refused = ConfigurationRecord(0, "identity", {}, {}, error="`init` must be defined.")
    table = tables.failures_table([refused], [])
    assert table["status"].item() == "refused"
    assert table["reason"].item() == "`init` must be defined."
    assert table["weight_seed"].isna().all()


def test_movement_is_the_median_over_finished_replicates() -> None:
    trained, untrained = (ConfigurationRecord(index, "a", {}, {}) for index in range(2))

    def record(configuration: int, seed: int, change: float, steps: list[int]) -> ReplicateRecord:
        return ReplicateRecord(
            configuration=configuration,
            seed=seed,
            weight_seed=seed,
            batch_seed=seed,
            status="finished" if seed < 3 else "diverged",
            steps=steps,
            curves={},
            wall_time_s=1.0,
            movement={"dense/kernel": (1.0, change), "dense/bias": (0.0, 0.0)},
        )

    moved = [0.1, 0.5, 0.2, 9.0]
    records = [record(0, seed, change, [0, 9]) for seed, change in enumerate(moved)]
    still = [record(1, 0, 0.0, [0])]
    configurations = [trained, untrained]

    def medians(records: list[ReplicateRecord]) -> pd.DataFrame:
        replicates = replicates_table(configurations, records)
        return tables.movement_medians(replicates, movement_table(configurations, records))

    found = medians(records + still)
    assert list(found.columns) == ["dense/kernel", "dense/bias"]
    assert found.index.tolist() == [0]
    assert found.loc[0].tolist() == [0.2, 0.0]
    assert medians(still).empty


def test_missing_replicates_are_counted(scored: Scored) -> None:
    results = scored({"a": [0.9, None, None], "b": [0.9, "diverged", "failed"]})
    assert tables.missing_replicates(results.configurations, results.replicates) == {0: 2}
