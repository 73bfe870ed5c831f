"""A table with a target column.

Numbers and booleans are inputs as they are; a text column with few distinct texts becomes one input
of zeros and ones per text (one-hot), in alphabetical order.
"""

import difflib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.config import TEXT, ConfigError, Rule, optional, setting, shown
from runner.datasets.files import WIDE, existing_file, reading
from runner.datasets.settings import TASK, DrawnTest, Examples
from runner.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

_WHAT = "a .csv, .tsv or .parquet file"
_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".parquet")
# A text column with more distinct texts is no category but an identifier, a date or prose.
_MOST_CATEGORIES = 20
_NAMED = 3


def _column(value: Any) -> str:
    """Columns may be called 3, which YAML reads as a number."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError
    return str(value)


def _columns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return tuple(_column(item) for item in value)


def _character(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1:
        raise ValueError
    return value


COLUMN = Rule("the name of a column", _column)
COLUMNS = Rule("a list of names of columns, such as [id,date]", _columns)
CHARACTER = Rule("one character", _character)


@dataclass(frozen=True)
class Table(DrawnTest):
    """A CSV or Parquet file: one column is the target, the others are inputs.

    Attributes:
      path: The file.
      target: Name of the target column.
      drop: Names of columns that are not inputs.
      separator: Between the columns of a CSV file, or None for a comma, in .tsv a tab.
      task: What the target is, or None to tell it from the target.
    """

    path: str | None = setting(optional(TEXT), None)
    target: str | None = setting(optional(COLUMN), None)
    drop: tuple[str, ...] = setting(COLUMNS, ())
    separator: str | None = setting(optional(CHARACTER), None)
    task: Task | None = setting(optional(TASK), None)

    def read(self) -> Examples:
        """Returns the inputs as one array, shape (rows, inputs), float64, and the target."""
        path = existing_file(self.path, _SUFFIXES, _WHAT)
        frame = _frame(path, self.separator)
        target = _existing(frame, "dataset.target", self.target, path)
        dropped = [_existing(frame, "dataset.drop", name, path) for name in self.drop]
        if target in dropped:
            raise ConfigError.at("dataset.drop", "without the target column", list(self.drop))
        names = [name for name in frame.columns if name not in (target, *dropped)]
        _check_complete(frame[[*names, target]], path)
        inputs = [pair for name in names for pair in _inputs(frame[name], path)]
        if not inputs:
            raise _refuse("have an input beside the target", shown(list(frame.columns)), path)
        return Examples(
            x=np.column_stack([values for _, values in inputs]),
            y=_target(frame[target], path),
            task=self.task,
            key="dataset.path",
            source=str(self.path),
            inputs=tuple(name for name, _ in inputs),
            target=target,
        )


def _frame(path: Path, separator: str | None) -> "pd.DataFrame":
    """Returns the table, whose columns have distinct texts as names."""
    frame = _stored(path, separator)
    frame.columns = [str(name) for name in frame.columns]
    if not frame.columns.is_unique:
        twice = list(frame.columns[frame.columns.duplicated()])
        raise _refuse("have a name of its own for each column", f"{shown(twice)} twice", path)
    if frame.empty:
        received = f"{len(frame)} rows and {len(frame.columns)} columns"
        raise _refuse("hold at least one example", received, path)
    return _without_row_numbers(frame)


def _stored(path: Path, separator: str | None) -> "pd.DataFrame":
    import pandas as pd

    # What pandas and Arrow raise; the warning says that values without a column name are lost.
    errors = (ValueError, RuntimeError, pd.errors.ParserWarning)
    name = path.name.lower()
    with reading(path, _WHAT, *errors), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        if name.endswith(".parquet"):
            return pd.read_parquet(path)
        usual = "\t" if name.endswith(".tsv") else ","
        return pd.read_csv(path, sep=separator or usual, index_col=False, low_memory=False)


def _without_row_numbers(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Drops a first column without a name that counts the rows: pandas' index, not an input."""
    first = frame.columns[0]
    if first == "Unnamed: 0" and np.array_equal(frame[first], np.arange(len(frame))):
        return frame.drop(columns=first)
    return frame


