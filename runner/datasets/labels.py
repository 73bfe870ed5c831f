"""What the targets are: classes or quantities; and classes of any kind become 0..k-1."""

from dataclasses import dataclass

import numpy as np

from runner.config import ConfigError, shown
from runner.datasets.files import WIDE
from runner.datasets.settings import Examples, Task

# Whole numbers with at most so many distinct values are taken for classes ...
_FEW_VALUES = 20
# ... and more of them only if they are exactly 0..k-1 and each occurs so often on average.
_MANY_EACH = 10


@dataclass(frozen=True)
class Targets:
    """Targets in the form that training uses.

    Attributes:
      task: What they are.
      y: Classes, shape (n,), int32; or numbers, shape (n, num_outputs), float64.
      y_test: The same for the official test part, or None.
      classes: Names in the order of the labels; empty for regression.
    """

    task: Task
    y: np.ndarray
    y_test: np.ndarray | None
    classes: tuple[str, ...]


def targets(examples: Examples) -> Targets:
    """Returns the targets of checked examples.

    Raises:
      ConfigError: They do not fit the task, hold one class only, or a class of the test part is
        unknown.
    """
    task = examples.task or guess(examples.y)
    if task == "regression":
        return _quantities(examples)
    return _classes(examples)


def guess(y: np.ndarray) -> Task:
    """Tells the task from the targets.

    Texts, booleans and one-hot rows are classes. So are whole numbers, of whatever dtype, that take
    few values, or that are the labels 0..k-1 with many examples of each. All else are quantities.
    """
    if y.ndim == 2:
        return "classification" if is_one_hot(y) else "regression"
    if y.dtype.kind in "bU":
        return "classification"
    if not _whole(y).all():
        return "regression"
    values = np.unique(y)
    num = len(values)
    labels = num * _MANY_EACH <= len(y) and np.array_equal(values, np.arange(num))
    return "classification" if num <= _FEW_VALUES or labels else "regression"


def is_one_hot(y: np.ndarray) -> bool:
    """Tells whether each row of the numbers `y`, shape (n, k), is a single one among zeros."""
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _whole(y: np.ndarray) -> np.ndarray:
    return np.ones(y.shape, bool) if y.dtype.kind in "bU" else y == np.round(y)


def _quantities(examples: Examples) -> Targets:
    parts = [part for part in (examples.y, examples.y_test) if part is not None]
    if any(part.dtype.kind == "U" for part in parts):
        raise ConfigError.at(
            "dataset.task",
            f"classification where the target {shown(examples.target)} is text",
            "regression",
        )
    y, *rest = (part.reshape(len(part), -1).astype(np.float64) for part in parts)
    return Targets("regression", y, rest[0] if rest else None, ())


def _classes(examples: Examples) -> Targets:
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
        raise ConfigError(
            f"`dataset.task` must be regression where {shown(examples.target)} has several columns "
            f"that are not one-hot. Received: classification, and shape {y.shape}."
        )
    if not _whole(y).all():
        raise ConfigError(
            f"`dataset.task` must be regression where {shown(examples.target)} holds numbers that "
            f"are not whole. Received: classification, and {y[~_whole(y)][0]:g} among them."
        )
    return y.argmax(axis=1) if y.ndim == 2 else y


def _name(value: np.generic) -> str:
    plain = value.item()
    return str(int(plain)) if isinstance(plain, float) else str(plain)


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
