"""Where activations are active, against slopes that can be solved for by hand."""

import math

import numpy as np
import pytest

from runner.anatomy.activations import Activation, Rectifier, Sine
from runner.anatomy.elementwise import activation_of, active_interval

# Of tanh, 1 - t^2 = 0.05; of sigmoid, 4 s (1 - s) = 0.05 and s = (1 + t) / 2.
T = math.sqrt(0.95)
# Where the slope is 5 % of the steepest.
INTERVALS = {
    "relu": (0, math.inf),
    "linear": (-math.inf, math.inf),
    "tanh": (-math.atanh(T), math.atanh(T)),
    "sigmoid": (-2 * math.atanh(T), 2 * math.atanh(T)),
    "softsign": (1 - math.sqrt(20), math.sqrt(20) - 1),
    "elu": (math.log(0.05), math.inf),
    "relu6": (0, 6),
    "hard_sigmoid": (-3, 3),
    # Steeper and steeper: up to 3 the steepest slope is e^3.
    "exponential": (3 + math.log(0.05), math.inf),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_where_activations_are_active(keras, name):
    activation = activation_of(getattr(keras.activations, name))
    # Half a step of the grid.
    assert active_interval(activation) == pytest.approx(INTERVALS[name], abs=0.0051)


@pytest.mark.parametrize(("name", "steepest"), [("gelu", math.sqrt(2)), ("silu", 2.3994)])
def test_the_steepest_slope_of_a_bounded_activation_is_in_the_usual_range(keras, name, steepest):
    activation = activation_of(getattr(keras.activations, name))
    low, high = active_interval(activation)
    limit = 0.05 * float(activation.derivative(steepest))
    assert (
        abs(activation.derivative(low - 0.0051)) < limit < abs(activation.derivative(low + 0.0051))
    )
    assert high == math.inf


# What a user may write, and what it is.
RECOGNIZED = {
    "leaky relu": (lambda k: lambda x: k.ops.maximum(x, 0.3 * x), Rectifier("", 0.3)),
    "its layer": (lambda k: k.layers.LeakyReLU(0.05), Rectifier("", 0.05)),
    "absolute value": (lambda k: k.ops.abs, Rectifier("", -1.0)),
    "relu": (lambda k: lambda x: k.ops.relu(x), Rectifier("", 0.0)),
    "sine": (lambda k: k.ops.sin, Sine("", 1.0)),
    "steep sine": (lambda k: lambda x: k.ops.sin(30 * x), Sine("", 30.0)),
    "none of them": (lambda k: lambda x: k.ops.elu(x, 0.5), None),
    "stopped gradient": (lambda k: k.ops.stop_gradient, None),
    "comparison": (lambda k: lambda x: x > 0, None),
    "half of it": (lambda k: lambda x: 0.5 * k.ops.relu(x), None),
}


@pytest.mark.parametrize("case", RECOGNIZED)
def test_closed_forms_are_recognized_whatever_they_are_called(keras, case):
    made, expected = RECOGNIZED[case]
    found = activation_of(made(keras))
    if expected is None:
        assert type(found) is Activation
    else:
        assert type(found) is type(expected)
        x = np.linspace(-3, 3, 51)
        np.testing.assert_allclose(found.function(x), expected.function(x), atol=1e-12)


def test_maxout_is_no_function_of_one_number(keras):
    from runner.models.parametrized import Maxout

    assert activation_of(Maxout(2)) is None
