"""What a seed determines, and what it does not depend on."""

import numpy as np
import pytest

from runner import seeds
from runner.config import ConfigError
from runner.initializers import CATALOGUE
from runner.initializers.law import ModelLaw

# Laws that need a structure or data are tested on models that have it.
OF_MODELS = {
    name
    for name, law in CATALOGUE.items()
    if issubclass(law, ModelLaw) and (law.needs_roles or law.needs_data)
}
OPTIONS = [name for name in CATALOGUE if name not in ("custom", *OF_MODELS)]
FIXED = ("zero", "ones", "constant", "identity", "keras1/identity", "dirac", "hadamard_identity")
RANDOM = [name for name in OPTIONS if name not in (*FIXED, "sinusoidal")]
# Laws that draw no dense kernel.
ELSEWHERE = ("delta_orthogonal", "dirac", "irnn")
DENSE = [name for name in OPTIONS if name not in ELSEWHERE]


@pytest.fixture(scope="module")
def prepare(keras, option):
    """A function that prepares an option for a model."""
    from runner.initializers import draw

    return lambda model, name, **settings: draw.prepare(
        draw.Subject(model), option(name, **settings)
    )


@pytest.fixture(scope="module")
def square(keras):
    """A model with three kernels of one shape."""
    return keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(8) for _ in range(3))])


@pytest.fixture(scope="module")
def variety(keras):
    """A function that builds a new model with weights of many kinds."""
    layers = keras.layers

    def build():
        inputs = keras.Input((6,), dtype="int32")
        x = layers.Embedding(9, 4)(inputs)
        x = layers.Dropout(0.1)(x)
        x = layers.Conv1D(4, 3, padding="same", bias_initializer="random_normal")(x)
        x = layers.BatchNormalization()(x)
        x = layers.PReLU(alpha_initializer="random_uniform")(x)
        x = layers.AdditiveAttention()([x, x])
        x = layers.SpectralNormalization(layers.Dense(4))(x)
        x = layers.LSTM(3, bias_initializer="random_normal", dropout=0.1)(x)
        head = keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.Dense(3)])
        return keras.Model(inputs, head(head(x)))

    return build


@pytest.fixture(scope="module")
def twins(variety):
    """Two such models, built with other random numbers and with another one in between."""
    first = variety()
    variety()
    return first, variety()


def assert_same(some, others):
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", OPTIONS)
def test_values_fit_the_weights_and_leave_the_model_alone(prepare, twins, name):
    model = twins[0]
    before = [weight.numpy() for weight in model.weights]
    values = prepare(model, name, fallback="glorot_uniform").draw(3)
    assert [value.shape for value in values] == [tuple(weight.shape) for weight in model.weights]
    assert [value.dtype.name for value in values] == [weight.dtype for weight in model.weights]
    assert_same([weight.numpy() for weight in model.weights], before)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_seed_determines_all_weights(prepare, twins, name):
    """Whatever was built, and whatever was drawn before from the same or other laws."""
    first, second = twins
    drawer = prepare(first, name, fallback="glorot_uniform", bias="keep")
    values = drawer.draw(3)
    prepare(first, "he_normal").draw(3)
    other = prepare(second, name, fallback="glorot_uniform", bias="keep")
    other.draw(4)
    assert_same(other.draw(3), values)
    assert_same(drawer.draw(3), values)


@pytest.mark.parametrize("name", [name for name in RANDOM if name in DENSE])
def test_kernels_of_one_shape_and_seeds_differ(prepare, square, name):
    drawer = prepare(square, name)
    kernels = [values for seed in range(5) for values in drawer.draw(seed)[::2]]
    assert len({kernel.tobytes() for kernel in kernels}) == 15


