"""What was measured, beside what was predicted, in rows for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from runner.config import choose
from runner.propagation.advice import advice
from runner.propagation.judgement import Verdict, judge
from runner.propagation.settings import CATALOGUE, Diagnostics
from runner.records import ConfigurationRecord, KernelRecord, PropagationRecord


@dataclass(frozen=True)
class Opinion:
    """What is said of a configuration."""

    verdict: Verdict
    advice: str


def opinion(record: ConfigurationRecord, records: Sequence[PropagationRecord]) -> Opinion:
    """Returns verdict and advice for a configuration.

    Args:
      record: The configuration; its settings hold the limits.
      records: Of its replicates, at least one.
    """
    verdict = judge(records, limits(record))
    return Opinion(verdict, advice(verdict, records, record.settings, record.kernels))


def limits(record: ConfigurationRecord) -> Diagnostics:
    """Returns the limits that a configuration was run with; the defaults of older records."""
    found: Any = Diagnostics()
    if node := record.settings.get("diagnostics"):
        found = choose(CATALOGUE, node, "diagnostics")
    return found if isinstance(found, Diagnostics) else Diagnostics()


# Title, quantity, whether over seeds the geometric mean is taken.
COLUMNS = (
    ("n var w", "weight_variance", True),
    ("var z", "preactivation_variance", True),
    ("var h", "activation_variance", True),
    ("gradient", "gradient_variance", True),
    ("off", "off_share", False),
    ("corr", "correlation", False),
)
PREDICTED = {"preactivation_variance", "gradient_variance", "correlation"}


def mean_over_seeds(
    records: Sequence[PropagationRecord], quantity: str, geometric: bool, predicted: bool = False
) -> np.ndarray:
    """Returns a quantity of all layers over replicates; NaN where there is none."""
    values = np.array([record.values(quantity, predicted) for record in records], float)
    if not geometric:
        return values.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp(np.log(values).mean(axis=0))


def layers_table(records: Sequence[PropagationRecord]) -> tuple[list[str], list[list[str]]]:
    """Returns titles and rows: a layer each, measured beside predicted."""
    titles = ["layer"]
    columns: list[list[str]] = [records[0].layers]
    for title, quantity, geometric in COLUMNS:
        values = mean_over_seeds(records, quantity, geometric)
        if not np.isnan(values).all():
            titles.append(title)
            columns.append([number(value) for value in values])
        if quantity not in PREDICTED:
            continue
        theory = mean_over_seeds(records, quantity, geometric, predicted=True)
        if not np.isnan(theory).all():
            titles.append("theory")
            columns.append([number(value) for value in theory])
    return titles, [list(row) for row in zip(*columns, strict=True)]


def card_table(
    record: ConfigurationRecord, records: Sequence[PropagationRecord]
) -> tuple[list[str], list[list[str]]]:
    """Returns titles and rows of the preflight card: the kernels, equal ones in one row."""
    titles = ["kernel", "shape", "fan_in", "fan_out", "law", "intended std", "realised std"]
    realised = _realised(records)
    alike = groupby(record.kernels, key=lambda k: (k.shape, k.law, *_fans(k), k.stddev))
    return titles, [_card_row(list(kernels), realised) for _, kernels in alike]


# What makes a weight a kernel, in words.
_ORIGINS = {"name": "Keras", "product": "used in a product", "setting": "init.kernels"}


def found_table(record: ConfigurationRecord) -> tuple[list[str], list[list[str]]]:
    """Returns titles and rows of the kernels and why they are some.

    No rows where all kernels are Keras's own.
    """
    titles = ["kernel", "shape", "fan_in", "fan_out", "why"]
    if all(kernel.origin == "name" for kernel in record.kernels):
        return titles, []
    rows = [
        [k.path, " × ".join(map(str, k.shape)), *_fans(k), _ORIGINS[k.origin]]
        for k in record.kernels
    ]
    return titles, rows


def _fans(kernel: KernelRecord) -> list[str]:
    """Returns both fans as Keras counts them, and the true ones where they differ."""
    counted = (kernel.fan_in, kernel.fan_out)
    return [
        str(fan) if fan == true else f"{fan} (true {true:.4g})"
        for fan, true in zip(counted, kernel.exact_fans or counted, strict=True)
    ]


def _card_row(kernels: Sequence[KernelRecord], realised: Mapping[str, float]) -> list[str]:
    """Returns the row of kernels that follow each other and have the same shape and law."""
    first, last = kernels[0], kernels[-1]
    found = [realised.get(kernel.path, np.nan) for kernel in kernels]
    span = list(dict.fromkeys(number(value) for value in (min(found), max(found))))
    return [
        first.path if len(kernels) == 1 else f"{first.path} … {last.path} ({len(kernels)})",
        " × ".join(map(str, first.shape)),
        *_fans(first),
        first.law,
        number(np.nan if first.stddev is None else first.stddev),
        " to ".join(span),
    ]


def _realised(records: Sequence[PropagationRecord]) -> dict[str, float]:
    """Returns the root mean square over replicates of each kernel's standard deviation."""
    squares: dict[str, list[float]] = {}
    for record in records:
        for path, value in record.kernels.items():
            squares.setdefault(path, []).append(np.nan if value is None else value**2)
    return {path: float(np.sqrt(np.mean(values))) for path, values in squares.items()}


def number(value: float) -> str:
    """Returns three significant digits, two of the very small ones, nothing for no number."""
    if np.isnan(value):
        return ""
    return f"{value:.3g}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"


def shortened(rows: Sequence[list[str]], limit: int) -> list[list[str]]:
    """Returns at most `limit` rows: the first and the last ones, and how many are left out."""
    if len(rows) <= limit:
        return list(rows)
    head = limit // 2
    tail = limit - head - 1
    left_out = [f"… {len(rows) - head - tail} more", *[""] * (len(rows[0]) - 1)]
    return [*rows[:head], left_out, *rows[-tail:]]
