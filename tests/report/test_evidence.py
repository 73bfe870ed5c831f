import numpy as np
import pandas as pd

from runner.report import evidence
from runner.report.names import Name
from runner.report.questions import predictors, problems, target, tuning, variance
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
        "p_holm": [1e-5, np.nan],
        "p_wilcoxon": [0.0625, 1.0],
        "p_sign_flip": [0.0625, 1.0],
        "p_sign_flip_least": [0.0625, 1.0],
        "p_wilcoxon_least": [0.0625, 1.0],
        "d_z": [4.8, np.nan],
        "probability_better": [1.0, 0.0],
        "further_seeds": [0, np.nan],
        "outcome": ["better", "unknown"],
    }
)


def test_differences_show_two_digits_of_their_uncertainty() -> None:
    table = evidence.differences(DIFFERENCES, NAMES, 0.95)
    assert texts(table, "difference") == ["+0.0141 [+0.0120, +0.0162]", "\N{MINUS SIGN}0.0200"]
    assert texts(table, "p (Holm)") == ["< 0.001", "–"]
    assert texts(table, "least (Wilcoxon)") == ["0.062", "> 0.99"]
    assert texts(table, "least (sign flips)") == ["0.062", "> 0.99"]
    assert texts(table, "better in") == ["100 %", "0 %"]
    assert texts(table, "further seeds") == ["–", "–"]  # the first is told apart already
    undecided = evidence.differences(DIFFERENCES.assign(p_holm=0.2), NAMES, 0.95)
    assert texts(undecided, "further seeds") == ["0", "–"]
    assert texts(table, "verdict") == ["better", "no test"]


def test_what_crossed_seeds_leave_out_is_shown() -> None:
    assert "left out" not in evidence.differences(DIFFERENCES, NAMES, 0.95).columns  # type: ignore[union-attr]
    gappy = evidence.differences(DIFFERENCES.assign(num_left_out=[3, 0]), NAMES, 0.95)
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
            "p_holm": [0.01, np.nan],
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
    table = evidence.success(frame, NAMES)
    assert texts(table, "success rate") == ["100 % [57, 100]", "60 % [23, 88]"]
    assert texts(table, "at step 0") == ["", "exploding"]
    assert evidence.success(frame[:1], NAMES) is None


def test_empty_frames_have_no_table() -> None:
    assert evidence.differences(DIFFERENCES[:0], NAMES, 0.95) is None
    assert predictors.predictors_block(pd.DataFrame(columns=["rho"])) is None
    assert problems.ranks_block(pd.DataFrame(columns=["init"])) is None
