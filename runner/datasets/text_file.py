"""How a table of text is written: its encoding, what separates its columns, its header.

What a file does not tell clearly is refused: a wrong guess would train on wrong numbers.
"""

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from runner.config import ConfigError, shown
from runner.datasets.files import WIDE, unfit

AUTO = "auto"
SEPARATORS = (",", ";", "\t", "|")
UNNAMED = "Unnamed: 0"

_BLOCK_BYTES = 1 << 20
# The separator is told from so many characters at the start of the file, and so many lines.
_SAMPLE = 1 << 18
_FEWEST_LINES = 3
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",  # after UTF-32, which starts with the same two bytes
    codecs.BOM_UTF16_BE: "utf-16",
}
# What Windows and R write in western Europe and America; Latin-1 is a part of it.
WESTERN = "cp1252"
# Excel's first line that names the separator.
_EXCEL = re.compile(r'"?sep=(.)"?\r?\n')


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes:
      encoding: Name of Python's codec.
      separator: One character.
      first_row: Number of lines before the header.
      row_names: Whether the rows have one value more than the header: a first one without a name.
      header: Names of the columns as they are written.
      notes: What was found that is not usual, as sentences.
    """

    encoding: str
    separator: str
    first_row: int
    row_names: bool
    header: tuple[str, ...]
    notes: tuple[str, ...]


def layout(path: Path, encoding: str, separator: str, wanted: Sequence[str]) -> Layout:
    """Finds out how a file is written.

    Args:
      path: A .csv or .tsv file, which may be gzipped.
      encoding, separator: The settings; `"auto"` is found out.
      wanted: Names of columns that the file must have.

    Raises:
      ConfigError: It cannot be told, or the file starts with comments.
      UnicodeError, OSError, EOFError: The file cannot be read.
    """
    notes = []
    if encoding == AUTO:
        encoding = encoding_of(path)
        if encoding == WESTERN:
            notes.append(f"The file is not UTF-8 and is read as {WESTERN} (`dataset.encoding`).")
    lines = _first_lines(path, encoding)
    excel = _EXCEL.match(lines[0]) if lines else None
    if excel:
        del lines[0]
        separator = excel[1] if separator == AUTO else separator
    usual = "\t" if path.name.lower().endswith(".tsv") else ","
    if separator == AUTO:
        separator = _separator(lines, usual, wanted, path)
        if separator != usual:
            notes.append(f"Columns are separated by {shown(separator)} (`dataset.separator`).")
    rows = _rows(lines, separator)
    header = tuple(name.strip() for name in rows[0]) if rows else ()
    if header and header[0].startswith("#") and len({len(row) for row in rows}) > 1:
        rule, received = "hold a table without lines of comments", shown(rows[0][0])
        raise unfit(rule, received, path, "Remove such lines.")
    named = _has_row_names(rows)
    return Layout(encoding, separator, int(bool(excel)), named, header, tuple(notes))


def opened(path: Path) -> IO[bytes]:
    """Opens a file that may be gzipped."""
    compressed = path.name.lower().endswith(".gz")
    return cast("IO[bytes]", gzip.open(path)) if compressed else path.open("rb")


def _first_lines(path: Path, encoding: str) -> list[str]:
    lines: list[str] = []
    num_characters = 0
    with opened(path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
        while num_characters < _SAMPLE or len(lines) < _FEWEST_LINES:
            line = text.readline()
            if not line:
                break
            lines.append(line)
            num_characters += len(line)
    return lines


def encoding_of(path: Path) -> str:
    """Returns the encoding that a mark at the start names, else UTF-8, UTF-16 or the western one.

    Raises:
      ConfigError: None of them, or no text at all.
    """
    with opened(path) as file:
        start = file.read(_BLOCK_BYTES)
        for mark, name in _BOMS.items():
            if start.startswith(mark):
                return name
        zeros = [start[place::2].count(0) for place in (0, 1)]
        if max(zeros) > len(start) / 8 > 0 and min(zeros) < max(zeros) / 8:
            return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for block in _blocks(start, file):
                decoder.decode(block)
            decoder.decode(b"", final=True)
            return "utf-8"
        except UnicodeDecodeError:
            pass
    with opened(path) as file:
        foreign = sorted(set(re.findall(rb"[\x80-\xff]+", b"".join(_blocks(b"", file)))))
    return _western(foreign, path)


def _western(foreign: Sequence[bytes], path: Path) -> str:
    """Returns the western encoding if all that is not ASCII reads like it.

    Western languages have single letters that are not ASCII among others that are; in Greek,
    Cyrillic or Chinese nearly all are, one after the other.
    """
    try:
        texts = [run.decode(WESTERN) for run in foreign]
    except UnicodeDecodeError:
        texts = []
    short = sum(len(text) <= 2 for text in texts)
    if 2 * short <= len(foreign):
        raise ConfigError(
            f"`dataset.encoding` must be given for {shown(str(path), WIDE)}, such as latin-1, "
            "cp1251 or shift_jis. Received: auto, but the file is not UTF-8, and its bytes "
            f"{shown(foreign[0])} do not tell which it is."
        )
    return WESTERN


def _blocks(start: bytes, file: IO[bytes]) -> Iterator[bytes]:
    yield start
    while block := file.read(_BLOCK_BYTES):
        yield block


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    """Returns the rows that are not empty; the last, which may be cut off, only of a short file."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error:  # a field that is too long
        return []
    return rows[:-1] if len(rows) > _FEWEST_LINES else rows


