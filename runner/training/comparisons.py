"""Losses and metrics by name: those of Keras, and the user's own.

Keras's functions for classes take them one-hot, as probabilities, except those that are called
sparse; the user's own take what the data holds: the number of each class. What a function is told
of the model it is told by its arguments: `from_logits`, where it has one, says what comes out.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.config import ConfigError
from runner.imports import import_object, told
from runner.models import num_units, outputs_logits
from runner.spelling import did_you_mean
from runner.tasks import Task

KEYS = {"losses": "training.loss", "metrics": "training.metrics"}
"""The settings that name losses and metrics, by where Keras has such."""

# They give one number for a batch, or need more than targets and outputs.
_OF_BATCHES = ("circle", "ctc", "dice", "tversky")
# They take the logarithm of what the model puts out.
_OF_PROBABILITIES = ("kl_divergence", "poisson", "categorical_generalized_cross_entropy")
_MARGINS = ("hinge", "squared_hinge")
_NON_NEGATIVE = ("mean_squared_logarithmic_error", "poisson")
_USE = "Use a function that gives a value for each example."
_MEANS = ("sum_over_batch_size", "mean")


@dataclass(frozen=True)
class Ending:
    """What a model puts out.

    Attributes:
      task: What for.
      units: Outputs along the last axis.
      is_logits: Whether classes and labels come as logits.
    """

    task: Task
    units: int
    is_logits: bool

    @classmethod
    def of(cls, model: Any, task: Task) -> "Ending":
        """Returns that of a model that fits the task."""
        return cls(task, num_units(model), task != "regression" and outputs_logits(model))

    @property
    def is_binary(self) -> bool:
        """Whether each output is a class or label of its own."""
        return self.task == "multilabel" or (self.task == "classification" and self.units == 1)

    @property
    def has_classes(self) -> bool:
        """Whether the outputs are classes of which one is right."""
        return self.task in ("classification", "tokens") and not self.is_binary


@dataclass(frozen=True)
class Comparison:
    """A function of targets and outputs that gives each example a value, or each of its steps.

    Attributes:
      function: Keras's, or the user's own.
      arguments: What else it is given.
      name: Its name in its module, in snake case.
      is_keras: Whether it is Keras's.
      ending: Of the model.
      told: Names of the arguments on offer that it has.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    name: str
    is_keras: bool
    ending: Ending
    told: tuple[str, ...] = ()

    def __call__(self, targets: Any, outputs: Any) -> Any:
        """Returns the values.

        Args:
          targets: As the data set has them, in any dtype.
          outputs: Shape (batch, ..., outputs).
        """
        return self.function(self._taken(targets, outputs.dtype), outputs, **self.arguments)

    def _taken(self, targets: Any, dtype: Any) -> Any:
        from keras import ops

        if self.ending.task == "classification" and self.ending.is_binary:
            return ops.reshape(targets, (-1, 1))
        if not (self.is_keras and self.ending.has_classes) or self.name.startswith("sparse_"):
            return targets
        classes = ops.arange(self.ending.units, dtype="int32")
        return ops.cast(ops.expand_dims(ops.cast(targets, "int32"), -1) == classes, dtype)


def find(target: str, home: str, ending: Ending, offered: Mapping[str, Any]) -> Comparison:
    """Returns the loss, or the metric, that a setting names.

    Args:
      target: As `runner.plan.Goal` has it.
      home: `"losses"` or `"metrics"`: where in Keras to look for a name.
      ending: Of the model.
      offered: Arguments for those functions that have them.

    Raises:
      ConfigError: There is none, or it cannot be made.
    """
    key = KEYS[home]
    function = import_object(target, key) if "." in target else _of_keras(target, home)
    arguments, taken = {}, _taken_by(function, offered)
    if isinstance(function, type):
        function = _made(function, target, key, taken)
    if hasattr(function, "update_state"):
        if not hasattr(function, "_fn"):
            rule = "metrics that are a mean over examples"
            raise ConfigError.at(key, rule, target, _USE)
        arguments, function = dict(function._fn_kwargs), function._fn
    elif hasattr(function, "reduction"):
        if function.reduction not in _MEANS:
            rule = "a loss whose value is the mean over the batch"
            raise ConfigError.at(key, rule, f"{target}, with reduction={function.reduction}")
        arguments = dict(getattr(function, "_fn_kwargs", {}))
        function = getattr(function, "fn", function.call)
    if not callable(function):
        rule = f"a function of targets and outputs, or one of Keras's {home}"
        raise ConfigError.at(key, rule, target)
    arguments |= (of_function := _taken_by(function, offered))
    named = getattr(function, "__name__", type(function).__name__)
    if named == "call":
        named = type(function.__self__).__name__
    is_keras = (getattr(function, "__module__", None) or "").startswith("keras.")
    return Comparison(function, arguments, named, is_keras, ending, (*taken, *of_function))


