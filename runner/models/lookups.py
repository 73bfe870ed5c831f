"""Which inputs a model looks up: words, categories, anything whose numbers are only names.

Such inputs must reach the model as they are. The model is traced once, as TensorFlow compiles it:
inputs that come to be whole numbers, in an embedding, an encoding, a hash, bins or a table of the
user's own, before they were multiplied by any weight, are looked up. So nested and subclassed
models are seen through like others.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

# Operations whose results are still the inputs' own numbers, moved about, shifted or cut.
_OWN = {
    *("Identity", "StopGradient", "EnsureShape", "CheckNumerics", "Cast", "SelectV2"),
    *("Reshape", "Squeeze", "ExpandDims", "Transpose", "BroadcastTo", "Tile", "Pack", "ConcatV2"),
    *("StridedSlice", "Slice", "Split", "SplitV", "Unpack", "Pad", "PadV2", "ReverseV2"),
    *("AddV2", "Sub", "Mul", "RealDiv", "FloorDiv", "FloorMod", "Neg", "Abs", "Maximum", "Minimum"),
    *("Round", "Rint", "Floor", "Ceil", "ClipByValue", "GatherV2", "GatherNd"),
}
# Operations that take numbers for names or sort them into bins.
_NAMING = {"AsString", "Bucketize", "DenseBincount", "LookupTableFindV2", "OneHot"}
# Operations that read what a whole number stands for.
_DECODING = {
    *("Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual", "Sign"),
    *("Floor", "Ceil", "Round", "Rint", "FloorDiv", "FloorMod", "Mod", "TruncateMod"),
}
# Values that an input is set to, to see what it changes; first those that most models tell apart.
_TRIED = ((1.0,), (17.0,), (1009.0,), (-1.0, *map(float, range(2, 65)), 255.0, 1e4, 1e6))
_ROWS = 4096


@dataclass(frozen=True)
class Table:
    """Rows that are looked up by number.

    Attributes:
      layer: Name of the layer.
      size: Number of rows.
      numbers: Returns what is looked up for inputs of shape (n, ...).
      given: Returns the same before it was cut to whole numbers.
    """

    layer: str
    size: int
    numbers: Callable[[np.ndarray], np.ndarray]
    given: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Lookups:
    """What a model looks up.

    Attributes:
      reason: What tells so, as a sentence.
      features: Positions along the last axis of the inputs that are looked up, ascending.
      tables: Those that must have a row for each number.
      codes: Positions of inputs that the model compares or rounds, ascending.
    """

    reason: str
    features: tuple[int, ...]
    tables: tuple[Table, ...]
    codes: tuple[int, ...] = ()

    def missing(self, parts: Iterable[Any]) -> str | None:
        """Tells, as a sentence, of a table without a row for some number; None without one."""
        parts = list(parts)
        for table in self.tables:
            found = [table.numbers(block) for x in parts for block in _blocks(x)]
            lowest = min(int(numbers.min()) for numbers in found)
            highest = max(int(numbers.max()) for numbers in found)
            if lowest < 0 or highest >= table.size:
                return (
                    f"layer {table.layer!r} has rows for 0 to {table.size - 1} and would look up "
                    f"{highest if highest >= table.size else lowest}"
                )
        return None

    def fraction(self, parts: Iterable[Any]) -> str | None:
        """Tells, as a sentence, of a number that is not whole and is cut; None without one."""
        parts = list(parts)
        for table in self.tables:
            for block in (block for x in parts for block in _blocks(x)):
                given = table.given(block)
                if (cut := given != np.round(given)).any():
                    return f"layer {table.layer!r} looks up {given[cut][0]:g} as a whole number"
        return None


def find(model: Any, input_shape: tuple[int, ...]) -> Lookups | None:
    """Returns what a built model looks up of its inputs, or None if it looks up nothing.

    Args:
      model: A built Keras model with one input.
      input_shape: Shape of one example.
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *input_shape), tf.float32)]
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)  # a `tf.function` in the model would hide what it does
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the model gave them when it was built
            traced = tf.compat.v1.wrap_function(lambda x: model(x, training=False), signature)
    except Exception as error:  # whatever a user's model raises; training will tell
        log.debug("The model cannot be traced.", exc_info=error)
        return None
    finally:
        tf.config.run_functions_eagerly(before)
    own = {traced.inputs[0].ref()}
    weighted: set[Any] = set()
    whole, tables, decoding = [], [], []
    for operation in traced.graph.get_operations():
        if operation.type == "ReadVariableOp" or _any_in(weighted, operation.inputs):
            weighted |= {tensor.ref() for tensor in operation.outputs}
        given = [tensor for tensor in operation.inputs if tensor.ref() in own]
        if not given:
            continue
        if _makes_whole(operation):
            whole.append(operation)
        is_decoding = operation.type in _DECODING and not _masks(operation)
        if is_decoding and not _any_in(weighted, given):
            decoding.append(operation)
        if operation.type in ("GatherV2", "DenseBincount", "OneHot"):
            tables.append(operation)
        if operation.type in _OWN and not _looks_up(operation, own):
            own |= {tensor.ref() for tensor in operation.outputs}
    if not (whole or decoding):
        return None

    def pruned(tensor: Any) -> Callable[[np.ndarray], np.ndarray]:
        run = traced.prune(traced.inputs[0], tensor)
        return lambda x: run(tf.constant(x, tf.float32)).numpy()

    layers = {layer.name: layer for layer in model._flatten_layers()}
    checked = [
        Table(
            _layer_name(operation, layers),
            size,
            pruned(numbers := _numbers(operation)),
            pruned(numbers.op.inputs[0] if numbers.op.type == "Cast" else numbers),
        )
        for operation in tables
        if (size := _size(operation, own, layers)) is not None
    ]
    names = [_layer_name(operation, layers) for operation in (*tables, *whole)]
    name = next((name for name in names if name in layers), None)
    reason = (
        "its `keras.Input` is of whole numbers"
        if name is None
        else f"layer {name!r} looks up numbers"
    )
    features, codes = (
        _features([pruned(operation.outputs[0]) for operation in operations], input_shape)
        for operations in (whole, decoding)
    )
    if not features:
        reason = "the model compares or rounds these whole numbers"
    return Lookups(reason, features, tuple(checked), codes) if features or codes else None


