"""What is typed as `key=value`: read, and held against the options and settings that there are.

Hydra takes `+key=value` for any key, and merges `init=[zero,ones]` into one initializer. Here each
gets a sentence, before anything is composed where that is possible.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hydra._internal.config_repository import IConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    Override,
    OverrideType,
    Quote,
    QuotedString,
    ValueType,
)
from hydra.errors import HydraException
from omegaconf import DictConfig, Node, OmegaConf

from runner.config import ConfigError, not_a_setting, shown
from runner.execution import options
from runner.labels import split
from runner.spelling import did_you_mean

_PLAIN = re.compile(
    r"(?P<key>[+~]{0,2}[\w./@-]+)=(?P<value>[^\[\]{}'\"$,=\\]*[^\[\]{}'\"$,=\\\s]|,)"
)
_PAIRS = {"[": "]", "{": "}", "(": ")"}
_KEY = re.compile(r"[+~]{0,2}[\w-]+([./][\w-]+)*(@[\w.:]+)?")
# `group.setting`; what is below belongs to the setting.
_SETTING_DEPTH = 2
# Options add to these groups; all others hold one option.
_ADDING = {"experiment"}


def read(lines: Sequence[str]) -> list[Override]:
    """Parses what was typed.

    Hydra's grammar has no letters but English ones and few signs: a plain value with others, such
    as `dataset.path=größe (1).csv`, is read as if it were in quotes.

    Raises:
      ConfigError: Something is no `key=value`; all such arguments are named.
    """
    parser = OverridesParser.create()
    read, problems = [], []
    for line in lines:
        try:
            override = _parsed(parser, line)
        except (HydraException, ValueError) as error:
            problems.append(_unreadable(line, error))
        else:
            read.append(override)
    if problems:
        raise ConfigError("\n".join(problems))
    return read


def _parsed(parser: OverridesParser, line: str) -> Override:
    try:
        override = parser.parse_overrides([line])[0]
    except HydraException:
        requoted = _requoted(line)
        if requoted is None or not line.isprintable():
            raise
        override = parser.parse_overrides([requoted])[0]
    if not override.key_or_group:
        raise ValueError("The key is missing")
    return override


def _requoted(line: str) -> str | None:
    """Returns an argument with quotes where Hydra needs them, if it is clear what is meant."""
    if plain := _PLAIN.fullmatch(line):
        return f"{plain['key']}='{plain['value']}'"
    labels = _labels(line)
    if not any(is_quoted for _, is_quoted in labels) or _in_quotes(labels) != labels:
        return None
    return _listed(line, labels)


def _labels(line: str) -> list[tuple[str, bool]]:
    """Returns the labels that are given, and whether they are in quotes; none if some is none."""
    try:
        return split(line.partition("=")[2])
    except ValueError:
        return []


def _in_quotes(labels: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Returns labels with quotes around all that have settings."""
    return [(text, is_quoted or "(" in text) for text, is_quoted in labels]


def _listed(line: str, labels: Sequence[tuple[str, bool]]) -> str:
    """Returns the argument that gives labels, in Hydra's quotes."""
    texts = [
        QuotedString(text, Quote.single).with_quotes() if is_quoted else text
        for text, is_quoted in labels
    ]
    return f"{line.partition('=')[0]}={','.join(texts)}"


def _unreadable(line: str, error: Exception) -> str:
    key, sign, value = line.partition("=")
    if not sign:
        why = "It has no `=`."
    elif not key.strip() or key != key.strip():
        why = "The key stands right before the `=`, without blanks."
    elif not _KEY.fullmatch(key):
        why = "A key is names with dots between them: model.width."
    elif any(value.count(a) != value.count(b) for a, b in _PAIRS.items()):
        why = "A bracket is not closed."
    elif any(value.count(quote) % 2 for quote in "'\""):
        why = "A quotation mark is not closed."
    elif (labels := _labels(line)) and _in_quotes(labels) != labels:
        key, _, quoted = _listed(line, _in_quotes(labels)).partition("=")
        why = f'Put what has settings in parentheses into quotes twice: {key}="{quoted}"'
    elif re.search(r"\s[\w.]+=", value):
        why = "Give each setting as an argument of its own."
    elif value.endswith(","):
        why = "Nothing follows the last comma."
    elif isinstance(error.__cause__, TypeError | ValueError):
        why = f"{' '.join(str(error.__cause__).split())}."
    else:
        why = "Put a value with special characters into quotes twice: \"key='a=b'\"."
    return f"An argument must be key=value. Received: {shown(line)}. {why}"


