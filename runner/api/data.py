"""Data in memory as files that every backend can read: each content is written once."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.api import frames, streams
from runner.api.arrays import Arrays, array, written
from runner.config import ConfigError

# What people call inputs and targets of a part.
_NAMES = {
    "train": ("x", "y"),
    "val": ("validation_data[0]", "validation_data[1]"),
    "test": ("test_data[0]", "test_data[1]"),
}


def settings(
    store: Path,
    x: Any,
    y: Any,
    target: str | None,
    validation_data: Any,
    test_data: Any,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes data into a folder, once; returns the settings that name it.

    Args:
      store: The folder.
      x, y, target, validation_data, test_data: See `runner.compare`.
      given: The other settings.

    Raises:
      ConfigError: It is no data that can be trained on.
    """
    parts = {"train": (x, y), "val": _pair("validation_data", validation_data)}
    parts["test"] = _pair("test_data", test_data)
    if x is None:
        _check_without_x(y, target, validation_data, test_data, given)
        return {}
    for key in ("dataset", "dataset.path"):
        if key in given:
            raise ConfigError(f"`{key}` must be left out where `x` is given. Received: both.")
    if _is_frame(x):
        if frames.is_table(y, parts):
            return frames.settings(store, x, y, target)
        parts = frames.as_arrays(parts, target)
    elif target is not None:
        raise ConfigError.at("target", "left out: it names a column of a pandas.DataFrame", target)
    arrays: Arrays = {}
    for name, part in parts.items():
        if part is not None:
            arrays |= _arrays(name, *part)
    found: dict[str, Any] = {"dataset": "arrays", "dataset.path": str(written(store, arrays))}
    if validation_data is not None and test_data is None and "dataset.test" not in given:
        found["dataset.test"] = 0  # as in Keras: all of x is trained on
    return found


def _pair(name: str, data: Any) -> tuple[Any, Any] | None:
    """Returns inputs and targets of a part."""
    if data is None:
        return None
    if isinstance(data, tuple | list) and len(data) == 2:
        return data[0], data[1]
    if isinstance(data, tuple | list) and len(data) == 3:
        rule = "(x, y): weights of examples are not taken"
        raise ConfigError.at(name, rule, f"{len(data)} parts")
    return data, None


def _check_without_x(
    y: Any, target: str | None, validation_data: Any, test_data: Any, given: Mapping[str, Any]
) -> None:
    others = {"y": y, "target": target, "validation_data": validation_data, "test_data": test_data}
    if extra := [name for name, value in others.items() if value is not None]:
        raise ConfigError(f"`x` is missing: {' and '.join(extra)} alone cannot be trained on.")
    if not any(key in given for key in ("dataset", "experiment")):
        raise ConfigError(
            "`x` is missing. Give x and y, or name a data set of the catalogue, such as "
            "dataset='digits'."
        )


def _is_frame(x: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(x, pandas.DataFrame)


def _is_stream(x: Any) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(x, tensorflow.data.Dataset)


def _arrays(part: str, x: Any, y: Any) -> Arrays:
    """Returns the arrays of a part by the names that they are stored by."""
    names = _NAMES[part]
    if _is_stream(x):
        if y is not None:
            raise ConfigError.at(names[1], "left out: a tf.data.Dataset yields (x, y)", type(y))
        x, y = streams.collected(x, names[0])
    if y is None:
        raise ConfigError(f"`{names[1]}` is missing: it holds the target of each example of x.")
    inputs = x if isinstance(x, Mapping) else {"": x}
    arrays = {_stored("x", part, name): array(names[0], value) for name, value in inputs.items()}
    arrays[_stored("y", part)] = targets = array(names[1], y)
    for value in arrays.values():
        if value.ndim == 0 or targets.ndim == 0 or len(value) != len(targets):
            received = f"{value.shape} and {targets.shape}"
            raise ConfigError(
                f"`{names[0]}` and `{names[1]}` must hold as many examples as targets, along the "
                f"first axis. Received: shapes {received}."
            )
    return arrays


def _stored(kind: str, part: str, name: Any = "") -> str:
    return f"{kind}_{part}.{name}" if name != "" else f"{kind}_{part}"
