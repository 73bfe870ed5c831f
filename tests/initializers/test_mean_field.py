"""Mean-field scaling: closed forms, and theory beside what wide nets do."""

import numpy as np
import pytest
from scipy import integrate, stats

from runner.config import ConfigError

SEEDS = 6


@pytest.fixture(scope="module")
def prepare(keras, option):
    """A function that prepares `mean_field` for a model and a batch of examples."""
    from runner.initializers import draw
    from runner.initializers.law import Probe

    def of(model, x, **settings):
        subject = draw.Subject(model, x.shape[1:], probe=lambda: Probe(x, x, None))
        return draw.prepare(subject, option("mean_field", **settings))

    return of


def batch(shape, scale=2.0):
    numbers = np.random.default_rng(3).normal(0.5, scale, (48, *shape))
    return numbers.astype("float32")


def mlp(keras, activation, units=(256, 256, 256, 8)):
    layers = [keras.layers.Dense(n, activation) for n in units[:-1]]
    return keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(units[-1])])


# E[f(z)^2] of a standard normal z, by another integral than the module's.
SECOND_MOMENTS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "gelu": lambda z: z * stats.norm.cdf(z),
    "softplus": lambda z: np.logaddexp(0, z),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "hard_tanh": lambda z: np.clip(z, -1, 1),
}


@pytest.mark.sampled
@pytest.mark.parametrize("activation", SECOND_MOMENTS)
def test_intended_deviations_are_those_of_the_theory(keras, prepare, activation):
    x = batch((64,)) / 50  # the first kernel makes up for it
    drawer = prepare(mlp(keras, activation), x)
    # Of one example all units have the same length, and lengths have the mean 1 over examples.
    lengths = np.mean(x.astype(float) ** 2, axis=1)
    lengths /= lengths.mean()
    moment = np.mean([second_moment(SECOND_MOMENTS[activation], q) for q in lengths])
    first, second = drawer.kernels[0].stddev, drawer.kernels[1].stddev
    assert first == pytest.approx(1 / np.sqrt(64 * np.mean(x.astype(float) ** 2)), rel=1e-4)
    assert second == pytest.approx(1 / np.sqrt(256 * moment), rel=1e-3)


def second_moment(function, q):
    def integrand(z):
        return function(np.sqrt(q) * z) ** 2 * stats.norm.pdf(z)

    return integrate.quad(integrand, -9, 9)[0]


def test_relu_after_standardized_inputs_is_he(keras, prepare):
    x = batch((64,))
    drawer = prepare(mlp(keras, "relu"), x / np.sqrt(np.mean(x**2)))
    deviations = [kernel.stddev for kernel in drawer.kernels]
    assert deviations[0] == pytest.approx(1 / np.sqrt(64), rel=1e-4)
    assert deviations[1:] == pytest.approx([np.sqrt(2 / 256)] * 3, rel=1e-4)


def convolutional(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(96, 3, padding="same", activation="relu"),
            layers.ZeroPadding2D(1),
            layers.Conv2D(96, 3, strides=2),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.SeparableConv2D(96, 3, padding="same", activation="gelu"),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(64),
        ]
    )


def residual(keras):
    layers = keras.layers
    inputs = hidden = keras.Input((256,))
    for number in range(3):
        branch = layers.Dense(256, "relu")(hidden)
        branch = layers.Dense(256)(branch)
        hidden = layers.Add()([hidden, branch]) if number % 2 else hidden + branch
    one, other = (layers.Dense(256, "tanh")(hidden) for _ in range(2))
    return keras.Model(inputs, layers.Dense(64)(layers.Concatenate()([one, one + other])))


def normalized(keras):
    layers = keras.layers
    inputs = keras.Input((64,))
    hidden = layers.Dense(256)(inputs)
    for _ in range(2):
        branch = layers.Dense(256, "gelu")(layers.LayerNormalization()(hidden))
        hidden = layers.Add()([hidden, layers.Dense(256)(branch)])
    return keras.Model(inputs, layers.Dense(64)(layers.LayerNormalization()(hidden)))


WIDE = {
    "relu": (lambda keras: mlp(keras, "relu"), (64,), {}),
    "tanh with biases": (
        lambda keras: mlp(keras, "tanh"),
        (64,),
        {"bias": "normal", "bias_scale": 0.4},
    ),
    "selu, orthogonal": (lambda keras: mlp(keras, "selu"), (64,), {"base": "orthogonal"}),
    "convolutional": (convolutional, (8, 8, 3), {}),
    "residual": (residual, (256,), {}),
    "normalized": (normalized, (64,), {}),
}


