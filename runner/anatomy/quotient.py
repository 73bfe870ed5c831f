"""The gradient quotient: how much a gradient step changes the gradient itself.

Reference:
  Dauphin and Schoenholz (2019), "MetaInit: initializing learning by learning to initialize",
    equation 3.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Keeps the quotient finite where a gradient is exactly zero, as in MetaInit.
_EPSILON = 1e-5


def gradient_quotient(loss: Callable[[], Any], variables: Sequence[Any]) -> Any:
    """Returns the mean of |(g - H g) / (g + epsilon sign g) - 1| over all entries.

    It is |H g / g|, with the gradient g and the Hessian H of the loss, and can be differentiated.

    Args:
      loss: Returns a scalar that is a function of `variables`.
      variables: Tensors.
    """
    variables = list(variables)
    with tf.GradientTape() as outer:
        outer.watch(variables)
        with tf.GradientTape() as inner:
            inner.watch(variables)
            value = loss()
        slopes = inner.gradient(value, variables, unconnected_gradients="zero")
        gradients = [tf.convert_to_tensor(slope) for slope in slopes]  # of looked up rows too
        half_square = sum(tf.reduce_sum(tf.square(gradient)) for gradient in gradients) / 2
    curved = outer.gradient(half_square, variables, unconnected_gradients="zero")
    total, count = 0.0, 0
    for gradient, change in zip(gradients, map(tf.convert_to_tensor, curved), strict=True):
        sign = tf.where(gradient >= 0, 1.0, -1.0)
        quotient = (gradient - change) / (gradient + _EPSILON * tf.cast(sign, gradient.dtype)) - 1
        total += tf.cast(tf.reduce_sum(tf.abs(quotient)), tf.float32)
        count += int(np.prod(gradient.shape, dtype=int))
    return total / count