def test_seeds_and_kernels_are_uncorrelated(prepare, square):
    drawer = prepare(square, "normal")
    kernels = np.array([k.ravel() for seed in range(20) for k in drawer.draw(seed)[::2]])
    correlations = np.corrcoef(kernels)[np.triu_indices(60, 1)]
    # 1770 correlations of 64 independent values each: errors of about 1 / 8. The mean square has
    # the expectation 1 / 63 and, from 1770 nearly independent terms, a relative error of 3.4 %.
    assert np.mean(correlations**2) == pytest.approx(1 / 63, rel=5 * 0.034)
    assert np.abs(correlations).max() < 0.7  # 5.6 of these errors


def test_each_kernel_is_keras_with_the_seed_of_its_position(keras, prepare, square):
    values = prepare(square, "he_normal").draw(7)
    for position in (0, 2, 4):
        seed = seeds.integer(7, "weights", position)
        expected = keras.initializers.HeNormal(seed=seed)((8, 8))
        np.testing.assert_array_equal(values[position], expected)


def test_training_between_two_draws_changes_nothing(prepare, variety):
    model = variety()
    drawer = prepare(model, "he_normal", bias="keep")
    first = drawer.draw(1)
    for weight in model.weights:
        weight.assign(weight + 1)
    for values in drawer.draw(1):
        values += 1
    assert_same(drawer.draw(1), first)


def test_weights_without_a_law_come_from_their_own_layer(keras, prepare, twins):
    model = twins[0]
    values = prepare(model, "ones", bias="keep").draw(3)
    own = {
        "embedding": keras.initializers.RandomUniform,
        "alpha": keras.initializers.RandomUniform,
        "scale": keras.initializers.GlorotUniform,
        "vector_u": lambda seed: keras.initializers.TruncatedNormal(stddev=0.02, seed=seed),
    }
    seen = set()
    for position, weight in enumerate(model.weights):
        for name in own:
            if weight.name.startswith(name):
                initializer = own[name](seed=seeds.integer(3, "weights", position))
                expected = initializer(tuple(weight.shape))
                np.testing.assert_array_equal(values[position], expected)
                seen.add(name)
    assert seen == set(own)
    by_name = {weight.path: values[i] for i, weight in enumerate(model.weights)}
    for path, expected in (("gamma", 1), ("beta", 0), ("mean", 0), ("variance", 1)):
        (found,) = (value for key, value in by_name.items() if key.endswith(path))
        np.testing.assert_array_equal(found, expected)


def test_kept_random_biases_are_drawn_and_forget_gates_stay_open(prepare, twins):
    model = twins[0]
    drawer = prepare(model, "zero", bias="keep")
    one, other = drawer.draw(0), drawer.draw(1)
    paths = [weight.path for weight in model.weights]
    (conv,) = (i for i, path in enumerate(paths) if "conv1d" in path and path.endswith("bias"))
    (lstm,) = (i for i, path in enumerate(paths) if "lstm" in path and path.endswith("bias"))
    assert (one[conv] != other[conv]).all()
    np.testing.assert_array_equal(one[lstm][3:6], 1)
    closed = [0, 1, 2, *range(6, 12)]
    assert (one[lstm][closed] != other[lstm][closed]).all()
    # Normal with the standard deviation 0.05: beyond six of them once in 500 million draws.
    assert np.abs(one[lstm][closed]).max() < 0.3


@pytest.fixture(scope="module")
def gated(keras):
    """A model with a layer of its user's that has a gate of random values."""

    class Gate(keras.layers.Layer):
        def build(self, shape):
            self.gate = self.add_weight(shape=(1, 3), initializer="glorot_uniform")
            self.shift = self.add_weight(shape=(3,), initializer="zeros", name="shift")

        def call(self, inputs):
            return inputs * self.gate + self.shift

    last = keras.layers.Dense(2, name="last")
    return keras.Sequential([keras.Input((3,)), Gate(name="gate"), last])


def test_weights_that_nobody_can_draw_are_told(prepare, gated):
    drawer = prepare(gated, "he_normal")
    assert drawer.unknown == ["gate/gate"]
    assert [weight.path for weight in drawer.left_out] == ["gate/gate", "gate/shift"]
    assert drawer.share == 8 / 14
    assert_same(drawer.draw(0)[:2], [weight.numpy() for weight in gated.weights[:2]])


