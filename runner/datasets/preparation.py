"""From examples as they come to the data set that training sees."""

from collections.abc import Sequence

import numpy as np

from runner.config import ConfigError, shown
from runner.datasets import split
from runner.datasets.checks import checked
from runner.datasets.dataset import Dataset, Part
from runner.datasets.files import WIDE
from runner.datasets.labels import Targets, targets
from runner.datasets.scaling import EXACT, plain, standardization, whole
from runner.datasets.settings import DEFAULT_TEST, Examples, Settings


def prepare(
    name: str, examples: Examples, settings: Settings, looked_up: Sequence[int] = ()
) -> Dataset:
    """Checks, splits and scales.

    Args:
      name: Name of the option.
      examples: What it has read.
      settings: Its settings.
      looked_up: Positions along the last axis of inputs that stay as they are.

    Raises:
      ConfigError: The examples cannot be trained on, or not be split as asked.
    """
    examples = checked(examples)
    target = targets(examples)
    test_fraction = _test_fraction(examples, settings)
    try:
        rows = split.draw(*_strata(target, settings, test_fraction), settings, test_fraction)
    except ConfigError as error:
        raise ConfigError(f"{error} {target.guess}".rstrip()) from None
    train = examples.x[rows.train], target.y[rows.train]
    _check_varies(train[1], examples)
    fit = plain if settings.standardize is False else standardization
    scale_x = fit(train[0])
    if looked_up:
        scale_x = scale_x.sparing(looked_up, train[0].shape[1:])
        _check_exact(looked_up, examples)
    scale_y = fit(train[1]) if target.task == "regression" else None

    def part(x: np.ndarray, y: np.ndarray) -> Part:
        return Part(scale_x.apply(x), scale_y.apply(y) if scale_y else y)

    test = None
    if examples.x_test is not None and target.y_test is not None:
        test = part(examples.x_test, target.y_test)
    elif rows.test is not None:
        test = part(examples.x[rows.test], target.y[rows.test])
    return Dataset(
        name=name,
        task=target.task,
        num_outputs=len(target.classes) or target.y.shape[1],
        train=part(*train),
        validation=part(examples.x[rows.validation], target.y[rows.validation]),
        test=test,
        classes=target.classes,
        notes=examples.notes,
        task_guess=target.guess,
        whole=whole(train[0]),
        vocabulary=examples.vocabulary,
    )


def _strata(target: Targets, settings: Settings, test: float) -> tuple[np.ndarray, tuple[str, ...]]:
    if target.task == "classification":
        return target.y, target.classes
    if target.task == "multilabel":
        strata = split.label_sets(target.y, settings, test)
        return strata, ("",) * (int(strata.max()) + 1)
    return np.zeros(len(target.y), np.int32), ("",)


def _test_fraction(examples: Examples, settings: Settings) -> float:
    """Returns the fraction to draw: none of it where there is an official test part."""
    if examples.x_test is None:
        return DEFAULT_TEST if settings.test is None else settings.test
    if settings.test is not None:
        raise ConfigError.at(
            "dataset.test",
            f"null where {shown(examples.source)} has its own test part",
            settings.test,
        )
    return 0.0


def _check_exact(looked_up: Sequence[int], examples: Examples) -> None:
    for x in (examples.x, examples.x_test):
        numbers = np.zeros(1) if x is None else x[..., list(looked_up)]
        if max(numbers.max(), -numbers.astype(np.float64).min()) > EXACT:
            raise ConfigError(
                f"`{examples.key}` must hold numbers to look up that single precision can hold: at "
                f"most {EXACT:,}. Received: {shown(numbers.max().item())} in "
                f"{shown(examples.source, WIDE)}. Renumber them from 0."
            )


def _check_varies(y: np.ndarray, examples: Examples) -> None:
    if (y == y[0]).all():
        raise ConfigError(
            f"`{examples.key}` must hold targets that differ. Received: the same value in all "
            f"{len(y)} training rows of {shown(examples.target)} in {shown(examples.source, WIDE)}."
        )
