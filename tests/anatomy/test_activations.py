"""Gaussian expectations: numbers against closed forms, derivatives against differences."""

import numpy as np
import pytest

from runner.anatomy.activations import (
    ACTIVATIONS,
    Activation,
    Rectifier,
    Sine,
    interpolated_product,
)

RECTIFIERS = [Rectifier("linear", 1.0), Rectifier("relu", 0.0), Rectifier("leaky", 0.2)]
CORRELATIONS = np.array([-1.0, -0.7, 0.0, 0.3, 0.9, 0.9999, 1.0])


def numeric(rectifier):
    """The same function, by quadrature."""
    return Activation(rectifier.name, rectifier.function, rectifier.derivative)


@pytest.mark.parametrize("closed", RECTIFIERS, ids=lambda rectifier: rectifier.name)
@pytest.mark.parametrize("q", [1e-8, 1.0, 1e6])
def test_quadrature_agrees_with_the_closed_forms(closed, q):
    # Legendre nodes resolve both sides of the kink to rounding.
    for name in ("mean", "second_moment", "squared_slope", "growth"):
        expected = getattr(closed, name)(q)
        scale = np.sqrt(q) if name == "mean" else 1.0
        found = getattr(numeric(closed), name)(q)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15 * scale)
    for name in ("product", "slope_product"):
        expected = getattr(closed, name)(q, 2 * q, CORRELATIONS)
        found = getattr(numeric(closed), name)(q, 2 * q, CORRELATIONS)
        scale = 2 * q if name == "product" else 1.0
        np.testing.assert_allclose(found, expected, atol=1e-12 * scale)


@pytest.mark.parametrize(("omega", "q"), [(1.0, 1.0), (0.5, 3.0), (30.0, 1e-3)])
def test_quadrature_agrees_with_the_closed_forms_of_sines(omega, q):
    sine = Sine("sine", omega)  # slow enough for the nodes
    for name in ("mean", "second_moment", "squared_slope", "growth"):
        expected = getattr(sine, name)(q)
        np.testing.assert_allclose(getattr(numeric(sine), name)(q), expected, atol=1e-9 * omega**2)
    for name in ("product", "slope_product"):
        expected = getattr(sine, name)(q, 2 * q, CORRELATIONS)
        found = getattr(numeric(sine), name)(q, 2 * q, CORRELATIONS)
        np.testing.assert_allclose(found, expected, atol=1e-6 * omega**2)


@pytest.mark.parametrize(("q", "rtol"), [(1e-4, 1e-11), (1.0, 1e-11), (100.0, 1e-6), (1e4, 1e-5)])
def test_erf_agrees_with_williams(q, rtol):
    # Williams (1997), "Computing with infinite networks", equation 11, and its derivative by the
    # covariance, which is E[f' f'] (Price's theorem). A steep step at q = 10^4.
    erf = ACTIVATIONS["erf"]
    both = 1 + 2 * q
    second_moment = 2 / np.pi * np.arcsin(2 * q / both)
    squared_slope = 4 / np.pi / np.sqrt(both**2 - 4 * q**2)
    np.testing.assert_allclose(erf.second_moment(q), second_moment, rtol=1e-11)
    np.testing.assert_allclose(erf.squared_slope(q), squared_slope, rtol=1e-11)
    expected = 2 / np.pi * np.arcsin(2 * q * CORRELATIONS / both)
    np.testing.assert_allclose(erf.product(q, q, CORRELATIONS), expected, rtol=rtol, atol=1e-14)
    apart = CORRELATIONS[np.abs(CORRELATIONS) < 1]
    expected = 4 / np.pi / np.sqrt(both**2 - (2 * q * apart) ** 2)
    rtol = max(rtol, 1e-9)
    np.testing.assert_allclose(erf.slope_product(q, q, apart), expected, rtol=rtol)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_those_of_the_functions(name):
    activation = ACTIVATIONS[name]
    x = np.linspace(-6, 6, 241) + 1e-3  # off the kinks
    step = 1e-5
    slope = (activation.function(x + step) - activation.function(x - step)) / (2 * step)
    # Central differences err by step^2 and by rounding over step.
    np.testing.assert_allclose(activation.derivative(x), slope, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_expectations_fit_each_other(name):
    activation = ACTIVATIONS[name]
    q = np.array([0.3, 1.0, 4.0])
    np.testing.assert_allclose(
        activation.product(q, q, 1.0), activation.second_moment(q), rtol=1e-8
    )
    np.testing.assert_allclose(
        activation.slope_product(q, q, 1.0), activation.squared_slope(q), rtol=1e-8
    )
    np.testing.assert_allclose(
        activation.product(q, 2 * q, 0.0), activation.mean(q) * activation.mean(2 * q), atol=1e-9
    )
    step = 1e-5
    growth = activation.second_moment(q + step) - activation.second_moment(q - step)
    np.testing.assert_allclose(activation.growth(q), growth / (2 * step), rtol=1e-6)


def test_shapes_follow_the_arguments():
    tanh = ACTIVATIONS["tanh"]
    assert tanh.second_moment(np.ones((2, 3))).shape == (2, 3)
    assert tanh.product(np.ones((2, 1)), 1.0, np.zeros(3)).shape == (2, 3)
    assert tanh.product(1.0, 1.0, np.empty(0)).shape == (0,)


def test_blocks_of_many_points_change_nothing():
    tanh = ACTIVATIONS["tanh"]
    q = np.linspace(0.1, 3, 2100)
    some = tanh.product(q[::299], 1.0, 0.5)
    np.testing.assert_allclose(tanh.product(q, 1.0, 0.5)[::299], some, rtol=1e-14)


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "sigmoid"])
def test_many_products_are_interpolated(name):
    activation = ACTIVATIONS[name]
    numbers = np.random.default_rng(0)
    q1, q2 = numbers.uniform(0, 5, (2, 3000))
    c = numbers.uniform(-1, 1, 3000)
    q1[0], c[1] = 0, 1  # a border without any signal, an example that is its own pair
    norms = np.sqrt(activation.second_moment(q1) * activation.second_moment(q2))
    found = interpolated_product(activation, q1, q2, c, norms)
    np.testing.assert_allclose(found, activation.product(q1, q2, c), atol=1e-4 * norms.max())
