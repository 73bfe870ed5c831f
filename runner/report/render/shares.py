"""Shares as curves: who has reached the target by when."""

from collections.abc import Sequence

import pandas as pd

from runner.report.render import charts, theme
from runner.report.render.vegalite import Spec, View, channel

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
    scale = dict(domain=[data["x"].min(), data["x"].max()], nice=False)
    x = channel("x:Q", title="epoch", axis=dict(grid=False, tickCount=6), scale=scale)
    axis = dict(format="%", tickCount=5)

    def y(column: str) -> Spec:
        domain = dict(domain=[0, 1])
        return channel(f"{column}:Q", title="share at the target", axis=axis, scale=domain)

    looks = {"clip": True, "interpolate": "step-after"}
    every = View().encode(x=x, y=y("share"))
    base = every.encode(color=theme.color(drawn)).filter(charts.IN_COLOUR)
    layers = [
        base.mark("line", strokeWidth=2, **looks).encode(
            strokeDash=theme.dash(drawn),
            strokeOpacity=theme.unless_behind(0.1),
        )
    ]
    if data["low"].notna().any():
        faded = theme.unless_behind(0.02, 0.12)
        band = base.mark("area", **looks).encode(y=y("low"), y2=channel("high"), fillOpacity=faded)
        layers.insert(0, band)
    hover = base.filter("interactive").mark("point", size=70, opacity=0, filled=True)
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
        every.mark("line", **looks, **charts.BACK_LINE),
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