class OneInput:
    """A model with several inputs as one with a single input, the others zero."""

    def __init__(self, model: Any, shapes: Mapping[str, tuple[int, ...]], name: str) -> None:
        self._model, self._shapes, self._name = model, shapes, name
        declared = getattr(model, "inputs", None) or ()
        self.inputs = [tensor for tensor in declared if tensor.name == name]

    def __call__(self, x: Any, training: bool) -> Any:
        """Returns what the model puts out."""
        return self._model(self._filled(x), training=training)

    def compute_output_spec(self, x: Any) -> Any:
        """As Keras's."""
        return self._model.compute_output_spec(self._filled(x))

    def _filled(self, x: Any) -> dict[str, Any]:
        import keras

        def zeros(shape: tuple[int, ...]) -> Any:
            if isinstance(x, keras.KerasTensor):
                return keras.KerasTensor((None, *shape))
            return keras.ops.zeros((keras.ops.shape(x)[0], *shape))

        others = {name: zeros(shape) for name, shape in self._shapes.items()}
        return {**others, self._name: x}

    def _flatten_layers(self) -> Any:
        return self._model._flatten_layers()


def takes_integers(model: Any, input_shape: tuple[int, ...]) -> bool:
    """Tells whether a built model takes whole numbers as they are.

    That is one whose `keras.Input` says so, or a subclassed model that computes with them.
    """
    import keras

    if declared := getattr(model, "inputs", None):
        return bool(keras.backend.is_int_dtype(declared[0].dtype))
    try:
        model.compute_output_spec(keras.KerasTensor((None, *input_shape), dtype="int32"))
    except Exception as error:  # whatever a user's model raises; floats will do
        log.debug("The model does not take whole numbers.", exc_info=error)
        return False
    return True


def _makes_whole(operation: Any) -> bool:
    if operation.type == "Cast":
        return operation.outputs[0].dtype.is_integer and operation.inputs[0].dtype.is_floating
    return operation.type in _NAMING


def _any_in(refs: set[Any], tensors: Iterable[Any]) -> bool:
    return any(tensor.ref() in refs for tensor in tensors)


def _masks(operation: Any) -> bool:
    """Tells whether a comparison only tells empty steps, as Keras's `Masking` does."""
    return {consumer.type for consumer in operation.outputs[0].consumers()} <= {"Any"}


def _looks_up(operation: Any, own: set[Any]) -> bool:
    return operation.type == "GatherV2" and operation.inputs[0].ref() not in own


def _numbers(operation: Any) -> Any:
    """Returns the tensor of what is looked up, before negative numbers count from the end."""
    tensor = operation.inputs[1 if operation.type == "GatherV2" else 0]
    while tensor.op.type in ("SelectV2", "Identity"):
        tensor = tensor.op.inputs[-1]
    return tensor


def _size(operation: Any, own: set[Any], layers: dict[str, Any]) -> int | None:
    """Returns the number of rows; None if it is not known, or if any number will do."""
    import tensorflow as tf

    if operation.type == "GatherV2":
        axis = tf.get_static_value(operation.inputs[2])
        known = axis is not None and _looks_up(operation, own)
        return operation.inputs[0].shape[int(axis)] if known else None
    # A row of zeros may be meant in a user's own layer; for Keras's it is a mistake.
    return getattr(layers.get(_layer_name(operation, layers)), "num_tokens", None)


def _layer_name(operation: Any, layers: dict[str, Any]) -> str:
    """Returns the name of the innermost layer that an operation belongs to.

    TensorFlow may have added a number to it.
    """
    for scope in reversed(operation.name.split("/")[:-1]):
        for name in (re.sub(r"_\d+$", "", scope), scope):
            if name in layers:
                return name
    return "the input"


def _features(
    results: list[Callable[[np.ndarray], np.ndarray]], shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Returns the positions along the last axis whose values change any of the results."""

    def outcome(x: np.ndarray) -> list[np.ndarray]:
        return [result(x) for result in results]

    zeros = [np.zeros((len(values), *shape), np.float32) for values in _TRIED]
    before = [outcome(x) for x in zeros]

    def changes(feature: int, attempt: int) -> bool:
        x = zeros[attempt].copy()
        x[..., feature] = np.reshape(_TRIED[attempt], (-1, *[1] * (len(shape) - 1)))
        pairs = zip(before[attempt], outcome(x), strict=True)
        return any(not np.array_equal(one, other) for one, other in pairs)

    tried = range(len(_TRIED) if results else 0)
    return tuple(j for j in range(shape[-1]) if any(changes(j, attempt) for attempt in tried))


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(x), _ROWS):
        yield x[first : first + _ROWS]
