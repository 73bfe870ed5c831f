"""The comparison on a terminal."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
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
_NAME_WIDTH = 20
_LEAST_WIDTHS = {"finished": len("finished")}
_UNBROKEN = {"#", "outcome"}
# For these eighty columns have no room; the report has them.
_LEFT_OUT = ("median", "std", "difference", "test ±", "over seeds")
# Where a label may be folded: after a space or a sign, but not within a number.
_FOLD = re.compile(r"(?<=[\s(,/])(?!\s)|(?<=\.)(?=[^\W\d])")
_MAX_CELLS = 6
_MAX_ROWS = 40
_MAX_SETTINGS = 5


def view(comparison: Comparison) -> RenderableType:
    """Returns what stands behind the answer: the table, the sentences and the cautions."""
    return Group(
        Text(),
        Text(comparison.title, style="bold"),
        *([Text(comparison.conditions)] if comparison.conditions else []),
        Text(f"{comparison.metric[:1].upper()}{comparison.metric[1:]}", style="bold"),
        *(_tables(comparison.ranking) if comparison.matrix is None else _matrix(comparison.matrix)),
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
    rich_table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, title in enumerate(table.columns[:width]):
        rich_table.add_column(Text(title), justify="right" if place else "left", overflow="fold")
    for row in table.rows[:_MAX_ROWS]:
        shown = row[:width]
        rich_table.add_row(*(Text(entry.text, _EMPHASIS[entry.emphasis]) for entry in shown))
    left_out = len(table.columns[width:])
    more = f"; {left_out} more settings in the report" if left_out else ""
    return [rich_table, Text(f"{MARKS}{more}", style="dim")]


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


def _tables(table: Table) -> list[RenderableType]:
    """Returns the ranking in 80 columns: what sentences or files tell is left out.

    What several rows have in common, factors or the initializer, stands above these rows instead of
    in a column.
    """
    rows = table.rows[:_MAX_ROWS]
    initializer = table.columns.index("initializer")
    groups: list[tuple[str, list[Row]]] = [("", list(rows))]
    grouped: Sequence[int] = ()
    for places in (_factors(table), [initializer]):
        runs = _runs([_label(table, row, places) for row in rows], rows)
        if places and 2 * len(runs) <= len(rows):
            groups, grouped = runs, places
            break
    shown: list[RenderableType] = []
    for place, (label, of_label) in enumerate(groups):
        shown += [Text(label, style="bold")] if label else []
        shown.append(_table(table, of_label, set(grouped), show_header=place == 0))
    left_out = len(table.rows[_MAX_ROWS:])
    return [*shown, *([Text(f"… {left_out} more in the report")] if left_out else [])]


def _factors(table: Table) -> list[int]:
    """Returns the places of the columns that name factors."""
    first, mean = table.columns.index("initializer"), table.columns.index("mean")
    return [place for place in range(first + 1, mean) if table.columns[place] != "metric"]


def _label(table: Table, row: Row, places: Sequence[int]) -> str:
    """Returns such as `"depth=2, width=64"`; an initializer needs no key."""
    told = [(table.columns[place], row[place].text) for place in places]
    return ", ".join(text if key == "initializer" else f"{key}={text}" for key, text in told)


def _runs(labels: Sequence[str], rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Returns the rows that follow each other with the same label."""
    pairs = itertools.groupby(zip(labels, rows, strict=True), key=lambda pair: pair[0])
    return [(label, [row for _, row in run]) for label, run in pairs]


def _table(table: Table, rows: Sequence[Row], grouped: set[int], show_header: bool) -> RichTable:
    """Returns some rows, as wide as all would be."""
    rich_table = RichTable(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
        show_header=show_header,
    )
    mean, interval = (_position(table, text) for text in ("mean", " interval"))
    left_out = {interval, *(_position(table, text) for text in _LEFT_OUT)}
    shown = [place for place in range(len(table.columns)) if place not in left_out | grouped]
    for place in shown:
        title = table.columns[place]
        header = f"mean [{table.columns[interval]}]" if place == mean else title
        longest = max((len(_shown(row, place, mean, interval)) for row in table.rows), default=0)
        width = max(longest, len(header))
        is_fixed = place == mean or title in _UNBROKEN
        rich_table.add_column(
            Text(header),
            min_width=width if is_fixed else min(width, _LEAST_WIDTHS.get(title, _NAME_WIDTH)),
            no_wrap=is_fixed,
            overflow="fold",
        )
    for row in rows:
        texts = [(_shown(row, p, mean, interval), _EMPHASIS[row[p].emphasis]) for p in shown]
        rich_table.add_row(*(_Folding(text, style) for text, style in texts))
    return rich_table


@dataclass(frozen=True)
class _Folding:
    """A text that is folded where a reader would: at spaces, and after signs within a label."""

    text: str
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [""]
        for piece in self._pieces(options.max_width):
            if lines[-1] and cell_len((lines[-1] + piece).rstrip()) > options.max_width:
                lines.append("")
            lines[-1] += piece
        yield Text("\n".join(line.rstrip() for line in lines), self.style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        least = max(cell_len(piece.rstrip()) for piece in self._pieces(0))
        return Measurement(least, cell_len(self.text))

    def _pieces(self, width: int) -> Iterator[str]:
        """Yields what stays together; a key and its value where that is no wider."""
        for piece in _FOLD.split(self.text):
            yield from [piece] if cell_len(piece) <= width else re.split("(?<==)", piece)


def _shown(row: Row, place: int, mean: int, interval: int) -> str:
    return f"{row[mean].text} {row[interval].text}" if place == mean else row[place].text


def _position(table: Table, text: str) -> int:
    """Returns the place of the column whose title contains `text`; -1 if there is none."""
    found = [place for place, title in enumerate(table.columns) if text in title]
    return found[0] if found else -1
