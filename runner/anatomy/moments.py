"""Carries second moments through a model: what becomes of its signal in mean-field theory.

A model is called with the squares of its inputs, with every kernel entry replaced by the mean
square of the kernel's entries and every bias by its own, and with Gaussian expectations in place of
the activations. A dense or convolution layer then computes the variances of its pre-activations,

    q_i = sum_j E[W_ij^2] E[h_j^2] + E[b_i^2],

each with its own fan_in, stride and padding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from runner.anatomy.activations import interpolated_product
from runner.anatomy.tracing import Place, Trace, linear

# Kernels with fourth moments beyond this (normal 3, uniform 1.8) are not many small independent
# numbers: the identity.
_MAX_KURTOSIS = 9.0
_MAX_MEAN_SHARE = 0.02


class Moments:
    """Sums over replicates of the first, second and fourth moments of each weight."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[np.ndarray] = []
        self.sizes: list[int] = []

    def add(self, weights: Sequence[np.ndarray]) -> None:
        """Adds a replicate's weights, in the order of `model.weights`."""
        moments = [_moments(np.asarray(value, np.float64)) for value in weights]
        before = self.sums or [np.zeros(3)] * len(moments)
        self.sums = [a + b for a, b in zip(before, moments, strict=True)]
        self.sizes = [value.size for value in weights]
        self.count += 1

    def mean_square(self, position: int) -> float:
        """Returns E[w^2], or NaN where the weight is not a set of many small numbers about 0."""
        mean, square, fourth = self.sums[position] / self.count
        if square == 0:
            return 0.0
        # The mean of so many independent numbers is not exactly 0 either.
        luck = 9 / (self.sizes[position] * self.count)
        if mean**2 > (_MAX_MEAN_SHARE + luck) * square or fourth > _MAX_KURTOSIS * square**2:
            return float("nan")
        return float(square)


def _moments(values: np.ndarray) -> np.ndarray:
    squares = np.square(values)  # powers would take ten times as long
    return np.array([np.mean(values), np.mean(squares), np.mean(np.square(squares))])


def can_be_followed(model: Any) -> bool:
    """Tells whether the model consists of Keras's layers in a graph, not of a user's `call`."""
    import keras

    functional = (keras.Sequential, keras.models.Model)
    for layer in model._flatten_layers():
        composite = bool(layer._layers) and not isinstance(
            layer, keras.layers.RNN | keras.layers.Wrapper
        )
        is_graph = isinstance(layer, functional) and type(layer).__module__.startswith("keras.")
        has_activation = isinstance(getattr(layer, "activation", None), keras.Layer)
        if composite and not is_graph and not has_activation:
            return False
    return True


def products(x: Any) -> Any:
    """Returns the squares of all examples and, below them, the products of the pairs."""

    def of_one(values: Any) -> Any:
        pairs = values.shape[0] // 2
        return tf.concat([tf.square(values), values[:pairs] * values[pairs : 2 * pairs]], axis=0)

    return tf.nest.map_structure(of_one, x)


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


@dataclass
class MomentTrace(FanTrace):
    """Carries second moments through the model; NaN from where the theory does not hold.

    Attributes:
      num_examples: Rows that hold squares; products of pairs, of i and i + half, follow.
      means: E[f(u)], shape (examples, ...), of the places with an activation.
      slopes: E[f'(u)^2], mean over examples.
      gaps: Places that something stands before which the theory does not know.
    """

    num_examples: int = 0
    means: dict[int, np.ndarray] = field(default_factory=dict)
    slopes: dict[int, float] = field(default_factory=dict)
    gaps: set[int] = field(default_factory=set)
    _gap: bool = False

    def _kernel(
        self, operation: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        number = len(self.places)
        result = super()._kernel(operation, call, args, kwargs)
        if self._gap:
            self.gaps.add(id(self.places[number]))
        self._gap = False
        return result

    def passed(self, kind: str, result: Any) -> Any:
        """Lets shapes through; anything else ends the prediction."""
        if kind == "silent":
            return result
        self._gap = True
        return result * np.nan

    def activated(self, place: Place, function: Callable[[Any], Any]) -> Any:
        """Returns the second moments of the activations."""
        if place.activation is None or np.isnan(np.sum(place.before)):
            self._gap = True
            return function(place.before) * np.nan  # as wide as the activations
        activation = place.activation
        q = np.asarray(place.before, float)
        alike = q.shape[-1] > 1 and bool((np.ptp(q, axis=-1) <= 1e-6 * np.abs(q[..., 0])).all())
        if alike:  # all units have the same moments
            q = q[..., :1]
        lengths, covariances = np.split(q, [self.num_examples])
        first, second = self.of_pairs(lengths)
        norms = np.sqrt(first * second)
        c = np.divide(covariances, norms, out=np.ones_like(norms), where=norms > 0)
        squares = activation.second_moment(lengths)
        of_pairs = np.sqrt(np.multiply(*self.of_pairs(squares)))
        moments = [squares, interpolated_product(activation, first, second, c, of_pairs)]
        self.means[id(place)] = activation.mean(lengths)
        self.slopes[id(place)] = float(np.mean(activation.squared_slope(lengths)))
        joined = np.concatenate(moments)
        return tf.constant(np.broadcast_to(joined, place.before.shape), tf.float32)

    def of_pairs(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = self.num_examples // 2
        return lengths[:pairs], lengths[pairs : 2 * pairs]
