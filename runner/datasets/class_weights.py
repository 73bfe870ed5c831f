"""How much each class counts in the loss."""

from collections.abc import Mapping, Sequence

import numpy as np

from runner.config import ConfigError, shown
from runner.plan import BALANCED
from runner.spelling import did_you_mean
from runner.tasks import Task

_KEY = "training.class_weight"


def class_weights(
    wanted: str | Mapping[str, float], task: Task, names: Sequence[str], num: int, y: np.ndarray
) -> np.ndarray:
    """Returns the weight of each class, shape (classes,), float64.

    Args:
      wanted: `"balanced"` for the number of examples over that of classes and that of examples of
        the class, as scikit-learn has it; or weights by the names of classes, 1 for the others.
      task: Of the data.
      names: Of the classes, by their number.
      num: How many classes there are.
      y: Classes of the training part.

    Raises:
      ConfigError: The data has no classes, or not those that are named, or nothing is left.
    """
    if task not in ("classification", "tokens"):
        raise ConfigError.at(_KEY, f"null where there are no classes (task: {task})", wanted)
    counts = np.bincount(y.reshape(-1), minlength=num)
    if isinstance(wanted, str):
        assert wanted == BALANCED, wanted
        return y.size / np.maximum(counts, 1) / num
    weights = np.ones(num)
    for name, weight in wanted.items():
        if name not in names:
            rule = f"balanced, or weights of the classes {shown(list(names))}"
            raise ConfigError.at(_KEY, rule, name, did_you_mean(name, names).strip())
        weights[list(names).index(name)] = weight
    if not weights[counts > 0].any():
        raise ConfigError.at(_KEY, "positive for some class", dict(wanted))
    return weights