def _existing(frame: "pd.DataFrame", key: str, name: str | None, path: Path) -> str:
    columns = list(frame.columns)
    if name is None:
        raise ConfigError(
            f"`{key}` is missing: it must name a column of {shown(str(path), WIDE)}, which has: "
            f"{shown(columns, WIDE)}."
        )
    if name not in columns:
        close = difflib.get_close_matches(name, columns, n=1)
        meant = f" Did you mean {shown(close[0])}?" if close else ""
        if len(columns) == 1:
            meant = " Is `dataset.separator` the right one?"
        raise ConfigError(
            f"`{key}` must name a column of {shown(str(path), WIDE)}. Received: {shown(name)}."
            f"{meant} The table has: {shown(columns, WIDE)}."
        )
    return name


def _check_complete(frame: "pd.DataFrame", path: Path) -> None:
    counts = {str(name): int(count) for name, count in frame.isna().sum().items()}
    told = [f"{count} in column {shown(name)}" for name, count in counts.items() if count]
    if told:
        more = f" and in {len(told) - _NAMED} more columns" if len(told) > _NAMED else ""
        advice = "Fill them in, leave out those rows, or name the columns in `dataset.drop`."
        received = f"{', '.join(told[:_NAMED])}{more}"
        raise _refuse("have no missing values (NaN)", received, path, advice)


def _inputs(column: "pd.Series", path: Path) -> list[tuple[str, np.ndarray]]:
    """Returns the inputs that a column becomes: names and values, shape (rows,), float64."""
    name = str(column.name)
    if _is_numeric(column):
        return [(name, column.to_numpy(np.float64))]
    texts = _texts(column, path)
    categories = np.unique(texts)
    if len(categories) > _MOST_CATEGORIES:
        received = f"{len(categories)} of them in {shown(name)}, such as {shown(str(texts[0]))}"
        rule = f"have text columns with at most {_MOST_CATEGORIES} different texts"
        raise _refuse(rule, received, path, _drop(name))
    return [(f"{name}={text}", (texts == text).astype(np.float64)) for text in categories]


def _is_numeric(column: "pd.Series") -> bool:
    from pandas.api import types

    dtype = column.dtype
    if isinstance(dtype, types.CategoricalDtype) or types.is_complex_dtype(dtype):
        return False
    return types.is_numeric_dtype(dtype)  # True for booleans, False for times


def _texts(column: "pd.Series", path: Path) -> np.ndarray:
    """Returns a column of texts, shape (rows,)."""
    from pandas.api import types

    categorical = isinstance(column.dtype, types.CategoricalDtype)
    if not categorical and not types.is_string_dtype(column):
        name = str(column.name)
        received = f"the type {column.dtype} in column {shown(name)}"
        raise _refuse("have columns of numbers, booleans or texts", received, path, _drop(name))
    texts = column.astype(str)
    _check_no_slips(texts, path)
    return texts.to_numpy(str)


def _check_no_slips(texts: "pd.Series", path: Path) -> None:
    """Refuses a column of many numbers that a few other entries have turned into texts.

    Few distinct entries, such as 0, 1, 2 and "3+", are taken for categories.
    """
    import pandas as pd

    slips = texts[pd.to_numeric(texts, errors="coerce").isna()]
    if texts.nunique() > _MOST_CATEGORIES and 0 < len(slips) < len(texts) / 2:
        name, slip = shown(str(texts.name)), shown(str(slips.iloc[0]))
        received = f"{len(slips)} entries such as {slip} among the numbers of column {name}"
        rule = "have columns of numbers or of texts, not of both"
        raise _refuse(rule, received, path, "Mend them, or leave out those rows.")


def _target(column: "pd.Series", path: Path) -> np.ndarray:
    """Returns the target, shape (rows,): numbers, booleans or texts."""
    from pandas.api import types

    if not _is_numeric(column):
        return _texts(column, path)
    if types.is_bool_dtype(column.dtype):
        return column.to_numpy(bool)
    return column.to_numpy(np.int64 if types.is_signed_integer_dtype(column.dtype) else np.float64)


def _drop(name: str) -> str:
    return f"Leave it out with {shown(f'dataset.drop=[{name}]')}, or turn it into numbers."


def _refuse(rule: str, received: str, path: Path, advice: str = "") -> ConfigError:
    tail = f" {advice}" if advice else ""
    return ConfigError(
        f"`dataset.path` must {rule}. Received: {received}, in {shown(str(path), WIDE)}.{tail}"
    )
