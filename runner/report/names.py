"""What configurations, metrics and numbers are called in front of people."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from runner import tasks
from runner.plan import Scalar
from runner.records import ConfigurationRecord, lower_is_better
from runner.summary import Summary

# What is narrower than this, relatively, is the rounding of equal numbers.
_ROUNDING = 1e-12
_MOST_DECIMALS = 6
# Numbers that are all smaller, or as large, are written as powers of ten.
_NEAR = 1e-3, 1e7
MINUS = "\N{MINUS SIGN}"
VARIATION = {
    "kernels": "the kernels",
    "weights": "weights that are no kernels",
    "batches": "the order of the data",
    "dropout": "dropout",
}
"""What may differ between the seeds of a configuration, in words."""


@dataclass(frozen=True)
class Name:
    """How a configuration is called.

    Attributes:
      series: What tells it from the others of its cell: the initializer, or, where only one
        initializer is in the sweep, its factors.
      cell: What it shares with the other configurations of its cell, such as `"depth=2"`; empty
        where all are compared with each other.
      values: The values in `cell` without their keys.
      heading: What `short_title` consists of, such as `"initializer · depth"`; empty where that is
        a single name.
      shared: What the values in `cell` are of, such as `("depth",)`.
    """

    series: str
    cell: str = ""
    values: str = ""
    heading: str = ""
    shared: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The whole name, unique in its sweep."""
        return f"{self.series} · {self.cell}" if self.cell else self.series

    @property
    def short_title(self) -> str:
        """The whole name without keys, for the rows of a figure; unique in its sweep too."""
        return f"{self.series} · {self.values}" if self.cell else self.series


def configuration_names(
    configurations: Sequence[ConfigurationRecord], by: Sequence[str] | None = None
) -> dict[int, Name]:
    """Returns the name of each configuration, by its number.

    Args:
      configurations: All of the sweep.
      by: What configurations of one cell share: factors, or `"init"`. None stands for all factors,
        or for nothing where there is one initializer only.
    """
    keys = short_keys(key for record in configurations for key in record.factors)
    one_init = len({record.init for record in configurations}) == 1
    if by is None:
        by = () if one_init else tuple(keys)
    shared = {"init": "initializer", **keys}
    heading = one_line(", ".join(shared[key] for key in by))
    names = {}
    for record in configurations:
        texts = {keys[key]: scalar_text(value) for key, value in record.factors.items()}
        texts = {"initializer": record.init, **texts}
        within = {key: text for key, text in texts.items() if key in {shared[k] for k in by}}
        apart = {key: text for key, text in texts.items() if key not in within}
        own = dict(apart)
        if one_init and len(own) > 1:
            del own["initializer"]
        names[record.index] = Name(
            series=one_line(", ".join(_assignments(own)) or record.init),
            cell=one_line(", ".join(_assignments(within))),
            values=one_line(", ".join(within.values())),
            heading=f"{', '.join(apart) or 'initializer'} · {heading}" if within else "",
            shared=tuple(within),
        )
    repeated = Counter(names.values())
    return {
        index: replace(name, series=f"{name.series} #{index}") if repeated[name] > 1 else name
        for index, name in names.items()
    }


def _assignments(texts: Mapping[str, str]) -> list[str]:
    return [text if key == "initializer" else f"{key}={text}" for key, text in texts.items()]


def row_heading(names: Iterable[Name]) -> str | None:
    """Returns what the short titles consist of, or None where they are single names."""
    return next((name.heading for name in names if name.heading), None)


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Returns each key without its group, or the whole key where that is not unique.

    >>> short_keys(["model.depth", "optimizer.learning_rate"])
    {'model.depth': 'depth', 'optimizer.learning_rate': 'learning_rate'}
    """
    unique = list(dict.fromkeys(keys))
    short = {key: key.partition(".")[2] or key for key in unique}
    times = Counter(short.values())
    return {key: text if times[text] == 1 else key for key, text in short.items()}


def one_line(text: str) -> str:
    """Returns a text without line breaks: labels hold whatever arguments their users give."""
    return " ".join(text.split())


def scalar_text(value: Scalar) -> str:
    """Returns a setting's value as YAML would show it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)


def metric_name(metric: str) -> str:
    """Returns a metric in words.

    >>> metric_name("val_accuracy")
    'validation accuracy'
    """
    return f"{tasks.parted(metric)[0]} {tasks.metric(metric).words}"


def endpoint_name(configuration: ConfigurationRecord) -> str:
    """Returns what the comparison is about in words, such as `"final validation accuracy"`."""
    metric = metric_name(configuration.endpoint)
    if not configuration.is_trained:
        return f"{metric} before training"
    if configuration.endpoint_at == "epoch":
        return f"{metric} at epoch {configuration.endpoint_epoch}"
    return f"{configuration.endpoint_at} {metric}"


def best_word(metric: str) -> str:
    """Returns "highest" or "lowest": which value of the metric is the best one."""
    return "lowest" if lower_is_better(metric) else "highest"


