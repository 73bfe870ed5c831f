"""Keywords of Python as the settings that the command line knows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from runner.config import ConfigError, Rule
from runner.execution.composing import EXPERIMENT, Schema
from runner.execution.configure import GROUPS
from runner.spelling import did_you_mean

# Written as they are: Hydra would take other texts for numbers, lists or worse.
_PLAIN = re.compile(r"(?!(?:true|false|null|inf|nan)$)[A-Za-z_][\w./-]*", re.IGNORECASE)
_SEEDS = ("seeds", "weight_seeds", "batch_seeds")

# Options that are chosen where nothing is said, of groups with settings that are lists.
_DEFAULTS = {"init": "glorot_uniform", "report": "default", "training": "default"}

_TOP = (*(field.name for field in fields(Schema)), EXPERIMENT)


def check_names(settings: Mapping[str, Any], function: str, own: Sequence[str]) -> None:
    """Checks keywords that are no arguments of a function: settings have a dot, or are groups.

    Args:
      settings: The keywords, with their values.
      function: Its name.
      own: Names of its arguments.

    Raises:
      TypeError: One is neither.
    """
    for name in settings:
        if name not in _TOP and not re.search(r"[./]", name):
            meant = did_you_mean(name, [*own, *_TOP]) + _among_settings(name)
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}.{meant}")


def _among_settings(name: str) -> str:
    """Returns where a setting of this name is, after a blank; empty where there is none."""
    groups = ("training", "optimizer", "dataset", "report")
    options = {group: GROUPS[group].values() for group in groups}
    found = [
        group
        for group in groups
        for spec in options[group]
        if name in {f.name for f in fields(spec)}
    ]
    return f' There is the setting **{{"{found[0]}.{name}": ...}}.' if found else ""


def merged(own: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a function's own arguments set, and the other settings.

    Raises:
      ConfigError: Something is set twice.
    """
    given = {key: value for key, value in own.items() if value is not None}
    for key in given:
        if key in settings:
            raise ConfigError(f"`{key}` is given twice: by an argument and as a setting.")
    return given | dict(settings)


def lines(settings: Mapping[str, Any]) -> list[str]:
    """Returns settings as they are typed. Several values in a list are compared with each other.

    A list is one value where only a list is one, such as for `seeds` or `dataset.drop`. Where both
    are, such as for `model.width`, a list in a list is one value.

    Raises:
      ConfigError: A value cannot be a setting.
    """
    return [f"{key}={_values(key, value, settings)}" for key, value in settings.items()]


def _values(key: str, value: Any, settings: Mapping[str, Any]) -> str:
    value = _plain(value)
    if not isinstance(value, list | tuple) or _takes_list(key, value, settings):
        return _text(key, value)
    if not value:
        raise ConfigError.at(key, "one value, or several in a list", value)
    return ",".join(_text(key, each) for each in value)


def _takes_list(key: str, value: Sequence[Any], settings: Mapping[str, Any]) -> bool:
    """Tells whether a list is one value of a setting of the options that are chosen."""
    if key in (*_SEEDS, EXPERIMENT):
        return not any(isinstance(each, list | tuple) for each in value)
    group, _, name = key.partition(".")
    chosen = settings.get(group, _DEFAULTS.get(group))
    names = [chosen] if isinstance(chosen, str) else chosen or ()
    options = {str(each).partition("(")[0] for each in names}
    specs = [spec for option, spec in GROUPS.get(group, {}).items() if option in options]
    declared = [field for spec in specs for field in fields(spec) if field.name == name]
    rules = [field.metadata["rule"] for field in declared]
    return any(_accepts(r, value) and not all(_accepts(r, each) for each in value) for r in rules)


def _accepts(rule: Rule, value: object) -> bool:
    try:
        rule.accept(value)
    except (TypeError, ValueError, OverflowError, ConfigError):
        return False
    return True


def _plain(value: Any) -> Any:
    """Returns Python's own value for one of numpy's."""
    return value.tolist() if hasattr(value, "tolist") else value


def _text(key: str, value: Any) -> str:
    value = _plain(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else _quoted(value)
    if isinstance(value, list | tuple | range):
        return f"[{','.join(_text(key, each) for each in value)}]"
    if isinstance(value, Mapping):
        entries = (f"{_text(key, str(name))}:{_text(key, each)}" for name, each in value.items())
        return f"{{{','.join(entries)}}}"
    raise ConfigError.at(key, "a number, a text, true, false, null, or a list of them", value)


def _quoted(text: str) -> str:
    return str(QuotedString(text, Quote.single).with_quotes())
