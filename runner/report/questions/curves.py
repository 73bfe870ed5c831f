"""Mean curves with their interval bands, one panel per part of the data and cell of factors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from runner.records import bounds, lower_is_better
from runner.report.answer import Answer
from runner.report.names import Name
from runner.report.points import Points, curve_points
from runner.report.render import theme
from runner.report.render.charts import BACK_LINE, IN_COLOUR, line_panels, spread, tooltips
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
        chart = chart.resolve_scale(y="independent")
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


def _chart(points: Points, series: Sequence[theme.Series]) -> tuple[alt.FacetChart, list[str]]:
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


def _over_epochs(
    points: Points, series: Sequence[theme.Series]
) -> tuple[list[alt.Chart], alt.Chart | None]:
    axis = theme.whole_axis(0, points.last_epoch, grid=False)
    scale = alt.Scale(domain=[0, points.last_epoch], nice=False)
    x = alt.X("epoch:Q", title="epoch", axis=axis, scale=scale)
    every = alt.Chart().encode(x=x, y=_value(points, "value"))
    base = every.encode(color=theme.color(series)).transform_filter(IN_COLOUR)
    means = base.transform_filter(_MEANS) if points.has_replicates else base
    lines = means.mark_line(strokeWidth=2)
    layers = [
        lines.encode(
            strokeDash=theme.dash(series),
            strokeOpacity=theme.unless_behind(alt.StrokeOpacityValue, 0.1),
        )
    ]
    if points.has_intervals:
        band = means.mark_area().encode(
            fillOpacity=theme.unless_behind(alt.FillOpacityValue, 0.02, 0.15)
        )
        layers.insert(0, band.encode(y=_value(points, "band_low"), y2=alt.Y2("band_high:Q")))
    if points.has_replicates:
        thin = base.transform_filter(_REPLICATES).mark_line(strokeWidth=0.8, strokeOpacity=0.45)
        layers.append(thin.encode(detail=alt.Detail("replicate:N")))
    if (points.frame.groupby(["panel", "series"])["epoch"].max() == 0).any():
        untrained = means.transform_joinaggregate(
            last="max(epoch)", groupby=["panel", "series"]
        ).transform_filter("datum.last == 0")
        layers.append(untrained.mark_point(filled=True, size=60, opacity=1))
    hover = means.transform_filter("interactive").mark_point(size=70, opacity=0, filled=True)
    return [*layers, hover.encode(tooltip=_tooltip(points))], every.mark_line(**BACK_LINE)


_MEANS, _REPLICATES = "!isValid(datum.replicate)", "isValid(datum.replicate)"


def _untrained(points: Points, series: Sequence[theme.Series]) -> tuple[list[alt.Chart], None]:
    """Points at epoch 0, one line a series."""
    y = alt.Y("series_name:N", title=None, sort=[item.name for item in series])
    base = alt.Chart().encode(
        x=_value(points, "value", alt.X), y=y, color=theme.color(series, legend=False)
    )
    means = base.transform_filter(_MEANS) if points.has_replicates else base
    layers = [means.mark_point(filled=True, size=80, opacity=1).encode(tooltip=_tooltip(points))]
    if points.has_intervals:
        rule = means.mark_rule(strokeWidth=2)
        layers.insert(0, rule.encode(x=_value(points, "band_low", alt.X), x2=alt.X2("band_high:Q")))
    if points.has_replicates:
        single = base.transform_filter(_REPLICATES)
        layers.append(single.mark_tick(opacity=0.5, thickness=1.5))
    return layers, None


def _value(points: Points, column: str, channel: type = alt.Y) -> Any:
    options: dict[str, Any] = {"format": "~g"} if points.is_log else {"labelFlush": True}
    scale = theme.value_scale(points.frame["mean"], points.is_log)
    axis = alt.Axis(tickCount=5, **options)
    return channel(f"{column}:Q", title=points.words, scale=scale, axis=axis)


def _tooltip(points: Points) -> list[alt.Tooltip]:
    return tooltips(
        ("series_name:N", "initializer"),
        ("panel_name:N", "panel"),
        ("epoch:Q", "epoch"),
        ("mean:Q", f"mean {points.words}", ".4~g"),
        ("low:Q", "interval from", ".4~g"),
        ("high:Q", "to", ".4~g"),
    )
