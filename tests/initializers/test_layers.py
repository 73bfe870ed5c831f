"""Draws against the numbers that Keras's own layers draw, for every kind of layer."""

import numpy as np
import pytest

from runner import seeds

SEED = 11

# Layer, its arguments, the shape of an example, and the arguments that take an initializer.
LAYERS = {
    "Dense": ({"units": 5}, (6,), ["kernel"]),
    "Conv1D": ({"filters": 5, "kernel_size": 3}, (8, 4), ["kernel"]),
    "Conv2D": ({"filters": 6, "kernel_size": (3, 2), "groups": 2}, (8, 8, 4), ["kernel"]),
    "Conv3D": ({"filters": 5, "kernel_size": 2}, (4, 4, 4, 3), ["kernel"]),
    "Conv1DTranspose": ({"filters": 5, "kernel_size": 3}, (8, 4), ["kernel"]),
    "Conv2DTranspose": ({"filters": 5, "kernel_size": 3}, (8, 8, 4), ["kernel"]),
    "Conv3DTranspose": ({"filters": 5, "kernel_size": 2}, (4, 4, 4, 3), ["kernel"]),
    "DepthwiseConv1D": ({"kernel_size": 3, "depth_multiplier": 2}, (8, 4), ["depthwise"]),
    "DepthwiseConv2D": ({"kernel_size": 3, "depth_multiplier": 2}, (8, 8, 4), ["depthwise"]),
    "SeparableConv1D": ({"filters": 5, "kernel_size": 3}, (8, 4), ["depthwise", "pointwise"]),
    "SeparableConv2D": ({"filters": 5, "kernel_size": 3}, (8, 8, 4), ["depthwise", "pointwise"]),
    "SimpleRNN": ({"units": 5}, (7, 4), ["kernel", "recurrent"]),
    "LSTM": ({"units": 5}, (7, 4), ["kernel", "recurrent"]),
    "GRU": ({"units": 5}, (7, 4), ["kernel", "recurrent"]),
    "ConvLSTM1D": ({"filters": 3, "kernel_size": 3}, (4, 8, 2), ["kernel", "recurrent"]),
    "EinsumDense": (
        {"equation": "abc,cde->abde", "output_shape": (None, 3, 5), "bias_axes": "de"},
        (4, 6),
        ["kernel"],
    ),
    "EinsumDense, shared axis": (
        {"equation": "abc,bcd->abd", "output_shape": (4, 5)},
        (4, 6),
        ["kernel"],
    ),
    "EinsumDense, ellipsis": (
        {"equation": "...x,yx->...y", "output_shape": 5},
        (4, 6),
        ["kernel"],
    ),
    "MultiHeadAttention": ({"num_heads": 2, "key_dim": 3}, (4, 6), ["kernel"]),
    "GroupQueryAttention": (
        {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
        (4, 6),
        ["kernel"],
    ),
}
# Keras's class for an option with its defaults.
KERAS_CLASSES = {
    "he_normal": "HeNormal",
    "glorot_uniform": "GlorotUniform",
    "orthogonal": "Orthogonal",
}


def model_of(keras, case, initializer=None):
    arguments, shape, takers = LAYERS[case]
    given = {} if initializer is None else {f"{t}_initializer": initializer for t in takers}
    layer = getattr(keras.layers, case.split(",")[0])(**arguments, **given)
    inputs = keras.Input(shape)
    attends = case.endswith("Attention")
    return keras.Model(inputs, layer(inputs, inputs) if attends else layer(inputs))


@pytest.mark.parametrize("name", KERAS_CLASSES)
@pytest.mark.parametrize("case", LAYERS)
def test_kernels_are_what_the_layer_itself_draws(keras, option, case, name):
    from runner.initializers import draw

    model = model_of(keras, case)
    values = draw.prepare(draw.Subject(model), option(name)).draw(SEED)
    kernels = [i for i, weight in enumerate(model.weights) if weight.name.endswith("kernel")]
    assert kernels
    for position in kernels:
        seed = seeds.integer(SEED, "weights", position)
        initializer = getattr(keras.initializers, KERAS_CLASSES[name])(seed=seed)
        expected = model_of(keras, case, initializer).weights[position].numpy()
        np.testing.assert_array_equal(values[position], expected)


@pytest.mark.parametrize("case", LAYERS)
def test_biases_are_zero_unless_the_setting_says_otherwise(keras, option, case):
    from runner.initializers import draw

    model = model_of(keras, case)
    for bias, settings in ((0.0, {}), (0.25, {"bias": 0.25})):
        values = draw.prepare(draw.Subject(model), option("ones", **settings)).draw(SEED)
        for weight, value in zip(model.weights, values, strict=True):
            expected = 1.0 if weight.name.endswith("kernel") else bias
            np.testing.assert_array_equal(value, np.full(weight.shape, expected))


@pytest.mark.parametrize("case", LAYERS)
def test_keep_leaves_biases_to_the_layer(keras, option, case):
    from runner.initializers import draw

    model = model_of(keras, case)
    values = draw.prepare(draw.Subject(model), option("ones", bias="keep")).draw(SEED)
    for weight, value in zip(model.weights, values, strict=True):
        if weight.name == "bias":
            np.testing.assert_array_equal(value, weight.numpy())  # with an LSTM's open forget gate


def test_seeds_beyond_31_bits_work(keras):
    for name in (*KERAS_CLASSES.values(), "RandomUniform", "RandomNormal"):
        initializer = getattr(keras.initializers, name)
        draws = [np.array(initializer(seed=seed)((4, 3))) for seed in (0, 2**31, 2**32 - 1)]
        assert len({values.tobytes() for values in draws}) == 3
