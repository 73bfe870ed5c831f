"""Passwords and keys are hidden wherever they stand, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import config, masking

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
    assert masking.masked({"a": [text]}) == {"a": [expected]}
    assert masking.masked(expected) == expected
    assert "secret@" not in config.shown({"a": text}, limit=1000)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_shown(text):
    assert masking.masked(text) == text


def test_secrets_of_mappings_are_known_by_their_keys():
    settings = {
        "arguments": {"password": 12345, "db-token": "x y", "api_key": ["a", "b"], "secret": None},
        "model": {"tokens": 512, "token_width": 64, "tokenizer": "words", "use_token": ""},
    }
    assert masking.masked(settings) == {
        "arguments": {"password": "***", "db-token": "***", "api_key": "***", "secret": None},
        "model": settings["model"],
    }


# Without blanks and quotes, which end a value where it stands in a text, and the characters that
# end the part of an address before the path. Long enough not to stand in the text by chance.
PASSWORDS = st.text("abcXYZ0189!$%*+,-._;=<>()[]{}|~^:#?", min_size=6, max_size=30)


@given(PASSWORDS, st.sampled_from(["http", "https", "postgresql", "mysql+pymysql"]))
def test_no_password_is_left_in_an_address(password, scheme):
    text = f"uri={scheme}://me:{password}@host:80/db init=zero"
    assert masking.masked(text) == f"uri={scheme}://***@host:80/db init=zero"
    assert masking.masked_override(f"a.password={password} {password}") == "a.password=***"


@given(PASSWORDS, PASSWORDS)
def test_no_password_with_a_slash_is_left_in_the_address_of_a_database(start, end):
    text = f"uri=postgresql://me:{start}/{end}@host:80/db init=zero"
    assert masking.masked(text) == "uri=postgresql://***@host:80/db init=zero"


@given(st.text(), st.lists(st.sampled_from(["://", ":", "@", "password", "=", " ", "'", "/"])))
def test_any_text_can_be_masked_twice(text, pieces):
    once = masking.masked(text.join(pieces))
    assert masking.masked(once) == once
