"""Layers with identity kernels pass their input on."""

import numpy as np
import pytest

IDENTITY_LAYERS = {
    "Dense": ({"units": 4}, (4,)),
    "Dense on a sequence": ({"units": 4}, (5, 4)),
    "Conv1D": ({"filters": 4, "kernel_size": 3, "padding": "same"}, (6, 4)),
    "Conv2D": ({"filters": 4, "kernel_size": 5, "padding": "same"}, (6, 6, 4)),
    "Conv3D": ({"filters": 4, "kernel_size": 3, "padding": "same"}, (4, 4, 4, 4)),
    "Conv2D, even": ({"filters": 4, "kernel_size": (2, 4), "padding": "same"}, (6, 6, 4)),
    "Conv2D, dilated": (
        {"filters": 4, "kernel_size": 3, "padding": "same", "dilation_rate": 2},
        (6, 6, 4),
    ),
    "Conv2D, grouped": (
        {"filters": 4, "kernel_size": 3, "padding": "same", "groups": 2},
        (6, 6, 4),
    ),
    "Conv2D, one tap": ({"filters": 4, "kernel_size": 1}, (6, 6, 4)),
    "Conv1D, causal": ({"filters": 4, "kernel_size": 3, "padding": "causal"}, (6, 4)),
    "Conv1DTranspose": ({"filters": 4, "kernel_size": 3, "padding": "same"}, (6, 4)),
    "Conv2DTranspose": ({"filters": 4, "kernel_size": (2, 3), "padding": "same"}, (6, 6, 4)),
    "Conv3DTranspose": ({"filters": 4, "kernel_size": 3, "padding": "same"}, (4, 4, 4, 4)),
    "DepthwiseConv1D": ({"kernel_size": 3, "padding": "same"}, (6, 4)),
    "DepthwiseConv2D": ({"kernel_size": 3, "padding": "same"}, (6, 6, 4)),
    "SeparableConv1D": ({"filters": 4, "kernel_size": 3, "padding": "same"}, (6, 4)),
    "SeparableConv2D": (
        {"filters": 4, "kernel_size": 3, "padding": "same", "depth_multiplier": 3},
        (6, 6, 4),
    ),
    "EinsumDense": ({"equation": "abc,cd->abd", "output_shape": (None, 4)}, (5, 4)),
    "EinsumDense, kernel transposed": (
        {"equation": "abc,dc->abd", "output_shape": (None, 4)},
        (5, 4),
    ),
    "EinsumDense, a kernel per place": (
        {"equation": "abc,bcd->abd", "output_shape": (5, 4)},
        (5, 4),
    ),
}


@pytest.fixture(scope="module")
def with_identity(keras, option):
    """A function that gives a layer's model identity kernels."""
    from runner.initializers import draw

    def model(layer, shape, **settings):
        inputs = keras.Input(shape)
        result = keras.Model(inputs, layer(inputs))
        result.set_weights(
            draw.prepare(draw.Subject(result), option("identity", **settings)).draw(0)
        )
        return result

    return model


@pytest.mark.parametrize("case", IDENTITY_LAYERS)
def test_layer_is_the_identity_map(keras, with_identity, numbers, case):
    arguments, shape = IDENTITY_LAYERS[case]
    layer = getattr(keras.layers, case.split(",")[0].split()[0])(**arguments)
    inputs = numbers.normal(size=(2, *shape)).astype("float32")
    np.testing.assert_allclose(with_identity(layer, shape)(inputs), inputs, rtol=1e-6)


def test_splitting_heads_and_joining_them_is_the_identity_map(keras, with_identity, numbers):
    layers = keras.layers
    heads = keras.Sequential(
        [
            layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"),
            layers.EinsumDense("abde,dec->abc", (None, 6), bias_axes="c"),
        ]
    )
    inputs = numbers.normal(size=(2, 5, 6)).astype("float32")
    np.testing.assert_allclose(with_identity(heads, (5, 6))(inputs), inputs, rtol=1e-6)


def test_more_outputs_are_zero_and_fewer_drop_the_last(keras, with_identity, numbers):
    inputs = numbers.normal(size=(2, 6, 6, 3)).astype("float32")
    for convolution in (keras.layers.Conv2D, keras.layers.Conv2DTranspose):
        wide = with_identity(convolution(5, 3, padding="same"), (6, 6, 3), gain=2.0)(inputs)
        np.testing.assert_allclose(wide[..., :3], 2 * inputs, rtol=1e-6)
        np.testing.assert_array_equal(wide[..., 3:], 0)
        narrow = with_identity(convolution(2, 3, padding="same"), (6, 6, 3))(inputs)
        np.testing.assert_allclose(narrow, inputs[..., :2], rtol=1e-6)


def test_depthwise_multiples_pass_a_channel_once(keras, with_identity, numbers):
    inputs = numbers.normal(size=(2, 6, 6, 3)).astype("float32")
    layer = keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)
    outputs = np.array(with_identity(layer, (6, 6, 3))(inputs))
    np.testing.assert_allclose(outputs[..., ::2], inputs, rtol=1e-6)
    np.testing.assert_array_equal(outputs[..., 1::2], 0)


def test_gates_of_a_recurrent_kernel_are_one_rectangular_matrix(keras, with_identity):
    model = with_identity(keras.layers.LSTM(3), (5, 4))
    for kernel in model.get_weights()[:2]:
        np.testing.assert_array_equal(kernel, np.eye(*kernel.shape))