def decimals(summaries: Iterable[Summary]) -> int:
    """Returns how many decimals show two digits of a typical uncertainty.

    Without any: four decimals, or as many digits of numbers that are far from one. Less than none,
    or more than `_MOST_DECIMALS`, make `number` write powers of ten.
    """
    known = list(summaries)
    return decimals_of([(s.high - s.low) / 2 for s in known], [s.mean for s in known])


def decimals_of(widths: Iterable[float], values: Iterable[float]) -> int:
    """Returns the decimals for numbers with such intervals: half their widths, and their means."""
    pairs = [(width, abs(value)) for width, value in zip(widths, values, strict=True)]
    wide = [width for width, size in pairs if width > _ROUNDING * size]
    sizes = [size for _, size in pairs if 0 < size < math.inf]
    largest = max(sizes, default=1.0)
    is_far = not _NEAR[0] <= largest < _NEAR[1]
    if wide:
        digits = 1 - math.floor(math.log10(float(np.median(wide))))
    else:
        digits = 3 - math.floor(math.log10(largest)) if is_far else 4
    return digits if is_far else min(max(digits, 0), _MOST_DECIMALS)


def number(value: float, digits: int, signed: bool = False) -> str:
    """Returns a number with a true minus sign, or a dash where it is missing.

    >>> number(0.12345, 2), number(1.2345e12, -10)
    ('0.12', '1.23e12')
    """
    if not math.isfinite(value):
        return "–"
    is_zero = abs(value) < 0.5 * 10.0**-digits
    sign = "+" if signed and not is_zero else ""
    if 0 <= digits <= _MOST_DECIMALS:
        text = f"{value:{sign}.{digits}f}"
    elif is_zero:
        return "0"
    else:
        places = max(digits + math.floor(math.log10(abs(value))), 0)
        mantissa, exponent = f"{value:{sign}.{places}e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.removeprefix("-" if is_zero else "").replace("-", MINUS)


def significant(value: float, digits: int = 4) -> str:
    """Returns a number with so many significant digits, or a dash where it is missing."""
    if not math.isfinite(value):
        return "–"
    mantissa, mark, exponent = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}{mark}{int(exponent) if mark else ''}".replace("-", MINUS)


def power(value: float, digits: int) -> str:
    """Returns a positive number with so many significant digits, as a power where it is far from 1.

    >>> power(0.0123, 2), power(12345, 2)
    ('0.012', '1.2e4')
    """
    if not math.isfinite(value) or value == 0 or 0.001 <= value < 10**digits - 0.5:
        return significant(value, digits)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}".replace("-", MINUS)


def p_value(value: float) -> str:
    """Returns such as `"= 0.012"`, `"< 0.001"` or `"> 0.99"`, or a dash where it is missing."""
    if not math.isfinite(value):
        return "–"
    if value > 0.99:
        return "> 0.99"
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"


def interval(summary: Summary, digits: int, signed: bool = False) -> str:
    """Returns the ends of an interval, or an empty text where there is none."""
    if math.isnan(summary.low):
        return ""
    low, high = (number(end, digits, signed) for end in (summary.low, summary.high))
    return f"[{low}, {high}]"


def mean_and_interval(summary: Summary, digits: int, signed: bool = False) -> str:
    """Returns such as `"0.941 [0.935, 0.947]"`."""
    text = f"{number(summary.mean, digits, signed)} {interval(summary, digits, signed)}"
    return text.strip()


def counted(count: int, noun: str) -> str:
    """Returns such as `"1 seed"` or `"5 seeds"`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def reference_word(are_baselines: Iterable[bool]) -> str:
    """Returns what the reference of the cells is called in front of people."""
    found = {bool(each) for each in are_baselines}
    return (
        "baseline or best mean" if len(found) > 1 else "baseline" if True in found else "best mean"
    )


def listed(words: Sequence[str], last: str = "and") -> str:
    """Returns such as `"a, b and c"`."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def listed_some(items: Sequence[str], most: int = 4) -> str:
    """Returns such as `"a, b, c, d and 3 more"`."""
    more = len(items) - most
    return listed([*items[:most], f"{more} more"] if more > 0 else items)


def shape_text(shape: Sequence[int]) -> str:
    """Returns such as `"3 × 3 × 16"`."""
    return " × ".join(str(size) for size in shape)


def coverage(num_asked: int, counts: Mapping[str, int], noun: str = "") -> str:
    """Returns over how many replicates a mean is, such as `"7 of 10; 3 diverged"`.

    Args:
      num_asked: Replicates that were asked for.
      counts: Status -> number of replicates; a status may be missing.
      noun: What is counted, if it is to be named.
    """
    finished = counts.get("finished", 0)
    others = lost(num_asked, counts)
    total = finished + sum(others.values())
    shown = counted(total, noun).strip() if noun else str(total)
    if not others:
        return shown
    return f"{finished} of {shown}; {', '.join(f'{n} {status}' for status, n in others.items())}"


def lost(num_asked: int, counts: Mapping[str, int]) -> dict[str, int]:
    """Returns how many replicates did not finish, by status; those without a record are missing."""
    others = {status: n for status, n in counts.items() if status != "finished" and n}
    missing = num_asked - sum(counts.values())
    return others | ({"missing": missing} if missing > 0 else {})
