"""Laws that look at what a kernel is, against their formulas and what they promise."""

import math

import numpy as np
import pytest
from scipy import stats

from runner import seeds
from runner.config import ConfigError
from tests.initializers.test_layers import LAYERS, model_of

SEED = 5


@pytest.fixture(scope="module")
def prepare(option):
    """A function that prepares an option for a model."""
    from runner.initializers import draw

    return lambda model, name, **settings: draw.prepare(
        draw.Subject(model), option(name, **settings)
    )


@pytest.fixture(scope="module")
def dense(keras, prepare):
    """A function that draws the kernels of dense layers with an activation in between."""

    def kernels(name, *widths, seed=SEED, dtype="float32", **settings):
        layers = [keras.layers.Dense(w, activation="relu", dtype=dtype) for w in widths[1:]]
        model = keras.Sequential([keras.Input((widths[0],), dtype=dtype), *layers])
        return prepare(model, name, **settings).draw(seed)[::2]

    return kernels


@pytest.fixture(scope="module")
def drawn_layer(keras, prepare):
    """A function that draws the weights of a layer's model and returns the model."""

    def model(layer, shape, name, seed=SEED, **settings):
        inputs = keras.Input(shape)
        result = keras.Model(inputs, layer(inputs))
        result.set_weights(prepare(result, name, **settings).draw(seed))
        return result

    return model


def kernel_of(model):
    return model.get_weights()[0].astype(float)


