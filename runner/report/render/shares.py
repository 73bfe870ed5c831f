"""Shares as curves: who has reached the target by when."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from runner.report.render import charts, theme

_HEIGHT, _WIDTHS = 240, {1: charts.WIDTH, 2: 340}


def share_figure(
    title: str, caption: str, seen: str, data: pd.DataFrame, series: Sequence[theme.Series]
) -> theme.Figure:
    """Returns a panel or several with a curve for each series.

    Args:
      title, caption: See `Figure`.
      seen: What one sees there.
      data: Columns `panel` and `series` (names), `x` (the epoch), `share, low, high`; a share holds
        until the next epoch.
      series: How each is drawn.
    """
    panels, labels = (list(dict.fromkeys(data[key])) for key in ("panel", "series"))
    drawn = [item for item in series if item.name in labels]
    scale = alt.Scale(domain=[data["x"].min(), data["x"].max()], nice=False)
    x = alt.X("x:Q", title="epoch", axis=alt.Axis(grid=False, tickCount=6), scale=scale)
    axis = alt.Axis(format="%", tickCount=5)

    def y(column: str) -> alt.Y:
        domain = alt.Scale(domain=[0, 1])
        return alt.Y(f"{column}:Q", title="share at the target", axis=axis, scale=domain)

    looks = {"clip": True, "interpolate": "step-after"}
    every = alt.Chart().encode(x=x, y=y("share"))
    base = every.encode(color=theme.color(drawn)).transform_filter(charts.IN_COLOUR)
    layers = [
        base.mark_line(strokeWidth=2, **looks).encode(
            strokeDash=theme.dash(drawn),
            strokeOpacity=theme.unless_behind(alt.StrokeOpacityValue, 0.1),
        )
    ]
    if data["low"].notna().any():
        faded = theme.unless_behind(alt.FillOpacityValue, 0.02, 0.12)
        band = base.mark_area(**looks).encode(y=y("low"), y2=alt.Y2("high:Q"), fillOpacity=faded)
        layers.insert(0, band)
    hover = base.transform_filter("interactive").mark_point(size=70, opacity=0, filled=True)
    told = charts.tooltips(
        ("series_name:N", "initializer"),
        *([("panel_name:N", "setting")] if any(panels) else []),
        ("x:Q", "epoch", ".4~g"),
        ("share:Q", "share", ".0%"),
        ("low:Q", "interval from", ".0%"),
        ("high:Q", "to", ".0%"),
    )
    placed = data.assign(
        panel=data["panel"].map(panels.index), series=data["series"].map(labels.index)
    )
    chart, names = charts.line_panels(
        [*layers, hover.encode(tooltip=told)],
        every.mark_line(**looks, **charts.BACK_LINE),
        placed,
        panels,
        labels,
        drawn,
        _WIDTHS,
        _HEIGHT,
    )
    spec = theme.finish(chart, title, "", seen)
    caption += charts.spread(panels, names)
    return theme.Figure("target", title, caption, spec, num_panels=len(names))
