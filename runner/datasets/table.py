"""A table with a target column.

Numbers and booleans are inputs as they are; a text column with few distinct texts becomes one input
of zeros and ones per text (one-hot), in alphabetical order. A column that only labels the rows is
no input. What is not plain in how a table was read is told in notes.
"""

import re
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.config import TEXT, ConfigError, Rule, one_of, optional, setting, shown
from runner.datasets.columns import MOST_CATEGORIES, listed, numbers_in_texts, typed
from runner.datasets.files import WIDE, existing_file, reading, unfit
from runner.datasets.missing import MISSING, Fill
from runner.datasets.numerals import plain
from runner.datasets.settings import INPUT, TASK, DrawnTest, Examples
from runner.datasets.text_file import AUTO, Layout, layout, overlong_row
from runner.spelling import did_you_mean
from runner.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

_WHAT = "a .csv, .tsv, .parquet or .feather file"
_TYPED = (".parquet", ".feather", ".arrow")
_SUFFIXES = (".csv", ".csv.gz", ".tsv", *_TYPED)
# Fewer successive numbers are no sign that they count the rows.
_FEWEST_COUNTED = 10
# What pandas, R and people call a column that labels the rows: without case, blanks and
# punctuation, and what ends with "id" as a word of its own.
_INDEX_NAME = re.compile(
    r"unnamed\d*|(index)?level\d+|(row)?(index|idx)\d*|ids?\d*|[gu]uid|uid|rn|sno|serial(no|number)?|"
    r"(row|record|sample|case|observation|obs)(s|names?|numbers?|num|no|nr|labels?)?|"
    r"(account|client|customer|device|employee|item|member|order|participant|patient|person|product|"
    r"session|student|subject|transaction|user)(ids?|numbers?|no|nr)"
)
_IDENTIFIER = re.compile(r"(.*[\W_])?(id|ID|Id)|.*[a-z](Id|ID)")
_HEADLESS = "The file seems to have no header line."
_NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?")
_REPEATED = re.compile(r"\.\d+$")  # what pandas adds to a name that is there twice