def _of_keras(target: str, home: str) -> Any:
    """Returns what Keras has under a name, also under a short one such as mse.

    Losses are metrics too.
    """
    import keras

    homes = [keras.losses] if home == "losses" else [keras.metrics, keras.losses]
    for module in homes:
        try:
            return module.get(target)
        except (ValueError, TypeError):  # it has none of that name, or cannot make it
            continue
    names = [name for module in homes for name in dir(module) if not name.startswith("_")]
    rule = f"a name in keras.{home}, or an import path"
    raise ConfigError.at(KEYS[home], rule, target, did_you_mean(target, names).strip())


def _made(kind: type, target: str, key: str, arguments: Mapping[str, Any]) -> Any:
    try:
        return kind(**arguments)
    except Exception as error:  # whatever the user's code raises
        rule = "a function, or a class that can be made without arguments"
        raise ConfigError(f"`{key}` must be {rule}. Received: {target}; {told(error)}") from error


def _taken_by(function: Any, offered: Mapping[str, Any]) -> dict[str, Any]:
    try:
        names = inspect.signature(function).parameters
    except (TypeError, ValueError):  # it does not tell
        return {}
    return {name: value for name, value in offered.items() if name in names}


def objection(of: Comparison, y: np.ndarray) -> str:
    """Returns why a function of Keras does not fit the model's outputs or the targets, or nothing.

    Args:
      of: The function.
      y: Targets of the training part.
    """
    name, ending = of.name, of.ending
    if not of.is_keras:
        return ""
    if name in _OF_BATCHES:
        return "it is no mean over examples"
    if name == "accuracy":
        return "it asks whether outputs equal targets"
    if name.startswith(("categorical_", "sparse_", "top_k_")) and not ending.has_classes:
        what = {"multilabel": "labels that may occur together", "regression": "quantities"}
        return f"the outputs are {what.get(ending.task, 'one unit for two classes')}"
    if name.startswith("binary_") and ending.has_classes:
        return "each output is a class, of which one is right"
    if name in _OF_PROBABILITIES and ending.is_logits:
        return "the outputs are logits, and it takes probabilities: end the model in a softmax"
    if ending.task == "regression":
        if name in _MARGINS or name == "binary_accuracy":
            return "the targets are quantities"
        if ("crossentropy" in name or name == "kl_divergence") and (y.min() < 0 or y.max() > 1):
            return f"the targets go from {y.min():.3g} to {y.max():.3g}, not from 0 to 1"
        if name in _NON_NEGATIVE and y.min() < 0:
            return f"targets are negative (down to {y.min():.3g})"
    return ""


def as_loss(of: Comparison) -> Any:
    """Returns a function as a loss of Keras: the mean over a batch, of weighted values if asked.

    Weights are of examples, or of the finer parts that the function gives values of.
    """
    import keras
    from keras import ops

    def of_rank(values: Any, rank: int) -> Any:
        """Returns values of examples, or of steps, so that they go with those of finer parts."""
        missing = rank - len(values.shape)
        return ops.reshape(values, (*ops.shape(values), *(1,) * missing)) if missing > 0 else values

    class Named(keras.losses.Loss):
        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            if sample_weight is not None:
                sample_weight = of_rank(sample_weight, len(y_pred.shape) - 1)
            return super().__call__(y_true, y_pred, sample_weight)

        def call(self, y_true: Any, y_pred: Any) -> Any:
            values = of(y_true, y_pred)
            is_mean = not len(values.shape)
            return values if is_mean else of_rank(values, len(y_pred.shape) - 1)

    return Named(name=of.name)
