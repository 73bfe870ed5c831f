"""Where the variance of a configuration's scores comes from."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from runner.report import names
from runner.report.figures.theme import (
    GRID,
    MAX_ROWS,
    PALETTE,
    Figure,
    bottom_legend,
    csv_data,
    finish,
    row_axis,
)
from runner.report.names import Name

_WIDTH, _ROW_HEIGHT = 560, 24
_COLORS = {"weights": PALETTE[0], "batches": PALETTE[1], "residual": GRID}
_TITLES = {
    "weights": "initial weights",
    "batches": "order of the data",
    "residual": "both together",
}


def variance_figures(variance: pd.DataFrame, by: Mapping[int, Name]) -> list[Figure]:
    """Returns the shares of weights and batches in the variance, a bar for each configuration.

    Args:
      variance: See `runner.report.analysis`.
      by: Names of the configurations.
    """
    known = variance.dropna(subset="share")
    if known.empty:
        return []
    indices = list(dict.fromkeys(known["configuration"]))[:MAX_ROWS]
    rows = known[known["configuration"].isin(indices)]
    data = pd.DataFrame(
        {
            "title": [by[index].short_title for index in rows["configuration"]],
            "source": [_TITLES.get(str(source), str(source)) for source in rows["source"]],
            "place": [list(_TITLES).index(str(source)) for source in rows["source"]],
            "share": rows["share"].to_numpy(float),
            "std": rows["std"].to_numpy(float),
        }
    )
    scale = alt.Scale(domain=list(_TITLES.values()), range=list(_COLORS.values()))
    heading = names.row_heading(by.values())
    chart = (
        alt.Chart(csv_data(data))
        .mark_bar(height={"band": 0.65})
        .encode(
            x=alt.X("share:Q", title="share of the variance", axis=alt.Axis(format="%")),
            y=alt.Y("title:N", title=heading, sort=data["title"].tolist(), axis=row_axis()),
            color=alt.Color(
                "source:N", scale=scale, legend=bottom_legend(list(_TITLES.values()), _WIDTH)
            ),
            order="place:Q",
            tooltip=[
                "title:N",
                "source:N",
                alt.Tooltip("share:Q", format=".0%"),
                alt.Tooltip("std:Q", title="standard deviation", format=".3~g"),
            ],
        )
        .properties(width=_WIDTH, height=max(_ROW_HEIGHT * len(indices), 60))
    )
    title = "Where the variance comes from"
    caption = (
        "Estimated shares of the seeds of the initial weights and of the order of the data in the "
        "variance of the endpoint, from seeds that are crossed; what is left is their interaction."
    )
    return [Figure("variance", title, caption, finish(chart, title, ""))]
