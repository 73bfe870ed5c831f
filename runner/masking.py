"""Hides passwords and keys in whatever is told: console, logs, records, MLflow."""

import re
from collections.abc import Mapping
from typing import Any

# What a text may hold that nobody else is to see. SQLAlchemy takes passwords with `/` and blanks;
# in texts with such an `@`, a host with its port is to be told from a name with its password.
# Hydra logs overrides with backslashes, `http\://me\:secret@host`: no difference here.
_USERINFO = re.compile(
    r"""(?<=://)(?:
        [^\s/]*@                                               # up to the last @ before the path
        | (?<!http://)(?<!https://) [^\s/:@]*:[^\s@]*@(?:[^\s/]*@)*  # of a database: with slashes
        | [^\s/:@]*:(?!\d*(?:[/\s'"]|$)) (?:[^\s@]*@)+         # with slashes; not a port
        | [^\s/:@]*:(?!\d*(?:[/\s'"]|$)) [^@\n]*@(?:[^\s/]*@)*  # with blanks too
    )""",
    re.VERBOSE,
)
# `access_token`, `sslpassword`, `apiKey`; but `tokens`, `tokenizer`, `secretary` are none.
_SECRET = (
    r"(?i:passwords?|passwd|passphrase|pwd|secrets?|credentials?|token|(?:api|access|private)[_-]?keys?)"
    r"(?![a-z])"
)
_SECRET_KEY = re.compile(rf"{_SECRET}([\w-]*)$")
_SECRET_VALUE = re.compile(
    rf"""({_SECRET}([\w-]*)["']?(?:=|:[^\S\n]*(?!//)))(\*{{3}}(?=[,}}]|$)|"[^"\n]*"|'[^'\n]*'|(?:\\.|[^\s&"'\\])+)"""
)
_NUMBER = re.compile(r"[-+]?[\d.]+(?:e[-+]?\d+)?|true|false|null|none", re.IGNORECASE)
HIDDEN = "***"


def masked(value: Any) -> Any:
    """Returns `value` with what looks like a password or a key in it replaced by `***`.

    Hidden are the part before the `@` in addresses, and the values of keys such as `password` or
    `access_token`. Where more follows the word (`token_width`), a number is no secret.

    Args:
      value: A text, or mappings and lists of anything.
    """
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _is_secret(str(key), item) else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    if not isinstance(value, str):
        return value
    once = _SECRET_VALUE.sub(_hide, _USERINFO.sub(f"{HIDDEN}@", value))
    # What is told again, such as a record in a log line, must not look different then.
    return once if once == value else masked(once)


def masked_override(argument: str) -> str:
    """Returns an argument of the command line as `masked` does, its value taken as a whole."""
    key, sign, value = argument.partition("=")
    if sign and _is_secret(key, value):
        return f"{key}={HIDDEN}"
    return masked(argument)


def _is_secret(key: str, value: object) -> bool:
    found = _SECRET_KEY.search(key)
    if found is None or value is None or value == "":
        return False
    return not (found[1] and _NUMBER.fullmatch(str(value)))


def _hide(found: re.Match[str]) -> str:
    start, more, value = found.groups()
    return found[0] if more and _NUMBER.fullmatch(value) else f"{start}{HIDDEN}"
