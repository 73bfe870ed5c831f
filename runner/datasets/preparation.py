"""From examples as they come to the data set that training sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import Any

import numpy as np

from runner.config import ConfigError, shown
from runner.datasets import split
from runner.datasets.checks import checked
from runner.datasets.dataset import Dataset, Part
from runner.datasets.files import WIDE
from runner.datasets.held import Several, scaled
from runner.datasets.labels import Targets, targets
from runner.datasets.sample_weights import checked_weights, weighted
from runner.datasets.scaling import EXACT, is_whole, plain, standardization, whole
from runner.datasets.settings import DEFAULT_TEST, DEFAULT_VALIDATION, INPUT, Examples, Settings
from runner.datasets.shapes import shaped
from runner.datasets.vocabulary import PADDING, UNKNOWN
from runner.datasets.whitening import Whitening
from runner.tasks import Task

# Height, width and channels, after that of the examples.
_AXES_OF_IMAGES = 4

LookedUp = Sequence[int] | Mapping[str, Sequence[int]]


def prepare(
    name: str,
    examples: Examples,
    settings: Settings,
    looked_up: LookedUp = (),
    integers: bool | Mapping[str, bool] = False,
) -> Dataset:
    """Checks, splits and scales.

    Args:
      name: Name of the option.
      examples: What it has read.
      settings: Its settings.
      looked_up: Positions along the last axis of inputs that stay as they are.
      integers: Whether inputs that are all whole numbers stay such, int32. Both by the names of
        several inputs.

    Raises:
      ConfigError: The examples cannot be trained on, or not be split as asked.
    """
    if isinstance(examples.x, Mapping):
        return _of_several(name, examples, settings, looked_up, integers)
    is_mirrored = settings.target == INPUT and (
        examples.target != INPUT or examples.y is examples.x
    )
    examples = shaped(examples, settings)
    examples = checked(_reproduced(examples) if is_mirrored else examples)
    examples = checked_weights(examples)
    target = targets(examples)
    test_fraction = _test_fraction(examples, settings)
    try:
        rows = _rows(examples, target, settings, test_fraction)
    except ConfigError as error:
        raise ConfigError(f"{error} {target.guess}".rstrip()) from None
    parts = _Parts(
        train=(examples.x[rows.train], target.y[rows.train]),
        validation=(examples.x[rows.validation], target.y[rows.validation]),
    )
    if examples.x_test is not None and target.y_test is not None:
        parts = replace(parts, test=(examples.x_test, target.y_test))
    elif rows.test is not None:
        parts = replace(parts, test=(examples.x[rows.test], target.y[rows.test]))
    _check_varies(parts.train[1], examples, target.task)
    examples = replace(examples, x=examples.x[:0].copy(), x_test=None)  # they are divided
    for step in examples.steps:
        parts = parts.apply(step.fit(parts.train[0]).apply)
    if examples.vocabulary:
        made = _of_tokens(name, examples, target, parts, settings)
    else:
        assert not isinstance(looked_up, Mapping), "those of one input"
        made = _of_quantities(name, examples, target, parts, settings, looked_up, bool(integers))
        made = _mirrored(made) if is_mirrored else made
    return weighted(made, examples, rows)


def _of_several(
    name: str, examples: Examples, settings: Settings, looked_up: Any, integers: Any
) -> Dataset:
    """Returns the data set of examples with several inputs.

    Each input is prepared as if it were the only one: targets and split are the same for all.
    """
    if settings.target == INPUT:
        raise ConfigError.at("dataset.target", "null for several inputs", settings.target)
    tests = examples.x_test or dict.fromkeys(examples.x)
    made = {
        key: prepare(
            name,
            replace(examples, x=x, x_test=tests[key], input_name=key),
            settings,
            (looked_up or {}).get(key, ()),
            (integers or {}).get(key, False),
        )
        for key, x in examples.x.items()
    }

    def joined(part: str) -> Any:
        parts = {key: getattr(data, part) for key, data in made.items()}
        one = next(iter(parts.values()))
        x = Several({key: each.x for key, each in parts.items() if each})
        return one and Part(x, one.y, one.weight)

    parts = {part: joined(part) for part in ("train", "validation", "test")}
    whole_of: Any = {key: data.whole for key, data in made.items()}
    return replace(next(iter(made.values())), **parts, whole=whole_of)


@dataclass(frozen=True)
class _Parts:
    """Inputs and targets of each part; None for a part that there is not."""

    train: tuple[Any, np.ndarray]
    validation: tuple[Any, np.ndarray]
    test: tuple[Any, np.ndarray] | None = None

    def apply(
        self,
        to_x: Callable[[Any], Any],
        to_y: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> "_Parts":
        """Returns all parts with inputs, and targets, as functions give them."""

        def mapped(part: tuple[Any, np.ndarray]) -> tuple[Any, np.ndarray]:
            return to_x(part[0]), to_y(part[1]) if to_y else part[1]

        test = mapped(self.test) if self.test else None
        return _Parts(mapped(self.train), mapped(self.validation), test)

    def made(self) -> tuple[Part, Part, Part | None]:
        """Returns the training, validation and test part of a data set."""
        test = Part(*self.test) if self.test else None
        return Part(*self.train), Part(*self.validation), test


def _of_tokens(
    name: str, examples: Examples, target: Targets, parts: _Parts, settings: Settings
) -> Dataset:
    """Returns the data set of inputs that are token numbers; targets may be such too."""
    vocabulary, notes = examples.vocabulary, examples.notes
    if examples.limit is not None:
        found = examples.limit.fit(parts.train[0])
        is_tokens = target.task == "tokens"
        parts = parts.apply(found.apply, found.apply if is_tokens else None)
        vocabulary = found.size
        target = replace(target, y=parts.train[1], y_test=None) if is_tokens else target
        unknown = (parts.validation[0] == UNKNOWN).sum() / (parts.validation[0] != PADDING).sum()
        place = PurePath(examples.source).name
        told = f"{place}: {found.told}; {unknown:.2%} of the validation part are unknown."
        notes = (*notes, told)
    parts = parts.apply(lambda x: x.astype(np.int32))
    is_next = target.task == "tokens"
    return Dataset(
        name,
        target.task,
        vocabulary if is_next else _num_outputs(target),
        *parts.made(),
        classes=target.classes[:vocabulary] if is_next else target.classes,
        notes=notes,
        task_guess=target.guess,
        vocabulary=vocabulary,
        memory=settings.memory,
    )


def _of_quantities(
    name: str,
    examples: Examples,
    target: Targets,
    parts: _Parts,
    settings: Settings,
    looked_up: Sequence[int],
    integers: bool,
) -> Dataset:
    """Returns the data set of inputs that are quantities: scaled, or whitened."""
    train_x, train_y = parts.train
    codes = whole(train_x)
    is_plain = settings.standardize is False
    scale_x = plain(train_x) if is_plain and not settings.whiten else standardization(train_x)
    to_x: Any = scale_x.apply if settings.whiten else partial(scaled, scaling=scale_x)
    if looked_up:
        inputs = [part[0] for part in (parts.train, parts.validation, parts.test) if part]
        if integers and all(map(is_whole, inputs)):
            to_x = partial(np.ndarray.astype, dtype=np.int32)
        else:
            _check_exact(looked_up, inputs, examples)
            to_x = partial(scaled, scaling=scale_x.sparing(looked_up, train_x.shape[1:]))
    to_y = None
    if target.task == "regression":
        to_y = (plain if is_plain else standardization)(train_y).apply
    parts = parts.apply(to_x, to_y)
    if settings.whiten:
        if looked_up:
            raise ConfigError.at(
                "dataset.whiten", "null for a model that looks inputs up", settings.whiten
            )
        parts = parts.apply(Whitening.fit(parts.train[0], settings.whiten).apply)
    return Dataset(
        name,
        target.task,
        _num_outputs(target),
        *parts.made(),
        classes=target.classes,
        notes=examples.notes,
        task_guess=target.guess,
        whole=codes,
        has_pixels=examples.has_pixels or target.y.ndim == _AXES_OF_IMAGES,
        memory=settings.memory,
    )


def _mirrored(dataset: Dataset) -> Dataset:
    """Returns the data set with the inputs that the model sees as its targets."""

    def mirrored(part: Part) -> Part:
        seen = np.asarray(part.x)
        return Part(seen, seen)

    return replace(
        dataset,
        train=mirrored(dataset.train),
        validation=mirrored(dataset.validation),
        test=None if dataset.test is None else mirrored(dataset.test),
    )


def _reproduced(examples: Examples) -> Examples:
    """Returns the examples with their inputs as targets."""
    task: Task = "tokens" if examples.vocabulary else "regression"
    y, y_test = examples.x, examples.x_test
    if examples.steps:  # which fill in what is missing; the targets follow
        y, y_test = np.nan_to_num(y), None if y_test is None else np.nan_to_num(y_test)
    return replace(examples, y=y, y_test=y_test, task=task, target=INPUT, classes=())


def _num_outputs(target: Targets) -> int:
    return len(target.classes) or target.y.shape[-1]


def _rows(examples: Examples, target: Targets, settings: Settings, test: float) -> split.Rows:
    """Returns where each example goes; the last ones may be the official validation part."""
    num, official = len(target.y), examples.num_validation
    if not official:
        fraction = settings.validation or DEFAULT_VALIDATION
        return split.draw(*_strata(target, settings, fraction, test), settings, fraction, test)
    if settings.validation is not None and not examples.divided:
        rule = f"null where {shown(examples.source)} has its own validation part"
        raise ConfigError.at("dataset.validation", rule, settings.validation)
    others = replace(target, y=target.y[: num - official])
    strata, names = _strata(others, settings, 0, test)
    if len(missing := np.setdiff1d(np.arange(len(names)), strata)):
        raise ConfigError(
            f"`{examples.key}` must hold only validation labels that occur in the training data "
            f"too. Received: {shown([names[label] for label in missing])} in the validation labels "
            f"of {shown(examples.source, WIDE)}."
        )
    rows = split.draw(strata, names, settings, 0, test)
    return replace(rows, validation=np.arange(num - official, num))


def _strata(
    target: Targets, settings: Settings, validation: float, test: float
) -> tuple[np.ndarray, tuple[str, ...]]:
    if target.task == "classification":
        return target.y, target.classes
    if target.task == "multilabel":
        strata = split.label_sets(target.y, settings, validation, test)
        return strata, ("",) * (int(strata.max()) + 1)
    return np.zeros(len(target.y), np.int32), ("",)


def _test_fraction(examples: Examples, settings: Settings) -> float:
    """Returns the fraction to draw: none of it where there is an official test part."""
    if examples.divided:
        return 0.0
    if examples.x_test is None:
        return DEFAULT_TEST if settings.test is None else settings.test
    if settings.test is not None:
        raise ConfigError.at(
            "dataset.test",
            f"null where {shown(examples.source)} has its own test part",
            settings.test,
        )
    return 0.0


def _check_exact(
    looked_up: Sequence[int], inputs: Sequence[np.ndarray], examples: Examples
) -> None:
    for x in inputs:
        numbers = x[..., list(looked_up)]
        if max(numbers.max(), -numbers.astype(np.float64).min()) > EXACT:
            raise ConfigError(
                f"`{examples.key}` must hold numbers to look up that single precision can hold: at "
                f"most {EXACT:,}. Received: {shown(numbers.max().item())} in "
                f"{shown(examples.source, WIDE)}. Renumber them from 0."
            )


def _check_varies(y: np.ndarray, examples: Examples, task: Task) -> None:
    one = y.flat[0] if task == "tokens" else y[0]
    if (y == one).all():
        raise ConfigError(
            f"`{examples.key}` must hold targets that differ. Received: the same value in all "
            f"{len(y)} training rows of {shown(examples.target)} in {shown(examples.source, WIDE)}."
        )
