"""Values in memory as arrays, and arrays as files: each content is written once."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from runner.config import ConfigError, shown
from runner.files import replacing
from runner.machine import available_memory

# While examples are divided, they are held twice; and here once more.
_COPIES = 3

Arrays = dict[str, np.ndarray]


def array(name: str, values: Any) -> np.ndarray:
    """Returns values as an array of numbers or texts.

    Raises:
      ConfigError: They are none, or do not fit the memory.
    """
    rule = "an array of numbers (of numbers or texts for targets)"
    if callable(getattr(values, "toarray", None)):
        raise ConfigError.at(name, rule, type(values).__name__, "Give x.toarray().")
    try:
        found = np.asarray(values)
    except Exception as error:  # whatever an object's conversion raises
        raise ConfigError.at(name, rule, values, f"{type(error).__name__}: {error}") from None
    if found.dtype == object and found.size and all(isinstance(v, str) for v in found.flat):
        found = found.astype(str)
    elif found.dtype == object and not found.ndim:
        advice = "Give arrays, or a tf.data.Dataset."
        raise ConfigError.at(name, rule, type(values).__name__, advice)
    elif found.dtype == object:
        found = _numbers(name, rule, found)
    elif found.dtype.kind == "V":  # bfloat16, which files do not know
        found = found.astype(np.float32)
    check_memory(name, found.nbytes)
    return found


def _numbers(name: str, rule: str, found: np.ndarray) -> np.ndarray:
    """Returns an array of Python objects as one of numbers, with None as NaN."""
    try:
        return found.astype(float)
    except (TypeError, ValueError):
        strange = next((v for v in found.flat if not isinstance(v, int | float)), None)
        kind = type(strange).__name__
        advice = f"It holds a {kind} ({shown(strange)}) among others."
        raise ConfigError.at(name, rule, f"{found.dtype} {found.shape}", advice) from None


def check_memory(name: str, num_bytes: int) -> None:
    """Checks that data can be held as often as it has to be.

    Raises:
      ConfigError: It cannot.
    """
    available = available_memory()
    if num_bytes * _COPIES > available:
        received = f"{num_bytes / 2**30:.3g} GiB where {available / 2**30:.3g} GiB are free"
        raise ConfigError(
            f"`{name}` must fit {1 / _COPIES:.0%} of this machine's free memory. "
            f"Received: {received}. Give fewer examples, or bytes or float32."
        )


def written(store: Path, arrays: Arrays) -> Path:
    """Writes arrays into a file that is called after their content, if it is not there."""
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    path = store / f"{digest.hexdigest()[:16]}.npz"
    if not path.exists():
        store.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    return path


def written_bytes(store: Path, content: bytes, suffix: str) -> Path:
    """As `written`, of a file that has been made in memory."""
    path = store / f"{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
    if not path.exists():
        store.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    return path
