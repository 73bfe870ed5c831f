"""Time series: shape (n, steps, dimensions).

Series of several lengths are refused or padded at their end. What pads is missing, and so filled in
with the mean of its dimension in the training part: 0 where inputs are standardized.
"""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.config import FRACTION, PROPER_FRACTION, TEXT, one_of, optional, setting
from runner.datasets.arrays import stored
from runner.datasets.files import existing_file, reading, unfit
from runner.datasets.missing import MISSING, Fill, without_value
from runner.datasets.settings import TASK, Common, Examples
from runner.datasets.ts_file import TimeSeries, read_ts
from runner.tasks import Task

_WHAT = "a .ts file, or a .npz file with the arrays x and y"
_TRAIN, _TEST = "_train.ts", "_test.ts"


@dataclass(frozen=True)
class Series(Common):
    """Time series of the user.

    Attributes:
      path: A .ts file, of a pair `..._TRAIN.ts` and `..._TEST.ts` the first; or an .npz file as of
        `Arrays`, with x of shape (n, steps) or (n, steps, dimensions), in which NaN at the end of a
        series says that it is shorter.
      ragged: What becomes of series of several lengths: `"refuse"`, or `"pad"`.
      missing: What becomes of missing values, as for `Arrays`.
      task: What the targets are, or None for what a .ts file says, or to tell it from them.
      validation: As for `Arrays`.
      test: As for `Arrays`.
    """

    path: str | None = setting(optional(TEXT), None)
    ragged: str = setting(one_of("refuse", "pad"), "refuse")
    missing: str = setting(MISSING, "refuse")
    task: Task | None = setting(optional(TASK), None)
    validation: float | None = setting(optional(PROPER_FRACTION), None)
    test: float | None = setting(optional(FRACTION), None)  # type: ignore[misc]

    def read(self) -> Examples:
        """Returns the series, shape (n, steps, dimensions), NaN where a value is filled in."""
        path = existing_file(self.path, (".ts", ".npz"), _WHAT)
        with reading(path, _WHAT, ValueError, zipfile.BadZipFile, zlib.error, EOFError):
            is_ts = path.name.lower().endswith(".ts")
            read = _of_ts(path) if is_ts else _of_npz(path)
        parts = [part for part in (read.train, read.test) if part is not None]
        notes = self._check_lengths(parts, path)
        kept = [self._kept(part, path) for part in parts]
        if lost := sum(int((~rows).sum()) for rows in kept):
            total = sum(map(len, kept))
            why = "a missing value" if self.missing == "drop" else "no target"
            notes.append(f"{lost} of {total} series are left out because they have {why}")
        x, y = (array[kept[0]] for array in (parts[0].x, parts[0].y))
        tested = [array[kept[1]] for array in (parts[1].x, parts[1].y)] if read.test else []
        is_filled = any(np.isnan(values).any() for values in (x, *tested[:1]))
        if self.missing == "fill" and (num := sum(int(_missing(part).sum()) for part in parts)):
            notes.append(f"{num} missing values are filled in with the mean of the training part")
        return Examples(
            x=x,
            y=y,
            task=self.task or read.task,
            key="dataset.path",
            source=str(self.path),
            x_test=tested[0] if tested else None,
            y_test=tested[1] if tested else None,
            num_validation=int(kept[0][len(kept[0]) - read.num_validation :].sum()),
            steps=(Fill(source=str(self.path)),) if is_filled else (),
            notes=tuple(f"{path.name}: {note}." for note in notes),
        )

    def _check_lengths(self, parts: Sequence["_Part"], path: Path) -> list[str]:
        """Returns what is told of series of several lengths; refuses those that are not padded."""
        lengths = np.concatenate([part.lengths.reshape(-1) for part in parts])
        shortest, longest = int(lengths.min()), parts[0].x.shape[1]
        if shortest == longest:
            return []
        if self.ragged == "refuse":
            rule, received = "hold series of one length", f"lengths from {shortest} to {longest}"
            raise unfit(rule, received, path, "Set dataset.ragged=pad to fill them up.")
        return [
            f"series of {shortest} to {longest} steps are filled up at the end with the mean of "
            "the training part (`dataset.ragged`)"
        ]

    def _kept(self, part: "_Part", path: Path) -> np.ndarray:
        """Returns which series stay, shape (n,)."""
        missing = _missing(part)
        if self.missing == "refuse" and missing.any():
            received = f"{int(missing.sum())} in {int(missing.any(axis=(1, 2)).sum())} series"
            advice = "Set dataset.missing=fill or drop."
            raise unfit("have no missing values (NaN or ?)", received, path, advice)
        kept = np.ones(len(missing), bool)
        if self.missing != "refuse":
            kept[without_value(part.y)] = False
        if self.missing == "drop":
            kept[missing.any(axis=(1, 2))] = False
        return kept


