"""Everything that a written report holds, before it is Markdown or HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.report import sections
from runner.report.comparison import Comparison
from runner.report.ranking import Table
from runner.report.results import Results

if TYPE_CHECKING:
    from runner.report.figures.theme import Figure, Series


@dataclass(frozen=True)
class Document:
    """The content of a report.

    Attributes:
      comparison: What it says first.
      figures: In order; empty where none were asked for.
      legend: How each series is drawn.
      movement, failures: Tables, or None where there is nothing to tell.
      kernels: Which law drew each kernel, one table per set of kernels.
      trained: Data, model, optimizer, training.
      command: The command line.
      origin: Machine, versions, seeds.
      sweep: Name of the sweep.
    """

    comparison: Comparison
    figures: Sequence["Figure"]
    legend: Sequence["Series"]
    movement: Table | None
    failures: Table | None
    kernels: tuple[Table, ...]
    trained: Table
    command: str
    origin: Table
    sweep: str


def document(
    results: Results,
    comparison: Comparison,
    figures: Sequence["Figure"],
    legend: Sequence["Series"],
) -> Document:
    """Returns the content of a sweep's report."""
    return Document(
        comparison=comparison,
        figures=figures,
        legend=legend,
        movement=sections.movement(results),
        failures=sections.failures(results),
        kernels=tuple(sections.kernels(results)),
        trained=sections.trained(results),
        command=results.sweep.command,
        origin=sections.origin(results),
        sweep=results.sweep.name,
    )
