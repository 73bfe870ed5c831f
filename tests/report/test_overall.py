"""The sentences about a whole sweep, from tables that are written down here."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from runner.report import load, names
from runner.report.comparison import compare
from runner.report.questions import predictors, problems, target, tuning, variance
from runner.report.results import Results
from runner.report.statistics.crossed import variance_components
from runner.report.sweep import Sweep

Scored = Callable[..., Results]


def test_a_sweep_without_such_tables_has_no_such_sentence(scored: Scored) -> None:
    assert compare(scored({"a": [0.9]})).overall == ()


def rankings(**changes: object) -> pd.DataFrame:
    rows = [
        ("shared", "fast", "learning_rate=0.1", 0.88, 0.86, 0.90, 0),
        ("own best", "slow", "learning_rate=1", 0.93, 0.92, 0.94, 1),
    ]
    columns = ["ranking", "init", "setting", "mean", "ci_low", "ci_high", "num_diverged"]
    table = pd.DataFrame(rows, columns=columns).assign(rank=1, p_to_first=math.nan)
    return table.assign(
        **{"problem": "", "metric": "test_accuracy", "num_finished": 4, "same_data": False}
        | changes
    )


def test_both_rankings_are_told_side_by_side() -> None:
    assert tuning.sentences(rankings(), 0.95) == [
        "Each initializer at its own best setting: slow has the highest test accuracy with "
        "failures counted, 0.93 [0.92, 0.94] over 4 finished, 1 diverged at learning_rate=1. All "
        "at learning_rate=0.1: fast, 0.88 [0.86, 0.9]."
    ]


def test_a_ranking_names_ties_and_whom_the_first_is_not_told_from() -> None:
    rows = pd.concat([rankings(num_diverged=0)] * 2, ignore_index=True).sort_values(
        "ranking", kind="stable"
    )
    level = rows.assign(rank=[1, 2, 1, 1], init=["a", "b", "c", "d"], p_to_first=0.31)
    assert tuning.sentences(level, 0.95) == [
        "Each initializer at its own best setting: a has the highest test accuracy, 0.93 [0.92, "
        "0.94] at learning_rate=1; not known to differ from it: b (p = 0.31). All at "
        "learning_rate=0.1: c and d, 0.88 [0.86, 0.9]."
    ]
    (apart,) = tuning.sentences(level.assign(p_to_first=0.01), 0.95)
    assert "not known" not in apart


def test_a_choice_on_the_same_data_is_confessed() -> None:
    (text,) = tuning.sentences(rankings(same_data=True, problem="depth=2"), 0.95)
    assert text.startswith("At depth=2, each initializer at its own best setting: slow")
    assert "which is too good, as it was chosen on the same data" in text


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


def test_ranks_tell_who_is_apart_only_where_friedman_does() -> None:
    pairs = pd.DataFrame(
        {
            "init_a": ["a", "a", "b"],
            "init_b": ["b", "c", "c"],
            "distinguishable": [False, True, False],
        }
    )
    assert problems.sentence(ranks(0.018), pairs, 0.95) == (
        "Over 4 problems a has the best average rank, 1.00 of 3; 1 of the 2 others differs "
        "significantly from it (Nemenyi, critical difference 1.66; Friedman p = 0.018)."
    )
    unsure = problems.sentence(ranks(0.2), pairs, 0.95)
    assert "no other differs significantly from it" in unsure


def test_shares_of_variance_are_told() -> None:
    table = pd.DataFrame(
        {
            "configuration": [0, 0, 0],
            "source": ["weights", "batches", "residual"],
            "share": [0.6, 0.1, 0.3],
            "truncated": False,
            "p_value": [0.012, 0.34, math.nan],
        }
    )
    assert variance.sentence(table, 0.95) == (
        "Of the variance between replicates 60 % comes from the initial weights (F test: p = "
        "0.012) and 10 % from the order of the data (F test: p = 0.34), the rest from both "
        "together."
    )
    # Holm: 3 * 0.012 and 2 * 0.02 are below 0.05, 1 * 0.2 is not.
    several = pd.concat(
        [
            table.assign(configuration=index, p_value=[p, 0.34, math.nan])
            for index, p in enumerate((0.012, 0.2, 0.02))
        ]
    )
    text = variance.sentence(several, 0.95)
    assert "60 % comes from the initial weights (more than none in 2 of 3 by F tests" in text
    assert "10 % from the order of the data (more than none in 0 of 3 by F tests" in text
    assert text.endswith("the rest from both together (medians over 3 configurations).")


def test_the_f_test_of_a_source_is_that_of_statsmodels() -> None:
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    generator = np.random.default_rng(5)
    grid = generator.normal(size=(5, 4)) + generator.normal(size=(5, 1))
    long = pd.DataFrame(
        [(w, b, grid[w, b]) for w in range(5) for b in range(4)],
        columns=["weights", "batches", "score"],
    )
    expected = anova_lm(ols("score ~ C(weights) + C(batches)", long).fit())["PR(>F)"]
    table = variance_components(grid).assign(configuration=0)
    text = variance.sentence(table, 0.95)
    for source in ("weights", "batches"):
        assert f"(F test: p {names.p_value(expected[f'C({source})'])})" in text


def test_a_chance_correlation_is_called_that() -> None:
    row = {"group": "digits", "quantity": "loss", "transform": "value", "metric": "val_accuracy"}
    numbers = {"num_configurations": 10, "rho": 0.3, "ci_low": -0.41, "ci_high": 0.79}
    table = pd.DataFrame([{**row, **numbers, "p_holm": 0.4}])
    assert predictors.sentences(table, 0.95) == [
        "Nothing measured before training predicts the outcome beyond chance; closest is loss: "
        "rank correlation "
        "0.30 [\N{MINUS SIGN}0.41, 0.79] with validation accuracy over 10 configurations."
    ]


def targeted(folder: Path) -> Path:
    """Gives every configuration of a results folder a target."""
    for path in folder.glob("*/configuration.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"target": ["val_accuracy", 0.85]}))
    return folder


def times_of(*rows: tuple[str, int, float, int, float]) -> list[str]:
    """Returns the sentences about rows of init, soonest in its cell, mean, reached of 5, and p."""
    columns = ["init", "soonest", "restricted_mean", "num_reached", "p_soonest"]
    means = pd.DataFrame(rows, columns=columns)
    means.insert(1, "unit", "epochs")
    means = means.assign(
        configuration=range(len(rows)),
        horizon=20.0,
        num_replicates=5,
        level_soonest=0.0151,
        ci_low=means["restricted_mean"] - 0.3,
        ci_high=means["restricted_mean"] + 0.3,
    )
    times = pd.DataFrame({"target_metric": ["val_accuracy"], "target_value": [0.9]})
    return target.sentences(means, times, dict(enumerate(map(names.Name, means["init"]))))


def test_soonest_is_who_is_told_from_all_others() -> None:
    rows = [("a", 0, 3.2, 5, math.nan), ("b", 0, 20.0, 0, 0.002), ("c", 0, 6.0, 5, 0.011)]
    assert times_of(*rows) == [
        "a reaches validation accuracy ≥ 0.9 soonest, after 3.2 [2.9, 3.5] epochs on average, "
        "counted up to epoch 20 (5 of 5 do); 1 of 3 configurations never; next is c (6.0; "
        "log-rank p = 0.011)."
    ]
    rows[2] = ("c", 0, 6.0, 5, 0.02)  # above the level of one of four looks
    assert "soonest" not in times_of(*rows)[0]
    rows[2] = ("c", 0, 6.0, 5, 0.2)
    (text,) = times_of(*rows)
    assert "soonest" not in text
    assert text.endswith("never; not known whether sooner than c (6.0; log-rank p = 0.2).")


def test_equal_times_are_named_together() -> None:
    rows = [("a", 0, 11.0, 5, math.nan), ("b", 0, 11.0, 4, math.nan)]
    assert times_of(*rows) == [
        "a and b reach validation accuracy ≥ 0.9 after 11.0 epochs on average, counted up to "
        "epoch 20 (9 of 10 do)."
    ]


def test_times_of_different_settings_are_told_apart(
    build: Callable[..., Path], behaviour: Any
) -> None:
    inits = {"glorot_uniform": behaviour(0.95, 0.08), "he_normal": behaviour(0.951, 0.15)}
    short, long = (targeted(build(inits, name=f"{n}", epochs=n)) for n in (10, 50))
    found = [s.text for s in compare(load(short, long)).overall]
    (quick, never) = (text for text in found if "≥ 0.85" in text)
    assert quick.startswith("At epochs=50: he_normal reaches validation accuracy ≥ 0.85 soonest")
    assert "next is glorot_uniform (" in quick
    assert never == "In 1 other setting no replicate reaches validation accuracy ≥ 0.85."
    (nobody,) = (s.text for s in compare(load(short)).overall)
    assert nobody == "No replicate reaches validation accuracy ≥ 0.85."


@pytest.mark.slow
def test_equal_initializers_are_seldom_called_soonest(
    build: Callable[..., Path], behaviour: Any
) -> None:
    results = load(targeted(build({init: behaviour() for init in "abc"}, seeds=range(6))))
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(25):
        drawn = generator.geometric(0.3, len(results.replicates)).clip(max=20).astype(float)
        replicates = results.replicates.assign(epochs_to_target=drawn)
        sweep = Sweep(dataclasses.replace(results, replicates=replicates), draws=False)
        claims += any("soonest" in sentence.text for sentence in target.ask(sweep).sentences)
    # So many or more would happen by chance in one of a thousand runs if one in twenty erred.
    assert claims < stats.binom(25, 0.05).isf(0.001)
