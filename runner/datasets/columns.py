"""What the columns of a table of text hold: numbers, booleans or texts.

A column is one of numbers if every cell is a number, is empty or says that a value is missing
(`NA`); in a column of texts such a word is a text like others. Numbers may be written with decimal
commas, thousands separators, currencies or percent signs; three digits or more that start with a
zero are codes, that is texts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.config import ConfigError, abridged, shown
from runner.datasets.files import WIDE, unfit
from runner.datasets.numerals import (
    MixedUnitsError,
    differ,
    has_ungrouped_thousands,
    is_code,
    is_numeral,
    plain,
    readings,
    with_blanks,
)
from runner.datasets.text_file import AUTO, UNNAMED, Layout, opened

if TYPE_CHECKING:
    import pandas as pd

# A text column with more distinct texts is no category but an identifier, a date or prose.
MOST_CATEGORIES = 20
# In lower case.
_MISSING = {
    *("na", "n/a", "#n/a", "#n/a n/a", "#na", "<na>", "nan", "-nan", "null", "none", "nil"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
}
_BOOLEANS = {"true": True, "false": False}
# So many columns are named in a note.
_NAMED = 3


@dataclass(frozen=True)
class _Texts:
    """What the cells of a column say.

    Attributes:
      cells: Texts without spaces around them, NaN where a cell is empty.
      words: The different ones that may say that a value is missing.
      others: All others that are different.
      read: Their numbers by each decimal separator that they admit.
    """

    cells: "pd.Series"
    words: list[str]
    others: list[str]
    read: Mapping[str, Mapping[str, float]]


def typed(path: Path, layout: Layout, decimal: str) -> "tuple[pd.DataFrame, list[str]]":
    """Reads a table of text.

    Args:
      path: The file.
      layout: How it is written.
      decimal: The decimal separator, or `"auto"` to tell it from the numbers.

    Returns:
      Columns of numbers, booleans and texts, NaN where a cell is missing; and what was done that is
      not plain, as sentences.

    Raises:
      ConfigError: The numbers of a column are not written in one way.
      ValueError, RuntimeError, pandas.errors.ParserWarning: It cannot be read.
    """
    import pandas as pd

    frame = _read(path, layout)
    texts = _all_texts(path, layout, decimal, frame)
    votes = {next(iter(found.read)) for found in texts.values() if len(found.read) == 1}
    if any(frame[name].dtype.kind == "f" for name in frame.columns if name not in texts):
        votes.add(".")
    notes = _Notes()

    def column(name: str) -> "pd.Series":
        if name not in texts:
            return frame[name]
        found = texts[name]
        chosen = decimal
        if decimal == AUTO:
            chosen = min(votes) if len(votes) == 1 else _likely(found, layout.separator)
        return _column(name, found, chosen, decimal != AUTO, notes, path)

    return pd.DataFrame({name: column(name) for name in frame.columns}), notes.sentences()


def numbers_in_texts(
    frame: "pd.DataFrame", decimal: str, path: Path
) -> "tuple[pd.DataFrame, list[str]]":
    """Turns columns of texts that are numbers into numbers, if `decimal` is not `"auto"`.

    For tables whose own types say what is a text; with `"auto"` a note tells of such columns.
    """
    import pandas as pd
    from pandas.api import types

    notes = _Notes()
    columns = {}
    for place, name in enumerate(frame.columns):
        columns[name] = column = frame.iloc[:, place]
        if isinstance(column.dtype, types.CategoricalDtype) or not types.is_string_dtype(column):
            continue
        try:
            found = _texts(column, path)
        except ConfigError:  # amounts of several units
            if decimal == AUTO:
                continue
            raise
        if not found.others:
            continue
        if found.read and decimal != AUTO:
            columns[name] = _numbers(str(name), found, decimal, True, notes, path)
        elif found.read:
            told = f"{_cell(found.others[0])} in {shown(str(name))}"
            notes.add("Numbers that are texts in the file (`dataset.decimal` reads them)", told)
        else:
            numbers = {text for text in found.others if is_numeral(text)}
            _check_no_slips(str(name), found, numbers, notes, path)
    return pd.DataFrame(columns, index=frame.index), notes.sentences()


def _all_texts(
    path: Path, layout: Layout, decimal: str, frame: "pd.DataFrame"
) -> dict[str, _Texts]:
    """Returns the texts of the columns for which the numbers that pandas sees do not do."""
    kinds = np.array([dtype.kind for dtype in frame.dtypes])
    others = frame.columns[~np.isin(kinds, list("biufc"))]
    texts = {name: _texts(frame[name], path) for name in others}
    commas = decimal == "," or any(list(found.read) == [","] for found in texts.values())
    floats = np.flatnonzero(kinds == "f")
    sizes = np.abs(frame.iloc[:, floats].to_numpy(float))
    if commas or layout.separator == ";":  # then 1.234 may be a thousand and more
        for cells in _as_texts(path, layout, frame, floats[_may_be_thousands(sizes)]):
            texts[str(cells.name)] = _texts(cells, path)
    large = np.zeros(len(kinds), bool)
    large[floats] = (sizes >= 2.0**63).any(axis=0)
    whole = np.isin(kinds, ["i", "u"])
    whole &= whole.any() and _may_have_codes(path, layout)
    for cells in _as_texts(path, layout, frame, np.flatnonzero(whole | large)):
        if any(is_code(text) for text in cells.unique() if isinstance(text, str)):
            texts[str(cells.name)] = _texts(cells, path)
    return texts


def _may_be_thousands(sizes: np.ndarray) -> np.ndarray:
    """Tells for columns of numbers with a dot, without signs, whether it may group thousands."""
    with np.errstate(invalid="ignore"):  # infinite numbers
        more_decimals = np.abs(sizes * 1000 - np.round(sizes * 1000)) > 1e-6
    between = (sizes > 0) & (sizes < 1)
    return ~(between | (sizes >= 1000) | more_decimals).any(axis=0)


def _read(path: Path, layout: Layout, **options: Any) -> "pd.DataFrame":
    import pandas as pd

    if layout.row_names:
        options |= {"header": 0, "names": [UNNAMED, *layout.header]}
    return pd.read_csv(
        path,
        sep=layout.separator,
        encoding=layout.encoding,
        skiprows=layout.first_row,
        index_col=False,
        low_memory=False,
        skipinitialspace=True,
        keep_default_na=False,
        na_values=[""],
        **options,
    )


def _as_texts(
    path: Path, layout: Layout, frame: "pd.DataFrame", places: np.ndarray
) -> "list[pd.Series]":
    """Returns columns of the file as they are written."""
    if not len(places):
        return []
    again = _read(path, layout, usecols=list(places), dtype=str)
    again.columns = frame.columns[places]
    return [again[name] for name in again.columns]


def _may_have_codes(path: Path, layout: Layout) -> bool:
    """Tells whether digits that start with a zero may be a cell; in doubt they may."""
    if not layout.encoding.startswith("utf-8"):
        return True
    starts = rb'(?:^|[\s"' + re.escape(layout.separator.encode()) + rb"])[-+]?0[0-9]{2}"
    with opened(path) as file:
        return any(re.search(starts, line) for line in file)


def _texts(column: "pd.Series", path: Path) -> _Texts:
    cells = column.astype("str").str.strip()
    cells = cells.mask(cells == "")
    different = cells.dropna().unique().tolist()
    words = [text for text in different if text.lower() in _MISSING]
    others = [text for text in different if text.lower() not in _MISSING]
    try:
        return _Texts(cells, words, others, readings(others))
    except MixedUnitsError as error:
        one, another = error.args
        raise unfit(
            "have columns of numbers in one unit",
            f"{_cell(one)} and {_cell(another)} in column {shown(str(column.name))}",
            path,
        ) from None


def _likely(found: _Texts, separator: str) -> str:
    """Returns what separates decimals where other columns do not tell.

    Where a semicolon separates columns a comma is likely to be taken. "1,234" beside "1500" does
    not group thousands.
    """
    commas = any("," in text for text in found.others)
    return "," if commas and (separator == ";" or has_ungrouped_thousands(found.others)) else "."


def _column(
    name: str, found: _Texts, decimal: str, is_set: bool, notes: "_Notes", path: Path
) -> "pd.Series":
    """Returns the column as numbers, booleans or texts."""
    if found.read:
        return _numbers(name, found, decimal, is_set, notes, path)
    if all(text.lower() in _BOOLEANS for text in found.others):
        kept = found.cells.where(found.cells.isin(found.others))
        values = kept.str.lower().map(_BOOLEANS)
        return values if values.hasnans else values.astype(bool)
    codes = [text for text in found.others if is_code(text)]
    numbers = [text for text in found.others if is_numeral(text)]
    if codes and len(codes) + len(numbers) == len(found.others):
        notes.add("Read as codes, not as numbers", f"{_cell(codes[0])} in {shown(name)}")
    elif len(numbers) == len(found.others):
        one = next(text for text in numbers if not readings([numbers[0], text]))
        received = f"{_cell(numbers[0])} and {_cell(one)} in column {shown(name)}"
        raise unfit("have columns of numbers that are all written alike", received, path)
    else:
        _check_no_slips(name, found, set(numbers), notes, path)
    if found.words:
        notes.add(
            "Read as texts, not as missing values", f"{_cell(found.words[0])} in {shown(name)}"
        )
    return found.cells


def _numbers(
    name: str, found: _Texts, decimal: str, is_set: bool, notes: "_Notes", path: Path
) -> "pd.Series":
    if is_set and decimal not in found.read:
        raise ConfigError(
            f"`dataset.decimal` must be the decimal separator of column {shown(name)} in "
            f"{shown(str(path), WIDE)}. Received: {shown(decimal)}, and such numbers as "
            f"{_cell(found.others[0])}. Leave it auto, or name the column in `dataset.drop`."
        )
    read = found.read.get(decimal) or next(iter(found.read.values()))
    changed = next((text for text, value in read.items() if plain(text) != value), None)
    if changed is not None or differ(found.read):
        example = changed or found.others[0]
        told = f"{_cell(example)} in {shown(name)} is {read[example]:.10g}"
        other = found.read["." if decimal == "," else ","][example] if differ(found.read) else None
        if other is None or is_set:
            notes.add("Read as numbers", told)
        else:
            key = "dataset.decimal=." if decimal == "," else "\"dataset.decimal=','\""
            notes.add("Two readings are possible", f"{told} ({key} reads {other:.10g})")
    return found.cells.map(read).astype(np.float64)


def _check_no_slips(
    name: str, found: _Texts, numbers: set[str], notes: "_Notes", path: Path
) -> None:
    """Refuses a column of many numbers that a few other entries have turned into texts.

    Few distinct entries, such as 0, 1, 2 and "3+", are taken for categories.
    """
    cells = found.cells.dropna()
    slips = cells[~cells.isin([*numbers, *found.words])]
    if not numbers or not 0 < len(slips) < len(cells) / 2:
        return
    told = _cell(str(slips.iloc[0]))
    if len(found.others) > MOST_CATEGORIES:
        entries = "1 entry" if len(slips) == 1 else f"{len(slips)} entries"
        received = f"{entries} such as {told} among the numbers of column {shown(name)}"
        rule = "have columns of numbers or of texts, not of both"
        raise unfit(rule, received, path, "Correct them, or leave out those rows.")
    notes.add("Read as categories, because not all are numbers", f"{told} in {shown(name)}")


def _cell(text: str) -> str:
    return shown(with_blanks(text))


class _Notes:
    """What was done with columns, and to which; tables may have thousands of them."""

    def __init__(self) -> None:
        self._told: dict[str, list[str]] = {}

    def add(self, what: str, where: str) -> None:
        self._told.setdefault(what, []).append(where)

    def sentences(self) -> list[str]:
        """Returns a sentence for each kind."""
        return [f"{what}: {listed(where)}." for what, where in self._told.items()]


def listed(items: Sequence[str]) -> str:
    """Returns the first of the items, and how many more columns there are."""
    return abridged(items, _NAMED, "more columns")
