"""Outputs of every shape, for tokens, sequences and images."""

import keras
import numpy as np
import pytest

from runner import models
from runner.config import ConfigError
from runner.datasets.dataset import Part
from runner.models import CATALOGUE
from runner.models.foresight import predicts_next, sees_later_steps
from runner.tasks import Signature

STEPS, WORDS = 6, 9

# Option, settings, inputs, outputs; tokens where the inputs have one axis of `STEPS`.
CASES = {
    "mlp of tokens": ("mlp", {"embedding": 3}, (STEPS,), (3,)),
    "mlp with a bottleneck": ("mlp", {"width": (9, 2, 9), "depth": 3}, (4, 4, 1), (4, 4, 1)),
    "cnn for each pixel": ("cnn", {"filters": 4, "pooling": "none"}, (4, 4, 1), (4, 4, 2)),
    "cnn for larger images": ("cnn", {"filters": 4}, (4, 4, 1), (8, 8, 2)),
    "resnet for images": ("resnet", {"width": 4, "depth": (1,)}, (4, 4, 1), (4, 4, 1)),
    "rnn of tokens": ("rnn", {"width": 4}, (STEPS,), (3,)),
    "rnn for each token": ("rnn", {"width": 4, "depth": 2}, (STEPS,), (STEPS, WORDS)),
    "rnn for each step": ("rnn", {"width": 4, "bidirectional": True}, (STEPS, 2), (STEPS, 3)),
    "transformer of tokens": ("transformer", {"width": 8}, (STEPS,), (3,)),
    "transformer for each token": ("transformer", {"width": 8}, (STEPS,), (STEPS, WORDS)),
    "transformer for each step": ("transformer", {"width": 8}, (STEPS, 2), (STEPS, 3)),
    "conv1d of tokens": ("conv1d", {"pooling": "max", "depth": 2}, (STEPS,), (3,)),
    "conv1d for each token": ("conv1d", {"dilation": 2}, (STEPS,), (STEPS, WORDS)),
    "conv1d of images": ("conv1d", {}, (4, 4, 1), (3,)),
    "unet for each pixel": ("unet", {"width": 2}, (8, 4, 1), (8, 4, 3)),
    "unet for classes": ("unet", {"width": 2, "depth": 1}, (6, 6, 1), (3,)),
    "autoencoder": ("autoencoder", {"width": (9, 5), "depth": 2}, (4, 4, 1), (4, 4, 1)),
    "autoencoder of tokens": ("autoencoder", {}, (STEPS,), (3,)),
    "convolutional autoencoder": ("autoencoder", {"kind": "convolutional"}, (4, 6, 2), (4, 6, 2)),
}
# How settings of activations are written: those of layers, of Keras, and of none.
ACTIVATIONS = {
    "maxout": {"activation": "maxout", "pieces": 3},
    "prelu": {"activation": "prelu", "negative_slope": 0.1},
    "leaky_relu": {"activation": "leaky_relu", "negative_slope": 0.1},
    "elu": {"activation": "elu", "alpha": 0.5},
    "sine": {"activation": "sine"},
    "threshold": {"activation": "threshold"},
    "soft_shrink": {"activation": "soft_shrink", "threshold": 0.1},
}


def built(name, inputs, outputs, **settings):
    vocabulary = WORDS if inputs == (STEPS,) else 0
    signature = Signature(inputs, outputs, "regression", vocabulary)
    return getattr(models, name).build(CATALOGUE[name](**settings), signature)


def batch(model, rows=5):
    shape = (rows, *model.input_shape[1:])
    numbers = np.random.default_rng(0)
    if model.inputs[0].dtype == "int32":
        return numbers.integers(0, WORDS, shape, "int32")
    return numbers.normal(size=shape).astype("float32")


def test_every_option_but_your_own_has_a_case():
    # The functions of `keras.applications` take classes only.
    assert {case[0] for case in CASES.values()} == CATALOGUE.keys() - {"custom", "applications"}


def written_and_read(model):
    """Returns the model that the description of a model makes, with its weights."""
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    return again


@pytest.mark.sampled
@pytest.mark.parametrize("case", CASES)
def test_outputs_have_the_shape_that_is_wanted(case):
    name, settings, inputs, outputs = CASES[case]
    model = built(name, inputs, outputs, **settings)
    x = batch(model)
    assert model(x).shape == (5, *outputs)
    np.testing.assert_array_equal(written_and_read(model)(x), model(x))


