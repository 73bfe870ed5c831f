"""Laws by role against their papers' formulas, on models written in several ways."""

import math
from functools import cache

import numpy as np
import pytest
from scipy import stats

from runner import seeds
from runner.config import ConfigError

SEED = 5
CUT = float(stats.truncnorm(-2, 2).std())


@pytest.fixture(scope="module")
def prepare(keras, option):
    """A function that prepares an option for a model."""
    from runner.initializers import draw

    def prepare(model, name, **settings):
        shape = (10,) if not getattr(model, "inputs", None) else None
        return draw.prepare(draw.Subject(model, shape), option(name, **settings))

    return prepare


@pytest.fixture(scope="module")
def drawn(prepare):
    """A function that gives a model the weights of a seed, and returns them by their paths."""

    def drawn(model, name, **settings):
        values = prepare(model, name, **settings).draw(SEED)
        for variable, value in zip(model.weights, values, strict=True):
            variable.assign(value)
        return {
            place.path.removesuffix("/kernel"): value.astype(float)
            for place, value in zip(prepare_places(model), values, strict=True)
        }

    from runner.anatomy.kernels import weights as prepare_places

    return drawn


@pytest.fixture(scope="module")
def architecture(keras):
    """A function from a name to a model of the catalogue of architectures, as it was built."""
    from tests.anatomy import architectures

    @cache
    def built(name):
        model = getattr(architectures, name)()
        return model, model.get_weights()

    def architecture(name):
        model, values = built(name)
        model.set_weights(values)
        return model

    return architecture


@pytest.fixture(scope="module")
def transformer(keras):
    """A function that builds a transformer out of one block that is called several times."""
    layers = keras.layers

    def build(width, num_layers, norm=True, tokens=50):
        inputs = keras.Input((6,))
        normalize = layers.LayerNormalization(name="norm") if norm else layers.Identity()
        attend = layers.MultiHeadAttention(8, width // 8, name="att")
        widen, shrink = layers.Dense(width, "relu", name="in"), layers.Dense(width, name="out")
        x = layers.Embedding(tokens, width, name="tokens")(inputs)
        for _ in range(num_layers):
            x = normalize(x + attend(x, x))
            x = normalize(x + shrink(widen(x)))
        x = layers.GlobalAveragePooling1D()(x)
        return keras.Model(inputs, layers.Dense(3, name="head")(x))

    return build


def assert_std(values, expected):
    """Five sampling errors of a standard deviation, for laws with a kurtosis up to the normal's."""
    assert values.std() == pytest.approx(expected, rel=5 / math.sqrt(2 * values.size))


def residual_cnn(keras, blocks, per_block, scaled=False):
    """Returns a model without normalization, and the sums in it."""
    layers = keras.layers

    class Scaled(layers.Layer):
        def build(self, shape):
            self.alpha = self.add_weight(shape=(), initializer="zeros", name="alpha")

        def call(self, x):
            return self.alpha * x

    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="stem")(inputs)
    sums = []
    for block in range(blocks):
        y = x
        for number in range(per_block):
            y = layers.ReLU()(y) if number else y
            y = layers.Conv2D(32, 3, padding="same", name=f"b{block}c{number}")(y)
        y = Scaled(name=f"scale{block}")(y) if scaled else y
        sums.append((x, x := layers.Add()([x, y])))
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10, "softmax", name="head")(x))
    return model, keras.Model(inputs, sums)


@pytest.mark.parametrize(("blocks", "per_block"), [(4, 2), (3, 3)])
def test_fixup(keras, drawn, numbers, blocks, per_block):
    model, sums = residual_cnn(keras, blocks, per_block)
    values = drawn(model, "fixup")
    x = numbers.normal(size=(4, 8, 8, 3)).astype("float32")
    for shortcut, total in sums(x):
        np.testing.assert_array_equal(shortcut, total)
    loss = keras.losses.SparseCategoricalCrossentropy()(np.arange(4), model(x))
    assert float(loss) == pytest.approx(math.log(10), abs=1e-6)
    he = math.sqrt(2 / (9 * 32))
    inner = [values[f"b{b}c{c}"] for b in range(blocks) for c in range(per_block - 1)]
    assert_std(np.array(inner), he * blocks ** (-1 / (2 * per_block - 2)))
    assert_std(values["stem"], math.sqrt(2 / 27))


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("name", "multiplier"),
    [
        *((name, "") for name in ("residual_mlp", "residual_layers", "resnet")),
        *((name, "") for name in ("transformer", "vision_transformer")),
        ("skipinit", "scaled/alpha"),
        ("layer_scale", "layer_scale/gamma"),
    ],
)
def test_fixup_starts_with_equal_probabilities(architecture, drawn, numbers, name, multiplier):
    """However a model is written; and no branch is zero for two reasons, which would keep it so."""
    model = architecture(name)
    values = drawn(model, "fixup")
    shape = getattr(model, "input_shape", (None, 10))[1:]
    outputs = np.asarray(model(numbers.integers(1, 9, (3, *shape)).astype("float32")))
    np.testing.assert_allclose(outputs, outputs.flat[0], atol=1e-7)
    if multiplier:
        np.testing.assert_array_equal(values[multiplier], 1)


