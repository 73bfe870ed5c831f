"""The sentences about a whole sweep, from tables that are written down here."""

import dataclasses
from collections.abc import Callable

import pandas as pd

from runner.report.analysis import Analysis, analyse
from runner.report.overall import overall
from runner.report.results import Results

Scored = Callable[..., Results]


def told(scored: Scored, **tables: pd.DataFrame) -> list[str]:
    """Returns the sentences of a sweep whose other tables are empty."""
    empty: Analysis = analyse(scored({"a": [0.9]}))
    return [s.text for s in overall(dataclasses.replace(empty, **tables), 0.95)]


def test_a_sweep_without_such_tables_has_no_such_sentence(scored: Scored) -> None:
    assert told(scored) == []


def rankings(**changes: object) -> pd.DataFrame:
    rows = [
        ("shared", "fast", "learning_rate=0.1", 0.88, 0.86, 0.90, 0),
        ("own best", "slow", "learning_rate=1", 0.93, 0.92, 0.94, 1),
    ]
    columns = ["ranking", "init", "setting", "mean", "ci_low", "ci_high", "num_diverged"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(
        **{"problem": "", "metric": "test_accuracy", "num_finished": 4, "same_data": False}
        | changes
    )


def test_both_rankings_are_told_side_by_side(scored: Scored) -> None:
    assert told(scored, rankings=rankings()) == [
        "slow has the highest test accuracy if each initializer trains at its own best setting, "
        "0.93 [0.92, 0.94] over 4 finished, 1 diverged at learning_rate=1; at learning_rate=0.1 "
        "for all it is fast, 0.88 [0.86, 0.9]."
    ]


def test_a_choice_on_the_same_data_is_confessed(scored: Scored) -> None:
    (text,) = told(scored, rankings=rankings(same_data=True, problem="depth=2"))
    assert text.startswith("At depth=2: slow")
    assert "(chosen and told on the same data, so too good)" in text


def ranks(friedman_p: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "init": ["a", "b", "c"],
            "average_rank": [1.0, 2.0, 3.0],
            "num_problems": 4,
            "friedman_p": friedman_p,
            "critical_difference": 1.657,
        }
    )


def test_ranks_tell_who_is_apart_only_where_friedman_does(scored: Scored) -> None:
    pairs = pd.DataFrame(
        {
            "init_a": ["a", "a", "b"],
            "init_b": ["b", "c", "c"],
            "distinguishable": [False, True, False],
        }
    )
    assert told(scored, ranks=ranks(0.018), rank_pairs=pairs) == [
        "Over 4 problems a has the best average rank, 1.00 of 3; 1 of the 2 others are told apart "
        "from it (Nemenyi, critical difference 1.66; Friedman p = 0.018)."
    ]
    (unsure,) = told(scored, ranks=ranks(0.2), rank_pairs=pairs)
    assert "no other is told apart from it" in unsure


def test_shares_of_variance_are_told(scored: Scored) -> None:
    table = pd.DataFrame(
        {
            "configuration": [0, 0, 0],
            "source": ["weights", "batches", "residual"],
            "share": [0.6, 0.1, 0.3],
            "truncated": False,
        }
    )
    assert told(scored, variance=table) == [
        "Of the variance between replicates 60 % comes from the initial weights and 10 % from the "
        "order of the data, the rest from both together (medians over 1 configuration)."
    ]


def test_a_chance_correlation_is_called_that(scored: Scored) -> None:
    row = {"group": "digits", "quantity": "loss", "transform": "value", "metric": "val_accuracy"}
    numbers = {"num_configurations": 10, "rho": 0.3, "ci_low": -0.41, "ci_high": 0.79}
    table = pd.DataFrame([{**row, **numbers, "p_holm": 0.4}])
    assert told(scored, predictors=table) == [
        "Nothing at step 0 goes with the outcome beyond chance; closest is loss: rank correlation "
        "0.30 [\N{MINUS SIGN}0.41, 0.79] with validation accuracy over 10 configurations."
    ]


def test_times_tell_the_soonest_and_those_that_never_do(scored: Scored) -> None:
    means = pd.DataFrame(
        {
            "init": ["a", "b"],
            "unit": "epochs",
            "horizon": 20.0,
            "num_replicates": 5,
            "num_reached": [5, 0],
            "restricted_mean": [3.2, 20.0],
            "ci_low": [2.9, 20.0],
            "ci_high": [3.5, 20.0],
            "p_all": 0.0023,
        }
    )
    times = pd.DataFrame({"target_metric": ["val_accuracy"], "target_value": [0.9]})
    assert told(scored, mean_times=means, times=times) == [
        "a reaches validation accuracy ≥ 0.9 soonest, after 3.2 [2.9, 3.5] epochs on the average "
        "over the first 20 (5 of 5 do); 1 of 2 configurations never; log-rank test of all: "
        "p = 0.0023."
    ]
    means.insert(1, "optimizer.learning_rate", [0.1, 0.01])
    (placed,) = told(scored, mean_times=means.assign(p_all=[0.0023, None]), times=times)
    assert placed.startswith("a at learning_rate=0.1 reaches")
    assert "log-rank" not in placed  # another setting has another test
    (nobody,) = told(scored, mean_times=means.assign(num_reached=0), times=times)
    assert nobody == "No replicate reaches validation accuracy ≥ 0.9."
