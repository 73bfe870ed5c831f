"""Exact fans, and what laws make of them: by gate, by group, by channel."""

import math
import re

import numpy as np
import pytest

from runner.anatomy.kernels import exact_fans, keras_fans, weights

IMAGE = (8, 8, 128)
# Layer, its arguments, the shape of an example, the kernel; then what an output sums up and how
# many outputs an input goes to, and both as Keras counts them.
FANS = {
    "DepthwiseConv2D": ({"kernel_size": 3}, IMAGE, 0, (9, 9), (1152, 9)),
    "DepthwiseConv1D": (
        {"kernel_size": 5, "depth_multiplier": 2},
        (9, 4),
        0,
        (5, 10),
        (20, 10),
    ),
    "SeparableConv2D": (
        {"filters": 6, "kernel_size": 3, "depth_multiplier": 2},
        (8, 8, 4),
        0,
        (9, 18),
        (36, 18),
    ),
    "SeparableConv2D, pointwise": (
        {"filters": 6, "kernel_size": 3, "depth_multiplier": 2},
        (8, 8, 4),
        1,
        (8, 6),
        (8, 6),
    ),
    "Conv2D, grouped": (
        {"filters": 12, "kernel_size": 3, "groups": 4},
        (8, 8, 8),
        0,
        (18, 27),
        (18, 108),
    ),
    "Conv2D": ({"filters": 12, "kernel_size": 3}, (8, 8, 8), 0, (72, 108), (72, 108)),
    "Conv2DTranspose": (
        {"filters": 6, "kernel_size": 4, "strides": 2},
        (8, 8, 10),
        0,
        (10 * 16 / 4, 6 * 16),
        (96, 160),
    ),
    "Conv1DTranspose": ({"filters": 6, "kernel_size": 3}, (8, 10), 0, (30, 18), (18, 30)),
    "LSTM": ({"units": 16}, (7, 10), 0, (10, 16), (10, 64)),
    "LSTM, recurrent": ({"units": 16}, (7, 10), 1, (16, 16), (16, 64)),
    "GRU": ({"units": 16}, (7, 10), 0, (10, 16), (10, 48)),
    "ConvLSTM1D": ({"filters": 3, "kernel_size": 5}, (4, 8, 2), 0, (10, 15), (10, 60)),
    "SimpleRNN": ({"units": 16}, (7, 10), 0, (10, 16), (10, 16)),
    "Dense": ({"units": 16}, (10,), 0, (10, 16), (10, 16)),
}


@pytest.fixture(scope="module")
def model_of(keras):
    """A function that builds the model of a layer."""

    def build(name, arguments, shape):
        inputs = keras.Input(shape)
        return keras.Model(inputs, getattr(keras.layers, name.split(",")[0])(**arguments)(inputs))

    return build


@pytest.fixture(scope="module")
def prepare(option):
    """A function that prepares an option with exact fans for a model."""
    from runner.initializers import draw

    return lambda model, name, **settings: draw.prepare(
        draw.Subject(model), option(name, **{"fans": "exact", **settings})
    )


@pytest.mark.parametrize("case", FANS)
def test_fans(model_of, case):
    arguments, shape, place, exact, keras_own = FANS[case]
    kernels = [w for w in weights(model_of(case, arguments, shape)) if w.is_kernel]
    assert exact_fans(kernels[place]) == exact
    assert keras_fans(kernels[place]) == keras_own


@pytest.mark.parametrize(("fans", "stddev"), [("exact", 0.4714), ("keras", 0.0417)])
def test_he_of_a_depthwise_kernel(model_of, prepare, fans, stddev):
    """128 channels of 3 × 3 taps: sqrt(2 / 9), and sqrt(2 / 1152) by Keras's fans."""
    model = model_of("DepthwiseConv2D", {"kernel_size": 3}, IMAGE)
    drawer = prepare(model, "he_normal", fans=fans)
    (record,) = drawer.kernels
    assert record.stddev == pytest.approx(stddev, rel=1e-3)
    assert record.exact_stddev == pytest.approx(0.4714, rel=1e-3)
    values = np.stack([drawer.draw(seed)[0] for seed in range(20)])
    # 23,040 numbers of a truncated normal (kurtosis 2.4): a relative error of 0.4 %.
    assert values.std() == pytest.approx(stddev, rel=0.02)


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_gates_are_drawn_one_by_one(model_of, prepare, name):
    model = model_of(name, {"units": 16}, (7, 10))
    num_gates = {"LSTM": 4, "GRU": 3}[name]
    kernel, recurrent = prepare(model, "orthogonal", gain=2.0).draw(0)[:2]
    for gate in np.split(recurrent.astype(float), num_gates, axis=1):
        np.testing.assert_allclose(gate @ gate.T, 4 * np.eye(16), atol=1e-5)
    for gate in np.split(kernel.astype(float), num_gates, axis=1):
        np.testing.assert_allclose(gate @ gate.T, 4 * np.eye(10), atol=1e-5)
    assert len({gate.tobytes() for gate in np.split(recurrent, num_gates, axis=1)}) == num_gates
    for values in prepare(model, "identity").draw(0)[:2]:
        eye = np.eye(len(values), 16)
        np.testing.assert_array_equal(values, np.concatenate([eye] * num_gates, axis=1))
    (record, _) = prepare(model, "glorot_uniform").kernels
    assert record.stddev == pytest.approx(math.sqrt(2 / (10 + 16)))
    limit = math.sqrt(6 / (10 + 16))
    drawn = prepare(model, "glorot_uniform").draw(0)[0]
    # The largest of 480 numbers or more: within 2 % of the limit but once in 15,000 draws.
    assert 0.98 * limit < np.abs(drawn).max() <= limit


