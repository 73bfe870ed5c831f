"""The Python files of the working directory, as workers on other machines get them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from runner.config import ConfigError

MAX_BYTES = 20 * 2**20
"""So much is copied to every machine at most."""

# Folders without modules of the user's: what `runner` and MLflow write, and installed packages.
_LEFT_OUT = {"__pycache__", "mlruns", "node_modules", "results", "site-packages"}
_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")


def copy_modules(source: Path, target: Path) -> None:
    """Copies a folder's Python files, and nothing else: no data, no results, no environments.

    Raises:
      ConfigError: They are too many.
    """
    size = 0
    for path in modules(source):
        size += path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError(
                f"`execution=ray` sends the Python files of the working directory to the workers, "
                f"{MAX_BYTES // 2**20} MB at most. Received: {source}, which has more. Run the "
                f"command in a folder that holds little besides your own modules."
            )
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def modules(folder: Path) -> Iterator[Path]:
    """Yields the Python files below a folder; links to folders are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _LEFT_OUT
            and not any((Path(place, name) / mark).exists() for mark in _ENVIRONMENT)
        )
        for name in sorted(files):
            if name.endswith(".py") and (path := Path(place, name)).is_file():
                yield path
