"""Batch normalization by fused kernels, against Keras's layer in double precision."""

import numpy as np
import pytest

SHAPES = {"sequences": (64, 20, 32), "images": (32, 8, 8, 16), "volumes": (32, 4, 4, 4, 16)}


def trained(layer, x, upstream):
    """Returns outputs, gradients and moving statistics of a training step, and the graph's ops."""
    import keras
    import tensorflow as tf

    ops = []

    @tf.function
    def step(x):
        with tf.GradientTape() as tape, keras.StatelessScope() as scope:
            tape.watch(x)
            y = layer(x, training=True)
        moving = [scope.get_current_value(v) for v in layer.non_trainable_variables]
        weights = [variable.value for variable in layer.trainable_variables]
        results = [y, *tape.gradient(y, [x, *weights], upstream), *moving]
        ops.extend(tf.compat.v1.get_default_graph().get_operations())
        return results

    results = [np.array(value) for value in step(tf.convert_to_tensor(x))]
    return results, {op.type for op in ops}


def weighted(keras, x, dtype, **settings):
    """Returns a built layer whose weights differ from channel to channel."""
    layer = keras.layers.BatchNormalization(dtype=dtype, **settings)
    layer.build(x.shape)
    for position, variable in enumerate(layer.trainable_variables):
        draws = np.random.default_rng(position).normal(1, 0.3, variable.shape)
        variable.assign(draws.astype("float32"))
    return layer


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False, "momentum": 0.5}])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_fused_kernels_do_what_keras_does(keras, numbers, shape, settings):
    from runner.training.normalization import kernels_fused, normalizing_layers

    # Means of two standard deviations: moments of float32 lose digits where the mean is large.
    x, upstream = numbers.normal(2, 1, shape), numbers.normal(size=shape)
    wanted, _ = trained(weighted(keras, x, "float64", **settings), x, upstream)
    x, upstream = x.astype("float32"), upstream.astype("float32")
    layer = weighted(keras, x, "float32", **settings)
    own, composed = trained(layer, x, upstream)
    inputs = keras.Input(shape[1:])
    with kernels_fused(normalizing_layers(keras.Model(inputs, layer(inputs)))):
        fused, kernels = trained(layer, x, upstream)
    assert "FusedBatchNormV3" in kernels - composed
    assert "FusedBatchNormGradV3" in kernels - composed
    for fused_value, own_value, value in zip(fused, own, wanted, strict=True):
        scale = np.abs(value).max()
        # A sum of 2048 terms, pairwise or in blocks, is off by some ten units of 6e-8; about three
        # times that where a mean of two standard deviations is subtracted: 2e-6, and twice that.
        assert np.abs(fused_value - value).max() < 4e-6 * scale
        assert np.abs(own_value - value).max() < 4e-6 * scale
    for fused_value, own_value in zip(fused[-2:], own[-2:], strict=True):
        np.testing.assert_array_equal(fused_value, own_value)  # the moving statistics


def test_the_layer_is_itself_again(keras, numbers):
    from runner.training.normalization import kernels_fused

    x = numbers.normal(size=SHAPES["images"]).astype("float32")
    layer = weighted(keras, x, "float32")
    with pytest.raises(ZeroDivisionError), kernels_fused([layer]):
        _ = 1 / 0
    assert "FusedBatchNormV3" not in trained(layer, x, x)[1]


def assert_stays_as_it_is(model, x):
    from runner.training.normalization import kernels_fused, normalizing_layers

    own, _ = trained(model, x, x)
    with kernels_fused(normalizing_layers(model)):
        same, kernels = trained(model, x, x)
    assert "FusedBatchNormV3" not in kernels
    for value, own_value in zip(same, own, strict=True):
        np.testing.assert_array_equal(value, own_value)


OTHERS = {
    "few elements": (lambda bn: bn(), (16, 4, 4, 8)),
    "no positions": (lambda bn: bn(), (1024, 64)),
    "channels first": (lambda bn: bn(axis=1), (32, 16, 8, 8)),
    "double precision": (lambda bn: bn(dtype="float64"), SHAPES["images"]),
    "frozen": (lambda bn: bn(trainable=False), SHAPES["images"]),
    "renormalizing": (lambda bn: bn(renorm=True), SHAPES["images"]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_stay_as_they_are(keras, numbers, name):
    make, shape = OTHERS[name]
    layer = make(keras.layers.BatchNormalization)
    inputs = keras.Input(shape[1:], dtype=layer.compute_dtype)
    model = keras.Model(inputs, layer(inputs))
    x = numbers.normal(size=shape).astype(layer.compute_dtype)
    assert_stays_as_it_is(model, x)


def test_masked_steps_do_not_count(keras, numbers):
    x = numbers.normal(size=SHAPES["sequences"]).astype("float32")
    x[:, 10:] = 0
    inputs = keras.Input(x.shape[1:])
    masked = keras.layers.Masking()(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(masked))
    assert_stays_as_it_is(model, x)
