"""The user's numpy arrays.

A file holds x and y, which are divided, or parts of its own: x_train and y_train (or x and y),
x_test and y_test, x_val and y_val. Several inputs are x.left, x.right and so on, in each part. What
else is in it is not read.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from runner.config import FRACTION, PROPER_FRACTION, TEXT, ConfigError, optional, setting, shown
from runner.datasets.files import WIDE, check_memory, existing_file, open_npz, reading, unfit
from runner.datasets.missing import MISSING, Fill, settled
from runner.datasets.settings import TASK, Examples, Pictures
from runner.spelling import did_you_mean
from runner.tasks import Task

_WHAT = "a .npz file with the arrays x and y, or x_train and y_train"
_PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Arrays(Pictures):
    """The arrays x and y of an .npz file, and its own test and validation part where it has them.

    Attributes:
      path: The file. Arrays of Python objects are refused: reading them could run foreign code.
      sample_weight: Name of the array of the examples' weights in the loss; None for 1. Parts of
        their own have arrays of their own, such as w_train and w_test for `w`.
      task: What y is, or None to tell it from y.
      missing: What becomes of NaN in x: `"refuse"`; `"drop"`: such examples are left out; or
        `"fill"`: the mean of the feature in the training part. An example whose y is NaN is left
        out.
      validation: Fraction of the examples in the validation part. None is the file's own part, and
        the usual fraction where it has none.
      test: Fraction of all examples in the test part. None is the file's own test part, and the
        usual fraction where it has none.
    """

    path: str | None = setting(optional(TEXT), None)
    sample_weight: str | None = setting(optional(TEXT), None)
    task: Task | None = setting(optional(TASK), None)
    missing: str = setting(MISSING, "refuse")
    validation: float | None = setting(optional(PROPER_FRACTION), None)
    test: float | None = setting(optional(FRACTION), None)  # type: ignore[misc]

    def read(self) -> Examples:
        """Returns the arrays as they are stored."""
        path = existing_file(self.path, (".npz",), _WHAT)
        with reading(path, _WHAT, ValueError, zipfile.BadZipFile, zlib.error, EOFError):
            examples = stored(path, self.sample_weight)
        examples = replace(examples, task=self.task, key="dataset.path", source=str(self.path))
        return settled(examples, self.missing, Fill(source=str(self.path)))


def stored(path: Path, sample_weight: str | None = None) -> Examples:
    """Returns the arrays of a file as they are, and its own parts.

    Args:
      path: The file.
      sample_weight: Name of the arrays of weights, or None for none.

    Raises:
      ConfigError: An array is missing, or does not fit the others.
      ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error: It cannot be read.
    """
    arrays, weights = _stored(path, sample_weight)
    _check_names(arrays, path)
    x, y = arrays["train"]
    x_test, y_test = arrays.get("test", (None, None))
    num_validation = 0
    if "val" in arrays:
        num_validation = len(arrays["val"][1])
        x, y = _with_validation(path, x, y, *arrays["val"])
    weight = [weights[part] for part in ("train", "val") if part in weights]
    return Examples(
        x,
        y,
        None,
        x_test=x_test,
        y_test=y_test,
        weight=np.concatenate(weight) if weight else None,
        weight_test=weights.get("test"),
        num_validation=num_validation,
    )


def _stored(
    path: Path, sample_weight: str | None
) -> tuple[dict[str, tuple[Any, np.ndarray]], dict[str, np.ndarray]]:
    """Returns inputs and targets of each part that the file has, and their weights."""
    with open_npz(path) as archive:
        beginnings = {name.partition(".")[0] for name in archive.files if name[0] == "x"}
        names = _names({*archive.files, *beginnings}, path)
        check_memory(sum(entry.file_size for entry in archive.zip.infolist()), path)
        of_weights = {} if sample_weight is None else _weights(archive, sample_weight, names, path)
        arrays = {
            part: (_inputs(archive, x, path), _array(archive, y, path))
            for part, (x, y) in names.items()
        }
        return arrays, of_weights


def _weights(
    archive: Any, name: str, parts: Mapping[str, tuple[str, str]], path: Path
) -> dict[str, np.ndarray]:
    """Returns the weights of each part; those of x and y have no other word at their end.

    Raises:
      ConfigError: Those of a part are missing.
    """
    names = {part: f"{name}{x.removeprefix('x')}" for part, (x, _) in parts.items()}
    if missing := [each for each in names.values() if each not in archive.files]:
        meant = did_you_mean(missing[0], archive.files)
        raise ConfigError(
            f"`dataset.sample_weight` must name an array for each part of "
            f"{shown(str(path), WIDE)}. Received: {shown(name)}, without {' and '.join(missing)}."
            f"{meant} The file has: {shown(sorted(archive.files), WIDE)}."
        )
    return {part: _array(archive, each, path) for part, each in names.items()}


def _names(there: set[str], path: Path) -> dict[str, tuple[str, str]]:
    """Returns the names of the arrays of each part.

    Raises:
      ConfigError: One of two is missing, or the training part is there twice.
    """
    pairs = {part: (f"x_{part}", f"y_{part}") for part in _PARTS}
    if not there & set(pairs["train"]):
        pairs["train"] = ("x", "y")
    found = {p: pair for p, pair in pairs.items() if p == "train" or there & set(pair)}
    missing = [name for pair in found.values() for name in pair if name not in there]
    if missing:
        raise ConfigError(
            f"`dataset.path` must name {_WHAT}, and with both x_test and y_test or neither, and so "
            f"x_val and y_val. Received: {shown(str(path), WIDE)}, without "
            f"{' and '.join(missing)}; it has: {shown(sorted(there), WIDE)}."
        )
    if pairs["train"] != ("x", "y") and there & {"x", "y"}:
        raise unfit("hold x and y or x_train and y_train, not both", shown(sorted(there)), path)
    return found


def _with_validation(
    path: Path, x: Any, y: np.ndarray, x_val: Any, y_val: np.ndarray
) -> tuple[Any, np.ndarray]:
    """As `_joined`, of one input or of several."""
    if not isinstance(x, dict):
        return _joined(path, x, y, x_val, y_val)
    joined = {name: _joined(path, x[name], y, x_val[name], y_val) for name in x}
    return {name: both for name, (both, _) in joined.items()}, next(iter(joined.values()))[1]


def _joined(
    path: Path, x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the training part with the validation part after it."""
    if x_val.shape[:1] != y_val.shape[:1] or not len(x_val):
        received = f"shapes {x_val.shape} and {y_val.shape}"
        raise unfit("hold as many inputs as targets in x_val and y_val", received, path)
    for name, part, whole in (("x", x_val, x), ("y", y_val, y)):
        is_text = [array.dtype.kind in "US" for array in (part, whole)]
        if part.shape[1:] != whole.shape[1:] or is_text[0] != is_text[1] or not whole.ndim:
            rule = f"hold the same kind of examples in {name}_val as in {name}"
            received = f"{part.dtype} {part.shape[1:]} and {whole.dtype} {whole.shape[1:]}"
            raise unfit(rule, received, path)
    return np.concatenate([x, x_val]), np.concatenate([y, y_val])


