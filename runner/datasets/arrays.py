"""The user's numpy arrays."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.config import FRACTION, TEXT, ConfigError, optional, setting, shown
from runner.datasets.files import WIDE, existing_file, open_npz, reading
from runner.datasets.settings import TASK, Examples, Pictures
from runner.tasks import Task

_WHAT = "a .npz file with the arrays x and y"
_NAMES = ("x", "y", "x_test", "y_test")


@dataclass(frozen=True)
class Arrays(Pictures):
    """The arrays x and y of an .npz file, and x_test and y_test where it has them.

    Attributes:
      path: The file. Arrays of Python objects are refused: reading them could run foreign code.
      task: What y is, or None to tell it from y.
      test: Fraction of all examples in the test part. None is the file's own test part, and the
        usual fraction where it has none.
    """

    path: str | None = setting(optional(TEXT), None)
    task: Task | None = setting(optional(TASK), None)
    test: float | None = setting(optional(FRACTION), None)  # type: ignore[misc]

    def read(self) -> Examples:
        """Returns the arrays as they are stored."""
        path = existing_file(self.path, (".npz",), _WHAT)
        with reading(path, _WHAT, ValueError, zipfile.BadZipFile, zlib.error, EOFError):
            arrays = _stored(path)
        return Examples(
            x=arrays["x"],
            y=arrays["y"],
            task=self.task,
            key="dataset.path",
            source=str(self.path),
            x_test=arrays.get("x_test"),
            y_test=arrays.get("y_test"),
        )


def _stored(path: Path) -> dict[str, np.ndarray]:
    with open_npz(path) as archive:
        names = archive.files
        wanted = _NAMES if "x_test" in names or "y_test" in names else _NAMES[:2]
        missing = [name for name in wanted if name not in names]
        if missing:
            raise ConfigError(
                f"`dataset.path` must name {_WHAT}, and with both x_test and y_test or neither. "
                f"Received: {shown(str(path), WIDE)}, without {' and '.join(missing)}; it has: "
                f"{shown(names, WIDE)}."
            )
        return {name: _array(archive, name, path) for name in wanted}


def _array(archive: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    try:
        return archive[name]
    except ValueError:
        raise ConfigError(
            f"`dataset.path` must hold arrays of numbers, or of texts for y. Received: {name} in "
            f"{shown(str(path), WIDE)}, which holds Python objects or is damaged. Save it as "
            "np.asarray(..., dtype=float), or with dtype int or str."
        ) from None
