import dataclasses
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from runner.config import ConfigError, choose
from runner.training.optimizers import CATALOGUE, check_warmup, learning_rate, make

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
    course = {"schedule", "final_fraction", "decay_factor", "decay_every", "warmup", "ema"}
    common = {"learning_rate", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm"} | course
    for name, spec in CATALOGUE.items():
        own = {field.name for field in dataclasses.fields(spec)} - common
        assert own <= CHANGED[name].keys()
    assert common - course <= {key for changed in CHANGED.values() for key in changed}


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


# The rate at step t of 20, 4 of which are warmup where the table says so.
COURSES = {
    "constant": ({}, lambda t: 0.4),
    "cosine": ({}, lambda t: 0.4 * (1 + math.cos(math.pi * min(t, 20) / 20)) / 2),
    "cosine to a tenth": (
        {"schedule": "cosine", "final_fraction": 0.1},
        lambda t: 0.4 * (0.1 + 0.9 * (1 + math.cos(math.pi * min(t, 20) / 20)) / 2),
    ),
    "linear": ({}, lambda t: 0.4 * (1 - min(t, 20) / 20)),
    "linear to a half": (
        {"schedule": "linear", "final_fraction": 0.5},
        lambda t: 0.4 * (1 - 0.5 * min(t, 20) / 20),
    ),
    "step": ({}, lambda t: 0.4 * 0.1 ** (t // 6)),
    "step by number": (
        {"schedule": "step", "decay_every": 5, "decay_factor": 0.5},
        lambda t: 0.4 * 0.5 ** (t // 5),
    ),
    "exponential": ({}, lambda t: 0.4 * 0.1 ** (t / 6)),
    "exponential by fraction": (
        {"schedule": "exponential", "decay_every": 0.5, "decay_factor": 0.5},
        lambda t: 0.4 * 0.5 ** (t / 10),
    ),
    "constant after 4": ({"warmup": 4}, lambda t: 0.4 * min(t / 4, 1)),
    "cosine after a fifth": (
        {"schedule": "cosine", "warmup": 0.2},
        lambda t: 0.4 * (t / 4 if t < 4 else (1 + math.cos(math.pi * (min(t, 20) - 4) / 16)) / 2),
    ),
    "linear after 4": (
        {"schedule": "linear", "warmup": 4},
        lambda t: 0.4 * (t / 4 if t < 4 else 1 - (min(t, 20) - 4) / 16),
    ),
    "step after 4": (
        {"schedule": "step", "warmup": 4, "decay_every": 0.25},
        lambda t: 0.4 * (t / 4 if t < 4 else 0.1 ** ((t - 4) // 4)),
    ),
    "exponential after 4": (
        {"schedule": "exponential", "warmup": 4, "decay_every": 8},
        lambda t: 0.4 * (t / 4 if t < 4 else 0.1 ** ((t - 4) / 8)),
    ),
}


@pytest.mark.parametrize("name", COURSES)
def test_schedules_follow_their_formulas(name):
    settings, expected = COURSES[name]
    settings = settings or {"schedule": name}
    start = choose(CATALOGUE, {"name": "sgd", "learning_rate": 0.4, **settings}, "optimizer")
    rate = learning_rate(start, 20)
    # Single precision: 6e-8 of each factor; a power, and a cosine near 0, of a few of those.
    for step in (0, 1, 3, 4, 5, 6, 8, 11, 12, 19, 20, 23):
        got = float(rate(step)) if callable(rate) else rate
        assert got == pytest.approx(expected(step), rel=1e-6, abs=1e-7)


def test_warmup_is_that_of_keras():
    settings = choose(
        CATALOGUE,
        {"name": "sgd", "schedule": "cosine", "warmup": 7, "final_fraction": 0.2},
        "optimizer",
    )
    ours = learning_rate(settings, 30)
    keras_own = keras.optimizers.schedules.CosineDecay(0.0, 23, 0.2, "", 0.1, 7)
    for step in range(33):
        assert float(ours(step)) == pytest.approx(float(keras_own(step)), rel=1e-6)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_optimizer_takes_a_schedule_and_an_average(name):
    node = {"schedule": "linear", "warmup": 2, "ema": 0.9, "learning_rate": 0.4}
    optimizer = made(name, num_steps=10, **node)
    assert float(optimizer._learning_rate(1)) == pytest.approx(0.2)
    assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.9)


def test_schedules_are_used_by_the_updates():
    values = updates(
        made("sgd", num_steps=2, learning_rate=0.4, schedule="cosine"), [0.0], [[1.0]] * 3
    )
    # Rates 0.4, 0.2 and, after the end, 0.
    np.testing.assert_allclose(np.ravel(values), [-0.4, -0.6, -0.6], rtol=1e-6)


def test_warmup_leaves_steps_for_the_training():
    settings = CATALOGUE["sgd"](warmup=20)
    check_warmup(settings, 21)
    check_warmup(settings, 0)
    with pytest.raises(ConfigError, match=r"`optimizer.warmup` must be below the 20 steps .* 20"):
        check_warmup(settings, 20)


@pytest.mark.parametrize(
    ("name", "node", "message"),
    [
        ("sgd", {"learning_rate": 0}, r"`optimizer.learning_rate` must be a positive number"),
        ("sgd", {"learning_rate": "fast"}, r"must be a positive number\. Received: 'fast'"),
        ("sgd", {"learning_rate": float("nan")}, r"must be a positive number\. Received: nan"),
        ("sgd", {"momentum": 0.9}, r"`optimizer.momentum` is not a setting .* It has: learning"),
        ("sgd", {"schedule": "steps"}, r"`optimizer.schedule` must be one of constant, cosine"),
        ("sgd", {"warmup": 2.5}, r"`optimizer.warmup` must be a whole number of steps, or a fr"),
        ("sgd", {"warmup": -1}, r"`optimizer.warmup` must be a whole number of steps.* -1"),
        ("adam", {"decay_every": 0}, r"`optimizer.decay_every` must be a positive whole number"),
        ("adam", {"decay_factor": 1}, r"`optimizer.decay_factor` must be a number above 0 and"),
        ("lion", {"final_fraction": 1.5}, r"`optimizer.final_fraction` must be a number from 0"),
        ("custom", {"ema": 1}, r"`optimizer.ema` must be a number above 0 and below 1, or null"),
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
