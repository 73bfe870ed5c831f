"""The user's files: finding them, and one clear line when one cannot be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from runner.config import ConfigError, shown
from runner.machine import available_memory

# Long enough for a whole path or a list of columns.
WIDE = 400
_LONGEST_REASON = 200
# While examples are divided, they are held twice.
_COPIES = 2


def expanded(path: str) -> Path:
    """Returns `path` with `~` expanded, relative to the working directory."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def existing_file(path: str | None, suffixes: tuple[str, ...], what: str) -> Path:
    """Returns the file that `dataset.path` names.

    Args:
      path: The setting.
      suffixes: Those that the name may end with, in lower case.
      what: Completes "`dataset.path` must name ...".

    Raises:
      ConfigError: It is not given, not there, a folder, or of another kind.
    """
    if path is None:
        raise ConfigError(f"`dataset.path` is missing: it must name {what}.")
    place = expanded(path)
    if not place.name.lower().endswith(suffixes):
        raise _refuse(what, path, f"Its name must end with {' or '.join(suffixes)}.")
    with reading(place, what):
        is_folder, exists = place.is_dir(), place.exists()
    if is_folder:
        raise _refuse(what, path, "That is a folder.")
    if not exists:
        advice = "There is no such file."
        if not place.is_absolute():
            advice = f"There is no such file in {shown(str(Path.cwd()), WIDE)}."
        raise _refuse(what, path, advice)
    return place


def _refuse(what: str, path: str, advice: str) -> ConfigError:
    return ConfigError(f"`dataset.path` must name {what}. Received: {shown(path, WIDE)}. {advice}")


def unfit(rule: str, received: str, path: Path, advice: str = "") -> ConfigError:
    """Returns the error about what a file holds; the rule completes "`dataset.path` must ..."."""
    tail = f" {advice}" if advice else ""
    return ConfigError(
        f"`dataset.path` must {rule}. Received: {received}, in {shown(str(path), WIDE)}.{tail}"
    )


def check_memory(num_bytes: int, path: Path) -> None:
    """Checks, before it is read, that a file's content fits the memory as often as it is held.

    Raises:
      ConfigError: It does not.
    """
    available = available_memory()
    if num_bytes * _COPIES > available:
        received = f"{num_bytes / 2**30:.3g} GiB where {available / 2**30:.3g} GiB are free"
        rule = f"name data that fits {1 / _COPIES:.0%} of this machine's free memory"
        raise unfit(rule, received, path, "Store fewer examples, or bytes or float32.")


@contextmanager
def open_npz(path: Path) -> Iterator[Any]:
    """Opens an .npz archive of arrays; arrays of Python objects in it cannot be read.

    Raises:
      ValueError, OSError, EOFError, zipfile.BadZipFile: It is none.
    """
    with path.open("rb") as file:  # numpy would leave a damaged file open
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it is a single array, not an archive of arrays")
        yield archive


@contextmanager
def reading(path: Path, what: str, *errors: type[Exception]) -> Iterator[None]:
    """Turns `errors`, and those of the operating system, into one line about `path`."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, (OSError, *errors)):
            raise
        raise ConfigError(
            f"`dataset.path` must name {what} that can be read. Received: "
            f"{shown(str(path), WIDE)}, {type(error).__name__}: {one_line(error)}."
        ) from None


def one_line(error: Exception) -> str:
    """Returns the error's text on one line, shortened, without a full stop."""
    return " ".join(str(error).split())[:_LONGEST_REASON].rstrip(".")
