"""What is minimized and what is measured, by the task and by what the model puts out."""

from collections.abc import Callable
from typing import Any

from runner.models import num_units, outputs_logits
from runner.tasks import METRICS, Task


class Objective:
    """The loss and the metrics of a model.

    Classes are learned by cross-entropy; by the binary one where there is one output for two of
    them, and where each output is a label of its own, then averaged over the labels. Quantities are
    learned by their squared error.

    Attributes:
      loss: The Keras loss.
      answers: Metric -> how many answers an example gives to it, in the order of the columns.
    """

    def __init__(self, model: Any, task: Task) -> None:
        """Looks at what the model puts out.

        Args:
          model: A Keras model that fits the task.
          task: What is learned.
        """
        self._task = task
        units = num_units(model)
        self._is_binary = task == "multilabel" or (task == "classification" and units == 1)
        logits = task != "regression" and outputs_logits(model)
        # A class or label is predicted where its probability is above one half.
        self._threshold = 0.0 if logits else 0.5
        self.loss = self._loss(logits)
        self.answers = {name: units if name == "binary_accuracy" else 1 for name in METRICS[task]}

    def _loss(self, from_logits: bool) -> Any:
        import keras

        if self._task == "regression":
            return keras.losses.MeanSquaredError()
        if not self._is_binary:
            return keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        binary = keras.losses.BinaryCrossentropy(from_logits=from_logits)
        return binary if self._task == "multilabel" else _of_columns(binary)

    def keras_metrics(self) -> list[Any]:
        """Returns the Keras metrics that stand beside the loss."""
        import keras

        if self._task == "regression":
            return [keras.metrics.MeanAbsoluteError(name="mae")]
        if not self._is_binary:
            return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        measure = {
            "accuracy": keras.metrics.binary_accuracy,
            "binary_accuracy": keras.metrics.binary_accuracy,
            "exact_match": _exact_match,
        }
        return [
            keras.metrics.MeanMetricWrapper(measure[name], name, threshold=self._threshold)
            for name in self.answers
        ]

    def sums(self, targets: Any, outputs: Any) -> Any:
        """Returns the sums of the same metrics over a batch, in operations that XLA does well.

        Args:
          targets: Classes, shape (batch,), or labels or values, shape (batch, outputs).
          outputs: Shape (batch, outputs).

        Returns:
          For each metric the number of right answers, or the sum of the errors, shape (metrics,),
          float32, or what the outputs are in: that holds every number of answers up to 2^24.
        """
        import tensorflow as tf

        if self._task == "regression":
            targets = tf.cast(targets, outputs.dtype)
            return tf.reduce_sum(tf.abs(targets - outputs))[None] / outputs.shape[-1]
        if not self._is_binary:
            right = _largest(outputs, targets.dtype) == targets
            return tf.reduce_sum(_as_numbers(right))[None]
        predicted = tf.cast(outputs > self._threshold, targets.dtype)
        if self._task == "classification":
            return tf.reduce_sum(_as_numbers(predicted[:, 0] == targets))[None]
        right = predicted == targets
        whole = tf.reduce_all(right, axis=-1)
        return tf.stack([tf.reduce_sum(_as_numbers(answers)) for answers in (right, whole)])


def _as_numbers(values: Any) -> Any:
    import tensorflow as tf

    return tf.cast(values, tf.float32)


def _largest(outputs: Any, dtype: Any) -> Any:
    """Returns the first of the largest outputs, as argmax has it: equal outputs name class 0."""
    import tensorflow as tf

    classes = tf.range(outputs.shape[-1], dtype=dtype)
    largest = outputs >= tf.reduce_max(outputs, axis=-1, keepdims=True)
    return tf.reduce_min(tf.where(largest, classes, outputs.shape[-1]), axis=-1)


def _of_columns(loss: Any) -> Callable[[Any, Any], Any]:
    """Returns the loss for classes of shape (batch,).

    Keras would take the axis off the outputs, and then not find the sigmoid that they come from:
    it would take the logarithm of a rounded probability.
    """
    import keras

    class OfColumns(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return loss.call(keras.ops.reshape(y_true, (-1, 1)), y_pred)

    return OfColumns(name=loss.name)


def _exact_match(y_true: Any, y_pred: Any, threshold: float) -> Any:
    """Returns 1 for each example all labels of which are predicted right, else 0."""
    import keras

    right = keras.metrics.binary_accuracy(y_true, y_pred, threshold)
    return keras.ops.min(right, axis=-1)


def own_methods(model: Any) -> list[str]:
    """Returns the methods by which a model minimizes something else, or in another way."""
    import keras

    names = ("train_step", "test_step", "compute_loss")
    return [name for name in names if getattr(type(model), name) is not getattr(keras.Model, name)]
