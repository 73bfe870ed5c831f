import pytest

from runner.api.objects import initializers, optimizer
from runner.config import ConfigError

RATE = "optimizer.learning_rate"

OPTIMIZERS = {
    "Adam(0.01)": {"optimizer": "adam", RATE: 0.01},
    "SGD()": {"optimizer": "sgd", RATE: 0.01},  # whose rate is another one by its name
    "SGD(0.1, momentum=0.8, nesterov=True)": {
        "optimizer": "momentum",
        RATE: 0.1,
        "optimizer.momentum": 0.8,
        "optimizer.nesterov": True,
    },
    "AdamW(clipnorm=1.0)": {"optimizer": "adamw", RATE: 0.001, "optimizer.clipnorm": 1.0},
    "RMSprop": {"optimizer": "rmsprop", RATE: 0.001},
    "Lamb(beta_2=0.9)": {
        "optimizer": "custom",
        "optimizer.target": "Lamb",
        RATE: 0.001,
        "optimizer.arguments.beta_2": 0.9,
    },
}


@pytest.mark.parametrize(("code", "expected"), OPTIMIZERS.items())
def test_an_optimizer_of_keras_is_its_settings(keras, code, expected):
    assert optimizer(eval(f"keras.optimizers.{code}")) == expected


def test_names_stay_as_they_are(keras):
    assert optimizer(["adam", "sgd"]) == {"optimizer": ["adam", "sgd"]}
    assert initializers(["keep", "normal(scale=0.01)"]) == ["keep", "normal(scale=0.01)"]
    assert initializers(None) is None


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("keras.optimizers.Adam(use_ema=True)", "without use_ema. .*Adam with use_ema=True"),
        (
            "keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10))",
            "one learning rate. .*CosineDecay.*'optimizer.schedule'",
        ),
        ("keras.optimizers.schedules.CosineDecay", "must be the name .*optimizer='custom'"),
        ("[keras.optimizers.Adam()]", "must be the name of an optimizer"),
        ("object()", "must be the name of an optimizer"),
    ],
)
def test_what_no_setting_says_is_refused(keras, code, text):
    with pytest.raises(ConfigError, match=f"`optimizer` .*{text}"):
        optimizer(eval(code))


INITIALIZERS = {
    "HeNormal": "he_normal",
    "GlorotUniform(seed=3)": "glorot_uniform",
    "RandomNormal(stddev=0.01)": "normal(scale=0.01)",
    "RandomNormal()": "normal",
    "RandomUniform(-0.1, 0.1)": "uniform(scale=0.1)",
    "TruncatedNormal(stddev=0.02)": "truncated_normal(scale=0.02)",
    "Zeros()": "zero",
    "Orthogonal(gain=1.5)": "orthogonal(gain=1.5)",
    "Identity()": "identity",
    "VarianceScaling(0.5, mode='fan_out')": "variance_scaling(scale=0.5, mode=fan_out)",
}


@pytest.mark.parametrize(("code", "expected"), INITIALIZERS.items())
def test_an_initializer_of_keras_is_its_label(keras, code, expected):
    assert initializers(["keep", eval(f"keras.initializers.{code}")]) == ["keep", expected]


@pytest.mark.parametrize("code", ["RandomNormal(mean=1.0)", "RandomUniform(0, 1)"])
def test_what_is_not_around_0_is_refused(keras, code):
    with pytest.raises(ConfigError, match=r"`init` .*around 0"):
        initializers(eval(f"keras.initializers.{code}"))


@pytest.mark.parametrize("value", [object(), lambda shape, dtype: 0, str])
def test_what_draws_nothing_is_refused(keras, value):
    with pytest.raises(ConfigError, match="`init` must be the name of an initializer"):
        initializers([value])