def values(override: Override) -> list[Any]:
    """Returns the value, or all values of a sweep that names them."""
    if not override.is_sweep_override():
        return [override.value()]
    listed = getattr(override._value, "list", None)
    return [Override._convert_value(value) for value in listed or []]


def is_choice(override: Override, repository: IConfigRepository) -> bool:
    """Tells whether an override chooses an option rather than sets a value."""
    exists = repository.group_exists(override.key_or_group)
    return exists and not isinstance(override.value(), dict)


def choice_problem(
    override: Override, repository: IConfigRepository, known: Iterable[str]
) -> str | None:
    """Returns what is wrong with the choice of an option, or None.

    Args:
      override: One of a group.
      repository: Where the options are.
      known: The groups that every configuration has.
    """
    group, given = override.key_or_group, override.input_line
    if group == "hydra":
        return f"`hydra` holds Hydra's own settings. Received: {given}. Name one: hydra.<key>=..."
    above = group.partition("/")[0]
    if above in known and above != group:
        option = f"{group}/{override.get_value_string()}".removeprefix(f"{above}/")
        return f"`{group}` is a part of `{above}`. Received: {given}. Write {above}={option}."
    if override.is_delete():
        return removal_problem(group, given) if group in known else None
    if group in known and (override.package or override.type != OverrideType.CHANGE):
        plain = f"{group}={override.get_value_string()}"
        return f"`{group}` is chosen without `+` and `@`. Received: {given}. Write {plain}."
    names = [name for value in values(override) for name in _names(value)]
    if group == "hydra/launcher" and names != ["cohort"]:
        return launcher_problem(", ".join(map(str, names)))
    if wrong := options.problems(group, names, repository):
        return "\n".join(wrong)
    if not (group in known or override.is_add() or override.is_hydra_override()):
        return f"`{group}` is not chosen by default. Received: {given}. Write +{given}."
    if group not in _ADDING and any(isinstance(value, list) for value in values(override)):
        return (
            f"`{group}` must be one option. Received: {given}. "
            f"To compare several: --multirun {group}={','.join(names)}"
        )
    return None


def launcher_problem(received: str) -> str:
    """Returns the sentence about a launcher that is not `cohort`."""
    return (
        "`hydra/launcher` must be left out: the launcher `cohort` plans all jobs of a sweep "
        f"together. Received: {received}."
    )


