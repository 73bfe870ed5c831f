"""Texts as token numbers: the next token of one text, or the class of each of many.

A text becomes tokens: its characters, or its words in lower case, each punctuation mark a word of
its own. Which tokens have numbers is fitted on the training part; see `vocabulary`.

One text (a file, or a folder of files that are joined in the order of their names) is cut into
three parts that follow one another, training, validation, test, and each part into sequences that
share no token but the one between them. So no sequence overlaps with one of another part. A folder
of class folders holds an example in each file: its first tokens, and padding after a shorter text.
"""

import itertools
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.config import (
    FRACTION,
    POSITIVE_INTEGER,
    PROPER_FRACTION,
    TEXT,
    ConfigError,
    Rule,
    one_of,
    optional,
    setting,
)
from runner.datasets import split
from runner.datasets.files import reading, unfit
from runner.datasets.folders import class_folders, existing_place, files, subfolders
from runner.datasets.settings import DEFAULT_TEST, DEFAULT_VALIDATION, Examples, Split
from runner.datasets.table import ENCODING
from runner.datasets.text_file import AUTO, WESTERN, encoding_of, opened
from runner.datasets.vocabulary import NUM_RESERVED, VocabularyLimit, numbered

_WHAT = "a file of text, a folder of such files, or a folder with a folder of them for each class"
_SUFFIXES = ("", ".txt", ".text", ".md")
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
MOST_WORDS = 10_000


def _above(least: int) -> Callable[[object], int]:
    def accept(value: object) -> int:
        number = POSITIVE_INTEGER.accept(value)
        if number <= least:
            raise ValueError
        return int(number)

    return accept


SIZE = Rule(f"an integer above {NUM_RESERVED}", _above(NUM_RESERVED))
LENGTH = Rule("an integer above 1", _above(1))


