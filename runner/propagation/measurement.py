r"""Measures how signal and gradient travel through a model's layers before any training.

One traced program takes the weights of a replicate and returns its signals and gradients. The
statistics are taken of several replicates at once, by numpy or, where there is much to compute, by
TensorFlow: to trace them as well would take longer than to measure hundreds of small nets. It works
for every model that can be trained, and takes a few times what the activations of a replicate take.

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
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from runner.anatomy import batches
from runner.anatomy.activations import Activation
from runner.anatomy.calls import called_with
from runner.anatomy.elementwise import active_interval
from runner.anatomy.kernels import Weight, stride
from runner.anatomy.matrices import rows_and_units
from runner.anatomy.stacked import Arranged
from runner.anatomy.tracing import Anatomy, Place, Trace, dissected, intercepted
from runner.propagation.judgement import ROUNDING

Loss = Callable[[Any, Any], Any]
"""Keras's loss: (targets, outputs, and maybe weights) -> mean over the examples."""

OF_PLACES = (
    *("preactivation_mean", "preactivation_variance", "activation_mean", "activation_variance"),
    *("zero_share", "saturated_share", "off_share", "gradient_variance"),
    *("correlation", "participation_ratio"),
)
# Replicates are measured together while what is measured of them takes up to about so many bytes,
# three tensors of float32 for each element.
_TOGETHER_BYTES = 2**26
_ELEMENT_BYTES = 3 * 4

# Elements of several replicates at a place up to which numpy computes, on one core.
_MAX_OF_NUMPY = 2**18


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


class _Signals(NamedTuple):
    """What a replicate has at a place; with an axis of replicates in front if it is of several.

    Attributes:
      before, after: Its pre-activations and activations; None where there are none.
      gradient: Of the mean loss with respect to the former, or else the latter.
    """

    before: Any
    after: Any
    gradient: Any


