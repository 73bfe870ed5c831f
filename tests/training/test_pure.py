"""Updates without side effects, by hand, and whether they are found to be Keras's own."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from runner.training.optimizers import Custom, make
from runner.training.pure import PureOptimizer, objection, stand_in


def variable(name="kernel", shape=(1,)):
    return keras.Variable(np.ones(shape, "float32"), name=name)


def updates(optimizer, gradients, names=("kernel",)):
    """Returns all values after each update of ones, and what a training would end with."""
    pure = PureOptimizer(optimizer, [stand_in(variable(name), (1,)) for name in names])
    values = [tf.ones(1) for _ in names]
    state = [tf.constant(value) for value in pure.variables]
    seen = []
    for gradient in gradients:
        values, state = tf.function(pure.apply)(
            values, state, [tf.constant([gradient])] * len(names)
        )
        seen.append(np.ravel(values))
    return np.array(seen), np.ravel(pure.finalized(values, state))


def test_gradients_are_accumulated():
    # Nothing, then 1 - 0.1 * (2 + 4) / 2; nothing, then 0.7 - 0.1 * (1 + 3) / 2
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    seen, _ = updates(optimizer, [2.0, 4.0, 1.0, 3.0])
    np.testing.assert_allclose(seen[:, 0], [1, 0.7, 0.7, 0.5], rtol=1e-6)


def test_the_moving_average_ends_the_training():
    # Values 0.8, 0.4; averages 0.8, (0.8 + 0.4) / 2
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    seen, end = updates(optimizer, [2.0, 4.0])
    np.testing.assert_allclose(seen[:, 0], [0.8, 0.4], rtol=1e-6)
    np.testing.assert_allclose(end, [0.6], rtol=1e-6)


def test_the_moving_average_overwrites():
    # 0.8; then 0.4 becomes (0.8 + 0.4) / 2; then 0.6 - 0.1
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    seen, _ = updates(optimizer, [2.0, 4.0, 1.0])
    np.testing.assert_allclose(seen[:, 0], [0.8, 0.6, 0.5], rtol=1e-6)


def test_the_loss_is_scaled_and_the_gradient_is_not():
    pure = PureOptimizer(keras.optimizers.SGD(0.1, loss_scale_factor=8.0), [variable()])
    state = [tf.constant(value) for value in pure.variables]
    scaled = pure.scale_loss(tf.constant(0.5), state)
    assert float(scaled) == 4
    values, _ = pure.apply([tf.ones(1)], state, [tf.constant([8.0])])
    assert values[0].numpy() == pytest.approx([0.9])


def test_variables_are_known_by_their_names():
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    seen, _ = updates(optimizer, [0.0], names=("kernel", "bias"))
    np.testing.assert_allclose(seen[0], [1 - 0.1 * 0.5, 1], rtol=1e-6)


def test_a_stand_in_is_called_as_the_variable_by_keras_and_by_tensorflow():
    layer = keras.layers.Dense(2, name="hidden", dtype="float64")
    model = keras.Sequential([keras.Input((3,)), layer], name="net")
    for original in model.trainable_variables:
        made = stand_in(original, (5, 6))
        assert (made.name, made.path) == (original.name, original.path)
        assert made.value.name == original.value.name
        assert (made.shape, made.dtype) == ((5, 6), "float64")
    assert original.value.name == "net/hidden/bias:0"


class Branching(keras.optimizers.SGD):
    """Assigns inside a branch of TensorFlow's."""

    def update_step(self, gradient, variable, learning_rate):
        step = super().update_step
        tf.cond(self.iterations > 0, lambda: step(gradient, variable, learning_rate), lambda: None)


class Remembering(keras.optimizers.SGD):
    """Counts outside of any variable."""

    count = 0

    def update_step(self, gradient, variable, learning_rate):
        self.count += 1
        super().update_step(gradient, variable, learning_rate / self.count)


OBJECTIONS = {
    "SGD": "",
    "Adafactor": "",
    "Nadam": "",
    "Ftrl": "",
    "Lamb": "",
    "Muon": "",
    "ScheduleFreeAdamW": "its updates would not be Keras's",
    f"{__name__}.Remembering": "its updates would not be Keras's",
    f"{__name__}.Branching": "InaccessibleTensorError",
}


@pytest.mark.parametrize("target", OBJECTIONS)
def test_what_would_not_be_keras_update_is_found(target):
    shapes = {"kernel": (3, 3, 1, 4), "bias": (4,), "other": (40, 7)}
    variables = [variable(*item) for item in shapes.items()]
    found = objection(partial(make, "custom", Custom(target=target), num_steps=10), variables)
    assert found.startswith(OBJECTIONS[target])
    assert bool(found) == bool(OBJECTIONS[target])
