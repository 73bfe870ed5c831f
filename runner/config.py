"""Typed settings: what each key of the configuration accepts, and one clear line when it does not.

Hydra composes the YAML files of `conf/` into a tree; `convert` turns one node of that tree into a
frozen dataclass whose fields carry a `Rule`. The dataclasses that belong to one choice among
several (an initializer, a data set, ...) live beside the code that they configure; those that every
configuration has live here.
"""

import dataclasses
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from runner.masking import masked
from runner.spelling import did_you_mean

T = TypeVar("T")


class ConfigError(Exception):
    """A setting that cannot work. Its message is one line, which is told without a traceback.

    It is none of Hydra's errors: those take as long to import as all that a report computes.
    """

    @classmethod
    def at(cls, key: str, rule: str, received: object, advice: str = "") -> "ConfigError":
        """Returns the error for `key`: the rule, what arrived and, if there is any, advice."""
        tail = f" {advice}" if advice else ""
        return cls(f"`{key}` must be {rule}. Received: {shown(received)}.{tail}")


def shown(value: object, limit: int = 120) -> str:
    """Returns `value` as one short line of text, without passwords."""
    text = " ".join(repr(masked(value)).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def abridged(texts: Sequence[str], most: int, rest: str = "more", separator: str = ", ") -> str:
    """Returns the first `most` of the texts, and how many more there are.

    >>> abridged(["a", "b", "c"], 2), abridged(["a", "b"], 2)
    ('a, b and 1 more', 'a, b')
    """
    more = f" and {len(texts) - most} {rest}" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


@dataclass(frozen=True)
class Rule:
    """What a setting accepts.

    Attributes:
      text: Completes the sentence "`key` must be ...".
      accept: Returns the value in its proper type; raises `ValueError` or `TypeError` otherwise.
    """

    text: str
    accept: Callable[[Any], Any]

    def apply(self, key: str, value: object) -> Any:
        """Returns the accepted value or raises `ConfigError`."""
        try:
            return self.accept(value)
        except (TypeError, ValueError, OverflowError):
            raise ConfigError.at(key, self.text, value) from None


def _integer(minimum: int) -> Callable[[Any], int]:
    def accept(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ValueError
        return value

    return accept


def _number(holds: Callable[[float], bool]) -> Callable[[Any], float]:
    def accept(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        if not math.isfinite(value) or not holds(value):
            raise ValueError
        return float(value)

    return accept


def _instance(kind: type | types.UnionType) -> Callable[[Any], Any]:
    def accept(value: Any) -> Any:
        if not isinstance(value, kind) or value == "":
            raise ValueError
        return value

    return accept


def _import_path(value: Any) -> str:
    module, _, name = str(value).replace(":", ".").rpartition(".")
    if not isinstance(value, str) or not module or not name.isidentifier():
        raise ValueError
    return f"{module}.{name}"


def _arguments(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError
    return dict(value)


POSITIVE_INTEGER = Rule("a positive integer", _integer(1))
NON_NEGATIVE_INTEGER = Rule("a non-negative integer", _integer(0))
NUMBER = Rule("a finite number", _number(lambda _: True))
POSITIVE = Rule("a positive number", _number(lambda value: value > 0))
NON_NEGATIVE = Rule("a non-negative number", _number(lambda value: value >= 0))
FRACTION = Rule("a number from 0 up to, but not including, 1", _number(lambda v: 0 <= v < 1))
PROPER_FRACTION = Rule("a number above 0 and below 1", _number(lambda value: 0 < value < 1))
BOOLEAN = Rule("true or false", _instance(bool))
TEXT = Rule("a non-empty text", _instance(str))
IMPORT_PATH = Rule("an import path such as 'package.module.name'", _import_path)


@dataclass(frozen=True)
class ClassRule(Rule):
    """Admits the name of a class in a module, or an import path.

    Attributes:
      module: The module, such as `"keras.initializers"`.
    """

    module: str


def target_in(module: str, example: str) -> ClassRule:
    """Returns the rule that admits the name of a class in a module, or an import path.

    A class has one name: that without the module, unless it looks like the name of an option, as
    Keras's `he_normal` does.
    """

    def accept(value: Any) -> str:
        is_bare = isinstance(value, str) and value.isidentifier()
        path = f"{module}.{value}" if is_bare else _import_path(value)
        above, _, name = path.rpartition(".")
        return name if above == module and name[0].isupper() else path

    return ClassRule(f"a class in {module}, such as '{example}', or an import path", accept, module)


ARGUMENTS = Rule("a mapping of argument names to values", _arguments)


def one_of(*choices: str) -> Rule:
    """Returns the rule that admits only `choices`."""

    def accept(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Rule(f"one of {', '.join(choices)}", accept)


def optional(rule: Rule) -> Rule:
    """Returns `rule`, which also admits null."""
    return Rule(
        f"{rule.text}, or null", lambda value: None if value is None else rule.accept(value)
    )


def setting(rule: Rule, default: Any = dataclasses.MISSING) -> Any:
    """Declares a dataclass field that accepts what `rule` accepts."""
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={"rule": rule})
    return dataclasses.field(default=default, metadata={"rule": rule})


def convert(spec: type[T], node: Mapping[str, Any], key: str) -> T:
    """Converts a plain mapping to the settings dataclass `spec`.

    Args:
      spec: A dataclass whose fields were made by `setting`.
      node: Plain Python values (not a `DictConfig`). An entry `name` is ignored: it chose `spec`.
      key: Where the node stands in the configuration, for the messages, such as `"init"`.

    Raises:
      ConfigError: A key is unknown or missing, or a value breaks its rule.
    """
    fields = {field.name: field for field in dataclasses.fields(spec)}  # type: ignore[arg-type]
    if unknown := [name for name in node if name not in {*fields, "name"}]:
        raise ConfigError(
            " ".join(not_a_setting(key, node.get("name"), str(name), fields) for name in unknown)
        )
    values = {
        name: field.metadata["rule"].apply(f"{key}.{name}", node[name])
        for name, field in fields.items()
        if name in node
    }
    for name, field in fields.items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"`{key}.{name}` is missing: it must be {_rule_text(field)}.")
    return spec(**values)


def not_a_setting(
    key: str, option: object, name: str, known: Iterable[str], elsewhere: Iterable[str] = ()
) -> str:
    """Returns the sentence that says that an option has no setting `name`.

    Args:
      key: The group, such as `"init"`.
      option: The option, such as `"zero"`; None if it is not known.
      name: The unknown name.
      known: The names of the settings that there are.
      elsewhere: Keys of other settings, which may be meant too.
    """
    names = list(known)
    meant = did_you_mean(f"{key}.{name}", [*(f"{key}.{other}" for other in names), *elsewhere])
    owner = f"`{key}`" if option is None else f"{key}={option}"
    settings = ", ".join(names) or "no settings"
    return f"`{key}.{name}` is not a setting of {owner}.{meant} It has: {settings}."


def _rule_text(field: dataclasses.Field) -> str:
    return field.metadata["rule"].text


def choose(catalogue: Mapping[str, type[T]], node: Mapping[str, Any], key: str) -> T:
    """Converts `node` to the settings that its entry `name` selects from `catalogue`.

    Raises:
      ConfigError: There is no such name, or a setting is wrong.
    """
    name = node.get("name")
    if not isinstance(name, str) or name not in catalogue:
        meant = did_you_mean(name, catalogue).strip() if isinstance(name, str) else ""
        raise ConfigError.at(f"{key}.name", f"one of {', '.join(catalogue)}", name, meant)
    return convert(catalogue[name], node, key)


def changed_settings(spec: object) -> dict[str, Any]:
    """Returns the settings of a dataclass that differ from their defaults, in field order."""
    changed = {}
    for field in dataclasses.fields(spec):  # type: ignore[arg-type]
        value = getattr(spec, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if value != default:
            changed[field.name] = value
    return changed
