"""Which part of the records is looked at: conditions such as `init=he_*` or `model.depth<=8`.

    KEY=VALUE[,VALUE...]    one of the values; `*` and `?` stand for any text and any character
    KEY!=VALUE[,VALUE...]   none of them
    KEY<NUMBER, KEY<=NUMBER, KEY>NUMBER, KEY>=NUMBER

KEY is `init` (the label), `seed`, `weight_seed`, `batch_seed`, `status`, or a setting such as
`model.depth`; `model` alone is the option's name. Numbers are compared as numbers.
"""

import fnmatch
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner.records import ConfigurationRecord, ReplicateRecord
from runner.report.combining import with_factors
from runner.report.names import scalar_text, short_keys
from runner.report.reading import Records, ResultsError

_REPLICATE_KEYS = ("seed", "weight_seed", "batch_seed", "status")
_SYNTAX = re.compile(r"(?P<key>[^=<>!]+?)\s*(?P<sign>!=|<=|>=|=|<|>)\s*(?P<value>.*)", re.DOTALL)
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MAX_TOLD = 8


@dataclass(frozen=True)
class Condition:
    """One condition on one key.

    Attributes:
      key: What is looked at.
      sign: `=`, `!=`, `<`, `<=`, `>` or `>=`.
      values: What it is compared with.
    """

    key: str
    sign: str
    values: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        """Tells whether a value meets the condition."""
        if self.sign in _ORDER:
            number = _number(value)
            return not math.isnan(number) and _ORDER[self.sign](number, float(self.values[0]))
        return any(_is_like(value, wanted) for wanted in self.values) == (self.sign == "=")


def parse(text: str) -> Condition:
    """Returns the condition that a text stands for.

    Raises:
      ResultsError: It is none.
    """
    match = _SYNTAX.fullmatch(text.strip())
    if match is None or not match["value"]:
        raise ResultsError(
            f"--where must be a condition such as init=he_* or model.depth<=8. Received: {text!r}."
        )
    key, sign, value = match["key"], match["sign"], match["value"]
    if sign in _ORDER:
        if math.isnan(_number(value)):
            raise ResultsError(f"--where {text}: {value!r} is not a number.")
        return Condition(key, sign, (value,))
    return Condition(key, sign, tuple(_split(value)))


def _split(text: str) -> list[str]:
    """Returns what stands between commas; those within parentheses belong to a label."""
    return [part.strip() for part in re.split(r",(?![^([]*[)\]])", text)]


def _is_like(value: Any, wanted: str) -> bool:
    number, other = _number(value), _number(wanted)
    if number == other:
        return True
    pattern = re.sub(r"\[", "[[]", wanted)  # only * and ? are special: labels hold brackets
    return fnmatch.fnmatchcase(scalar_text(value), pattern)


def _number(value: Any) -> float:
    """Returns a number, or NaN for what is none."""
    if isinstance(value, bool) or value is None:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def selected(records: Records, where: Sequence[str]) -> Records:
    """Returns the configurations and replicates that meet all conditions.

    Numbers stay as they are; factors that no longer vary are dropped.

    Raises:
      ResultsError: A condition is malformed or knows no such key, or nothing meets them all.
    """
    if not where:
        return records
    conditions = [_completed(parse(text), records) for text in where]
    of_replicates = [c for c in conditions if c.key in _REPLICATE_KEYS]
    of_seeds = [c for c in of_replicates if c.key != "status"]
    of_configurations = [c for c in conditions if c.key not in _REPLICATE_KEYS]
    configurations = [
        record
        for record in records.configurations
        if all(condition.holds(setting(record, condition.key)) for condition in of_configurations)
    ]
    chosen = {record.index for record in configurations}
    ended = [
        record
        for record in records.replicates
        if record.configuration in chosen and _meets(record, of_seeds)
    ]
    replicates = [record for record in ended if _meets(record, of_replicates)]
    if not configurations or (of_replicates and not replicates):
        raise ResultsError(f"--where {' '.join(where)}: nothing is left.{_told(records, where)}")
    if of_replicates:
        configurations = [_asked_for(record, replicates) for record in configurations]
    return replace(
        records,
        configurations=tuple(with_factors(configurations)),
        replicates=tuple(replicates),
        num_deselected=len(ended) - len(replicates),
    )


def _meets(record: ReplicateRecord, conditions: Sequence[Condition]) -> bool:
    return all(condition.holds(getattr(record, condition.key)) for condition in conditions)


def _asked_for(
    record: ConfigurationRecord, replicates: Sequence[ReplicateRecord]
) -> ConfigurationRecord:
    """Returns a configuration of which only the given replicates are looked at."""
    count = sum(replicate.configuration == record.index for replicate in replicates)
    return replace(record, num_replicates=count)


def _completed(condition: Condition, records: Records) -> Condition:
    """Returns the condition with its whole key: `depth` stands for `model.depth`."""
    if condition.key in ("init", *_REPLICATE_KEYS):
        return condition
    keys = {key for record in records.configurations for key in settings(record)}
    return replace(condition, key=completed(condition.key, sorted(keys), "--where"))


def completed(key: str, known: Sequence[str], option: str) -> str:
    """Returns the key of `known` that `key` is or abbreviates.

    Args:
      key: Such as `"model.depth"` or `"depth"`.
      known: Whole keys.
      option: For the message.

    Raises:
      ResultsError: There is no such key.
    """
    whole = {short: whole for whole, short in short_keys(known).items()}
    if key in known or key in whole:
        return key if key in known else whole[key]
    shown = ", ".join(known[:_MAX_TOLD]) + (", …" if len(known) > _MAX_TOLD else "")
    raise ResultsError(f"{option}: there is no {key!r} here. There are: {shown or 'none'}.")


def setting(record: ConfigurationRecord, key: str) -> Any:
    """Returns the value of `init`, of a factor or of a setting; None where there is none."""
    return record.init if key == "init" else settings(record).get(key)


def settings(record: ConfigurationRecord) -> dict[str, Any]:
    """Returns the settings of a configuration, flat: `model` is its option's name."""
    flat: dict[str, Any] = {}
    for key, value in record.settings.items():
        flat |= _flat(key, value)
    own = {key: value for key, value in record.factors.items() if key not in record.settings}
    return flat | own


def _flat(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {key: value}
    flat = {key: value["name"]} if "name" in value else {}
    for name, item in value.items():
        if name != "name":
            flat |= _flat(f"{key}.{name}", item)
    return flat


def _told(records: Records, where: Sequence[str]) -> str:
    """Returns what the first key of the conditions has for values here."""
    key = _completed(parse(where[0]), records).key
    if key in _REPLICATE_KEYS:
        values = sorted({scalar_text(getattr(record, key)) for record in records.replicates})
    else:
        values = sorted({scalar_text(setting(record, key)) for record in records.configurations})
    shown = ", ".join(values[:_MAX_TOLD]) + (", …" if len(values) > _MAX_TOLD else "")
    return f" {key} is: {shown}."
