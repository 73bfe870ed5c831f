import json

import numpy as np
import pytest

from runner.api.building import building
from runner.config import ConfigError


def build(input_shape, num_outputs):
    raise NotImplementedError


def test_names_are_options():
    assert building("mlp", True).settings == {"model": "mlp"}
    assert building(["mlp", "cnn"], False).settings == {"model": ["mlp", "cnn"]}


def test_a_function_is_lent_under_its_path():
    found = building([build, lambda shape, n: 1, lambda shape, n: 2], True)
    assert list(found.given) == found.settings["model.function"]
    assert [path.rpartition(".")[2] for path in found.given] == [
        "build",
        "test_a_function_is_lent_under_its_path_lambda",
        "test_a_function_is_lent_under_its_path_lambda_2",
    ]
    assert found.given[f"{__name__}.build"].value is build


def test_other_processes_import_it():
    found = building(build, False)
    assert found.settings["model.function"] == f"{__name__}.build"
    assert not found.given
    with pytest.raises(ConfigError, match=r"must stand in a module .*known in this process"):
        building(lambda shape, n: 1, False)


@pytest.mark.parametrize("wrong", [3, [], ["mlp", build], None])
def test_what_builds_nothing_is_refused(wrong):
    with pytest.raises(ConfigError, match="`build` must be a function build"):
        building(wrong, True)


def test_a_built_model_is_built_anew(keras):
    layers = keras.layers

    def model():
        inputs = keras.Input((3,))
        scaled = layers.Normalization()
        scaled.adapt(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 9.0]]))
        frozen = layers.Dense(2, trainable=False)
        x = layers.Dropout(0.5)(frozen(scaled(inputs)))
        x = layers.Dense(2, name="named")(x)
        return keras.Model(inputs, layers.Dense(1)(x)), scaled, frozen

    first, scaled, frozen = model()
    (given,) = building(first, True).given.values()
    made = given.value((3,), 1)
    by_name = {layer.name: layer for layer in made.layers}
    assert made.count_params() == first.count_params()
    assert (by_name["normalization"].get_weights()[0] == scaled.get_weights()[0]).all()
    assert (by_name["dense"].get_weights()[0] == frozen.get_weights()[0]).all()
    assert (by_name["named"].get_weights()[0] != first.get_layer("named").get_weights()[0]).any()
    assert not by_name["dense"].trainable
    again = given.value((3,), 1)  # Keras counts on, a clone does not
    assert json.loads(again.to_json()) == json.loads(made.to_json())
    frozen.set_weights(model()[2].get_weights())
    (other,) = building(first, True).given.values()
    assert other.digest != given.digest


def test_a_subclassed_model_is_refused_with_the_reason(keras):
    class Net(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ConfigError, match=r"a built Net, which is a class of your own: its code"):
        building(Net(), True)