def test_fixup_in_nested_branches_counts_the_inner_ones(keras, prepare):
    layers = keras.layers
    inputs = keras.Input((64,))
    y = layers.Dense(64, name="outer1")(inputs)
    z = layers.Dense(64, name="inner2")(layers.Dense(64, "relu", name="inner1")(y))
    y = layers.Dense(64, name="outer2")(layers.add([y, z]))
    x = layers.add([layers.Dense(64, name="shortcut")(inputs), y])
    model = keras.Model(inputs, layers.Dense(3, name="head")(x))
    records = prepare(model, "fixup").kernels
    told = {record.path.split("/")[0]: record.stddev for record in records}
    he = math.sqrt(2 / 64)
    # Two branches; of two layers inside, of four outside.
    assert told == pytest.approx(
        {"inner1": he * 2**-0.5, "inner2": 0, "outer1": he * 2 ** (-1 / 6), "outer2": 0}
        | {"shortcut": he, "head": 0}
    )


def test_zero_gamma_makes_blocks_their_shortcuts(keras, architecture, drawn, numbers):
    model = architecture("resnet")
    values = drawn(model, "zero_gamma", base="glorot_uniform")
    adds = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    sums = keras.Model(model.input, [(layer.input[0], layer.output) for layer in adds])
    x = numbers.normal(size=(2, 8, 8, 3)).astype("float32")
    for training in (False, True):
        for shortcut, total in sums(x, training=training):
            np.testing.assert_array_equal(shortcut, total)
            assert np.abs(total).max() > 0
    assert {path: set(v) for path, v in values.items() if path.endswith("gamma")} == {
        f"{name}_bn/gamma": {float(name not in ("a2", "b2"))}
        for name in ("stem", "a1", "a2", "b0", "b1", "b2")
    }
    limit = math.sqrt(6 / (9 * 4 + 9 * 4))
    assert 0.9 * limit < np.abs(values["a2"]).max() <= limit


def test_skipinit_makes_blocks_their_shortcuts(keras, drawn, numbers):
    model, sums = residual_cnn(keras, 2, 2, scaled=True)
    values = drawn(model, "skipinit")
    for shortcut, total in sums(numbers.normal(size=(2, 8, 8, 3))):
        np.testing.assert_array_equal(shortcut, total)
    assert_std(values["b0c1"], math.sqrt(2 / (9 * 32)))
    assert drawn(model, "skipinit", value=1e-4)["scale1/alpha"] == np.float32(1e-4)


# The papers' numbers, to four digits: a transformer of 12 layers of the width 512.
TWELVE = {
    "gpt2": ({"att/query": 0.02, "att/attention_output": 0.004082, "in": 0.02, "out": 0.004082})
    | {"tokens/embeddings": 0.02},
    "small": ({"att/query": 0.027951, "att/attention_output": 0.007366, "out": 0.007366})
    | {"in": 0.027951, "tokens/embeddings": 0.027951},
    "deepnorm": {
        "att/query": math.sqrt(2 / 1024),
        "att/key": math.sqrt(2 / 1024),
        "att/value": 0.3195 * math.sqrt(2 / 1024),
        "att/attention_output": 0.3195 * math.sqrt(2 / 1024),
        "in": 0.3195 * math.sqrt(2 / 1024),
        "out": 0.3195 * math.sqrt(2 / 1024),
    },
}


@pytest.fixture(scope="module")
def twelve(transformer):
    return transformer(512, 12)


@pytest.mark.parametrize("name", TWELVE)
def test_transformers_of_twelve_layers(drawn, twelve, name):
    values = drawn(twelve, name)
    for path, expected in TWELVE[name].items():
        assert_std(values[path], expected)


