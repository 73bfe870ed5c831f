"""The verdict as a function of the numbers, on records small enough to check by hand."""

import math

import pytest

from runner.propagation.judgement import gain, judge
from runner.propagation.settings import Diagnostics
from runner.records import PropagationRecord


def record(width=100, depth=2, network=None, **measured):
    layers = [f"hidden_{n}" for n in range(1, depth + 1)] + ["output"]
    rows = depth + 1
    healthy = {
        "unit_difference": [1.0] * rows,
        "zero_share": [0.5] * depth + [None],
        "off_share": [0.0] * depth + [None],
        "saturated_share": [0.0] * depth + [None],
        "correlation": [0.5] * rows,
    }
    numbers = {
        "loss": 2.4,
        "uninformed_loss": 2.3,
        "input_correlation": 0.1,
        "nonfinite_layers": 0.0,
        "log10_signal_gain": 0.3,
        "log10_gradient_gain": -0.2,
    }
    return PropagationRecord(
        layers=layers,
        activations=["relu"] * depth + [""],
        num_units=[width] * depth + [10],
        judged=list(range(rows)),
        kernels={},
        measured=healthy | measured,
        network=numbers | (network or {}),
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "healthy"),
        ({"unit_difference": [1.0, 0.0, 1.0]}, "symmetric"),
        ({"unit_difference": [1.0, 1.0, 0.0]}, "healthy"),  # the targets tell outputs apart
        (  # zero, but the first step makes a difference
            {
                "unit_difference": [1.0, 0.0, 1.0],
                "unit_gradient_difference": [0.1, 0.1, 0.1],
                "kernel_gradient_variance": [0.01, 0.01, 0.01],
            },
            "healthy",
        ),
        (  # one that is rounding
            {
                "unit_difference": [1.0, 0.0, 1.0],
                "unit_gradient_difference": [0.1, 1e-7, 0.1],
                "kernel_gradient_variance": [0.01, 0.01, 0.01],
            },
            "symmetric",
        ),
        (  # an output that is zero keeps the gradient back for one step
            {
                "weight_variance": [2.0, 2.0, 0.0],
                "kernel_gradient_variance": [0.0, 0.0, 0.01],
                "network": {"log10_gradient_gain": -300.0},
            },
            "healthy",
        ),
        (  # a hidden kernel that is zero, and whose gradient is too
            {
                "weight_variance": [2.0, 0.0, 2.0],
                "kernel_gradient_variance": [0.0, 0.0, 0.01],
                "network": {"log10_gradient_gain": -300.0},
            },
            "vanishing",
        ),
        ({"unit_difference": [1.0, 0.0, None]}, "symmetric"),  # a single output
        ({"pointwise_kernel_unit_difference": [None, 0.0, None]}, "healthy"),
        ({"recurrent_kernel_unit_difference": [1.0, 1.0, None]}, "healthy"),
        (
            {
                "unit_difference": [None, None, 1.0],
                "depthwise_kernel_unit_difference": [None, None, None],
                "pointwise_kernel_unit_difference": [1.0, 0.0, None],
            },
            "symmetric",
        ),
        ({"network": {"nonfinite_layers": 1.0}}, "exploding"),
        ({"off_share": [0.96, 0.0, None]}, "dead"),
        ({"off_share": [0.4, 0.94, None]}, "healthy"),
        ({"saturated_share": [0.81, 0.0, None]}, "saturated"),
        ({"network": {"log10_signal_gain": -6.0}}, "vanishing"),
        ({"network": {"log10_signal_gain": 6.0}}, "exploding"),
        ({"network": {"log10_gradient_gain": -6.0}}, "vanishing"),
        ({"network": {"log10_gradient_gain": 6.0}}, "exploding"),
        ({"network": {"loss": 24.0}}, "exploding"),
        ({"correlation": [0.9, 0.9999, 0.9999]}, "collapsed"),
        ({"correlation": [0.9, 0.99, 0.9999]}, "healthy"),
    ],
)
def test_each_limit(changes, expected):
    assert judge([record(**changes)], Diagnostics()).name == expected


def test_inputs_that_are_alike_do_not_make_a_net_collapsed():
    alike = record(correlation=[0.9999] * 3, network={"input_correlation": 0.9998})
    assert judge([alike], Diagnostics()).name == "healthy"


def test_the_mean_of_logarithms_counts_not_one_net():
    far, near = ({"log10_signal_gain": value} for value in (-7.0, -1.0))
    assert judge([record(network=far)], Diagnostics()).name == "vanishing"
    several = [record(network=network) for network in (far, near, near)]
    assert judge(several, Diagnostics()).name == "healthy"


def test_deep_narrow_nets_may_change_more():
    network = {"log10_signal_gain": -5.0}
    assert judge([record(network=network)], Diagnostics()).name == "vanishing"
    assert judge([record(network=network, width=50, depth=30)], Diagnostics()).name == "healthy"


def test_limits_are_settings():
    network = {"log10_signal_gain": -2.0}
    assert judge([record(network=network)], Diagnostics(decades=1.0)).name == "vanishing"


def test_gain_of_nothing_is_the_least():
    assert gain(1.0, 100.0) == pytest.approx(2)
    assert gain(1.0, 0.0) == -300
    assert math.isnan(gain(0.0, 1.0))
