"""Everything that a written report holds, before it is Markdown, LaTeX or HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.report import evidence, propagation, sections
from runner.report.analysis import Analysis
from runner.report.comparison import Comparison
from runner.report.ranking import Table
from runner.report.results import Results
from runner.report.tables import ordered

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
class Choice:
    """Tables of one configuration.

    Attributes:
      title: Its name.
      blocks: The tables.
    """

    title: str
    blocks: Sequence[Block]


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
      choices_title: What the choices show.
      choices: Tables of each configuration, of which the page shows one configuration's when asked.
    """

    anchor: str
    title: str
    note: str = ""
    figures: Sequence["Figure"] = ()
    blocks: Sequence[Block] = ()
    has_legend: bool = False
    choices_title: str = ""
    choices: Sequence[Choice] = ()


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


def document(
    results: Results, analysis: Analysis, comparison: Comparison, drawings: Drawings
) -> Document:
    """Returns the content of a sweep's report."""
    parts = [
        Section("curves", "Loss and metrics", figures=drawings.named("curves"), has_legend=True),
        Section("scores", "Every replicate", figures=drawings.named("scores")),
        *_compared(results, analysis, drawings),
        *_explained(results, analysis, drawings),
        *_described(results),
    ]
    return Document(
        sweep=results.sweep.name,
        comparison=comparison,
        drawings=drawings,
        sections=tuple(part for part in parts if part.figures or part.blocks),
        command=results.sweep.command,
        origin=sections.origin(results),
    )


def _compared(results: Results, analysis: Analysis, drawings: Drawings) -> list[Section]:
    """Returns what tells configurations apart."""
    by = results.names
    order = [s.record.index for cell in analysis.cells for s in cell.standings]
    return [
        Section(
            "differences",
            "Differences and their uncertainty",
            note="Seed by seed against the reference. Holm's correction counts all comparisons; "
            "the two exact tests stand beside it with the least p that so many pairs can give.",
            figures=drawings.named("differences"),
            blocks=[
                *_blocks(
                    evidence.differences(
                        ordered(analysis.differences, order), by, results.sweep.confidence
                    ),
                    csv="differences.csv",
                ),
                *_blocks(
                    evidence.pairs(analysis.pairs, by, results.sweep.confidence),
                    title="Every pair",
                    csv="pairs.csv",
                    folded=True,
                ),
            ],
        ),
        Section(
            "target",
            "Time to the target",
            figures=drawings.named("target"),
            blocks=_blocks(
                evidence.times(ordered(analysis.mean_times, order), by), csv="mean_times.csv"
            ),
            has_legend=True,
        ),
        Section(
            "failures",
            "Failures",
            figures=drawings.named("statuses"),
            blocks=[
                *_blocks(evidence.success(ordered(analysis.success, order), by), csv="success.csv"),
                *_blocks(sections.failures(results), title="What happened"),
            ],
        ),
        Section(
            "tuning",
            "Fair to every initializer?",
            note="A setting can suit one initializer and not another: the ranking at one shared "
            "setting stands beside the one with each initializer at its own best.",
            figures=drawings.named("choices"),
            blocks=_blocks(evidence.rankings(analysis.rankings), csv="rankings.csv"),
        ),
        Section(
            "trainability",
            "Where it trains",
            figures=drawings.named("trainability"),
        ),
        Section(
            "problems",
            "Over all problems",
            figures=drawings.named("ranks", "profiles"),
            blocks=_blocks(evidence.ranks(analysis.ranks), csv="ranks.csv"),
            has_legend=True,
        ),
    ]


def _explained(results: Results, analysis: Analysis, drawings: Drawings) -> list[Section]:
    """Returns what may explain the outcome."""
    by = results.names
    return [
        Section(
            "propagation",
            "Before training: signal and gradient through the layers",
            note="z: pre-activations, h: activations, w: kernel entries; means over replicates.",
            figures=drawings.named("propagation"),
            blocks=_blocks(propagation.verdicts(results), csv="propagation.parquet"),
            choices_title="Kernels and layers of each configuration",
            choices=[
                Choice(
                    start.title,
                    [
                        Block(start.card, "Kernels"),
                        Block(start.layers, "Layers, measured beside predicted"),
                    ],
                )
                for start in propagation.starts(results)
            ],
        ),
        Section(
            "variance",
            "Luck of the weights, luck of the order",
            figures=drawings.named("variance"),
            blocks=_blocks(evidence.variance(analysis.variance, by), csv="variance.csv"),
        ),
        Section(
            "predictors",
            "Step 0 and the outcome",
            figures=drawings.named("predictors"),
            blocks=_blocks(
                evidence.predictors(analysis.predictors),
                title="In numbers",
                csv="predictors.csv",
                folded=True,
            ),
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
    ]


def _described(results: Results) -> list[Section]:
    """Returns what was compared."""
    return [
        Section(
            "kernels",
            "Initial weights",
            note="The law that drew each kernel, and the kernel's shape.",
            blocks=[Block(table) for table in sections.kernels(results)],
        ),
        Section("trained", "What was trained", blocks=_blocks(sections.trained(results))),
    ]


def _blocks(
    table: Table | None, title: str = "", csv: str = "", folded: bool = False
) -> Sequence[Block]:
    return () if table is None else (Block(table, title, csv, folded),)
