"""Forest plots: a row for each comparison, its estimate and interval beside a line at zero."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from runner.records import lower_is_better
from runner.report import names
from runner.report.analysis.step_zero import FROM_ONE, FROM_ZERO
from runner.report.figures.theme import (
    GOOD,
    INK,
    LOST,
    MAX_ROWS,
    MUTED,
    PALETTE,
    SIGNED_LABEL,
    TICK_COUNT,
    Figure,
    aside_layers,
    bottom_legend,
    csv_data,
    finish,
    row_axis,
)
from runner.report.names import Name

_WIDTH, _ROW_HEIGHT = 560, 24
_COLORS = {"better": GOOD, "equivalent": PALETTE[0], "not known yet": MUTED, "worse": LOST}
_WORDS = {
    "better": "better",
    "equivalent": "equivalent",
    "unknown": "not known yet",
    "worse": "worse",
    "unlearned": "worse",
}


@dataclass(frozen=True)
class Rows:
    """What a forest plot shows.

    Attributes:
      data: Columns `title, value, low, high, outcome, text, aside`; with an `aside` (a text) the
        numbers are missing, because they would stretch the axis.
      heading: What the titles consist of.
      x_title: Title of the axis.
      zero: What stands at zero.
    """

    data: pd.DataFrame
    heading: str | None
    x_title: str
    zero: str


def difference_figures(differences: pd.DataFrame, by: Mapping[int, Name]) -> list[Figure]:
    """Returns one forest plot per metric of the paired differences to the reference.

    Args:
      differences: See `runner.report.analysis`.
      by: Names of the configurations.
    """
    known = differences.dropna(subset="mean")
    metrics = list(dict.fromkeys(known["metric"]))
    return [
        _difference_figure(known[known["metric"] == metric], metric, by, len(metrics) > 1)
        for metric in metrics
    ]


def _difference_figure(
    rows: pd.DataFrame, metric: str, by: Mapping[int, Name], is_one_of_many: bool
) -> Figure:
    shown = rows.iloc[:MAX_ROWS]
    references = list(dict.fromkeys(by[int(index)].series for index in shown["reference"]))
    to = references[0] if len(references) == 1 else "the reference of each setting"
    what = names.metric_name(metric)
    better = "left" if lower_is_better(metric) else "right"
    plot = Rows(
        data=_difference_rows(shown, by),
        heading=names.row_heading(by.values()),
        x_title=f"difference ({better} is better)",
        zero=to,
    )
    title = f"Paired differences to {to}"
    caption = (
        f"Mean difference in {what} to {to} over the seeds that both have, with its unadjusted "
        f"interval. The colour is the verdict, which allows for all comparisons and looks, so an "
        f"interval can exclude zero and still be grey."
    )
    if plot.data["aside"].ne("").any():
        caption += " Initializers that never learned are listed, not plotted."
    if len(shown) < len(rows):
        caption += f" The first {len(shown)} of {len(rows)} are drawn."
    name = f"differences_{metric}" if is_one_of_many else "differences"
    return Figure(name, title, caption, finish(_chart(plot), title, what))


def _difference_rows(rows: pd.DataFrame, by: Mapping[int, Name]) -> pd.DataFrame:
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
                for pairs, p in zip(count, rows["p_t"], strict=True)
            ],
            "aside": [
                word if is_aside else "" for word, is_aside in zip(words, aside, strict=True)
            ],
        }
    )


def predictor_figures(predictors: pd.DataFrame) -> list[Figure]:
    """Returns how well each number at step 0 ranks the outcomes, as a forest plot.

    Args:
      predictors: See `runner.report.analysis`.
    """
    known = predictors.dropna(subset="rho")
    if known.empty:
        return []
    shown = known.iloc[:MAX_ROWS]
    groups = shown["group"].nunique() > 1
    told = zip(shown["quantity"], shown["transform"], shown["group"], strict=True)
    data = pd.DataFrame(
        {
            "title": [
                names.one_line(
                    f"{_transformed(str(quantity).replace('_', ' '), str(transform))}"
                    f"{f' · {group}' if groups else ''}"
                )
                for quantity, transform, group in told
            ],
            "value": shown["rho"].to_numpy(float),
            "low": shown["ci_low"].to_numpy(float),
            "high": shown["ci_high"].to_numpy(float),
            "outcome": "not known yet",
            "text": [
                f"{names.counted(int(n), 'configuration')}, p {names.p_value(p)}"
                for n, p in zip(shown["num_configurations"], shown["p_holm"], strict=True)
            ],
            "aside": "",
        }
    )
    title = "Does step 0 predict the outcome?"
    caption = (
        "Spearman's rank correlation of each number measured before training with the endpoint, "
        "over the configurations, with its interval. An interval across zero says no more than "
        "that this sweep cannot tell."
    )
    plot = Rows(data, None, "rank correlation with the endpoint", "no relation")
    spec = finish(_chart(plot, domain=(-1.0, 1.0)), title, "")
    return [Figure("predictors", title, caption, spec)]


def _transformed(quantity: str, transform: str) -> str:
    """Returns such as `"|log10 signal gain|"` for its distance from 0."""
    told = {FROM_ZERO: f"|{quantity}|", FROM_ONE: f"|log {quantity}|"}
    return told.get(transform, quantity)


def _chart(plot: Rows, domain: Sequence[float] | None = None) -> alt.LayerChart:
    data = plot.data
    y = alt.Y("title:N", title=plot.heading, sort=data["title"].tolist(), axis=row_axis())
    base = alt.Chart().encode(y=y)
    estimates = base.transform_filter("isValid(datum.value)").encode(
        color=_color(data),
        tooltip=[
            alt.Tooltip("title:N", title="configuration"),
            alt.Tooltip("value:Q", title="estimate", format="+.3~g"),
            alt.Tooltip("low:Q", title="interval from", format="+.3~g"),
            alt.Tooltip("high:Q", title="to", format="+.3~g"),
            alt.Tooltip("outcome:N", title="verdict"),
            alt.Tooltip("text:N", title="from"),
        ],
    )
    scale = alt.Scale(domain=list(domain), nice=False) if domain else alt.Scale(zero=True)
    axis = alt.Axis(tickCount=TICK_COUNT, format="+~g", labelExpr=SIGNED_LABEL, gridColor="#f0f2f5")

    def x(column: str) -> alt.X:
        return alt.X(f"{column}:Q", title=plot.x_title, scale=scale, axis=axis)

    layers = [
        alt.Chart(alt.Data(values=[{"zero": 0, "what": plot.zero}]))
        .mark_rule(color=INK, strokeDash=[4, 3])
        .encode(x=alt.X("zero:Q", title=plot.x_title, scale=scale, axis=axis), tooltip="what:N"),
        estimates.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2.5)
        .encode(x=x("low"), x2="high:Q"),
        estimates.mark_point(filled=True, size=70, opacity=1).encode(x=x("value")),
        *aside_layers(base),
    ]
    return alt.layer(*layers, data=csv_data(data)).properties(
        width=_WIDTH, height=max(_ROW_HEIGHT * len(data), 60)
    )


def _color(data: pd.DataFrame) -> alt.Color:
    used = [word for word in _COLORS if word in set(data["outcome"])]
    legend = bottom_legend(used, _WIDTH) if len(used) > 1 else None
    scale = alt.Scale(domain=used, range=[_COLORS[word] for word in used])
    return alt.Color("outcome:N", scale=scale, legend=legend)
