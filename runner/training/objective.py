"""What is minimized and what is measured, by the task and by what the model puts out."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from runner.config import ConfigError
from runner.datasets.dataset import Dataset
from runner.imports import told
from runner.plan import Goal
from runner.tasks import PSNR
from runner.training.comparisons import Comparison, Ending, as_loss, find
from runner.validation import LARGEST

# A mean squared error below it counts as this: equal images would have an infinite PSNR.
_LEAST_ERROR = 1e-30


class Objective:
    """The loss and the metrics of a model.

    Classes are learned by cross-entropy, averaged over the steps where each has one; by the binary
    one where there is one output for two of them, and where each output is a label of its own, then
    averaged over the labels. Quantities are learned by their squared error, averaged too. A data
    set's goal may name another loss.

    Attributes:
      compared: What the loss is of each example.
      loss: The same as a loss of Keras, the mean over a batch.
      own: Metrics that the user names besides those of the task, by their names.
      answers: Metric -> how many answers an example gives to it, in the order of the columns.
    """

    def __init__(self, model: Any, dataset: Dataset) -> None:
        """Looks at what the model puts out.

        Args:
          model: A Keras model that fits the data set's task.
          dataset: What is learned.
        """
        self._task = dataset.task
        ending = Ending.of(model, dataset.task)
        self._is_binary, self._logits = ending.is_binary, ending.is_logits
        # A class or label is predicted where its probability is above one half.
        self._threshold = 0.0 if self._logits else 0.5
        self.compared = _compared(dataset.goal, ending)
        self.loss = as_loss(self.compared)
        size = dataset.train.y[0].size
        offered = {"from_logits": self._logits, "threshold": self._threshold}
        self.own = {
            name: find(target, "metrics", ending, offered)
            for name, target in dataset.own_metrics.items()
        }
        self.answers = {
            name: 1 if name == "exact_match" else size for name in dataset.task_metrics
        } | {name: self._own_answers(dataset, name) for name in self.own}

    def _own_answers(self, dataset: Dataset, name: str) -> int:
        """Returns how many values a metric of the user's gives for an example.

        Raises:
          ConfigError: It raises, or gives something else.
        """
        import tensorflow as tf

        y = dataset.train.y[:2]
        shape = (len(y), *dataset.signature.outputs[:-1], self.own[name].ending.units)
        try:
            values = tf.convert_to_tensor(self._own_values(name, y, tf.fill(shape, 0.5)))
        except Exception as error:  # whatever the user's code, or Keras, raises
            raise unfit_metric(dataset, name, told(error)) from error
        if values.shape[:1] != (len(y),):
            what = f"of {len(y)} examples it gives values of shape {values.shape}"
            raise unfit_metric(dataset, name, what)
        return math.prod(values.shape[1:])

    def _own_values(self, name: str, targets: Any, outputs: Any) -> Any:
        import tensorflow as tf

        return self.own[name](tf.cast(targets, outputs.dtype), outputs)

    def keras_metrics(self) -> list[Any]:
        """Returns the Keras metrics that stand beside the loss."""
        import keras

        make: dict[str, Callable[[], Any]] = {
            "mae": lambda: keras.metrics.MeanAbsoluteError(name="mae"),
            PSNR: lambda: keras.metrics.MeanSquaredError(name=PSNR),
            "perplexity": lambda: keras.metrics.SparseCategoricalCrossentropy(
                "perplexity", from_logits=self._logits
            ),
            "exact_match": lambda: self._thresholded(_exact_match, "exact_match"),
        }
        if not self._is_binary:
            make["accuracy"] = lambda: keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        binary = keras.metrics.binary_accuracy
        make |= {name: partial(self._of_own, name) for name in self.own}
        return [
            make[name]() if name in make else self._thresholded(binary, name)
            for name in self.answers
        ]

    def _of_own(self, name: str) -> Any:
        import keras

        return keras.metrics.MeanMetricWrapper(partial(self._own_values, name), name)

    def _thresholded(self, measure: Callable[..., Any], name: str) -> Any:
        import keras

        return keras.metrics.MeanMetricWrapper(measure, name, threshold=self._threshold)

    def sums(self, targets: Any, outputs: Any) -> Any:
        """Returns the sums of the same metrics over a batch, in operations that XLA does well.

        Args:
          targets: Classes, shape (batch,) or (batch, steps), or labels or values, shape (batch,
            ..., outputs).
          outputs: Shape (batch, ..., outputs).

        Returns:
          For each metric the number of right answers, or the sum of the errors, shape (metrics,),
          float32 (that holds every number of answers up to 2^24), of float64 outputs float64.
        """
        import tensorflow as tf

        dtype = sums_dtype(outputs.dtype)
        values = (self._values(name, targets, outputs) for name in self.answers)
        return tf.stack([tf.reduce_sum(tf.cast(each, dtype)) for each in values])

    def _values(self, name: str, targets: Any, outputs: Any) -> Any:
        """Returns what a metric is the sum of: right answers, errors, or information."""
        import keras
        import tensorflow as tf

        if name in self.own:
            return self._own_values(name, targets, outputs)
        if name == "mae":
            return tf.abs(tf.cast(targets, outputs.dtype) - outputs)
        if name == PSNR:
            return tf.square(tf.cast(targets, outputs.dtype) - outputs)
        if name == "perplexity":
            return keras.losses.sparse_categorical_crossentropy(targets, outputs, self._logits)
        if not self._is_binary:
            return _largest(outputs, targets.dtype) == targets
        predicted = tf.cast(outputs > self._threshold, targets.dtype)
        if self._task == "classification":
            return predicted[:, 0] == targets
        right = predicted == targets
        return tf.reduce_all(right, axis=-1) if name == "exact_match" else right


def sums_dtype(dtype: Any) -> Any:
    """Returns the type that metrics of such outputs are summed in."""
    import tensorflow as tf

    return tf.float64 if dtype == tf.float64 else tf.float32


def finished(name: str, mean: Any) -> Any:
    """Returns the value of a metric, a number or an array, from the mean over all answers."""
    if name == "perplexity":
        return np.exp(np.minimum(mean, math.log(LARGEST)))
    if name == PSNR:
        return -10 * np.log10(np.maximum(mean, _LEAST_ERROR))
    return mean


def _largest(outputs: Any, dtype: Any) -> Any:
    """Returns the first of the largest outputs, as argmax has it: equal outputs name class 0."""
    import tensorflow as tf

    classes = tf.range(outputs.shape[-1], dtype=dtype)
    largest = outputs >= tf.reduce_max(outputs, axis=-1, keepdims=True)
    return tf.reduce_min(tf.where(largest, classes, outputs.shape[-1]), axis=-1)


def _compared(goal: Goal, ending: Ending) -> Comparison:
    """Returns the loss of a goal: what the task says, or what the user names."""
    smoothing = goal.label_smoothing
    target = goal.loss
    if target is None and ending.task == "regression":
        target = "mean_squared_error"
    elif target is None and ending.is_binary:
        target = "binary_crossentropy"
    elif target is None:
        target = "categorical_crossentropy" if smoothing else "sparse_categorical_crossentropy"
    offered: dict[str, Any] = {"from_logits": ending.is_logits}
    if smoothing:
        offered["label_smoothing"] = smoothing
    compared = find(target, "losses", ending, offered)
    if smoothing and "label_smoothing" not in compared.told:
        rule = f"0 for the loss {target}, which has no argument of that name"
        raise ConfigError.at("training.label_smoothing", rule, smoothing)
    return compared


def _exact_match(y_true: Any, y_pred: Any, threshold: float) -> Any:
    """Returns 1 for each example all labels of which are predicted right, else 0."""
    import keras

    right = keras.metrics.binary_accuracy(y_true, y_pred, threshold)
    return keras.ops.min(right, axis=-1)


def unfit_metric(dataset: Dataset, name: str, why: str) -> ConfigError:
    """Returns the error about a metric of the user's."""
    rule = f"metrics that fit the model's outputs and the targets (task: {dataset.task})"
    received = dataset.own_metrics[name]
    return ConfigError.at("training.metrics", rule, received, f"It does not: {why}.")


def own_methods(model: Any) -> list[str]:
    """Returns the methods by which a model minimizes something else, or in another way."""
    import keras

    names = ("train_step", "test_step", "compute_loss")
    return [name for name in names if getattr(type(model), name) is not getattr(keras.Model, name)]
