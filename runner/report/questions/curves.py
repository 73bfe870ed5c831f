"""Mean curves with their interval bands, one panel per part of the data and cell of factors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from runner.records import bounds, lower_is_better
from runner.report.answer import Answer
from runner.report.names import Name
from runner.report.points import Points, curve_points
from runner.report.render import theme
from runner.report.render.charts import BACK_LINE, IN_COLOUR, line_panels, spread, tooltips
from runner.report.render.vegalite import Spec, View, channel
from runner.report.results import Results
from runner.report.sweep import Sweep
from runner.report.verdict import comparable

# Panels in a row of the files -> width of each; the page lays them out for its own width.
_WIDTHS = {1: 340, 2: 340, 4: 240}


def ask(sweep: Sweep) -> Answer:
    """How do loss and metrics go, epoch by epoch?"""
    figures = sweep.drawn(curve_figures, sweep.results, sweep.names, sweep.series, sweep.coverage)
    return Answer("curves", "Loss and metrics", figures=figures, has_legend=True)


def curve_figures(
    results: Results, names: Mapping[int, Name], series: Sequence[theme.Series], note: str
) -> list[theme.Figure]:
    """Returns one figure per plain metric: training and validation side by side."""
    trained = [record for record in results.configurations if record.error is None]
    shared_scale = len({comparable(record) for record in trained}) == 1
    return [
        _figure(points, [item for item in series if item.name in points.series], note, shared_scale)
        for points in curve_points(results, names)
    ]


def _figure(
    points: Points, series: Sequence[theme.Series], note: str, shared_scale: bool
) -> theme.Figure:
    title = points.words.capitalize()
    subtitle = f"{series[0].name}; {note}" if len(series) == 1 else note
    chart, panels = _chart(points, series)
    if not shared_scale:
        chart = chart.resolve(scale={"y": "independent"})
    return theme.Figure(
        name=f"curves_{points.metric}",
        title=title,
        caption=_caption(points, note) + spread(points.panels, panels),
        spec=theme.finish(chart, title, subtitle, _seen(points)),
        num_panels=len(panels),
        axes=points.axes,
    )


def _seen(points: Points) -> str:
    """Returns the best and the worst at the end of the curves, over validation where there is."""
    frame = points.frame
    if points.has_replicates:
        frame = frame[frame["replicate"].isna()]
    validation = [panel.startswith("validation") for panel in points.panels]
    shown = [place for place, is_shown in enumerate(validation) if is_shown or not any(validation)]
    ends = frame[frame["panel"].isin(shown)].groupby(["panel", "series"], sort=False)["mean"].last()
    several = len(shown) > 1
    ends.index = [
        points.series[series] + (f" ({points.panels[panel]})" if several else "")
        for panel, series in ends.index
    ]
    part = "validation " if any(validation) else ""
    told = theme.extremes(ends, lower_is_better(points.metric))
    when = f"at epoch {points.last_epoch}" if points.last_epoch else "before training"
    return f"Mean {part}{points.words} {when}: {told}."


def _caption(points: Points, note: str) -> str:
    when = "by epoch, 0 before any training" if points.last_epoch else "before training"
    bands = ", with interval bands" if points.has_intervals else ""
    parts = [f"Mean {points.words} {when}{bands}; {note}."]
    if points.has_intervals and math.isfinite(bounds(points.metric)[1]):
        parts.append("Bands are Student t intervals, cut at 0 and 1.")
    if points.has_replicates:
        parts.append("Thin lines are the single replicates.")
    if points.is_log:
        parts.append("The axis is logarithmic; a band that reaches zero is cut.")
    if points.num_shown < points.num_cells:
        parts.append(f"The first {points.num_shown} of {points.num_cells} settings are drawn.")
    return " ".join(parts)


def _chart(points: Points, series: Sequence[theme.Series]) -> tuple[View, list[str]]:
    band = "isValid(datum.low)"
    drawn = _over_epochs if points.last_epoch else _untrained
    layers, lines = drawn(points, series)
    chart, panels = line_panels(
        layers,
        lines,
        points.frame,
        points.panels,
        points.series,
        series,
        _WIDTHS,
        value="is_error ? max(1 - datum.mean, floor) : datum.mean",
        band_low=f"{band} ? max(is_error ? 1 - datum.high : datum.low, floor) : null",
        band_high=f"{band} ? max(is_error ? 1 - datum.low : datum.high, floor) : null",
    )
    return theme.with_values(chart, floor=points.floor, is_error=False), panels


def _over_epochs(points: Points, series: Sequence[theme.Series]) -> tuple[list[View], View | None]:
    axis = theme.whole_axis(0, points.last_epoch, grid=False)
    scale = dict(domain=[0, points.last_epoch], nice=False)
    x = channel("epoch:Q", title="epoch", axis=axis, scale=scale)
    every = View().encode(x=x, y=_value(points, "value"))
    base = every.encode(color=theme.color(series)).filter(IN_COLOUR)
    means = base.filter(_MEANS) if points.has_replicates else base
    lines = means.mark("line", strokeWidth=2)
    layers = [
        lines.encode(
            strokeDash=theme.dash(series),
            strokeOpacity=theme.unless_behind(0.1),
        )
    ]
    if points.has_intervals:
        band = means.mark("area").encode(fillOpacity=theme.unless_behind(0.02, 0.15))
        layers.insert(0, band.encode(y=_value(points, "band_low"), y2=channel("band_high")))
    if points.has_replicates:
        thin = base.filter(_REPLICATES).mark("line", strokeWidth=0.8, strokeOpacity=0.45)
        layers.append(thin.encode(detail=channel("replicate:N")))
    if (points.frame.groupby(["panel", "series"])["epoch"].max() == 0).any():
        last = {"op": "max", "field": "epoch", "as": "last"}
        untrained = means.transform(
            {"joinaggregate": [last], "groupby": ["panel", "series"]}
        ).filter("datum.last == 0")
        layers.append(untrained.mark("point", filled=True, size=60, opacity=1))
    hover = means.filter("interactive").mark("point", size=70, opacity=0, filled=True)
    return [*layers, hover.encode(tooltip=_tooltip(points))], every.mark("line", **BACK_LINE)


_MEANS, _REPLICATES = "!isValid(datum.replicate)", "isValid(datum.replicate)"


def _untrained(points: Points, series: Sequence[theme.Series]) -> tuple[list[View], None]:
    """Points at epoch 0, one line a series."""
    y = channel("series_name:N", title=None, sort=[item.name for item in series])
    base = View().encode(x=_value(points, "value"), y=y, color=theme.color(series, legend=False))
    means = base.filter(_MEANS) if points.has_replicates else base
    layers = [means.mark("point", filled=True, size=80, opacity=1).encode(tooltip=_tooltip(points))]
    if points.has_intervals:
        rule = means.mark("rule", strokeWidth=2)
        layers.insert(0, rule.encode(x=_value(points, "band_low"), x2=channel("band_high")))
    if points.has_replicates:
        single = base.filter(_REPLICATES)
        layers.append(single.mark("tick", opacity=0.5, thickness=1.5))
    return layers, None


def _value(points: Points, column: str) -> Spec:
    options: dict[str, Any] = {"format": "~g"} if points.is_log else {"labelFlush": True}
    scale = theme.value_scale(points.frame["mean"], points.is_log)
    axis = dict(tickCount=5, **options)
    return channel(f"{column}:Q", title=points.words, scale=scale, axis=axis)


def _tooltip(points: Points) -> list[Spec]:
    return tooltips(
        ("series_name:N", "initializer"),
        ("panel_name:N", "panel"),
        ("epoch:Q", "epoch"),
        ("mean:Q", f"mean {points.words}", ".4~g"),
        ("low:Q", "interval from", ".4~g"),
        ("high:Q", "to", ".4~g"),
    )
