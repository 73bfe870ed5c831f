"""What the questions answer, by name, for tests of any of them."""

from types import SimpleNamespace

from runner.report.questions import ask
from runner.report.render.theme import Figure
from runner.report.results import Results
from runner.report.sweep import Sweep


def analyse(results: Results) -> SimpleNamespace:
    """Returns the cells of a sweep and, by the names of their files, its tables of numbers."""
    sweep = Sweep(results, draws=False)
    tables = {name: frame for answer in ask(sweep) for name, frame in answer.tables.items()}
    frames = {name.removesuffix(".csv"): frame for name, frame in tables.items()}
    return SimpleNamespace(cells=sweep.cells, **frames)


def drawn(results: Results) -> dict[str, Figure]:
    """Returns the figures of a sweep by their names."""
    return {figure.name: figure for answer in ask(Sweep(results)) for figure in answer.figures}
