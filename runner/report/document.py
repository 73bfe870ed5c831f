"""Everything that a written report holds, before it is Markdown, LaTeX or HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.report import sections
from runner.report.comparison import Comparison
from runner.report.ranking import Table
from runner.report.results import Results

if TYPE_CHECKING:
    from runner.report.figures.theme import Figure, Series


@dataclass(frozen=True)
class Drawings:
    """The figures of a report; nothing where none were asked for.

    Attributes:
      figures: In order.
      legend: How each series is drawn.
      libraries: The script that draws them in a browser.
    """

    figures: Sequence["Figure"] = ()
    legend: Sequence["Series"] = ()
    libraries: str = ""

    def named(self, *starts: str) -> list["Figure"]:
        """Returns the figures whose name, up to its first underscore, is one of `starts`."""
        return [figure for figure in self.figures if figure.name.partition("_")[0] in starts]


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
class Section:
    """One part of a report.

    Attributes:
      anchor: Its name in links.
      title: Its heading.
      note: A sentence or two before all else.
      figures: In order.
      blocks: Tables, after the figures.
      has_legend: Whether the page lets single series be hidden here.
    """

    anchor: str
    title: str
    note: str = ""
    figures: Sequence["Figure"] = ()
    blocks: Sequence[Block] = ()
    has_legend: bool = False


@dataclass(frozen=True)
class Document:
    """The content of a report.

    Attributes:
      sweep: Name of the sweep.
      comparison: What it says first.
      drawings: The figures.
      sections: What follows, in order; none is empty.
      command: The command line.
      origin: Machine, versions, seeds.
    """

    sweep: str
    comparison: Comparison
    drawings: Drawings
    sections: Sequence[Section]
    command: str
    origin: Table


def document(results: Results, comparison: Comparison, drawings: Drawings) -> Document:
    """Returns the content of a sweep's report."""
    parts = [
        Section("curves", "Loss and metrics", figures=drawings.named("curves"), has_legend=True),
        Section("scores", "Scores", figures=drawings.named("scores", "factors")),
        Section(
            "failures",
            "Failures",
            figures=drawings.named("statuses"),
            blocks=_blocks(sections.failures(results)),
        ),
        Section(
            "movement",
            "What training moved",
            figures=drawings.named("movement"),
            blocks=_blocks(
                sections.movement(results),
                title="In numbers: median root mean square change",
                csv="movement.csv",
                folded=True,
            ),
        ),
        Section(
            "kernels",
            "Initial weights",
            note="The law that drew each kernel, and the kernel's shape.",
            blocks=[Block(table) for table in sections.kernels(results)],
        ),
        Section("trained", "What was trained", blocks=_blocks(sections.trained(results))),
    ]
    return Document(
        sweep=results.sweep.name,
        comparison=comparison,
        drawings=drawings,
        sections=tuple(_filled(parts)),
        command=results.sweep.command,
        origin=sections.origin(results),
    )


def _blocks(
    table: Table | None, title: str = "", csv: str = "", folded: bool = False
) -> Sequence[Block]:
    return () if table is None else (Block(table, title, csv, folded),)


def _filled(parts: Iterable[Section]) -> list[Section]:
    return [part for part in parts if part.figures or part.blocks]