def _has_row_names(rows: Sequence[Sequence[str]]) -> bool:
    """Tells whether every row has one value more than the header, as R writes it.

    The first values must be names or numbers of rows: all different, no fractions. A last value
    that is always empty is only a separator at the end of each line.
    """
    if len(rows) < 2 or any(len(row) != len(rows[0]) + 1 for row in rows[1:]):
        return False
    first = [row[0] for row in rows[1:]]
    return (
        len(set(first)) == len(first)
        and any(row[-1] for row in rows[1:])
        and not any(re.fullmatch(r"[-+]?\d*[.,]\d*", text) for text in first)
    )


def _separator(lines: Sequence[str], usual: str, wanted: Sequence[str], path: Path) -> str:
    """Returns the one character that divides all rows alike.

    Several may do so, if texts or numbers hold one of them. Then it is the one whose header has the
    columns that the settings name.
    """
    divided = {mark: _rows(lines, mark) for mark in dict.fromkeys((usual, *SEPARATORS))}
    several = {mark: rows for mark, rows in divided.items() if rows and len(rows[0]) > 1}
    even = [mark for mark, rows in several.items() if len({len(row) for row in rows}) == 1]
    even = even or [mark for mark, rows in several.items() if _has_row_names(rows)]
    if len(even) > 1:
        names = {mark: {name.strip() for name in divided[mark][0]} for mark in even}
        even = [mark for mark in even if set(wanted) <= names[mark]] or even
    if len(even) > 1:
        raise ConfigError(
            f"`dataset.separator` must be given for {shown(str(path), WIDE)}. Received: auto, but "
            f"{' and '.join(shown(mark) for mark in even)} both divide all its rows alike."
        )
    if not several and len(rows := _rows(lines, " ")) > 1:  # as R's write.table separates
        even = [" "] if len({len(row) for row in rows}) == 1 < len(rows[0]) else even
        even = [" "] if _has_row_names(rows) else even
    return even[0] if even else usual


def overlong_row(path: Path, layout: Layout) -> tuple[int, list[str]] | None:
    """Returns the first row of more values than there are columns, and its line, from 1."""
    room = len(layout.header) + layout.row_names
    with opened(path) as file, io.TextIOWrapper(file, layout.encoding, newline="") as text:
        reader = csv.reader(text, delimiter=layout.separator, skipinitialspace=True)
        for row in reader:
            if reader.line_num > layout.first_row and any(row[room:]):
                return reader.line_num, row
    return None
