"""Every sentence that a report can say, over sweeps of every awkward kind, is a proper sentence."""

import dataclasses
import io
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from runner.report.comparison import summed_up
from runner.report.points import curve_points
from runner.report.questions import ask
from runner.report.questions.trained import origin
from runner.report.render.console import view
from runner.report.render.html import page
from runner.report.render.latex import latex
from runner.report.render.markdown import markdown
from runner.report.results import Results
from runner.report.sweep import Sweep
from tests.report.asked import analyse

Scored = Callable[..., Results]

FORBIDDEN = {
    "two full stops": r"(?<!\.)\.\.(?!\.)|\.;|\.,|;\.|:\.|,\.|\?\.",
    "one of many": r"(?<![\d.,])1 (more |other |further )?(seeds|replicates|pairs|configurations|"
    r"epochs|others|comparisons|differences|settings|problems|initializers)\b",
    "one that are": r"\b(1|One) of [^.;]* are not\b|^1 \w+ (were|are) ",
    "a certain p": r"\bp = [01](\.0*)?(?![\d.])|\bp = 0\.0+\b|below p = 1\b|than 1 with",
    "no p": r"\bp –|p =? ?nan",
    "not a number": r"\b(nan|NaN|None(?! of)|inf|NA)\b",
    "an end is missing": r"\[–|–\]|, –",
    "nothing in brackets": r"\(\s*\)|\[\s*\]|\( | \)",
    "spaces": r" {2,}| [.,;:](\s|$)",
    "nothing is negative": "\N{MINUS SIGN}0(\\.0+)?(?![\\d.])",
    "a minus of a keyboard": r"(?<![\w\d`=])-\d",
    "too long a number": r"\d{9,}|\d\.\d{8,}|0\.0{6}",
    "a number of Python's": r"e[+]?0\d|e\+|e-\d",
    "a zero count": r"(?<![\d.,`=])0 (more|further) ",
}

GOOD = [0.90, 0.92, 0.94, 0.96, 0.98]
NEAR = [0.91, 0.91, 0.95, 0.94, 0.985]
LOST = ["diverged"] * 5
GENERATOR = np.random.default_rng(5)


def times(scores: list[float], factor: float) -> list[float]:
    return [factor * score for score in scores]


