"""Parts that several figures have in common."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from runner.records import lower_is_better
from runner.report.render.theme import MAX_ROWS, bottom_legend, panel_facet, row_axis

WIDTH = 560
_ROW_HEIGHT, _LEAST_HEIGHT = 24, 60


def tooltips(*told: Sequence[str]) -> list[alt.Tooltip]:
    """Returns what is shown under the pointer: a field, its title, and a format if it has one."""
    return [
        alt.Tooltip(field, title=title, **({"format": form[0]} if form else {}))
        for field, title, *form in told
    ]


def rows(titles: Sequence[str], heading: str | None = None) -> alt.Y:
    """Returns the channel of figures that have a row for each configuration, in this order."""
    return alt.Y("title:N", title=heading, sort=list(titles), axis=row_axis())


def tall(chart: Any, num_rows: int, row_height: int = _ROW_HEIGHT) -> Any:
    """Returns a chart that is high enough for its rows."""
    return chart.properties(width=WIDTH, height=max(row_height * num_rows, _LEAST_HEIGHT))


def first_of(num_shown: int, num: int, noun: str = "") -> str:
    """Returns that not all are drawn, to go on with in a caption, if that is so."""
    return f" The first {num_shown} of {num}{noun} are drawn." if num_shown < num else ""


def first_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Returns as many rows as a figure may have, and what its caption says if there are more."""
    shown = frame.iloc[:MAX_ROWS]
    return shown, first_of(len(shown), len(frame))


def in_panels(chart: Any, panels: Sequence[str], data: alt.Data, field: str = "panel") -> Any:
    """Returns a chart once for each panel, two in a row, each with the axis titles of its own."""
    facet = panel_facet(field, panels)
    laid_out = chart.facet(facet=facet, columns=min(len(panels), 2), data=data)
    return laid_out.resolve_axis(x="independent")


def word_colors(
    column: str, colors: Mapping[str, str], used: Iterable[str], told_alone: bool = True
) -> alt.Color:
    """Returns the colour channel of a column of words, with those that occur told below.

    Args:
      column: Its name.
      colors: Word -> colour, in the order of the legend.
      used: The column.
      told_alone: Whether a single word has a legend too.
    """
    found = set(used)
    words = [word for word in colors if word in found]
    scale = alt.Scale(domain=words, range=[colors[word] for word in words])
    legend = bottom_legend(words, WIDTH) if told_alone or len(words) > 1 else None
    return alt.Color(f"{column}:N", scale=scale, legend=legend)


def aside_note(data: pd.DataFrame) -> str:
    """Returns what a caption says of the texts in the column `aside`, if there are any."""
    told = data["aside"].fillna("").ne("").any()
    return " Initializers that never learned are listed, not plotted." if told else ""


def spans_decades(values: pd.Series, metric: str) -> bool:
    """Tells whether values are positive losses over more than a decade: for a logarithmic axis."""
    known = values.dropna()
    return bool(lower_is_better(metric) and (known > 0).all() and known.max() > 10 * known.min())
