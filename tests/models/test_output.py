import keras
import numpy as np
import pytest
from keras import layers

from runner.config import ConfigError
from runner.models import check, outputs_logits
from runner.models.output import output_activation


def head(*last, width=3):
    """A functional model: dense, then `last`."""
    inputs = keras.Input((4,))
    hidden = layers.Dense(width)(inputs)
    for layer in last:
        hidden = layer(hidden)
    return keras.Model(inputs, hidden)


def sequential(*last):
    return keras.Sequential([keras.Input((4,)), *last])


def nested(model):
    inputs = keras.Input((4,))
    return keras.Model(inputs, model(inputs))


class Subclass(keras.Model):
    def __init__(self, activation):
        super().__init__()
        # The last layer by name is not the last one in the call.
        self.last = layers.Dense(3, activation=activation)
        self.first = layers.Dense(5, activation="relu")

    def call(self, x, training=False):
        return self.last(self.first(x))


def subclass(activation):
    model = Subclass(activation)
    model(keras.Input((4,)))
    return model


def subclass_of_depth(depth, activation=None):
    class Deep(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = [layers.Dense(8, "relu") for _ in range(depth)]
            self.last = layers.Dense(3, activation=activation)

        def call(self, x, training=False):
            for layer in self.hidden:
                x = layer(x)
            return self.last(x)

    model = Deep()
    model(keras.Input((4,)))
    return model


def embedding():
    inputs = keras.Input((4,), dtype="int32")
    hidden = layers.Flatten()(layers.Embedding(3, 2)(inputs))
    return keras.Model(inputs, layers.Reshape((3,))(layers.Dense(3, "softmax")(hidden)))


def images_of_any_size():
    inputs = keras.Input((None, None, 1))
    hidden = layers.Conv2D(3, 3, activation="softmax")(inputs)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(hidden))


MODELS = {
    "dense": (lambda: sequential(layers.Dense(3)), "linear"),
    "dense, softmax": (lambda: sequential(layers.Dense(3, activation="softmax")), "softmax"),
    "dense, function": (lambda: sequential(layers.Dense(3, keras.ops.softmax)), "softmax"),
    "activation layer": (lambda: head(layers.Activation("softmax")), "softmax"),
    "linear activation layer": (lambda: head(layers.Activation("linear")), "linear"),
    "softmax layer": (lambda: head(layers.Softmax()), "softmax"),
    "softmax operation": (lambda: head(keras.ops.softmax), "softmax"),
    "softmax activation": (lambda: head(keras.activations.softmax), "softmax"),
    "log-softmax": (lambda: head(keras.ops.log_softmax), "log_softmax"),
    "sigmoid": (lambda: sequential(layers.Dense(3, "sigmoid")), "sigmoid"),
    "sigmoid operation": (lambda: head(keras.ops.sigmoid), "sigmoid"),
    "relu layer": (lambda: head(layers.ReLU()), "relu"),
    "leaky relu layer": (lambda: head(layers.LeakyReLU()), "leaky_relu"),
    "tanh": (lambda: head(keras.ops.tanh), "tanh"),
    "softmax inside only": (lambda: head(layers.Softmax(), layers.Dense(3)), "linear"),
    "scaled logits": (lambda: head(lambda x: x / 2.0), "linear"),
    "reshaped logits": (lambda: head(layers.Reshape((3,))), "linear"),
    "reshaped softmax": (lambda: head(layers.Softmax(), layers.Reshape((3,))), "softmax"),
    "mean of softmaxes": (
        lambda: head(
            layers.Reshape((2, 3)), layers.Softmax(), layers.GlobalAveragePooling1D(), width=6
        ),
        "softmax",
    ),
    "open size": (images_of_any_size, "softmax"),
    "nested functional": (lambda: nested(head(layers.Softmax())), "softmax"),
    "nested sequential": (lambda: nested(sequential(layers.Dense(3, "softmax"))), "softmax"),
    "nested in sequential": (lambda: sequential(head(layers.ReLU())), "relu"),
    "nested logits": (lambda: sequential(nested(head())), "linear"),
    "subclass": (lambda: subclass("softmax"), "softmax"),
    "subclass, logits": (lambda: subclass(None), "linear"),
    "embedding": (embedding, "softmax"),
    "reshaped sigmoid": (lambda: head(keras.ops.sigmoid, layers.Reshape((3,))), "sigmoid"),
    "reshaped tanh": (lambda: head(keras.ops.tanh, layers.Reshape((3,))), "linear"),
    "written-out sigmoid": (lambda: head(lambda x: 1 / (1 + keras.ops.exp(-x))), "sigmoid"),
    "own function, a sigmoid": (
        lambda: sequential(layers.Dense(3, lambda x: 1 / (1 + keras.ops.exp(-x)))),
        "sigmoid",
    ),
    "kernel of zeros": (
        lambda: head(layers.Dense(3, kernel_initializer="zeros"), layers.Flatten()),
        "linear",
    ),
    "subclass, sigmoid": (lambda: subclass("sigmoid"), "sigmoid"),
    "deep": (lambda: nested(subclass_of_depth(12)), "linear"),
    "deep, sigmoid": (lambda: nested(subclass_of_depth(12, "sigmoid")), "sigmoid"),
}