def test_t_fixup(drawn, transformer):
    values = drawn(transformer(64, 6, norm=False, tokens=500), "t_fixup")
    xavier = math.sqrt(2 / 128)
    for path, expected in {
        "att/query": xavier,
        "att/key": xavier,
        "att/value": 0.4281 * xavier,
        "att/attention_output": 0.4281 * xavier,
        "in": 0.4281 * xavier,
        "out": 0.4281 * xavier,
        "tokens/embeddings": 0.3689 / 8,
    }.items():
        assert_std(values[path], expected)


@pytest.fixture(scope="module")
def translator(keras):
    """Two layers that encode, three that decode, without normalization."""
    layers = keras.layers
    tokens = keras.Input((6,))
    source = layers.Embedding(30, 16, name="source")(tokens)

    def attended(x, context, name):
        return x + layers.MultiHeadAttention(2, 8, name=name)(x, context)

    def fed_forward(x, name):
        return x + layers.Dense(16, name=f"{name}_out")(layers.Dense(32, "relu", name=name)(x))

    x = layers.Embedding(30, 16, name="target")(tokens)
    for block in "ab":
        source = fed_forward(attended(source, source, f"{block}_enc"), f"{block}_enc_ffn")
    for block in "abc":
        x = attended(attended(x, x, f"{block}_self"), source, f"{block}_cross")
        x = fed_forward(x, f"{block}_ffn")
    return keras.Model(tokens, layers.Dense(30, name="head")(x))


@pytest.mark.parametrize(
    ("name", "encoder", "decoder"),
    [
        ("deepnorm", 0.87 * (2**4 * 3) ** (-1 / 16), (12 * 3) ** (-1 / 4)),
        ("t_fixup", 0.67 * 2 ** (-1 / 4), (9 * 3) ** (-1 / 4)),
    ],
)
def test_encoder_and_decoder_are_told_apart(prepare, translator, name, encoder, decoder):
    records = {record.path: record for record in prepare(translator, name).kernels}
    for path, record in records.items():
        scaled = "query" not in path and "key" not in path and "head" not in path
        factor = (encoder if "enc" in path else decoder) if scaled else 1
        glorot = math.sqrt(2 / (record.fan_in + record.fan_out))
        assert record.stddev == pytest.approx(factor * glorot), path
    assert len(records) == 2 * 6 + 3 * 10 + 1


def best(target, rank):
    """Returns the best approximation of a rank: the target in the space of its largest images."""
    _, vectors = np.linalg.eigh(target @ target.T)
    space = vectors[:, -rank:]
    return space @ space.T @ target


@pytest.mark.parametrize(
    ("settings", "of_keys", "of_values"),
    [
        ({}, (0.7, 0.7), (0.4, 0.4)),
        (
            {"query_key_alpha": 0.2, "query_key_beta": -0.9}
            | {"value_output_alpha": 0.1, "value_output_beta": -0.3},
            (0.2, -0.9),
            (0.1, -0.3),
        ),
    ],
)
def test_mimetic_products_are_those_of_the_paper(keras, drawn, settings, of_keys, of_values):
    width, heads, rank = 48, 3, 16
    inputs = keras.Input((5, width), dtype="float64")
    attend = keras.layers.MultiHeadAttention(heads, rank, name="att", dtype="float64")
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(attend(inputs, inputs)))
    values = drawn(model, "mimetic", **settings)

    def noise(position, *shape):
        random = seeds.generator(SEED, "weights", position, 1)
        return random.normal(0, 1 / math.sqrt(width), shape)

    position = {weight.path.split("att/")[-1]: i for i, weight in enumerate(model.weights)}
    alpha, beta = of_keys
    drawn_noise = noise(position["query/kernel"], heads, width, width)
    for head in range(heads):
        query, key = values["att/query"][:, head], values["att/key"][:, head]
        target = alpha * drawn_noise[head] + beta * np.eye(width)
        np.testing.assert_allclose(query @ key.T, best(target, rank), atol=1e-6)
    alpha, beta = of_values
    product = values["att/value"].reshape(width, -1) @ values["att/attention_output"].reshape(
        -1, width
    )
    target = alpha * noise(position["value/kernel"], 1, width, width)[0] - beta * np.eye(width)
    np.testing.assert_allclose(product, target, atol=1e-6)
    # The noise itself: 2256 numbers off the diagonal, 48 on it.
    assert_std(product[~np.eye(width, dtype=bool)], alpha / math.sqrt(width))
    assert np.diag(product).mean() == pytest.approx(-beta, abs=5 * alpha / width)


