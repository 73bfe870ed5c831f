"""Whether what was read can be trained on: shapes that fit, numbers that are finite."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runner.config import ConfigError, shown
from runner.datasets.files import WIDE
from runner.datasets.settings import Examples

# Training computes in single precision; larger numbers would be infinite there.
_LARGEST = np.finfo(np.float32).max
_NUMERIC = "biuf"
_NAMED_COLUMNS = 3
# Axes of texts, one for each step of each example.
_STEPS = 2
_BLOCK_ROWS = 4096


def checked(examples: Examples) -> Examples:
    """Returns the examples with `x` of at least two axes, and `y` without an axis of length 1.

    Raises:
      ConfigError: They are empty, of different lengths or shapes, no numbers, or not finite.
    """
    of = f".{examples.input_name}" if examples.input_name else ""
    x, y = _examples(examples, f"x{of}", examples.x, examples.target, examples.y)
    if examples.x_test is None or examples.y_test is None:
        return replace(examples, x=x, y=y)
    tested = examples.x_test, "y_test", examples.y_test
    x_test, y_test = _examples(examples, f"x_test{of}", *tested)
    for name, part, whole in (("x", x_test, x), ("y", y_test, y)):
        if part.shape[1:] != whole.shape[1:]:
            raise _refuse(
                examples,
                f"the same shape of an example in {name}_test as in {name}",
                f"{part.shape[1:]} and {whole.shape[1:]}",
            )
    return replace(examples, x=x, y=y, x_test=x_test, y_test=y_test)


def _examples(
    examples: Examples, x_name: str, x: np.ndarray, y_name: str, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and targets in their standard shapes, after all checks."""
    for name, array in ((x_name, x), (y_name, y)):
        if array.ndim == 0 or array.size == 0:
            raise _refuse(examples, "at least one example", f"{name} of shape {array.shape}")
    if len(x) != len(y):
        received = f"{len(x)} in {x_name} and {len(y)} in {shown(y_name)}"
        raise _refuse(examples, "as many inputs as targets", received)
    if x.dtype.kind not in _NUMERIC:
        raise _refuse(examples, f"numbers in {x_name}", f"the dtype {shown(str(x.dtype))}")
    x = x.reshape(len(x), -1) if x.ndim == 1 else x
    y = _flat_targets(examples, y_name, y)
    _check_finite(examples, x_name, x, examples.inputs)
    if y.dtype.kind in _NUMERIC:
        _check_finite(examples, y_name, y, ())
    return x, y


def _flat_targets(examples: Examples, name: str, y: np.ndarray) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    is_text = y.dtype.kind == "U"
    if not (is_text or y.dtype.kind in _NUMERIC) or (is_text and y.ndim > _STEPS):
        raise _refuse(
            examples,
            f"{shown(name)} as one text or number, or an array of numbers, for each example",
            f"the dtype {shown(str(y.dtype))} and the shape {y.shape}",
        )
    return y


def _check_finite(examples: Examples, name: str, x: np.ndarray, columns: Sequence[str]) -> None:
    if x.dtype.kind in "biu" or _is_finite(x):
        return
    bad = ~(np.abs(x) <= _LARGEST)
    if name.startswith("x") and examples.steps:  # which fill in what is missing
        bad &= ~np.isnan(x)
    if not bad.any():
        return
    where = shown(name)
    if x.ndim == 2:
        counts = bad.sum(axis=0)
        worst = np.flatnonzero(counts)
        named = [str(columns[i]) if columns else int(i) for i in worst[:_NAMED_COLUMNS]]
        more = len(worst) - len(named)
        where = f"{'columns' if len(worst) > 1 else 'column'} {shown(named)[1:-1]}"
        where += f" and {more} more of {name}" if more else f" of {name}"
    num = int(bad.sum())
    can_fill = examples.key == "dataset.path" and name.startswith("x") and np.isnan(x).any()
    raise _refuse(
        examples,
        "only finite numbers that fit single precision",
        f"{num} {'values' if num > 1 else 'value'} NaN, infinite or too large in {where}",
        "Set dataset.missing=fill or drop, or leave out those columns."
        if can_fill
        else "Fill in or leave out those examples or columns.",
    )


def _is_finite(x: np.ndarray) -> bool:
    """Tells whether all numbers are finite; what is large is looked at in blocks."""
    blocks = (x[first : first + _BLOCK_ROWS] for first in range(0, len(x), _BLOCK_ROWS))
    return all(bool((np.abs(block) <= _LARGEST).all()) for block in blocks)


def _refuse(examples: Examples, rule: str, received: str, advice: str = "") -> ConfigError:
    tail = f" {advice}" if advice else ""
    return ConfigError(
        f"`{examples.key}` must hold {rule}. Received: {received}, in "
        f"{shown(examples.source, WIDE)}.{tail}"
    )
