"""Mean curves with their interval bands, one panel per part of the data and cell of factors."""

from collections.abc import Mapping, Sequence

import altair as alt

from runner.report.answer import Answer
from runner.report.names import Name
from runner.report.points import Points, curve_points
from runner.report.render.theme import (
    Figure,
    Series,
    color,
    csv_data,
    dash,
    finish,
    panel_facet,
    value_scale,
    whole_axis,
)
from runner.report.results import Results
from runner.report.sweep import Sweep
from runner.report.verdict import comparable

_HEIGHT = 220
# Panels in a row of the files -> width of each; the page lays them out for its own width.
_WIDTHS = {1: 340, 2: 340, 4: 240}


def ask(sweep: Sweep) -> Answer:
    """How do loss and metrics go, epoch by epoch?"""
    figures = sweep.drawn(curve_figures, sweep.results, sweep.names, sweep.series, sweep.coverage)
    return Answer("curves", "Loss and metrics", figures=figures, has_legend=True)


def curve_figures(
    results: Results, names: Mapping[int, Name], series: Sequence[Series], note: str
) -> list[Figure]:
    """Returns one figure per plain metric: training and validation side by side.

    Args:
      results: The sweep.
      names: Of its configurations.
      series: How each is drawn.
      note: Over which replicates the means are; part of every figure.
    """
    trained = [record for record in results.configurations if record.error is None]
    shared_scale = len({comparable(record) for record in trained}) == 1
    return [
        _figure(points, [item for item in series if item.name in points.series], note, shared_scale)
        for points in curve_points(results, names)
    ]


def _figure(points: Points, series: Sequence[Series], note: str, shared_scale: bool) -> Figure:
    title = points.words.capitalize()
    subtitle = f"{series[0].name}; {note}" if len(series) == 1 else note
    chart = _chart(points, series)
    if not shared_scale:
        chart = chart.resolve_scale(y="independent")
    return Figure(
        name=f"curves_{points.metric}",
        title=title,
        caption=_caption(points, note),
        spec=finish(chart, title, subtitle),
        num_panels=len(points.panels),
        floors=points.floors,
    )


def _caption(points: Points, note: str) -> str:
    when = "by epoch, 0 before any training" if points.last_epoch else "before training"
    bands = ", with interval bands" if points.has_intervals else ""
    parts = [f"Mean {points.words} {when}{bands}; {note}."]
    if points.has_replicates:
        parts.append("Thin lines are the single replicates.")
    if points.is_log:
        parts.append("The axis is logarithmic; a band that reaches zero is cut.")
    if points.num_shown < points.num_cells:
        parts.append(f"The first {points.num_shown} of {points.num_cells} settings are drawn.")
    return " ".join(parts)


def _chart(points: Points, series: Sequence[Series]) -> alt.FacetChart:
    columns = min(len(points.panels), 2) if len(points.panels) <= 4 else 4
    layers = _over_epochs(points, series) if points.last_epoch else _untrained(points, series)
    return (
        alt.layer(*layers)
        .properties(width=_WIDTHS[columns], height=_HEIGHT)
        .facet(
            facet=panel_facet("panel_name", points.panels),
            columns=columns,
            data=csv_data(points.frame),
        )
        .resolve_axis(x="independent")
        .transform_calculate(
            panel_name="panel_names[datum.panel]",
            series_name="series_names[datum.series]",
            band_low="isValid(datum.low) ? max(datum.low, floor) : null",
            band_high="datum.high",
        )
        .transform_filter("indexof(hidden, datum.series_name) < 0")
        .add_params(
            alt.param(name="panel_names", value=points.panels),
            alt.param(name="series_names", value=points.series),
            alt.param(name="hidden", value=[]),
            alt.param(name="floor", value=points.floor),
            alt.param(name="interactive", value=False),
        )
    )


def _over_epochs(points: Points, series: Sequence[Series]) -> list[alt.Chart]:
    axis = whole_axis(0, points.last_epoch, grid=False)
    scale = alt.Scale(domain=[0, points.last_epoch], nice=False)
    x = alt.X("epoch:Q", title="epoch", axis=axis, scale=scale)
    base = alt.Chart().encode(x=x, y=_value(points, "mean"), color=color(series))
    means = base.transform_filter(_MEANS) if points.has_replicates else base
    layers = [means.mark_line(strokeWidth=2).encode(strokeDash=dash(series))]
    if points.has_intervals:
        band = means.mark_area(fillOpacity=0.15)
        layers.insert(0, band.encode(y=_value(points, "band_low"), y2="band_high:Q"))
    if points.has_replicates:
        thin = base.transform_filter(_REPLICATES).mark_line(strokeWidth=0.8, strokeOpacity=0.45)
        layers.append(thin.encode(detail="replicate:N"))
    if (points.frame.groupby(["panel", "series"])["epoch"].max() == 0).any():
        untrained = means.transform_joinaggregate(
            last="max(epoch)", groupby=["panel", "series"]
        ).transform_filter("datum.last == 0")
        layers.append(untrained.mark_point(filled=True, size=60, opacity=1))
    hover = means.transform_filter("interactive").mark_point(size=70, opacity=0, filled=True)
    return [*layers, hover.encode(tooltip=_tooltip(points))]


_MEANS, _REPLICATES = "!isValid(datum.replicate)", "isValid(datum.replicate)"


def _untrained(points: Points, series: Sequence[Series]) -> list[alt.Chart]:
    """Points at epoch 0, one line a series."""
    y = alt.Y("series_name:N", title=None, sort=[item.name for item in series])
    base = alt.Chart().encode(x=_value_x(points, "mean"), y=y, color=color(series, legend=False))
    means = base.transform_filter(_MEANS) if points.has_replicates else base
    layers = [means.mark_point(filled=True, size=80, opacity=1).encode(tooltip=_tooltip(points))]
    if points.has_intervals:
        rule = means.mark_rule(strokeWidth=2)
        layers.insert(0, rule.encode(x=_value_x(points, "band_low"), x2="band_high:Q"))
    if points.has_replicates:
        single = base.transform_filter(_REPLICATES)
        layers.append(single.mark_tick(opacity=0.5, thickness=1.5))
    return layers


def _value(points: Points, column: str) -> alt.Y:
    scale, axis = _scale_and_axis(points)
    return alt.Y(f"{column}:Q", title=points.words, scale=scale, axis=axis)


def _value_x(points: Points, column: str) -> alt.X:
    scale, axis = _scale_and_axis(points)
    return alt.X(f"{column}:Q", title=points.words, scale=scale, axis=axis)


def _scale_and_axis(points: Points) -> tuple[alt.Scale, alt.Axis]:
    axis = (
        alt.Axis(format="~g", tickCount=5)
        if points.is_log
        else alt.Axis(tickCount=5, labelFlush=True)
    )
    return value_scale(points.frame["mean"], points.is_log), axis


def _tooltip(points: Points) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("series_name:N", title="initializer"),
        alt.Tooltip("panel_name:N", title="panel"),
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("mean:Q", title=f"mean {points.words}", format=".4~g"),
        alt.Tooltip("low:Q", title="interval from", format=".4~g"),
        alt.Tooltip("high:Q", title="to", format=".4~g"),
    ]
