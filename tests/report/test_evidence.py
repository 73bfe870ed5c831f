import numpy as np
import pandas as pd

from runner.report.names import Name
from runner.report.questions import (
    differences,
    failures,
    predictors,
    problems,
    target,
    tuning,
    variance,
)
from runner.report.table import Table

NAMES = {0: Name("a"), 1: Name("b")}


def texts(table: Table | None, column: str) -> list[str]:
    assert table is not None
    place = table.columns.index(column)
    return [row[place].text for row in table.rows]


DIFFERENCES = pd.DataFrame(
    {
        "configuration": [0, 1],
        "num_pairs": [5, 1],
        "num_left_out": 0,
        "mean": [0.0141, -0.02],
        "ci_low": [0.012, np.nan],
        "ci_high": [0.0162, np.nan],
        "p_t": [1e-5, np.nan],
        "level": [0.0072, np.nan],
        "verdict": ["different", "unknown"],
        "decided_at": pd.array([5, None], "Int64"),
        "p_fisher": 1.0,
        "d_z": [4.8, np.nan],
        "probability_better": [1.0, 0.0],
        "outcome": ["better", "unknown"],
    }
)


def test_differences_show_two_digits_of_their_uncertainty() -> None:
    table = differences.differences_block(DIFFERENCES, NAMES)
    assert texts(table, "difference") == ["+0.0141 [+0.0120, +0.0162]", "\N{MINUS SIGN}0.0200"]
    assert texts(table, "p") == ["< 0.001", "–"]
    assert texts(table, "needed") == ["0.0072", "–"]
    assert texts(table, "known at") == ["5", "–"]
    assert texts(table, "better in") == ["100 %", "0 %"]
    assert texts(table, "verdict") == ["different", "not known yet"]


def test_what_crossed_seeds_leave_out_is_shown() -> None:
    assert "left out" not in differences.differences_block(DIFFERENCES, NAMES).columns  # type: ignore[union-attr]
    gappy = differences.differences_block(DIFFERENCES.assign(num_left_out=[3, 0]), NAMES)
    assert texts(gappy, "left out") == ["3", "0"]


def test_a_time_that_nobody_reached_has_no_mean() -> None:
    frame = pd.DataFrame(
        {
            "configuration": [0, 1],
            "unit": "epochs",
            "horizon": 30.0,
            "num_replicates": 10,
            "num_reached": [10, 0],
            "median": [8.0, np.nan],
            "restricted_mean": [7.9, 30.0],
            "ci_low": [7.7, 30.0],
            "ci_high": [8.1, 30.0],
            "p_logrank": [0.01, np.nan],
            "level": [0.015, np.nan],
        }
    )
    table = target.times_block(frame, NAMES)
    assert texts(table, "mean epochs") == ["7.9 [7.7, 8.1]", "–"]
    assert texts(table, "reached it") == ["10 of 10", "0 of 10"]
    assert target.times_block(frame.assign(unit="seconds"), NAMES) is None


def test_rankings_stand_side_by_side() -> None:
    frame = pd.DataFrame(
        {
            "ranking": ["shared", "shared", "own best", "own best"],
            "problem": "",
            "init": ["a", "b", "b", "a"],
            "setting": ["lr=0.1", "lr=0.1", "lr=1", "lr=0.1"],
            "mean": [0.9, 0.5, 0.95, 0.9],
            "ci_low": [0.89, 0.49, 0.94, 0.89],
            "ci_high": [0.91, 0.51, 0.96, 0.91],
            "counted_mean": [0.9, 0.5, 0.95, 0.9],
            "rank": [1.0, 2.0, 1.0, 2.0],
        }
    )
    table = tuning.rankings_block(frame)
    assert texts(table, "initializer") == ["b", "a"]
    assert texts(table, "# shared") == ["2", "1"]
    assert texts(table, "# own best") == ["1", "2"]
    assert texts(table, "own best setting") == ["lr=1", "lr=0.1"]


def test_shares_of_the_variance_stand_in_one_row() -> None:
    frame = pd.DataFrame(
        {
            "configuration": [0] * 3,
            "source": ["weights", "batches", "residual"],
            "share": [0.6, 0.3, 0.1],
            "std": [0.02, 0.01, 0.005],
            "p_value": [0.01, 0.2, np.nan],
        }
    )
    table = variance.variance_block(frame, NAMES)
    assert texts(table, "weights, share") == ["60 %"]
    assert texts(table, "batches, p") == ["0.2"]
    assert table is not None
    assert "residual, p" not in table.columns


def test_success_is_told_only_where_something_failed() -> None:
    frame = pd.DataFrame(
        {
            "configuration": [0, 1],
            "num_asked": 5,
            "num_ended": 5,
            "num_succeeded": [5, 3],
            "num_diverged": [0, 2],
            "num_unlearned": 0,
            "num_failed": 0,
            "success_rate": [1.0, 0.6],
            "ci_low": [0.57, 0.23],
            "ci_high": [1.0, 0.88],
            "start": [None, "exploding"],
        }
    )
    table = failures.success_block(frame, NAMES)
    assert texts(table, "success rate") == ["100 % [57, 100]", "60 % [23, 88]"]
    assert texts(table, "before training") == ["", "exploding"]
    assert failures.success_block(frame[:1], NAMES) is None


def test_empty_frames_have_no_table() -> None:
    assert differences.differences_block(DIFFERENCES[:0], NAMES) is None
    assert predictors.predictors_block(pd.DataFrame(columns=["rho"])) is None
    assert problems.ranks_block(pd.DataFrame(columns=["init"])) is None
