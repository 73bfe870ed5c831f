"""What is minimized and what is measured, by the task."""

from typing import Any

from runner.models import outputs_logits

METRIC = {"classification": "accuracy", "regression": "mae"}


def loss_function(model: Any, task: str) -> Any:
    """Returns the Keras loss: cross-entropy by the kind of the outputs, or squared error."""
    import keras

    if task == "regression":
        return keras.losses.MeanSquaredError()
    return keras.losses.SparseCategoricalCrossentropy(from_logits=outputs_logits(model))


def own_methods(model: Any) -> list[str]:
    """Returns the methods by which a model minimizes something else, or in another way."""
    import keras

    names = ("train_step", "test_step", "compute_loss")
    return [name for name in names if getattr(type(model), name) is not getattr(keras.Model, name)]


def metric_object(task: str) -> Any:
    """Returns the Keras metric that stands beside the loss."""
    import keras

    if task == "regression":
        return keras.metrics.MeanAbsoluteError(name=METRIC[task])
    return keras.metrics.SparseCategoricalAccuracy(name=METRIC[task])


def metric(task: str, targets: Any, outputs: Any) -> Any:
    """Returns the same metric of one batch as a scalar tensor, in operations that XLA does well.

    Args:
      task: `"classification"` or `"regression"`.
      targets: Classes, shape (batch,), or values, shape (batch, num_outputs).
      outputs: Shape (batch, num_outputs).
    """
    import tensorflow as tf

    if task == "regression":
        return tf.reduce_mean(tf.abs(targets - outputs))
    # The first of the largest outputs, as argmax has it: equal outputs name class 0, not any class.
    classes = tf.range(outputs.shape[-1], dtype=targets.dtype)
    largest = outputs >= tf.reduce_max(outputs, axis=-1, keepdims=True)
    predicted = tf.reduce_min(tf.where(largest, classes, outputs.shape[-1]), axis=-1)
    return tf.reduce_mean(tf.cast(predicted == targets, outputs.dtype))
