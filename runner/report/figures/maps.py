"""Heat maps: the endpoint over initializer and factor, and how far each parameter moved."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from runner.records import lower_is_better
from runner.report import names
from runner.report.figures.theme import (
    INK,
    LOST,
    MAX_ROWS,
    POWER_LABEL,
    Figure,
    csv_data,
    finish,
    panel_facet,
    row_axis,
)
from runner.report.names import Name
from runner.report.results import Results
from runner.report.tables import movement_medians

_EMPTY = "#dfe3e8"
# Cells narrower than this, in pixels, cannot hold their number.
_NARROW = 36
# From this darkness on, between 0 and 1, the number in a cell is white.
_DARK = 0.5
_WIDTH, _CELL_WIDTH, _ROW_HEIGHT = 600, 62, 26
_MAX_PANELS = 6
_LETTER_WIDTH = 6.2
# Below so many decades three labels of two digits are hardly different.
_TWO_LABELS = 0.05


@dataclass(frozen=True)
class HeatMap:
    """What a heat map shows.

    Attributes:
      cells: Columns `row, column, panel, value, text, hint`; a missing value is an empty cell.
      rows, columns: In order.
      panels: In order; empty for a map in one piece.
      x_title, y_title: Titles of the columns and of the rows.
      legend: Title of the colours.
      scheme: Vega's name of the colours.
      dark_is_high: Whether the scheme's dark end stands for high values.
      is_log: Whether colours go by the logarithm.
    """

    cells: pd.DataFrame
    rows: list[str]
    columns: list[str]
    panels: list[str]
    x_title: str | None
    y_title: str | None
    legend: str
    scheme: str
    dark_is_high: bool
    is_log: bool


def trainability_figures(trainability: pd.DataFrame) -> list[Figure]:
    """Returns a map of the endpoint over initializer and each numeric factor.

    Args:
      trainability: See `runner.report.analysis`.
    """
    groups = trainability.groupby(["factor", "metric"], sort=False)
    short = names.short_keys(str(factor) for factor in trainability["factor"])
    figures: list[Figure] = []
    for (factor, metric), rows in groups:
        heat_map = _trainability_map(rows, short[str(factor)], str(metric))
        if heat_map.cells["value"].notna().any():
            what = names.metric_name(str(metric))
            title = f"{what[:1].upper()}{what[1:]} over {short[str(factor)]}"
            caption = (
                f"Mean {what} over all replicates that ended; diverged ones count as failures, "
                f"worth the best constant guess. Lighter is better. ✕: no replicate trained."
            )
            if rows["problem"].nunique() > _MAX_PANELS:
                caption += f" The first {_MAX_PANELS} settings of the other factors are drawn."
            name = f"trainability_{len(figures)}" if groups.ngroups > 1 else "trainability"
            figures.append(heat_map_figure(name, title, caption, heat_map))
    return figures


def _trainability_map(rows: pd.DataFrame, factor: str, metric: str) -> HeatMap:
    problems = list(dict.fromkeys(rows["problem"]))[:_MAX_PANELS]
    shown = rows[rows["problem"].isin(problems)]
    values = shown["counted_mean"].to_numpy(float)
    lower = lower_is_better(metric)
    is_log = lower and _is_decades(shown["counted_mean"])
    digits = _digits(values)
    success = shown["success_rate"].to_numpy(float)
    cells = pd.DataFrame(
        {
            "row": [names.one_line(str(init)) for init in shown["init"]],
            "column": [names.scalar_text(value) for value in shown["value"]],
            "panel": shown["problem"].astype(str),
            "value": values,
            "text": [
                (names.power(value, 3) if is_log else names.number(value, digits))
                if rate > 0 or math.isnan(rate)
                else "✕"
                for value, rate in zip(values, success, strict=True)
            ],
            "hint": [
                f"{100 * rate:.0f} % of {int(count)} trained" if count else "no replicate ended"
                for rate, count in zip(success, shown["num_ended"], strict=True)
            ],
        }
    )
    return HeatMap(
        cells=cells,
        rows=list(dict.fromkeys(cells["row"])),
        columns=[names.scalar_text(value) for value in sorted(set(shown["value"]))],
        panels=problems if len(problems) > 1 else [],
        x_title=factor,
        y_title=None,
        legend=f"mean {names.metric_name(metric)}",
        scheme="viridis",
        dark_is_high=lower,
        is_log=is_log,
    )


def _digits(values: np.ndarray) -> int:
    """Returns so many decimals that a cell shows about three digits."""
    known = np.abs(values[np.isfinite(values) & (values != 0)])
    largest = known.max() if known.size else 1.0
    return int(min(max(2 - math.floor(math.log10(largest)), 0), 4))


def movement_figures(results: Results, by: Mapping[int, Name]) -> list[Figure]:
    """Returns how far training moved each parameter, if anything was trained.

    Args:
      results: The sweep.
      by: Names of the configurations.
    """
    medians = movement_medians(results.replicates, results.movement)
    if medians.empty:
        return []
    rows = medians.iloc[:MAX_ROWS]
    long = rows.reset_index().melt("configuration", var_name="parameter").dropna()
    moved = long["value"].where(long["value"] > 0)
    cells = pd.DataFrame(
        {
            "row": [by[index].short_title for index in long["configuration"]],
            "column": long["parameter"],
            "panel": "",
            "value": moved,
            "text": [names.power(v, 2) if v > 0 else "0" for v in long["value"]],
            "hint": ["" if v > 0 else "did not move" for v in long["value"]],
        }
    )
    heat_map = HeatMap(
        cells=cells,
        rows=[by[index].short_title for index in rows.index],
        columns=list(medians.columns),
        panels=[],
        x_title=None,
        y_title=names.row_heading(by.values()),
        legend="root mean square change",
        scheme="blues",
        dark_is_high=True,
        is_log=True,
    )
    caption = (
        "Root mean square of the change of each trainable parameter between epoch 0 and the last "
        "epoch, median over finished replicates, on a logarithmic colour scale. Grey: it did not "
        "move at all."
    )
    if len(medians) > MAX_ROWS:
        caption += f" The first {MAX_ROWS} of {len(medians)} configurations are drawn."
    return [heat_map_figure("movement", "How far each parameter moved", caption, heat_map)]


def _is_decades(values: pd.Series) -> bool:
    """Tells whether all values are positive and span more than a decade."""
    known = values.dropna()
    return bool((known > 0).all() and known.max() > 10 * known.min())


def heat_map_figure(name: str, title: str, caption: str, heat_map: HeatMap) -> Figure:
    """Returns a heat map as a figure."""
    chart: Any = alt.layer(*_layers(heat_map))
    data = csv_data(heat_map.cells.assign(white=_white(heat_map)))
    height = _ROW_HEIGHT * len(heat_map.rows)
    width = max(_CELL_WIDTH * len(heat_map.columns), 120)
    if heat_map.panels:
        columns = max(1, _WIDTH // width)
        chart = chart.properties(width=width, height=height).facet(
            facet=panel_facet("panel", heat_map.panels), columns=columns, data=data
        )
    else:
        chart = chart.properties(data=data, width=min(max(width, 240), 1200), height=height)
    num_panels = len(heat_map.panels) or None
    return Figure(name, title, caption, finish(chart, title, ""), num_panels)


def _white(heat_map: HeatMap) -> np.ndarray:
    """Returns 1 where a cell is so dark that its number must be white, shape (cells,)."""
    values = heat_map.cells["value"].to_numpy(float)
    scaled = np.log(values) if heat_map.is_log else values
    if np.isnan(scaled).all():
        return np.zeros(len(scaled), int)
    low, high = np.nanmin(scaled), np.nanmax(scaled)
    place = (scaled - low) / (high - low) if high > low else np.full_like(scaled, 0.5)
    darkness = place if heat_map.dark_is_high else 1 - place
    return (darkness > _DARK).astype(int)


def _layers(heat_map: HeatMap) -> list[alt.Chart]:
    fits = f"bandwidth('x') > {_LETTER_WIDTH * max(map(len, heat_map.columns)) + 6:g}"
    x_axis = alt.Axis(
        orient="bottom",
        labelAngle=alt.expr(f"{fits} ? 0 : -40"),
        labelAlign=alt.expr(f"{fits} ? 'center' : 'right'"),
        labelBaseline="top",
        labelColor=INK,
        ticks=False,
        domain=False,
    )
    y_axis = row_axis(grid=False, ticks=False, domain=False, labelPadding=6)
    base = alt.Chart().encode(
        x=alt.X("column:N", title=heat_map.x_title, sort=heat_map.columns, axis=x_axis),
        y=alt.Y("row:N", title=heat_map.y_title, sort=heat_map.rows, axis=y_axis),
        tooltip=[
            "row:N",
            alt.Tooltip("column:N", title=heat_map.x_title or "parameter"),
            alt.Tooltip("text:N", title=heat_map.legend),
            alt.Tooltip("hint:N", title="replicates" if heat_map.x_title else "note"),
        ],
    )
    cells = base.mark_rect(stroke="white", strokeWidth=1.5)
    known = cells.transform_filter("isValid(datum.value)")
    unknown = base.transform_filter("!isValid(datum.value)")
    shown = alt.expr(f"bandwidth('x') < {_NARROW} ? 0 : 1")
    text = base.mark_text(fontSize=11, opacity=shown)
    ink = alt.when("datum.white == 1").then(alt.value("white")).otherwise(alt.value(INK))
    missing = LOST if heat_map.x_title else INK
    return [
        cells.transform_filter("!isValid(datum.value)").encode(color=alt.value(_EMPTY)),
        *([known.encode(color=_color(heat_map))] if heat_map.cells["value"].notna().any() else []),
        text.transform_filter("isValid(datum.value)").encode(text="text:N", color=ink),
        unknown.mark_text(fontSize=11, color=missing).encode(text="text:N"),
    ]


def log_ticks(values: pd.Series) -> list[float]:
    """Returns numbers for a short logarithmic axis: the ends and the middle of what is shown.

    Ends are rounded inwards to two digits, for an axis has no place for what is outside of it.
    """
    low, high = math.log10(values.min()), math.log10(values.max())
    if high - low >= 2:
        first, last = math.ceil(low), math.floor(high)
        return [10.0**power for power in sorted({first, (first + last) // 2, last})]
    ends = [_rounded(10**low, math.ceil), _rounded(10**high, math.floor)]
    middle = _rounded(10 ** ((low + high) / 2), round)
    return sorted({*ends, middle}) if high - low > _TWO_LABELS else sorted(set(ends))


def _rounded(value: float, way: Callable[[float], int]) -> float:
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{way(value / unit) * unit:.2g}")


def _color(heat_map: HeatMap) -> alt.Color:
    scale = alt.Scale(
        type="log" if heat_map.is_log else "linear",
        scheme=heat_map.scheme,
        reverse=heat_map.dark_is_high and heat_map.scheme == "viridis",
        nice=False,
        **({} if heat_map.is_log else {"zero": False}),
    )
    legend = alt.Legend(title=heat_map.legend, orient="top", gradientThickness=10, tickCount=3)
    if heat_map.is_log:
        legend["values"] = log_ticks(heat_map.cells["value"])
        legend["labelExpr"] = POWER_LABEL
    return alt.Color("value:Q", scale=scale, legend=legend)
