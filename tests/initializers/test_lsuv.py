"""LSUV: what it promises, against plain Keras and an own implementation of its algorithm."""

import subprocess
import sys
import time

import numpy as np
import pytest

from runner.anatomy.calls import called
from runner.config import ConfigError

TOLERANCE = 0.1


@pytest.fixture(scope="module")
def prepare(keras, option):
    """A function that prepares `lsuv` for a model and a batch of examples."""
    from runner.initializers import draw
    from runner.initializers.law import Probe

    loss = keras.losses.MeanSquaredError()

    def of(model, x, **settings):
        def probe():
            return Probe(x, np.zeros((len(x), 1), "float32"), loss)

        subject = draw.Subject(model, x.shape[1:], probe=probe)
        return draw.prepare(subject, option("lsuv", **settings))

    return of


def batch(shape, seed=0, examples=64):
    """Returns numbers that are far from mean 0 and variance 1."""
    numbers = np.random.default_rng(seed).normal(1.0, 3.0, (examples, *shape))
    return numbers.astype("float32")


def mlp(keras, units=(16, 16, 3), inputs=8, activation="relu"):
    layers = [keras.layers.Dense(n, activation=activation) for n in units[:-1]]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(units[-1])])


def by_the_paper(kernels, x, bias, tolerance, iterations):
    """Returns the kernels of a ReLU net after algorithm 1 of Mishkin and Matas."""
    found, h = [], x.astype(float)
    for kernel in kernels:
        w = kernel.astype(float)
        for _ in range(iterations):
            variance = np.var(h @ w + bias)
            if abs(variance - 1) < tolerance:
                break
            w = w / np.sqrt(variance)
        found.append(w)
        h = np.maximum(h @ w + bias, 0)
    return found


@pytest.mark.parametrize("tolerance", [0.1, 1e-4, 0.9])
def test_it_is_the_algorithm_of_the_paper(keras, prepare, tolerance):
    model, x = mlp(keras), batch((8,))
    base = prepare(model, x, tolerance=1e9, bias=0.3).draw(5)
    values = prepare(model, x, tolerance=tolerance, bias=0.3).draw(5)
    expected = by_the_paper(base[::2], x, 0.3, tolerance, 10)
    for kernel, wanted in zip(values[::2], expected, strict=True):
        # float32 rounds at 6e-8; three layers of sums over some tens of entries.
        np.testing.assert_allclose(kernel, wanted, rtol=1e-5)


def test_what_is_within_tolerance_stays_as_the_base_draws_it(keras, option, prepare):
    from runner.initializers import draw

    model, x = mlp(keras), batch((8,))
    base = draw.prepare(draw.Subject(model), option("glorot_normal"))
    found = prepare(model, x, base="glorot_normal", tolerance=1e9)
    assert found.label == "lsuv(base=glorot_normal, tolerance=1e+09)"
    for one, other in zip(found.draw(3), base.draw(3), strict=True):
        np.testing.assert_array_equal(one, other)


def convolutional(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(8, 3, activation="tanh"),
            layers.SeparableConv2D(8, 3, depth_multiplier=2),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.SpatialDropout2D(0.5),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2DTranspose(4, 3, activation=layers.LeakyReLU()),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def shared(keras):
    layers = keras.layers
    inputs = keras.Input((8,))
    twice, tower = layers.Dense(8, "relu"), mlp(keras, (6, 5))
    hidden = layers.Dropout(0.5)(twice(twice(inputs)))
    hidden = layers.Add()([hidden, inputs])
    return keras.Model(inputs, layers.Concatenate()([tower(hidden), tower(inputs)]))


def attentive(keras):
    layers = keras.layers
    inputs = keras.Input((6, 8))
    hidden = layers.MultiHeadAttention(2, 4, dropout=0.1)(inputs, inputs)
    hidden = layers.LayerNormalization()(hidden + inputs)
    hidden = layers.TimeDistributed(layers.Dense(4, "relu"))(hidden)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(hidden)))


def subclassed(keras):
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.Dense(16, "relu")
            self.norm = keras.layers.BatchNormalization()

        def build(self, shape):
            self.w = self.add_weight(shape=(16, 16), name="w")

        def call(self, x):
            return self.norm(self.inner(x)) @ self.w

    class Multiplies(keras.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], 5), name="w")

        def call(self, x):
            return keras.ops.relu(x @ self.w)

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [Block(), Block()]
            self.own, self.head = Multiplies(), keras.layers.Dense(3)

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return self.head(self.own(x))

    model = Model()
    model(np.zeros((1, 16), "float32"))
    return model