@dataclass(frozen=True)
class _Part:
    """Series of one file or part.

    Attributes:
      x: Shape (n, steps, dimensions), float64, NaN where there is no value.
      y: Targets, shape (n, ...).
      lengths: Steps of each series, shape (n, dimensions).
    """

    x: np.ndarray
    y: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class _Read:
    """What the files hold: the official parts, if there are any, and the task, if it is known."""

    train: _Part
    test: _Part | None
    num_validation: int
    task: Task | None


def _missing(part: _Part) -> np.ndarray:
    """Returns which values of the series themselves are missing, shape (n, steps, dimensions)."""
    there = np.arange(part.x.shape[1])[:, np.newaxis] < part.lengths[:, np.newaxis, :]
    return np.isnan(part.x) & there


def _of_ts(path: Path) -> _Read:
    place = _partner(path)
    files = [read_ts(path), *([read_ts(place)] if place else [])]
    steps = max(len(values) for file in files for series in file.values for values in series)
    dimensions = [len(file.values[0]) for file in files]
    if place and (len(set(dimensions)) > 1 or files[0].is_class != files[1].is_class):
        received = f"{dimensions[1]} dimensions, and {dimensions[0]} in {path.name}"
        raise unfit("hold series like those of the training part", received, place)
    parts = [_padded(file, steps) for file in files]
    task: Task = "classification" if files[0].is_class else "regression"
    return _Read(parts[0], parts[1] if place else None, 0, task)


def _partner(path: Path) -> Path | None:
    """Returns the file with the test part of a pair, if there is one.

    Raises:
      ConfigError: The path is that of the test part.
    """
    name = path.name.lower()
    if name.endswith(_TEST):
        raise unfit("name the file ..._TRAIN.ts of a pair", "the file of the test part", path)
    if not name.endswith(_TRAIN):
        return None
    wanted = name.removesuffix(_TRAIN) + _TEST
    return next((p for p in sorted(path.parent.iterdir()) if p.name.lower() == wanted), None)


def _padded(file: TimeSeries, steps: int) -> _Part:
    x = np.full((len(file.values), steps, len(file.values[0])), np.nan)
    for number, series in enumerate(file.values):
        for dimension, values in enumerate(series):
            x[number, : len(values), dimension] = values
    lengths = np.array([[len(values) for values in series] for series in file.values])
    return _Part(x, file.labels, lengths)


def _of_npz(path: Path) -> _Read:
    examples = stored(path)
    if isinstance(examples.x, dict):
        raise unfit("hold one input", f"the inputs {list(examples.x)}", path)
    tested = None
    if examples.x_test is not None and examples.y_test is not None:
        tested = _of_arrays(examples.x_test, examples.y_test, path)
    train = _of_arrays(examples.x, examples.y, path)
    return _Read(train, tested, examples.num_validation, None)


def _of_arrays(x: np.ndarray, y: np.ndarray, path: Path) -> _Part:
    """Returns arrays as series; NaN in all dimensions to the end says that one is shorter."""
    if x.ndim not in (2, 3) or x.dtype.kind not in "biuf" or not x.size or len(x) != len(y):
        rule = "hold numbers x of shape (n, steps) or (n, steps, dimensions), and a y for each"
        raise unfit(rule, f"x of shape {x.shape} and dtype {x.dtype}, y of shape {y.shape}", path)
    x = (x if x.ndim == 3 else x[..., np.newaxis]).astype(np.float64)
    there = ~np.isnan(x).all(axis=2)
    lengths = x.shape[1] - there[:, ::-1].argmax(axis=1)  # of a series without any value: all
    return _Part(x, y, np.repeat(lengths[:, np.newaxis], x.shape[2], axis=1))