@dataclass(frozen=True)
class Text(Split):
    """Texts of the user.

    Attributes:
      path: A file, a folder of files, or a folder of folders, one for each class.
      tokens: What a text consists of.
      vocabulary_size: How many different numbers there are at most: those of the most frequent
        tokens in the training part and the two reserved ones. None: all characters, or `MOST_WORDS`
        words.
      sequence_length: Tokens of an example.
      encoding: Of the files; `"auto"` tells it from each.
      test: Fraction of all examples in the test part, 0 for none. None is the folder's own test
        part, and the usual fraction where it has none.
    """

    path: str | None = setting(optional(TEXT), None)
    tokens: str = setting(one_of("characters", "words"), "characters")
    vocabulary_size: int | None = setting(optional(SIZE), None)
    sequence_length: int = setting(LENGTH, 64)
    encoding: str = setting(ENCODING, AUTO)
    validation: float | None = setting(optional(PROPER_FRACTION), None)
    test: float | None = setting(optional(FRACTION), None)  # type: ignore[misc]

    def read(self) -> Examples:
        """Returns token numbers, shape (n, sequence_length), int32, with all tokens there are."""
        place = existing_place(self.path, _WHAT)
        with reading(place, _WHAT):
            if not place.is_dir():
                return self._next_token([place], place)
            if subfolders(place):
                return self._classes(place)
            paths, others = files(place, _is_text)
        if not paths:
            raise unfit("hold files of text", f"{len(others)} files that are none", place)
        return self._next_token(paths, place)

    def _next_token(self, paths: Sequence[Path], place: Path) -> Examples:
        """Returns sequences of one text and the same moved by one token, already divided."""
        texts, notes = self._texts(paths)
        text = "\n".join(texts)
        tokens = text if self.tokens == "characters" else _words(text)
        length = self.sequence_length
        test = DEFAULT_TEST if self.test is None else self.test
        validation = DEFAULT_VALIDATION if self.validation is None else self.validation
        split.check_fractions(validation, test)
        num_parts = 3 if test else 2
        if len(tokens) < num_parts * (length + 1):
            received = f"{len(tokens)} {self.tokens}"
            rule = f"hold {num_parts} parts of at least {length + 1} {self.tokens}"
            raise unfit(rule, received, place, "Choose a smaller `dataset.sequence_length`.")
        numbers = numbered([tokens])[0]
        shares = {"validation": validation, "test": test}
        sizes = {
            name: max(round(share * len(numbers)), length + 1) if share else 0
            for name, share in shares.items()
        }
        first = len(numbers) - sum(sizes.values())
        if first <= length:
            rule = f"leave at least {length + 1} {self.tokens} to train on"
            raise unfit(rule, f"{max(first, 0)} of {len(numbers)}", place)
        cuts = [0, first, first + sizes["validation"], len(numbers)]
        parts = [
            _sequences(numbers[start:end], length)
            for start, end in itertools.pairwise(cuts)
            if end > start
        ]
        x, y = (np.concatenate(arrays) for arrays in zip(*parts[:2], strict=True))
        x_test, y_test = parts[2] if test else (None, None)
        notes.append(
            f"{len(tokens)} {self.tokens}, cut into sequences of {length}; training, validation "
            "and test part follow one another"
        )
        return Examples(
            x=x,
            y=y,
            task="tokens",
            x_test=x_test,
            y_test=y_test,
            num_validation=len(parts[1][0]),
            divided=True,
            **self._known(place, int(numbers.max()) + 1, notes),
        )

    def _classes(self, place: Path) -> Examples:
        """Returns the first tokens of each text, and the names of the classes."""
        found = class_folders(place, _is_text, _WHAT, "texts")
        parts = {"train": found.train, "validation": found.validation, "test": found.test}
        there = {name: part for name, part in parts.items() if part is not None}
        texts, notes = self._texts([path for part in there.values() for path in part.paths])
        as_tokens = [text if self.tokens == "characters" else _words(text) for text in texts]
        lengths = np.array([len(tokens) for tokens in as_tokens])
        numbers = numbered([tokens[: self.sequence_length] for tokens in as_tokens])
        x = np.zeros((len(numbers), self.sequence_length), np.int32)
        for row, text in zip(x, numbers, strict=True):
            row[: len(text)] = text
        notes += _told_lengths(lengths, self.sequence_length, self.tokens)
        arrays, start = {}, 0
        for name, part in there.items():
            rows = np.arange(start, start + len(part.paths))
            start += len(rows)
            kept = lengths[rows] > 0
            if not kept.any():
                raise unfit("hold texts that are not empty", f"{len(rows)} empty texts", place)
            arrays[name] = x[rows[kept]], part.classes[kept]
        joined = [arrays[name] for name in ("train", "validation") if name in arrays]
        x_test, y_test = arrays.get("test", (None, None))
        return Examples(
            x=np.concatenate([x for x, _ in joined]),
            y=np.concatenate([y for _, y in joined]),
            task="classification",
            x_test=x_test,
            y_test=y_test,
            num_validation=len(arrays["validation"][0]) if "validation" in arrays else 0,
            **self._known(place, int(x.max()) + 1, [*notes], found.notes),
        )

    def _known(
        self, place: Path, vocabulary: int, notes: Sequence[str], others: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Returns what holds for both kinds of examples."""
        size = self.vocabulary_size
        if size is None and self.tokens == "words":
            size = MOST_WORDS
        return {
            "key": "dataset.path",
            "source": str(self.path),
            "vocabulary": vocabulary,
            "limit": VocabularyLimit(size, self.tokens),
            "notes": (*others, *(f"{place.name}: {note}." for note in notes)),
        }

    def _texts(self, paths: Sequence[Path]) -> tuple[list[str], list[str]]:
        """Returns the files' texts, and how they were read."""
        texts, western = [], 0
        for path in paths:
            with reading(path, _WHAT, UnicodeError, EOFError, zlib.error):
                text, encoding = _decoded(path, self.encoding)
            if "\0" in text:
                raise unfit("hold text", "a file that is none, with bytes of zero", path)
            western += encoding == WESTERN and self.encoding == AUTO
            texts.append(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
        notes = []
        if western:
            notes.append(f"{western} of {len(paths)} files are not UTF-8 and are read as {WESTERN}")
        return texts, notes


def _decoded(path: Path, encoding: str) -> tuple[str, str]:
    """Returns a file's text, and the encoding that it has.

    Raises:
      ConfigError, UnicodeError, OSError, EOFError, zlib.error: It cannot be read.
    """
    with opened(path) as file:
        content = file.read()
    if encoding == AUTO:
        try:
            encoding = encoding_of(path)
        except ConfigError:
            if b"\0" in content:  # no text at all, of whatever encoding
                return "\0", encoding
            raise
    return content.decode(encoding), encoding


def _is_text(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _sequences(numbers: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns sequences that follow one another, and the same moved by one, shape (n, length).

    What is left at the end is too short for another one.
    """
    num = (len(numbers) - 1) // length
    inputs, nexts = (numbers[start : start + num * length] for start in (0, 1))
    return inputs.reshape(num, length), nexts.reshape(num, length)


def _told_lengths(lengths: np.ndarray, length: int, tokens: str) -> list[str]:
    """Returns what was done to texts of other lengths."""
    total, told = len(lengths), []
    if empty := int((lengths == 0).sum()):
        told.append(f"{empty} of {total} texts are empty and left out")
    if longer := int((lengths > length).sum()):
        told.append(
            f"{longer} of {total} texts are longer than {length} {tokens} and cut off "
            "(`dataset.sequence_length`)"
        )
    if shorter := int(((lengths > 0) & (lengths < length)).sum()):
        told.append(f"{shorter} of {total} texts are shorter and filled up at the end")
    return told
