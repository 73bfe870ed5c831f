"""Shares as curves: who has reached the target by when, who exceeds which score."""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from runner.report.render import theme
from runner.report.render.charts import BACK_LINE, IN_COLOUR, WIDTH, line_panels, spread, tooltips

_HEIGHT, _WIDTHS = 240, {1: WIDTH, 2: 340}


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
    name: str, title: str, caption: str, seen: str, shares: Shares, series: Sequence[theme.Series]
) -> theme.Figure:
    """Returns a panel or several with a curve for each series.

    Args:
      name, title, caption: See `Figure`.
      seen: What one sees there.
      shares: What it shows.
      series: How each is drawn; where none of them occurs, by their places.
    """
    panels, labels = (list(dict.fromkeys(shares.data[key])) for key in ("panel", "series"))
    drawn = [item for item in series if item.name in labels] or theme.series_of(labels)
    data = shares.data.assign(
        panel=shares.data["panel"].map(panels.index), series=shares.data["series"].map(labels.index)
    )
    layers, lines = _layers(shares, drawn, any(panels))
    chart, names = line_panels(layers, lines, data, panels, labels, drawn, _WIDTHS, _HEIGHT)
    caption += spread(panels, names)
    return theme.Figure(
        name, title, caption, theme.finish(chart, title, "", seen), num_panels=len(names)
    )


def _layers(
    shares: Shares, series: Sequence[theme.Series], has_panels: bool
) -> tuple[list[alt.Chart], alt.Chart]:
    scale = alt.Scale(domain=[shares.data["x"].min(), shares.data["x"].max()], nice=False)
    x = alt.X("x:Q", title=shares.x_title, axis=alt.Axis(grid=False, tickCount=6), scale=scale)
    axis = alt.Axis(format="%", tickCount=5)

    def y(column: str) -> alt.Y:
        return alt.Y(f"{column}:Q", title=shares.y_title, axis=axis, scale=alt.Scale(domain=[0, 1]))

    every = alt.Chart().encode(x=x, y=y("share"))
    base = every.encode(color=theme.color(series)).transform_filter(IN_COLOUR)
    line = base.mark_line(strokeWidth=2, clip=True, interpolate=shares.steps)
    layers = [line.encode(strokeDash=theme.dash(series), strokeOpacity=theme.unless_behind(0.1))]
    if shares.data["low"].notna().any():
        band = base.mark_area(clip=True, interpolate=shares.steps)
        band = band.encode(y=y("low"), y2="high:Q", fillOpacity=theme.unless_behind(0.02, 0.12))
        layers.insert(0, band)
    hover = base.transform_filter("interactive").mark_point(size=70, opacity=0, filled=True)
    told = tooltips(
        ("series_name:N", "initializer"),
        *([("panel_name:N", "setting")] if has_panels else []),
        ("x:Q", shares.x_title.partition(":")[0], ".4~g"),
        ("share:Q", "share", ".0%"),
        ("low:Q", "interval from", ".0%"),
        ("high:Q", "to", ".0%"),
    )
    lines = every.mark_line(clip=True, interpolate=shares.steps, **BACK_LINE)
    return [*layers, hover.encode(tooltip=told)], lines