def test_mimetic_wider_than_its_input_and_in_own_layers(keras, architecture, drawn):
    values = drawn(architecture("transformer"), "mimetic")  # two heads of 8 on 8 channels
    for name in ("query", "key", "value", "attention_output"):
        kernel = values[f"a/att/{name}"]
        assert np.abs(kernel).sum(axis=0 if name != "attention_output" else -1).min() > 0
    product = values["a/att/value"].reshape(8, -1) @ values["a/att/attention_output"].reshape(-1, 8)
    assert np.linalg.matrix_rank(product) == 8
    assert -0.4 - 5 * 0.4 / 8 < np.diag(product).mean() < -0.4 + 5 * 0.4 / 8

    class Own(keras.layers.Layer):
        def build(self, shape):
            self.q, self.k, self.v, self.o = (
                self.add_weight(shape=(6, 6), name=name) for name in "qkvo"
            )

        def call(self, x):
            def heads(kernel):
                return keras.ops.transpose(
                    keras.ops.reshape(x @ kernel, (-1, 5, 2, 3)), (0, 2, 1, 3)
                )

            scores = heads(self.q) @ keras.ops.transpose(heads(self.k), (0, 1, 3, 2))
            y = keras.ops.softmax(scores / 3**0.5) @ heads(self.v)
            y = keras.ops.reshape(keras.ops.transpose(y, (0, 2, 1, 3)), (-1, 5, 6))
            return x + y @ self.o

    values = drawn(keras.Sequential([keras.Input((5, 6)), Own(name="own")]), "mimetic")
    query, key, value, output = (values[f"own/{name}"] for name in "qkvo")
    for head in (slice(0, 3), slice(3, 6)):
        assert np.linalg.matrix_rank(query[:, head] @ key[:, head].T) == 3
        # The factors of a singular value decomposition: orthogonal, and of the same sizes.
        grams = [kernel[:, head].T @ kernel[:, head] for kernel in (query, key)]
        np.testing.assert_allclose(*grams, atol=1e-5)
    assert np.linalg.matrix_rank(value @ output) == 6


def sines(keras, own, width=1024, omega=30.0):
    layers = keras.layers

    class Sine(layers.Layer):
        def call(self, x):
            return keras.ops.sin(omega * x)

    inputs = x = keras.Input((2,))
    before = []
    for number in range(3):
        if own:
            x = layers.Dense(width, name=f"d{number}")(x)
            before.append(x)
            x = Sine()(x)
        else:
            x = layers.Dense(width, lambda y: keras.ops.sin(omega * y), name=f"d{number}")(x)
    model = keras.Model(inputs, layers.Dense(1, name="head")(x))
    return model, keras.Model(inputs, before) if own else None


@pytest.mark.parametrize("own", [True, False])
def test_siren(keras, drawn, numbers, own):
    model, before = sines(keras, own)
    values = drawn(model, "siren")
    limits = {"d0": 1 / 2, "d1": math.sqrt(6 / 1024) / 30, "head": math.sqrt(6 / 1024) / 30}
    for path, limit in limits.items():
        assert 0.95 * limit < np.abs(values[path]).max() <= limit * (1 + 1e-6)
        assert_std(values[path], limit / math.sqrt(3))
    if before is not None:
        enters = [30 * np.asarray(one) for one in before(numbers.uniform(-1, 1, (256, 2)))]
        # 1024 units of independent weights each: an error of 2.2 %; the mean square of the first
        # sines, over few periods, is 1/2 but for a few percent.
        for one in enters[1:]:
            assert one.std() == pytest.approx(1, rel=0.12)


def one_layer(keras):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, name="stem")(inputs)
    x = x + keras.layers.Dense(4, "relu", name="alone")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="head")(x))


def two_widths(keras):
    layers = keras.layers
    x = inputs = keras.Input((5, 4))
    x = x + layers.MultiHeadAttention(2, 2)(x, x)
    x = layers.Dense(8)(x)
    x = x + layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(inputs, x)


def cross(keras):
    layers = keras.layers
    inputs = keras.Input((5, 4))
    x, context = layers.Dense(4, name="one")(inputs), layers.Dense(4, name="other")(inputs)
    return keras.Model(inputs, x + layers.MultiHeadAttention(2, 2)(x, context))


