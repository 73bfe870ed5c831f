"""How the layers of a model follow each other, as far as it decides which advice holds for it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from runner.anatomy import batches
from runner.anatomy.activations import ACTIVATIONS
from runner.anatomy.calls import called_with
from runner.anatomy.kernels import fans
from runner.anatomy.moments import FanTrace
from runner.anatomy.stacked import Arranged
from runner.anatomy.tracing import intercepted
from runner.propagation.criticality import Chain
from runner.propagation.measurement import Meter

# They tell what enters the first layer with a kernel.
_EXAMPLES = 32


@dataclass(frozen=True)
class Topology:
    """What decides which advice holds for a net.

    Attributes:
      normalizations: After the first layer with a kernel.
      sums: Skip connections.
      unknown: Layers whose activation is no function of one number.
      chain: The layers with kernels in their order; None where an activation is unknown,
        or there is none.
    """

    normalizations: int
    sums: int
    unknown: int
    chain: Chain | None


def topology(meter: Meter, mean_squares: Callable[[int], float] | None = None) -> Topology:
    """Follows the layers of a model.

    Args:
      meter: Of the model.
      mean_squares: Of the kernel at a position among the model's weights; by default 1 / fan_in.
    """
    weights = [weight.numpy() for weight in meter.model.weights]
    for kernel in (kernel for layer in meter.layers for kernel in layer.kernels):
        position = kernel.position
        square = 1 / fans(kernel)[0] if mean_squares is None else mean_squares(position)
        weights[position] = np.full_like(weights[position], square)
    trace = FanTrace(meter.anatomy)
    with intercepted(meter.anatomy, trace):
        trainable, other = Arranged(meter.model)(weights)
        called_with(
            meter.model, trainable, other, batches.first(meter.x, _EXAMPLES), training=False
        )
    judged = [
        (place, len(layer.kernels))
        for place, layer in zip(trace.places, meter.layers, strict=True)
        if layer.has_preactivations
    ]
    activations = [
        ACTIVATIONS["linear"] if place.after is None else place.activation
        for place, _ in judged[:-1]
    ]
    known = [activation for activation in activations if activation is not None]
    unknown = len(activations) - len(known)
    chain = None
    if judged and not unknown:
        chain = Chain(
            activations=known,
            gains=np.array([trace.fan[id(place)] for place, _ in judged]),
            num_kernels=np.array([max(count, 1) for _, count in judged]),
            input_mean_square=float(tf.reduce_mean(tf.square(tf.cast(trace.given, tf.float64)))),
            has_skips=trace.sums > 0,
        )
    return Topology(trace.normalizations, trace.sums, unknown, chain)
