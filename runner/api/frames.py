"""Frames of pandas: as a table, whose columns are read as those of a file, or as arrays."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.api.arrays import array, written_bytes
from runner.config import ConfigError, shown

Parts = Mapping[str, tuple[Any, Any, Any] | None]
"""Inputs, targets and weights of each part."""

_ADVICE = "Encode them, or leave out `validation_data` and `test_data`: then a part is held out."


def is_table(y: Any, parts: Parts) -> bool:
    """Tells whether a frame is one whole table with a column of targets."""
    has_parts = any(part is not None for name, part in parts.items() if name != "train")
    return not has_parts and (y is None or getattr(y, "ndim", 1) == 1)


def settings(
    store: Path, x: Any, y: Any, target: str | None, sample_weight: Any = None
) -> dict[str, Any]:
    """Writes a table into a folder, once; returns the settings that name it.

    Args:
      store: The folder.
      x: A `pandas.DataFrame`.
      y: Its targets; None where they are a column of it.
      target: Name of that column.
      sample_weight: Weights of the rows, or the name of the column that holds them, if any.

    Raises:
      ConfigError: The targets are missing or there twice, or a column cannot be written.
    """
    if target is not None and not isinstance(target, str | int):
        rule = "the name of a column of x"
        raise ConfigError.at(
            "target", rule, target, "Several are y=x[[...]], beside other columns."
        )
    if isinstance(y, str):
        raise ConfigError.at("y", "the targets", y, f"A column is target={y!r}.")
    if (y is None) == (target is None):
        received = "neither" if y is None else "both"
        raise ConfigError(f"Give `target`, a column of x, or `y`. Received: {received}.")
    table = x.copy(deep=False)
    table.columns = [str(name) for name in x.columns]
    target = str(target) if y is None else _free_name(getattr(y, "name", None), table)
    if y is not None:
        _check_length("y", y, x)
        table[target] = list(y)
    named = {} if sample_weight is None else {"dataset.sample_weight": sample_weight}
    if named and not isinstance(sample_weight, str):
        _check_length("sample_weight", sample_weight, x)
        named["dataset.sample_weight"] = column = _free_name("sample_weight", table)
        table[column] = array("sample_weight", sample_weight)
    content = io.BytesIO()
    try:
        table.to_parquet(content, index=False)
    except Exception as error:  # of pyarrow, about what a column holds
        why = " ".join(str(error).split())
        raise ConfigError(f"`x` must have columns of one kind each. Received: {why}") from None
    path = written_bytes(store, content.getvalue(), ".parquet")
    return {"dataset": "table", "dataset.path": str(path), "dataset.target": target, **named}


def _check_length(name: str, values: Any, x: Any) -> None:
    if not hasattr(values, "__len__") or len(values) != len(x):
        received = f"{len(x)} and {len(values) if hasattr(values, '__len__') else shown(values)}"
        raise ConfigError(
            f"`x` and `{name}` must hold as many rows as values. Received: {received}."
        )


def _free_name(name: Any, table: Any) -> str:
    """Returns a name for the targets that no column has."""
    found = "y" if name is None else str(name)
    while found in table.columns:
        found += "_"
    return found


def as_arrays(parts: Parts, target: str | None) -> Parts:
    """Returns the inputs of every part as an array with the columns of the training part.

    Raises:
      ConfigError: A column is missing, or holds no numbers.
    """
    columns: list[Any] = []
    found: dict[str, tuple[Any, Any, Any] | None] = {}
    for name, part in parts.items():
        found[name] = None
        if part is not None:
            x, y, weights = part
            if target is not None and y is None and hasattr(x, "columns"):
                if target not in x.columns:
                    raise ConfigError.at("target", f"a column of {_CALLED[name]}", target)
                x, y = x.drop(columns=target), x[target]
            columns = columns or list(x.columns)
            found[name] = _array(_CALLED[name], x, columns), y, weights
    return found


_CALLED = {"train": "x", "val": "validation_data", "test": "test_data"}


def _array(name: str, x: Any, columns: list[Any]) -> Any:
    if not hasattr(x, "columns"):
        return x
    if missing := [column for column in columns if column not in x.columns]:
        raise ConfigError.at(name, "a frame with the columns of x", f"one without {missing}")
    try:
        return x[columns].to_numpy(dtype=float, na_value=float("nan"))
    except (TypeError, ValueError):
        kinds = {str(column): str(x[column].dtype) for column in columns}
        texts = [column for column, kind in kinds.items() if kind in ("object", "str", "category")]
        rule = "a frame with columns of numbers only, as there are parts of your own"
        raise ConfigError.at(name, rule, texts or kinds, _ADVICE) from None