CONVOLUTIONS = {
    "Conv1D": ({"filters": 7, "kernel_size": 3}, (9, 4)),
    "Conv1D, even": ({"filters": 7, "kernel_size": 4}, (9, 4)),
    "Conv2D": ({"filters": 4, "kernel_size": (3, 5)}, (8, 9, 4)),
    "Conv2D, grouped": ({"filters": 12, "kernel_size": 3, "groups": 4}, (8, 8, 8)),
    "Conv3D": ({"filters": 5, "kernel_size": 3}, (5, 4, 6, 3)),
    "DepthwiseConv2D": ({"kernel_size": 3, "depth_multiplier": 3}, (8, 8, 4)),
    "Conv2DTranspose": ({"filters": 6, "kernel_size": 3}, (6, 6, 4)),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_delta_orthogonal_keeps_the_norm(keras, prepare, drawn_layer, numbers, case):
    """With circular padding: what the layer reads beyond an edge comes from the other one."""
    arguments, shape = CONVOLUTIONS[case]
    layer = getattr(keras.layers, case.split(",")[0])(**arguments)  # with padding="valid"
    inputs = numbers.normal(size=(1, *shape)).astype("float32")
    taps = np.broadcast_to(layer.kernel_size, len(shape) - 1)
    padding = [(0, 0), *((t // 2, (t - 1) // 2) for t in taps), (0, 0)]
    if "Transpose" in case:  # which puts its outputs around its inputs
        padding = [(0, 0)] * (len(shape) + 1)
    padded = np.pad(inputs, padding, mode="wrap")
    model = drawn_layer(layer, padded.shape[1:], "delta_orthogonal", gain=3.0)
    norm = np.linalg.norm(model(padded))
    assert norm == pytest.approx(3 * np.linalg.norm(inputs), rel=1e-5)
    kernel = kernel_of(model)
    assert np.count_nonzero(kernel.reshape(math.prod(taps), -1).any(axis=1)) == 1
    (record,) = prepare(model, "delta_orthogonal", gain=3.0).kernels
    # The mean square is fixed, the mean is not: its square is 1 / size of it.
    assert math.sqrt(np.mean(kernel**2)) == pytest.approx(record.stddev, rel=1e-5)


def test_delta_orthogonal_of_gates(keras, drawn_layer):
    layer = keras.layers.ConvLSTM1D(4, 3, padding="same")
    model = drawn_layer(layer, (5, 8, 3), "delta_orthogonal", fans="exact")
    for gate in np.split(kernel_of(model)[1], 4, axis=1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(3), atol=1e-6)


def test_dirac_is_the_identity_of_channels(keras, drawn_layer, prepare, numbers):
    """By the loop of its definition: within each group, at the centre."""
    layer = keras.layers.Conv2D(12, 3, groups=4, padding="same")
    model = drawn_layer(layer, (8, 8, 8), "dirac")
    assert prepare(model, "dirac").is_fixed
    expected = np.zeros((3, 3, 2, 12))
    for group in range(4):
        for channel in range(2):
            expected[1, 1, channel, 3 * group + channel] = 1
    np.testing.assert_array_equal(kernel_of(model), expected)
    inputs = numbers.normal(size=(1, 6, 6, 3)).astype("float32")
    wide = drawn_layer(keras.layers.Conv2D(5, 3, padding="same"), (6, 6, 3), "dirac")(inputs)
    np.testing.assert_allclose(wide[..., :3], inputs, rtol=1e-6)
    np.testing.assert_array_equal(wide[..., 3:], 0)


def forward(kernels, x, activation):
    """Returns the outputs of dense layers without biases, the last one linear."""
    for kernel in kernels[:-1]:
        x = activation(x @ kernel)
    return x @ kernels[-1]


def relu(x):
    return np.maximum(x, 0)


@pytest.mark.parametrize(("dtype", "error"), [("float32", 3e-6), ("float64", 3e-13)])
def test_a_hundred_layers_that_look_linear_are_orthogonal(dense, dtype, error):
    """The errors are those of rounding: a hundred products of 32 terms each."""
    kernels = dense("looks_linear", 32, *[64] * 99, 32, dtype=dtype)
    outputs = forward(kernels, np.eye(32, dtype=dtype), relu)
    assert np.abs(outputs @ outputs.T - np.eye(32)).max() < error
    for kernel in kernels[1:-1]:
        half = kernel[:32, :32]
        np.testing.assert_array_equal(kernel, np.block([[half, -half], [-half, half]]))


def test_he_makes_of_all_inputs_one(dense, numbers):
    """What looks_linear is there for: cosines near 1 after a hundred layers."""
    kernels = dense("he_normal", 32, *[64] * 100)
    outputs = forward(kernels, numbers.normal(size=(256, 32)), relu)
    outputs /= np.linalg.norm(outputs, axis=1, keepdims=True)
    assert np.mean(outputs @ outputs.T) > 0.99


def test_a_convolutional_net_that_looks_linear_is_linear(keras, prepare, numbers):
    """Through strides, pooling by the mean, sums, and a row of all places."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(10, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(12, 3, strides=2, activation="relu")(x)
    x = layers.Add()([x, layers.Conv2D(12, 1, activation="relu")(x)])
    x = layers.Conv2DTranspose(8, 3, activation="relu")(x)
    x = layers.AveragePooling2D(2)(layers.Reshape((5, 5, 8))(x))
    x = layers.Dropout(0.1)(layers.Flatten()(x))
    x = layers.Dense(6, activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(5)(x))
    model.set_weights(prepare(model, "looks_linear").draw(SEED))
    one, other = numbers.normal(size=(2, 4, 8, 8, 3)).astype("float32")
    both = np.array(model(2 * one - other))
    np.testing.assert_allclose(both, 2 * np.array(model(one)) - np.array(model(other)), atol=1e-5)
    assert np.abs(both).max() > 0.1


def test_halves_side_by_side_do_not_look_linear(keras, prepare):
    layers = keras.layers
    inputs = keras.Input((4,))
    x = layers.Concatenate()([layers.Dense(n, activation="relu")(inputs) for n in (4, 6)])
    model = keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(x)))
    with pytest.raises(ConfigError, match="no Concatenate is in front of"):
        prepare(model, "looks_linear")


@pytest.mark.parametrize(
    ("name", "widths", "settings", "message"),
    [
        (
            "looks_linear",
            (4, 5, 3),
            {},
            r"defined for even numbers of .*, not for 5 units",
        ),
        ("delta_orthogonal", (4, 5), {}, r"it is defined for convolutions"),
        ("dirac", (4, 4), {}, r"it is defined for convolutions"),
        ("sinusoidal", (2, 4), {}, r"it is defined for 3 inputs or more"),
        ("irnn", (4, 4), {}, r"`init` must be defined for the model\. .* recurrent kernel to draw"),
    ],
)
def test_what_is_not_defined_says_for_what_it_is(dense, name, widths, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        dense(name, *widths, **settings)
    assert "\n" not in str(caught.value)


SPARSE = {
    "Dense": ({"units": 60}, (40,), 15, lambda kernel: kernel),
    "Dense, few inputs": ({"units": 60}, (9,), 9, lambda kernel: kernel),
    "Conv2D": (
        {"filters": 50, "kernel_size": 3, "groups": 5},
        (8, 8, 20),
        15,
        lambda kernel: kernel.reshape(36, 50),
    ),
    "DepthwiseConv2D": ({"kernel_size": 5}, (8, 8, 40), 15, lambda kernel: kernel.reshape(25, 40)),
    "Conv1DTranspose": (
        {"filters": 50, "kernel_size": 3},
        (8, 12),
        15,
        lambda kernel: kernel.swapaxes(1, 2).reshape(36, 50),
    ),
    "EinsumDense": (
        {"equation": "abc,cde->abde", "output_shape": (None, 10, 6)},
        (4, 40),
        15,
        lambda kernel: kernel.reshape(40, 60),
    ),
}


@pytest.mark.parametrize("case", SPARSE)
def test_sparse_units_have_k_inputs(keras, drawn_layer, case):
    arguments, shape, k, by_unit = SPARSE[case]
    layer = getattr(keras.layers, case.split(",")[0])(**arguments)
    kernel = by_unit(kernel_of(drawn_layer(layer, shape, "sparse", scale=0.25)))
    assert (np.count_nonzero(kernel, axis=0) == k).all()
    assert stats.kstest(kernel[kernel != 0], stats.norm(0, 0.25).cdf).pvalue > 1e-3
    if k < len(kernel):  # each input is as likely as any: a chi-square of the counts
        counts = np.count_nonzero(kernel, axis=1)
        assert stats.chisquare(counts).pvalue > 1e-3


def test_lee_tanh_is_a_diagonal_and_noise(dense):
    for inputs, units in ((200, 200), (200, 50), (50, 200)):
        (kernel,) = dense("lee_tanh", inputs, units)
        diagonal = np.zeros((inputs, units))
        for i in range(inputs):
            for j in range(units):
                diagonal[i, j] = i % min(inputs, units) == j % min(inputs, units)
        noise = (kernel - diagonal).ravel()
        assert stats.kstest(noise, stats.norm(0, 0.085 / math.sqrt(inputs)).cdf).pvalue > 1e-3


def test_lee_tanh_keeps_activations_through_a_thousand_layers(keras, prepare, numbers):
    model = keras.Sequential([keras.Input((32,)), keras.layers.Dense(32)])
    inputs = numbers.normal(size=(256, 32))
    found = {}
    for name in ("lee_tanh", "glorot_normal"):
        draw = prepare(model, name).draw
        found[name] = inputs
        for layer in range(1000):
            found[name] = np.tanh(found[name] @ draw(layer)[0])
    assert 0.05 < found["lee_tanh"].std() < 0.09
    assert found["glorot_normal"].std() < 1e-4


def test_lee_tanh_of_a_convolution_passes_its_input_on(keras, drawn_layer, numbers):
    layer = keras.layers.Conv2D(4, 3, padding="same")
    inputs = numbers.normal(size=(1, 6, 6, 4)).astype("float32")
    outputs = drawn_layer(layer, (6, 6, 4), "lee_tanh", noise=1e-6)(inputs)
    np.testing.assert_allclose(outputs, inputs, atol=1e-5)


def glorot_scaled(waves, inputs, units):
    return waves * math.sqrt(2 / (inputs + units)) / waves.std()


@pytest.mark.parametrize(("inputs", "units"), [(20, 30), (20, 20), (20, 5), (7, 40), (3, 2)])
def test_sinusoidal_units_are_waves(dense, inputs, units):
    (kernel,) = dense("sinusoidal", inputs, units)
    highest = (inputs - 1) // 2
    turns = -(-units // highest)
    waves = np.empty((inputs, units))
    for unit in range(units):
        frequency, phase = unit % highest + 1, math.pi * (unit // highest) / turns
        for i in range(inputs):
            waves[i, unit] = math.sin(2 * math.pi * frequency * i / inputs + phase)
    np.testing.assert_allclose(kernel, glorot_scaled(waves, inputs, units), atol=1e-6)
    assert kernel.std() == pytest.approx(math.sqrt(2 / (inputs + units)), rel=1e-5)
    directions = kernel / np.linalg.norm(kernel, axis=0)
    alike = np.abs(directions.T @ directions) - np.eye(units)
    assert alike.max() < 0.999  # none is a multiple of another


def test_sinusoidal_units_of_the_paper(dense):
    (kernel,) = dense("sinusoidal", 20, 30, waves="paper", gain=2.0)
    waves = np.empty((20, 30))
    for unit in range(1, 31):
        for i in range(20):
            waves[i, unit - 1] = math.sin(2 * math.pi * unit * (i / 20 + 1 / 30))
    np.testing.assert_allclose(kernel, 2 * glorot_scaled(waves, 20, 30), atol=1e-6)
    (square,) = dense("sinusoidal", 20, 20, waves="paper")
    assert np.linalg.matrix_rank(square, tol=1e-5) < 11  # why there is another choice


def sylvester(size):
    """Returns the Hadamard matrix of a power of 2."""
    found = np.ones((1, 1))
    while len(found) < size:
        found = np.kron([[1, 1], [1, -1]], found)
    return found


@pytest.mark.parametrize(("inputs", "units", "size"), [(784, 1024, 1024), (20, 30, 32), (1, 3, 4)])
def test_hadamard_identity_of_more_units_than_inputs(dense, inputs, units, size):
    (kernel,) = dense("hadamard_identity", inputs, units)
    expected = sylvester(size)[:inputs, :units] / math.sqrt(size)
    np.testing.assert_allclose(kernel, expected, rtol=1e-6)
    if units == size:  # the authors' Z is the transposed kernel: its product with itself
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(inputs), atol=1e-6)
    (paper,) = dense("hadamard_identity", inputs, units, gain=math.sqrt(2))
    np.testing.assert_allclose(paper, expected * math.sqrt(2), rtol=1e-6)


@pytest.mark.parametrize(("inputs", "units"), [(30, 30), (30, 12)])
def test_hadamard_identity_of_no_more_units_is_the_identity(dense, inputs, units):
    (kernel,) = dense("hadamard_identity", inputs, units, gain=2.0)
    np.testing.assert_array_equal(kernel, np.eye(inputs, units))


def test_hadamard_identity_of_a_convolution(keras, drawn_layer):
    model = drawn_layer(keras.layers.Conv2D(10, 3, groups=2), (8, 8, 6), "hadamard_identity")
    kernel = kernel_of(model)
    for group in (kernel[1, 1, :, :5], kernel[1, 1, :, 5:]):
        np.testing.assert_allclose(group, sylvester(8)[:3, :5] / math.sqrt(8), rtol=1e-6)
    assert np.count_nonzero(kernel) == 3 * 10


@pytest.fixture(scope="module")
def residual(keras):
    """A model with two branches, of dense kernels that are not square, and of a convolution."""
    layers = keras.layers
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(8, 3, padding="same", name="first")(inputs)
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="inner")(x)
    x = layers.Add()([x, layers.Conv2D(8, 3, padding="same", name="end")(y)])
    x = layers.GlobalAveragePooling2D()(x)
    y = layers.Dense(20, activation="relu", name="wide")(x)
    x = layers.Add()([x, layers.Dense(8, name="narrow")(y)])
    return keras.Model(inputs, layers.Dense(3, name="outputs")(x))


def test_idinit(residual, prepare):
    drawer = prepare(residual, "idinit")
    found = dict(zip((w.path for w in residual.weights), drawer.draw(SEED), strict=True))
    for name, inputs, units in (("wide", 8, 20), ("narrow", 20, 8), ("outputs", 8, 3)):
        kernel = found[f"{name}/kernel"].astype(float)
        shorter = min(inputs, units)
        ones = [[float(i % shorter == j % shorter) for j in range(units)] for i in range(inputs)]
        assert np.linalg.matrix_rank(kernel, tol=1e-8) == shorter
        if name == "narrow":
            np.testing.assert_allclose(kernel, 1e-6 * np.array(ones), rtol=1e-6)
        else:
            noise = kernel - ones
            # Eight numbers or more of the standard deviation 1e-6; ones are rounded by 6e-8.
            assert 2e-7 < noise[np.array(ones) == 0].std() < 2e-6
            assert np.abs(noise).max() < 6e-6
    # Reshaped: of a filter's inputs channel by channel, those that equal it modulo 8.
    inner = np.round(found["inner/kernel"].astype(float), 3).transpose(2, 0, 1, 3).reshape(72, 8)
    np.testing.assert_array_equal(inner, np.tile(np.eye(8), (9, 1)))
    assert np.abs(found["end/kernel"]).max() == pytest.approx(1e-6)
    assert [r.law for r in drawer.kernels] == ["idinit"] * 6


def test_irnn(keras, prepare):
    layers = keras.layers
    model = keras.Sequential([keras.Input((7, 90)), layers.SimpleRNN(80), layers.Dense(70)])
    drawer = prepare(model, "irnn", gain=0.5)
    kernel, recurrent, bias, output, _ = drawer.draw(SEED)
    np.testing.assert_array_equal(recurrent, 0.5 * np.eye(80))
    np.testing.assert_array_equal(bias, 0)
    for values in (kernel, output):
        assert stats.kstest(values.ravel(), stats.norm(0, 0.001).cdf).pvalue > 1e-3
    rules = [{"role": "recurrent", "init": "identity", "gain": 0.5}]
    ruled = prepare(model, "normal", scale=0.001, rules=rules).draw(SEED)
    np.testing.assert_array_equal(ruled[1], recurrent)


def test_irnn_of_gates(keras, prepare):
    model = keras.Sequential([keras.Input((7, 9)), keras.layers.LSTM(8)])
    recurrent = prepare(model, "irnn", fans="exact").draw(SEED)[1]
    np.testing.assert_array_equal(recurrent, np.concatenate([np.eye(8)] * 4, axis=1))
    with pytest.raises(ConfigError, match=r"square recurrent kernels, and init\.fans=exact"):
        prepare(model, "irnn")


def parameters(kernel, bias):
    """Returns weights and bias of each unit, shape (parameters, units)."""
    return np.concatenate([kernel.reshape(-1, bias.size), bias.reshape(1, -1)]).astype(float)


RAI = {
    "Dense": ({"units": 2000}, (300,), 300),
    "Conv2D": ({"filters": 2000, "kernel_size": 3, "groups": 5}, (8, 8, 100), 180),
    "EinsumDense": (
        {"equation": "abc,cde->abde", "output_shape": (None, 40, 50), "bias_axes": "de"},
        (4, 300),
        300,
    ),
}


@pytest.mark.parametrize("case", RAI)
def test_rai_makes_one_parameter_positive(keras, drawn_layer, case):
    arguments, shape, fan_in = RAI[case]
    layer = getattr(keras.layers, case)(**arguments)
    values = parameters(*drawn_layer(layer, shape, "rai").get_weights())
    # The others have a standard deviation of about 0.04: beyond 0.25 once in a billion.
    largest = values.max(axis=0)
    beyond = largest[largest > 0.25]
    # Beta(2, 1) has the distribution x^2; that of 2,000 numbers has a binomial share below 0.25.
    assert len(beyond) == pytest.approx(2000 * (1 - 0.25**2), abs=5 * math.sqrt(2000 * 0.06))
    assert stats.kstest(beyond, lambda x: (x**2 - 0.25**2) / (1 - 0.25**2)).pvalue > 1e-3
    rest = np.sort(values, axis=0)[:-1].ravel()
    # Where the Beta was not the largest, it is one in 300 of a sixteenth of the units.
    law = stats.norm(0, 0.6007 / math.sqrt(fan_in))
    assert rest.std() == pytest.approx(law.std(), rel=0.02)


def test_rai_any_parameter_may_be_the_positive_one(keras, drawn_layer):
    """With three inputs a quarter of the units have it for their bias."""
    layer = keras.layers.Dense(4000)
    kernel, bias = drawn_layer(layer, (3,), "rai").get_weights()
    law = stats.norm(0, 0.6007 / math.sqrt(3))
    for values in (*kernel, bias):
        # A mixture: a quarter Beta(2, 1), else normal.
        pvalue = stats.kstest(
            values, lambda x: 0.25 * stats.beta(2, 1).cdf(x) + 0.75 * law.cdf(x)
        ).pvalue
        assert pvalue > 1e-3
    without = drawn_layer(keras.layers.Dense(4000, use_bias=False), (3,), "rai").get_weights()[0]
    given = drawn_layer(layer, (3,), "rai", bias=0.5).get_weights()
    np.testing.assert_array_equal(given[1], 0.5)
    for values in (*without, *given[0]):
        pvalue = stats.kstest(
            values, lambda x: (stats.beta(2, 1).cdf(x) + 2 * law.cdf(x)) / 3
        ).pvalue
        assert pvalue > 1e-3


def test_rai_draws_biases_for_each_seed_alike(keras, prepare):
    layers = keras.layers
    inputs = keras.Input((7, 6))
    x = layers.Dense(5, name="hidden")(layers.LSTM(4, name="lstm")(inputs))
    model = keras.Model(inputs, layers.Dense(3, name="last")(x))
    rules = [{"path": "last/bias", "init": "ones"}]
    drawer = prepare(model, "rai", rules=rules)
    together = drawer.together([3, 4])
    alone = [drawer.draw(3), drawer.draw(4)]
    for seed, expected in zip((3, 4), alone, strict=True):
        for one, other in zip(together(seed), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    found = dict(zip((w.path for w in model.weights), alone[0], strict=True))
    assert (found["hidden/bias"] != alone[1][4]).all()
    np.testing.assert_array_equal(found["last/bias"], 1)
    base = keras.initializers.HeNormal(seed=seeds.integer(3, "weights", 0))((6, 16))
    np.testing.assert_array_equal(found["lstm/lstm_cell/kernel"], base)
    assert {record.law for record in drawer.kernels} == {"rai"}


CONVOLUTIONAL = {
    *("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "ConvLSTM1D"),
}
GATED = {"LSTM", "GRU", "ConvLSTM1D"}
# Laws that are not defined for every kernel: the layers of which they draw all, by Keras's and by
# exact fans.
DEFINED = {
    "dirac": (CONVOLUTIONAL, CONVOLUTIONAL),
    "delta_orthogonal": (CONVOLUTIONAL, CONVOLUTIONAL),
    "looks_linear": 2
    * (
        {
            *("Dense", "Conv1D", "Conv3D", "EinsumDense, ellipsis"),
            *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
        },
    ),
    "irnn": ({"SimpleRNN"}, {"SimpleRNN"} | GATED),
    "rai": 2 * (set(LAYERS) - {"SimpleRNN"} - GATED,),
    **dict.fromkeys(("lee_tanh", "idinit", "hadamard_identity", "sinusoidal", "sparse"), None),
}


@pytest.mark.parametrize("case", LAYERS)
def test_every_law_draws_every_kind_of_kernel_or_says_why_not(keras, prepare, case):
    model = model_of(keras, case)
    for name, defined in DEFINED.items():
        for place, fans in enumerate(("keras", "exact")):
            if defined is not None and case not in defined[place]:
                with pytest.raises(ConfigError, match="it is defined for "):
                    prepare(model, name, fans=fans)
                continue
            drawer = prepare(model, name, fans=fans)
            one, again = drawer.draw(SEED), drawer.draw(SEED)
            for weight, values, same in zip(model.weights, one, again, strict=True):
                assert values.shape == tuple(weight.shape)
                assert np.isfinite(values).all()
                np.testing.assert_array_equal(values, same)
            for record, kernel in zip(drawer.kernels, drawer.drawn, strict=True):
                assert one[kernel.position].any()
                assert record.stddev is None or record.stddev > 0
