"""Data in memory as files that every backend can read: each content is written once."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runner.api import frames, streams
from runner.api.arrays import Arrays, array, written
from runner.config import ConfigError, shown

# What people call inputs, targets and weights of a part.
_NAMES = {
    "train": ("x", "y", "sample_weight"),
    "val": tuple(f"validation_data[{place}]" for place in range(3)),
    "test": tuple(f"test_data[{place}]" for place in range(3)),
}
_WEIGHTS = "w"


def settings(
    store: Path,
    x: Any,
    y: Any,
    target: str | None,
    sample_weight: Any,
    validation_data: Any,
    test_data: Any,
    given: Mapping[str, Any],
    input_names: Sequence[str] = (),
) -> dict[str, Any]:
    """Writes data into a folder, once; returns the settings that name it.

    Args:
      store: The folder.
      x, y, target, sample_weight, validation_data, test_data: See `runner.compare`.
      given: The other settings.
      input_names: Of the model, where it is built; inputs in a list are those, in this order.

    Raises:
      ConfigError: It is no data that can be trained on.
    """
    others = {"y": y, "target": target, "sample_weight": sample_weight}
    others |= {"validation_data": validation_data, "test_data": test_data}
    if x is None:
        _check_without_x(others, given)
        return {}
    for key in ("dataset", "dataset.path"):
        if key in given:
            raise ConfigError(f"`{key}` must be left out where `x` is given. Received: both.")
    parts: frames.Parts = {
        "train": (x, y, sample_weight),
        "val": _part("validation_data", validation_data),
        "test": _part("test_data", test_data),
    }
    if _is_frame(x):
        if frames.is_table(y, parts):
            return frames.settings(store, x, y, target, sample_weight)
        parts = frames.as_arrays(parts, target)
    elif target is not None:
        raise ConfigError.at("target", "left out: it names a column of a pandas.DataFrame", target)
    arrays: Arrays = {}
    for name, part in parts.items():
        if part is not None:
            arrays |= _arrays(name, *part, input_names)
    found: dict[str, Any] = {"dataset": "arrays"}
    if any(name.startswith(_WEIGHTS) for name in arrays):
        for name in [name for name in arrays if name.startswith("y")]:
            weights = _WEIGHTS + name.removeprefix("y")
            arrays.setdefault(weights, np.ones(len(arrays[name]), np.float32))
        found["dataset.sample_weight"] = _WEIGHTS
    found["dataset.path"] = str(written(store, arrays))
    if validation_data is not None and test_data is None and "dataset.test" not in given:
        found["dataset.test"] = 0  # as in Keras: all of x is trained on
    return found


def _part(name: str, data: Any) -> tuple[Any, Any, Any] | None:
    """Returns inputs, targets and weights of a part."""
    if data is None:
        return None
    if isinstance(data, tuple | list) and len(data) in (2, 3):
        x, y, *weights = data
        return x, y, weights[0] if weights else None
    if _is_frame(data) or _is_stream(data):
        return data, None, None
    received = data if isinstance(data, float | str) else type(data).__name__
    if isinstance(data, tuple | list):
        received = f"{len(data)} parts"
    advice = "A share of x is dataset.validation." if isinstance(data, float) else ""
    raise ConfigError.at(name, "(x, y) or (x, y, weights)", received, advice)


def _check_without_x(others: Mapping[str, Any], given: Mapping[str, Any]) -> None:
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


def _arrays(part: str, x: Any, y: Any, weights: Any, input_names: Sequence[str]) -> Arrays:
    """Returns the arrays of a part by the names that they are stored by."""
    names = _NAMES[part]
    if _is_stream(x):
        for name, extra in zip(names[1:], (y, weights), strict=True):
            if extra is not None:
                rule = "left out: a tf.data.Dataset yields it with x"
                raise ConfigError.at(name, rule, type(extra).__name__)
        x, y, weights = streams.collected(x, names[0])
    if isinstance(x, str | Path):
        _refuse_file(names[0], x)
    if y is None:
        raise ConfigError(f"`{names[1]}` is missing: it holds the target of each example of x.")
    inputs = _inputs(names[0], x, input_names)
    arrays = {_stored("x", part, name): array(names[0], value) for name, value in inputs.items()}
    arrays[_stored("y", part)] = targets = array(names[1], y)
    if weights is not None:
        arrays[_stored(_WEIGHTS, part)] = array(names[2], weights)
    for key, value in arrays.items():
        is_weight = key.startswith(_WEIGHTS)
        if value.ndim == 0 or targets.ndim == 0 or len(value) != len(targets):
            other, what = (names[2], "weights") if is_weight else (names[0], "examples")
            raise ConfigError(
                f"`{other}` and `{names[1]}` must hold as many {what} as targets, along the first "
                f"axis. Received: shapes {value.shape} and {targets.shape}."
            )
    return arrays


def _inputs(name: str, x: Any, input_names: Sequence[str]) -> Mapping[str, Any]:
    """Returns inputs by their names; of a single one the name is empty.

    Raises:
      ConfigError: Several come without names.
    """
    if isinstance(x, Mapping):
        return x
    shapes = [getattr(each, "shape", ()) for each in x] if isinstance(x, list | tuple) else []
    if len(shapes) < 2 or not all(len(shape) > 1 for shape in shapes):
        return {"": x}
    if len(shapes) == len(input_names):
        return dict(zip(input_names, x, strict=True))
    if len(set(shapes)) == 1 and len(input_names) < 2:
        return {"": x}  # examples
    raise ConfigError(
        f"`{name}` must map the names of the model's inputs to their arrays, such as "
        "{'left': a, 'right': b}, after `keras.Input(shape, name='left')`. Received: a "
        f"{type(x).__name__} of arrays of shapes {', '.join(map(str, shapes))}."
    )


def _refuse_file(name: str, path: Path | str) -> None:
    raise ConfigError(
        f"`{name}` must hold the examples. Received: {shown(str(path))}. A file is read by "
        "dataset='table' (or 'arrays', 'images', …) with "
        f"**{{'dataset.path': {shown(str(path))}}} in place of x and y."
    )


def _stored(kind: str, part: str, name: Any = "") -> str:
    return f"{kind}_{part}.{name}" if name != "" else f"{kind}_{part}"