@pytest.mark.parametrize(
    "name",
    [
        "mlp",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("cnn", "conv1d", "transformer", "autoencoder", "resnet")
        ),
    ],
)
def test_activations_with_settings_are_written_and_read(name):
    for activation, settings in ACTIVATIONS.items():
        if name == "resnet" and activation == "maxout":
            continue
        model = built(name, (8, 8, 1), (3,), **settings)
        x = batch(model)
        np.testing.assert_array_equal(written_and_read(model)(x), model(x))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"activation": "leaky_relu"}, lambda x: np.where(x > 0, x, 0.2 * x)),
        (ACTIVATIONS["leaky_relu"], lambda x: np.where(x > 0, x, 0.1 * x)),
        ({"activation": "relu", "negative_slope": 0.3}, lambda x: np.where(x > 0, x, 0.3 * x)),
        ({"activation": "prelu"}, lambda x: np.where(x > 0, x, 0.25 * x)),
        (ACTIVATIONS["prelu"], lambda x: np.where(x > 0, x, 0.1 * x)),
        (ACTIVATIONS["elu"], lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
        (ACTIVATIONS["sine"], lambda x: np.sin(30 * x)),
        ({"activation": "sine", "omega": 2}, lambda x: np.sin(2 * x)),
        (ACTIVATIONS["threshold"], lambda x: np.where(x > 1, x, 0)),
        (ACTIVATIONS["soft_shrink"], lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.1, 0)),
        ({"activation": "maxout"}, lambda x: x.reshape(-1, 2, 2).max(axis=-1)),
    ],
)
def test_activations_are_the_documented_functions(settings, expected):
    model = built("mlp", (3,), (1,), width=2, depth=1, **settings)
    x = batch(model)
    before = model.get_layer("hidden_1").output
    after = model.get_layer("hidden_1_activation").output
    z, h = (np.asarray(keras.Model(model.inputs[0], tensor)(x)) for tensor in (before, after))
    np.testing.assert_allclose(h, expected(z.astype("float64")), rtol=1e-5, atol=1e-5)


def test_each_hidden_layer_may_have_an_activation_of_its_own():
    model = built("mlp", (3,), (1,), width=4, activation=("maxout", "tanh"), pieces=3)
    assert model.get_layer("hidden_1").kernel.shape == (3, 12)
    assert model.get_layer("hidden_2").kernel.shape == (4, 4)
    assert model.get_layer("hidden_2_activation").activation is keras.activations.tanh


CAUSAL = {
    "transformer": ("transformer", {"width": 8, "causal": True}, False),
    "conv1d": ("conv1d", {"causal": True, "dilation": 2}, False),
    "transformer that predicts tokens": ("transformer", {"width": 8}, True),
    "conv1d that predicts tokens": ("conv1d", {}, True),
    "rnn": ("rnn", {"width": 4}, False),
}


@pytest.mark.parametrize("case", CAUSAL)
def test_a_causal_net_sees_nothing_of_what_follows(case):
    name, settings, predicts = CAUSAL[case]
    model = built(name, (STEPS,), (STEPS, WORDS if predicts else 3), **settings)
    x = batch(model)
    for step in range(STEPS):
        changed = x.copy()
        changed[:, step] = (x[:, step] + 1) % WORDS
        differs = (np.abs(model(changed) - model(x)) > 1e-6).any(axis=(0, 2))
        assert not differs[:step].any()
        assert differs[step]
    assert not sees_later_steps(model, x)


@pytest.mark.parametrize("name", ["transformer", "conv1d"])
def test_a_net_that_is_not_causal_sees_all(name):
    model = built(name, (STEPS,), (STEPS, 3))
    x = batch(model)
    changed = x.copy()
    changed[:, 1] = (x[:, 1] + 1) % WORDS
    assert (np.abs(model(changed) - model(x)) > 1e-6).any(axis=(0, 2))[0]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mlp", {}),
        ("autoencoder", {}),
        ("rnn", {"bidirectional": True}),
        ("transformer", {"causal": False}),
        ("conv1d", {"causal": False, "depth": 4}),
    ],
)
def test_who_sees_the_next_token_is_found(name, settings):
    model = built(name, (STEPS,), (STEPS, WORDS), **settings)
    assert sees_later_steps(model, batch(model))


