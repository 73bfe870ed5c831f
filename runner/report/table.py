"""Tables for people, and how one is made of a table of numbers."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from runner.report import names
from runner.report.names import Name

MAX_ROWS = 100

Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Attributes:
      text: What is shown.
      sort: What the column is sorted by, if not the text.
      emphasis: `"good"`, `"bad"`, `"muted"` or nothing.
    """

    text: str
    sort: float | None = None
    emphasis: str = ""


Column = tuple[str, Callable[[Row], Entry]]


@dataclass(frozen=True)
class Table:
    """A table for people, whatever it is rendered to.

    Attributes:
      columns: Titles.
      rows: As long as `columns` each.
      numeric: Titles of the columns that are set flush right.
      omitted: Number of rows that were left out.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    numeric: frozenset[str] = frozenset()
    omitted: int = 0


# Columns of texts that may be sorted by a number.
_TEXTS = frozenset({"configuration", "initializer", "a", "b", "verdict", "at step 0"})


def tabulated(frame: pd.DataFrame, columns: Sequence[Column]) -> Table | None:
    """Returns the first rows of a frame, a column for each of the titles, or None without rows."""
    if frame.empty:
        return None
    rows = frame.to_dict("records")
    entries = [tuple(entry(row) for _, entry in columns) for row in rows[:MAX_ROWS]]
    return Table(
        columns=tuple(title for title, _ in columns),
        rows=tuple(entries),
        numeric=frozenset(
            title
            for place, (title, _) in enumerate(columns)
            if title not in _TEXTS and any(row[place].sort is not None for row in entries)
        ),
        omitted=len(rows[MAX_ROWS:]),
    )


def value(row: Row, column: str) -> float:
    """Returns a number of a row; NaN where it is missing."""
    found = row.get(column)
    return math.nan if found is None or pd.isna(found) else float(found)


def title(by: Mapping[int, Name], column: str = "configuration") -> Callable[[Row], Entry]:
    """Makes entries of what a configuration is called."""
    return lambda row: Entry(by[int(row[column])].title, float(row[column]))


def text(column: str, emphasis: str = "") -> Callable[[Row], Entry]:
    """Makes entries of a text."""

    def entry(row: Row) -> Entry:
        found = row.get(column)
        return Entry("" if pd.isna(found) else names.one_line(str(found)), emphasis=emphasis)

    return entry


def number(column: str, digits: int) -> Callable[[Row], Entry]:
    """Makes entries of a number with so many decimals."""
    return lambda row: Entry(names.number(value(row, column), digits), value(row, column))


def count(column: str) -> Callable[[Row], Entry]:
    """Makes entries of a whole number."""
    return number(column, 0)


def part_of(part: str, whole: str) -> Callable[[Row], Entry]:
    """Makes entries such as `"4 of 5"`."""

    def entry(row: Row) -> Entry:
        some, total = value(row, part), value(row, whole)
        return Entry(f"{some:.0f} of {total:.0f}", some, "" if some == total else "bad")

    return entry


def share(column: str, *ends: str) -> Callable[[Row], Entry]:
    """Makes entries of a percentage, such as `"80 %"`, or with its interval `"80 % [44, 97]"`."""

    def entry(row: Row) -> Entry:
        found = value(row, column)
        around = ", ".join(f"{100 * value(row, end):.0f}" for end in ends)
        text = f"{100 * found:.0f} %" + (f" [{around}]" if ends else "")
        return Entry("–" if math.isnan(found) else text, found)

    return entry


def p_value(column: str, emphasis: str = "") -> Callable[[Row], Entry]:
    """Makes entries of a p-value."""

    def entry(row: Row) -> Entry:
        found = value(row, column)
        return Entry(names.p_value(found).removeprefix("= "), found, emphasis)

    return entry


def estimate(
    mean: str, low: str, high: str, digits: int, signed: bool = True
) -> Callable[[Row], Entry]:
    """Makes entries of an estimate and its interval, such as `"+0.02 [+0.01, +0.03]"`."""

    def entry(row: Row) -> Entry:
        found = value(row, mean)
        ends = [value(row, column) for column in (low, high)]
        shown = names.number(found, digits, signed)
        if not any(math.isnan(end) for end in ends):
            shown += f" [{', '.join(names.number(end, digits, signed) for end in ends)}]"
        return Entry(shown, found)

    return entry


def interval_digits(frame: pd.DataFrame) -> int:
    """Returns how many decimals the column `mean` is worth, by its interval."""
    return names.decimals_of((frame["ci_high"] - frame["ci_low"]) / 2, frame["mean"])