# Scores of each initializer, and what else is particular.
SWEEPS: dict[str, tuple[Mapping[str, list], dict[str, Any]]] = {
    "one seed": ({"a": [0.9], "b": [0.8], "c": [0.9]}, {}),
    "two seeds": ({"a": [0.9, 0.95], "b": [0.8, 0.85], "c": [0.9, 0.7]}, {}),
    "three seeds": ({"a": GOOD[:3], "b": NEAR[:3], "c": ["diverged", 0.9, 0.7]}, {}),
    "one configuration": ({"a": GOOD}, {}),
    "one of each": ({"a": [0.9]}, {}),
    "all equal": ({"a": [0.9] * 5, "b": [0.9] * 5, "c": [0.9] * 5}, {}),
    "equal differences": ({"a": GOOD, "b": [x - 0.02 for x in GOOD]}, {}),
    "all perfect": ({"a": [1.0] * 5, "b": [1.0] * 5}, {}),
    "nearly perfect": ({"a": [1.0, 1.0, 0.999, 1.0, 0.99], "b": [1.0, 0.99, 0.98, 0.9, 1.0]}, {}),
    "wide": ({"a": [0.0, 1.0, 0.9], "b": [1.0, 0.0, 0.2], "c": [0.5, 0.9, 1.0]}, {}),
    "nearly the same": ({"a": GOOD, "b": [x + 1e-7 * (-1) ** i for i, x in enumerate(GOOD)]}, {}),
    "far apart": ({"a": GOOD, "b": [0.5, 0.5, 0.51, 0.49, 0.5]}, {}),
    "nearly told": ({"a": GOOD, "b": [0.881, 0.905, 0.939, 0.930, 0.955], "c": NEAR}, {}),
    "one more seed": ({"a": GOOD, "b": [0.89, 0.90, 0.93, 0.925, 0.965], "c": NEAR}, {}),
    "all diverged": ({"a": LOST, "b": LOST}, {}),
    "one diverged": ({"a": GOOD, "b": [*GOOD[:4], "diverged"]}, {}),
    "one is left": ({"a": GOOD, "b": [0.9, *LOST[:4]], "c": LOST}, {}),
    "failed and missing": ({"a": GOOD, "b": ["failed", None, "interrupted", 0.9, None]}, {}),
    "nothing at all": ({"a": [None], "b": [None]}, {}),
    "never learned": ({"a": GOOD, "b": [0.1] * 5}, {"loss": {"b": [2.3026] * 5}}),
    "leads without learning": ({"a": [0.1] * 5, "b": [0.05] * 5}, {"loss": {"a": [2.31] * 5}}),
    "nothing learned": ({x: [0.1] * 5 for x in "ab"}, {"loss": {x: [2.3026] * 5 for x in "ab"}}),
    "baseline": ({"a": GOOD, "b": NEAR, "c": GOOD}, {"baseline": "b"}),
    "baseline missing": ({"a": GOOD, "b": NEAR}, {"baseline": "he_norm"}),
    "baseline lost": ({"a": GOOD, "b": LOST}, {"baseline": "b"}),
    "default baseline": ({"glorot_uniform": NEAR, "a": GOOD, "b": NEAR[::-1]}, {}),
    "not trained": ({"a": GOOD, "b": NEAR}, {"epochs": 0}),
    "best epoch": ({"a": GOOD, "b": NEAR}, {"at": "best"}),
    "crossed": ({"a": GOOD, "b": NEAR}, {"crossed": True}),
    "losses": ({"a": [0.01, 0.9, 0.02], "b": [0.02, 0.5, 0.1]}, {"endpoint": "val_loss"}),
    "huge": (
        {"a": times(GOOD, 3e12), "b": times(NEAR, 3e12), "c": times(GOOD[::-1], 1e13)},
        {"endpoint": "val_loss"},
    ),
    "huge, one seed": ({"a": [3.3e12], "b": [4.5e13]}, {"endpoint": "val_loss"}),
    "tiny": ({"a": times(GOOD, 1e-9), "b": times(NEAR, 1e-9)}, {"endpoint": "val_mae"}),
    "tiny, one seed": ({"a": [3.3e-9], "b": [4.5e-8]}, {"endpoint": "val_mae"}),
    "huge and tiny": ({"a": times(GOOD, 1e-9), "b": times(NEAR, 1e9)}, {"endpoint": "val_loss"}),
    "zeros": ({"a": [0.0] * 3, "b": [0.0] * 3, "c": [0.0, 0.0, 1e-9]}, {"endpoint": "val_loss"}),
    "settings": (
        {"a": GOOD, "b": NEAR, "a#1": NEAR, "b#1": LOST},
        {"factors": [{"optimizer.learning_rate": rate} for rate in (0.1, 0.1, 0.01, 0.01)]},
    ),
    "problems": (
        {"a": GOOD, "b": NEAR, "a#1": NEAR, "b#1": GOOD, "a#2": GOOD, "b#2": NEAR},
        {
            "factors": [{"dataset": name} for name in ("x", "x", "y", "y", "z", "z")],
            "fingerprints": ["1", "1", "2", "2", "3", "3"],
        },
    ),
    "many": ({f"i{n}": list(GENERATOR.normal(0.9, 0.01, 5)) for n in range(15)}, {}),
    "labels with full stops": ({"custom(target=a.b.)": GOOD, "x.": NEAR, "…": GOOD}, {}),
}

# What some, all or none of the replicates reach.
TARGETS = {
    "one seed": 0.85,
    "three seeds": 0.91,
    "one configuration": 0.935,
    "all equal": 0.5,
    "far apart": 0.9,
    "one is left": 0.9,
    "never learned": 0.9,
    "all diverged": 0.9,
    "not trained": 0.9,
    "default baseline": 2.0,
    "settings": 0.935,
    "many": 0.9,
}


