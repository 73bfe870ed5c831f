"""What a model puts out: logits, probabilities, or something that does not fit the task."""

from typing import Any, Literal

import numpy as np

from runner.anatomy.calls import called
from runner.config import ConfigError
from runner.models.activations import ACTIVATIONS
from runner.tasks import Task

# One of several: softmax of a log-softmax is the softmax itself, so log-probabilities are logits.
_DISTRIBUTION, _LOG_DISTRIBUTION = "softmax", "log_softmax"
# Each for itself.
_PROBABILITIES = ("sigmoid", "hard_sigmoid", "sparse_sigmoid")

# Given to the axes whose size a model leaves open when it is run.
_OPEN_SIZE = 32

# Activations that are layers or operations are known by the names of their classes.
_CLASSES = {name.replace("_", ""): name for name in ACTIVATIONS}

_EACH: dict[Task, str] = {
    "classification": "class",
    "multilabel": "label",
    "tokens": "class at each step",
    "regression": "target",
}

# How often a model is run to see what it puts out, and on how many examples.
_RUNS, _EXAMPLES = 8, 16
# Standard deviation of the weights then, in 1 / sqrt(fan_in): so large that logits leave [0, 1].
_SPREAD = 2.0


def check(
    model: Any, outputs: tuple[int, ...], task: Task, key: str = "model", num_inputs: int = 1
) -> None:
    """Checks that a built model can be trained for the task.

    Args:
      model: What a user or a builder made.
      outputs: Shape of what is put out for one example; see `Signature`. Two classes may have one
        output.
      task: Classes need logits or a softmax; one output for two classes, and labels, need logits
        or a sigmoid; regression anything but a softmax.
      key: What the messages call the model.
      num_inputs: How many inputs an example has.

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
    sides: dict[Literal["input", "output"], int] = {"input": num_inputs, "output": 1}
    for side, wanted in sides.items():
        count = len(_tensors(model, side, key))
        if count != wanted:
            words = f"one {side}" if wanted == 1 else f"{wanted} {side}s"
            raise ConfigError(f"`{key}` must be a model with {words}. Received: {count}.")
    shape = tuple(_tensors(model, "output", key)[0].shape)
    may_be_one = task == "classification" and outputs == (2,)
    if not _fits(shape, outputs) and not (may_be_one and shape == (None, 1)):
        raise ConfigError(
            f"`{key}` must be a model with outputs of shape {(None, *outputs)}, one for each "
            f"{_EACH[task]}{', or (None, 1)' if may_be_one else ''}. Received: {shape}."
        )
    _check_activation(model, task, shape[-1], key)


def _fits(shape: tuple[int | None, ...], outputs: tuple[int, ...]) -> bool:
    """Tells whether outputs have a shape, as far as it is known: models may leave sizes open."""
    if len(shape) != len(outputs) + 1 or (shape[0], shape[-1]) != (None, outputs[-1]):
        return False
    return all(size in (None, known) for size, known in zip(shape[1:], outputs, strict=True))


def _check_activation(model: Any, task: Task, num_units: int, key: str) -> None:
    activation = output_activation(model)
    if task == "regression":
        if activation == _DISTRIBUTION:
            raise ConfigError(
                f"`{key}` must be a model without a softmax at its output, because the task is "
                f"regression. Received: softmax. Use a linear output."
            )
        return
    why, advice = f"the task is {task}", "Take it off the last layer."
    fitting: tuple[str, ...]
    if one_each := task == "multilabel" or (task == "classification" and num_units == 1):
        rule, fitting = "a sigmoid", ("linear", *_PROBABILITIES)
        if task == "classification":
            why += " and it has one output for two classes"
    else:
        rule, fitting = "a softmax", ("linear", _LOG_DISTRIBUTION, _DISTRIBUTION)
    if activation in (_DISTRIBUTION, _LOG_DISTRIBUTION) and one_each:
        advice = "Its outputs depend on each other; use a sigmoid."
        if task == "classification":
            advice = "It is the same for every example; use a sigmoid, or two outputs."
    if activation in _PROBABILITIES and not one_each:
        advice = (
            "It gives each class a probability of its own, but an example has one class: take it "
            "off or use a softmax. If labels may occur together, give rows of 0 and 1 as targets "
            "and set dataset.task=multilabel."
        )
    if activation not in fitting:
        raise ConfigError(
            f"`{key}` must be a model with linear outputs (logits) or {rule}, because {why}. "
            f"Received: {activation}. {advice}"
        )


def num_units(model: Any) -> int:
    """Returns the number of outputs of a model that `check` has passed."""
    return int(_tensors(model, "output", "model")[0].shape[-1])


def outputs_logits(model: Any) -> bool:
    """Tells whether the outputs of a classifier are logits (True) or probabilities (False)."""
    return output_activation(model) not in (_DISTRIBUTION, *_PROBABILITIES)


def output_activation(model: Any) -> str:
    """Returns the name of the activation that the output comes from.

    It is read from the operation that makes the output, through nested models. Where that tells
    nothing (a reshape, a mean over a softmax, a subclassed model) the model is run: `"softmax"` if
    its outputs are distributions whatever its weights, `"sigmoid"` if they are probabilities, else
    `"linear"`. So it is where a user's own function is the activation, which else keeps its name.

    Args:
      model: A built Keras model with one output.
    """
    tensors = getattr(model, "outputs", None)
    name = _read_activation(tensors[0]) if tensors else None
    if name in ACTIVATIONS:
        return str(name)
    seen = _seen(model)
    return seen if name is None or seen != "linear" else name


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


def _seen(model: Any) -> str:
    """Tells what the outputs look like: `"softmax"`, `"sigmoid"` or `"linear"`.

    The model is run with random weights, and left as it was. Zeros and ones are inputs that an
    embedding takes as well.
    """
    kept = [(variable, variable.numpy()) for variable in model.variables]
    seen = []
    try:
        for generator in np.random.default_rng(0).spawn(_RUNS):
            rows = _outputs(model, generator)
            if (rows < 0).any() or (rows > 1).any():
                return "linear"
            seen.append(rows)
    finally:
        for variable, value in kept:
            variable.assign(value)
    rows = np.concatenate(seen)
    if len(rows) and np.allclose(rows.sum(axis=1), 1, atol=1e-4):
        return _DISTRIBUTION
    return _PROBABILITIES[0] if ((rows > 0) & (rows < 1)).any() else "linear"


def _outputs(model: Any, generator: np.random.Generator) -> np.ndarray:
    """Gives the model random weights and returns what it puts out, finite rows, (rows, outputs)."""
    import keras

    for variable in model.trainable_variables:
        fan_in = max(int(np.prod(variable.shape[:-1])), 1)
        variable.assign(generator.normal(0, _SPREAD / np.sqrt(fan_in), variable.shape))

    def examples_of(inputs: Any) -> np.ndarray:
        shape = (_EXAMPLES, *(size or _OPEN_SIZE for size in inputs.shape[1:]))
        return generator.integers(0, 2, shape).astype("float32")

    declared = getattr(model, "inputs", None)
    flat = keras.tree.flatten(declared or model.input)
    if len(flat) == 1:
        (given,) = flat
    else:  # a subclass has its inputs by their names
        given = model.input if declared else {tensor.name: tensor for tensor in flat}
    examples = keras.tree.map_structure(examples_of, given)
    outputs = keras.ops.convert_to_numpy(called(model, examples, training=False)).astype("float32")
    rows = outputs.reshape(-1, outputs.shape[-1])
    return rows[np.isfinite(rows).all(axis=1)]
