"""MetaInit: the gradient quotient by hand, and that it falls."""

import numpy as np
import pytest

from runner.config import ConfigError


@pytest.fixture(scope="module")
def prepare(keras, option):
    """A function that prepares `metainit` for a model, a batch and targets."""
    from runner.initializers import draw
    from runner.initializers.law import Probe

    def of(model, x, y, loss, **settings):
        subject = draw.Subject(model, x.shape[1:], probe=lambda: Probe(x, y, loss))
        return draw.prepare(subject, option("metainit", **settings))

    return of


@pytest.mark.parametrize("curvature", [0.25, 1.0, 3.0])
def test_the_quotient_of_a_parabola_is_its_curvature(keras, numbers, curvature):
    import tensorflow as tf

    from runner.anatomy.quotient import gradient_quotient

    x = [tf.constant(numbers.normal(size=shape), tf.float32) for shape in ((5, 4), (3,))]

    def loss():
        return curvature / 2 * sum(tf.reduce_sum(part**2) for part in x)

    # |H g / g| = a wherever the gradient is large beside epsilon.
    assert float(gradient_quotient(loss, x)) == pytest.approx(curvature, rel=1e-3)


def test_the_slope_of_the_quotient_is_that_of_finite_differences(keras):
    """Of x^4 / 4 + y^2 x: it takes the third derivatives of the loss."""
    import tensorflow as tf

    from runner.anatomy.quotient import gradient_quotient

    def quotient(x, y):
        return gradient_quotient(lambda: x**4 / 4 + y**2 * x, [x, y])

    def by_hand(x, y):
        gradient = np.array([x**3 + y**2, 2 * x * y])
        hessian = np.array([[3 * x**2, 2 * y], [2 * y, 2 * x]])
        return np.mean(np.abs(hessian @ gradient / gradient))

    x, y = tf.constant(0.7), tf.constant(-1.2)
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        value = quotient(x, y)
    slopes = tape.gradient(value, [x, y])
    assert float(value) == pytest.approx(by_hand(0.7, -1.2), rel=1e-4)
    step = 1e-5
    for slope, (dx, dy) in zip(slopes, ((step, 0), (0, step)), strict=True):
        difference = by_hand(0.7 + dx, -1.2 + dy) - by_hand(0.7 - dx, -1.2 - dy)
        assert float(slope) == pytest.approx(difference / (2 * step), rel=1e-3)


def dense(keras):
    layers = [keras.layers.Dense(24, "relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((12,)), *layers, keras.layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model, (12,), np.arange(64, dtype="int32") % 4, loss, {"steps": 300}


def convolutional(keras):
    layers = keras.layers
    body = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D()]
    tail = [layers.Dropout(0.5), layers.Flatten(), layers.Dense(1)]
    model = keras.Sequential([keras.Input((6, 6, 1)), *body, *tail])
    targets = np.linspace(-1, 1, 32, dtype="float32")[:, None]
    return model, (6, 6, 1), targets, keras.losses.MeanSquaredError(), {"steps": 40}


def looked_up(keras):
    layers = keras.layers
    hidden = [layers.Embedding(9, 6), layers.GlobalAveragePooling1D(), layers.Dense(8, "tanh")]
    model = keras.Sequential([keras.Input((5,), dtype="int32"), *hidden, layers.Dense(3)])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return model, (5,), (np.arange(96).reshape(32, 3) % 2).astype("float32"), loss, {"steps": 40}


MODELS = {"dense": dense, "convolutional": convolutional, "looked up": looked_up}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "convolutional")) for n in MODELS]
)
def test_the_quotient_falls_and_only_norms_change(keras, option, prepare, name):
    from runner.initializers import draw
    from runner.propagation.jacobian import FullMeter
    from runner.propagation.measurement import Meter

    model, shape, y, loss, settings = MODELS[name](keras)
    numbers = np.random.default_rng(1)
    is_looked_up = model.inputs[0].dtype == "int32"
    x = (
        numbers.integers(0, 9, (len(y), *shape))
        if is_looked_up
        else numbers.normal(size=(len(y), *shape))
    )
    x = x.astype(model.inputs[0].dtype)
    drawer = prepare(model, x, y, loss, **settings)
    together = drawer.together([0, 1, 2])
    weights = [together(seed) for seed in (0, 1, 2)]
    base = draw.prepare(draw.Subject(model, shape), option("he_normal"))
    meter = FullMeter(Meter(model, loss, x, y, drawer.drawn))
    before, after = (
        np.median([meter.gradient_quotient(one) for one in some])
        for some in ([base.draw(seed) for seed in (0, 1, 2)], weights)
    )
    assert after < before
    kernels = {kernel.position for kernel in drawer.drawn}
    for place, (one, other) in enumerate(zip(base.draw(1), weights[1], strict=True)):
        scale = np.linalg.norm(other) / np.linalg.norm(one) if place in kernels else 1.0
        np.testing.assert_allclose(other, scale * one, rtol=1e-5)
    for seed in (2, 0):
        for one, other in zip(drawer.draw(seed), weights[seed], strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_cannot_be_differentiated_is_refused(keras, prepare):
    import tensorflow as tf

    @tf.custom_gradient
    def stubborn(x):
        def slope(upstream):
            return tf.raw_ops.PreventGradient(input=upstream, message="no further")

        return tf.identity(x), slope

    layers = [keras.layers.Dense(3), keras.layers.Lambda(stubborn), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    x = np.ones((4, 2), "float32")
    with pytest.raises(ConfigError, match=r"`init` must .* quotient cannot be differ.*no further"):
        prepare(model, x, x[:, :1], keras.losses.MeanSquaredError())
