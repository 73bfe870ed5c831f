"""How much memory replicas take while they are trained, estimated from the model's shapes."""

import math
from dataclasses import dataclass
from typing import Any

from runner.machine import available_memory

# Copies of the weights: drawn, at the start, now, their gradients, the next ones, and an
# optimizer's two moments now and next.
_COPIES = 9

# An activation is held with its gradient and a temporary of either.
_HELD = 3

# Share of the memory that is free now, for states and for steps each; the rest is for others and
# for the errors of the estimate.
_SHARE = 0.25


@dataclass(frozen=True)
class Need:
    """What one replica takes.

    Attributes:
      state_bytes: From its first epoch to its last: weights and the optimizer's state.
      step_bytes: While a program trains it: activations of a batch and their gradients.
    """

    state_bytes: float
    step_bytes: float

    def max_replicas(self) -> int:
        """Returns how many replicas may be in training at the same time, at least 1."""
        return _number(self.state_bytes)

    def max_in_step(self) -> int:
        """Returns how many of them may be in a step at the same time, at least 1."""
        return _number(self.step_bytes)


def _number(bytes_each: float) -> int:
    return int(max(1, min(available_memory() * _SHARE / bytes_each, 2**31)))


def need(model: Any, batch_size: int) -> Need:
    """Estimates what a replica of a built Keras model takes with batches of this size."""
    weights = sum(math.prod(w.shape) * _width(w.dtype) for w in model.weights)
    outputs = sum(
        math.prod(tensor.shape[1:]) * _width(tensor.dtype)
        for layer in model._flatten_layers()
        for node in layer._inbound_nodes
        for tensor in node.outputs
        if None not in tensor.shape[1:]
    )
    return Need(_COPIES * weights, _HELD * batch_size * outputs)


def _width(dtype: str) -> int:
    """Returns the bytes of a number of this type."""
    import keras

    return {"float16": 2, "bfloat16": 2, "float64": 8, "int64": 8}.get(
        keras.backend.standardize_dtype(dtype), 4
    )
