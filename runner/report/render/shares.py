"""Shares as curves: who has reached the target by when, who exceeds which score."""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from runner.report.render.charts import WIDTH, in_panels, tooltips
from runner.report.render.theme import (
    Figure,
    Series,
    color,
    csv_data,
    dash,
    finish,
    series_of,
)

_HEIGHT, _PANEL_WIDTH = 240, 340


@dataclass(frozen=True)
class Shares:
    """What one figure shows.

    Attributes:
      data: Columns `panel` and `series` (names), `x, share, low, high`.
      x_title, y_title: Titles of the axes.
      steps: How a share holds: `"step-after"` until the next point, `"step-before"` since the last.
    """

    data: pd.DataFrame
    x_title: str
    y_title: str
    steps: str


def placed(
    rows: pd.DataFrame, panel: Sequence[str], series: Sequence[str], x: str, share: str
) -> pd.DataFrame:
    """Returns the data of a figure from the columns `x`, `share`, `ci_low` and `ci_high`."""
    columns = {"x": rows[x], "share": rows[share], "low": rows["ci_low"], "high": rows["ci_high"]}
    return pd.DataFrame({"panel": list(panel), "series": list(series)}).assign(
        **{name: column.to_numpy(float) for name, column in columns.items()}
    )


def share_figure(
    name: str, title: str, caption: str, shares: Shares, series: Sequence[Series]
) -> Figure:
    """Returns a panel or several with a curve for each series.

    Args:
      name, title, caption: See `Figure`.
      shares: What it shows.
      series: How each is drawn; where none of them occurs, by their places.
    """
    panels, labels = (list(dict.fromkeys(shares.data[key])) for key in ("panel", "series"))
    drawn = [item for item in series if item.name in labels] or series_of(labels)
    data = shares.data.assign(
        panel=shares.data["panel"].map(panels.index), series=shares.data["series"].map(labels.index)
    )
    width = WIDTH if len(panels) == 1 else _PANEL_WIDTH
    chart = alt.layer(*_layers(shares, drawn, any(panels))).properties(width=width, height=_HEIGHT)
    chart = (
        in_panels(chart, panels, csv_data(data), "panel_name")
        .transform_calculate(
            panel_name="panel_names[datum.panel]", series_name="series_names[datum.series]"
        )
        .transform_filter("indexof(hidden, datum.series_name) < 0")
        .add_params(
            alt.param(name="panel_names", value=panels),
            alt.param(name="series_names", value=labels),
            alt.param(name="hidden", value=[]),
            alt.param(name="interactive", value=False),
        )
    )
    return Figure(name, title, caption, finish(chart, title, ""), num_panels=len(panels))


def _layers(shares: Shares, series: Sequence[Series], has_panels: bool) -> list[alt.Chart]:
    scale = alt.Scale(domain=[shares.data["x"].min(), shares.data["x"].max()], nice=False)
    x = alt.X("x:Q", title=shares.x_title, axis=alt.Axis(grid=False, tickCount=6), scale=scale)
    axis = alt.Axis(format="%", tickCount=5)

    def y(column: str) -> alt.Y:
        return alt.Y(f"{column}:Q", title=shares.y_title, axis=axis, scale=alt.Scale(domain=[0, 1]))

    base = alt.Chart().encode(x=x, color=color(series))
    line = base.mark_line(strokeWidth=2, clip=True, interpolate=shares.steps)
    layers = [line.encode(y=y("share"), strokeDash=dash(series))]
    if shares.data["low"].notna().any():
        band = base.mark_area(fillOpacity=0.12, clip=True, interpolate=shares.steps)
        layers.insert(0, band.encode(y=y("low"), y2="high:Q"))
    hover = base.transform_filter("interactive").mark_point(size=70, opacity=0, filled=True)
    told = tooltips(
        ("series_name:N", "initializer"),
        *([("panel_name:N", "setting")] if has_panels else []),
        ("x:Q", shares.x_title.partition(":")[0], ".4~g"),
        ("share:Q", "share", ".0%"),
        ("low:Q", "interval from", ".0%"),
        ("high:Q", "to", ".0%"),
    )
    return [*layers, hover.encode(y=y("share"), tooltip=told)]
