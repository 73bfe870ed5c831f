"""Rules: other laws for some weights of a model (`init.rules`).

A rule names weights by one or several of `role`, `path`, `type` and `index`, all of which must fit,
and the law that draws them: `init`, with its settings beside it or in its label. The first rule
that fits a weight holds. `role` is a word of `runner.anatomy.roles` or a list of them, `path` a
pattern of paths or a list, `type` the class of a layer that the weight belongs to or is inside of,
`index` the number of a kernel in the order of the model's weights, from the end if it is negative.

Rules mean kernels and embedding tables. A role may be that of other weights
(`normalization_scale`), and so may a path whose last part is a name without wildcards, such as
`*/bias`.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from runner.anatomy.kernels import Weight, listed
from runner.anatomy.roles import ROLES
from runner.config import ConfigError, Rule, shown
from runner.labels import label, read
from runner.spelling import did_you_mean

KEY = "init.rules"
_SELECTORS = ("role", "path", "type", "index")
_TAG_LENGTH = 4
TAG = re.compile(rf"\d+-[0-9a-f]{{{_TAG_LENGTH}}}")
"""What stands for rules in a label."""


@dataclass(frozen=True)
class Given:
    """A rule as it was given.

    Attributes:
      selectors: `role`, `path`, `type` -> words, one of which must fit; `index` -> a number.
      init: Name of the law.
      settings: Of the law.
    """

    selectors: Mapping[str, Any]
    init: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = [f"{key} {_words(value)}" for key, value in self.selectors.items()]
        return f"{', '.join(told)}: {label(self.init, self.settings)}"

    @property
    def needs_roles(self) -> bool:
        """Whether it looks at roles."""
        return "role" in self.selectors

    def fits(self, weight: Weight, kernels: Sequence[Weight]) -> bool:
        """Tells whether a weight is meant; `kernels` are the model's."""
        return weight.is_real and all(
            _FITS[key](weight, value, kernels) for key, value in self.selectors.items()
        )

    def plain(self) -> dict[str, Any]:
        """Returns the rule as it is written."""
        selectors = {
            key: value[0] if isinstance(value, tuple) and len(value) == 1 else value
            for key, value in self.selectors.items()
        }
        return {**selectors, "init": self.init, **self.settings}


class Rules(tuple[Given, ...]):
    """Rules in their order; as text, how many there are and a tag of what they say."""

    def __str__(self) -> str:
        text = json.dumps([rule.plain() for rule in self], sort_keys=True, default=list)
        tag = hashlib.sha256(text.encode()).hexdigest()[:_TAG_LENGTH]
        return f"{len(self)}-{tag}"


def _words(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _rules(value: Any) -> Rules:
    if isinstance(value, str) and TAG.fullmatch(value):
        advice = (
            "That is a tag of rules which no sweep in results/ has. Write the rules themselves."
        )
        raise ConfigError.at(KEY, RULES.text, value, advice)
    if not isinstance(value, list | tuple):
        raise ValueError
    return Rules(_rule(entry) for entry in value)


def _rule(entry: Any) -> Given:
    if isinstance(entry, Given):
        return entry
    if not isinstance(entry, Mapping) or not isinstance(entry.get("init"), str):
        raise ValueError
    selectors = {key: _selector(key, entry[key]) for key in _SELECTORS if key in entry}
    if not selectors:
        raise ValueError
    rest = {key: value for key, value in entry.items() if key not in (*_SELECTORS, "init")}
    name, settings = read(entry["init"])
    return Given(selectors, name, {**settings, **rest})


def _selector(key: str, value: Any) -> Any:
    if key == "index":
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError
        return value
    words = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError
    for word in words:
        if key == "role" and word not in ROLES:
            raise ConfigError.at(
                KEY, f"about roles: {', '.join(ROLES)}", word, did_you_mean(word, ROLES).strip()
            )
    return words


RULES = Rule(
    "a list of rules such as {role: output, init: zero}, each with one or more of role, path, type "
    "and index, and with init and its settings",
    _rules,
)


def _fits_path(weight: Weight, patterns: Sequence[str], _: Sequence[Weight]) -> bool:
    return any(
        fnmatchcase(weight.path, pattern) and (weight.is_table or _names_it(pattern))
        for pattern in patterns
    )


def _names_it(pattern: str) -> bool:
    return not set("*?[") & set(pattern.rpartition("/")[2])


def _fits_type(weight: Weight, names: Sequence[str], _: Sequence[Weight]) -> bool:
    kinds = {type(layer).__name__ for layer in weight.layers}
    return weight.is_table and any(name in kinds for name in names)


def _fits_index(weight: Weight, index: int, kernels: Sequence[Weight]) -> bool:
    return -len(kernels) <= index < len(kernels) and kernels[index].position == weight.position


_FITS: Mapping[str, Callable[[Weight, Any, Sequence[Weight]], bool]] = {
    "role": lambda weight, roles, _: any(role in weight.roles for role in roles),
    "path": _fits_path,
    "type": _fits_type,
    "index": _fits_index,
}


def matched(given: Sequence[Given], places: Sequence[Weight]) -> dict[int, int]:
    """Returns which rule holds for which weight: position -> number of the rule.

    Args:
      given: The rules.
      places: All weights of the model, with their roles if a rule looks at them.

    Raises:
      ConfigError: A rule fits no weight, or none that an earlier rule has left.
    """
    kernels = [place for place in places if place.is_kernel]
    held: dict[int, int] = {}
    for number, rule in enumerate(given):
        fitting = [place for place in places if rule.fits(place, kernels)]
        left = [place for place in fitting if place.position not in held]
        if not left:
            why = (
                "Earlier rules hold for all that it fits."
                if fitting
                else _there_is(rule, places, kernels)
            )
            raise ConfigError(
                f"`{KEY}` must each fit a weight of the model. Received: {shown(rule.plain())}. "
                f"{why}"
            )
        held |= {place.position: number for place in left}
    return held


def _there_is(rule: Given, places: Sequence[Weight], kernels: Sequence[Weight]) -> str:
    if "role" in rule.selectors:
        roles = sorted({role for place in places for role in place.roles}, key=list(ROLES).index)
        return f"The model's weights have the roles {', '.join(roles)}."
    if "type" in rule.selectors:
        kinds = dict.fromkeys(
            type(layer).__name__ for place in places if place.is_table for layer in place.layers
        )
        return f"The layers with kernels or tables are {', '.join(kinds)}."
    if "index" in rule.selectors:
        return f"The model has {len(kernels)} kernels, counted from 0."
    return f"The weights are {listed(places)}."
