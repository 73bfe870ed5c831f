"""Everything that a written report holds, before it is Markdown or HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.report import propagation, sections
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


@dataclass(frozen=True)
class Document:
    """The content of a report.

    Attributes:
      sweep: Name of the sweep.
      comparison: What it says first.
      drawings: The figures.
      movement, failures: Tables, or None where there is nothing to tell.
      verdicts: How each configuration starts, or None where nothing was measured.
      starts: The same of the first configurations in numbers.
      kernels: Which law drew each kernel, one table per set of kernels.
      trained: Data, model, optimizer, training.
      command: The command line.
      origin: Machine, versions, seeds.
    """

    sweep: str
    comparison: Comparison
    drawings: Drawings
    movement: Table | None
    failures: Table | None
    verdicts: Table | None
    starts: Sequence[propagation.Start]
    kernels: Sequence[Table]
    trained: Table
    command: str
    origin: Table


def document(results: Results, comparison: Comparison, drawings: Drawings) -> Document:
    """Returns the content of a sweep's report."""
    return Document(
        sweep=results.sweep.name,
        comparison=comparison,
        drawings=drawings,
        movement=sections.movement(results),
        failures=sections.failures(results),
        verdicts=propagation.verdicts(results),
        starts=propagation.starts(results),
        kernels=sections.kernels(results),
        trained=sections.trained(results),
        command=results.sweep.command,
        origin=sections.origin(results),
    )
