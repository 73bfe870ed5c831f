"""What a model ends with: a linear layer whose outputs have the shape that the task wants."""

import math
from collections.abc import Callable
from typing import Any

from runner.tasks import Signature


def linear_output(hidden: Any, signature: Signature, summary: Callable[[Any], Any]) -> Any:
    """Applies the dense linear layer `output`.

    Where the outputs are wanted at each position (step, pixel) of what a model has made, the layer
    acts on each position by itself. Otherwise it acts on a summary of all, and what it puts out is
    given the shape of the outputs.

    Args:
      hidden: `keras.KerasTensor`, shape (batch, ..., features).
      signature: What the model is for.
      summary: Makes numbers of shape (batch, features) of `hidden`.

    Returns:
      A tensor, shape (batch, *signature.outputs).
    """
    from keras import layers

    shape = signature.outputs
    if len(shape) > 1 and tuple(hidden.shape[1:-1]) == shape[:-1]:
        return layers.Dense(shape[-1], name="output")(hidden)
    outputs = layers.Dense(math.prod(shape), name="output")(summary(hidden))
    return outputs if len(shape) == 1 else layers.Reshape(shape, name="shaped")(outputs)


def is_at_each_step(signature: Signature, steps: int) -> bool:
    """Tells whether a sequence has an output for each of its steps."""
    return len(signature.outputs) == 2 and signature.outputs[0] == steps
