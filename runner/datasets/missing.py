"""Values that are missing: refused, their examples dropped, or filled in from the training part."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from runner.config import ConfigError, one_of, shown
from runner.datasets.files import WIDE
from runner.datasets.settings import Examples

MISSING = one_of("refuse", "drop", "fill")


@dataclass(frozen=True)
class Filled:
    """Puts a value for each feature in the place of NaN.

    Attributes:
      values: Of the last axis.
    """

    values: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Returns `x` without NaN."""
        return np.where(np.isnan(x), self.values, x)


@dataclass(frozen=True)
class Fill:
    """Fills in the mean of a feature, and the most frequent category.

    Attributes:
      names: Of the features, for the messages; empty where they have none.
      categories: Positions of the features that are the categories of one column; also single
        features that are true or false, whose most frequent value is taken.
      key, source: For the messages.
    """

    names: tuple[str, ...] = ()
    categories: tuple[tuple[int, ...], ...] = ()
    key: str = "dataset.path"
    source: str = ""

    def fit(self, x: np.ndarray) -> Filled:
        """Returns the values of the training part, shape (n, ..., features).

        Raises:
          ConfigError: A feature has none.
        """
        rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
        there = ~np.isnan(rows)
        if not there.any(axis=0).all():
            empty = int(np.flatnonzero(~there.any(axis=0))[0])
            raise ConfigError(
                f"`{self.key}` must hold a value of every input in the training part. Received: "
                f"none of {shown(self.names[empty] if self.names else empty)}, in "
                f"{shown(self.source, WIDE)}. Leave that input out."
            )
        values = np.where(there, rows, 0).sum(axis=0) / there.sum(axis=0)
        for places in map(list, self.categories):
            shares = values[places]
            values[places] = (
                shares > 0.5 if len(places) == 1 else np.eye(len(places))[shares.argmax()]
            )
        return Filled(values)


def settled(examples: Examples, missing: str, fill: Fill) -> Examples:
    """Returns the examples as `dataset.missing` says; a missing target is never filled in.

    Args:
      examples: May hold NaN where a value is missing.
      missing: `"refuse"`, `"drop"` or `"fill"`.
      fill: How to fill in.
    """
    if missing == "refuse" or any(not x.ndim for x in _inputs(examples.x)):
        return examples
    train = _kept(examples.x, examples.y, examples.weight, missing)
    num_validation = examples.num_validation
    notes = []
    if dropped := int((~train).sum()):
        notes.append(_dropped(dropped, len(train), missing))
        num_validation = int(train[len(train) - num_validation :].sum())
    if examples.num_validation and not num_validation:
        raise ConfigError(
            f"`{fill.key}` must hold a validation part with an example that has what it needs. "
            f"Received: none that is left, in {shown(fill.source, WIDE)}."
        )
    examples = replace(
        examples,
        x=_rows(examples.x, train),
        y=examples.y[train],
        weight=None if examples.weight is None else examples.weight[train],
        num_validation=num_validation,
    )
    if examples.x_test is not None and examples.y_test is not None:
        kept = _kept(examples.x_test, examples.y_test, examples.weight_test, missing)
        if dropped := int((~kept).sum()):
            notes.append(f"{_dropped(dropped, len(kept), missing)[:-1]} in the test part.")
        examples = replace(
            examples,
            x_test=_rows(examples.x_test, kept),
            y_test=examples.y_test[kept],
            weight_test=None if examples.weight_test is None else examples.weight_test[kept],
        )
    inputs = [*_inputs(examples.x), *_inputs(examples.x_test)]
    if num := sum(int(_is_missing(x).sum()) for x in inputs):
        notes.append(f"{num} missing values are filled in with the mean of the training part.")
        examples = replace(examples, steps=(*examples.steps, fill))
    name = examples.source.rpartition("/")[-1]
    return replace(examples, notes=(*examples.notes, *(f"{name}: {note}" for note in notes)))


def _inputs(x: Any) -> list[np.ndarray]:
    """Returns the inputs: one, several or none."""
    if isinstance(x, dict):
        return list(x.values())
    return [] if x is None else [x]


def _rows(x: Any, kept: np.ndarray) -> Any:
    return {name: one[kept] for name, one in x.items()} if isinstance(x, dict) else x[kept]


def _kept(x: Any, y: np.ndarray, weight: np.ndarray | None, missing: str) -> np.ndarray:
    """Returns which examples stay, shape (n,)."""
    inputs, weights = _inputs(x), _inputs(weight)
    if any(one.shape[:1] != y.shape[:1] for one in (*inputs, *weights)):  # refused later
        return np.ones(y.shape[:1], bool)
    kept = ~without_value(y)
    for one in weights:
        kept &= ~without_value(one)
    for one in inputs if missing == "drop" else ():
        kept &= ~without_value(one)
    return kept


def without_value(values: np.ndarray) -> np.ndarray:
    """Returns which examples miss a value, shape (n,)."""
    return np.asarray(_is_missing(values).any(axis=tuple(range(1, values.ndim))))


def _is_missing(values: np.ndarray) -> np.ndarray:
    absent = np.zeros(values.shape, bool)
    if values.dtype.kind == "U":
        absent[values == ""] = True
    elif values.dtype.kind == "f":
        absent[np.isnan(values)] = True
    return absent


def _dropped(num: int, total: int, missing: str) -> str:
    why = "a missing value" if missing == "drop" else "no target"
    return f"{num} of {total} examples are left out because they have {why}."
