"""Signal and gradient before training: lines against depth, a map of layers, a spectrum."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from runner.propagation.tables import card_table, layers_table, shortened
from runner.records import NETWORK
from runner.report import names
from runner.report.answer import Answer, Block, Choice, blocks
from runner.report.names import Name
from runner.report.render import charts, theme
from runner.report.render.heat_map import HeatMap, heat_map_figure
from runner.report.render.vegalite import View, channel
from runner.report.sweep import Sweep
from runner.report.table import Entry, Table

_WIDTHS = {1: 340, 2: 340}
_ENDS = ("highest", "lowest")
_MAX_CELLS = 4
# A figure with more layers than this takes every second, third, ... of them.
_MAX_LAYERS = 60
_MAX_MAP_LAYERS = 16
_PANELS = {
    "preactivation_variance": "variance of pre-activations",
    "gradient_variance": "variance of their gradient",
}
_SINGULAR = "singular_value_"
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
        blocks=blocks(verdicts(sweep), csv="propagation.parquet"),
        has_legend=True,
        choices_title="Kernels and layers of each configuration",
        choices=starts(sweep),
    )


def verdicts(sweep: Sweep) -> Table | None:
    """Returns one row a configuration: the verdict on how it starts, why, and what would help."""
    rows = [
        (
            Entry(standing.name.title, standing.record.index),
            Entry(verdict.name, emphasis="good" if verdict.name == "healthy" else "bad"),
            Entry(verdict.reason),
            Entry(opinion.advice),
        )
        for standing in sweep.standings
        if (opinion := sweep.results.opinions.get(standing.record.index)) is not None
        for verdict in [opinion.verdict]
    ]
    columns = ("configuration", "verdict", "why", "what would help")
    return Table(columns, tuple(rows)) if rows else None


def starts(sweep: Sweep) -> list[Choice]:
    """Returns the kernels and the layers of each of the first configurations."""
    measured = sweep.results.measured
    known = [standing for standing in sweep.standings if standing.record.index in measured]
    return [
        Choice(
            standing.name.title,
            [
                Block(_table(*card_table(standing.record, records)), "Kernels"),
                Block(_table(*layers_table(records)), "Layers, measured beside predicted"),
            ],
        )
        for standing in known[:_MAX_CHOICES]
        for records in [measured[standing.record.index]]
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


def propagation_figures(sweep: Sweep) -> list[theme.Figure]:
    """Returns the figures of step 0; none where nothing was measured."""
    results, by = sweep.results, sweep.names
    layers = sweep.ordered(results.propagation[results.propagation["layer"] != NETWORK])
    if layers.empty:
        return []
    variance = _means(layers, list(_PANELS), geometric=True)
    correlation = _means(layers, ["correlation"], geometric=False)
    spectrum = "Singular values of the input-output Jacobian"
    figures = [
        _lines(
            _by_layer(variance),
            sweep,
            name="propagation_variance",
            title="Signal and gradient before training",
            caption="Variance of the pre-activations of each layer, and of the gradient with "
            "respect to them, before training: geometric means over replicates.",
        ),
        _lines(
            _by_layer(correlation),
            sweep,
            name="propagation_correlation",
            title="Can the network distinguish inputs?",
            caption="Correlation (not centred) of a layer's outputs for two different inputs, "
            "before training: means over pairs and replicates. At 1 the layer no longer "
            "distinguishes them.",
            is_log=False,
        ),
        _map(_means(layers, ["preactivation_variance"], geometric=True), by),
        _lines(
            _by_rank(results.propagation),
            sweep,
            name="propagation_spectrum",
            title=spectrum,
            caption=f"{spectrum} before training, largest first: geometric means over replicates "
            "of means over examples. Where all are 1 (grey line), that is dynamical isometry.",
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
    return means.sort_values("layer_index", kind="stable")


def _lines(
    frame: pd.DataFrame,
    sweep: Sweep,
    *,
    name: str,
    title: str,
    caption: str,
    x_title: str = "layer",
    is_log: bool = True,
    level: float | None = None,
) -> theme.Figure | None:
    """Returns a line per series, with the theory beside it where there is one.

    `frame` has the columns `configuration, quantity, place` (on the axis), `name` (of the place),
    `kind` (`measured` or `theory`), `value`.
    """
    known = frame[frame["value"].abs() < np.inf]
    if known["place"].nunique() < 2:  # a net without hidden layers
        return None
    called = known["configuration"].map(sweep.names)
    cell = called.map(lambda of: of.cell)
    cells = list(dict.fromkeys(cell))
    told = zip(known["quantity"], cell, strict=True)
    parts = [filter(None, [_PANELS.get(quantity), text]) for quantity, text in told]
    shown = known.assign(
        panel=[" · ".join(texts) or f"all {x_title}s" for texts in parts],
        series=called.map(lambda of: of.series),
    )[cell.isin(cells[:_MAX_CELLS])]
    panels, labels = (list(dict.fromkeys(shown[key])) for key in ("panel", "series"))
    has_theory = bool((shown["kind"] == "theory").any())
    if has_theory:
        caption += " Diamonds: what mean-field theory predicts."
    caption += charts.first_of(min(len(cells), _MAX_CELLS), len(cells), " settings")
    scale = dict(type="log", nice=False) if is_log else dict(zero=False)
    label = {"labelExpr": theme.POWER_LABEL} if is_log else {"format": "~g"}
    x_axis = theme.whole_axis(1, int(shown["place"].max()), grid=False)
    every = View().encode(
        x=channel("place:Q", title=x_title, axis=x_axis),
        y=channel("value:Q", title=None, scale=scale, axis=dict(tickCount=5, **label)),
        tooltip=charts.tooltips(
            ("series_name:N", "initializer"),
            ("name:N", x_title),
            ("kind:N", " "),
            ("value:Q", "value", ".3~g"),
        ),
    )
    drawn = [item for item in sweep.series if item.name in labels]
    lines = every.filter("datum.kind == 'measured'").mark("line", **charts.BACK_LINE)
    data = shown[["place", "name", "kind", "value"]].assign(
        panel=shown["panel"].map(panels.index), series=shown["series"].map(labels.index)
    )
    layers = _layers(every, drawn, has_theory, level)
    chart, names_of_panels = charts.line_panels(layers, lines, data, panels, labels, drawn, _WIDTHS)
    chart = chart.resolve(scale={"y": "independent"})
    subtitle = "diamonds: mean-field theory" if has_theory else ""
    spec = theme.finish(chart, title, subtitle, f"At the last {x_title}: {_seen(shown)}.")
    caption += charts.spread(panels, names_of_panels)
    return theme.Figure(name, title, caption, spec, len(names_of_panels))


def _layers(
    every: View, series: Sequence[theme.Series], has_theory: bool, level: float | None
) -> list[View]:
    shown = every.encode(color=theme.color(series)).filter(charts.IN_COLOUR)
    measured = shown.filter("datum.kind == 'measured'")
    theory = shown.filter("datum.kind == 'theory'")
    rings = theory.mark("point", shape="diamond", size=70, strokeWidth=1.2)
    faded = theme.unless_behind(0.1)
    return [
        *(
            [View().mark("rule", color=theme.MUTED).encode(y={"datum": level})]
            * (level is not None)
        ),
        measured.mark("line", strokeWidth=2).encode(
            strokeDash=theme.dash(series), strokeOpacity=faded
        ),
        measured.mark("point", filled=True, size=24).encode(opacity=faded),
        *([rings.encode(opacity=faded)] * has_theory),
    ]


def _seen(shown: pd.DataFrame) -> str:
    """Returns who is highest and lowest at the end of the lines of each panel."""
    measured = shown[shown["kind"] == "measured"]
    ends = measured.groupby(["panel", "series"], sort=False)["value"].last()
    panels = ends.groupby(level="panel", sort=False)
    told = {str(panel): theme.extremes(of.droplevel("panel"), words=_ENDS) for panel, of in panels}
    if len(told) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{panel}, {text}" for panel, text in told.items())


def _by_layer(means: pd.DataFrame) -> pd.DataFrame:
    """Returns measured and predicted values of so many layers as are drawn."""
    groups = means.groupby(["configuration", "quantity"])
    place, size = groups.cumcount(), groups["layer"].transform("size")
    drawn = means.assign(place=place + 1)[place % -(-size // _MAX_LAYERS) == 0]
    return drawn.rename(columns={"layer": "name", "predicted": "theory"}).melt(
        ["configuration", "quantity", "name", "place"], ["measured", "theory"], "kind"
    )


def _by_rank(propagation: pd.DataFrame) -> pd.DataFrame:
    """Returns the Jacobian's singular values, if they were measured."""
    values = propagation[propagation["quantity"].str.startswith(_SINGULAR)]
    rank = pd.to_numeric(values["quantity"].str.removeprefix(_SINGULAR), errors="coerce")
    known = values[rank.notna() & (values["measured"] > 0)]
    logs = known.assign(place=rank, value=np.log(known["measured"].astype(float)))
    means = logs.groupby(["configuration", "place"])["value"].mean().map(np.exp).reset_index()
    return means.assign(name=means["place"], kind="measured", quantity="")


def _map(means: pd.DataFrame, by: Mapping[int, Name]) -> theme.Figure | None:
    """Returns the variance of the pre-activations over configuration and layer."""
    known = means[np.isfinite(means["measured"])]
    indices = list(dict.fromkeys(known["configuration"]))[: theme.MAX_ROWS]
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