def test_settings_say_what_is_a_kernel(prepare, gated):
    drawer = prepare(gated, "ones", kernels=["gate/*", "*/kernel"], not_kernels=["*/shift"])
    found = [(kernel.path, kernel.origin) for kernel in drawer.kernels]
    assert found == [("gate/gate", "setting"), ("last/kernel", "name")]
    assert (drawer.draw(0)[0] == 1).all()
    assert drawer.label == "ones(kernels=[gate/*, */kernel], not_kernels=[*/shift])"
    assert {kernel.law for kernel in drawer.kernels} == {"ones"}
    kept = prepare(gated, "ones", kernels=["gate/gate"], not_kernels=["*/kernel"])
    assert [kernel.path for kernel in kept.kernels] == ["gate/gate"]
    assert (kept.draw(0)[2] != kept.draw(1)[2]).any()  # by the layer's own initializer


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"kernels": ["*/w"]},
            r"`init.kernels` must be .* '\*/w'\. .*gate/gate \(1, 3\), gate/shi",
        ),
        ({"not_kernels": ["kernel"]}, r"`init.not_kernels` .*Received: 'kernel'.*last/kernel"),
        ({"not_kernels": ["*/kernel"]}, r"`init` must have a kernel.*init\.kernels=.*gate/gate"),
    ],
)
def test_settings_that_leave_nothing_to_draw_are_refused(prepare, gated, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        prepare(gated, "ones", **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", DENSE)
def test_it_is_known_whether_kernels_depend_on_the_seed(prepare, square, name):
    assert prepare(square, name).is_fixed == (name not in RANDOM)


def test_a_variety_has_no_unknown_weights(prepare, twins):
    assert prepare(twins[0], "he_normal").unknown == []


def test_shared_and_nested_layers_are_drawn_once(prepare, twins):
    model = twins[0]
    drawer = prepare(model, "he_normal")
    kernels = [weight for weight in model.weights if weight.name.endswith("kernel")]
    assert len(drawer.kernels) == len(kernels) == 6


def test_frozen_kernels_are_drawn_too(keras, prepare):
    layers = [keras.layers.Dense(4, trainable=False), keras.layers.Dense(4)]
    drawer = prepare(keras.Sequential([keras.Input((4,)), *layers]), "he_normal")
    assert (drawer.draw(0)[0] != drawer.draw(1)[0]).all()


def test_filters_of_a_fourier_transform_are_no_kernels(keras, prepare):
    inputs = keras.Input((64, 1))
    outputs = keras.layers.STFTSpectrogram(frame_length=8, frame_step=4)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(outputs))
    drawer = prepare(model, "zero")
    assert [record.shape for record in drawer.kernels] == [(5, 2)]
    assert_same(drawer.draw(0)[:2], [weight.numpy() for weight in model.weights[:2]])


@pytest.mark.parametrize("policy", ["float32", "float64", "float16", "mixed_float16"])
@pytest.mark.parametrize("name", DENSE)
def test_values_have_the_dtype_of_their_variable(keras, prepare, name, policy):
    layer = keras.layers.Dense(4, dtype=policy, bias_initializer="random_normal")
    model = keras.Sequential([keras.Input((4,)), layer])
    values = prepare(model, name, bias="keep").draw(0)
    stored = "float32" if policy == "mixed_float16" else policy
    assert [value.dtype.name for value in values] == [stored, stored]


LABELS = [
    ("he_uniform", {}, "he_uniform", "he_uniform"),
    ("keras1/he_normal", {}, "keras1/he_normal", "keras1/he_normal"),
    ("normal", {"scale": 0.1}, "normal(scale=0.1)", "normal(scale=0.1)"),
    ("normal", {"scale": 0.05}, "normal", "normal"),
    ("zero", {"bias": 0.5}, "zero(bias=0.5)", "zero"),
    ("zero", {"bias": "keep"}, "zero(bias=keep)", "zero"),
    ("identity", {"fallback": "glorot_uniform"}, "identity", "identity"),
]


@pytest.mark.parametrize(("name", "settings", "label", "law"), LABELS)
def test_labels_tell_what_differs_from_the_defaults(prepare, square, name, settings, label, law):
    drawer = prepare(square, name, **settings)
    assert drawer.label == label
    assert {record.law for record in drawer.kernels} == {law}


def test_fallback_draws_the_kernels_that_have_no_such_law(keras, prepare):
    layers = [keras.layers.Dense(units, name=f"layer_{units}") for units in (4, 3)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    drawer = prepare(model, "keras1/identity", gain=2.0, fallback="glorot_uniform", bias=0.5)
    assert drawer.label.startswith("keras1/identity(")
    assert "fallback=glorot_uniform" in drawer.label
    assert [(kernel.path, kernel.shape, kernel.law) for kernel in drawer.kernels] == [
        ("layer_4/kernel", (4, 4), "keras1/identity(gain=2)"),
        ("layer_3/kernel", (4, 3), "glorot_uniform"),
    ]
    values = drawer.draw(5)
    np.testing.assert_array_equal(values[0], 2 * np.eye(4))
    np.testing.assert_array_equal(values[2], prepare(model, "glorot_uniform").draw(5)[2])
    np.testing.assert_array_equal(values[3], 0.5)


def convolution(keras):
    return keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(4, 3, name="filters")])


