"""Where activations are active, against slopes that can be solved for by hand."""

import math

import pytest

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