def _names(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def removal_problem(key: str, line: str | None) -> str:
    """Returns the sentence about a setting that must not be removed."""
    return f"`{key}` cannot be removed. Received: {line}. Leave it out for its default."


def key_problem(override: Override, config: DictConfig) -> str | None:
    """Returns what is wrong with the key of a setting, or None.

    Args:
      override: One that sets a value, or several in turn.
      config: The configuration that it is for, with or without that value.
    """
    key, given = override.key_or_group, override.input_line
    if override.package is not None or "/" in key:
        return f"`{key}` is not a group of options. Received: {given}."
    below = [
        f"{key}.{name}" for value in values(override) if isinstance(value, dict) for name in value
    ]
    group, _, name = key.partition(".")
    if name == "name" and not override.is_delete():
        plain = f"{group}={override.get_value_string()}"
        return f"`{key}` is the option itself. Received: {given}. Write {plain}."
    for each in (key, *below):
        if problem := unknown(each, config):
            return problem
    depth = len(_parts(key))
    if override.is_delete() and depth <= _SETTING_DEPTH and not override.is_hydra_override():
        return removal_problem(key, given)
    return None


def sweep_problem(override: Override, is_sweep: bool, groups: Sequence[str]) -> str | None:
    """Returns why several values cannot be given here, or None.

    Args:
      override: Any.
      is_sweep: Whether the command is a sweep.
      groups: The groups that every configuration has.
    """
    key, given = override.key_or_group, override.input_line
    if not override.is_sweep_override():
        return None
    if is_sweep:
        swept = override.is_hydra_override()
        return f"`{key}` must be the same in a whole sweep. Received: {given}." if swept else None
    is_list = override.value_type == ValueType.SIMPLE_CHOICE_SWEEP and key not in groups
    as_list = f" For one list write {key}=[{override.get_value_string()}]." if is_list else ""
    return f"`{key}` has several values. Received: {given}. For a sweep add --multirun.{as_list}"


def opened(settings: Sequence[Override], config: DictConfig) -> list[Override]:
    """Returns the overrides so that it does not matter whether a setting stands in some file.

    Arguments of a user's own function do not, nor what a user's own option leaves out: Hydra wants
    a `+` before these, and none before others. Here what is known is set, with and without it.
    """
    return [
        dataclasses.replace(each, type=OverrideType.FORCE_ADD)
        if each.is_add() or (each.type == OverrideType.CHANGE and _may_grow(each, config))
        else each
        for each in settings
    ]


def _may_grow(override: Override, config: DictConfig) -> bool:
    """Tells whether the key leads out of an open mapping, or to a setting that is not there."""
    node: Any = config
    *above, last = _parts(override.key_or_group)
    for part in above:
        if not isinstance(node, DictConfig) or node._is_none() or part not in node:
            break
        node = node._get_node(part)
    is_open = isinstance(node, DictConfig) and not node._is_none() and last not in node
    return bool(above) and is_open and unknown(override.key_or_group, config) is None


def line(override: Override) -> str:
    """Returns an override as it can be typed."""
    text = str(override.input_line)
    return f"++{text.lstrip('+')}" if override.is_force_add() else text


def unknown(key: str, config: DictConfig) -> str | None:
    """Returns the sentence about a dotted key that no setting has, or None if there may be one."""
    node: Any = config
    above: list[str] = []
    for part in _parts(key):
        names = names_below(node, above)
        if names is None:
            return None
        if part not in names:
            return _unknown(".".join(above), part, key, names, config)
        node = node._get_node(part, validate_access=False) if isinstance(node, DictConfig) else None
        above.append(part)
    return None


def names_below(node: Any, above: Sequence[str]) -> list[str] | None:
    """Returns the keys that a node of the configuration may have; None if it may have any.

    Args:
      node: The node.
      above: The keys that lead to it.
    """
    from runner.execution.configure import GROUPS

    if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
        return None
    kind = OmegaConf.get_type(node)
    if len(above) == 1 and above[0] in GROUPS:
        name = node._get_node("name", validate_access=False)
        option = name._value() if isinstance(name, Node) else None
        kind = GROUPS[above[0]].get(option, dict) if isinstance(option, str) else dict
    if not dataclasses.is_dataclass(kind):
        return None
    names = [field.name for field in dataclasses.fields(kind)]
    if len(above) > 2 and above[:2] == ["hydra", "sweeper"]:
        return list(map(str, node))  # the options of a plugin have more settings than their class
    return names if above[:1] == ["hydra"] else [*names, "name" if above else "hydra"]


def _unknown(above: str, part: str, key: str, names: Sequence[str], config: DictConfig) -> str:
    from runner.execution.configure import GROUPS

    if not above:
        meant = did_you_mean(key, dotted(config)) or " `python -m runner --help` lists all."
        return f"`{key}` is not a setting.{meant}"
    if above not in GROUPS:
        meant = did_you_mean(key, dotted(config.hydra, "hydra"))
        return f"`{key}` is not a setting of `{above}`.{meant}"
    having = [
        option
        for option, spec in GROUPS[above].items()
        if part in (field.name for field in dataclasses.fields(spec))
    ]
    of_others = f" Of `{above}`, it is a setting of {', '.join(having)}." if having else ""
    names = [name for name in names if name != "name"]
    elsewhere = () if having else dotted(config)
    option = config[above].get("name")
    return not_a_setting(above, option, part, names, elsewhere) + of_others


def dotted(node: Any, *above: str) -> list[str]:
    """Returns the keys of the settings that there may be, and of what holds them.

    Args:
      node: A configuration, or what it has under a key.
      above: That key. Hydra's own settings are left out unless it is `hydra`.
    """
    found = []
    for name in names_below(node, above) or ():
        key = [*above, name]
        if key != ["hydra"] and (name != "name" or len(above) != 1):
            below = node._get_node(name, validate_access=False)
            found += [".".join(key), *dotted(below, *key)]
    return found


def _parts(key: str) -> list[str]:
    return [part for part in re.split(r"[.\[\]]", key) if part]
