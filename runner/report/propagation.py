"""What the report tells of step 0: verdicts, and the layers of each configuration in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.propagation.tables import Opinion, card_table, layers_table, shortened
from runner.report.ranking import Entry, Table
from runner.report.results import Results

MAX_TABLES = 100
_MAX_LAYERS = 24


@dataclass(frozen=True)
class Start:
    """How a configuration starts.

    Attributes:
      title: Its name.
      card: Its kernels: shape, fans, law, intended and realised standard deviation.
      layers: Measured beside predicted.
    """

    title: str
    card: Table
    layers: Table


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


def starts(results: Results) -> list[Start]:
    """Returns the tables of each of the first configurations."""
    by = results.names
    found = list(results.measured.items())[:MAX_TABLES]
    of = {record.index: record for record in results.configurations}
    return [
        Start(
            by[index].title,
            _table(*card_table(of[index], records)),
            _table(*layers_table(records)),
        )
        for index, records in found
    ]


_TEXTS = {"layer", "kernel", "shape", "law"}


def _table(titles: Sequence[str], rows: Sequence[list[str]]) -> Table:
    numbered = [
        f"{title} ({titles[place - 1]})" if title == "theory" else title
        for place, title in enumerate(titles)
    ]
    return Table(
        columns=tuple(numbered),
        rows=tuple(tuple(Entry(text) for text in row) for row in shortened(rows, _MAX_LAYERS)),
        numeric=frozenset(numbered) - _TEXTS,
    )
