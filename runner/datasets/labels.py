"""What the targets are: classes, labels or quantities; and classes of any kind become 0..k-1."""

from dataclasses import dataclass, replace

import numpy as np

from runner.config import ConfigError, shown
from runner.datasets.files import WIDE
from runner.datasets.settings import Examples
from runner.tasks import Task

# Whole numbers with at most so many distinct values are taken for classes ...
_FEW_VALUES = 20
# ... and more of them only if they are exactly 0..k-1, or 1..k evenly, and each occurs so often on
# average.
_MANY_EACH = 10
# Even: the counts' standard deviation in means. Balanced classes that a sample has drawn stay below
# 1 / sqrt(10) = 0.32; quantities have rare values: counts that fall to nothing have 0.58.
_EVEN = 0.5
# With fewer examples of each, no value could be a class: it would be missing in some part.
_FEWEST_EACH = 2


@dataclass(frozen=True)
class Targets:
    """Targets in the form that training uses.

    Attributes:
      task: What they are.
      y: Classes, shape (n,), int32, or at each step, shape (n, steps), int32; labels, 0 or 1, shape
        (n, num_outputs), int32; or quantities, shape (n, ...).
      y_test: The same for the official test part, or None.
      classes: Names of the classes 0..k-1; empty for other tasks.
      guess: What they were taken for, where that was guessed and may be wrong; else empty.
    """

    task: Task
    y: np.ndarray
    y_test: np.ndarray | None
    classes: tuple[str, ...]
    guess: str = ""


def targets(examples: Examples) -> Targets:
    """Returns the targets of checked examples.

    Raises:
      ConfigError: They do not fit the task, hold one class only, or a class of the test part is
        unknown.
    """
    task, why = examples.task, ""
    if task is None:
        task, why = guess(_all_targets(examples))
    if why:
        why = f"Target {shown(examples.target)} of {shown(examples.source, WIDE)}: {why}"
    made = {
        "classification": _classes,
        "multilabel": _many_labels,
        "tokens": _tokens,
        "regression": _quantities,
    }
    return replace(made[task](examples), guess=why)


def guess(y: np.ndarray) -> tuple[Task, str]:
    """Tells the task from the targets, and what a user should know who means another one.

    Texts, booleans and one-hot rows are classes. So are whole numbers, of whatever dtype, that take
    few values, or that are the labels 0..k-1 with many examples of each, or 1..k with about equally
    many of each. Other rows of zeros and ones are labels. All else are quantities.

    Args:
      y: Shape (n, ...).

    Returns:
      The task; and the guess in words where another one is possible, else an empty text.
    """
    if y.ndim == 1:
        return _guess_of_values(y)
    if y.dtype.kind == "U":
        return "tokens", ""
    return _guess_of_rows(y) if y.ndim == 2 else ("regression", "")


def _guess_of_rows(y: np.ndarray) -> tuple[Task, str]:
    width = y.shape[1]
    if is_one_hot(y):
        return "classification", (
            f"rows with a single 1 among {width} columns are taken for classes (one-hot). For "
            f"labels that may occur together set dataset.task=multilabel, for quantities "
            f"dataset.task=regression."
        )
    if _is_zero_or_one(y):
        return "multilabel", (
            f"rows of 0 and 1 in {width} columns are taken for labels that may occur together "
            f"(multilabel). For quantities set dataset.task=regression."
        )
    if _whole(y).all() and len(values := np.unique(y)) <= _FEW_VALUES:
        return "regression", (
            f"rows of {_range(values)} are taken for quantities (regression). Labels that may "
            f"occur together must be 0 or 1, and a class one number. For a class at each step set "
            f"dataset.task=tokens."
        )
    if (y >= 0).all() and np.allclose(y.sum(axis=1), 1):
        return "regression", (
            f"rows of {width} numbers that sum to 1 are taken for quantities (regression). "
            f"Classes must be one label for each example, or one-hot rows."
        )
    return "regression", ""


