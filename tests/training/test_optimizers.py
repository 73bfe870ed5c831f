import dataclasses
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from runner.config import ConfigError, choose
from runner.training.optimizers import CATALOGUE, make

CONF = Path(__file__).parents[2] / "conf" / "optimizer"

REQUIRED = {"custom": {"target": "Lamb"}}

# Each option with its defaults, written out as a user of Keras would.
BY_HAND = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.001),
    "adagrad": lambda: keras.optimizers.Adagrad(0.01),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0),
    "adam": lambda: keras.optimizers.Adam(0.001),
    "adamw": lambda: keras.optimizers.AdamW(0.001, weight_decay=0.004),
    "adamax": lambda: keras.optimizers.Adamax(0.001),
    "nadam": lambda: keras.optimizers.Nadam(0.001),
    "lion": lambda: keras.optimizers.Lion(0.0003),
    "custom": lambda: keras.optimizers.Lamb(0.001),
}

# Other values than the defaults for every own setting of an option.
CHANGED = {
    "sgd": {"learning_rate": 0.3, "clipnorm": 1.5},
    "momentum": {"momentum": 0.5, "nesterov": True, "clipvalue": 0.5},
    "rmsprop": {"rho": 0.8, "momentum": 0.1, "epsilon": 1e-5, "centered": True},
    "adagrad": {"initial_accumulator_value": 0.2, "epsilon": 1e-5},
    "adadelta": {"rho": 0.8, "epsilon": 1e-5, "weight_decay": 0.1},
    "adam": {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-5, "amsgrad": True},
    "adamw": {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-5, "amsgrad": True, "weight_decay": 0.1},
    "adamax": {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-5},
    "nadam": {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-5, "global_clipnorm": 2.0},
    "lion": {"beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.1},
    "custom": {"target": "keras.optimizers.Adafactor", "arguments": {"clip_threshold": 2.0}},
}


def made(name, num_steps=10, **settings):
    node = {"name": name, **REQUIRED.get(name, {}), **settings}
    return make(name, choose(CATALOGUE, node, "optimizer"), num_steps)


def config(optimizer):
    """The whole configuration but for the object's name."""
    return {key: value for key, value in optimizer.get_config().items() if key != "name"}


def updates(optimizer, start, gradients):
    """Returns the values of one variable after each update."""
    variable = keras.Variable(np.array(start, "float32"))
    values = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient, "float32"))], [variable])
        values.append(variable.numpy())
    return values


def test_every_option_is_tested():
    assert BY_HAND.keys() == CATALOGUE.keys() == CHANGED.keys()


@pytest.mark.parametrize("name", CATALOGUE)
def test_yaml_holds_every_setting_with_its_default(name):
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text("utf-8"))
    assert next(iter(node)) == "name"
    assert node["name"] == name
    assert set(node) - {"name"} == {field.name for field in dataclasses.fields(CATALOGUE[name])}
    required = REQUIRED.get(name, {})
    assert {key for key, value in node.items() if value == "???"} == required.keys()
    settings = choose(CATALOGUE, node | required, "optimizer")
    assert settings == CATALOGUE[name](**required)


@pytest.mark.parametrize("name", CATALOGUE)
def test_defaults_are_those_written_by_hand(name):
    by_hand = BY_HAND[name]()
    optimizer = made(name)
    assert type(optimizer) is type(by_hand)
    assert config(optimizer) == config(by_hand)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_setting_reaches_keras(name):
    optimizer = made(name, **CHANGED[name])
    told = config(optimizer)
    expected = {key: value for key, value in CHANGED[name].items() if key != "target"}
    expected |= expected.pop("arguments", {})
    # Keras keeps the learning rate in float32.
    assert {key: told[key] for key in expected} == pytest.approx(expected, rel=1e-6)


def test_changes_cover_every_own_setting():
    common = {"learning_rate", "schedule", "weight_decay", "clipnorm", "clipvalue"}
    common |= {"global_clipnorm"}
    for name, spec in CATALOGUE.items():
        own = {field.name for field in dataclasses.fields(spec)} - common
        assert own <= CHANGED[name].keys()
    assert common - {"schedule"} <= {key for changed in CHANGED.values() for key in changed}


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_call_makes_a_fresh_optimizer(name):
    first, second = made(name), made(name)
    start = [0.5, -0.5]
    (once,) = updates(first, start, [[1.0, -2.0]])
    (again,) = updates(second, start, [[1.0, -2.0]])
    assert np.all(once != start)
    np.testing.assert_array_equal(once, again)


def test_sgd_step_by_hand():
    # 1 - 0.1 * 2 and -1 - 0.1 * (-4)
    (value,) = updates(made("sgd"), [1.0, -1.0], [[2.0, -4.0]])
    np.testing.assert_allclose(value, [0.8, -0.6], rtol=1e-6)


def test_momentum_steps_by_hand():
    # velocity -0.02, then 0.9 * -0.02 - 0.01 * 1 = -0.028
    values = updates(made("momentum"), [1.0], [[2.0], [1.0]])
    np.testing.assert_allclose(np.ravel(values), [0.98, 0.952], rtol=1e-6)


