"""Heat maps: the endpoint over initializer and factor, and how far each parameter moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from runner.records import lower_is_better
from runner.report import names
from runner.report.figures.theme import INK, LOST, MAX_ROWS, Figure, csv_data, finish
from runner.report.names import Name
from runner.report.results import Results
from runner.report.tables import movement_medians
from runner.report.verdict import Cell, Standing

_EMPTY = "#dfe3e8"
# Cells narrower than this, in pixels, cannot hold their number.
_NARROW = 36
# From this darkness on, between 0 and 1, the number in a cell is white.
_DARK = 0.5
_WIDTH, _CELL_WIDTH, _ROW_HEIGHT = 600, 62, 26


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


def factor_figures(cells: Sequence[Cell], note: str) -> list[Figure]:
    """Returns the endpoint over initializer and factor, where one or two numeric factors vary.

    Args:
      cells: The comparison.
      note: Over which replicates the means are.
    """
    standings = [standing for cell in cells for standing in cell.standings]
    factors = list(dict.fromkeys(key for s in standings for key in s.record.factors))
    values = [standing.record.factors.get(key) for standing in standings for key in factors]
    endpoints = {(s.record.endpoint, s.record.endpoint_at) for s in standings}
    drawable = len(factors) in (1, 2) and len(endpoints) == 1 and all(map(_is_number, values))
    if not drawable or not any(standing.score.count for standing in standings):
        return []
    heat_map = _factor_map(standings, factors)
    title = heat_map.legend.removeprefix("mean ").capitalize()
    title += f" by {names.listed([names.short_keys(factors)[key] for key in factors])}"
    caption = f"Lighter is better; {note}. ✕: no replicate finished."
    return [heat_map_figure("factors", title, caption, note, heat_map)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _factor_map(standings: Sequence[Standing], factors: Sequence[str]) -> HeatMap:
    short = names.short_keys(factors)
    record = standings[0].record
    digits = names.decimals(standing.score for standing in standings)
    lower = lower_is_better(record.endpoint)

    def texts(key: str) -> list[str]:
        return [names.scalar_text(s.record.factors[key]) for s in standings]

    def ordered(key: str) -> list[str]:
        found: Any = {standing.record.factors[key] for standing in standings}
        return [names.scalar_text(value) for value in sorted(found)]

    panel_key = factors[1] if len(factors) == 2 else None
    start = f"{short[panel_key]}=" if panel_key else ""
    cells = pd.DataFrame(
        {
            "row": [names.one_line(standing.record.init) for standing in standings],
            "column": texts(factors[0]),
            "panel": [start + text for text in texts(panel_key)] if panel_key else "",
            "value": [standing.score.mean for standing in standings],
            "text": [
                names.number(s.score.mean, digits) if s.score.count else "✕" for s in standings
            ],
            "hint": [names.coverage(s.record.num_replicates, s.statuses) for s in standings],
        }
    )
    return HeatMap(
        cells=cells,
        rows=list(dict.fromkeys(cells["row"])),
        columns=ordered(factors[0]),
        panels=[start + text for text in ordered(panel_key)] if panel_key else [],
        x_title=short[factors[0]],
        y_title=None,
        legend=f"mean {names.endpoint_name(record)}",
        scheme="viridis",
        dark_is_high=lower,
        is_log=lower and _is_decades(cells["value"]),
    )


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
            "text": [names.significant(v, 2) if v > 0 else "0" for v in long["value"]],
            "hint": ["" if v > 0 else "did not move" for v in long["value"]],
        }
    )
    heat_map = HeatMap(
        cells=cells,
        rows=[by[index].short_title for index in rows.index],
        columns=list(medians.columns),
        panels=[],
        x_title=None,
        y_title=names.row_heading(results.configurations),
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
    return [heat_map_figure("movement", "How far each parameter moved", caption, "", heat_map)]


def _is_decades(values: pd.Series) -> bool:
    """Tells whether all values are positive and span more than a decade."""
    known = values.dropna()
    return bool((known > 0).all() and known.max() > 10 * known.min())


def heat_map_figure(name: str, title: str, caption: str, note: str, heat_map: HeatMap) -> Figure:
    """Returns a heat map as a figure; `note` is its subtitle."""
    chart: Any = alt.layer(*_layers(heat_map))
    data = csv_data(heat_map.cells.assign(white=_white(heat_map)))
    height = _ROW_HEIGHT * len(heat_map.rows)
    width = max(_CELL_WIDTH * len(heat_map.columns), 120)
    if heat_map.panels:
        columns = max(1, _WIDTH // width)
        chart = chart.properties(width=width, height=height).facet(
            facet=alt.Facet("panel:N", sort=heat_map.panels, title=None), columns=columns, data=data
        )
    else:
        chart = chart.properties(data=data, width=min(max(width, 240), 1200), height=height)
    num_panels = len(heat_map.panels) or None
    return Figure(name, title, caption, finish(chart, title, note), num_panels)


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
    angle = -40 if max(map(len, heat_map.columns)) > 7 else 0
    x_axis = alt.Axis(orient="bottom", labelAngle=angle, labelColor=INK, ticks=False, domain=False)
    y_axis = alt.Axis(labelColor=INK, labelFontSize=12, ticks=False, domain=False, labelPadding=6)
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
    known = cells.transform_filter("isValid(datum.value)").encode(color=_color(heat_map))
    unknown = base.transform_filter("!isValid(datum.value)")
    shown = alt.expr(f"bandwidth('x') < {_NARROW} ? 0 : 1")
    text = base.mark_text(fontSize=11, opacity=shown)
    ink = alt.when("datum.white == 1").then(alt.value("white")).otherwise(alt.value(INK))
    missing = LOST if heat_map.x_title else INK
    return [
        cells.transform_filter("!isValid(datum.value)").encode(color=alt.value(_EMPTY)),
        *([known] if heat_map.cells["value"].notna().any() else []),
        text.transform_filter("isValid(datum.value)").encode(text="text:N", color=ink),
        unknown.mark_text(fontSize=11, color=missing).encode(text="text:N"),
    ]


def _color(heat_map: HeatMap) -> alt.Color:
    scale = alt.Scale(
        type="log" if heat_map.is_log else "linear",
        scheme=heat_map.scheme,
        reverse=heat_map.dark_is_high and heat_map.scheme == "viridis",
        nice=False,
        **({} if heat_map.is_log else {"zero": False}),
    )
    legend = alt.Legend(
        title=heat_map.legend, orient="top", gradientLength=220, gradientThickness=10, tickCount=4
    )
    if heat_map.is_log:
        legend["format"] = "~g"
    return alt.Color("value:Q", scale=scale, legend=legend)