def _guess_of_values(y: np.ndarray) -> tuple[Task, str]:
    if y.dtype.kind in "bU":
        return "classification", ""
    values, counts = np.unique(y, return_counts=True)
    if not _are_classes(values, counts):
        if len(y) < _FEWEST_EACH * len(values) or not _can_be_classes(values):
            return "regression", ""
        return "regression", (
            f"{_range(values)} are taken for quantities (regression). "
            f"For classes set dataset.task=classification."
        )
    if y.dtype.kind in "iu" and np.array_equal(values, [0, 1]):
        return "classification", ""
    return "classification", (
        f"{_range(values)} are taken for classes (classification). "
        f"For quantities set dataset.task=regression."
    )


def _are_classes(values: np.ndarray, counts: np.ndarray) -> bool:
    """Tells whether distinct numbers that occur so often are more likely classes."""
    num = len(values)
    if not _whole(values).all() or num <= _FEW_VALUES:
        return bool(_whole(values).all())
    first = values[0]
    if counts.mean() < _MANY_EACH or not np.array_equal(values, first + np.arange(num)):
        return False
    return bool(first == 0 or (first == 1 and counts.std() <= _EVEN * counts.mean()))


def _can_be_classes(values: np.ndarray) -> bool:
    return len(values) <= _FEW_VALUES or bool(_whole(values).all())


def _range(values: np.ndarray) -> str:
    """Returns such as `"26 different whole numbers from 1 to 26"`."""
    kind = "whole numbers" if _whole(values).all() else "numbers"
    return f"{len(values)} different {kind} from {_name(values[0])} to {_name(values[-1])}"


def _all_targets(examples: Examples) -> np.ndarray:
    """Returns the targets, those of the test part included where both are numbers."""
    y, y_test = examples.y, examples.y_test
    if y_test is None or "U" in (y.dtype.kind, y_test.dtype.kind):
        return y
    return np.concatenate([y, y_test])


def is_one_hot(y: np.ndarray) -> bool:
    """Tells whether each row of the numbers `y`, shape (..., k), is a single one among zeros."""
    return _is_zero_or_one(y) and bool((y.sum(axis=-1) == 1).all())


def _is_zero_or_one(y: np.ndarray) -> bool:
    return bool(((y == 0) | (y == 1)).all())


def _whole(y: np.ndarray) -> np.ndarray:
    return np.ones(y.shape, bool) if y.dtype.kind in "bU" else y == np.round(y)


def _many_labels(examples: Examples) -> Targets:
    parts = [part for part in (examples.y, examples.y_test) if part is not None]
    _check_axes(examples, "multilabel", 2)
    if any(part.dtype.kind == "U" for part in parts if part.ndim > 1):
        raise _texts(examples, "multilabel", "tokens")
    if examples.y.ndim == 1:
        fitting = "classification" + " or regression" * (examples.y.dtype.kind != "U")
        raise ConfigError(
            f"`dataset.task` must be {fitting} where {shown(examples.target)} is a single column. "
            f"Received: multilabel, which needs a column of 0 and 1 for each label, such as the "
            f"rows of y in an .npz file (dataset=arrays)."
        )
    for part in parts:
        if not _is_zero_or_one(part):
            other = part[(part != 0) & (part != 1)][0]
            raise ConfigError(
                f"`dataset.task` must be regression where {shown(examples.target)} holds numbers "
                f"besides 0 and 1. Received: multilabel, and {other:g} among them."
            )
    y, *rest = (part.astype(np.int32) for part in parts)
    return Targets("multilabel", y, rest[0] if rest else None, ())


def _quantities(examples: Examples) -> Targets:
    parts = [part for part in (examples.y, examples.y_test) if part is not None]
    if any(part.dtype.kind == "U" for part in parts):
        raise _texts(examples, "regression", "classification" if examples.y.ndim == 1 else "tokens")
    y, *rest = (part.reshape(len(part), -1) if part.ndim == 1 else part for part in parts)
    return Targets("regression", y, rest[0] if rest else None, ())


def _texts(examples: Examples, task: Task, fitting: Task) -> ConfigError:
    rule = f"{fitting} where the target {shown(examples.target)} is text"
    return ConfigError.at("dataset.task", rule, task)


def _check_axes(examples: Examples, task: Task, most: int) -> None:
    if examples.y.ndim > most:
        rule = f"regression where {shown(examples.target)} has the shape {examples.y.shape}"
        raise ConfigError.at("dataset.task", rule, task)