def squares(keras, model, x):
    """Returns the mean square of what each layer with a kernel makes, before its activation."""
    from runner.propagation.measurement import Meter

    meter = Meter(model, keras.losses.MeanSquaredError(), x, np.zeros((len(x), 1), "float32"))
    rows = [row for row, layer in enumerate(meter.layers) if layer.has_preactivations]

    def of(weights):
        found = meter.measure([weights])[0].quantities
        moments = found["preactivation_variance"] + found["preactivation_mean"] ** 2
        return moments[rows]

    return of


@pytest.mark.sampled
@pytest.mark.parametrize("case", WIDE)
def test_wide_nets_have_the_predicted_variance(keras, prepare, case):
    build, shape, settings = WIDE[case]
    model, x = build(keras), batch(shape)
    drawer = prepare(model, x, **settings)
    measure = squares(keras, model, x)
    found = np.array([measure(drawer.draw(seed)) for seed in range(SEEDS)])
    error = found.std(axis=0, ddof=1) / np.sqrt(SEEDS)
    # 4.5 standard errors of six seeds (t with 5 degrees: once in 150, of about 30 rows none is
    # that far with these seeds), and 4 % for finite width: fluctuations of lengths add up.
    assert (np.abs(found.mean(axis=0) - 1) < 4.5 * error + 0.04).all(), found.mean(axis=0)


def test_seeds_do_not_change_the_factors(keras, prepare):
    model, x = mlp(keras, "relu"), batch((64,))
    drawer = prepare(model, x)
    base = prepare(model, 3 * x)
    assert {kernel.law for kernel in drawer.kernels} == {"mean_field"}
    for seed in (0, 5):
        # The first factor undoes the scale of the inputs; the others do not see it.
        np.testing.assert_allclose(drawer.draw(seed)[0], 3 * base.draw(seed)[0], rtol=1e-5)
        np.testing.assert_allclose(drawer.draw(seed)[2], base.draw(seed)[2], rtol=1e-5)
    together = drawer.together([5, 0])
    np.testing.assert_array_equal(together(0)[0], drawer.draw(0)[0])


def test_a_shared_kernel_is_scaled_by_its_first_use(keras, prepare):
    layers = keras.layers
    inputs = keras.Input((64,))
    twice = layers.Dense(64, "relu")
    model = keras.Model(inputs, layers.Dense(4)(twice(twice(inputs))))
    x = batch((64,))
    drawer = prepare(model, x / np.sqrt(np.mean(x**2)))
    # Half of the square survives each ReLU: 1 -> 1/2 -> 1/4.
    assert [k.stddev for k in drawer.kernels] == pytest.approx([1 / 8, 2 / 8], rel=1e-4)


def pooled(keras):
    conv = keras.layers.Conv2D(4, 3, activation="relu")
    pool, out = keras.layers.MaxPooling2D(name="pool"), keras.layers.Dense(3, name="out")
    return keras.Sequential([keras.Input((8, 8, 3)), conv, pool, keras.layers.Flatten(), out])


def dependent(keras):
    inputs = keras.Input((8,))
    dense = keras.layers.Dense(8)
    hidden = keras.layers.Add(name="sum")([dense(inputs), dense(keras.ops.relu(dense(inputs)))])
    return keras.Model(inputs, keras.layers.Dense(3)(hidden))


def shifted(keras):
    inputs = keras.Input((8,))
    branches = [keras.layers.Dense(8, "relu")(inputs) for _ in range(2)]
    hidden = keras.layers.Add(name="sum")(branches)
    return keras.Model(inputs, keras.layers.Dense(3)(hidden))


def user_written(keras):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 8), "float32"))
    return model


def plain(keras):
    return keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(8) for _ in range(2))])


REFUSED = [
    (pooled, (8, 8, 3), {}, r"what enters `out/kernel`, which comes after `pool` \(MaxPooling2D\)"),
    (dependent, (8,), {}, r"which comes after `sum` \(Add\)\. init=lsuv measures it"),
    (shifted, (8,), {}, r"which comes after `sum` \(Add\)"),
    (user_written, (8,), {}, r"it is defined for models of Keras's layers"),
    (plain, (8,), {"base": "identity"}, r"init\.base=identity does not draw independent numbers"),
    (plain, (8,), {"bias": 0.5}, r"init\.bias=0\.5 gives all units the same mean"),
    (plain, (8,), {"bias": "normal", "bias_scale": 2.0}, r"what enters"),
]


@pytest.mark.parametrize(("build", "shape", "settings", "message"), REFUSED)
def test_what_the_theory_does_not_know_is_refused(keras, prepare, build, shape, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        prepare(build(keras), batch(shape), **settings)
    assert "\n" not in str(caught.value)
