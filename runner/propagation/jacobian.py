r"""The input-output Jacobian and the gradient quotient: `diagnostics=full`.

References:
  Pennington, Schoenholz, Ganguli (2017), "Resurrecting the sigmoid in deep learning through
    dynamical isometry": the singular values of the Jacobian; all 1 is isometry.
  Dauphin and Schoenholz (2019), "MetaInit: initializing learning by learning to initialize",
    equation 3: the gradient quotient, the mean of |(g - H g) / g - 1| = |H g / g| over the
    parameters: how much a gradient step changes the gradient itself.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from runner.anatomy.calls import called_with
from runner.anatomy.stacked import Arranged
from runner.anatomy.tracing import intercepted
from runner.propagation.measurement import Meter

# Of the probe: each costs a backward pass through all outputs.
_EXAMPLES = 16
# Keeps the quotient finite where a gradient is exactly zero, as in MetaInit.
_EPSILON = 1e-5


class FullMeter:
    """Measures what `diagnostics=full` adds, compiled once for a model."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._arranged = Arranged(meter.model)
        self._jacobian = tf.function(self._differentiate, autograph=False)
        self._quotient = tf.function(self._gradient_quotient, autograph=False)

    def singular_values(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the singular values, shape (examples, values), largest first.

        They are of the derivatives of an example's outputs with respect to its own inputs. Where
        batch normalization lets examples act on each other, of those of the sum over the batch.
        """
        jacobian = self._jacobian(*self._arranged(weights)).numpy()
        wide = jacobian.reshape(*jacobian.shape[:2], -1).astype(np.float64)
        if not np.isfinite(wide).all():
            return np.full((len(wide), min(wide.shape[1:])), np.nan)
        return np.linalg.svd(wide, compute_uv=False)

    def gradient_quotient(self, weights: Sequence[np.ndarray]) -> float:
        """Returns the gradient quotient of the trainable variables on the probe."""
        return float(self._quotient(*self._arranged(weights)))

    def _differentiate(self, trainable: Sequence[Any], other: Sequence[Any]) -> Any:
        """Returns the Jacobian, shape (examples, outputs, *inputs)."""
        x = self.meter.x[:_EXAMPLES]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            with intercepted(self.meter.anatomy, _plainly):
                outputs, _ = called_with(self.meter.model, trainable, other, x, training=True)
            columns = [outputs[:, place] for place in range(outputs.shape[-1])]
        rows = [tape.gradient(column, x, unconnected_gradients="zero") for column in columns]
        return tf.stack(rows, axis=1)

    def _gradient_quotient(self, trainable: Sequence[Any], other: Sequence[Any]) -> Any:
        trainable = list(trainable)
        with tf.GradientTape() as outer:
            outer.watch(trainable)
            with tf.GradientTape() as inner:
                inner.watch(trainable)
                with intercepted(self.meter.anatomy, _plainly):
                    loss = self.meter.total_loss(trainable, other)
            gradients = inner.gradient(loss, trainable, unconnected_gradients="zero")
            product = sum(
                tf.reduce_sum(gradient * tf.stop_gradient(gradient)) for gradient in gradients
            )
        curved = outer.gradient(product, trainable, unconnected_gradients="zero")
        total, count = 0.0, 0
        for gradient, change in zip(gradients, curved, strict=True):
            sign = tf.where(gradient >= 0, 1.0, -1.0)
            quotient = (gradient - change) / (gradient + _EPSILON * sign) - 1
            total += tf.reduce_sum(tf.abs(quotient))
            count += int(np.prod(gradient.shape, dtype=int))
        return total / count


def _plainly(operation: Any, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs a call as it is; being intercepted, dropout is off."""
    return call(*args, **kwargs)
