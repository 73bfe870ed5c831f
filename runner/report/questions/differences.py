"""How each configuration differs from the reference, seed by seed, and how sure that is."""

from collections.abc import Mapping

import pandas as pd

from runner.records import lower_is_better
from runner.report import evidence, names
from runner.report.analysis.differences import differences_table, pairs_table
from runner.report.answer import Answer, blocks
from runner.report.names import Name
from runner.report.render.charts import aside_note, first_rows
from runner.report.render.forest import SAME, forest
from runner.report.render.theme import Figure, finish
from runner.report.sweep import Sweep

_WORDS = {"better": "better", "same": SAME, "unknown": SAME}


def ask(sweep: Sweep) -> Answer:
    """By how much do the others differ from the reference?"""
    differences = differences_table(sweep.results, sweep.scores, sweep.cells)
    pairs = pairs_table(sweep.cells)
    ordered = sweep.ordered(differences)
    return Answer(
        "differences",
        "Differences and their uncertainty",
        note="Seed by seed against the reference. Holm's correction counts all comparisons; "
        "the two exact tests stand beside it with the least p that so many pairs can give.",
        figures=sweep.drawn(difference_figures, ordered, sweep.names),
        blocks=[
            *blocks(
                evidence.differences(ordered, sweep.names, sweep.confidence), csv="differences.csv"
            ),
            *blocks(
                evidence.pairs(pairs, sweep.names, sweep.confidence),
                title="Every pair",
                csv="pairs.csv",
                folded=True,
            ),
        ],
        tables={"differences.csv": differences, "pairs.csv": pairs},
    )


def difference_figures(differences: pd.DataFrame, by: Mapping[int, Name]) -> list[Figure]:
    """Returns one forest plot per metric of the paired differences to the reference.

    Args:
      differences: `differences.csv`.
      by: Names of the configurations.
    """
    known = differences.dropna(subset="mean")
    metrics = list(dict.fromkeys(known["metric"]))
    return [
        _figure(known[known["metric"] == metric], metric, by, len(metrics) > 1)
        for metric in metrics
    ]


def _figure(
    rows: pd.DataFrame, metric: str, by: Mapping[int, Name], is_one_of_many: bool
) -> Figure:
    shown, others = first_rows(rows)
    references = list(dict.fromkeys(by[int(index)].series for index in shown["reference"]))
    to = references[0] if len(references) == 1 else "the reference of each setting"
    what = names.metric_name(metric)
    better = "left" if lower_is_better(metric) else "right"
    data = _data(shown, by)
    title = f"Paired differences to {to}"
    caption = (
        f"Mean difference in {what} to {to} over the seeds that both have, with its unadjusted "
        f"interval. The colour is the verdict after Holm's correction for all comparisons, so an "
        f"interval can exclude zero and still be grey."
    )
    caption += aside_note(data) + others
    heading = names.row_heading(by.values())
    chart = forest(data, heading, x_title=f"difference ({better} is better)", zero=to)
    name = f"differences_{metric}" if is_one_of_many else "differences"
    return Figure(name, title, caption, finish(chart, title, what))


def _data(rows: pd.DataFrame, by: Mapping[int, Name]) -> pd.DataFrame:
    learned = rows["outcome"] != "unlearned"
    aside = ~learned if learned.any() else pd.Series(False, rows.index)
    words = [f"never learned: {names.significant(value, 3)}" for value in rows["mean"]]
    count = [names.counted(int(number), "pair") for number in rows["num_pairs"]]
    return pd.DataFrame(
        {
            "title": [by[index].short_title for index in rows["configuration"]],
            "value": rows["mean"].mask(aside).to_numpy(float),
            "low": rows["ci_low"].mask(aside).to_numpy(float),
            "high": rows["ci_high"].mask(aside).to_numpy(float),
            "outcome": [_WORDS.get(str(outcome), "worse") for outcome in rows["outcome"]],
            "text": [
                f"{pairs}, p {names.p_value(p)}"
                for pairs, p in zip(count, rows["p_holm"], strict=True)
            ],
            "aside": [
                word if is_aside else "" for word, is_aside in zip(words, aside, strict=True)
            ],
        }
    )
