"""Signal and gradient before training: lines against depth, a map of layers, a spectrum."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from runner.propagation.tables import Opinion, card_table, layers_table, shortened
from runner.records import NETWORK
from runner.report import names
from runner.report.answer import Answer, Block, Choice, blocks
from runner.report.names import Name
from runner.report.render.charts import first_of, in_panels, tooltips
from runner.report.render.heat_map import HeatMap, heat_map_figure
from runner.report.render.theme import (
    LINE_SYMBOLS,
    MAX_ROWS,
    MUTED,
    POWER_LABEL,
    Figure,
    Series,
    bottom_legend,
    color,
    csv_data,
    finish,
    whole_axis,
)
from runner.report.results import Results
from runner.report.sweep import Sweep
from runner.report.table import Entry, Table

_WIDTH, _HEIGHT = 340, 220
_MAX_CELLS = 4
# A figure with more layers than this takes every second, third, ... of them.
_MAX_LAYERS = 60
_MAX_MAP_LAYERS = 16
_PANELS = {
    "preactivation_variance": "variance of pre-activations",
    "gradient_variance": "variance of their gradient",
}
_SINGULAR = "singular_value_"
_COLUMNS = ["cell", "panel", "series_name", "place", "name", "kind", "value"]
_KEY = ["configuration", "layer_index", "layer", "quantity"]
# Of so many configurations each has its tables.
_MAX_CHOICES = 100
_MAX_TABLE_LAYERS = 24
_TEXTS = {"layer", "kernel", "shape", "law"}


def ask(sweep: Sweep) -> Answer | None:
    """What do signal and gradient do before training?"""
    if not sweep.results.measured:
        return None
    return Answer(
        "propagation",
        "Before training: signal and gradient through the layers",
        note="z: pre-activations, h: activations, w: kernel entries; means over replicates.",
        figures=sweep.drawn(propagation_figures, sweep),
        blocks=blocks(verdicts(sweep.results), csv="propagation.parquet"),
        choices_title="Kernels and layers of each configuration",
        choices=starts(sweep.results),
    )


def verdicts(results: Results) -> Table | None:
    """Returns one row a configuration: the verdict on how it starts, why, and what would help."""
    by = results.names
    rows = [
        (
            Entry(by[record.index].title, record.index),
            Entry(opinion.verdict.name, emphasis=_emphasis(opinion)),
            Entry(opinion.verdict.reason),
            Entry(opinion.advice),
        )
        for record in results.configurations
        if (opinion := results.opinions.get(record.index)) is not None
    ]
    columns = ("configuration", "verdict", "why", "what would help")
    return Table(columns, tuple(rows)) if rows else None


def _emphasis(opinion: Opinion) -> str:
    return "good" if opinion.verdict.name == "healthy" else "bad"


def starts(results: Results) -> list[Choice]:
    """Returns the kernels and the layers of each of the first configurations."""
    of = {record.index: record for record in results.configurations}
    return [
        Choice(
            results.names[index].title,
            [
                Block(_table(*card_table(of[index], records)), "Kernels"),
                Block(_table(*layers_table(records)), "Layers, measured beside predicted"),
            ],
        )
        for index, records in list(results.measured.items())[:_MAX_CHOICES]
    ]


def _table(titles: Sequence[str], rows: Sequence[list[str]]) -> Table:
    numbered = [
        f"{title} ({titles[place - 1]})" if title == "theory" else title
        for place, title in enumerate(titles)
    ]
    return Table(
        columns=tuple(numbered),
        rows=tuple(
            tuple(Entry(text) for text in row) for row in shortened(rows, _MAX_TABLE_LAYERS)
        ),
        numeric=frozenset(numbered) - _TEXTS,
    )


def propagation_figures(sweep: Sweep) -> list[Figure]:
    """Returns the figures of step 0; none where nothing was measured."""
    results, by = sweep.results, sweep.names
    layers = results.propagation[results.propagation["layer"] != NETWORK]
    if layers.empty:
        return []
    variance = _means(layers, list(_PANELS), geometric=True)
    correlation = _means(layers, ["correlation"], geometric=False)
    spectrum = "Singular values of the input-output Jacobian"
    figures = [
        _lines(
            _by_layer(variance, by),
            sweep.series,
            name="propagation_variance",
            title="Signal and gradient before training",
            caption="Variance of the pre-activations of each layer, and of the gradient with "
            "respect to them, before training: geometric means over replicates.",
        ),
        _lines(
            _by_layer(correlation, by),
            sweep.series,
            name="propagation_correlation",
            title="Are inputs told apart?",
            caption="Correlation (not centred) of what a layer makes of two different inputs, "
            "before training, means over pairs and replicates: at 1 they are no longer told apart.",
            is_log=False,
        ),
        _map(_means(layers, ["preactivation_variance"], geometric=True), by),
        _lines(
            _by_rank(results.propagation, by),
            sweep.series,
            name="propagation_spectrum",
            title=spectrum,
            caption=f"{spectrum} before training, largest first: geometric means over replicates "
            "of means over examples. All of them 1, the dotted line, is dynamical isometry.",
            x_title="rank",
            level=1.0,
        ),
    ]
    return [figure for figure in figures if figure is not None]


def _means(layers: pd.DataFrame, quantities: list[str], geometric: bool) -> pd.DataFrame:
    """Returns measured and predicted means over replicates, one row per layer and quantity."""
    chosen = layers[layers["quantity"].isin(quantities)]
    columns = ["measured", "predicted"]
    if geometric:
        chosen = chosen.assign(**{c: np.log(chosen[c].where(chosen[c] > 0)) for c in columns})
    means = chosen.groupby(_KEY, sort=False)[columns].mean().reset_index()
    if geometric:
        means[columns] = np.exp(means[columns])
    return means.sort_values(["configuration", "layer_index"], kind="stable")


def _lines(
    frame: pd.DataFrame,
    series: Sequence[Series],
    *,
    name: str,
    title: str,
    caption: str,
    x_title: str = "layer",
    is_log: bool = True,
    level: float | None = None,
) -> Figure | None:
    """Returns a line per series, with the theory beside it where there is one.

    Args:
      frame: Columns `cell, panel, series_name, place, name, kind, value`; places count from 1.
      series: How each is drawn.
      name, title, caption: See `Figure`.
      x_title: What the places are.
      is_log: Whether the axis is logarithmic.
      level: Where a dotted line is drawn.
    """
    if frame.empty or frame["place"].nunique() < 2:  # a net without hidden layers
        return None
    cells = list(dict.fromkeys(frame["cell"]))
    shown = frame[frame["cell"].isin(cells[:_MAX_CELLS])].drop(columns="cell")
    panels = list(dict.fromkeys(shown["panel"]))
    has_theory = bool((shown["kind"] == "theory").any())
    if has_theory:
        caption += " Dashed: what mean-field theory predicts."
    caption += first_of(min(len(cells), _MAX_CELLS), len(cells), " settings")
    scale = alt.Scale(type="log", nice=False) if is_log else alt.Scale(zero=False)
    label = {"labelExpr": POWER_LABEL} if is_log else {"format": "~g"}
    x_axis = whole_axis(1, int(shown["place"].max()), grid=False)
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5, **label))
    base = alt.Chart().encode(
        x=alt.X("place:Q", title=x_title, axis=x_axis),
        y=y,
        color=_series_color([item for item in series if item.name in set(shown["series_name"])]),
        tooltip=tooltips(
            ("series_name:N", "initializer"),
            ("name:N", x_title),
            ("kind:N", " "),
            ("value:Q", "value", ".3~g"),
        ),
    )
    measured = base.transform_filter("datum.kind == 'measured'")
    theory = base.transform_filter("datum.kind == 'theory'")
    dotted = alt.Chart().mark_rule(strokeDash=[2, 3], color=MUTED).encode(y=alt.datum(level))
    layers = [
        *([dotted] if level is not None else []),
        measured.mark_line(strokeWidth=2),
        measured.mark_point(filled=True, size=24),
        *([theory.mark_line(strokeWidth=1.2, strokeDash=[5, 3], opacity=0.8)] * has_theory),
    ]
    chart = alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT)
    chart = in_panels(chart, panels, csv_data(shown)).resolve_scale(y="independent")
    subtitle = "dashed: mean-field theory" if has_theory else ""
    return Figure(name, title, caption, finish(chart, title, subtitle), len(panels))


def _series_color(series: Sequence[Series]) -> alt.Color:
    """Returns the colours of the series, told below the figure."""
    labels = [item.name for item in series]
    legend = bottom_legend(labels, 2 * _WIDTH, **LINE_SYMBOLS) if len(labels) > 1 else None
    return color(series).legend(legend)


def _by_layer(means: pd.DataFrame, by: Mapping[int, Name]) -> pd.DataFrame:
    """Returns the columns of `_lines`, measured and predicted, of so many layers as are drawn."""
    if means.empty:
        return pd.DataFrame(columns=_COLUMNS)
    parts = []
    for (index, quantity), part in means.groupby(["configuration", "quantity"], sort=False):
        name = by[index]  # type: ignore[index]
        panel = " · ".join(text for text in (_PANELS.get(str(quantity), ""), name.cell) if text)
        step = -(-len(part) // _MAX_LAYERS)
        kept = part.assign(place=np.arange(1, len(part) + 1)).iloc[::step]
        for kind, column in (("measured", "measured"), ("theory", "predicted")):
            columns = {"panel": panel or "all layers", "series_name": name.series, "kind": kind}
            shown = kept.assign(cell=name.cell, **columns)
            parts.append(shown.assign(name=kept["layer"], value=kept[column])[_COLUMNS])
    frame = pd.concat(parts, ignore_index=True)
    return frame[np.isfinite(frame["value"])]


def _by_rank(propagation: pd.DataFrame, by: Mapping[int, Name]) -> pd.DataFrame:
    """Returns the columns of `_lines` of the Jacobian's singular values, if they were measured."""
    values = propagation[propagation["quantity"].str.startswith(_SINGULAR)]
    rank = pd.to_numeric(values["quantity"].str.removeprefix(_SINGULAR), errors="coerce")
    known = values[rank.notna() & (values["measured"] > 0)]
    logs = known.assign(rank=rank, value=np.log(known["measured"].astype(float)))
    frame = logs.groupby(["configuration", "rank"])["value"].mean().map(np.exp).reset_index()
    cells = [by[index].cell for index in frame["configuration"]]
    return frame.assign(
        cell=cells,
        panel=[cell or "all ranks" for cell in cells],
        series_name=[by[index].series for index in frame["configuration"]],
        place=frame["rank"],
        name=frame["rank"],
        kind="measured",
    )[_COLUMNS]


