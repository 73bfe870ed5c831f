"""Whether what a user wants to minimize fits the model and the data: tried before any training."""

from typing import Any

import numpy as np

from runner.anatomy.calls import called
from runner.config import ConfigError
from runner.datasets.dataset import Dataset
from runner.imports import told
from runner.training.comparisons import objection
from runner.training.objective import Objective

_EXAMPLES = 16
# Rounding may make so large a difference, relatively.
_ROUNDING = 1e-4


def check_goal(model: Any, dataset: Dataset) -> None:
    """Tries the loss that the user names on a few examples.

    Raises:
      ConfigError: It does not fit, or raises; is no mean over examples, or not finite; or has no
        gradient.
    """
    objective = Objective(model, dataset)
    if dataset.goal.loss is None:
        return
    if why := objection(objective.compared, dataset.train.y):
        raise _unfit(dataset, why)
    import tensorflow as tf

    x, y = dataset.probe(_EXAMPLES)
    try:
        outputs = tf.convert_to_tensor(called(model, x, training=False))
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            values = tf.convert_to_tensor(objective.compared(y, outputs))
            loss = objective.loss(y, outputs)
        gradient = tape.gradient(loss, outputs)
        pairs = [slice(first, first + 2) for first in range(0, len(y), 2)]
        parts = [float(objective.loss(y[rows], outputs[rows])) for rows in pairs]
    except Exception as error:  # whatever the user's code, or Keras, raises
        raise _unfit(dataset, told(error)) from error
    if not values.shape.rank and dataset.train.weight is not None:
        raise _unfit(dataset, "it gives one value for all examples, which cannot be weighted")
    if values.shape.rank and values.shape[0] != len(y):
        raise _unfit(dataset, f"of {len(y)} examples it gives values of shape {values.shape}")
    if not np.isfinite(loss):
        raise _unfit(dataset, f"it is {float(loss):g} for the untrained model")
    if gradient is None or not np.isfinite(gradient).all():
        what = "no" if gradient is None else "no finite"
        raise _unfit(dataset, f"it has {what} gradient with respect to the outputs")
    mean = np.average(parts, weights=[len(y[rows]) for rows in pairs])
    if abs(mean - loss) > _ROUNDING * max(abs(mean), abs(loss)):
        why = f"of {len(y)} examples it is {float(loss):.5g}, of pairs of them {mean:.5g}"
        raise _unfit(dataset, f"{why} on average: it is no mean over examples")


def _unfit(dataset: Dataset, why: str) -> ConfigError:
    return ConfigError.at(
        "training.loss",
        f"a loss that fits the model's outputs and the targets (task: {dataset.task})",
        dataset.goal.loss,
        f"It does not: {why}.",
    )
