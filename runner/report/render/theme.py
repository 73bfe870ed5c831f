"""What all figures share: colours, type, how data gets into a specification."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from runner.report import names
from runner.report.render.vegalite import SCHEMA, Spec, View, channel, expr

# Petroff (2021), "Accessible color sequences for data visualization", arXiv:2107.02270: ten colours
# that people with and without colour vision deficiencies tell apart. Purple and brown have changed
# places: so the first five, and the last five, differ most for those who lack a kind of cone.
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#a96b59",
    "#832db6", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
# A second cue: the colours that come later, and those that come round again, are dashed. A dash
# tells one initializer from another, and nothing else, in every figure.
DASHES = ([1, 0], [6, 2], [2, 2], [8, 2, 2, 2])
_SOLID_COLORS = 5
# Among more lines than this none is followed: others stand behind them, in grey.
MAX_LINES = 6

FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
PAPER, INK, MUTED, GRID, AXIS = "#ffffff", "#1f2933", "#66727f", "#e6eaee", "#9aa5b1"
BEHIND = "#c3cbd3"
LOST = "#c0261c"
GOOD = "#1b7a43"
# What the page draws instead on a dark ground: as far apart, and light enough to be seen.
DARK = {
    PAPER: "#161b22", INK: "#e6eaee", MUTED: "#9aa5b1", GRID: "#2b323b", AXIS: "#5b6875",
    BEHIND: "#424b56", LOST: "#f0705f", GOOD: "#4fb477",
    "#bd1f01": "#e23d24", "#832db6": "#a55fdb", "#717581": "#7f8594",
}  # fmt: skip
# Figures with a row for each configuration have no more rows than this.
MAX_ROWS = 30

# Enough for any axis and half the size of pandas' default.
_FLOAT_FORMAT = "%.5g"
# Of a legend's entry, in pixels: a letter of its usual size, and the symbol with the gap after it.
_LETTER_WIDTH, _SYMBOL_WIDTH = 7.0, 40
_MAX_TICKS = 10
_LEGEND_WIDTH = 680  # two panels beside each other
# The opacity is that of the line, not that of the band beneath it.
LINE_SYMBOLS = {
    "symbolType": "stroke",
    "symbolSize": 300,
    "symbolStrokeWidth": 2.5,
    "symbolOpacity": 1,
}
# Vega expressions for the labels of an axis or a legend. What is far from 1 has a power of ten, in
# letters that every font has; of differences, zero has no sign.
POWER_LABEL = (
    "datum.value >= 0.001 && datum.value < 1000 ? format(datum.value, '~g') : "
    "replace(replace(format(datum.value, '.1~e'), '-', '\N{MINUS SIGN}'), '+', '')"
)
TICK_COUNT = expr("narrow ? 3 : 6")
SIGNED_LABEL = "abs(datum.value) < 1e-12 ? '0' : datum.label"


@dataclass(frozen=True)
class Series:
    """A curve's name and how it is drawn, the same in every figure of a report."""

    name: str
    color: str
    dash: list[int]


@dataclass(frozen=True)
class Figure:
    """One figure for every medium.

    Attributes:
      name: Of its files.
      title: In words.
      caption: What is shown, how, and what is left out.
      spec: Vega-Lite specification; its parameters `interactive`, `hidden` and `lit` (names of
        series), where it has them, belong to the page.
      num_panels: Panels side by side or one below the other, or None for a single view.
      axes: The linear and the logarithmic axis, where the page may change from one to the other.
    """

    name: str
    title: str
    caption: str
    spec: dict[str, Any]
    num_panels: int | None = None
    axes: tuple["ValueAxis", "ValueAxis"] | None = None

    @property
    def has_lines(self) -> bool:
        """Whether the page may hide single series of it."""
        return any(param["name"] == "hidden" for param in self.spec.get("params", ()))

    @property
    def alt(self) -> str:
        """What is seen, for those who do not see it."""
        return f"{self.title.removesuffix('?')}: {self.spec['description']}"


@dataclass(frozen=True)
class ValueAxis:
    """One of the axes of a figure of curves.

    Attributes:
      title: Of the axis.
      floor: The least that is drawn.
      is_error: Whether what is missing to 1 is drawn, instead of the value.
    """

    title: str
    floor: float
    is_error: bool = False