def test_what_is_learned_from_a_text_is_the_next_token():
    tokens = np.arange(12).reshape(3, 4)
    assert predicts_next("tokens", Part(tokens[:, :-1], tokens[:, 1:]))
    assert not predicts_next("tokens", Part(tokens, tokens))
    assert not predicts_next("classification", Part(tokens, tokens[:, 0]))


@pytest.mark.parametrize(
    ("name", "settings", "outputs", "message"),
    [
        ("conv1d", {"pooling": "max", "depth": 1}, (STEPS, 3), "`model.pooling` must be none wher"),
        ("conv1d", {"pooling": "max"}, (3,), r"`model.depth` must be at most 2 for .* 6 steps"),
        ("unet", {}, (3,), r"`model=unet` needs images.*\(6,\)"),
        ("autoencoder", {"kind": "convolutional"}, (3,), "`model=autoencoder .*` needs images"),
        ("cnn", {}, (3,), "`model=cnn` needs images"),
        ("applications", {"application": "VGG16"}, (3,), "`model=applications` needs images"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(name, settings, outputs, message):
    with pytest.raises(ConfigError, match=message):
        built(name, (STEPS,), outputs, **settings)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({"depth": 3}, (8, 12, 1), r"`model.depth` must be at most 2 .*\(8, 12, 1\).*Use 2\."),
        ({}, (7, 8, 1), r"`model.depth` must be at most 0 .*even sides"),
    ],
)
def test_images_that_cannot_be_halved_evenly_are_refused(settings, shape, message):
    with pytest.raises(ConfigError, match=message):
        built("unet", shape, (3,), **settings)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mlp", {"negative_slope": 0.1}, None),  # of relu
        (
            "mlp",
            {"alpha": 0.1},
            r"`model.alpha` must be null where model.activation is relu\..*elu",
        ),
        ("mlp", {"activation": "maxot"}, "Close to it: maxout"),
        ("mlp", {"activation": ("relu", "tahn")}, "Received: 'tahn'"),
        ("mlp", {"activation": ("relu", "elu"), "alpha": 0.1}, None),
        ("mlp", {"activation": ("relu",)}, "`model.activation` must be one name, or as many .*: 2"),
        ("resnet", {"activation": "maxout"}, "`model.activation` must be .* 'maxout'"),
        ("rnn", {"activation": "prelu"}, "`model.activation` must be .* without weights"),
        ("rnn", {"activation": "maxout"}, "`model.activation` must be .* 'maxout'"),
        ("autoencoder", {"width": (8, 4)}, r"`model.width` .* layers: 1\. .*model.depth=2"),
        ("applications", {"application": "mobilenetv2"}, "Close to it: MobileNetV2"),
        ("applications", {"application": "zzz"}, "Use ConvNeXtBase, .*Xception"),
        (
            "applications",
            {"application": "VGG16", "arguments": {"weights": None}},
            "`model.arguments` must be arguments other than weights",
        ),
    ],
)
def test_settings_that_do_not_fit_are_explained(name, settings, message):
    if message is None:
        CATALOGUE[name](**settings)
        return
    with pytest.raises(ConfigError, match=message) as caught:
        CATALOGUE[name](**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({}, (8, 8, 1), r"`model.application` must be one that takes images .* at least 32x32"),
        (
            {"arguments": {"beta": 1}},
            (32, 32, 1),
            "`model.arguments` must be .*MobileNet has: alph",
        ),
        (
            {"arguments": {"alpha": "x"}},
            (32, 32, 1),
            "`model.application` must be one .*Keras says",
        ),
    ],
)
def test_what_an_application_refuses_is_one_line(settings, shape, message):
    with pytest.raises(ConfigError, match=message) as caught:
        built("applications", shape, (3,), application="MobileNet", **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["ConvNeXtTiny", "DenseNet121", "EfficientNetV2B0", "MobileNetV2", "MobileNetV3Small"],
)
def test_applications_have_linear_outputs(name):
    for include_top in (True, False):
        settings = {"application": name, "include_top": include_top}
        model = built("applications", (32, 32, 2), (7,), **settings)
        assert model(batch(model, 1)).shape == (1, 7)
        assert models.output.output_activation(model) == "linear"
