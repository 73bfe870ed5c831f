"""The comparison on a terminal."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from runner.report.answer import Kind, Sentence
from runner.report.comparison import Comparison
from runner.report.ranking import MARKS
from runner.report.table import Entry, Table

Row = tuple[Entry, ...]

_STYLES: dict[Kind, str] = {
    "better": "green",
    "equivalent": "cyan",
    "worse": "yellow",
    "unknown": "",
    "fails": "yellow",
    "unlearned": "red",
    "lost": "red",
    "next": "bold",
    "overall": "",
}
# Of several cells only the table tells these.
_DETAIL: set[Kind] = {"better", "equivalent", "worse", "unknown", "fails", "next"}
_EMPHASIS = {"good": "green", "bad": "red", "muted": "dim", "": ""}
# The longest of the classic names with its prefix, keras1/glorot_normal, stays in one line.
_NAME_WIDTH, _MAX_LABEL = 20, 28
_LEAST_WIDTHS = {"finished": len("finished")}
_UNBROKEN = {"#", "outcome"}
# For these eighty columns have no room; the report has them.
_LEFT_OUT = ("median", "std", "difference", "test ±", "over seeds")
_LOOKS: dict[str, Any] = {
    "box": None,
    "pad_edge": False,
    "padding": (0, 2, 0, 0),
    "header_style": "bold",
}
_MAX_CELLS = 6
_MAX_ROWS = 40
_MAX_SETTINGS = 5


def view(comparison: Comparison) -> RenderableType:
    """Returns what stands behind the answer: the table, the sentences and the cautions."""
    matrix = comparison.matrix
    return Group(
        Text(),
        Text(comparison.title, style="bold"),
        *([Text(comparison.conditions)] if comparison.conditions else []),
        Text(f"{comparison.metric[:1].upper()}{comparison.metric[1:]}", style="bold"),
        *(_ranking(comparison.ranking) if matrix is None else _matrix(matrix)),
        Text(),
        *_findings(comparison.beyond_headline()),
        *(Text(sentence.text) for sentence in comparison.overall),
        *(Text(f"! {caution}", style="yellow") for caution in comparison.cautions),
        *([Text(comparison.method, style="dim")] if comparison.method else []),
    )


def answer(comparison: Comparison) -> RenderableType:
    """Returns the verdict, which stands last, next to the prompt."""
    return Group(Text(), Text(comparison.headline, style="bold"))


def _matrix(table: Table) -> list[RenderableType]:
    """Returns the means of the first settings, the best of each marked."""
    width = 1 + _MAX_SETTINGS
    rows = tuple(row[:width] for row in table.rows[:_MAX_ROWS])
    left_out = len(table.columns[width:])
    more = f"; {left_out} more settings in the report" if left_out else ""
    shown = rich_table(replace(table, columns=table.columns[:width], rows=rows))
    return [shown, Text(f"{MARKS}{more}", style="dim")]


def rich_table(table: Table) -> RichTable:
    """Returns a table for a terminal."""
    found = RichTable(**_LOOKS)
    for title in table.columns:
        justify: Any = "right" if title in table.numeric else "left"
        found.add_column(Text(title), justify=justify, overflow="fold")
    for row in table.rows:
        found.add_row(*(Text(entry.text, _EMPHASIS[entry.emphasis]) for entry in row))
    return found


def _findings(findings: Sequence[Sequence[Sentence]]) -> list[RenderableType]:
    """Returns the sentences; of several cells the details stand in the table only."""
    detail = _DETAIL if len(findings) > 1 else set()
    shown: list[RenderableType] = [
        Text(sentence.text, style=_STYLES[sentence.kind])
        for sentences in findings[:_MAX_CELLS]
        for sentence in sentences
        if sentence.kind not in detail
    ]
    left_out = len(findings[_MAX_CELLS:])
    if left_out:
        shown.append(Text(f"{left_out} more settings: see the report.", style="dim"))
    return shown


def _ranking(table: Table) -> list[RenderableType]:
    """Returns the ranking in 80 columns: what sentences or files tell is left out."""
    mean, interval = (_position(table, text) for text in ("mean", " interval"))
    left_out = {interval, *(_position(table, text) for text in _LEFT_OUT)}
    if (
        len(table.rows)
        > len({row[_position(table, "initializer")].text for row in table.rows})
        == 1
    ):
        left_out.add(_position(table, "initializer"))  # the title names it
    shown = [place for place in range(len(table.columns)) if place not in left_out]

    def told(row: Row, place: int) -> str:
        text = row[place].text
        if place == mean:
            return f"{text} {row[interval].text}"
        # The arguments of a long label have a line of their own.
        return text.replace("(", "(\n", 1) if len(text) > _MAX_LABEL else text

    found = RichTable(**_LOOKS)
    for place in shown:
        title = table.columns[place]
        header = f"mean [{table.columns[interval]}]" if place == mean else title
        width = max(len(header), *(len(told(row, place)) for row in table.rows))
        is_fixed = place == mean or title in _UNBROKEN
        found.add_column(
            Text(header),
            min_width=None if is_fixed else min(width, _LEAST_WIDTHS.get(title, _NAME_WIDTH)),
            no_wrap=is_fixed,
            overflow="fold",
        )
    for row in table.rows[:_MAX_ROWS]:
        found.add_row(*(Text(told(row, p), _EMPHASIS[row[p].emphasis]) for p in shown))
    more = len(table.rows[_MAX_ROWS:])
    return [found, *([Text(f"… {more} more in the report")] if more else [])]


def _position(table: Table, text: str) -> int:
    """Returns the place of the column whose title contains `text`; -1 if there is none."""
    return next((place for place, title in enumerate(table.columns) if text in title), -1)