def test_gates_by_the_shape_are_far_from_orthogonal(model_of, prepare):
    """What exact fans are there for: the gates of an orthogonal (128, 512)."""
    model = model_of("LSTM", {"units": 128}, (7, 10))
    recurrent = prepare(model, "orthogonal", fans="keras").draw(0)[1]
    singular = [np.linalg.svd(gate, compute_uv=False) for gate in np.split(recurrent, 4, axis=1)]
    assert np.min(singular) < 0.05
    assert 0.8 < np.max(singular) < 0.9


# Layer, its arguments, the shape of an example; which inputs (taps, channels) and units are of one
# block, of how many, as a function from a kernel.
BLOCKS = {
    "DepthwiseConv2D": (
        {"kernel_size": 3, "depth_multiplier": 2},
        (8, 8, 4),
        lambda kernel: [kernel[:, :, c, :].reshape(9, 2) for c in range(4)],
    ),
    "Conv2D, grouped": (
        {"filters": 12, "kernel_size": 3, "groups": 4},
        (8, 8, 8),
        lambda kernel: [kernel[..., 3 * g : 3 * g + 3].reshape(18, 3) for g in range(4)],
    ),
    "Conv2DTranspose": (
        {"filters": 6, "kernel_size": 2, "strides": 2},
        (8, 8, 10),
        lambda kernel: [kernel.reshape(24, 10)],
    ),
    "EinsumDense": (
        {"equation": "abc,cde->abde", "output_shape": (None, 3, 5)},
        (4, 6),
        lambda kernel: [kernel.reshape(6, 15)],
    ),
    "EinsumDense, a kernel per place": (
        {"equation": "abc,bcd->abd", "output_shape": (4, 5)},
        (4, 6),
        lambda kernel: list(kernel),
    ),
    "EinsumDense, kernel transposed": (
        {"equation": "abc,dc->abd", "output_shape": (None, 5)},
        (4, 6),
        lambda kernel: [kernel.T],
    ),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_orthogonal_by_what_a_unit_sums_up(model_of, prepare, case):
    arguments, shape, blocks = BLOCKS[case]
    drawer = prepare(model_of(case, arguments, shape), "orthogonal", gain=0.5)
    kernel = drawer.draw(0)[0].astype(float)
    for block in blocks(kernel):
        singular = np.linalg.svd(block, compute_uv=False)
        np.testing.assert_allclose(singular, 0.5, atol=1e-6)
        assert drawer.kernels[0].stddev == pytest.approx(0.5 / math.sqrt(max(block.shape)))


def test_a_transposed_convolution_keeps_the_norm(keras, model_of, prepare, numbers):
    """Strides as long as the kernel: each input goes to outputs of its own."""
    layer = ("Conv2DTranspose", {"filters": 6, "kernel_size": 2, "strides": 2}, (8, 8, 10))
    model = model_of(*layer)
    model.set_weights(prepare(model, "orthogonal").draw(0))
    inputs = numbers.normal(size=(1, 8, 8, 10)).astype("float32")
    norm = np.linalg.norm(model.predict(inputs, verbose=0))
    assert norm == pytest.approx(np.linalg.norm(inputs), rel=1e-5)


@pytest.mark.parametrize("case", ["Dense", "SimpleRNN", "Conv2D", "Conv2DTranspose"])
def test_where_nothing_is_to_be_told_apart_the_numbers_stay(model_of, prepare, case):
    arguments, shape, *_ = FANS[case]
    model = model_of(case, arguments, shape)
    exact, keras_own = (prepare(model, "orthogonal", fans=f).draw(3) for f in ("exact", "keras"))
    for one, other in zip(exact, keras_own, strict=True):
        np.testing.assert_array_equal(one, other)


MISSCALED = {
    "DepthwiseConv2D": (
        "he_normal",
        r"/kernel: Keras counts fan_in 1152 and fan_out 9; true are 9 and 9\. So he_normal is "
        r"11\.3 times too small\. Try init\.fans=exact\.$",
    ),
    "LSTM": ("glorot_uniform", r"/kernel and 1 more: .* glorot_uniform is 1\.69 times too small"),
    "Conv2DTranspose": (
        "he_uniform",
        r"are 40 and 96\. So he_uniform is 1\.55 times too small",
    ),
    "Conv2D, grouped": ("glorot_normal", r"is 1\.67 times too small"),
    "Conv2D": ("he_normal", ""),
    "GRU": ("normal", ""),
}


@pytest.mark.parametrize("case", MISSCALED)
def test_what_fans_scale_wrongly_is_told(model_of, prepare, case):
    from runner.propagation.advice import misscaled

    arguments, shape, *_ = FANS[case]
    name, message = MISSCALED[case]
    model = model_of(case, arguments, shape)
    told = misscaled(prepare(model, name, fans="keras").kernels)
    assert re.search(message, told) if message else told == ""
    assert misscaled(prepare(model, name).kernels) == ""
