"""The search for a scale, against what can be worked out by hand."""

import numpy as np
import pytest

from runner.anatomy.activations import ACTIVATIONS, Rectifier
from runner.propagation.criticality import Chain
from runner.propagation.settings import Diagnostics

LIMITS = Diagnostics()


def chain(activation, depth, **more):
    layers = np.ones(depth + 1)
    return Chain([activation] * depth, layers, layers, input_mean_square=1.0, **more)


def test_the_changes_of_relu_by_hand():
    # v = 1: every layer halves signal and gradient; the first has the input as it is, and its own
    # slope counts for the gradient too. Differences of close inputs fall as the signal does.
    signal, gradient, differences, outputs = chain(ACTIVATIONS["relu"], 5).decades(np.ones(1))
    half = np.log10(0.5)
    assert signal == pytest.approx(4 * half)
    assert gradient == pytest.approx(5 * half)
    assert differences == pytest.approx(0)
    assert outputs == pytest.approx(5 * half)


def test_skip_connections_against_random_nets():
    numbers = np.random.default_rng(3)
    width, depth, scale = 400, 6, 0.7
    found = []
    for _ in range(12):
        h = numbers.normal(size=width)
        for layer in range(depth):
            u = numbers.normal(0, scale / np.sqrt(width), (width, width)) @ h
            h = (h if layer else 0) + np.maximum(u, 0)
        found.append(np.log10(np.mean(u**2)))
    (signal,), (*_,), _, (outputs,) = chain(ACTIVATIONS["relu"], depth, has_skips=True).decades(
        np.array([scale])
    )
    # Five standard errors; the mean of a logarithm lies a little below that of theory.
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(signal, abs=5 * error + 0.02)
    # The output layer squares what the last sum adds: more than its own layer has.
    assert outputs > signal


@pytest.mark.parametrize(
    ("slope", "variance"),
    [(0.0, 2.0), (0.3, 2 / 1.09), (1.0, 1.0)],
    ids=["relu", "leaky", "linear"],
)
def test_rectifiers_keep_everything_at_one_variance(slope, variance):
    # Outputs that are smaller than the input are no illness, so that a shallow net prefers a little
    # less; in a deep one there is no room.
    scale, strain = chain(Rectifier("f", slope), 200).best_scale(LIMITS, is_classifier=True)
    assert scale**2 == pytest.approx(variance, rel=0.01)
    assert strain < 0.1


def test_kernels_of_one_layer_are_scaled_together():
    # Two kernels in each layer, each of gain 1/4: the product is 1/16.
    layers = np.ones(41)
    pair = Chain([ACTIVATIONS["linear"]] * 40, layers / 16, 2 * layers, 1.0)
    scale, _ = pair.best_scale(LIMITS, is_classifier=True)
    assert scale == pytest.approx(2, rel=0.01)


def test_selu_keeps_its_fixed_point_not_the_critical_one_at_zero():
    selu = chain(ACTIVATIONS["selu"], 30)
    own, at_zero = selu.strains(np.sqrt([1.0, 0.4768]), LIMITS, is_classifier=True)
    assert 2 * own < at_zero


def test_some_nets_have_no_scale():
    # The mean of softplus adds up faster than differences can follow.
    _, strain = chain(ACTIVATIONS["softplus"], 100).best_scale(LIMITS, is_classifier=True)
    assert strain > 1
    shallow = chain(ACTIVATIONS["softplus"], 5)
    assert shallow.best_scale(LIMITS, is_classifier=True)[1] < 1
