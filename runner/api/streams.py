"""What a `tf.data.Dataset` yields, as arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from runner.api.arrays import check_memory
from runner.config import ConfigError

_RULE = "a tf.data.Dataset that yields (x, y) and ends"


def collected(stream: Any, name: str) -> tuple[Any, Any]:
    """Returns all inputs and targets of a stream.

    Batches become examples. Targets without an axis are those of single examples.

    Args:
      stream: A `tf.data.Dataset`.
      name: The argument that it was given as.

    Raises:
      ConfigError: It does not end, does not fit the memory, or yields something else.
    """
    import tensorflow as tf

    spec = stream.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        parts = f"{len(spec)} parts" if isinstance(spec, tuple) else "x alone"
        raise ConfigError(f"`{name}` must be {_RULE}. Received: one that yields {parts}.")
    if int(stream.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ConfigError(
            f"`{name}` must be {_RULE}. Received: an infinite one. Leave out repeat(), or add "
            "take(n)."
        )
    is_batched = tf.nest.flatten(spec[1])[0].shape.rank != 0
    x: list[Any] = []
    y: list[Any] = []
    num_bytes = 0
    for inputs, targets in stream.as_numpy_iterator():
        flat = list(inputs.values()) if isinstance(inputs, Mapping) else [inputs]
        num_bytes += sum(np.asarray(each).nbytes for each in (*flat, targets))
        check_memory(name, num_bytes)
        x.append(inputs)
        y.append(targets)
    if not x:
        raise ConfigError(f"`{name}` must be {_RULE}. Received: an empty one.")
    join = _joined if is_batched else np.stack
    if isinstance(x[0], Mapping):
        return {key: _decoded(join([each[key] for each in x])) for key in x[0]}, _decoded(join(y))
    return _decoded(join(x)), _decoded(join(y))


def _joined(batches: list[Any]) -> Any:
    return np.concatenate([np.atleast_1d(batch) for batch in batches])


def _decoded(values: Any) -> Any:
    """Returns texts for the bytes that TensorFlow makes of them."""
    if values.dtype != object:
        return values
    return np.char.decode(values.astype(bytes), "utf-8")
