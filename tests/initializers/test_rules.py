"""Rules, the model's own initializers, random biases, and a model of one's own."""

import numpy as np
import pytest
from scipy import stats

import runner
from runner import seeds
from runner.config import ConfigError


@pytest.fixture(scope="module")
def prepare(keras, option):
    """A function that prepares an option for a model, which may be built anew."""
    from runner.initializers import draw

    def prepared(model, name, build=None, **settings):
        return draw.prepare(draw.Subject(model, build=build), option(name, **settings))

    return prepared


@pytest.fixture(scope="module")
def reader(keras):
    """Tokens, a recurrent layer, two dense ones."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(30, 20, name="words"),
            layers.LSTM(8, name="memory"),
            layers.Dense(8, activation="relu", name="inner"),
            layers.LayerNormalization(name="norm"),
            layers.Dense(3, name="outer"),
        ]
    )


KERNELS = ("memory/lstm_cell/kernel", "memory/lstm_cell/recurrent_kernel")
TABLES = ("words/embeddings", *KERNELS, "inner/kernel", "outer/kernel")

RULES = [
    ({"role": "output"}, ["outer/kernel"]),
    ({"role": "recurrent"}, [KERNELS[1]]),
    ({"role": "embedding"}, ["words/embeddings"]),
    ({"role": "normalization_scale"}, ["norm/gamma"]),
    ({"role": ["output", "recurrent"]}, [KERNELS[1], "outer/kernel"]),
    ({"type": "LSTM"}, KERNELS),
    ({"type": "LSTMCell"}, KERNELS),
    ({"type": ["Embedding", "LSTM"]}, TABLES[:3]),
    ({"type": "Dense"}, TABLES[3:]),
    ({"path": "*/kernel"}, [KERNELS[0], *TABLES[3:]]),
    ({"path": "*"}, TABLES),
    ({"path": "*/bias"}, ["memory/lstm_cell/bias", "inner/bias", "outer/bias"]),
    ({"path": ["inner/*", "norm/beta"]}, ["inner/kernel", "norm/beta"]),
    ({"index": 0}, [KERNELS[0]]),
    ({"index": -1}, ["outer/kernel"]),
    ({"type": "Dense", "index": -1}, ["outer/kernel"]),
    ({"role": "hidden", "type": "Dense"}, ["inner/kernel"]),
]


@pytest.mark.parametrize(("selectors", "paths"), RULES)
def test_a_rule_holds_for_what_it_names_and_nothing_else(prepare, reader, selectors, paths):
    rule = {**selectors, "init": "constant", "value": 7.0}
    drawer = prepare(reader, "he_normal", rules=[rule])
    assert [held.paths for held in drawer.rules] == [tuple(paths)]
    plain = prepare(reader, "he_normal").draw(3)
    for place, values, usual in zip(reader.weights, drawer.draw(3), plain, strict=True):
        path = place.path.removeprefix(f"{reader.name}/")
        if path in paths:
            np.testing.assert_array_equal(values, 7)
        else:
            np.testing.assert_array_equal(values, usual)


def test_the_first_rule_that_fits_holds(prepare, reader):
    rules = [{"role": "output", "init": "zero"}, {"type": "Dense", "init": "ones"}]
    drawer = prepare(reader, "he_normal", rules=rules)
    assert [held.paths for held in drawer.rules] == [("outer/kernel",), ("inner/kernel",)]
    by_path = {record.path: (record.law, record.drawn_by) for record in drawer.kernels}
    assert by_path["outer/kernel"] == ("zero", "rule")
    assert by_path["inner/kernel"] == ("ones", "rule")
    assert by_path[KERNELS[0]] == ("he_normal", "law")


def test_what_a_rule_draws_has_the_stream_of_its_position(prepare, reader):
    """So a law that is named by a rule gives what it gives by itself."""
    ruled = prepare(reader, "zero", rules=[{"type": "Dense", "init": "he_normal(gain=0.5)"}])
    beside = prepare(reader, "zero", rules=[{"type": "Dense", "init": "he_normal", "gain": 0.5}])
    alone = prepare(reader, "he_normal", gain=0.5).draw(4)
    for place, one, other, expected in zip(
        reader.weights, ruled.draw(4), beside.draw(4), alone, strict=True
    ):
        if place.path.endswith(("inner/kernel", "outer/kernel")):
            np.testing.assert_array_equal(one, expected)
            np.testing.assert_array_equal(other, expected)


def test_labels_tell_sets_of_rules_apart(prepare, reader):
    sets = [
        [{"role": "output", "init": "zero"}, {"type": "LSTM", "init": "orthogonal"}],
        [{"type": "LSTM", "init": "orthogonal"}, {"role": "output", "init": "zero"}],
        [{"role": "output", "init": "zero"}, {"type": "LSTM", "init": "orthogonal", "gain": 2.0}],
    ]
    labels = [prepare(reader, "he_normal", rules=rules).label for rules in sets]
    assert all(label.startswith("he_normal(rules=2-") for label in labels)
    assert len(set(labels)) == 3


WRONG = [
    ([{"role": "output"}], r"`init.rules` must be a list of rules such as \{role: output, init"),
    ([{"init": "zero"}], r"`init.rules` must be a list of rules .* one or more of role, path"),
    ([{"role": "outputs", "init": "zero"}], r"about roles: input, .*'outputs'.*mean `output`"),
    ([{"role": "query", "init": "zero"}], r"each fit a weight.* have the roles input, hidden, out"),
    ([{"type": "Conv2D", "init": "zero"}], r"'Conv2D'.*The layers .* are Embedding, .*Dense\.$"),
    ([{"path": "other/*", "init": "zero"}], r"'other/\*'.*The weights are words/embeddings"),
    ([{"index": 9, "init": "zero"}], r"'index': 9.*has 4 kernels, counted from 0"),
    ([{"index": True, "init": "zero"}], r"`init.rules` must be a list of rules"),
    ([{"role": "output", "init": "zeros"}], r"one of uniform, .*'zeros'\. Did you mean `zero`"),
    ([{"role": "output", "init": "zero", "gain": 1.0}], r"`init.rules.gain` is not a setting of"),
    ([{"role": "output", "init": "normal", "scale": -1}], r"`init.rules.scale` must be a positive"),
    ([{"role": "output", "init": "zero", "bias": 1.0}], r"without `bias`, which holds for all"),
    ([{"role": "normalization_scale", "init": "orthogonal"}], r"defined for what they draw.*norm/"),
    (
        [{"path": "*", "init": "zero"}, {"role": "output", "init": "ones"}],
        r"'output'.*Earlier rules hold for all that it fits\.",
    ),
]


@pytest.mark.parametrize(("rules", "message"), WRONG)
def test_wrong_rules_get_one_clear_line(prepare, reader, rules, message):
    with pytest.raises(ConfigError, match=message) as caught:
        prepare(reader, "he_normal", rules=rules)
    assert "\n" not in str(caught.value)


def test_keep_gives_what_the_layers_own_initializers_give(keras, prepare, reader):
    paths = [weight.path for weight in reader.weights]
    values = dict(zip(paths, prepare(reader, "keep").draw(2), strict=True))
    own = {
        "words/embeddings": keras.initializers.RandomUniform,
        "memory/lstm_cell/kernel": keras.initializers.GlorotUniform,
        "memory/lstm_cell/recurrent_kernel": keras.initializers.Orthogonal,
        "outer/kernel": keras.initializers.GlorotUniform,
    }
    for position, weight in enumerate(reader.weights):
        path = weight.path.removeprefix(f"{reader.name}/")
        if path in own:
            expected = own[path](seed=seeds.integer(2, "weights", position))(weight.shape)
            np.testing.assert_array_equal(values[weight.path], expected)
    np.testing.assert_array_equal(values[reader.weights[3].path][8:16], 1)  # forget gates are open
    assert prepare(reader, "keep").label == "keep"


@pytest.fixture(scope="module")
def hand_made(keras):
    """A function that builds a model whose weights come from many places."""

    class Product(keras.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], 4), initializer="he_normal", name="w")

        def call(self, inputs):
            return inputs @ self.w

    def build(seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((4,))
        last = keras.layers.Dense(4, kernel_initializer="zeros", name="last")
        hidden = keras.layers.Dense(4, name="set")
        model = keras.Model(inputs, last(hidden(Product(name="own")(inputs))))
        hidden.kernel.assign(np.full((4, 4), 0.25) + np.eye(4))
        return model

    return build


def test_keep_builds_the_model_anew_where_no_initializer_is_known(prepare, hand_made):
    model = hand_made(0)
    drawer = prepare(model, "keep", build=lambda seed: [w.numpy() for w in hand_made(seed).weights])
    one, other = drawer.draw(0), drawer.draw(1)
    built = hand_made(seeds.integer(1, "weights")).weights
    assert (one[0] != other[0]).any()
    np.testing.assert_array_equal(other[0], built[0].numpy())  # the user's layer's own
    np.testing.assert_array_equal(other[1], 0.25 + np.eye(4))  # set after it was built
    np.testing.assert_array_equal(other[3], 0)  # the layer's zeros stay
    assert drawer.unknown == ["set/kernel"]


def test_keep_of_a_model_that_ignores_seeds_is_told_apart(keras, prepare):
    def build(seed):
        constant = keras.initializers.Constant(0.5)
        return keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(2, kernel_initializer=constant)]
        )

    drawer = prepare(build(0), "keep", build=lambda seed: [w.numpy() for w in build(seed).weights])
    assert drawer.is_fixed
    assert drawer.label == "keep(weights=fixed)"


def test_random_biases_follow_their_law(keras, prepare):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(20_000)])
    values = prepare(model, "zero", bias="normal", bias_scale=0.3).draw(0)[1].astype(float)
    assert stats.kstest(values, stats.norm(0, 0.3).cdf).pvalue > 1e-3
    values = prepare(model, "zero", bias="uniform", bias_scale=0.3).draw(0)[1].astype(float)
    assert stats.kstest(values, stats.uniform(-0.3, 0.6).cdf).pvalue > 1e-3
    with pytest.raises(ConfigError, match=r"`init.bias_scale` belongs to init\.bias=normal or "):
        prepare(model, "zero", bias_scale=0.3)


def test_biases_and_kernels_are_uncorrelated_and_differ_between_layers(keras, prepare):
    model = keras.Sequential([keras.Input((5,)), *(keras.layers.Dense(5) for _ in range(2))])
    values = prepare(model, "normal", bias="normal").draw(0)
    assert len({array.tobytes() for array in values}) == 4


def test_a_model_of_ones_own_starts_as_a_replicate_does(keras, prepare, reader):
    expected = prepare(reader, "he_normal", gain=0.5).draw(6)
    model = keras.models.clone_model(reader)
    assert runner.initializers.apply(model, "he_normal(gain=0.5)", seed=6) is model
    for variable, values in zip(model.weights, expected, strict=True):
        np.testing.assert_array_equal(variable, values)
    runner.initializers.apply(model, "RandomNormal(stddev=0.5, bias=1.5)")
    np.testing.assert_array_equal(model.get_layer("outer").bias, 1.5)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("he_norml", r"`init.name` must be one of .*'he_norml'\. Did you mean `he_normal`"),
        ("normal(scale=-1)", r"`init.scale` must be a positive number"),
        ("normal(scale=", r"`init` must be an initializer such as normal\(scale=0\.01\)\. .*"),
        ("keras1/identity", r"`init` must be defined for every kernel\. .*keras1/identity"),
    ],
)
def test_what_cannot_be_applied_gets_one_clear_line(reader, init, message):
    with pytest.raises(ConfigError, match=message) as caught:
        runner.initializers.apply(reader, init)
    assert "\n" not in str(caught.value)


def test_a_model_that_was_trained_starts_anew(keras, prepare, reader):
    model = keras.models.clone_model(reader)
    expected = prepare(model, "keep").draw(1)
    for variable in model.weights:
        variable.assign(variable + 3)
    runner.initializers.apply(model, "keep", seed=1)
    for variable, values in zip(model.weights, expected, strict=True):
        np.testing.assert_array_equal(variable, values)


def test_a_model_with_several_inputs_can_be_drawn(keras):
    layers = keras.layers
    inputs = [keras.Input((4,)), keras.Input((3,))]
    both = layers.Add()([layers.Dense(4)(inputs[0]), layers.Dense(4)(inputs[1])])
    hidden = layers.Dense(4)(layers.ReLU()(layers.Dense(4)(both)))
    model = keras.Model(inputs, layers.Dense(2, name="last")(layers.Add()([both, hidden])))
    runner.initializers.apply(model, "fixup", x=[np.zeros((2, 4)), np.zeros((2, 3))])
    np.testing.assert_array_equal(model.get_layer("last").kernel, 0)


def test_what_settings_take_out_of_the_kernels_has_no_role_of_one(prepare, reader):
    rules = [{"role": "output", "init": "zero"}]
    with pytest.raises(ConfigError, match=r"each fit a weight.*roles input, hidden, embedding"):
        prepare(reader, "he_normal", rules=rules, not_kernels=["outer/*"])


def test_rules_take_a_users_function_by_its_label(prepare, reader, user_module):
    name = user_module(
        "def mine(shape, dtype, a):\n    import numpy\n    return numpy.full(shape, a, dtype)\n"
    )
    for label in (f"{name}.mine(a=2)", f"{name}:mine(arguments.a=2, weights=fixed)"):
        drawer = prepare(reader, "he_normal", rules=[{"role": "output", "init": label}])
        assert (drawer.draw(0)[-2] == 2).all()


def test_seeds_that_stand_for_several_replicates_are_drawn_once(prepare, reader):
    drawer = prepare(reader, "rai")
    counts = []
    adjust = drawer.adjust
    object.__setattr__(
        drawer, "adjust", lambda seeds, stacked: counts.append(len(seeds)) or adjust(seeds, stacked)
    )
    draw = drawer.together([0, 0, 1, 1, 2, 2])
    pairs = [(draw(seed), draw(seed)) for seed in (0, 1, 2)]
    assert sum(counts) == 3
    for one, other in pairs:
        for values, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, same)
            assert not np.shares_memory(values, same)
