"""Does what is seen before training predict the outcome?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from runner.report import names
from runner.report.answer import Answer, blocks, overall
from runner.report.render.charts import first_rows
from runner.report.render.forest import UNKNOWN, forest, seen
from runner.report.render.theme import Figure, finish
from runner.report.results import Results
from runner.report.scores import Scores, grouped
from runner.report.statistics.correlation import rank_correlation
from runner.report.statistics.paired import holm
from runner.report.sweep import Sweep
from runner.report.table import Table, count, estimate, p_value, tabulated, text

_COLUMNS = [
    *("group", "quantity", "transform", "metric", "num_configurations"),
    *("rho", "ci_low", "ci_high", "p_value", "p_holm"),
]
VALUE, FROM_ONE, FROM_ZERO = "value", "distance from 1", "distance from 0"
_TRANSFORMED = {VALUE: "{}", FROM_ONE: "|log {}|", FROM_ZERO: "|{}|"}
# Already on a logarithmic scale.
_LOGARITHM = "log10_"
# The largest singular value is a headline number; those after it are a spectrum.
_SPECTRUM = r"singular_value_(?!1$)\d+"


def ask(sweep: Sweep) -> Answer:
    """Does what is seen before training predict the outcome?"""
    predictors = predictors_table(sweep.results, sweep.scores)
    return Answer(
        "predictors",
        "What predicts the outcome before training",
        sentences=overall(sentences(predictors, sweep.confidence)),
        figures=sweep.drawn(predictor_figures, predictors),
        blocks=blocks(
            predictors_block(predictors), title="In numbers", csv="predictors.csv", folded=True
        ),
        tables={"predictors.csv": predictors},
    )


def predictors_table(results: Results, found: Scores) -> pd.DataFrame:
    """Returns `predictors.csv`: how the numbers at step 0 go with the endpoint over the sweep.

    Columns: `group` (data set), `quantity`, `transform` (`"value"`; `"distance from 1"`, the
    absolute logarithm of a quantity that is positive, or `"distance from 0"` of one that is a
    logarithm: too much and too little may both be bad), `metric`, `num_configurations`, `rho`
    (Spearman's), `ci_low`, `ci_high`, `p_value`, `p_holm`
    (corrected for all rows). Each configuration counts once: with the median of the quantity over
    its replicates and its mean endpoint, failures counted; those that are not trained do not.
    """
    if results.propagation.empty:
        return pd.DataFrame(columns=_COLUMNS)
    headline = _medians(results.propagation)
    outcome = found.counted.mean()
    rows = []
    trained = [r for r in results.configurations if r.error is None and r.is_trained]
    for group in grouped(trained).values():
        indices = [record.index for record in group]
        of_group = headline.reindex(indices)
        for quantity in of_group.columns:
            for transform, values in _transforms(of_group[quantity]).items():
                count, rho, low, high, p = rank_correlation(
                    values, outcome.reindex(indices), results.sweep.confidence
                )
                names = (group[0].dataset.get("name", ""), quantity, transform, group[0].endpoint)
                rows.append((*names, count, rho, low, high, p, np.nan))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.assign(p_holm=holm(table["p_value"])) if len(table) else table


def _medians(propagation: pd.DataFrame) -> pd.DataFrame:
    """Returns the quantities of whole networks: configurations down, quantities across."""
    layers = propagation["layer"].fillna("").astype(str)
    spectrum = propagation["quantity"].astype(str).str.fullmatch(_SPECTRUM)
    whole = propagation[((propagation["layer_index"] < 0) | (layers == "")) & ~spectrum]
    return whole.pivot_table("measured", "configuration", "quantity", aggfunc="median")


def _transforms(values: pd.Series) -> Mapping[str, pd.Series]:
    known = values.dropna()
    if str(values.name).startswith(_LOGARITHM):
        return {VALUE: values, FROM_ZERO: values.abs()}
    if len(known) and (known > 0).all():
        return {VALUE: values, FROM_ONE: np.log(values).abs()}
    return {VALUE: values}


def predictors_block(frame: pd.DataFrame) -> Table | None:
    """Returns how step 0 goes with the endpoint, or None where step 0 was not looked at."""
    return tabulated(
        frame,
        [
            ("data", text("group")),
            ("measured before training", text("quantity")),
            ("as", text("transform")),
            ("configurations", count("num_configurations")),
            ("rank correlation", estimate("rho", "ci_low", "ci_high", 2)),
            ("p (Holm)", p_value("p_holm")),
        ],
    )


def sentences(table: pd.DataFrame, confidence: float) -> list[str]:
    """Returns which number at step 0 predicts the outcome best, for each data set."""
    known = table[table["rho"].notna()]
    groups = list(known.groupby("group", sort=False))
    told = [(str(group), _predictor(rows, confidence)) for group, rows in groups]
    return [
        text if len(told) == 1 else f"On {names.one_line(group)}: {text}" for group, text in told
    ]


def _predictor(rows: pd.DataFrame, confidence: float) -> str:
    row = rows.iloc[int(rows["rho"].abs().argmax())]
    quantity = str(row["quantity"]).replace("_", " ")
    if row["transform"] != "value":
        quantity = f"the {row['transform'].replace('distance', f'distance of {quantity}')}"
    numbers = (
        f"rank correlation {names.number(row['rho'], 2)} "
        f"[{names.number(row['ci_low'], 2)}, {names.number(row['ci_high'], 2)}] with "
        f"{names.metric_name(str(row['metric']))} over {row['num_configurations']} configurations"
    )
    if row["p_holm"] <= 1 - confidence:
        return f"Before training, {quantity} predicts the outcome best: {numbers}."
    return (
        f"Nothing measured before training predicts the outcome beyond chance; closest is "
        f"{quantity}: {numbers}."
    )


def predictor_figures(predictors: pd.DataFrame) -> list[Figure]:
    """Returns how well each number at step 0 ranks the outcomes, as a forest plot."""
    known = predictors.dropna(subset="rho")
    if known.empty:
        return []
    shown, others = first_rows(known)
    groups = shown["group"].nunique() > 1
    told = zip(shown["quantity"], shown["transform"], shown["group"], strict=True)
    data = pd.DataFrame(
        {
            "title": [
                names.one_line(
                    f"{_TRANSFORMED[transform].format(quantity.replace('_', ' '))}"
                    f"{f' · {group}' if groups else ''}"
                )
                for quantity, transform, group in told
            ],
            "value": shown["rho"].to_numpy(float),
            "low": shown["ci_low"].to_numpy(float),
            "high": shown["ci_high"].to_numpy(float),
            "outcome": UNKNOWN,
            "text": [
                f"{names.counted(int(n), 'configuration')}, p {names.p_value(p)}"
                for n, p in zip(shown["num_configurations"], shown["p_holm"], strict=True)
            ],
            "aside": "",
        }
    )
    title = "Does anything before training predict the outcome?"
    caption = (
        "Spearman's rank correlation of each number measured before training with the endpoint, "
        "over the configurations, with its interval. If the interval contains zero, this sweep "
        "does not show whether they are related."
    )
    chart = forest(
        data, None, "rank correlation with the endpoint", zero="no relation", domain=(-1.0, 1.0)
    )
    spec = finish(chart, title, "", seen(data, "Rank correlation"))
    return [Figure("predictors", title, caption + others, spec)]