def mixed(keras):
    layers = keras.layers
    hidden = layers.Dense(16, "relu", dtype="mixed_float16")
    frozen = layers.Dense(16, "relu", trainable=False)
    return keras.Sequential([keras.Input((8,)), hidden, frozen, layers.Dense(3, dtype="float64")])


MODELS = {
    "convolutional": (convolutional, (8, 8, 2)),
    "shared": (shared, (8,)),
    "attentive": (attentive, (6, 8)),
    "subclassed": (subclassed, (16,)),
    "mixed": (mixed, (8,)),
}


@pytest.fixture(scope="module")
def drawn(keras, prepare):
    """A function that returns a model, its batch, its `Drawer` and the weights of five seeds."""
    cache = {}

    def of(name):
        if name not in cache:
            build, shape = MODELS[name]
            model, x = build(keras), batch(shape)
            drawer = prepare(model, x)
            together = drawer.together(range(5))
            cache[name] = model, x, drawer, [together(seed) for seed in range(5)]
        return cache[name]

    return of


def outputs_of_layers(keras, model, x):
    """Returns what each layer with a kernel makes at its first call, before its activation."""
    found = {}
    kinds = (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Conv2D)
    kinds += (keras.layers.SeparableConv2D, keras.layers.DepthwiseConv2D)
    kinds += (keras.layers.Conv2DTranspose,)

    def watching(layer, call):
        def watched(inputs, *args, **kwargs):
            if layer.name not in found:
                activation, layer.activation = layer.activation, None
                found[layer.name] = np.array(call(inputs, *args, **kwargs), float)
                layer.activation = activation
            return call(inputs, *args, **kwargs)

        return watched

    watched = [layer for layer in model._flatten_layers() if isinstance(layer, kinds)]
    silent = [layer for layer in model._flatten_layers() if hasattr(layer, "rate")]
    for layer in watched:
        object.__setattr__(layer, "call", watching(layer, layer.call))
    for layer in silent:
        object.__setattr__(layer, "call", lambda inputs, *args, **kwargs: inputs)
    called(model, x, training=True)
    for layer in (*watched, *silent):
        object.__delattr__(layer, "call")
    return found


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_puts_out_the_variance_one(keras, drawn, name):
    model, x, _, weights = drawn(name)
    as_built = model.get_weights()
    model.set_weights(weights[2])
    found = outputs_of_layers(keras, model, x)
    model.set_weights(as_built)
    assert found
    for layer, output in found.items():
        assert abs(output.var() - 1) < TOLERANCE, layer


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_determines_all_bits_whatever_its_company(drawn, name):
    _, _, drawer, weights = drawn(name)
    backwards = drawer.together([4, 3, 0])
    for seed in (3, 0, 4):
        for values in (drawer.draw(seed), backwards(seed)):
            for one, other in zip(values, weights[seed], strict=True):
                np.testing.assert_array_equal(one, other)
    assert not drawer.is_fixed


def test_step_0_shows_it(keras, drawn):
    from runner.propagation.measurement import Meter

    model, x, drawer, weights = drawn("shared")
    meter = Meter(model, keras.losses.MeanSquaredError(), x, np.zeros((64, 10)), drawer.drawn)
    for found in meter.measure(weights):
        rows = [row for row in meter.weighted if meter.layers[row].kernels]
        variances = found.quantities["preactivation_variance"][rows]
        assert len(variances) == 3
        assert (np.abs(variances - 1) < TOLERANCE).all()


def test_kernels_of_one_layer_take_the_same_share(prepare, drawn):
    model, x, _, weights = drawn("convolutional")
    base = prepare(model, x, tolerance=1e9).draw(0)
    ratios = {
        weight.name: np.unique((weights[0][place] / base[place]).round(4))
        for place, weight in enumerate(model.weights)
        if weight.name in ("depthwise_kernel", "pointwise_kernel")
    }
    np.testing.assert_array_equal(*ratios.values())


def test_own_matrices_are_rescaled_by_what_their_layer_makes(drawn):
    model, x, _, weights = drawn("subclassed")
    as_built = model.get_weights()
    model.set_weights(weights[1])
    hidden = x
    for block in model.blocks:
        hidden = block(hidden)
    assert np.var(np.array(model.own(hidden))) == pytest.approx(1, abs=TOLERANCE)
    model.set_weights(as_built)


@pytest.fixture(scope="module")
def recurrent(keras):
    layers = keras.layers
    lstm = layers.LSTM(6, return_sequences=True)
    head = (layers.GRU(5, dropout=0.2), layers.Dense(3))
    return keras.Sequential([keras.Input((5, 4)), layers.Bidirectional(lstm), *head])