def with_target(results: Results, value: float) -> Results:
    """Returns the same replicates, each with a time to a target."""
    records = [
        dataclasses.replace(c, target=("val_accuracy", value)) for c in results.configurations
    ]
    rows = results.replicates.copy()
    score = rows.get("final_val_accuracy", rows["wall_time_s"] * math.nan)
    reached = (score >= value).fillna(False)
    rows["epochs_to_target"] = rows["epochs_to_target"].mask(reached, rows.index % 4 + 1)
    return dataclasses.replace(results, configurations=tuple(records), replicates=rows)


def sentences(results: Results) -> list[str]:
    """Returns everything that is said in words, and each entry of a table, wherever it is shown."""
    sweep = Sweep(results, draws=False)
    answers = list(ask(sweep))
    comparison = summed_up(sweep, answers)
    told = [comparison.title, comparison.headline, comparison.method, *comparison.cautions]
    told += [sentence.text for of_cell in comparison.findings for sentence in of_cell]
    told += [sentence.text for sentence in comparison.overall]
    told += [answer.note for answer in answers]
    tables = [comparison.ranking, origin(results)]
    tables += [block.table for answer in answers for block in answer.blocks]
    told += [entry.text for table in tables for row in table.rows for entry in row]
    told += [column for table in tables for column in table.columns]
    texts = (
        markdown(comparison, answers, "", origin(results)),
        page(sweep, comparison, answers),
        latex(comparison),
    )
    for text in texts:
        assert not re.search(r"[>| ](nan|NaN|None(?! of)|<NA>)[<|&. ]", text)
    console = Console(width=5_000, file=io.StringIO(), record=True)
    console.print(view(comparison))
    told += [line for line in console.export_text().splitlines() if line.endswith(".")]
    return [text for text in told if text]


@pytest.mark.sampled
@pytest.mark.parametrize("name", SWEEPS)
def test_every_sentence_is_a_proper_one(scored: Scored, name: str) -> None:
    scores, options = SWEEPS[name]
    results = scored(scores, **options)
    found = sentences(results)
    assert not impossible_ends(results)
    target = TARGETS.get(name)
    if target is not None:
        found += sentences(with_target(results, target))
    wrong = [
        f"{rule}: {text}"
        for text in dict.fromkeys(found)
        for rule, pattern in FORBIDDEN.items()
        if re.search(pattern, text.replace("(target=a.b.)", "").replace("x.", "x"))
    ]
    pairs = ("()", "[]")
    wrong += [f"brackets: {t}" for t in found for a, b in pairs if t.count(a) != t.count(b)]
    assert not wrong, "\n".join(wrong)


def impossible_ends(results: Results) -> list[float]:
    """Returns the ends of intervals that are no value of what they are of."""
    analysis = analyse(results)
    shown = [s for cell in analysis.cells for s in cell.standings if s.score.count > 1]
    ends = [(s.record.endpoint, end) for s in shown for end in (s.score.low, s.score.high)]
    for table in (results.comparison, analysis.rankings):
        for end in ("ci_low", "ci_high"):
            ends += zip(table["metric"], table[end].dropna(), strict=False)
    of_pairs = analysis.pairs[["metric", "ci_low", "ci_high"]].dropna()
    wrong = [end for metric, end in ends if end < 0 or (metric.endswith("accuracy") and end > 1)]
    for metric, *both in of_pairs.itertuples(index=False):
        wrong += [end for end in both if metric.endswith("accuracy") and abs(end) > 1]
    for points in curve_points(results, results.names):
        highest = 1.0 if points.metric.endswith("accuracy") else math.inf
        wrong += points.frame.loc[points.frame["low"] < 0, "low"].tolist()
        wrong += points.frame.loc[points.frame["high"] > highest, "high"].tolist()
    return wrong
