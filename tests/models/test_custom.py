import textwrap

import numpy as np
import pytest

from runner.config import ConfigError, choose
from runner.models import CATALOGUE, build
from runner.models.custom import Custom
from runner.tasks import Signature

MODULE = "user_models"

SOURCE = """
import keras
from keras import layers


def sequential(input_shape, num_outputs, units=5):
    hidden = layers.Dense(units)
    return keras.Sequential([keras.Input(input_shape), hidden, layers.Dense(num_outputs)])


def unbuilt(input_shape, num_outputs):
    return keras.Sequential([layers.Dense(5), layers.Dense(num_outputs)])


def functional(input_shape, num_outputs):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, layers.Dense(num_outputs)(layers.Flatten()(inputs)))


def embedding(input_shape, num_outputs):
    inputs = keras.Input(input_shape, dtype="int32")
    hidden = layers.Flatten()(layers.Embedding(3, 2)(inputs))
    return keras.Model(inputs, layers.Dense(num_outputs)(hidden))


class Subclass(keras.Model):
    def __init__(self, num_outputs):
        super().__init__()
        self.hidden = layers.Dense(5)
        self.last = layers.Dense(num_outputs)

    def call(self, x, training=False):
        return self.last(self.hidden(x))


def subclass(input_shape, num_outputs):
    return Subclass(num_outputs)


def compiled(input_shape, num_outputs):
    model = sequential(input_shape, num_outputs)
    model.compile("sgd", "mse")
    return model


def for_other_data(input_shape, num_outputs):
    return sequential((7,), num_outputs)


def subclass_for_other_data(input_shape, num_outputs):
    model = Subclass(num_outputs)
    model(keras.Input((7,)))
    return model


def raises(input_shape, num_outputs):
    raise ValueError("no such\\nthing")


def layer(input_shape, num_outputs):
    return layers.Dense(num_outputs)


def nothing(input_shape, num_outputs):
    pass


def no_arguments():
    return None


def frozen(input_shape, num_outputs):
    model = sequential(input_shape, num_outputs)
    model.trainable = False
    return model


number = 3
"""


@pytest.fixture(autouse=True)
def user_module(tmp_path, monkeypatch):
    (tmp_path / f"{MODULE}.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def build_custom(function, input_shape=(4,), num_outputs=3, **arguments):
    settings = Custom(f"{MODULE}.{function}", arguments)
    return build("custom", settings, Signature(input_shape, (num_outputs,), "classification"))


@pytest.mark.parametrize(
    ("function", "num_weights"),
    [
        ("sequential", 4),
        ("unbuilt", 4),
        ("functional", 2),
        ("subclass", 4),
        ("compiled", 4),
        ("embedding", 3),
    ],
)
def test_every_kind_of_model_is_taken_and_has_weights(function, num_weights):
    model = build_custom(function)
    assert len(model.weights) == num_weights
    assert model(np.zeros((2, 4), "float32")).shape == (2, 3)


def test_arguments_reach_the_function():
    assert build_custom("sequential", units=9).layers[0].units == 9


def test_subclassed_model_is_returned_unwrapped():
    assert type(build_custom("subclass")).__name__ == "Subclass"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("absent", r"`model.function`.*absent"),
        ("number", r"`model.function` must be a function .* Received: 3\."),
        ("raises", r"user_models.raises raised ValueError: no such thing"),
        ("no_arguments", r"user_models.no_arguments raised TypeError: no_arguments\(\) takes 0"),
        ("layer", r"must be a function that returns a Keras model\. .* returned: a Dense\."),
        ("nothing", r"Received: None\. It is what user_models.nothing returned: a NoneType"),
        ("for_other_data", r"examples of shape \(4,\).*expected shape=\(None, 7\)"),
        ("subclass_for_other_data", r"examples of shape \(4,\)\. The model does not take them"),
        ("frozen", r"`model` must be a model with trainable weights\. Received: 4 weights"),
    ],
)
def test_unusable_functions_are_explained_in_one_line(function, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build_custom(function)
    assert "\n" not in str(caught.value)


def test_module_that_is_not_there():
    with pytest.raises(ConfigError, match=r"`model.function`.*no_such_module"):
        build("custom", Custom("no_such_module.build"), Signature((4,), (3,), "classification"))


def test_unknown_arguments_are_named():
    with pytest.raises(ConfigError, match=r"raised TypeError: .*colour"):
        build_custom("sequential", colour="red")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({}, r"`model.function` is missing: it must be an import path"),
        ({"function": "???"}, r"`model.function` must be an import path .* Received: '\?\?\?'"),
        ({"function": "build"}, r"`model.function` must be an import path .* Received: 'build'"),
        ({"function": "a.b", "arguments": [1]}, r"`model.arguments` must be a mapping"),
    ],
)
def test_bad_settings_are_explained(node, message):
    with pytest.raises(ConfigError, match=message):
        choose(CATALOGUE, {"name": "custom", **node}, "model")
