"""What a question adds to a report, whatever the report is rendered to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

from runner.report.table import Table

if TYPE_CHECKING:
    from runner.report.render.theme import Figure

Kind = Literal[
    "better", "equivalent", "worse", "unknown", "fails", "unlearned", "lost", "next", "overall"
]


@dataclass(frozen=True)
class Sentence:
    """One statement and what sort of statement it is."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Block:
    """A table in its section.

    Attributes:
      table: The table.
      title: Of the table, if the section's does not say it.
      csv: Name of the file that has the same in numbers, if there is one.
      folded: Whether the page shows it only when asked to.
    """

    table: Table
    title: str = ""
    csv: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Choice:
    """Tables of one configuration.

    Attributes:
      title: Its name.
      blocks: The tables.
    """

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Answer:
    """What a sweep has to say to one question.

    Attributes:
      anchor: Its name in links.
      title: Its heading.
      note: A sentence or two before all else.
      sentences: What it adds to the findings.
      figures: In order.
      blocks: Tables for people, after the figures.
      code: Python, in lines.
      tables: Tables of numbers by the name of their file; of one without rows there is no file.
      has_legend: Whether the page lets single series be hidden here.
      choices_title: What the choices show.
      choices: Tables of each configuration, of which the page shows one configuration's when asked.
    """

    anchor: str
    title: str
    note: str = ""
    sentences: Sequence[Sentence] = ()
    figures: Sequence["Figure"] = ()
    blocks: Sequence[Block] = ()
    code: str = ""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    has_legend: bool = False
    choices_title: str = ""
    choices: Sequence[Choice] = ()

    @property
    def has_section(self) -> bool:
        """Whether there is anything to show of it but sentences."""
        return bool(self.figures or self.blocks or self.code)


def overall(texts: Sequence[str]) -> list[Sentence]:
    """Returns what is told of the sweep as a whole."""
    return [Sentence("overall", text) for text in texts if text]


def blocks(
    table: Table | None, title: str = "", csv: str = "", folded: bool = False
) -> list[Block]:
    """Returns a table as the only block, or none where there is no table; see `Block`."""
    return [] if table is None else [Block(table, title, csv, folded)]