def test_nesterov_step_by_hand():
    # velocity -0.02; the step looks ahead: 0.9 * -0.02 - 0.01 * 2 = -0.038
    (value,) = updates(made("momentum", nesterov=True), [1.0], [[2.0]])
    np.testing.assert_allclose(value, [0.962], rtol=1e-6)


def test_weight_decay_is_decoupled():
    # 1 * (1 - 0.1 * 0.5) - 0.1 * 2: not a part of the gradient, but scaled by the learning rate
    (value,) = updates(made("sgd", weight_decay=0.5), [1.0], [[2.0]])
    np.testing.assert_allclose(value, [0.75], rtol=1e-6)


def test_adam_moves_by_the_learning_rate_at_first():
    # After one update g / sqrt(g^2) is the sign, but for epsilon: 1e-7 / sqrt(0.001) = 3e-6.
    (value,) = updates(made("adam"), [0.0, 0.0], [[3.0, -1.0]])
    np.testing.assert_allclose(value, [-0.001, 0.001], rtol=1e-5)


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - {"custom"}))
def test_listed_optimizers_treat_each_parameter_alone(name):
    gradients = np.array([[3.0, -0.01], [1.0, 0.5], [-2.0, 0.1]])
    together = np.array(updates(made(name), [1.0, -2.0], gradients))
    for column, start in enumerate([1.0, -2.0]):
        alone = np.array(updates(made(name), [start], gradients[:, [column]]))
        # float32: vectorized and scalar arithmetic may round differently.
        np.testing.assert_allclose(together[:, [column]], alone, rtol=1e-6)


@pytest.mark.parametrize("name", CATALOGUE)
def test_cosine_schedule_follows_the_formula(name):
    optimizer = made(name, num_steps=8, learning_rate=0.4, schedule="cosine")
    rate = optimizer._learning_rate
    for step in (0, 1, 4, 8):
        expected = 0.4 * (1 + math.cos(math.pi * step / 8)) / 2
        assert float(rate(step)) == pytest.approx(expected, abs=1e-7)


def test_cosine_schedule_is_used_by_the_updates():
    values = updates(
        made("sgd", num_steps=2, learning_rate=0.4, schedule="cosine"), [0.0], [[1.0]] * 3
    )
    # Rates 0.4, 0.2 and, after the end, 0.
    np.testing.assert_allclose(np.ravel(values), [-0.4, -0.6, -0.6], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "node", "message"),
    [
        ("sgd", {"learning_rate": 0}, r"`optimizer.learning_rate` must be a positive number"),
        ("sgd", {"learning_rate": "fast"}, r"must be a positive number\. Received: 'fast'"),
        ("sgd", {"learning_rate": float("nan")}, r"must be a positive number\. Received: nan"),
        ("sgd", {"momentum": 0.9}, r"`optimizer.momentum` is not a setting .* It has: learning"),
        ("sgd", {"schedule": "step"}, r"`optimizer.schedule` must be one of constant, cosine"),
        ("momentum", {"momentum": 1.0}, r"`optimizer.momentum` must be a number from 0 "),
        ("adam", {"beta_1": 1}, r"`optimizer.beta_1` must be a number from 0 .* Received: 1\."),
        ("adam", {"epsilon": 0}, r"`optimizer.epsilon` must be a positive number"),
        ("adamw", {"weight_decay": None}, r"`optimizer.weight_decay` must be a non-negative"),
        ("lion", {"beta_2": -0.1}, r"`optimizer.beta_2` must be .* Received: -0\.1"),
        ("adam", {"clipnorm": -1}, r"`optimizer.clipnorm` must be a positive number, or null"),
        (
            "sgd",
            {"clipnorm": 1.0, "global_clipnorm": 2.0},
            r"`optimizer.global_clipnorm` must be null where `optimizer.clipnorm` is set.* 2\.0",
        ),
        ("custom", {"target": "???"}, r"`optimizer.target` must be a class in keras.optimizers"),
        ("custom", {"target": "Lam"}, r"`optimizer.target` must be .* 'Lam'\. Try Lamb"),
        ("custom", {"target": "qqqqqq"}, r"Received: 'qqqqqq'\. Try Adadelta, .*SGD"),
        ("custom", {"target": "no_such_module.Best"}, r"`optimizer.target`.*no_such_module"),
        ("custom", {"target": "math.pi"}, r"math.pi raised TypeError: 'float'"),
        ("custom", {"target": "builtins.dict"}, r"Received: {'learning_rate': 0.001}\. It is"),
        ("custom", {"arguments": {"colour": 1}}, r"Lamb raised ValueError: .*colour"),
        ("custom", {"arguments": {"learning_rate": 1.0}}, r"Set optimizer.learning_rate"),
    ],
)
def test_bad_settings_are_explained_in_one_line(name, node, message):
    with pytest.raises(ConfigError, match=message) as caught:
        made(name, **node)
    assert "\n" not in str(caught.value)


def test_target_is_required():
    with pytest.raises(ConfigError, match=r"`optimizer.target` is missing"):
        choose(CATALOGUE, {"name": "custom"}, "optimizer")
