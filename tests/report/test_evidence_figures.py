"""Figures of statistics, from frames that are small enough to be seen through."""

import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import altair
import numpy as np
import pandas as pd
import pytest

from runner.report.names import Name
from runner.report.questions.differences import difference_figures
from runner.report.questions.predictors import predictor_figures
from runner.report.questions.problems import rank_figures
from runner.report.questions.target import target_figures
from runner.report.questions.trainability import trainability_figures
from runner.report.questions.tuning import choice_figures
from runner.report.questions.variance import variance_figures
from runner.report.render import svg
from runner.report.render.theme import Figure, series_of
from runner.report.results import Results
from tests.report import asked

Scored = Callable[..., Results]

NAMES = {0: Name("glorot_uniform"), 1: Name("he_normal"), 2: Name("zero"), 3: Name("a<b>|`c`")}
SERIES = series_of([name.series for name in NAMES.values()])

DIFFERENCES = pd.DataFrame(
    {
        "configuration": [1, 2, 3],
        "reference": 0,
        "is_baseline": True,
        "metric": "val_accuracy",
        "num_pairs": [5, 5, 1],
        "mean": [0.02, -0.8, 0.01],
        "ci_low": [0.01, -0.81, np.nan],
        "ci_high": [0.03, -0.79, np.nan],
        "p_t": [0.004, 1e-9, np.nan],
        "outcome": ["better", "unlearned", "unknown"],
    }
)
SURVIVAL = pd.DataFrame(
    [
        (0, "epochs", 0, 0.0, np.nan, np.nan),
        (0, "epochs", 4, 1.0, np.nan, np.nan),
        (1, "epochs", 0, 0.0, np.nan, np.nan),
        (1, "epochs", 3, 0.5, 0.1, 0.9),
        (1, "epochs", 10, 0.5, 0.1, 0.9),
        (1, "seconds", 1.5, 0.5, 0.1, 0.9),
    ],
    columns=["configuration", "unit", "time", "share_reached", "ci_low", "ci_high"],
)
TIMES = pd.DataFrame({"target_metric": ["val_accuracy"], "target_value": [0.9]})
RANKS = pd.DataFrame(
    {
        "init": ["he_normal", "glorot_uniform", "zero"],
        "average_rank": [1.0, 2.0, 3.0],
        "num_problems": 4,
        "friedman_p": 0.018,
        "critical_difference": 1.66,
        "rank: digits": [1.0, 2.0, 3.0],
        "rank: wine": [1.0, 2.0, 3.0],
    }
)
RANKINGS = pd.DataFrame(
    {
        "ranking": ["shared", "shared", "own best", "own best"],
        "problem": "digits",
        "configuration": [0, 2, 1, 2],
        "init": ["he_normal", "zero"] * 2,
        "setting": ["learning_rate=0.1"] * 2 + ["learning_rate=0.01", "learning_rate=0.1"],
        "metric": "test_accuracy",
        "counted_mean": [0.5, 0.1, 0.9, 0.1],
        "ci_low": [0.4, 0.1, 0.85, 0.1],
        "ci_high": [0.6, 0.1, 0.95, 0.1],
        "num_diverged": [2, 0, 0, 0],
        "same_data": False,
    }
)
SUCCESS = pd.DataFrame({"configuration": [0, 1, 2], "success_rate": [0.6, 1.0, 0.0]})
TRAINABILITY = pd.DataFrame(
    {
        "init": ["he_normal", "he_normal", "zero", "zero"],
        "factor": "optimizer.learning_rate",
        "value": [0.1, 0.01] * 2,
        "problem": "",
        "metric": "val_accuracy",
        "counted_mean": [0.9, 0.8, 0.1, 0.1],
        "success_rate": [1.0, 0.8, 0.0, 0.0],
        "num_ended": 5,
    }
)
VARIANCE = pd.DataFrame(
    {
        "configuration": [0] * 3,
        "source": ["weights", "batches", "residual"],
        "share": [0.6, 0.3, 0.1],
        "std": [0.02, 0.01, 0.005],
    }
)
PREDICTORS = pd.DataFrame(
    {
        "group": "digits",
        "quantity": ["activation_ratio", "gradient_ratio"],
        "transform": ["value", "distance from 1"],
        "num_configurations": 10,
        "rho": [0.5, -0.7],
        "ci_low": [-0.2, -0.9],
        "ci_high": [0.9, -0.2],
        "p_holm": [0.2, 0.03],
    }
)
DRAWN: dict[str, Any] = {
    "differences": lambda: difference_figures(DIFFERENCES, NAMES),
    "target": lambda: target_figures(SURVIVAL, TIMES, NAMES, SERIES),
    "ranks": lambda: rank_figures(RANKS),
    "choices": lambda: choice_figures(RANKINGS, SUCCESS),
    "trainability": lambda: trainability_figures(TRAINABILITY),
    "variance": lambda: variance_figures(VARIANCE, NAMES),
    "predictors": lambda: predictor_figures(PREDICTORS),
}
EMPTY: dict[str, Any] = {
    "differences": lambda: difference_figures(DIFFERENCES[:0], NAMES),
    "target": lambda: target_figures(SURVIVAL[:0], TIMES[:0], NAMES, SERIES),
    "ranks": lambda: rank_figures(RANKS[:0]),
    "choices": lambda: choice_figures(RANKINGS[:0], SUCCESS),
    "trainability": lambda: trainability_figures(TRAINABILITY[:0]),
    "variance": lambda: variance_figures(VARIANCE[:0], NAMES),
    "predictors": lambda: predictor_figures(PREDICTORS[:0]),
}