class _Pass(NamedTuple):
    """What comes of a replicate's forward and backward pass.

    Attributes:
      places: Of each layer.
      gradients: Of the trainable variables.
      loss: Of the probe.
      start: What enters the first layer with kernels; None where there is none.
    """

    places: list[_Signals]
    gradients: list[Any]
    loss: Any
    start: Any


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
        self._traced = tf.function(self._pass, autograph=False)
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
        elements = sum(layer.size for layer in self.layers) * batches.count(self.x)
        together = max(1, _TOGETHER_BYTES // (elements * _ELEMENT_BYTES))
        return [
            measured
            for first in range(0, len(replicates), together)
            for measured in self._measure(replicates[first : first + together])
        ]

    def _measure(self, replicates: Sequence[Sequence[np.ndarray]]) -> list[Measurement]:
        """Returns the numbers of a few replicates."""
        passes = [self._passed(weights) for weights in replicates]
        entering = _stacked([one.start for one in passes])
        with np.errstate(all="ignore"):  # of nets that explode
            quantities = self._quantities([one.places for one in passes])
            starts = np.full((2, len(passes)), np.nan)
            if entering is not None:
                starts[:] = _mean(entering**2), _correlation(_scaled_rows(entering))
            gradients = [self._moments(one.gradients) for one in passes]
        measured = []
        for weights, values, moments, one, start in zip(
            replicates, quantities, gradients, passes, starts.T.tolist(), strict=True
        ):
            self._look_behind(weights, moments)
            measured.append(self._measurement(weights, values, moments, (float(one.loss), *start)))
        return measured

    def _passed(self, weights: Sequence[np.ndarray]) -> "_Pass":
        return self._traced(*self._arranged(weights), *self.probe)

    def _quantities(self, places: Sequence[Sequence["_Signals"]]) -> np.ndarray:
        """Returns (replicates, len(OF_PLACES), layers) from what each replicate has at each place.

        NaN where a place has no such number.
        """
        found = np.full((len(places), len(OF_PLACES), len(self.layers)), np.nan)
        by_place = zip(zip(*places, strict=True), self._intervals, strict=True)
        for row, (signals, interval) in enumerate(by_place):
            together = _Signals(*map(_stacked, zip(*signals, strict=True)))
            for name, values in _statistics(together, interval).items():
                found[:, OF_PLACES.index(name), row] = np.asarray(values)
        return found

    def _moments(self, gradients: Sequence[Any]) -> np.ndarray:
        """Returns the moments of the gradient of each trainable variable, (variables, 3)."""
        pairs = zip(gradients, self._trainable, strict=True)
        return np.array([_moments(g.numpy(), self._kernels.get(identity)) for g, identity in pairs])

    def _look_behind(self, weights: Sequence[np.ndarray], moments: np.ndarray) -> None:
        """Tells whether units that get no gradient will be told apart once it comes through.

        A kernel of zeros that has a gradient keeps it back from what is before it, for one step.
        So what is before it is differentiated once more, with minus its gradient in its place.

        Args:
          weights: Of a replicate.
          moments: Of its gradients, from `_moments`; their last column is changed.
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
        with np.errstate(all="ignore"):
            after = self._moments(self._passed(opened).gradients)
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
        of_network: tuple[float, float, float],
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
        return Measurement(quantities, *of_network, realised)

    def _pass(self, trainable: Sequence[Any], other: Sequence[Any], *probe: Any) -> "_Pass":
        """Returns what comes of a forward and a backward pass."""
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
        places = [
            _Signals(place.before, place.after, gradient)
            for place, gradient in zip(trace.places, gradients[: len(sources)], strict=True)
        ]
        start = next((trace.places[row].given for row in self.weighted), None)
        of_variables = [tf.convert_to_tensor(gradient) for gradient in gradients[len(sources) :]]
        return _Pass(places, of_variables, loss, start)

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


def _stacked(tensors: Sequence[Any]) -> Any:
    """Returns what several replicates have as one array of float64.

    A small one is numpy's: TensorFlow takes longer to begin an operation than numpy for all of it.
    """
    if tensors[0] is None:
        return None
    if len(tensors) * math.prod(tensors[0].shape) > _MAX_OF_NUMPY:
        return tf.cast(tf.stack(tensors), tf.float64)
    return np.stack([tensor.numpy() for tensor in tensors]).astype(np.float64)


def _module(values: Any) -> Any:
    """Returns the module whose functions compute with an array: numpy, or TensorFlow's likeness."""
    return np if isinstance(values, np.ndarray) else tnp


def _statistics(place: _Signals, interval: tuple[float, float] | None) -> dict[str, Any]:
    """Returns the quantities of one place, each (replicates,)."""
    signal = place.before if place.after is None else place.after
    numbers: dict[str, Any] = {}
    if place.before is not None:
        mean, variance = _mean_and_variance(place.before)
        numbers |= {"preactivation_mean": mean, "preactivation_variance": variance}
        if place.after is not None and interval is not None:
            numbers |= _shares(place.before, signal, interval)
    mean, variance = _mean_and_variance(signal)
    numbers |= {"activation_mean": mean, "activation_variance": variance}
    _, numbers["gradient_variance"] = _mean_and_variance(place.gradient * signal.shape[1])
    rows = _scaled_rows(signal)
    return numbers | {
        "correlation": _correlation(rows),
        "participation_ratio": _participation_ratio(rows),
    }


def _mean(values: Any, keepdims: bool = False) -> Any:
    """Returns the mean of each replicate's values."""
    axes = tuple(range(1, len(values.shape)))
    return _module(values).mean(values, axis=axes, keepdims=keepdims)


def _mean_and_variance(values: Any) -> tuple[Any, Any]:
    mean = _mean(values, keepdims=True)
    return _module(values).reshape(mean, [-1]), _mean((values - mean) ** 2)


def _moments(gradient: np.ndarray, kernel: Weight | None) -> list[Any]:
    """Returns mean square and variance, and of a kernel the largest difference between units."""
    values, difference = np.asarray(gradient, np.float64), math.nan
    if kernel is not None and (units := rows_and_units(kernel).apart(values)).shape[2] > 1:
        difference = np.ptp(units, axis=2).max()
    variance = np.mean(np.square(values - np.mean(values)))
    return [np.mean(np.square(values)), variance, difference]


def _shares(before: Any, after: Any, interval: tuple[float, float]) -> dict[str, Any]:
    of = _module(before)
    low, high = interval
    slope_is_small = (before <= low) | (before >= high)
    is_zero = after == 0
    off = of.all(slope_is_small, axis=tuple(range(1, len(before.shape) - 1)))
    shares = {
        "zero_share": is_zero,
        "saturated_share": slope_is_small & ~is_zero,
        "off_share": off,
    }
    return {name: _mean(of.where(value, 1.0, 0.0)) for name, value in shares.items()}


def _scaled_rows(signal: Any) -> Any:
    """Returns an example a row, in a unit in which squares neither vanish nor overflow."""
    of = _module(signal)
    rows = of.reshape(signal, [*signal.shape[:2], -1])
    scale = of.max(of.abs(rows), axis=(1, 2), keepdims=True)
    return rows / of.where(scale > 0, scale, 1.0)


def _participation_ratio(rows: Any) -> Any:
    """Returns the participation ratio of each replicate's representation."""
    of = _module(rows)
    centred = rows - of.mean(rows, axis=1, keepdims=True)
    gram = tf.matmul(centred, centred, transpose_b=True)  # numpy's threads would go on spinning
    return of.sum(centred**2, axis=(1, 2)) ** 2 / tf.reduce_sum(tf.square(gram), axis=(1, 2))


def _correlation(rows: Any) -> Any:
    """Returns the mean correlation of each replicate's pairs of rows, not centred."""
    of, half = _module(rows), rows.shape[1] // 2
    first, second = rows[:, :half], rows[:, half : 2 * half]
    norms = of.sqrt(of.sum(first**2, axis=2) * of.sum(second**2, axis=2))
    told = norms > 0  # what is zero throughout has no direction
    cosines = of.sum(first * second, axis=2) / of.where(told, norms, 1.0)
    return of.sum(of.where(told, cosines, 0.0), axis=1) / of.sum(of.where(told, 1.0, 0.0), axis=1)


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
