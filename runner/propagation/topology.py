"""How the layers of a model follow each other, as far as it decides which advice holds for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from runner.anatomy.activations import ACTIVATIONS
from runner.anatomy.calls import called_with
from runner.anatomy.kernels import fans
from runner.anatomy.stacked import Arranged
from runner.anatomy.tracing import Trace, intercepted, linear
from runner.propagation.criticality import Chain
from runner.propagation.measurement import Meter

# They tell what enters the first layer with a kernel.
_EXAMPLES = 32


@dataclass
class FanTrace(Trace):
    """Adds up what enters the units of each layer, where kernels hold their mean squares.

    Attributes:
      fan: Of each place, by its `id`: sum of the kernel's mean squares over an output's inputs.
      given: What the first layer with a kernel is given.
      normalizations: How many there are after it.
      sums: Of two tensors of the same shape: skip connections.
    """

    fan: dict[int, float] = field(default_factory=dict)
    given: Any = None
    normalizations: int = 0
    sums: int = 0

    def __call__(
        self, operation: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        shapes = [tensor.shape for tensor in tf.nest.flatten(args) if tf.is_tensor(tensor)]
        self.sums += type(operation).__name__ == "Add" and shapes.count(shapes[0]) > 1
        return super().__call__(operation, call, args, kwargs)

    def _kernel(
        self, operation: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        if self.given is None:
            self.given = args[0]
        ones = tf.ones_like(args[0])
        with linear(operation):
            of_ones, of_zeros = call(ones, **kwargs), call(tf.zeros_like(ones), **kwargs)
        number = len(self.places)
        result = super()._kernel(operation, call, args, kwargs)
        self.fan[id(self.places[number])] = float(tf.reduce_mean(of_ones - of_zeros))
        return result

    def passed(self, kind: str, result: Any) -> Any:
        self.normalizations += kind == "normalization" and self.given is not None
        return result


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
        called_with(meter.model, trainable, other, meter.x[:_EXAMPLES], training=False)
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
