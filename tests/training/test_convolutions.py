"""Convolutions of all replicas as one in groups, against those of each and the reference engine."""

import numpy as np
import pytest

from tests.training.cohorts import MODELS, assert_same, cohort, member, option
from tests.training.test_vectorized import some_slow

REPLICAS = 3
IMAGES, ROWS = (4, 9, 8, 4), (4, 9, 4)
# What is computed of inputs and a kernel -> (inputs, kernel, arguments of `keras.ops.conv`).
KINDS = {
    "same": (IMAGES, (3, 3, 4, 5), {"padding": "same"}),
    "strides": (IMAGES, (3, 2, 4, 5), {"strides": 2}),
    "dilated": (IMAGES, (3, 3, 4, 5), {"padding": "same", "dilation_rate": 2}),
    "one channel": ((4, 9, 8, 1), (3, 3, 1, 5), {}),
    "groups": (IMAGES, (3, 3, 2, 6), {}),
    "channels first": ((4, 4, 9, 8), (3, 3, 4, 5), {"data_format": "channels_first"}),
    "sequences": (ROWS, (3, 4, 5), {"dilation_rate": 2}),
    "transposed": (IMAGES, (3, 3, 5, 4), {"strides": 2, "transposed": True}),
    "transposed sequences": (ROWS, (3, 5, 4), {"strides": 2, "transposed": True}),
}


@pytest.fixture
def convolution(keras):
    """Returns a function: what makes the outputs and all gradients of a kind for one replica."""
    import tensorflow as tf

    def of(transposed=False, strides=1, **settings):
        operation = keras.ops.conv_transpose if transposed else keras.ops.conv

        def one(given):
            with tf.GradientTape() as tape:
                tape.watch(given)
                outputs = operation(*given, strides=strides, **settings)
                total = tf.reduce_sum(tf.sin(outputs))
            return outputs, *tape.gradient(total, given)

        return one

    return of


def operations(function, *arguments):
    """Returns the operations of a traced function and all that it calls."""
    graph = function.get_concrete_function(*arguments).graph.as_graph_def()
    inner = (node for each in graph.library.function for node in each.node_def)
    return [node.op for node in (*graph.node, *inner)]


@pytest.mark.parametrize("is_shared", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", some_slow(KINDS, ["strides"]))
def test_all_replicas_together_do_what_each_does(keras, numbers, convolution, name, is_shared):
    import tensorflow as tf

    from runner.training.convolutions import replicas_grouped

    inputs, kernel, settings = KINDS[name]
    one = convolution(**settings)
    x, kernels = (
        tf.constant(numbers.normal(size=(REPLICAS, *shape)).astype("float32"))
        for shape in (inputs, kernel)
    )

    @tf.function(jit_compile=True, autograph=False)
    def together(x, kernels):
        if is_shared:
            return tf.vectorized_map(lambda kernel: one((x[0], kernel)), kernels)
        return tf.vectorized_map(one, (x, kernels))

    with replicas_grouped():
        got = together(x, kernels)
    assert not any("While" in operation for operation in operations(together, x, kernels))
    alone = tf.function(one, jit_compile=True, autograph=False)
    for replica in range(REPLICAS):
        wanted = alone((x[0 if is_shared else replica], kernels[replica]))
        for values, value in zip(got, wanted, strict=True):
            # Sums of some hundreds of products, in another order.
            scale = np.abs(value).max()
            np.testing.assert_allclose(values[replica], value, rtol=0, atol=5e-6 * scale)


def test_other_code_is_left_alone(keras, numbers, convolution):
    import tensorflow as tf

    inputs, kernel, settings = KINDS["same"]
    one = convolution(**settings)
    given = [tf.zeros((REPLICAS, *shape)) for shape in (inputs, kernel)]
    own = tf.function(lambda *given: tf.vectorized_map(one, given), autograph=False)
    assert any("While" in operation for operation in operations(own, *given))


TRAINED = {
    "cnn": MODELS["cnn"],
    "resnet": lambda keras: option("resnet", depth=(1,), width=2),
    "unet": lambda keras: option("unet", depth=1, width=2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_groups_train_as_in_the_reference_engine(keras, engines, monkeypatch, name):
    from runner.training import grouping
    from runner.training.forms import Form

    monkeypatch.setattr(grouping, "candidates", lambda *args: [Form("stacked", True, 10, "")])
    model = TRAINED[name](keras)
    members = [member(model, seed) for seed in range(3)]
    assert_same(engines, cohort(model, members), rtol=5e-5)
