"""What a model puts out: logits, probabilities, or something that does not fit the task."""

from typing import Any, Literal

import numpy as np

from runner.config import ConfigError
from runner.models.activations import ACTIVATIONS

# Softmax of a log-softmax is the softmax itself, so log-probabilities are logits like others.
_LOGITS = ("linear", "log_softmax")
_PROBABILITIES = "softmax"

# Given to the axes whose size a model leaves open when it is run.
_OPEN_SIZE = 32

# Activations that are layers or operations are known by the names of their classes.
_CLASSES = {name.replace("_", ""): name for name in ACTIVATIONS}


def check(
    model: Any,
    num_outputs: int,
    task: Literal["classification", "regression"],
    key: str = "model",
) -> None:
    """Checks that a built model can be trained for the task.

    Args:
      model: What a user or a builder made.
      num_outputs: Number of classes, or of targets.
      task: Classification needs logits or a softmax; regression anything but a softmax.
      key: What the messages call the model.

    Raises:
      ConfigError: It is no Keras model, has nothing to train, or its inputs or outputs do not fit.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise ConfigError.at(key, "a Keras model", model)
    if not model.trainable_variables:
        count = len(model.weights)
        raise ConfigError(
            f"`{key}` must be a model with trainable weights. Received: {count} weights, of which "
            f"none can be trained. Build it, and leave `trainable` true."
        )
    for side in ("input", "output"):
        count = len(_tensors(model, side, key))
        if count != 1:
            raise ConfigError(f"`{key}` must be a model with one {side}. Received: {count}.")
    shape = tuple(_tensors(model, "output", key)[0].shape)
    if shape != (None, num_outputs):
        raise ConfigError(
            f"`{key}` must be a model with outputs of shape (None, {num_outputs}), "
            f"one for each {'class' if task == 'classification' else 'target'}. Received: {shape}."
        )
    _check_activation(model, task, key)


def _check_activation(model: Any, task: str, key: str) -> None:
    activation = output_activation(model)
    if task == "regression" and activation == _PROBABILITIES:
        raise ConfigError(
            f"`{key}` must be a model without a softmax at its output, because the task is "
            f"regression. Received: softmax. Use a linear output."
        )
    if task == "classification" and activation not in (*_LOGITS, _PROBABILITIES):
        raise ConfigError(
            f"`{key}` must be a model with linear outputs (logits) or a softmax, because the task "
            f"is classification. Received: {activation}. Take it off the last layer."
        )


def outputs_logits(model: Any) -> bool:
    """Tells whether the outputs of a classifier are logits (True) or probabilities (False)."""
    return output_activation(model) != _PROBABILITIES


def output_activation(model: Any) -> str:
    """Returns the name of the activation that the output comes from.

    It is read from the operation that makes the output, through nested models. Where that tells
    nothing (a reshape, a mean over a softmax, a subclassed model) the model is run: `"softmax"` if
    its outputs are distributions, else `"linear"`.

    Args:
      model: A built Keras model with one output.
    """
    tensors = getattr(model, "outputs", None)
    name = _read_activation(tensors[0]) if tensors else None
    if name is None:
        return _PROBABILITIES if _puts_out_distributions(model) else "linear"
    return name


def _tensors(model: Any, side: Literal["input", "output"], key: str) -> list[Any]:
    """Returns the symbolic inputs or outputs; those of a subclassed model come from its call."""
    tensors = getattr(model, f"{side}s", None)
    if tensors:
        return list(tensors)
    import keras

    try:
        return keras.tree.flatten(getattr(model, side))
    except AttributeError:
        raise ConfigError(
            f"`{key}` must be a model that knows the shapes of its inputs. "
            f"Call it once on a `keras.Input`."
        ) from None


def _read_activation(tensor: Any) -> str | None:
    operation, _, position = tensor._keras_history
    inner = getattr(operation, "outputs", None)
    if inner:
        return _read_activation(inner[position])
    activation = getattr(operation, "activation", None)
    if callable(activation):
        return _activation_name(activation)
    return _CLASSES.get(type(operation).__name__.lower())


def _activation_name(activation: Any) -> str:
    name = getattr(activation, "__name__", type(activation).__name__)
    return _CLASSES.get(name.lower().replace("_", ""), name)


def _puts_out_distributions(model: Any) -> bool:
    """Tells whether the outputs for two inputs are non-negative and sum to one.

    Zeros and ones are inputs that an embedding takes as well. Logits that pass would need biases
    and column sums that make a distribution both times.
    """
    import keras

    (inputs,) = keras.tree.flatten(getattr(model, "inputs", None) or model.input)
    shape = tuple(size or _OPEN_SIZE for size in inputs.shape[1:])
    examples = np.stack([np.zeros(shape, "float32"), np.ones(shape, "float32")])
    outputs = keras.ops.convert_to_numpy(model(examples, training=False))
    return bool(np.all(outputs >= 0) and np.allclose(outputs.sum(axis=-1), 1, atol=1e-4))