def _map(means: pd.DataFrame, by: Mapping[int, Name]) -> Figure | None:
    """Returns the variance of the pre-activations over configuration and layer."""
    known = means[np.isfinite(means["measured"])]
    indices = list(dict.fromkeys(known["configuration"]))[:MAX_ROWS]
    if len(indices) < 2:
        return None
    # In the order of the deepest net; a shallower one has its last layer there too.
    deepest = known.groupby("configuration", sort=False)["layer"].size().idxmax()
    layers = list(dict.fromkeys(known.loc[known["configuration"] == deepest, "layer"]))
    layers += [layer for layer in dict.fromkeys(known["layer"]) if layer not in layers]
    step = -(-len(layers) // _MAX_MAP_LAYERS)
    drawn = layers[::step]
    known = known[known["configuration"].isin(indices) & known["layer"].isin(drawn)]
    cells = pd.DataFrame(
        {
            "row": [by[index].short_title for index in known["configuration"]],
            "column": known["layer"],
            "value": known["measured"],
            "text": [names.power(value, 2) for value in known["measured"]],
            "hint": "before training",
        }
    )
    heat_map = HeatMap(cells, columns=drawn, legend="variance of pre-activations")
    caption = "Variance of the pre-activations of each layer before training, by initializer."
    if step > 1:
        caption += f" Every {step}th layer is drawn."
    return heat_map_figure("propagation_map", "Variance in each layer", caption, heat_map)