def _tokens(examples: Examples) -> Targets:
    """Returns classes at each step; of the tokens of a vocabulary, their numbers as they are."""
    y, y_test = _steps(examples, examples.y), examples.y_test
    y_test = None if y_test is None else _steps(examples, y_test)
    num_known = examples.vocabulary or len(examples.classes)
    if num_known and y.dtype.kind in "iu":
        for part in (y, y_test):
            if part is not None and (part.min() < 0 or part.max() >= num_known):
                received = f"numbers from {part.min()} to {part.max()} in {shown(examples.target)}"
                rule = f"a class from 0 to {num_known - 1} at each step"
                raise ConfigError(f"`{examples.key}` must hold {rule}. Received: {received}.")
        names = examples.classes or tuple(map(str, range(num_known)))
        y_test = None if y_test is None else y_test.astype(np.int32)
        return Targets("tokens", y.astype(np.int32), y_test, names)
    values, numbers = np.unique(y, return_inverse=True)
    if not _can_be_classes(values):
        raise ConfigError.at("dataset.task", f"regression where y holds {_range(values)}", "tokens")
    names = tuple(_name(value) for value in values)
    known = None if y_test is None else _known(y_test, values, examples)
    return Targets("tokens", numbers.reshape(y.shape).astype(np.int32), known, names)


def _steps(examples: Examples, y: np.ndarray) -> np.ndarray:
    """Returns one label for each step, shape (n, steps)."""
    if y.ndim == 3 and is_one_hot(y):
        return y.argmax(axis=-1)
    if y.ndim != 2:
        raise ConfigError(
            f"`dataset.task` must be {'classification' if y.ndim == 1 else 'regression'} where "
            f"{shown(examples.target)} is no row of classes, one for each step. "
            f"Received: tokens, and shape {y.shape}."
        )
    return y


def _classes(examples: Examples) -> Targets:
    _check_axes(examples, "classification", 2)
    if examples.y.ndim > 1 and examples.y.dtype.kind == "U":
        raise _texts(examples, "classification", "tokens")
    values, y = np.unique(_labels(examples.y, examples), return_inverse=True)
    known = dict(enumerate(examples.classes))
    names = tuple(known.get(value.item(), _name(value)) for value in values)
    if len(names) < 2:
        raise ConfigError(
            f"`{examples.key}` must hold at least two classes. Received: only {shown(names[0])} "
            f"in all {len(y)} rows of {shown(examples.target)} in {shown(examples.source, WIDE)}."
        )
    y_test = None
    if examples.y_test is not None:
        y_test = _known(_labels(examples.y_test, examples), values, examples)
    return Targets("classification", y.astype(np.int32), y_test, names)


def _labels(y: np.ndarray, examples: Examples) -> np.ndarray:
    """Returns one label for each example, shape (n,)."""
    if y.ndim == 2 and not is_one_hot(y):
        task = "multilabel or regression" if _is_zero_or_one(y) else "regression"
        raise ConfigError(
            f"`dataset.task` must be {task} where {shown(examples.target)} has several columns "
            f"that are not one-hot. Received: classification, and shape {y.shape}."
        )
    if y.ndim == 1 and not _whole(y).all() and len(values := np.unique(y)) > _FEW_VALUES:
        raise ConfigError(
            f"`dataset.task` must be regression where {shown(examples.target)} holds more than "
            f"{_FEW_VALUES} different numbers that are not all whole. Received: classification, "
            f"and {_range(values)}."
        )
    return y.argmax(axis=1) if y.ndim == 2 else y


def _name(value: np.generic) -> str:
    plain = value.item()
    return str(int(plain) if isinstance(plain, float) and plain.is_integer() else value)


def _known(labels: np.ndarray, values: np.ndarray, examples: Examples) -> np.ndarray:
    """Returns the positions of `labels` among the classes `values` of the other examples."""
    unseen = np.setdiff1d(labels, values)
    if len(unseen):
        raise ConfigError(
            f"`{examples.key}` must hold only test labels that occur in the training data too. "
            f"Received: {shown([_name(value) for value in unseen])} in the test labels of "
            f"{shown(examples.source, WIDE)}."
        )
    return np.searchsorted(values, labels).astype(np.int32)
