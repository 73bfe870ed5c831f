"""Inputs that a model looks up are found in models of every kind, and only those."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from runner.models import lookups


def sequential(*hidden, shape=(6,), dtype=None):
    inputs = keras.Input(shape, dtype=dtype)
    return keras.Sequential([inputs, *hidden, layers.Flatten(), layers.Dense(2)])


def embedding(**options):
    return layers.Embedding(50, 3, **options)


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.words = embedding()
        self.last = layers.Dense(2)

    def call(self, x):
        return self.last(keras.ops.mean(self.words(x), axis=1))


class Compiled(Subclass):
    @tf.function
    def call(self, x):
        return super().call(x)


def built(model):
    model(keras.Input((6,)))
    return model


@keras.saving.register_keras_serializable("tests")
class Gather(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(50, 3))

    def call(self, x):
        return tf.gather(self.table, tf.cast(x, "int32"))


def input_shape(model):
    inputs = getattr(model, "inputs", None)
    return tuple(inputs[0].shape[1:]) if inputs else (6,)


def two_branches(words):
    """Looks up the positions `words` and multiplies all others, or all if there are none."""
    inputs = keras.Input((6,))
    looked_up = layers.Flatten()(embedding()(inputs[:, words]))
    others = inputs if words == slice(None) else inputs[:, words.stop :]
    joined = layers.Concatenate()([looked_up, layers.Dense(3)(others)])
    return keras.Model(inputs, layers.Dense(2)(joined))


def integer_lookup():
    return layers.IntegerLookup(vocabulary=list(range(50)))


ALL = (0, 1, 2, 3, 4, 5)
ONE_FEATURE = (0,)


@pytest.mark.parametrize(
    ("make", "features", "size"),
    [
        pytest.param(lambda: sequential(embedding()), ALL, 50, id="embedding"),
        pytest.param(lambda: sequential(embedding(), dtype="int32"), ALL, 50, id="int32 input"),
        pytest.param(lambda: sequential(embedding(mask_zero=True)), ALL, 50, id="mask_zero"),
        pytest.param(lambda: sequential(layers.Dropout(0.5), embedding()), ALL, 50, id="dropout"),
        pytest.param(
            lambda: sequential(layers.Reshape((3, 2)), embedding()), ALL, 50, id="reshape"
        ),
        pytest.param(
            lambda: sequential(layers.Masking(), layers.Flatten(), embedding(), shape=(6, 1)),
            ONE_FEATURE,
            50,
            id="masking",
        ),
        pytest.param(
            lambda: sequential(layers.TimeDistributed(embedding()), shape=(3, 2)),
            (0, 1),
            50,
            id="time distributed",
        ),
        pytest.param(lambda: sequential(sequential(embedding())), ALL, 50, id="nested"),
        pytest.param(lambda: built(Subclass()), ALL, 50, id="subclass"),
        pytest.param(lambda: built(Compiled()), ALL, 50, id="tf.function"),
        pytest.param(lambda: sequential(Gather()), ALL, 50, id="own layer"),
        pytest.param(lambda: two_branches(slice(None)), ALL, 50, id="also multiplied"),
        pytest.param(lambda: two_branches(slice(0, 2)), (0, 1), 50, id="some columns"),
        pytest.param(
            lambda: sequential(layers.CategoryEncoding(50, output_mode="multi_hot")),
            ALL,
            50,
            id="multi_hot",
        ),
        pytest.param(lambda: sequential(integer_lookup(), embedding()), ALL, None, id="vocabulary"),
        pytest.param(lambda: sequential(layers.Hashing(50), embedding()), ALL, None, id="hashing"),
        pytest.param(
            lambda: sequential(layers.Discretization(bin_boundaries=[1.0, 5.0])),
            ALL,
            None,
            id="bins",
        ),
        pytest.param(
            lambda: sequential(layers.Lambda(lambda x: keras.ops.one_hot(x, 50))),
            ALL,
            None,
            id="one_hot",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*was passed an input with a mask")
def test_finds_what_is_looked_up(make, features, size):
    shape = input_shape(model := make())
    found = lookups.find(model, shape)
    assert found.features == features
    inside, beyond, below = (np.full((4, *shape), value, np.float32) for value in (49, 50, -1))
    assert found.missing([inside]) is None
    if size is None:  # any number will do
        assert found.missing([beyond, below]) is None
    else:
        assert "rows for 0 to 49 and would look up 50" in found.missing([inside, beyond])
        assert found.fraction([inside]) is None
        assert "looks up 48.5 as" in found.fraction([inside - 0.5])
        assert "rows for 0 to 49 and would look up -1" in found.missing([inside, below])


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: sequential(layers.Dense(3)), id="dense"),
        pytest.param(
            lambda: sequential(layers.Masking(), layers.LSTM(3), shape=(6, 2)), id="masked lstm"
        ),
        pytest.param(
            lambda: sequential(
                layers.Rescaling(1 / 255),
                layers.RandomFlip(),
                layers.RandomRotation(0.1),
                layers.Conv2D(2, 3),
                layers.MaxPooling2D(),
                shape=(8, 8, 1),
            ),
            id="images",
        ),
        pytest.param(lambda: sequential(layers.Normalization(), layers.Dense(3)), id="normalized"),
        pytest.param(
            lambda: sequential(layers.BatchNormalization(), layers.Lambda(keras.ops.sign)),
            id="signs of weighted inputs",
        ),
    ],
)
def test_finds_nothing_where_inputs_are_multiplied(make):
    model = make()
    assert lookups.find(model, input_shape(model)) is None


def test_an_input_of_whole_numbers_gets_them():
    model = sequential(layers.Dense(3), dtype="int32")
    assert lookups.find(model, (6,)).reason == "its `keras.Input` is of whole numbers"


def test_leaves_functions_and_weights_alone():
    model = sequential(embedding())
    before = [weight.numpy() for weight in model.weights]
    lookups.find(model, (6,))
    assert not tf.config.functions_run_eagerly()
    for weight, values in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, values)


@pytest.mark.parametrize(
    ("decode", "codes"),
    [
        pytest.param(lambda x: tf.math.floormod(x, 2.0), ALL, id="remainder"),
        pytest.param(
            lambda x: tf.cast(x[:, :2, None] == tf.range(60.0), "float32"), (0, 1), id="=="
        ),
        pytest.param(lambda x: keras.ops.floor(x / 8), ALL, id="floor"),
        pytest.param(lambda x: keras.ops.round(x / 10), ALL, id="round"),
        pytest.param(lambda x: tf.cast(x > 0, "float32"), ALL, id="above 0"),
        pytest.param(lambda x: tf.cast(x < 0, "float32"), ALL, id="below 0"),
        pytest.param(lambda x: tf.cast(x[:, 3:] == 40, "float32"), (3, 4, 5), id="one code"),
        pytest.param(lambda x: tf.where(x == 0, 1.0, x), ALL, id="where"),
        pytest.param(lambda x: keras.ops.sign(x - 5), ALL, id="sign"),
        pytest.param(lambda x: keras.ops.relu(x - 5), (), id="relu"),
        pytest.param(lambda x: keras.ops.clip(x, 0, 1), (), id="clip"),
        pytest.param(lambda x: keras.ops.leaky_relu(x) + keras.ops.abs(x), (), id="leaky"),
    ],
)
def test_finds_what_is_decoded_before_weights(decode, codes):
    found = lookups.find(sequential(layers.Lambda(decode)), (6,))
    assert (found.codes if found else ()) == codes
    assert not (found and found.features)
    multiplied = sequential(layers.Dense(6), layers.Lambda(decode))
    assert lookups.find(multiplied, (6,)) is None


def test_bits_are_looked_up():
    bits = layers.Lambda(
        lambda x: tf.cast(tf.bitwise.bitwise_and(tf.cast(x, "int32"), 4), "float32")
    )
    assert lookups.find(sequential(bits), (6,)).features == ALL
