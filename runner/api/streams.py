"""What a `tf.data.Dataset` yields, as arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from runner.api.arrays import check_memory
from runner.config import ConfigError

_RULE = "a tf.data.Dataset that yields (x, y) or (x, y, weights) and ends"


def collected(stream: Any, name: str) -> tuple[Any, Any, Any]:
    """Returns all inputs, targets and weights of a stream; None for weights that it has not.

    Batches become examples. Targets without an axis are those of single examples.

    Args:
      stream: A `tf.data.Dataset`.
      name: The argument that it was given as.

    Raises:
      ConfigError: It does not end, does not fit the memory, or yields something else.
    """
    import tensorflow as tf

    spec = stream.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        parts = f"{len(spec)} parts" if isinstance(spec, tuple) else "x alone"
        raise ConfigError(f"`{name}` must be {_RULE}. Received: one that yields {parts}.")
    if int(stream.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ConfigError(
            f"`{name}` must be {_RULE}. Received: an infinite one. Leave out repeat(), or add "
            "take(n)."
        )
    is_batched = tf.nest.flatten(spec[1])[0].shape.rank != 0
    elements: list[Any] = []
    num_bytes = 0
    for element in stream.as_numpy_iterator():
        num_bytes += sum(np.asarray(each).nbytes for each in tf.nest.flatten(element))
        check_memory(name, num_bytes)
        elements.append(element)
    if not elements:
        raise ConfigError(f"`{name}` must be {_RULE}. Received: an empty one.")
    x, y, *weights = (_joined(each, is_batched) for each in zip(*elements, strict=True))
    return x, y, weights[0] if weights else None


def _joined(values: Any, is_batched: bool) -> Any:
    """Returns the batches or examples of a part of all elements as one array, or several."""
    first = values[0]
    if isinstance(first, Mapping):
        return {key: _joined([each[key] for each in values], is_batched) for key in first}
    if isinstance(first, tuple):
        return tuple(_joined(each, is_batched) for each in zip(*values, strict=True))
    if not is_batched:
        return _decoded(np.stack(values))
    return _decoded(np.concatenate([np.atleast_1d(batch) for batch in values]))


def _decoded(values: Any) -> Any:
    """Returns texts for the bytes that TensorFlow makes of them."""
    if values.dtype != object:
        return values
    return np.char.decode(values.astype(bytes), "utf-8")
