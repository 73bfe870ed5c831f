"""What holds for every option of the group `model`."""

import dataclasses
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from runner.config import choose
from runner.models import CATALOGUE, build, check
from runner.models.activations import ACTIVATIONS, CHOICES, activated
from runner.models.applications import APPLICATIONS, Applications
from runner.models.autoencoder import Autoencoder
from runner.models.cnn import Cnn
from runner.models.conv1d import Conv1d
from runner.models.custom import Custom
from runner.models.mlp import Mlp
from runner.models.resnet import Resnet
from runner.models.rnn import Rnn
from runner.models.transformer import Transformer
from runner.models.unet import Unet
from runner.tasks import TASKS, Signature

CONF = Path(__file__).parents[2] / "conf" / "model"


def user_model(input_shape, num_outputs):
    """A model full of things that Keras seeds itself."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
            keras.layers.GaussianNoise(0.1),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(num_outputs, kernel_initializer=noisy_start),
        ]
    )


def noisy_start(shape, dtype=None):
    return np.random.normal(size=shape) + random.random() + keras.random.normal(shape)


MEMBERS = {
    "mlp": Mlp(dropout=0.5, batch_norm=True),
    "cnn": Cnn(dropout=0.5, batch_norm=True),
    "conv1d": Conv1d(filters=4, dropout=0.5, batch_norm=True),
    "unet": Unet(width=2, depth=1, batch_norm=True),
    "autoencoder": Autoencoder("convolutional", 4, batch_norm=True),
    "applications": Applications("MobileNet", arguments={"alpha": 0.25}),
    "resnet": Resnet(width=4, normalization="group", groups=2),
    "rnn": Rnn(width=4, bidirectional=True),
    "transformer": Transformer(width=8, depth=1),
    "custom": Custom("test_models.user_model"),
}

SHAPES = dict.fromkeys(MEMBERS, (8, 8, 1)) | {"applications": (32, 32, 1)}


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Makes this module importable as a user's would be."""
    monkeypatch.setitem(sys.modules, "test_models", sys.modules[__name__])


def test_every_option_is_tested():
    assert MEMBERS.keys() == CATALOGUE.keys()


@pytest.mark.parametrize("name", CATALOGUE)
def test_yaml_holds_every_setting_with_its_default(name):
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text("utf-8"))
    assert next(iter(node)) == "name"
    assert node.pop("name") == name
    fields = dataclasses.fields(CATALOGUE[name])
    assert list(node) == [field.name for field in fields]
    required = {field.name for field in fields if node[field.name] == "???"}
    given = {key: value for key, value in node.items() if key not in required}
    stand_in = {key: "MobileNet" if key == "application" else "package.module" for key in required}
    assert choose(CATALOGUE, {"name": name, **given, **stand_in}, "model") == CATALOGUE[name](
        **stand_in
    )


@pytest.mark.parametrize(("name", "settings"), MEMBERS.items())
def test_same_bits_whatever_was_built_before(name, settings):
    def built():
        model = build(name, settings, Signature(SHAPES[name], (3,), "classification"))
        return [np.asarray(variable.value) for variable in model.variables]

    first = built()
    build("mlp", Mlp(width=3), Signature((2,), (2,), "classification"))
    random.random(), np.random.normal(), keras.random.normal((2,))
    second = built()
    assert len(first) > 4
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_global_generators_go_on_as_if_nothing_was_built():
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    build("mlp", Mlp(dropout=0.1), Signature((2,), (2,), "classification"))
    assert (random.random(), np.random.random()) == expected


@pytest.mark.sampled
@pytest.mark.parametrize(("name", "settings"), MEMBERS.items())
@pytest.mark.parametrize("task", TASKS)
def test_every_model_fits_all_tasks(name, settings, task):
    model = build(name, settings, Signature(SHAPES[name], (2,), task))
    check(model, outputs=(2,), task=task)
    assert model(np.zeros((3, *SHAPES[name]), "float32")).shape == (3, 2)


def test_activation_names_are_those_of_keras():
    public = {
        name
        for name, value in vars(keras.activations).items()
        if callable(value) and name not in ("get", "serialize", "deserialize")
    }
    assert set(ACTIVATIONS) == public - {"glu", "threshold"}


@pytest.mark.parametrize("name", CHOICES)
def test_every_activation_keeps_the_shape(name):
    pieces = 3 if name == "maxout" else 1
    settings = Mlp(activation=name, pieces=3 if name == "maxout" else None)
    inputs = keras.Input((4, 5 * pieces))
    assert activated(settings, "activation", inputs).shape == (None, 4, 5)


def test_names_of_applications_are_those_of_keras():
    public = {name for name, value in vars(keras.applications).items() if callable(value)}
    assert set(APPLICATIONS) == public


def test_settings_are_read_without_tensorflow():
    code = (
        "import sys, runner.models, runner.training.optimizers;"
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