def test_recurrent_layers_get_gates_of_the_variance_one(keras, prepare, recurrent):
    x = batch((5, 4))
    values = prepare(recurrent, x).draw(1)
    base = prepare(recurrent, x, tolerance=1e9).draw(1)
    inputs = {}
    for place, weight in enumerate(recurrent.weights):
        if weight.name == "recurrent_kernel":
            np.testing.assert_array_equal(values[place], base[place])
        elif "lstm" in weight.path and weight.name == "kernel":
            inputs[weight.path] = x @ values[place]
    assert len(inputs) == 2
    for given in inputs.values():
        assert abs(given.var() - 1) < TOLERANCE


def test_rules_have_the_last_word(keras, prepare):
    model, x = mlp(keras), batch((8,))
    path = f"{model.layers[1].name}/kernel"
    drawer = prepare(model, x, rules=[{"path": path, "init": "constant", "value": 0.5}])
    assert [kernel.law for kernel in drawer.kernels] == ["lsuv", "constant(value=0.5)", "lsuv"]
    assert [kernel.stddev for kernel in drawer.kernels] == [None, 0.0, None]
    values = drawer.draw(0)
    np.testing.assert_array_equal(values[2], 0.5)
    h = np.maximum(np.maximum(x @ values[0], 0) @ values[2], 0)
    assert (h @ values[4]).var() == pytest.approx(1, abs=TOLERANCE)


def silent(keras):
    layers = [keras.layers.Rescaling(0.0), keras.layers.Dense(3, name="deaf")]
    return keras.Sequential([keras.Input((8,)), *layers])


def normalized(keras):
    dense = keras.layers.SpectralNormalization(keras.layers.Dense(4), name="bounded")
    return keras.Sequential([keras.Input((8,)), dense])


def stacked_cells(keras):
    cells = [keras.layers.LSTMCell(4), keras.layers.LSTMCell(3)]
    return keras.Sequential([keras.Input((5, 8)), keras.layers.RNN(cells)])


REFUSED = [
    (silent, {}, r"`init` must be defined .*lsuv; what `deaf/kernel` makes .* variance 1, and has"),
    (normalized, {}, r"`bounded/.*kernel` .* after 10 steps\. .*init\.rules=\[\{path: bounded/"),
    (stacked_cells, {}, r"no kernel of it makes the output of a layer"),
    (mlp, {"bias": "normal", "bias_scale": 3.0}, r"and has .* after 10 steps"),
]


@pytest.mark.parametrize(("build", "settings", "message"), REFUSED)
def test_where_it_is_not_defined_it_is_refused_before_anything_is_trained(
    keras, prepare, build, settings, message
):
    model = build(keras)
    with pytest.raises(ConfigError, match=message) as caught:
        prepare(model, batch(model.input_shape[1:]), **settings)
    assert "\n" not in str(caught.value)


def test_without_data_it_is_refused(keras, option):
    from runner.initializers import draw

    with pytest.raises(ConfigError, match=r"`init` .*lsuv; it needs a batch of data"):
        draw.prepare(draw.Subject(mlp(keras)), option("lsuv"))


def test_a_hundred_replicates_are_one_computation(keras, prepare):
    """Of the digits MLP: 1 s on two cores, of which 0.7 s are the orthogonal draws."""
    model = mlp(keras, (64, 64, 64, 10), inputs=64)
    drawer = prepare(model, batch((64,), examples=128))  # compiles
    started = time.monotonic()
    draw = drawer.together(range(100))
    assert len({draw(seed)[0].tobytes() for seed in range(100)}) == 100
    assert time.monotonic() - started < 10  # a machine may have other work


PROGRAM = """
import hashlib
from runner.training import tensorflow
tensorflow.start()
import keras
from runner.initializers import CATALOGUE, draw
from runner.initializers.law import Probe
from runner.plan import Choice
from tests.initializers.test_lsuv import batch, convolutional

x = batch((8, 8, 2))
subject = draw.Subject(convolutional(keras), x.shape[1:], probe=lambda: Probe(x, x, None))
values = draw.prepare(subject, Choice("lsuv", CATALOGUE["lsuv"]())).draw(3)
print(hashlib.sha256(b"".join(value.tobytes() for value in values)).hexdigest())
"""


@pytest.mark.slow
def test_two_processes_draw_the_same_bits():
    """However many cores they have."""
    printed = {
        subprocess.run(
            [*limit, sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]
        for limit in ((), ("taskset", "-c", "0"))
    }
    assert len(printed) == 1