@pytest.mark.parametrize(("make", "expected"), MODELS.values(), ids=MODELS.keys())
def test_output_activation_is_read(make, expected):
    model = make()
    before = [variable.numpy() for variable in model.variables]
    assert output_activation(model) == expected
    assert outputs_logits(model) == (expected not in ("softmax", "sigmoid"))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.sampled
@pytest.mark.parametrize(("make", "activation"), MODELS.values(), ids=MODELS.keys())
def test_what_fits_which_task(make, activation):
    model = make()
    if activation in ("linear", "softmax", "log_softmax"):
        check(model, (3,), "classification")
    else:
        with pytest.raises(ConfigError, match=rf"is classification\. Received: {activation}\."):
            check(model, (3,), "classification")
    if activation in ("linear", "sigmoid"):
        check(model, (3,), "multilabel")
    else:
        with pytest.raises(ConfigError, match=rf"is multilabel\. Received: {activation}\."):
            check(model, (3,), "multilabel")
    if activation == "softmax":
        with pytest.raises(ConfigError, match=r"without a softmax .* is regression"):
            check(model, (3,), "regression")
    else:
        check(model, (3,), "regression")


ONE = {
    None: "fits",
    "sigmoid": "fits",
    "hard_sigmoid": "fits",
    "softmax": "Received: softmax. It is the same for every example; use a sigmoid, or two",
    "log_softmax": "Received: log_softmax. It is the same for every example",
    "tanh": "has one output for two classes. Received: tanh. Take it off",
}


@pytest.mark.parametrize(("activation", "message"), ONE.items())
def test_one_output_for_two_classes(activation, message):
    model = sequential(layers.Dense(1, activation))
    if message == "fits":
        check(model, (2,), "classification")
        flat = sequential(layers.Dense(1, activation), layers.Flatten())
        check(flat, (2,), "classification")
        assert outputs_logits(flat) == outputs_logits(model) == (activation is None)
    else:
        with pytest.raises(ConfigError, match=message):
            check(model, (2,), "classification")
    with pytest.raises(ConfigError, match=r"\(None, 3\), one for each class\. Received: \(None, 1"):
        check(model, (3,), "classification")


def test_a_sigmoid_for_each_class_is_refused_with_the_ways_out():
    with pytest.raises(ConfigError, match=r"an example has one class.*dataset.task=multilabel"):
        check(sequential(layers.Dense(3, "sigmoid")), (3,), "classification")


def test_a_users_function_as_activation_is_named():
    def squashed(x):
        return x / (1 + keras.ops.abs(x))

    with pytest.raises(ConfigError, match=r"Received: squashed\. Take it off"):
        check(sequential(layers.Dense(3, squashed)), (3,), "classification")


def two_inputs():
    inputs = [keras.Input((4,)), keras.Input((4,))]
    return keras.Model(inputs, layers.Dense(3)(layers.Concatenate()(inputs)))


def two_outputs():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [layers.Dense(3)(inputs), layers.Dense(3)(inputs)])


def fixed_batch():
    return sequential_of_batches(5)


def sequential_of_batches(size):
    return keras.Sequential([keras.Input(batch_shape=(size, 4)), layers.Dense(3)])


def built_on_data():
    model = Subclass(None)
    model(np.zeros((1, 4), "float32"))
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, r"`model` must be a Keras model\. Received: None"),
        (lambda: layers.Dense(3), r"`model` must be a Keras model\. Received: <Dense"),
        (lambda: keras.Sequential([layers.Dense(3)]), r"trainable weights\. Received: 0 weights"),
        (lambda: sequential(layers.Flatten()), r"trainable weights\. Received: 0 weights"),
        (two_inputs, r"`model` must be a model with one input\. Received: 2\."),
        (two_outputs, r"`model` must be a model with one output\. Received: 2\."),
        (fixed_batch, r"outputs of shape \(None, 3\), one for each class\. Received: \(5, 3\)"),
        (lambda: sequential(layers.Dense(4)), r"\(None, 3\).* Received: \(None, 4\)"),
        (
            lambda: head(layers.Reshape((3, 1)), width=3),
            r"\(None, 3\).* Received: \(None, 3, 1\)",
        ),
        (built_on_data, r"must be a model that knows the shapes of its inputs"),
    ],
)
def test_what_cannot_be_trained_is_explained(make, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check(make(), (3,), "classification")
    assert "\n" not in str(caught.value)


def test_message_names_the_callers_key():
    with pytest.raises(ConfigError, match="`mine` must be a Keras model"):
        check(None, outputs=(3,), task="classification", key="mine")
