r"""The input-output Jacobian and the gradient quotient: `diagnostics=full`.

References:
  Pennington, Schoenholz, Ganguli (2017), "Resurrecting the sigmoid in deep learning through
    dynamical isometry": the singular values of the Jacobian; all 1 is isometry.
  `runner.anatomy.quotient` has that of the gradient quotient.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from runner.anatomy import batches
from runner.anatomy.calls import called_with
from runner.anatomy.quotient import gradient_quotient
from runner.anatomy.stacked import Arranged
from runner.anatomy.tracing import intercepted, plainly
from runner.propagation.measurement import Meter

# Of the probe: each costs a backward pass through all outputs.
_EXAMPLES = 16


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
        jacobian = self._jacobian(*self._arranged(weights), self.meter.x).numpy()
        wide = jacobian.reshape(*jacobian.shape[:2], -1).astype(np.float64)
        if not np.isfinite(wide).all():
            return np.full((len(wide), min(wide.shape[1:])), np.nan)
        return np.linalg.svd(wide, compute_uv=False)

    def gradient_quotient(self, weights: Sequence[np.ndarray]) -> float:
        """Returns the gradient quotient of the trainable variables on the probe."""
        return float(self._quotient(*self._arranged(weights), *self.meter.probe))

    def _differentiate(self, trainable: Sequence[Any], other: Sequence[Any], probe: Any) -> Any:
        """Returns the Jacobian, shape (examples, outputs, *inputs)."""
        x = batches.first(probe, _EXAMPLES)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            with intercepted(self.meter.anatomy, plainly):
                outputs, _ = called_with(self.meter.model, trainable, other, x, training=True)
            columns = [outputs[:, place] for place in range(outputs.shape[-1])]
        rows = [tape.gradient(column, x, unconnected_gradients="zero") for column in columns]
        if not isinstance(x, dict):
            return tf.stack(rows, axis=1)
        floats = [name for name, values in x.items() if values.dtype.is_floating]
        by_input = [tf.stack([row[name] for row in rows], axis=1) for name in floats]
        flat = [tf.reshape(values, [*values.shape[:2], -1]) for values in by_input]
        return tf.concat(flat, axis=-1)

    def _gradient_quotient(
        self, trainable: Sequence[Any], other: Sequence[Any], *probe: Any
    ) -> Any:
        trainable = list(trainable)
        with intercepted(self.meter.anatomy, plainly):
            return gradient_quotient(
                lambda: self.meter.total_loss(trainable, other, *probe), trainable
            )
