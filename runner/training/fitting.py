"""Whether what a user wants to minimize and measure fits the model and the data."""

from typing import Any

import numpy as np

from runner.anatomy.calls import called
from runner.config import ConfigError
from runner.datasets.dataset import Dataset
from runner.imports import told
from runner.training.comparisons import objection
from runner.training.objective import Objective, unfit_metric

_EXAMPLES = 16
# Rounding may make so large a difference, relatively.
_ROUNDING = 1e-4


def check_goal(model: Any, dataset: Dataset) -> None:
    """Tries the loss and the metrics that the user names on a few examples.

    Raises:
      ConfigError: One does not fit, or raises; is no mean over examples, or not finite; or the loss
        has no gradient.
    """
    objective = Objective(model, dataset)
    for name in objective.own:
        _check_metric(model, dataset, objective, name)
    if dataset.goal.loss is not None:
        _check_loss(model, dataset, objective)


def _check_metric(model: Any, dataset: Dataset, objective: Objective, name: str) -> None:
    metric = objective.own[name]
    if why := objection(metric, dataset.train.y):
        raise unfit_metric(dataset, name, why)
    import tensorflow as tf

    x, y = dataset.probe(_EXAMPLES)
    try:
        outputs = tf.convert_to_tensor(called(model, x, training=False))
        targets = tf.cast(y, outputs.dtype)
        values = np.asarray(metric(targets, outputs), float)
        parts = [metric(targets[rows], outputs[rows]) for rows in _pairs(len(y))]
        alone = np.concatenate([np.asarray(part, float) for part in parts])
    except Exception as error:  # whatever the user's code, or Keras, raises
        raise unfit_metric(dataset, name, told(error)) from error
    if not np.isfinite(values).all():
        raise unfit_metric(dataset, name, "it is not finite for the untrained model")
    if not np.allclose(values, alone, rtol=_ROUNDING, atol=_ROUNDING * np.abs(values).max()):
        raise unfit_metric(dataset, name, "what it gives for an example depends on the others")


def _check_loss(model: Any, dataset: Dataset, objective: Objective) -> None:
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
        pairs = _pairs(len(y))
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


def _pairs(count: int) -> list[slice]:
    return [slice(first, first + 2) for first in range(0, count, 2)]


def _unfit(dataset: Dataset, why: str) -> ConfigError:
    return ConfigError.at(
        "training.loss",
        f"a loss that fits the model's outputs and the targets (task: {dataset.task})",
        dataset.goal.loss,
        f"It does not: {why}.",
    )
