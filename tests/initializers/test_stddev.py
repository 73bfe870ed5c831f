"""What a law intends for a kernel against what it draws."""

import numpy as np
import pytest

from runner.anatomy.kernels import fans, weights
from runner.initializers import CATALOGUE, draw
from runner.initializers.law import ModelLaw

# Laws that fix every value, or hold only for square matrices.
EXACT = {"zero", "ones", "constant", "identity", "hadamard_identity", "sinusoidal"}
# Laws that draw no kernel of this model, or whose weights of all layers belong together.
OTHERS = {"keep", "custom", "keras1/identity", "delta_orthogonal", "dirac", "irnn", "rai"}
OTHERS |= {
    name
    for name, law in CATALOGUE.items()
    if issubclass(law, ModelLaw) and (law.needs_roles or law.needs_data)
}
RANDOM = sorted(set(CATALOGUE) - EXACT - OTHERS)
# The relative standard error of 48,000 independent numbers is about 0.3 %; of those that a sparse
# kernel of 70 filters has, 1.6 %.
TOLERANCE = {"sparse": 0.08}


@pytest.fixture(scope="module")
def model(keras):
    """Kernels of three kinds with different fans, of about 50,000 entries each."""
    layers = keras.layers
    inputs = keras.Input((6, 6, 80))
    hidden = layers.Conv2D(70, 3, name="conv")(inputs)
    hidden = layers.EinsumDense("abcd,def->abcef", (None, None, 40, 20), name="einsum")(hidden)
    hidden = layers.Flatten()(hidden[:, 0, 0])
    return keras.Model(inputs, layers.Dense(60, name="dense")(hidden))


@pytest.mark.parametrize("name", RANDOM)
def test_intended_is_realised(model, option, name):
    drawer = draw.prepare(draw.Subject(model), option(name, fallback="he_normal"))
    values = drawer.draw(0)
    assert drawer.kernels[0].law == name
    for record, place in zip(
        drawer.kernels, (w for w in weights(model) if w.is_kernel), strict=True
    ):
        realised = float(np.std(values[place.position], dtype=float))
        tolerance = TOLERANCE.get(name, 0.015)
        assert realised == pytest.approx(record.stddev, rel=tolerance), record.path


@pytest.mark.parametrize("name", sorted(EXACT))
def test_what_is_not_random_is_exact(keras, option, name):
    square = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    drawer = draw.prepare(draw.Subject(square), option(name))
    assert drawer.kernels[0].stddev == pytest.approx(float(np.std(drawer.draw(0)[0])))


def test_fans_are_those_of_keras(model):
    found = {weight.path: fans(weight) for weight in weights(model) if weight.is_kernel}
    assert found == {
        "conv/kernel": (9 * 80, 9 * 70),
        "einsum/kernel": (70, 40 * 20),
        "dense/kernel": (40 * 20, 60),
    }