def drawn(name: str) -> Figure:
    (figure,) = DRAWN[name]()
    return figure


def data(figure: Figure) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(figure.spec["data"]["values"])).fillna({"aside": ""})


@pytest.mark.parametrize("name", DRAWN)
def test_it_can_be_drawn(name: str) -> None:
    figure = drawn(name)
    assert figure.name == name
    altair.Chart.from_dict(figure.spec)  # it raises what Vega-Lite's schema has against it
    root = ET.fromstring(svg.svg(json.dumps(figure.spec)))
    assert float(root.attrib["width"]) > 200
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 5


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_is_drawn_where_there_is_nothing(name: str) -> None:
    assert EMPTY[name]() == []


def test_what_never_learned_does_not_stretch_the_axis() -> None:
    rows = data(drawn("differences")).set_index("title")
    assert np.isnan(rows["value"]["zero"])
    assert rows["aside"]["zero"] == "never learned: \N{MINUS SIGN}0.8"
    assert rows["value"]["he_normal"] == 0.02
    assert rows["outcome"].to_dict() == {
        "he_normal": "better",
        "zero": "worse",
        "a<b>|`c`": "not known yet",
    }


def test_losses_are_better_to_the_left() -> None:
    (figure,) = difference_figures(DIFFERENCES.assign(metric="val_loss"), NAMES)
    titles = [layer["encoding"]["x"].get("title") for layer in figure.spec["layer"]]
    assert "difference (left is better)" in titles


def test_shares_hold_to_the_end_of_the_axis() -> None:
    figure = drawn("target")
    assert figure.title == "Time to a validation accuracy of 0.9"
    last = data(figure).groupby("series").last()
    assert last["x"].tolist() == [10, 10]
    assert last["share"].tolist() == [1.0, 0.5]
    assert len(data(figure)) == 6  # five of epochs, and one to the end


def test_bars_join_ranks_within_the_critical_difference() -> None:
    bars = [
        layer["data"]["values"][0]
        for layer in drawn("ranks").spec["layer"]
        if "y2" in layer["encoding"]
    ]
    assert bars == [
        {"first": "he_normal", "last": "glorot_uniform"},
        {"first": "glorot_uniform", "last": "zero"},
    ]


def test_an_interval_over_survivors_is_not_drawn_at_a_mean_of_all() -> None:
    rows = data(drawn("choices")).set_index(["title", "ranking"])
    assert np.isnan(rows["low"]["he_normal", "shared"])
    assert rows["low"]["he_normal", "own best"] == 0.85
    # What never trained is told once, in words, and its numbers would stretch the axis.
    assert np.isnan(rows["value"]["zero"]).all()
    assert rows["aside"]["zero"].to_dict() == {"shared": "", "own best": "never learned: 0.1"}
    assert "listed, not plotted" in drawn("choices").caption
    y = drawn("choices").spec["layer"][0]["encoding"]["y"]
    assert y["sort"] == ["he_normal", "zero"]


def test_the_map_goes_by_number_and_marks_what_never_trained() -> None:
    figure = drawn("trainability")
    assert figure.spec["layer"][0]["encoding"]["x"]["sort"] == ["0.01", "0.1"]
    assert data(figure)["text"].tolist() == ["0.900", "0.800", "✕", "✕"]
    assert data(figure)["hint"].tolist()[1] == "80 % of 5 trained"


def test_the_reference_is_called_as_in_the_sentences(scored: Scored) -> None:
    good = [0.90, 0.92, 0.94, 0.96, 0.98]
    worse = [0.881, 0.899, 0.921, 0.939, 0.96]
    models = [{"model": name} for name in ("mlp", "resnet")]
    results = scored({"he_normal": good, "he_normal#1": worse}, factors=models)
    figure = asked.drawn(results)["differences"]
    assert figure.title == "Paired differences to model=mlp"
    assert " to model=mlp over the seeds" in figure.caption