def rectangle(keras):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="output")])


def user_written(keras):
    class Odd(keras.layers.Layer):
        def build(self, shape):
            self.vector = self.add_weight(shape=(3,), name="my_kernel")
            self.cube = self.add_weight(shape=(3, 3, 3), name="cube_kernel")

        def call(self, inputs):
            return inputs

    return keras.Sequential([keras.Input((3,)), Odd(name="odd")])


def wide(keras):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="bfloat16")])


ERRORS = [
    (rectangle, "keras1/identity", {}, r"`init` .*`output/kernel` of shape \(4, 3\): it is .*squa"),
    (rectangle, "keras1/identity", {}, r"for example init\.fallback=glorot_uniform\.$"),
    (convolution, "keras1/identity", {}, r"`filters/kernel` of shape \(3, 3, 4, 4\)"),
    (user_written, "identity", {}, r"`odd/my_kernel` of shape \(3,\): it is defined for matrices"),
    (user_written, "orthogonal", {}, r"`odd/my_kernel` of shape \(3,\): .* two axes or more"),
    (
        user_written,
        "identity",
        {"fallback": "orthogonal"},
        r"`init.fallback` .*Received: orthogonal, and the kernel `odd/my_kernel`",
    ),
    (
        rectangle,
        "keras1/identity",
        {"fallback": "keras1/identity"},
        r"`init.fallback` .*`output/kernel` of shape \(4, 3\)",
    ),
    (rectangle, "normal", {"scale": 1e39}, r"`init` must give finite values\. .*`output/kernel`"),
    (rectangle, "uniform", {"scale": 1e39}, r"`init` must be able to draw .*`output/kernel`"),
    (rectangle, "he_normal", {"gain": 1e200}, r"`init` must be able to draw .*gain=1e\+200"),
    (rectangle, "zero", {"bias": 1e39}, r"`init.bias` must be finite in the dtype float32"),
    (wide, "orthogonal", {}, r"`init` must be able to draw .* and dtype bfloat16: \w+Error"),
]


@pytest.mark.parametrize(("build", "name", "settings", "message"), ERRORS)
def test_what_cannot_be_drawn_gets_one_clear_line(keras, prepare, build, name, settings, message):
    model = build(keras)
    with pytest.raises(ConfigError, match=message) as caught:
        prepare(model, name, **settings)
    assert "\n" not in str(caught.value)