def series_of(names: Sequence[str]) -> list[Series]:
    """Returns how each series is drawn, by its place."""
    return [
        Series(name, PALETTE[place % len(PALETTE)], DASHES[place // _SOLID_COLORS % len(DASHES)])
        for place, name in enumerate(names)
    ]


def csv_data(frame: pd.DataFrame) -> Spec:
    """Returns a frame as inline CSV, a third of the size of JSON; what is empty becomes null."""
    parse = {
        column: "number" if pd.api.types.is_numeric_dtype(frame[column]) else "string"
        for column in frame
    }
    return dict(
        values=frame.to_csv(index=False, float_format=_FLOAT_FORMAT, lineterminator="\n"),
        format=dict(type="csv", parse=parse),
    )


def color(series: Sequence[Series], legend: bool = True) -> Spec:
    """Returns the colour channel of the column `series_name`."""
    return channel(
        "series_name:N",
        scale=_scale(series, [item.color for item in series]),
        legend=_legend(series) if legend and len(series) > 1 else None,
    )


def dash(series: Sequence[Series]) -> Spec:
    """Returns the dash channel of the column `series_name`."""
    return channel(
        "series_name:N",
        scale=_scale(series, [item.dash for item in series]),
        legend=_legend(series) if len(series) > 1 else None,
    )


def unless_behind(faded: float, full: float = 1.0) -> Spec:
    """Returns an opacity: `full`, but `faded` while the page shows another series alone."""
    shown = {"test": "lit == '' || lit == datum.series_name", "value": full}
    return {"value": faded, "condition": shown}


def extremes(
    values: pd.Series, lower_is_better: bool = False, words: tuple[str, str] = ("best", "worst")
) -> str:
    """Returns the best and the worst in words, for those who do not see the figure.

    >>> extremes(pd.Series({"zero": 0.1, "he_normal": 0.97}), lower_is_better=False)
    'best he_normal 0.97, worst zero 0.1'
    """
    known = values.dropna().sort_values(ascending=lower_is_better, kind="stable")
    if known.empty:
        return "no values"
    (best, high), *_, (worst, low) = [*known.items(), *known.tail(1).items()]
    if len(known) == 1:
        return f"{best} {names.significant(high)}"
    first, last = (f"{names.significant(value)}" for value in (high, low))
    return f"{words[0]} {best} {first}, {words[1]} {worst} {last}"


def _scale(series: Sequence[Series], values: list[Any]) -> Spec:
    return dict(domain=[item.name for item in series], range=values)


def _legend(series: Sequence[Series]) -> Spec:
    return bottom_legend([item.name for item in series], _LEGEND_WIDTH, **LINE_SYMBOLS)


def bottom_legend(labels: Sequence[str], width: int, **options: Any) -> Spec:
    """Returns a legend below a figure, which is thereby no wider than it is.

    Args:
      labels: Its entries.
      width: Of the figure, in pixels; the page gives narrow screens one column.
    """
    widest = max(map(len, labels), default=0) * _LETTER_WIDTH + _SYMBOL_WIDTH
    return dict(title=None, orient="bottom", columns=max(1, int(width / widest)), **options)


def row_axis(**options: Any) -> Spec:
    """Returns the axis of figures that have a row for each configuration.

    On narrow pages the initializer and the setting of a configuration have a line each.
    """
    looks = {
        "grid": True,
        "gridColor": GRID,
        "labelColor": INK,
        "labelExpr": "narrow ? split(datum.label, ' · ') : datum.label",
        "labelFontSize": expr("narrow ? 10 : 12"),
        "labelLineHeight": 11,
    }
    return looks | options


def panel_facet(field: str, panels: Sequence[str]) -> Spec:
    """Returns the channel of panels: their names have a line for what, and one for the setting."""
    header = dict(labelExpr="split(datum.value, ' · ')", labels=any(panels))
    return channel(f"{field}:N", sort=list(panels), title=None, header=header)


def aside_layers(base: View) -> list[View]:
    """Returns what the column `aside` says in place of numbers, on a white ground."""
    told = base.filter("isValid(datum.aside)").encode(x={"value": 0}, text=channel("aside:N"))
    looks: dict[str, Any] = {"align": "left", "dx": 8, "fontStyle": "italic"}
    return [
        told.mark("text", stroke=PAPER, strokeWidth=4, strokeJoin="round", **looks),
        told.mark("text", color=MUTED, **looks),
    ]


def whole_numbers(low: int, high: int) -> list[int]:
    """Returns a few round whole numbers for an axis from `low` to `high`.

    >>> whole_numbers(1, 3), whole_numbers(1, 33)
    ([1, 2, 3], [1, 5, 10, 15, 20, 25, 30])
    """
    powers = (10**power for power in range(9))
    steps = (step * power for power in powers for step in (1, 2, 5))
    step = next(step for step in steps if high - low < _MAX_TICKS * step)
    ticks = [number for number in range(low, high + 1) if number % step == 0]
    return ticks if low in ticks or step == 1 else [low, *[t for t in ticks if t - low >= step / 2]]


def whole_axis(low: int, high: int, **options: Any) -> Spec:
    """Returns the axis of something that is counted: no ticks between whole numbers."""
    return dict(values=whole_numbers(low, high), format="d", **options)


def value_scale(values: pd.Series, is_log: bool) -> Spec:
    """Returns the scale of an axis that need not start at zero.

    Args:
      values: What is drawn. Where all are equal they stand in the middle of a narrow axis.
      is_log: Whether the axis is logarithmic.
    """
    low, high = values.min(), values.max()
    if low == high:
        room = abs(low) / 10 or 1.0
        return dict(domain=[low - room, high + room], nice=False)
    return dict(type="log", nice=False) if is_log else dict(zero=False)


def finish(chart: View, title: str, subtitle: str, seen: str) -> Spec:
    """Gives a chart title and looks that all figures share; returns its specification.

    Args:
      chart: The figure.
      title, subtitle: Above it.
      seen: What one sees there, in a sentence or two: who is best, from where to where.
    """
    return {
        "$schema": SCHEMA,
        "config": CONFIG,
        "background": PAPER,
        "padding": 10,
        "title": {"text": title, **({"subtitle": subtitle} if subtitle else {})},
        "description": seen,
        **with_values(chart, narrow=False),
    }


def with_values(chart: View, **values: Any) -> View:
    """Returns a chart with further parameters that the page can set."""
    named = [{"name": name, "value": value} for name, value in values.items()]
    return View(chart, params=[*chart.get("params", ()), *named])


CONFIG: dict[str, Any] = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "domainColor": AXIS,
        "gridColor": GRID,
        "labelColor": MUTED,
        "labelFontSize": 11,
        "labelLimit": 400,
        "labelSeparation": 6,
        "maxExtent": 440,
        "tickColor": AXIS,
        "titleColor": INK,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "header": {"labelColor": INK, "labelFontSize": 12, "labelFontWeight": "bold", "title": None},
    "legend": {
        "gradientLength": 220,
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 300,
        "titleColor": MUTED,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titleLimit": 400,
    },
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 15,
        "offset": 14,
        "subtitleColor": MUTED,
        "subtitleFontSize": 12,
        "subtitlePadding": 5,
    },
}
