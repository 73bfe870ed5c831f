import itertools

import numpy as np
import pytest

from runner.config import ConfigError, choose
from runner.models import CATALOGUE, build, num_parameters
from runner.models.mlp import Mlp
from runner.tasks import Signature

TASK = "classification"


def layer_kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def fill(model, seed=0):
    """Gives every weight a small random value and returns them by path."""
    draw = np.random.default_rng(seed)
    for variable in model.weights:
        values = draw.normal(0, 0.3, variable.shape)
        # A variance must be positive.
        variable.assign(np.abs(values) if "variance" in variable.path else values)
    return {variable.path: variable.numpy().astype(np.float64) for variable in model.weights}


@pytest.mark.parametrize(
    ("settings", "input_shape", "num_outputs", "expected"),
    [
        # 64*64 + 64, twice, then 64*10 + 10
        (Mlp(), (64,), 10, 2 * 4160 + 650),
        # 4*7 + 7, 7*3 + 3
        (Mlp(width=7, depth=1), (4,), 3, 35 + 24),
        # 13*1 + 1: linear regression
        (Mlp(depth=0), (13,), 1, 14),
        # 784*5 + 5, a scale and an offset for each of 5 units, 5*10 + 10
        (Mlp(width=5, depth=1, batch_norm=True), (28, 28, 1), 10, 3925 + 10 + 60),
        # skip connections have no weights: 6*8 + 8, 8*8 + 8, 8*2 + 2
        (Mlp(width=8, depth=2, residual=True), (2, 3), 2, 56 + 72 + 18),
        # 4*7 + 7, 7*5 + 5, 5*3 + 3
        (Mlp(width=(7, 5)), (4,), 3, 35 + 40 + 18),
    ],
)
def test_shapes_and_number_of_parameters(settings, input_shape, num_outputs, expected):
    model = build("mlp", settings, Signature(input_shape, (num_outputs,), TASK))
    assert num_parameters(model) == expected
    assert model.input_shape == (None, *input_shape)
    assert model.output_shape == (None, num_outputs)


def test_layers_stand_in_the_documented_order():
    settings = Mlp(depth=2, batch_norm=True, dropout=0.5, residual=True)
    model = build("mlp", settings, Signature((8, 8), (3,), TASK))
    layer = ["Dense", "BatchNormalization", "Activation", "Dropout"]
    assert layer_kinds(model) == ["InputLayer", "Flatten", *layer, *layer, "Add", "Dense"]
    assert model.get_layer("hidden_2_dropout").rate == 0.5
    assert model.get_layer("hidden_1_activation").activation.__name__ == "relu"


def test_nothing_is_there_that_was_not_asked_for():
    assert layer_kinds(build("mlp", Mlp(), Signature((64,), (10,), TASK))) == [
        "InputLayer",
        *["Dense", "Activation"] * 2,
        "Dense",
    ]


@pytest.mark.parametrize(
    ("residual", "batch_norm", "depth"),
    list(itertools.product([False, True], [False, True], [1, 3])),
)
def test_forward_pass_is_the_documented_formula(residual, batch_norm, depth):
    # Inputs as wide as the hidden layers: the first layer has no skip connection even so.
    settings = Mlp(
        width=6, depth=depth, activation="tanh", batch_norm=batch_norm, residual=residual
    )
    model = build("mlp", settings, Signature((6,), (2,), TASK))
    w = fill(model)
    x = np.random.default_rng(1).normal(size=(5, 6))

    h = x
    for layer in (f"hidden_{number}" for number in range(1, depth + 1)):
        z = h @ w[f"{layer}/kernel"] + w[f"{layer}/bias"]
        if batch_norm:
            norm = f"{layer}_norm"
            # Keras divides by the root of the variance plus 0.001.
            z = (z - w[f"{norm}/moving_mean"]) / np.sqrt(w[f"{norm}/moving_variance"] + 0.001)
            z = z * w[f"{norm}/gamma"] + w[f"{norm}/beta"]
        h = np.tanh(z) + (h if residual and layer != "hidden_1" else 0)
    expected = h @ w["output/kernel"] + w["output/bias"]

    # float32 arithmetic: a few units in the seventh digit, amplified by at most some tens.
    np.testing.assert_allclose(model(x, training=False), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"width": -1}, r"`model.width` must be a positive integer or .*\. Received: -1"),
        ({"width": 8.5}, r"`model.width` must be a positive integer or .*\. Received: 8\.5"),
        ({"width": [8, True]}, r"`model.width` must be a positive integer or a list of them"),
        ({"width": [8, 4, 2]}, r"`model.width` .* hidden layers: 2\. .* use model.depth=3\."),
        ({"width": [8, 4], "residual": True}, r"`model.width` must be the same .*\[8, 4\]"),
        ({"depth": -2}, r"`model.depth` must be a non-negative integer\. Received: -2"),
        ({"dropout": 1.0}, r"`model.dropout` must be a number from 0 .* Received: 1\.0"),
        ({"batch_norm": 1}, r"`model.batch_norm` must be true or false\. Received: 1"),
        ({"residual": "yes"}, r"`model.residual` must be true or false\. Received: 'yes'"),
        ({"widht": 3}, r"`model.widht` is not a setting of model=mlp\. .*It has: width, depth"),
        ({"activation": "rellu"}, r"`model.activation` must be .* 'rellu'\. Close to it: relu,"),
        ({"activation": "ReLU"}, r"Received: 'ReLU'\. Close to it: .*relu"),
        ({"activation": "zzz"}, r"Received: 'zzz'\. Use celu, elu, .*tanh"),
        ({"activation": "glu"}, r"`model.activation` must be .* keeps the shape"),
    ],
)
def test_bad_settings_are_explained(node, message):
    with pytest.raises(ConfigError, match=message) as caught:
        choose(CATALOGUE, {"name": "mlp", **node}, "model")
    assert "\n" not in str(caught.value)
