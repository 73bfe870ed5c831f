"""Settings: what is accepted, and what the message says otherwise."""

import doctest
import math
from dataclasses import dataclass

import pytest

from runner import config
from runner.config import ConfigError, choose, convert, setting


@dataclass(frozen=True)
class Sample:
    width: int = setting(config.POSITIVE_INTEGER)
    rate: float = setting(config.POSITIVE, 0.1)
    mode: str = setting(config.one_of("fan_in", "fan_out"), "fan_in")
    note: str | None = setting(config.optional(config.TEXT), None)
    arguments: dict = setting(config.ARGUMENTS, {})


ACCEPTED = [
    (config.POSITIVE_INTEGER, 1, 1),
    (config.NON_NEGATIVE_INTEGER, 0, 0),
    (config.POSITIVE, 2, 2.0),
    (config.NON_NEGATIVE, 0, 0.0),
    (config.NUMBER, -1.5, -1.5),
    (config.FRACTION, 0, 0.0),
    (config.FRACTION, 0.999, 0.999),
    (config.BOOLEAN, False, False),
    (config.TEXT, "x", "x"),
    (config.IMPORT_PATH, "package.module:name", "package.module.name"),
    (config.optional(config.POSITIVE), None, None),
    (config.target_in("keras.initializers", ""), "HeNormal", "HeNormal"),
    (config.target_in("keras.initializers", ""), "keras.initializers.HeNormal", "HeNormal"),
    (config.target_in("keras.initializers", ""), "he_normal", "keras.initializers.he_normal"),
    (config.target_in("keras.initializers", ""), "mine:HeNormal", "mine.HeNormal"),
]

REFUSED = [
    (config.POSITIVE_INTEGER, 0),
    (config.POSITIVE_INTEGER, 2.0),
    (config.POSITIVE_INTEGER, True),
    (config.POSITIVE_INTEGER, "3"),
    (config.NON_NEGATIVE_INTEGER, -1),
    (config.POSITIVE, 0.0),
    (config.POSITIVE, math.nan),
    (config.NUMBER, math.inf),
    (config.NUMBER, 10**400),
    (config.NUMBER, None),
    (config.FRACTION, 1),
    (config.BOOLEAN, 1),
    (config.TEXT, ""),
    (config.TEXT, 3),
    (config.IMPORT_PATH, "name"),
    (config.IMPORT_PATH, "package.not-a-name"),
    (config.ARGUMENTS, [1]),
    (config.ARGUMENTS, {1: 2}),
    (config.one_of("a", "b"), ["a"]),
]


@pytest.mark.parametrize(("rule", "value", "expected"), ACCEPTED)
def test_accepted_values_get_their_type(rule, value, expected):
    result = rule.apply("key", value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(("rule", "value"), REFUSED)
def test_refused_values_are_told_in_one_line_with_key_and_rule(rule, value):
    with pytest.raises(ConfigError) as error:
        rule.apply("model.width", value)
    message = str(error.value)
    assert message.startswith(f"`model.width` must be {rule.text}. Received: ")
    assert "\n" not in message
    assert len(message) < 250


def test_convert_fills_defaults_and_ignores_the_name():
    assert convert(Sample, {"name": "sample", "width": 3}, "model") == Sample(width=3)


def test_convert_names_the_known_settings_when_one_is_unknown():
    with pytest.raises(ConfigError, match=r"`model.widht` is not a setting .* width, rate, mode"):
        convert(Sample, {"width": 3, "widht": 4}, "model")


def test_convert_tells_a_missing_setting():
    with pytest.raises(ConfigError, match=r"`model.width` is missing: .* a positive integer"):
        convert(Sample, {}, "model")


def test_choose_lists_the_options():
    with pytest.raises(ConfigError, match=r"`model.name` must be one of a, b\. Received: 'c'"):
        choose({"a": Sample, "b": Sample}, {"name": "c"}, "model")


def test_changed_settings_are_those_that_differ_from_their_defaults():
    spec = Sample(width=3, rate=0.1, mode="fan_out", arguments={"x": 1})
    assert config.changed_settings(spec) == {"width": 3, "mode": "fan_out", "arguments": {"x": 1}}


def test_long_values_are_shortened_in_messages():
    with pytest.raises(ConfigError) as error:
        config.POSITIVE.apply("key", "x\n" * 5000)
    assert len(str(error.value)) < 250
    assert "\n" not in str(error.value)


def test_the_examples_in_the_docstrings():
    result = doctest.testmod(config)
    assert result.attempted
    assert not result.failed
