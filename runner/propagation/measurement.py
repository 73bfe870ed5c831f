r"""Measures how signal and gradient travel through a model's layers before any training.

One compiled program takes the stacked weights of replicates and returns their numbers; see
`runner.anatomy.stacked`. It works for every model that can be trained, and takes about three times
(forward, gradient, one layer's statistics in float64) what the model's activations take.

The probe is a batch of training examples. Normalizations see it as in training; dropout and noise
are off, because what they switch off is not the initializer's doing. Gradients are of the real loss
and per example: the gradient of the batch's mean loss times the number of examples, so that they do
not depend on the size of the probe.

What is measured of a place (see `runner.anatomy.tracing`), h for its activations, z for its
pre-activations, over examples, positions and units unless something else is said:

    preactivation_mean, preactivation_variance    of z, where there is one
    activation_mean, activation_variance          of h
    zero_share        of h that are exactly 0
    saturated_share   of h that are not 0, but where the slope of the activation is small
    off_share         of the units whose slope is small for the whole probe
    gradient_variance of the gradient of an example's loss with respect to z (or h)
    correlation       mean over pairs of examples of h1 h2 / |h1| |h2|, not centred; as the next
                      one, of two examples at least
    participation_ratio    (sum of eigenvalues)^2 / sum of their squares, of h's covariance over
                           examples: the number of dimensions that the representation fills
    kernel_stddev     of the kernel's entries about their mean
    weight_variance   their mean square times how many of them an output sums up: sigma_w^2 of
                      mean-field theory
    kernel_gradient_variance    of the gradient of the mean loss with respect to the kernel
    weight_gradient_ratio  root mean square of the kernel over that of its gradient
    unit_difference   largest difference between the kernels of two units that see the same inputs
    unit_gradient_difference    of the gradients with respect to these; behind a kernel of zeros
                      that holds them back, after its first step

Kernels that are not called `kernel` have their name in front (`recurrent_kernel_stddev`). How many
entries an output sums up is Keras's fan_in but for depthwise kernels, where it is the taps alone,
and transposed convolutions, where Keras counts what an input is spread to.

References:
  Glorot and Bengio (2010): variances of activations and gradients against depth.
  Gao et al. (2017), "A theory of multineuronal dimensionality": the participation ratio.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from runner.anatomy import batches
from runner.anatomy.activations import Activation
from runner.anatomy.calls import called_with
from runner.anatomy.elementwise import active_interval
from runner.anatomy.kernels import Weight, stride
from runner.anatomy.matrices import rows_and_units
from runner.anatomy.stacked import Arranged, EachReplicate
from runner.anatomy.tracing import Anatomy, Place, Trace, dissected, intercepted
from runner.propagation.judgement import ROUNDING

Loss = Callable[[Any, Any], Any]
"""Keras's loss: (targets, outputs, and maybe weights) -> mean over the examples."""

OF_PLACES = (
    *("preactivation_mean", "preactivation_variance", "activation_mean", "activation_variance"),
    *("zero_share", "saturated_share", "off_share", "gradient_variance"),
    *("correlation", "participation_ratio"),
)
_MISSING = tf.constant(np.nan, tf.float64)


@dataclass(frozen=True)
class Layer:
    """One row of the tables: a layer's call.

    Attributes:
      path: Name of the layer in the model.
      kernels: Its kernels.
      activation: Between its pre-activations and its activations, if it is elementwise.
      has_kernels: Whether initializers have a say in what it computes.
      has_preactivations: Whether a kernel makes something that enters an activation, or would.
      num_units: Size of the last axis.
      size: Elements per example.
    """

    path: str
    kernels: tuple[Weight, ...]
    activation: Activation | None
    has_kernels: bool
    has_preactivations: bool
    num_units: int
    size: int


@dataclass(frozen=True)
class Measurement:
    """The numbers of one replicate.

    Attributes:
      quantities: Name -> values of all layers, shape (layers,); NaN where there is no such number.
      loss: Of the probe.
      start_mean_square: Of what enters the first layer with kernels; NaN where there is none.
      start_correlation: Of its pairs.
      kernels: Path -> realised standard deviation.
    """

    quantities: dict[str, np.ndarray]
    loss: float
    start_mean_square: float
    start_correlation: float
    kernels: dict[str, float]


