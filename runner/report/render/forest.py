"""Forest plots: a row for each comparison, its estimate and interval beside a line at zero."""

from collections.abc import Sequence

import pandas as pd

from runner.report.render import theme
from runner.report.render.charts import rows, tall, tooltips, word_colors
from runner.report.render.vegalite import Spec, View, channel, layer

EQUIVALENT, UNKNOWN = "equivalent", "not known yet"
_COLORS = {
    "better": theme.GOOD,
    EQUIVALENT: theme.PALETTE[0],
    UNKNOWN: theme.MUTED,
    "worse": theme.LOST,
}


def forest(
    data: pd.DataFrame,
    heading: str | None,
    x_title: str,
    zero: str,
    domain: Sequence[float] | None = None,
) -> View:
    """Returns a forest plot.

    Args:
      data: Columns `title, value, low, high, outcome` (better, equivalent, not known yet, worse),
        `text, aside`; with an `aside` (a text) the numbers are missing, because they would stretch
        the axis.
      heading: What the titles consist of.
      x_title: Title of the axis.
      zero: What stands at zero.
      domain: Ends of the axis, if they are known beforehand.
    """
    base = View().encode(y=rows(data["title"].tolist(), heading))
    estimates = base.filter("isValid(datum.value)").encode(
        color=word_colors("outcome", _COLORS, data["outcome"], told_alone=False),
        tooltip=tooltips(
            ("title:N", "configuration"),
            ("value:Q", "estimate", "+.3~g"),
            ("low:Q", "interval from", "+.3~g"),
            ("high:Q", "to", "+.3~g"),
            ("outcome:N", "verdict"),
            ("text:N", "from"),
        ),
    )
    scale = dict(domain=list(domain), nice=False) if domain else dict(zero=True)
    axis = dict(
        tickCount=theme.TICK_COUNT, format="+~g", labelExpr=theme.SIGNED_LABEL, gridColor=theme.GRID
    )

    def x(column: str) -> Spec:
        return channel(f"{column}:Q", title=x_title, scale=scale, axis=axis)

    layers = [
        View(data=dict(values=[{"zero": 0, "what": zero}]))
        .mark("rule", color=theme.INK)
        .encode(x=x("zero"), tooltip=channel("what:N")),
        estimates.filter("isValid(datum.low)")
        .mark("rule", strokeWidth=2.5)
        .encode(x=x("low"), x2=channel("high")),
        estimates.mark("point", filled=True, size=70, opacity=1).encode(x=x("value")),
        *theme.aside_layers(base),
    ]
    return tall(layer(*layers, data=theme.csv_data(data)), len(data))


def seen(data: pd.DataFrame, what: str) -> str:
    """Returns what one sees in a forest plot."""
    values = pd.Series(data["value"].to_numpy(float), data["title"].tolist())
    parts = [f"{what}: {theme.extremes(values, words=('highest', 'lowest'))}"]
    for outcome in _COLORS:
        titles = data.loc[data["outcome"] == outcome, "title"].tolist()
        if titles and outcome != UNKNOWN:
            parts.append(f"{outcome}: {', '.join(titles)}")
    return f"{'; '.join(parts)}."
