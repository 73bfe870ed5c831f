r"""What mean-field theory says of a given model, layer by layer.

The maps of `runner.propagation.meanfield` are applied to the model itself: it is called with the
second moments of the probe for inputs, with every kernel entry replaced by the mean square of the
kernel's entries and every bias by its mean square, and with the Gaussian expectations in place of
the activations. A dense or convolution layer then computes

    q_i = sum_j E[W_ij^2] E[h_j^2] + E[b_i^2],

each with its own fan_in, stride and padding. Products of pairs of examples go through the same
layers and give the correlations. Backwards, with chi = E[f'(u)^2], the squared norm of the gradient
goes from layer to layer by

    G_l = G_{l+1} fan_in_{l+1} E[W_{l+1}^2] chi_l

(for a square dense layer, the gradient's variance by chi_1), starting from what was measured at the
last layer, since that is a matter of the loss.

Where the theory does not hold (pooling, sums, normalizations, recurrent layers, softmax, kernels
that are not independent numbers about 0, biases that are not about 0) nothing is predicted from
there on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from runner.anatomy.activations import interpolated_product
from runner.anatomy.calls import called_with
from runner.anatomy.stacked import Arranged
from runner.anatomy.tracing import Place, intercepted
from runner.propagation.measurement import Meter
from runner.propagation.topology import FanTrace

PREDICTED = (
    *("preactivation_variance", "activation_mean", "activation_variance"),
    *("correlation", "gradient_variance"),
)
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


def predict(
    meter: Meter, moments: Moments, last_gradient_variance: float
) -> dict[str, np.ndarray] | None:
    """Returns the predicted quantities of all layers, shape (layers,); NaN where there is none.

    Args:
      meter: Of the model; its probe is what is propagated.
      moments: Of the weights of a configuration's replicates.
      last_gradient_variance: Measured at the last layer with a kernel.

    Returns:
      None where the model computes something that cannot be followed.
    """
    if not _can_be_followed(meter.model):
        return None
    weights = [
        np.full(weight.shape, moments.mean_square(position), np.float32)
        for position, weight in enumerate(meter.model.weights)
    ]
    trace = _MomentTrace(meter.anatomy, num_examples=int(meter.x.shape[0]))
    with intercepted(meter.anatomy, trace):
        trainable, other = Arranged(meter.model)(weights)
        called_with(meter.model, trainable, other, _products(meter.x), training=False)
    rows = [trace.numbers(place) for place in trace.places]
    quantities = {
        name: np.array([row.get(name, np.nan) for row in rows], float) for name in PREDICTED
    }
    quantities["gradient_variance"] = _backwards(meter, trace, last_gradient_variance)
    return quantities


def _can_be_followed(model: Any) -> bool:
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


def _products(x: Any) -> Any:
    """Returns the squares of all examples and, below them, the products of the pairs."""
    pairs = x.shape[0] // 2
    return tf.concat([tf.square(x), x[:pairs] * x[pairs : 2 * pairs]], axis=0)


@dataclass
class _MomentTrace(FanTrace):
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
            return place.before * np.nan
        activation = place.activation
        q = np.asarray(place.before, float)
        alike = q.shape[-1] > 1 and bool((np.ptp(q, axis=-1) <= 1e-6 * np.abs(q[..., 0])).all())
        if alike:  # all units have the same moments
            q = q[..., :1]
        lengths, covariances = np.split(q, [self.num_examples])
        first, second = self._of_pairs(lengths)
        norms = np.sqrt(first * second)
        c = np.divide(covariances, norms, out=np.ones_like(norms), where=norms > 0)
        squares = activation.second_moment(lengths)
        of_pairs = np.sqrt(np.multiply(*self._of_pairs(squares)))
        moments = [squares, interpolated_product(activation, first, second, c, of_pairs)]
        self.means[id(place)] = activation.mean(lengths)
        self.slopes[id(place)] = float(np.mean(activation.squared_slope(lengths)))
        joined = np.concatenate(moments)
        return tf.constant(np.broadcast_to(joined, place.before.shape), tf.float32)

    def _of_pairs(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = self.num_examples // 2
        return lengths[:pairs], lengths[pairs : 2 * pairs]

    def numbers(self, place: Place) -> dict[str, float]:
        """Returns the predicted quantities of a place."""
        numbers: dict[str, float] = {}
        if place.before is not None:
            before = np.asarray(place.before, float)
            numbers["preactivation_variance"] = self._variance(before)
        signal = np.asarray(place.signal, float)
        lengths, covariances = np.split(signal, [self.num_examples])
        if len(covariances):
            sums = [
                values.reshape(len(covariances), -1).sum(axis=1)
                for values in (covariances, *self._of_pairs(lengths))
            ]
            with np.errstate(divide="ignore", invalid="ignore"):
                numbers["correlation"] = float(np.mean(sums[0] / np.sqrt(sums[1] * sums[2])))
        if id(place) in self.means:
            mean = float(np.mean(self.means[id(place)]))
            numbers["activation_mean"] = mean
            numbers["activation_variance"] = float(np.mean(lengths)) - mean**2
        elif place.after is None:
            numbers["activation_mean"] = 0 * numbers["preactivation_variance"]
            numbers["activation_variance"] = numbers["preactivation_variance"]
        return numbers

    def _variance(self, moments: np.ndarray) -> float:
        """Returns the variance about the mean over examples and units.

        The mean itself scatters about 0, by the mean covariance of two examples over the units.
        """
        lengths, covariances = np.split(moments, [self.num_examples])
        mean = float(np.mean(lengths))
        if moments.ndim > 2:  # positions within an example vary with each other in an unknown way
            return mean
        share = 1 / len(lengths)
        covariance = share * mean
        if len(covariances):
            covariance += (1 - share) * float(np.mean(covariances))
        return mean - covariance / moments.shape[-1]


def _backwards(meter: Meter, trace: _MomentTrace, last: float) -> np.ndarray:
    """Returns the gradient's variance of all layers, from that of the last one."""
    variances = np.full(len(meter.layers), np.nan)
    total = np.nan
    following: Place | None = None
    for row in reversed(range(len(meter.layers))):
        layer, place = meter.layers[row], trace.places[row]
        if not layer.has_preactivations:
            total, following = np.nan, None if following is None else following
            continue
        if following is None:
            total = last * layer.size
        elif id(following) in trace.gaps:
            total = np.nan
        else:
            slope = trace.slopes.get(id(place), 1.0 if place.after is None else np.nan)
            total *= trace.fan[id(following)] * slope
        variances[row] = total / layer.size
        following = place
    return variances
