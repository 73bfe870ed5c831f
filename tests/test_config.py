"""Settings: what is accepted, what the message says otherwise, how labels are made."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "normal"),
        ({"scale": 0.1}, "normal(scale=0.1)"),
        ({"a": 1e-05, "b": "x"}, "normal(a=1e-05, b=x)"),
    ],
)
def test_label(settings, expected):
    assert config.label("normal", settings) == expected


def test_long_values_are_shortened_in_messages():
    with pytest.raises(ConfigError) as error:
        config.POSITIVE.apply("key", "x\n" * 5000)
    assert len(str(error.value)) < 250
    assert "\n" not in str(error.value)


SECRETS = [
    ("tracking.uri=postgresql://me:secret@host/db", "tracking.uri=postgresql://***@host/db"),
    (
        r"#0 : tracking.uri=http\://me\:secret@host init=x",
        r"#0 : tracking.uri=http\://***@host init=x",
    ),
    ("postgresql+psycopg2://me:p@ss:word@host/db", "postgresql+psycopg2://***@host/db"),
    ("postgresql://me:sec/ret@host/db", "postgresql://***@host/db"),
    ("postgresql://me:12/34@host/db", "postgresql://***@host/db"),
    ("'uri=postgresql://me:a secret@host/db' init=x", "'uri=postgresql://***@host/db' init=x"),
    ("https://secret@host:5000/path", "https://***@host:5000/path"),
    ("redis://:secret@host", "redis://***@host"),
    ("mssql://host/db?password=secret&x=1", "mssql://host/db?password=***&x=1"),
    ("--access_token=secret x", "--access_token=*** x"),
    ("api_key=secret", "api_key=***"),
    ("CLIENT_SECRET=secret", "CLIENT_SECRET=***"),
    ("sslpassword=12345", "sslpassword=***"),
    ("accessToken=secret", "accessToken=***"),
    ("secretKey=secret", "secretKey=***"),
    (r"model.arguments.password=a\ secret x", "model.arguments.password=*** x"),
    ("password='a secret' x", "password=*** x"),
    ("{'password': 'a secret', 'width': 3}", "{'password': ***, 'width': 3}"),
    ("password: secret\nwidth: 3", "password: ***\nwidth: 3"),
]
HARMLESS = [
    "sqlite:///mlflow.db",
    "sqlite:////home/me@work/mlflow.db",
    "http://host:5000/a:b@c",
    "python -m runner tracking.uri=http://host:5000 note=a@b",
    "python -m runner tracking.uri=postgresql://host:5432/db note=a@b",
    "file:///data/me@work:3/x.csv",
    "https://host/path@v1",
    "a@b",
    "num_tokens=512 max_tokens: 100 tokenizer=words token_width=64 secretary=x",
    "`model.token_width` must be a positive integer. Received: 0.",
    "token recognition error at: '('",
    'password authentication failed for user "me"',
]


@pytest.mark.parametrize(("text", "expected"), SECRETS)
def test_masked(text, expected):
    assert config.masked({"a": [text]}) == {"a": [expected]}
    assert config.masked(expected) == expected
    assert "secret@" not in config.shown({"a": text}, limit=1000)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_shown(text):
    assert config.masked(text) == text


def test_secrets_of_mappings_are_known_by_their_keys():
    settings = {
        "arguments": {"password": 12345, "db-token": "x y", "api_key": ["a", "b"], "secret": None},
        "model": {"tokens": 512, "token_width": 64, "tokenizer": "words", "use_token": ""},
    }
    assert config.masked(settings) == {
        "arguments": {"password": "***", "db-token": "***", "api_key": "***", "secret": None},
        "model": settings["model"],
    }


# Without blanks and quotes, which end a value where it stands in a text, and the characters that
# end the part of an address before the path. Long enough not to stand in the text by chance.
PASSWORDS = st.text("abcXYZ0189!$%*+,-._;=<>()[]{}|~^:#?", min_size=6, max_size=30)


@given(PASSWORDS, st.sampled_from(["http", "https", "postgresql", "mysql+pymysql"]))
def test_no_password_is_left_in_an_address(password, scheme):
    text = f"uri={scheme}://me:{password}@host:80/db init=zero"
    assert config.masked(text) == f"uri={scheme}://***@host:80/db init=zero"
    assert config.masked_override(f"a.password={password} {password}") == "a.password=***"


@given(PASSWORDS, PASSWORDS)
def test_no_password_with_a_slash_is_left_in_the_address_of_a_database(start, end):
    text = f"uri=postgresql://me:{start}/{end}@host:80/db init=zero"
    assert config.masked(text) == "uri=postgresql://***@host:80/db init=zero"


@given(st.text(), st.lists(st.sampled_from(["://", ":", "@", "password", "=", " ", "'", "/"])))
def test_any_text_can_be_masked_twice(text, pieces):
    once = config.masked(text.join(pieces))
    assert config.masked(once) == once