def _column(value: Any) -> str:
    """Columns may be called 3, which YAML reads as a number."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError
    return str(value)


def _columns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return tuple(_column(item) for item in value)


def _separator(value: Any) -> str:
    named = {None: AUTO, AUTO: AUTO, "tab": "\t", "\\t": "\t"}
    if value in named:
        return named[value]
    if not isinstance(value, str) or len(value) != 1:
        raise ValueError
    return value


def _encoding(value: Any) -> str:
    if value is None or value == AUTO:
        return AUTO
    try:
        "".encode(value)
    except LookupError:
        raise ValueError from None
    return str(value)


COLUMN = Rule("the name of a column", _column)
COLUMNS = Rule("a list of names of columns, such as [id,date]", _columns)
SEPARATOR = Rule("one character, tab or auto", _separator)
ENCODING = Rule("an encoding that Python knows, such as latin-1, or auto", _encoding)


@dataclass(frozen=True)
class Table(DrawnTest):
    """A CSV, Parquet or Feather file: one column is the target, the others are inputs.

    Attributes:
      path: The file.
      target: Name of the target column; `"input"`, where no column has that name, for a model that
        is to reproduce its inputs.
      sample_weight: Name of the column of the rows' weights in the loss; None for 1.
      drop: Names of columns that are not inputs.
      keep: Names of columns that are inputs though they seem only to label the rows.
      separator: Between the columns of a CSV file; `"auto"` tells it from the file.
      decimal: What separates decimals in a CSV file; `"auto"` tells it from the numbers.
      encoding: Of a CSV file; `"auto"` tells it from the file.
      missing: What becomes of missing values: `"refuse"`; `"drop"`: their rows are left out; or
        `"fill"`: the mean of a column of numbers and the most frequent value of others, in the
        training part. A row without a target is left out.
      task: What the target is, or None to tell it from the target.
    """

    path: str | None = setting(optional(TEXT), None)
    target: str | None = setting(optional(COLUMN), None)
    sample_weight: str | None = setting(optional(COLUMN), None)
    drop: tuple[str, ...] = setting(COLUMNS, ())
    keep: tuple[str, ...] = setting(COLUMNS, ())
    separator: str = setting(SEPARATOR, AUTO)
    decimal: str = setting(one_of(AUTO, ".", ","), AUTO)
    encoding: str = setting(ENCODING, AUTO)
    missing: str = setting(MISSING, "refuse")
    task: Task | None = setting(optional(TASK), None)

    def read(self) -> Examples:
        """Returns the inputs as one array, shape (rows, inputs), float64, and the target."""
        path = existing_file(self.path, _SUFFIXES, _WHAT)
        frame, levels, notes = self._frame(path)
        if _seems_headless(frame):
            notes.append(f"{_HEADLESS} Its first line is taken for the names of the columns.")
        is_mirrored = self.target == INPUT and INPUT not in frame
        target = "" if is_mirrored else _existing(frame, "dataset.target", self.target, path)
        dropped = [_existing(frame, "dataset.drop", name, path) for name in self.drop]
        kept = [_existing(frame, "dataset.keep", name, path) for name in self.keep]
        weight = self._weight_column(frame, target, path)
        dropped += weight
        for key, names in (("dataset.drop", dropped), ("dataset.keep", kept)):
            if target in names:
                raise ConfigError.at(key, "without the target column", names)
        if both := [name for name in kept if name in dropped]:
            raise ConfigError.at("dataset.keep", "without a column of `dataset.drop`", both)
        free = [name for name in frame.columns if name not in (target, *dropped, *kept)]
        is_index = bool(levels) and not frame.duplicated(levels).any()
        labels = [
            name for name in free if (is_index and name in levels) or _labels_rows(frame[name])
        ]
        names = [name for name in frame.columns if name not in (target, *dropped, *labels)]
        frame, told = _complete(
            frame, names, [*([target] if target else []), *weight], self.missing, path
        )
        columns = {name: _inputs(frame[name], path) for name in names}
        inputs = [pair for pairs in columns.values() for pair in pairs]
        if not inputs:
            only = f" {shown(labels)} only labels the rows; see `dataset.keep`." if labels else ""
            received = shown(list(frame.columns))
            raise unfit("have an input beside the target", received, path, only.strip())
        others = [name for name in free if name not in labels]
        alike = [name for name in others if name in levels or _is_named_as_label(name)]
        counting = [name for name in others if name not in alike and _counts_rows(frame[name])]
        what = "Not an input, because it only labels the rows"
        told += _told(what, labels, "keep", "makes it one")
        what = "An input, although it may only label the rows"
        told += _told(what, alike, "drop", "leaves it out")
        told += _told("An input, although it counts the rows", counting, "drop", "leaves it out")
        x = np.column_stack([values for _, values in inputs])
        steps: tuple[Fill, ...] = ()
        if np.isnan(x).any():
            filled = tuple(name for name, _ in inputs)
            steps = (Fill(filled, _categories(frame, columns), source=str(self.path)),)
        return Examples(
            x=x,
            y=x if is_mirrored else _target(frame[target], path),
            task=self.task or ("regression" if is_mirrored else None),
            key="dataset.path",
            source=str(self.path),
            inputs=tuple(name for name, _ in inputs),
            target=target or INPUT,
            weight=_numbers(frame[weight[0]]) if weight else None,
            steps=steps,
            notes=tuple(f"{path.name}: {note}" for note in (*notes, *told)),
        )

    def _weight_column(self, frame: "pd.DataFrame", target: str, path: Path) -> list[str]:
        """Returns the name of the column of weights, if there is to be one."""
        if self.sample_weight is None:
            return []
        name = _existing(frame, "dataset.sample_weight", self.sample_weight, path)
        if name == target or name in self.keep:
            rule = "neither the target column nor one of `dataset.keep`"
            raise ConfigError.at("dataset.sample_weight", rule, name)
        if not (_is_numeric(frame[name]) or _is_flag(frame[name])):
            raise ConfigError.at("dataset.sample_weight", "the name of a column of numbers", name)
        return [name]

    def _frame(self, path: Path) -> "tuple[pd.DataFrame, list[str], list[str]]":
        """Returns the table, the columns that pandas had as index, and what was done to read it."""
        levels: list[str] = []
        # What pandas and Arrow raise.
        with reading(path, _WHAT, ValueError, RuntimeError, EOFError, zlib.error, Warning):
            if path.name.lower().endswith(_TYPED):
                frame, levels, notes = _typed(path, self.decimal)
            else:
                named = (self.target, self.sample_weight, *self.drop, *self.keep)
                wanted = [name for name in named if name]
                found = layout(path, self.encoding, self.separator, wanted)
                frame, notes = _text(path, found, self.decimal)
                notes = [*found.notes, *notes]
        frame.columns = [str(name).strip() for name in frame.columns]
        if not frame.columns.is_unique:
            twice = list(frame.columns[frame.columns.duplicated()])
            raise unfit("have a name of its own for each column", f"{shown(twice)} twice", path)
        if frame.empty:
            received = f"{len(frame)} rows and {len(frame.columns)} columns"
            raise unfit("hold at least one example", received, path)
        return frame, levels, notes


def _existing(frame: "pd.DataFrame", key: str, name: str | None, path: Path) -> str:
    columns = list(frame.columns)
    if name is None:
        raise ConfigError(
            f"`{key}` is missing: it must name a column of {shown(str(path), WIDE)}, which has: "
            f"{shown(columns, WIDE)}."
        )
    if name not in columns:
        meant = did_you_mean(name, columns)
        if len(columns) == 1:
            meant = " Is `dataset.separator` the right one?"
        elif _seems_headless(frame):
            meant = f" {_HEADLESS} Add one that names the columns."
        raise ConfigError(
            f"`{key}` must name a column of {shown(str(path), WIDE)}. Received: {shown(name)}."
            f"{meant} The table has: {shown(columns, WIDE)}."
        )
    return name


def _seems_headless(frame: "pd.DataFrame") -> bool:
    """Tells whether most columns are called by numbers, as of a first row.

    Not by evenly spaced ones: columns are numbered so, and named after years and wavelengths.
    """
    names = [_REPEATED.sub("", name) if name.count(".") > 1 else name for name in frame.columns]
    numbers = [plain(name.replace(",", ".")) for name in names if _NUMBER.fullmatch(name)]
    steps = np.diff([number for number in numbers if number is not None])
    spaced = len(steps) > 0 and np.allclose(steps, steps[0]) and (len(steps) > 1 or steps[0] == 1)
    return 2 * len(numbers) > len(names) and not spaced


def _text(path: Path, layout: Layout, decimal: str) -> "tuple[pd.DataFrame, list[str]]":
    """Returns a table of text; the first row that has too many values is named."""
    import pandas as pd

    errors = (pd.errors.ParserError, pd.errors.ParserWarning)  # the warning: values are lost
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return typed(path, layout, decimal)
    except errors:
        if (found := overlong_row(path, layout)) is None:
            raise
        line, row = found
        received = f"{len(row)} in line {line}, after {len(layout.header)} names of columns"
        advice = "Is `dataset.separator` the right one?"
        if row[0].startswith("#"):
            advice = "Remove lines that are comments."
        rule = "have as many values in each row as names of columns in its first line"
        raise unfit(rule, received, path, advice) from None


def _typed(path: Path, decimal: str) -> "tuple[pd.DataFrame, list[str], list[str]]":
    """Returns a file whose types say what is a number; and what pandas had as index."""
    import pandas as pd

    levels: list[str] = []
    is_parquet = path.name.lower().endswith(".parquet")
    frame = pd.read_parquet(path) if is_parquet else pd.read_feather(path)
    index = frame.index
    if not (isinstance(index, pd.RangeIndex) and index.name is None and index.start == 0):
        levels = [
            f"__index_level_{level}__" if name is None else str(name).strip()
            for level, name in enumerate(index.names)
        ]
        if twice := [name for name in levels if name in map(str, frame.columns)]:
            raise unfit("have a name of its own for each column", f"{shown(twice)} twice", path)
        frame = frame.reset_index(names=levels)
    for name in frame.columns:
        if pd.api.types.infer_dtype(frame[name]) == "decimal":
            frame[name] = frame[name].astype(np.float64)
    frame, notes = numbers_in_texts(frame, decimal, path)
    return frame, levels, notes


def _labels_rows(column: "pd.Series") -> bool:
    """Tells whether a column labels the rows, as row numbers and identifiers do.

    It has no name or that of an index, and no value twice; fractions are measurements.
    """
    if not _is_named_as_label(str(column.name)):
        return False
    if column.dtype.kind == "f" and (column % 1 != 0).any():
        return False
    return column.dtype.kind != "b" and column.is_unique and not column.hasnans


def _is_named_as_label(name: str) -> bool:
    bare = re.sub(r"[\W_]", "", name.casefold())
    return bool(_INDEX_NAME.fullmatch(bare) or _IDENTIFIER.fullmatch(name))


def _told(what: str, names: Sequence[str], key: str, effect: str) -> list[str]:
    """Returns what is told of columns, and which setting has which effect; nothing for none."""
    if not names:
        return []
    override = shown(f"dataset.{key}=[{','.join(names[:3])}]")
    return [f"{what}: {listed([shown(name) for name in names])} ({override} {effect})."]


def _counts_rows(column: "pd.Series") -> bool:
    """Tells whether a column holds successive whole numbers, in any order."""
    if column.dtype.kind not in "iu" or len(column) < _FEWEST_COUNTED:
        return False
    successive = int(column.max()) - int(column.min()) == len(column) - 1
    return (successive or column.is_monotonic_increasing) and column.is_unique


def _complete(
    frame: "pd.DataFrame", names: Sequence[str], needed: list[str], missing: str, path: Path
) -> "tuple[pd.DataFrame, list[str]]":
    """Returns the rows that are used, and what was done about missing values, as sentences.

    Target and weight are never filled in: they are `needed`.
    """
    used = [*names, *needed]
    absent = frame[used].isna()
    if missing == "refuse":
        _check_complete(frame[used], path)
        return frame, []
    lost = (absent if missing == "drop" else absent[needed]).any(axis=1)
    told = []
    if num := int(lost.sum()):
        what = "target or weight" if len(needed) > 1 else "target"
        what = "value" if missing == "drop" else what
        told.append(f"{num} of {len(frame)} rows are left out: a {what} is missing.")
    if lost.all():
        raise unfit("have a row without missing values", f"{len(frame)} rows with some", path)
    kept = frame[~lost].reset_index(drop=True)
    if num := int(kept[list(names)].isna().sum().sum()):
        told.append(f"{num} missing values are filled in, as the training part has them.")
    return kept, told


def _check_complete(frame: "pd.DataFrame", path: Path) -> None:
    counts = {str(name): int(count) for name, count in frame.isna().sum().items()}
    told = [f"{count} in column {shown(name)}" for name, count in counts.items() if count]
    if told:
        advice = "Set dataset.missing=fill or drop, or name the columns in `dataset.drop`."
        raise unfit("have no missing values (NaN)", listed(told), path, advice)


def _inputs(column: "pd.Series", path: Path) -> list[tuple[str, np.ndarray]]:
    """Returns the inputs that a column becomes: names and values, shape (rows,), float64."""
    name = str(column.name)
    if _is_numeric(column) or _is_flag(column):
        return [(name, _numbers(column))]
    there = column.notna().to_numpy()
    texts = np.full(len(column), "", object)
    texts[there] = _texts(column[there], path)
    categories = np.unique(texts[there].astype(str))
    if not len(categories):
        raise unfit("have a value in each column", f"none in {shown(name)}", path, _drop(name))
    if len(categories) > MOST_CATEGORIES:
        such = shown(str(categories[0]))
        received = f"{len(categories)} of them in {shown(name)}, such as {such}"
        rule = f"have text columns with at most {MOST_CATEGORIES} different texts"
        raise unfit(rule, received, path, _drop(name))
    absent = np.where(there, 0.0, np.nan)
    return [(f"{name}={text}", (texts == text) + absent) for text in categories]


def _numbers(column: "pd.Series") -> np.ndarray:
    """Returns a column of numbers or flags, shape (rows,), NaN where there is none."""
    return column.astype("Float64").to_numpy(np.float64, na_value=np.nan)


def _is_flag(column: "pd.Series") -> bool:
    """Tells whether a column is true, false or missing."""
    from pandas.api import types

    if types.is_bool_dtype(column.dtype):
        return True
    flags = column.dropna().map(lambda cell: isinstance(cell, bool))
    return bool(column.dtype == object and flags.all())


def _categories(
    frame: "pd.DataFrame", columns: Mapping[str, Sequence[Any]]
) -> tuple[tuple[int, ...], ...]:
    """Returns the places of the inputs of each column that is not one of numbers."""
    places, start = [], 0
    for name, inputs in columns.items():
        if len(inputs) > 1 or _is_flag(frame[name]):
            places.append(tuple(range(start, start + len(inputs))))
        start += len(inputs)
    return tuple(places)


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
        is_object = types.is_object_dtype(column.dtype)
        kind = type(column.iloc[0]).__name__ if is_object else column.dtype
        received = f"the type {kind} in column {shown(name)}"
        raise unfit("have columns of numbers, booleans or texts", received, path, _drop(name))
    return column.astype(str).to_numpy(str)


def _target(column: "pd.Series", path: Path) -> np.ndarray:
    """Returns the target, shape (rows,): numbers, booleans or texts."""
    from pandas.api import types

    if _is_flag(column):  # also of objects, where the rows without a target were left out
        return column.to_numpy(bool)
    if not _is_numeric(column):
        return _texts(column, path)
    return column.to_numpy(np.int64 if types.is_signed_integer_dtype(column.dtype) else np.float64)


def _drop(name: str) -> str:
    return f"Leave it out with {shown(f'dataset.drop=[{name}]')}, or turn it into numbers."
