"""Weights of examples: read beside them, checked, and divided like them."""

from dataclasses import replace

import numpy as np

from runner.config import ConfigError, shown
from runner.datasets.dataset import Dataset, Part
from runner.datasets.files import WIDE
from runner.datasets.settings import Examples
from runner.datasets.split import Rows

KEY = "dataset.sample_weight"


def checked_weights(examples: Examples) -> Examples:
    """Returns the examples with weights of shape (n,), float32.

    Raises:
      ConfigError: They are no finite, non-negative numbers, one for each example.
    """
    pairs = ((examples.weight, examples.y), (examples.weight_test, examples.y_test))
    weight, weight_test = (
        None if weights is None or y is None else _checked(weights, len(y), examples)
        for weights, y in pairs
    )
    return replace(examples, weight=weight, weight_test=weight_test)


def _checked(weights: np.ndarray, count: int, examples: Examples) -> np.ndarray:
    if weights.shape == (count, 1):
        weights = weights[:, 0]
    received = ""
    if weights.shape != (count,) or weights.dtype.kind not in "biuf":
        received = f"{weights.dtype} of shape {weights.shape} for {count} examples"
    elif not (as_floats := weights.astype(np.float64)).size or not np.isfinite(as_floats).all():
        received = f"{int((~np.isfinite(as_floats)).sum())} values NaN or infinite"
    elif (as_floats < 0).any():
        received = f"the least is {as_floats.min():g}"
    if received:
        rule = "name one finite number for each example, none of them negative"
        raise ConfigError(f"`{KEY}` must {rule}. Received: {received}, {_place(examples)}.")
    return weights.astype(np.float32)


def weighted(dataset: Dataset, examples: Examples, rows: Rows) -> Dataset:
    """Returns the data set with the weights of its examples.

    Args:
      dataset: What was made of the examples.
      examples: With checked weights.
      rows: Positions of the training, validation and test part.

    Raises:
      ConfigError: All examples of a part have the weight 0.
    """
    if examples.weight is None:
        return dataset

    def of(part: Part, name: str, weights: np.ndarray) -> Part:
        if not weights.any():
            rule = (
                f"name weights of which some are positive in each part. Received: 0 in the {name}"
            )
            raise ConfigError(f"`{KEY}` must {rule} part, {_place(examples)}.")
        return replace(part, weight=weights)

    test, weights = dataset.test, examples.weight_test
    if rows.test is not None:
        weights = examples.weight[rows.test]
    if test is not None and weights is not None:
        test = of(test, "test", weights)
    return replace(
        dataset,
        train=of(dataset.train, "training", examples.weight[rows.train]),
        validation=of(dataset.validation, "validation", examples.weight[rows.validation]),
        test=test,
    )


def _place(examples: Examples) -> str:
    return f"in {shown(examples.source, WIDE)}"
