"""The .ts files of the UCR and UEA archives: time series with a class or a number each.

    # a comment
    @problemName Gestures
    @timeStamps false
    @classLabel true left right
    @data
    0.5,1.5,?:7,8,9:left

After `@data` each line is a series: its dimensions between colons, the values of one between
commas, `?` or `NaN` where one is missing, and last its label. `@targetLabel true` marks numbers as
labels.

Reference: Bagnall et al., 2018, "The UEA multivariate time series classification archive", and the
description of the format in `sktime` and `aeon`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.config import shown
from runner.datasets.files import unfit

_DATA = "@data"
_TRUE = "true"


@dataclass(frozen=True)
class TimeSeries:
    """What a file holds.

    Attributes:
      values: The dimensions of each series, each a float64 array of its own length.
      labels: Texts, shape (n,), or numbers, shape (n,), float64.
      is_class: Whether the labels are classes.
    """

    values: tuple[tuple[np.ndarray, ...], ...]
    labels: np.ndarray
    is_class: bool


def read_ts(path: Path) -> TimeSeries:
    """Returns the series of a file.

    Raises:
      ConfigError: A line is not as the format says.
      OSError: The file cannot be read.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = _numbered(file)
        header = _header(lines, path)
        rows = [(number, line.split(":")) for number, line in lines]
    if not rows:
        raise unfit("hold at least one example", f"nothing after {_DATA}", path)
    is_class = header.get("@classlabel", [""])[0] == _TRUE
    dimensions = len(rows[0][1])
    values, labels = [], []
    for number, fields in rows:
        if len(fields) != dimensions or dimensions < 2:
            rule = "have a label and as many dimensions in each line as in the first"
            received = f"{len(fields) - 1} dimensions in line {number}, and {dimensions - 1}"
            raise unfit(rule, received, path)
        values.append(tuple(_numbers(field, number, path) for field in fields[:-1]))
        labels.append(fields[-1].strip())
    if not is_class:
        return TimeSeries(tuple(values), _targets(labels, rows, path), is_class)
    known = header["@classlabel"][1:]
    for (number, _), label in zip(rows, labels, strict=True):
        if label not in known and known:
            rule = f"have the classes {shown(known)} that its header names"
            raise unfit(rule, f"{shown(label)} in line {number}", path)
    return TimeSeries(tuple(values), np.array(labels), is_class)


def _numbered(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """Yields the lines that say something, and their numbers from 1."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith(("#", "%")):
            yield number, text


def _header(lines: Iterator[tuple[int, str]], path: Path) -> dict[str, list[str]]:
    """Returns the words after each key, which is in lower case, up to the data."""
    header: dict[str, list[str]] = {}
    for number, line in lines:
        key, *words = line.split()
        if key.lower() == _DATA:
            break
        if not key.startswith("@"):
            raise unfit(f"hold keys before {_DATA}", f"{shown(line)} in line {number}", path)
        header[key.lower()] = [words[0].lower(), *words[1:]] if words else [""]
    else:
        raise unfit(f"hold the line {_DATA} and series after it", "none", path)
    if header.get("@timestamps") == [_TRUE]:
        raise unfit("hold series without time stamps", "@timeStamps true", path)
    labelled = [header.get(key, [""])[0] for key in ("@classlabel", "@targetlabel")]
    if _TRUE not in labelled:
        rule = "hold series with classes (@classLabel true ...) or numbers (@targetLabel true)"
        raise unfit(rule, "neither", path)
    return header


def _numbers(field: str, number: int, path: Path) -> np.ndarray:
    texts = ["nan" if text.strip() == "?" else text for text in field.split(",")]
    try:
        return np.array(texts, np.float64)
    except ValueError:
        wrong = next(text for text in texts if not _is_number(text))
        raise unfit(
            "hold numbers between commas, or ? where one is missing",
            f"{shown(wrong)} in line {number}",
            path,
        ) from None


def _targets(
    labels: Sequence[str], rows: Sequence[tuple[int, list[str]]], path: Path
) -> np.ndarray:
    for (number, _), label in zip(rows, labels, strict=True):
        if not _is_number(label):
            raise unfit("have numbers as targets", f"{shown(label)} in line {number}", path)
    return np.array(labels, np.float64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
