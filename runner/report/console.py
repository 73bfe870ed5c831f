"""The comparison on a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from runner.report.comparison import Comparison
from runner.report.ranking import Entry, Table
from runner.report.words import Kind, Sentence

_STYLES: dict[Kind, str] = {
    "leads": "",
    "better": "green",
    "same": "cyan",
    "worse": "yellow",
    "unknown": "dim",
    "fragile": "yellow",
    "unlearned": "red",
    "lost": "red",
    "next": "bold",
    "overall": "",
}
# Of several cells only the table tells these.
_DETAIL: set[Kind] = {"better", "same", "worse", "unknown", "fragile", "next"}
_EMPHASIS = {"good": "green", "bad": "red", "muted": "dim", "": ""}
# The longest of the classic names with its prefix, keras1/glorot_normal, stays in one line.
_NAME_WIDTH = 20
_UNBROKEN = {"#", "outcome"}
_MAX_CELLS = 6
_MAX_ROWS = 40


def view(comparison: Comparison) -> RenderableType:
    """Returns the headline, the ranked table, the sentences and the cautions."""
    return Group(
        Text(),
        Text(comparison.title, style="bold"),
        Text(comparison.headline),
        Text(),
        Text(f"{comparison.metric[:1].upper()}{comparison.metric[1:]}", style="bold"),
        _table(comparison.ranking),
        Text(),
        *_findings(comparison.beyond_headline()),
        *(Text(sentence.text) for sentence in comparison.overall),
        *(Text(f"! {caution}", style="yellow") for caution in comparison.cautions),
        *([Text(comparison.method, style="dim")] if comparison.method else []),
    )


def _findings(findings: Sequence[Sequence[Sentence]]) -> list[RenderableType]:
    """Returns the sentences; of several cells the details stand in the table only."""
    detail = (
        {"better", "same", "worse", "unknown", "fragile", "next"} if len(findings) > 1 else set()
    )
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


def _table(table: Table) -> RichTable:
    """Returns the table without what its sentences or the files tell: it has to fit 80 columns."""
    rich_table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    mean, interval = (_position(table, text) for text in ("mean", " interval"))
    left_out = {interval, *(_position(table, text) for text in ("median", "std", "difference"))}
    shown = [place for place in range(len(table.columns)) if place not in left_out]
    for place in shown:
        title = table.columns[place]
        header = f"mean [{table.columns[interval]}]" if place == mean else title
        longest = max((len(row[place].text) for row in table.rows), default=0)
        rich_table.add_column(
            Text(header),
            min_width=min(longest, _NAME_WIDTH) if title == "initializer" else None,
            no_wrap=place == mean or title in _UNBROKEN,
            overflow="fold",
        )
    for row in table.rows[:_MAX_ROWS]:
        texts = [_text(row[place]) for place in shown]
        texts[shown.index(mean)] = Text(f"{row[mean].text} {row[interval].text}")
        rich_table.add_row(*texts)
    if len(table.rows) > _MAX_ROWS:
        rich_table.add_row(Text("…"), Text(f"{len(table.rows) - _MAX_ROWS} more in the report"))
    return rich_table


def _position(table: Table, text: str) -> int:
    """Returns the place of the column whose title contains `text`; -1 if there is none."""
    found = [place for place, title in enumerate(table.columns) if text in title]
    return found[0] if found else -1


def _text(entry: Entry) -> Text:
    return Text(entry.text, _EMPHASIS[entry.emphasis])
