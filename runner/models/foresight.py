"""Whether a model that is to predict the next token is given it."""

from typing import Any

import numpy as np

from runner.anatomy.calls import called


def predicts_next(task: str, part: Any) -> bool:
    """Tells whether the target at each step of a data set is the input at the next one.

    Args:
      task: What the targets are.
      part: Inputs and targets, a `Part`.
    """
    x, y = part.x, part.y
    if task != "tokens" or not isinstance(x, np.ndarray) or x.shape != y.shape:
        return False
    return bool((x[:, 1:] == y[:, :-1]).all())


def sees_later_steps(model: Any, x: np.ndarray) -> bool:
    """Tells whether the outputs at the first half of the steps change with the second half.

    Args:
      model: A built Keras model, with whatever weights it was built with.
      x: Tokens, shape (n, steps), at least 2 steps.
    """
    half = x.shape[1] // 2
    changed = x.copy()
    changed[:, half:] = np.where(x[:, half:] == x.max(), x.min(), x.max())
    before, after = (
        np.asarray(called(model, values, training=False), np.float64)[:, :half]
        for values in (x, changed)
    )
    return not np.allclose(before, after, rtol=1e-3, atol=1e-6, equal_nan=True)