class Meter:
    """Measures replicates of one model.

    The probe is what its programs are given, so others of the same shapes can take its place.

    Attributes:
      probe: Inputs, targets and maybe weights of some examples.
      layers: The rows, in the order of the calls.
      weighted: Places of the layers with kernels.
    """

    def __init__(
        self,
        model: Any,
        loss: Loss,
        x: Any,
        y: np.ndarray,
        kernels: Sequence[Weight] | None = None,
        weight: np.ndarray | None = None,
    ) -> None:
        """Finds the layers; compiles nothing yet.

        Args:
          model: A built `keras.Model`.
          loss: What is minimized.
          x, y: The probe; of n examples i and i + n//2 are a pair.
          kernels: What its initializer draws; without them, what Keras calls kernels.
          weight: Of the examples, where they count differently.
        """
        self.model = model
        self.take(x, y, weight)
        self._loss = loss
        self.anatomy, places = dissected(model, batches.first(self.x, 2), kernels)
        self.layers = tuple(_layer(self.anatomy, place) for place in places)
        self.weighted = [row for row, layer in enumerate(self.layers) if layer.has_kernels]
        self._intervals = [
            None if layer.activation is None else active_interval(layer.activation)
            for layer in self.layers
        ]
        self._trainable = [id(variable) for variable in model.trainable_variables]
        self._kernels = {id(k.variable): k for layer in self.layers for k in layer.kernels}
        of_each = (tf.float64, tf.float64, tf.float64)
        self._measured = EachReplicate(model, self._measure, of_each, shared=self.probe)
        self._arranged = Arranged(model)
        self._gradients = tf.function(self._differentiate, autograph=False)

    def take(self, x: Any, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Takes a probe, as at the beginning."""
        given = (x, y) if weight is None else (x, y, weight)
        self.probe = tf.nest.map_structure(tf.constant, given)

    @property
    def x(self) -> Any:
        """The inputs of the probe."""
        return self.probe[0]

    def measure(self, replicates: Sequence[Sequence[np.ndarray]]) -> list[Measurement]:
        """Returns the numbers of the replicates that start with these weights.

        Args:
          replicates: The weights of each, in the order of `model.weights`.
        """
        stacked = [np.stack(values) for values in zip(*replicates, strict=True)]
        values, gradients, of_network = self._measured(stacked, shared=self.probe)
        gradients = gradients.copy()
        for weights, moments in zip(replicates, gradients, strict=True):
            self._look_behind(weights, moments)
        numbers = zip(replicates, values, gradients, of_network, strict=True)
        return [self._measurement(*of_one) for of_one in numbers]

    def _look_behind(self, weights: Sequence[np.ndarray], moments: np.ndarray) -> None:
        """Tells whether units that get no gradient will be told apart once it comes through.

        A kernel of zeros that has a gradient keeps it back from what is before it, for one step.
        So what is before it is differentiated once more, with minus its gradient in its place.

        Args:
          weights: Of a replicate.
          moments: Of its gradients, as `_measure` returns them; their last column is changed.
        """
        has_gradient = dict(zip(self._trainable, moments[:, 1] > 0, strict=True))
        zero = [k for k in self._kernels.values() if not np.any(weights[k.position])]
        closed = [kernel for kernel in zero if has_gradient[id(kernel.variable)]]
        if not closed or len(closed) == len(zero):
            return
        gradients = self._gradients(*self._arranged(weights), *self.probe)
        given = dict(zip(self._trainable, gradients, strict=True))
        opened = list(weights)
        for kernel in closed:
            opened[kernel.position] = -given[id(kernel.variable)].numpy()
        _, (after,), _ = self._measured([values[None] for values in opened], shared=self.probe)
        differs = after[:, 2] > ROUNDING * np.sqrt(after[:, 1])
        moments[:, 2] = np.where(differs, np.fmax(moments[:, 2], after[:, 2]), moments[:, 2])

    def _differentiate(
        self, trainable: Sequence[Any], other: Sequence[Any], *probe: Any
    ) -> Sequence[Any]:
        """Returns the gradient of the loss with respect to each trainable variable."""
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            with intercepted(self.anatomy, Trace(self.anatomy)):
                loss = self.total_loss(trainable, other, *probe)
        return [
            tf.convert_to_tensor(gradient)
            for gradient in tape.gradient(loss, trainable, unconnected_gradients="zero")
        ]

    def _measurement(
        self,
        weights: Sequence[np.ndarray],
        values: np.ndarray,
        gradients: np.ndarray,
        of_network: np.ndarray,
    ) -> Measurement:
        quantities = dict(zip(OF_PLACES, values, strict=True))
        gradient_of = dict(zip(self._trainable, gradients, strict=True))
        realised = {}
        for row, layer in enumerate(self.layers):
            for kernel in layer.kernels:
                name = kernel.name
                found = kernel_numbers(kernel, weights[kernel.position])
                realised[kernel.path] = found["stddev"]
                squares, variance, difference = gradient_of[id(kernel.variable)]
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio = found["rms"] / np.sqrt(squares)
                entries = {
                    f"{name}_stddev": found["stddev"],
                    f"{name}_gradient_variance": variance,
                    _prefixed(name, "weight_variance"): found["num_inputs"] * found["rms"] ** 2,
                    _prefixed(name, "weight_gradient_ratio"): ratio,
                    _prefixed(name, "unit_difference"): found["unit_difference"],
                    _prefixed(name, "unit_gradient_difference"): difference,
                }
                for key, value in entries.items():
                    column = quantities.setdefault(key, np.full(len(self.layers), np.nan))
                    column[row] = value
        loss, start_mean_square, start_correlation = map(float, of_network)
        return Measurement(quantities, loss, start_mean_square, start_correlation, realised)

    def _measure(
        self, trainable: Sequence[Any], other: Sequence[Any], *probe: Any
    ) -> tuple[Any, Any, Any]:
        """Returns the quantities of the layers, moments of the variables' gradients, and the loss.

        Of shapes (len(OF_PLACES), layers), (trainable variables, 3) and (3,); beside the loss stand
        mean square and correlation of what enters the first layer with kernels.
        """
        with tf.GradientTape() as tape:
            tape.watch(trainable)

            def watch(tensor: Any) -> Any:
                tape.watch(tensor)
                return tensor

            trace = Trace(self.anatomy, watch)
            with intercepted(self.anatomy, trace):
                loss = self.total_loss(trainable, other, *probe)
        sources = [_differentiated(place) for place in trace.places]
        gradients = tape.gradient(loss, [*sources, *trainable], unconnected_gradients="zero")
        rows = [
            _statistics(place, gradient, interval)
            for place, gradient, interval in zip(
                trace.places, gradients[: len(sources)], self._intervals, strict=True
            )
        ]
        quantities = [[row.get(name, _MISSING) for row in rows] for name in OF_PLACES]
        moments = [
            _moments(gradient, self._kernels.get(identity))
            for gradient, identity in zip(gradients[len(sources) :], self._trainable, strict=True)
        ]
        start = next((trace.places[row].given for row in self.weighted), None)
        of_network = [tf.cast(loss, tf.float64), *_start(start)]
        return tf.stack(quantities), tf.stack(moments), tf.stack(of_network)

    def total_loss(
        self, trainable: Sequence[Any], other: Sequence[Any], x: Any, *compared: Any
    ) -> Any:
        """Returns the loss of a probe, the layers' own regularization included."""
        x = batches.tensors(x)  # of this graph: a layer may hand on what it is given
        outputs, penalties = called_with(self.model, trainable, other, x, training=True)
        y, *weight = compared
        loss = self._loss(y, outputs, *weight)
        return loss + sum(tf.cast(p, outputs.dtype) for p in penalties)


def _layer(found: Anatomy, place: Place) -> Layer:
    shape = place.signal.shape[1:]
    return Layer(
        path=found.path(place),
        kernels=tuple(place.kernels),
        activation=place.activation,
        has_kernels=bool(found.kernels[id(place.layer)]),
        has_preactivations=place.before is not None and found.kinds[id(place.layer)] == "kernel",
        num_units=int(shape[-1]),
        size=int(np.prod(shape)),
    )


def _differentiated(place: Place) -> Any:
    return place.after if place.before is None else place.before


def _statistics(place: Place, gradient: Any, interval: Any) -> dict[str, Any]:
    """Returns the quantities of one place, each a float64 scalar."""
    signal = tf.cast(place.signal, tf.float64)
    examples = tf.cast(tf.shape(signal)[0], tf.float64)
    numbers: dict[str, Any] = {}
    if place.before is not None:
        before = tf.cast(place.before, tf.float64)
        mean, variance = _mean_and_variance(before)
        numbers |= {"preactivation_mean": mean, "preactivation_variance": variance}
        if place.after is not None and interval is not None:
            numbers |= _shares(before, signal, interval)
    mean, variance = _mean_and_variance(signal)
    numbers |= {"activation_mean": mean, "activation_variance": variance}
    _, numbers["gradient_variance"] = _mean_and_variance(tf.cast(gradient, tf.float64) * examples)
    return numbers | _geometry(signal)


def _start(given: Any) -> tuple[Any, Any]:
    """Returns mean square and correlation of what enters a layer."""
    if given is None:
        return _MISSING, _MISSING
    given = tf.cast(given, tf.float64)
    return tf.reduce_mean(tf.square(given)), _correlation(_scaled_rows(given))


def _mean_and_variance(values: Any) -> tuple[Any, Any]:
    mean = tf.reduce_mean(values)
    return mean, tf.reduce_mean(tf.square(values - mean))


def _moments(gradient: Any, kernel: Weight | None) -> Any:
    """Returns mean square and variance, and of a kernel the largest difference between units."""
    _, variance = _mean_and_variance(values := tf.cast(gradient, tf.float64))
    units = None if kernel is None else rows_and_units(kernel).apart(values)
    difference = _MISSING
    if units is not None and units.shape[2] > 1:
        largest, smallest = tf.reduce_max(units, axis=2), tf.reduce_min(units, axis=2)
        difference = tf.reduce_max(largest - smallest)
    return tf.stack([tf.reduce_mean(tf.square(values)), variance, difference])


def _shares(before: Any, after: Any, interval: tuple[float, float]) -> dict[str, Any]:
    low, high = interval
    slope_is_small = (before <= low) | (before >= high)
    is_zero = tf.equal(after, 0)
    off = tf.reduce_all(slope_is_small, axis=list(range(before.shape.rank - 1)))
    shares = {
        "zero_share": is_zero,
        "saturated_share": slope_is_small & ~is_zero,
        "off_share": off,
    }
    return {name: tf.reduce_mean(tf.cast(value, tf.float64)) for name, value in shares.items()}


def _geometry(signal: Any) -> dict[str, Any]:
    """Returns the correlation of pairs and the participation ratio of a representation."""
    rows = _scaled_rows(signal)
    centred = rows - tf.reduce_mean(rows, axis=0)
    gram = tf.matmul(centred, centred, transpose_b=True)
    ratio = tf.square(tf.linalg.trace(gram)) / tf.reduce_sum(tf.square(gram))
    return {"correlation": _correlation(rows), "participation_ratio": ratio}


def _scaled_rows(signal: Any) -> Any:
    """Returns an example a row, in a unit in which squares neither vanish nor overflow."""
    rows = tf.reshape(signal, [tf.shape(signal)[0], -1])
    scale = tf.reduce_max(tf.abs(rows))
    return rows / tf.where(scale > 0, scale, 1.0)


def _correlation(rows: Any) -> Any:
    """Returns the mean correlation of the pairs of rows, not centred."""
    half = tf.shape(rows)[0] // 2
    first, second = rows[:half], rows[half : 2 * half]
    norms = tf.norm(first, axis=1) * tf.norm(second, axis=1)
    told = norms > 0  # what is zero throughout has no direction
    cosines = tf.math.divide_no_nan(tf.reduce_sum(first * second, axis=1), norms)
    return tf.reduce_sum(cosines) / tf.reduce_sum(tf.cast(told, tf.float64))


def kernel_numbers(kernel: Weight, values: np.ndarray) -> dict[str, float]:
    """Returns what a kernel's entries say, without the data.

    Args:
      kernel: Which one.
      values: Of the kernel, as Keras stores it.

    Returns:
      Standard deviation, root mean square, largest difference between two units that see the same
      inputs (NaN where no two do), and how many entries an output sums up.
    """
    wide = np.asarray(values, np.float64)
    units = rows_and_units(kernel).apart(wide)
    difference = np.ptp(units, axis=2).max() if units.shape[2] > 1 else np.nan
    mean = wide.mean()
    centred = (wide - mean).ravel()
    variance = np.dot(centred, centred) / wide.size
    return {
        "stddev": math.sqrt(variance),
        "rms": math.sqrt(variance + mean**2),
        "unit_difference": float(difference),
        "num_inputs": units.shape[1] / stride(kernel),
    }


def _prefixed(kernel: str, quantity: str) -> str:
    """Returns the quantity's name, with the kernel's in front where that is a special one."""
    return quantity if kernel == "kernel" else f"{kernel}_{quantity}"
