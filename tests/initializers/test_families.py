"""Every law on every family of models: it composes, or it is refused in one line with a reason."""

import numpy as np
import pytest

from runner.config import ConfigError
from runner.initializers import CATALOGUE

FAMILIES = {
    "mlp": ((4,), 3),
    "cnn": ((8, 8, 3), 3),
    "resnet": ((8, 8, 3), 3),
    "transformer": ((10,), 2),
    "recurrent": ((7,), 2),
    "language_model_option": ((6,), 9),
    "mlp_option_of_maxout": ((4,), 3),
    "mlp_option_of_sines": ((4,), 3),
    "conv1d_option": ((6, 2), 3),
    "unet_option": ((8, 8, 3), 3),
    "autoencoder_option": ((8, 8, 3), 3),
}
OPTIONS = [name for name in CATALOGUE if name != "custom"]
# Compiling derivatives of a recurrent layer's derivatives takes a minute, however few the steps.
SLOW = {"metainit": {"steps": 1}}

# Families that a law is defined for, as its paper says; other laws are for kernels wherever they
# are, but each must be defined for one of the families.
BY_ROLE = {
    "fixup": {"resnet", "transformer", "language_model_option"},
    "zero_gamma": {"resnet"},
    "skipinit": set(),
    "gpt2": {"transformer", "language_model_option"},
    "small": {"transformer", "language_model_option"},
    "deepnorm": {"transformer", "language_model_option"},
    "t_fixup": set(),  # the transformer has normalizations
    "mimetic": {"transformer", "language_model_option"},
    "siren": {"mlp_option_of_sines"},
}


def cnn(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(6, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


@pytest.fixture(scope="module")
def subject(keras):
    """A function from a family, its shape and number of classes to a model and a batch of data."""
    from runner.initializers.draw import Subject
    from runner.initializers.law import Probe
    from tests.anatomy import architectures

    loss = keras.losses.SparseCategoricalCrossentropy()
    numbers = np.random.default_rng(0)

    def subject(family, shape, classes):
        model = cnn(keras) if family == "cnn" else getattr(architectures, family)()
        x = numbers.integers(1, 9, (16, *shape)).astype("float32")
        y = numbers.integers(0, classes, (16, *model.output_shape[1:-1]))
        return Subject(model, shape, probe=lambda: Probe(x, y, loss))

    return subject


@pytest.fixture(scope="module")
def subjects(subject):
    """One model of each family, with a batch of data."""
    return {family: subject(family, *told) for family, told in FAMILIES.items()}


@pytest.fixture(scope="module")
def mobile_net(subject):
    """A network of `keras.applications`, with a batch of data."""
    return subject("mobile_net", (32, 32, 3), 3)


@pytest.fixture(scope="module")
def refusal(option):
    """A function that draws weights and checks them; returns why that was refused."""
    from runner.initializers.draw import prepare

    def refusal(subject, name, **settings):
        try:
            values = prepare(subject, option(name, **settings)).draw(3)
        except ConfigError as error:
            return str(error)
        weights = subject.model.weights
        assert [value.shape for value in values] == [tuple(weight.shape) for weight in weights]
        assert all(np.isfinite(value).all() for value in values)
        return ""

    return refusal


def composes(refusal, subject, name):
    """Tells whether a law composes with a model; if not, it is refused in one line."""
    message = refusal(subject, name, **SLOW.get(name, {}))
    if message:
        assert message.startswith("`init` must be defined for ")
        assert f"Received: {name}" in message
        assert "\n" not in message
        assert message.endswith(".")
        if "init.fallback=" in message:
            message = refusal(subject, name, fallback="glorot_uniform")
    return not message


@pytest.mark.sampled
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in OPTIONS],
)
def test_every_law_composes_or_says_why_not(subjects, refusal, name):
    composed = {family for family, one in subjects.items() if composes(refusal, one, name)}
    if name in BY_ROLE:
        assert composed == BY_ROLE[name]
    else:
        assert composed


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in SLOW])
def test_every_law_composes_with_an_application_or_says_why_not(mobile_net, refusal, name):
    is_composed = composes(refusal, mobile_net, name)
    if name in BY_ROLE:
        assert is_composed == (name in ("fixup", "zero_gamma"))