def narrowing(keras):
    inputs = keras.Input((5, 4))
    attend = keras.layers.MultiHeadAttention(2, 2, output_shape=3, name="att")
    return keras.Model(inputs, attend(inputs, inputs))


REFUSED = [
    ("fixup", "mlp", "for residual branches, and the model has none"),
    ("fixup", one_layer, "of two layers or more, and .* has alone/kernel alone"),
    ("zero_gamma", "cells", "none of the model's residual branches ends with a normalization"),
    ("zero_gamma", "preactivation", "none of the model's residual branches ends with a normal"),
    ("zero_gamma", "no_shortcuts", "for residual branches, and the model has none"),
    ("skipinit", "resnet", "none of the model's residual branches is multiplied with a trained"),
    ("gpt2", "resnet", "for transformers, and the model has no attention"),
    ("small", "dot_attention", "none of the model's residual branches has a self-attention"),
    ("small", two_widths, "of one width, and the model has 4, 8"),
    ("deepnorm", "gpt", "scales the kernels of values, and .* same one: attention/c_attn"),
    ("deepnorm", "recurrent", "the model has no attention"),
    ("t_fixup", "transformer", "without normalization, and the model has a/norm1/gamma"),
    ("t_fixup", "mlp", "the model has no attention"),
    ("mimetic", "unet", "for self-attention, and the model has none"),
    ("mimetic", cross, "for self-attention, and the model has none"),
    ("mimetic", "gpt", "kernels of their own, and attention/c_attn makes several"),
    ("mimetic", "dot_attention", "kernels of their own, and value/kernel makes several"),
    ("mimetic", "llama", "a query and a key for each head, and block/wq .* and block/wk "),
    ("mimetic", narrowing, "put out what they take, .* att/attention_output/kernel .* do not fit"),
    ("siren", "mlp", "sines as activations, and none follows on first/kernel"),
    ("siren", "single", "sines as activations, and the model has none"),
]


@pytest.mark.parametrize(("name", "model", "message"), REFUSED)
def test_models_that_a_law_is_not_for_are_refused(
    keras, architecture, prepare, name, model, message
):
    built = architecture(model) if isinstance(model, str) else model(keras)
    with pytest.raises(
        ConfigError, match=rf"`init` must .*Received: {name}; .*{message}"
    ) as caught:
        prepare(built, name)
    assert "\n" not in str(caught.value)


def test_rules_and_not_kernels_beat_the_law(architecture, drawn):
    model = architecture("transformer")
    rules = [
        {"role": "embedding", "init": "constant", "value": 3.0},
        {"path": "b/*/query/kernel", "init": "ones"},
    ]
    values = drawn(model, "gpt2", rules=rules)
    assert (values["embedding/token/embeddings"] == 3).all()
    assert (values["b/att/query"] == 1).all()
    kept = drawn(model, "gpt2", not_kernels=["*/position/embeddings", "head/kernel"])
    assert np.abs(kept["embedding/position/embeddings"]).max() <= 0.05  # Keras's own: uniform
    assert_std(kept["embedding/token/embeddings"], 0.02)
    glorot = math.sqrt(6 / (6 + 2))
    assert 0.1 < np.abs(kept["head"]).max() <= glorot
    values = drawn(model, "mimetic", rules=rules)
    assert (values["b/att/query"] == 1).all()
    assert np.abs(values["b/att/key"]).max() <= math.sqrt(6 / (8 + 16))  # by the base alone
    output = drawn(architecture("resnet"), "fixup", rules=[{"role": "output", "init": "ones"}])
    assert (output["head"] == 1).all()
    assert (output["a2"] == 0).all()


@pytest.mark.parametrize("name", ["gpt2", "deepnorm", "mimetic", "fixup"])
def test_a_seed_determines_the_weights_whatever_the_group(architecture, prepare, name):
    drawer = prepare(architecture("transformer"), name)
    alone = {seed: drawer.draw(seed) for seed in (1, 2, 3)}
    together = drawer.together([3, 1, 2])
    for seed in (3, 1, 2):
        for one, other in zip(together(seed), alone[seed], strict=True):
            np.testing.assert_array_equal(one, other)
    first, second = ([v for v in alone[s] if v.std()] for s in (1, 2))
    assert any((one != other).any() for one, other in zip(first, second, strict=True))
