"""Parts that several figures have in common."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from runner.records import lower_is_better
from runner.report.render import theme
from runner.report.render.vegalite import Spec, View, channel, layer

WIDTH = 560
_ROW_HEIGHT, _LEAST_HEIGHT = 24, 60


def tooltips(*told: Sequence[str]) -> list[Spec]:
    """Returns what is shown under the pointer: a field, its title, and a format if it has one."""
    return [
        channel(field, title=title, **({"format": form[0]} if form else {}))
        for field, title, *form in told
    ]


def rows(titles: Sequence[str], heading: str | None = None) -> Spec:
    """Returns the channel of figures that have a row for each configuration, in this order."""
    return channel("title:N", title=heading, sort=list(titles), axis=theme.row_axis())


def tall(chart: View, num_rows: int, row_height: int = _ROW_HEIGHT) -> View:
    """Returns a chart that is high enough for its rows."""
    return View(chart, width=WIDTH, height=max(row_height * num_rows, _LEAST_HEIGHT))


def first_of(num_shown: int, num: int, noun: str = "") -> str:
    """Returns that not all are drawn, to go on with in a caption, if that is so."""
    return f" The first {num_shown} of {num}{noun} are drawn." if num_shown < num else ""


def first_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Returns as many rows as a figure may have, and what its caption says if there are more."""
    shown = frame.iloc[: theme.MAX_ROWS]
    return shown, first_of(len(shown), len(frame))


def in_panels(
    chart: View, panels: Sequence[str], data: Spec, field: str = "panel", columns: int = 2
) -> View:
    """Returns a chart once for each panel, each with the axis titles of its own."""
    laid_out = chart.facet(theme.panel_facet(field, panels), columns, data)
    return laid_out.resolve(axis={"x": "independent"})


BACK_LINE = {"strokeWidth": 1, "color": theme.BEHIND}
"""Looks of the lines that stand behind the others."""
IN_COLOUR = "!datum.is_behind"
"""Filter of the lines that a panel shows in colour; see `line_panels`."""


def line_panels(
    layers: Sequence[View],
    lines: View | None,
    data: pd.DataFrame,
    panels: Sequence[str],
    labels: Sequence[str],
    series: Sequence[theme.Series],
    widths: Mapping[int, int],
    height: int = 220,
    **calculated: str,
) -> tuple[View, list[str]]:
    """Returns panels of curves that the page can hide and show, and the names of the panels.

    Many lines are spread over several panels: each is in colour in one of them, and grey behind
    the others elsewhere. Direct labels would not tell them apart, for who is as good as the others
    ends where they end.

    Args:
      layers: What is drawn, those in colour with the filter `IN_COLOUR`.
      lines: All of them as `BACK_LINE`; None where nothing needs to be spread.
      data: Columns `panel` and `series` (places in the next two lists) and what the layers use.
      panels, labels: Names.
      series: How each is drawn, in the order of the groups.
      widths: Panels in a row -> width of each.
      height: Of each.
      calculated: Further columns, as Vega expressions; they may use `series_name`.
    """
    num_groups = -(-len(series) // theme.MAX_LINES) if lines is not None else 1
    size = -(-len(series) // num_groups)
    group = {item.name: place // size for place, item in enumerate(series)}
    names = [
        " · ".join(filter(None, (panel, of_group)))
        for of_group in _group_names(len(series), size)
        for panel in panels
    ]
    columns = min(len(names), 2) if len(names) <= 4 or 4 not in widths else 4
    if lines is not None and num_groups > 1:
        others = lines.filter("datum.is_behind").encode(detail=channel("series_name:N"))
        layers = [others, *layers]
    lists = {
        "panel_names": names,
        "series_names": labels,
        "series_groups": [group[name] for name in labels],
        "hidden": [],
        "lit": "",
        "interactive": False,
    }
    panel = layer(*layers, width=widths[columns], height=height)
    chart = (
        in_panels(panel, names, theme.csv_data(data), "panel_name", columns)
        .calculate(
            series_name="series_names[datum.series]", group=f"sequence({num_groups})", **calculated
        )
        .filter("indexof(hidden, datum.series_name) < 0")
        .transform({"flatten": ["group"]})
        .calculate(
            panel_name=f"panel_names[datum.group * {len(panels)} + datum.panel]",
            is_behind="series_groups[datum.series] != datum.group",
        )
    )
    return theme.with_values(chart, **lists), names


def _group_names(num_series: int, size: int) -> list[str]:
    if size >= num_series:
        return [""]
    return [
        f"initializers {first} to {min(first + size - 1, num_series)} of {num_series}"
        for first in range(1, num_series + 1, size)
    ]


def spread(panels: Sequence[str], names: Sequence[str]) -> str:
    """Returns that lines are spread over panels, to go on with in a caption, if that is so."""
    told = " Each panel has some of the initializers in colour, the others in grey."
    return told if len(names) > len(panels) else ""


def word_colors(
    column: str, colors: Mapping[str, str], used: Iterable[str], told_alone: bool = True
) -> Spec:
    """Returns the colour channel of a column of words, with those that occur told below."""
    found = set(used)
    words = [word for word in colors if word in found]
    scale = dict(domain=words, range=[colors[word] for word in words])
    legend = theme.bottom_legend(words, WIDTH) if told_alone or len(words) > 1 else None
    return channel(f"{column}:N", scale=scale, legend=legend)


def aside_note(data: pd.DataFrame) -> str:
    """Returns what a caption says of the texts in the column `aside`, if there are any."""
    told = data["aside"].fillna("").ne("").any()
    return " Initializers that never learned are listed, not plotted." if told else ""


def spans_decades(values: pd.Series, metric: str) -> bool:
    """Tells whether values are positive losses over more than a decade: for a logarithmic axis."""
    known = values.dropna()
    return bool(lower_is_better(metric) and (known > 0).all() and known.max() > 10 * known.min())
