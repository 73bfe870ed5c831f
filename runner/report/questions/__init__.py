"""The questions that a report answers, one module each.

A module has a function `ask`, which returns what a sweep has to say, and beside it everything of
that question: its table of numbers, its table for people, its figures and its sentences.
"""

from collections.abc import Callable, Iterator

from runner.report.answer import Answer
from runner.report.questions import (
    curves,
    differences,
    failures,
    kernels,
    movement,
    predictors,
    problems,
    propagation,
    replicates,
    take_home,
    target,
    trainability,
    trained,
    tuning,
    variance,
)
from runner.report.sweep import Sweep

QUESTIONS: tuple[Callable[[Sweep], Answer | None], ...] = (
    curves.ask,
    replicates.ask,
    differences.ask,
    target.ask,
    failures.ask,
    tuning.ask,
    trainability.ask,
    problems.ask,
    propagation.ask,
    variance.ask,
    predictors.ask,
    movement.ask,
    kernels.ask,
    trained.ask,
    take_home.ask,
)


def ask(sweep: Sweep) -> Iterator[Answer]:
    """Yields the answer to each question to which the sweep has one, in the report's order."""
    for question in QUESTIONS:
        answer = question(sweep)
        if answer is not None:
            yield answer
