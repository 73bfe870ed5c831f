"""Heat maps: rows of configurations, columns of a factor's values, of layers or of parameters."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from runner.report.render import theme
from runner.report.render.vegalite import Spec, View, channel, expr, layer

_EMPTY = "#dfe3e8"
_ON_LIGHT = "#1c2733"  # in a cell, whose colours are the same on a dark page
# Cells narrower than this, in pixels, cannot hold their number.
_NARROW = 36
# Of a cell whose number must be white.
_IS_DARK = "luminance(scale('color', datum.value)) < 0.3"
_WIDTH, _CELL_WIDTH, _ROW_HEIGHT = 600, 62, 26
_LETTER_WIDTH = 6.2
# Below so many decades three labels of two digits are hardly different.
_TWO_LABELS = 0.05


@dataclass(frozen=True)
class HeatMap:
    """What a heat map shows.

    Attributes:
      cells: Columns `row, column, value, text, hint`, and `panel` where there are panels; a missing
        value is an empty cell. Rows are in the order in which they occur.
      columns: In order.
      legend: Title of the colours.
      scheme: Vega's name of the colours.
      dark_is_high: Whether the scheme's dark end stands for high values.
      is_log: Whether colours go by the logarithm.
      x_title, y_title: Titles of the columns and of the rows.
      panels: In order; empty for a map in one piece.
    """

    cells: pd.DataFrame
    columns: Sequence[str]
    legend: str
    scheme: str = "viridis"
    dark_is_high: bool = True
    is_log: bool = True
    x_title: str | None = None
    y_title: str | None = None
    panels: Sequence[str] = ()

    @property
    def rows(self) -> list[str]:
        """In order."""
        return list(dict.fromkeys(self.cells["row"]))


def heat_map_figure(name: str, title: str, caption: str, heat_map: HeatMap) -> theme.Figure:
    """Returns a heat map as a figure."""
    chart = layer(*_layers(heat_map))
    data = theme.csv_data(heat_map.cells)
    height = _ROW_HEIGHT * len(heat_map.rows)
    width = max(_CELL_WIDTH * len(heat_map.columns), 120)
    if heat_map.panels:
        columns = max(1, _WIDTH // width)
        by = theme.panel_facet("panel", heat_map.panels)
        chart = View(chart, width=width, height=height).facet(by, columns, data)
    else:
        chart = View(chart, data=data, width=min(max(width, 240), 1200), height=height)
    num_panels = len(heat_map.panels) or None
    return theme.Figure(
        name, title, caption, theme.finish(chart, title, "", _seen(heat_map)), num_panels
    )


def _seen(heat_map: HeatMap) -> str:
    cells, what = heat_map.cells, heat_map.legend
    values = cells["value"].astype(float).set_axis(cells["row"] + " (" + cells["column"] + ")")
    told = theme.extremes(values, words=("highest", "lowest"))
    return f"{what[0].upper()}{what[1:]}: {told}."


def _layers(heat_map: HeatMap) -> list[View]:
    fits = f"!narrow && bandwidth('x') > {_LETTER_WIDTH * max(map(len, heat_map.columns)) + 6:g}"
    x_axis = dict(
        orient="bottom",
        labelAngle=expr(f"{fits} ? 0 : -40"),
        labelAlign=expr(f"{fits} ? 'center' : 'right'"),
        labelBaseline="top",
        labelColor=theme.INK,
        ticks=False,
        domain=False,
    )
    y_axis = theme.row_axis(grid=False, ticks=False, domain=False, labelPadding=6)
    base = View().encode(
        x=channel("column:N", title=heat_map.x_title, sort=heat_map.columns, axis=x_axis),
        y=channel("row:N", title=heat_map.y_title, sort=heat_map.rows, axis=y_axis),
        tooltip=[
            channel("row:N"),
            channel("column:N", title=heat_map.x_title or "parameter"),
            channel("text:N", title=heat_map.legend),
            channel("hint:N", title="replicates" if heat_map.x_title else "note"),
        ],
    )
    cells = base.mark("rect", stroke=theme.PAPER, strokeWidth=1.5)
    known = cells.filter("isValid(datum.value)")
    unknown = base.filter("!isValid(datum.value)")
    shown = expr(f"bandwidth('x') < {_NARROW} ? 0 : 1")
    text = base.mark("text", fontSize=11, opacity=shown)
    ink = {"value": _ON_LIGHT, "condition": {"test": _IS_DARK, "value": "white"}}
    missing = theme.LOST if heat_map.x_title else _ON_LIGHT
    return [
        cells.filter("!isValid(datum.value)").encode(color={"value": _EMPTY}),
        *([known.encode(color=_color(heat_map))] if heat_map.cells["value"].notna().any() else []),
        text.filter("isValid(datum.value)").encode(text=channel("text:N"), color=ink),
        unknown.mark("text", fontSize=11, color=missing).encode(text=channel("text:N")),
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


def _color(heat_map: HeatMap) -> Spec:
    scale = dict(
        type="log" if heat_map.is_log else "linear",
        scheme=heat_map.scheme,
        reverse=heat_map.dark_is_high and heat_map.scheme == "viridis",
        nice=False,
        **({} if heat_map.is_log else {"zero": False}),
    )
    legend = dict(title=heat_map.legend, orient="top", gradientThickness=10, tickCount=3)
    if heat_map.is_log:
        legend["values"] = log_ticks(heat_map.cells["value"])
        legend["labelExpr"] = theme.POWER_LABEL
    return channel("value:Q", scale=scale, legend=legend)
