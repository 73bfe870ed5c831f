"""From what a Keras model calls an activation to a function whose expectations can be taken."""

from collections.abc import Callable
from typing import Any

import numpy as np

from runner.anatomy.activations import ACTIVATIONS, Activation, Rectifier, Sine

# A unit is active where the slope is at least this share of the steepest one in the usual range.
_ACTIVE_SLOPE = 0.05
_GRID = np.linspace(-30, 30, 6001)
# Three standard deviations of the pre-activations of a net that keeps its signal.
_USUAL = np.abs(_GRID) <= 3
# These look at all units at once.
_JOINT = frozenset(
    {"softmax", "log_softmax", "sparsemax", "Softmax", "LogSoftmax", "Sparsemax", "Maxout"}
)
# Of values that Keras computes in float32, where a wave's argument is up to 1,000.
_ROUNDING = 1e-3


def activation_of(operation: Any) -> Activation | None:
    """Returns the activation that a function, a layer or an operation of Keras computes.

    Those that the theory does not know by name are evaluated by Keras. What turns out to be a leaky
    ReLU or a sine has its closed forms, whatever it is called.

    Returns:
      None where it is not one function for all elements (softmax, PReLU), or is no activation.
    """
    import keras

    if isinstance(operation, keras.layers.Activation):
        return activation_of(operation.activation)
    if isinstance(operation, keras.layers.LeakyReLU):
        return Rectifier("leaky_relu", float(operation.negative_slope))
    if isinstance(operation, keras.layers.ReLU):
        if operation.max_value is None and operation.threshold == 0:
            return Rectifier("relu", float(operation.negative_slope))
    elif isinstance(operation, keras.Layer) and operation.weights:
        return None
    name = getattr(operation, "__name__", "")
    if name in _JOINT or type(operation).__name__ in _JOINT:
        return None
    if name in ACTIVATIONS and operation is getattr(keras.activations, name, None):
        return ACTIVATIONS[name]
    return _evaluated(operation)


def _evaluated(operation: Any) -> Activation | None:
    """Returns the activation that Keras evaluates, if it acts on each element by itself."""
    call = getattr(operation, "call", operation)
    activation = Activation(
        str(getattr(operation, "__name__", None) or getattr(operation, "name", "activation")),
        lambda x: _values(call, x),
        lambda x: _slopes(call, x),
    )
    row, column = (_GRID[::500].reshape(shape) for shape in ((1, -1), (-1, 1)))
    try:
        in_a_row, in_a_column = activation.function(row), activation.function(column)
    except Exception:  # whatever a user's function makes of shapes that it does not expect
        return None
    alike = in_a_row.shape == row.shape and np.array_equal(in_a_row, in_a_column.T)
    return _recognized(activation) if alike else None


def _recognized(activation: Activation) -> Activation:
    """Returns the closed form of a leaky ReLU or a sine, any other activation as it is."""
    values, sides = activation.function(_GRID), np.array([-1.0, 1.0])
    rectifier = Rectifier(activation.name, _short(-activation.function(sides)[0]))
    if np.allclose(values, rectifier.function(_GRID), rtol=1e-6, atol=0):
        # A stopped gradient has the values, but not the slopes.
        is_known = np.allclose(activation.derivative(sides), rectifier.derivative(sides))
        return rectifier if is_known else activation
    is_odd = values.any() and np.allclose(values, -values[::-1], rtol=0, atol=_ROUNDING)
    if is_odd and np.abs(values).max() < 1 + _ROUNDING:
        sine = Sine(activation.name, _short(activation.derivative(np.zeros(1))[0]))
        if np.allclose(values, sine.function(_GRID), rtol=0, atol=_ROUNDING):
            return sine
    return activation


def _short(number: float) -> float:
    """Returns the number that a float32 was rounded from, if that has few digits."""
    return float(str(np.float32(number)))


def _values(call: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    return np.asarray(call(tf.constant(x, tf.float32)), float)


def _slopes(call: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    inputs = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = call(inputs)
    return np.asarray(tape.gradient(outputs, inputs, unconnected_gradients="zero"), float)


def active_interval(activation: Activation) -> tuple[float, float]:
    """Returns where the slope is not small: below and above, units are off or saturated.

    Such as (0, inf) for ReLU, (-2.2, 2.2) for tanh, (-inf, inf) for linear.

    Small means beside the steepest slope that pre-activations usually meet, not beside the steepest
    anywhere: where slopes grow without bounds (exponential), all others would be small beside it.
    Activations of bounded slope are steepest near 0, so for them it is the same, but for softplus,
    which at 3 has 95 % of its limit.
    """
    slopes = np.abs(activation.derivative(_GRID))
    active = np.flatnonzero(slopes > _ACTIVE_SLOPE * slopes[_USUAL].max())
    if not len(active):
        return -np.inf, np.inf
    first, last = active[0], active[-1]
    low = -np.inf if first == 0 else (_GRID[first - 1] + _GRID[first]) / 2
    high = np.inf if last == len(_GRID) - 1 else (_GRID[last] + _GRID[last + 1]) / 2
    # A kink at 0 lies on the grid: what is 0 there is off.
    return float(0.0 if -0.02 < low < 0.02 else low), float(high)