def _inputs(archive: Any, name: str, path: Path) -> Any:
    """Returns the array of a name; several inputs by what comes after it and a dot."""
    several = [key for key in archive.files if key.startswith(f"{name}.")]
    if several and name in archive.files:
        found = shown([name, *several])
        raise unfit(f"hold either {name} or {name}.<input> of several inputs", found, path)
    if not several:
        return _array(archive, name, path)
    return {key.removeprefix(f"{name}."): _array(archive, key, path) for key in several}


def _check_names(arrays: Mapping[str, tuple[Any, np.ndarray]], path: Path) -> None:
    """Checks that all parts have the same inputs."""
    found = {part: sorted(x) if isinstance(x, dict) else [] for part, (x, _) in arrays.items()}
    for part, names in found.items():
        if names != found["train"]:
            received = f"{shown(names)} in x_{part}, {shown(found['train'])} in the training part"
            raise unfit("hold the same inputs in all parts", received, path)


def _array(archive: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    try:
        return archive[name]
    except ValueError:
        raise ConfigError(
            f"`dataset.path` must hold arrays of numbers, or of texts for y. Received: {name} in "
            f"{shown(str(path), WIDE)}, which holds Python objects or is damaged. Save it as "
            "np.asarray(..., dtype=float), or with dtype int or str."
        ) from None
