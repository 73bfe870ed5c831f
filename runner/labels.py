"""Labels: an option and its settings in one text, `normal(scale=0.1)`, as tables print it.

What is written here can be read here, to the same settings. A label is a name alone, or

    name(key=value, key=value, ...)

with the values of Hydra's command line: numbers, `true`, `false`, `null`, words, lists `[a, b]`,
mappings `{a: 1, b: 2}`, and texts in quotes. A text needs quotes where it looks like a number, or
has signs that mean something here. In quotes a backslash stands for itself, except before a quote.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

MARK, FIXED = "weights", "fixed"
"""`weights=fixed`: what a label tells of kernels that are the same for every seed."""

ARGUMENTS = "arguments"
"""The setting that holds what a user's own function takes; labels show its content."""

PATHS = ("target", "function")
"""The settings that hold the path of a user's own function; labels begin with it."""

_NUMBER = r"(?:0|[1-9](?:_?\d)*)"
_INTEGER = re.compile(rf"[+-]?{_NUMBER}", re.ASCII)
_FLOAT = re.compile(
    rf"[+-]?(?:(?:{_NUMBER}?\.\d(?:_?\d)*|{_NUMBER}\.?)(?:e[+-]?\d(?:_?\d)*)?|inf|nan)",
    re.ASCII | re.IGNORECASE,
)
_CONSTANTS = {"null": None, "true": True, "false": False}
_BEFORE_QUOTE = re.compile(r"(\\*)('|\Z)")
_UNQUOTED = re.compile(r"[\w.*/?|@%+-]+")

_NAME = re.compile(r"[^()\[\]{},='\"]*")
_WORD = re.compile(r"[^\s()\[\]{},='\"]+(?:[ \t]+[^\s()\[\]{},='\"]+)*")
_KEY = re.compile(r"[^\s()\[\]{},='\":]+")
_LONGEST_REST = 20


class _Argument:
    """What a user's own function gets: for it, 1 and 1.0 may be different."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return _written(self._value, is_exact=True)


def label(name: str, settings: Mapping[str, Any]) -> str:
    """Returns `name`, or `name(key=value, ...)` where there are settings to tell.

    >>> label("normal", {"scale": 0.1, "kernels": ("*/w", "a[0]")})
    "normal(scale=0.1, kernels=[*/w, 'a[0]'])"
    """
    if not settings:
        return name
    told = ", ".join(f"{_text(key)}={_written(value)}" for key, value in settings.items())
    return f"{name}({told})"


def by_target(settings: Mapping[str, Any], own: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Returns what settings of an import path are called after, and those that are left to tell.

    The arguments stand beside the other settings.

    Args:
      settings: Those to tell.
      own: Names of all settings of the option; an argument of such a name is told with a prefix.

    >>> name, told = by_target({"target": "a.b", "arguments": {"scale": 1, "bias": 2}}, ["bias"])
    >>> label(name, told)
    'a.b(scale=1, arguments.bias=2)'
    """
    told = dict(settings)
    path, arguments = "", told.pop(ARGUMENTS, {})
    for key in PATHS:
        path = told.pop(key, path)
    taken = {*own, MARK, *PATHS, ARGUMENTS}
    given = {
        f"{ARGUMENTS}.{key}" if key in taken or key.startswith(f"{ARGUMENTS}.") else key: value
        for key, value in arguments.items()
    }
    return path, {**{key: _Argument(value) for key, value in given.items()}, **told}


def _written(value: Any, *, is_exact: bool = False) -> str:
    """Returns a value as it is read; a whole float as an integer unless it must be exact.

    A value of a type of its own goes by its text, such as the short tag of a long list of rules.
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value and not is_exact else repr(value)
    if isinstance(value, Mapping):
        items = ((_written(k), _written(v, is_exact=is_exact)) for k, v in value.items())
        return f"{{{', '.join(f'{key}: {item}' for key, item in items)}}}"
    if type(value) in (list, tuple):
        return f"[{', '.join(_written(item, is_exact=is_exact) for item in value)}]"
    return _text(value) if type(value) is str else str(value)


def _text(text: str) -> str:
    """Returns a text, in quotes where it would be read as something else."""
    if _UNQUOTED.fullmatch(text) and isinstance(_scalar(text), str):
        return text
    escaped = _BEFORE_QUOTE.sub(lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text)
    return f"'{escaped}'"


def read(text: str) -> tuple[str, dict[str, Any]]:
    """Returns the name and the settings of a label.

    Raises:
      ValueError: It is none; the message is a sentence that says why.
    """
    reader = _Reader(text)
    found = reader.label()
    if reader.rest:
        raise ValueError(f"Nothing may follow the label; here `{reader.rest}` does.")
    return found


def split(text: str) -> list[tuple[str, bool]]:
    """Splits labels with commas between them; returns each, and whether it was in quotes.

    Unlike Hydra's grammar this takes quotes within single quotes, `'f(a='b c')'`, and none at all.

    Raises:
      ValueError: These are no labels.
    """
    reader = _Reader(text)
    found = []
    while True:
        is_quoted = reader.skip("'")
        start = reader.place
        reader.label()
        found.append((text[start : reader.place].strip(), is_quoted))
        if not found[-1][0]:
            raise ValueError("A name is missing.")
        if is_quoted and not reader.skip("'"):
            raise ValueError("A quotation mark is not closed.")
        if not reader.rest:
            return found
        if not reader.skip(","):
            raise ValueError(f"No comma stands before `{reader.rest}`.")


class _Reader:
    """Reads a label from a place in a text on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    @property
    def rest(self) -> str:
        """What has not been read, shortened."""
        rest = self.text[self.place :].strip()
        return rest if len(rest) <= _LONGEST_REST else f"{rest[:_LONGEST_REST]}…"

    def skip(self, sign: str) -> bool:
        """Tells whether a sign comes next, and goes past it."""
        found = re.compile(rf"\s*{re.escape(sign)}").match(self.text, self.place)
        self.place = found.end() if found else self.place
        return found is not None

    def label(self) -> tuple[str, dict[str, Any]]:
        """Reads a name and the settings that may follow it."""
        name = self._take(_NAME).strip()
        settings: dict[str, Any] = {}
        if self.skip("("):
            for _ in self._items(")"):
                key, value = self._setting()
                if key in settings:
                    raise ValueError(f"`{key}` is given twice.")
                settings[key] = value
        return name, settings

    def _items(self, end: str) -> Iterator[None]:
        """Yields wherever an item stands, up to the sign at the end of all."""
        if self.skip(end):
            return
        while True:
            yield
            if self.skip(end):
                return
            if not self.skip(","):
                raise ValueError(self._unexpected())

    def _setting(self) -> tuple[str, Any]:
        start = self.place
        quoted = self._quoted()
        key = self._take(_KEY) if quoted is None else quoted
        if self.skip("="):
            return key, self._value()
        self.place = start
        self._value()
        given = self.text[start : self.place].strip()
        raise ValueError(f"`{given}` has no name: a setting is key=value.")

    def _value(self) -> Any:
        if self.skip("["):
            return [self._value() for _ in self._items("]")]
        if self.skip("{"):
            return dict(self._entry() for _ in self._items("}"))
        return self._plain(_WORD)

    def _entry(self) -> tuple[Any, Any]:
        key = self._plain(_KEY)
        if not self.skip(":"):
            raise ValueError(f"No colon follows `{key}`: a mapping is {{key: value}}.")
        return key, self._value()

    def _plain(self, pattern: re.Pattern[str]) -> Any:
        quoted = self._quoted()
        if quoted is not None:
            return quoted
        word = self._take(pattern)
        if not word:
            raise ValueError(self._unexpected())
        return _scalar(word)

    def _quoted(self) -> str | None:
        for quote in "'\"":
            if self.skip(quote):
                return self._until(quote)
        return None

    def _until(self, quote: str) -> str:
        pieces, start = [], self.place
        for found in re.compile(rf"(\\*){quote}").finditer(self.text, start):
            count = len(found[1])
            pieces.append(self.text[start : found.start()] + "\\" * (count // 2))
            start = found.end()
            if count % 2 == 0:
                self.place = start
                return "".join(pieces)
            pieces.append(quote)
        raise ValueError("A quotation mark is not closed.")

    def _take(self, pattern: re.Pattern[str]) -> str:
        self.skip("")
        found = pattern.match(self.text, self.place)
        self.place = found.end() if found else self.place
        return found[0] if found else ""

    def _unexpected(self) -> str:
        if not self.rest:
            return "A parenthesis or a bracket is not closed."
        return f"`{self.rest}` cannot stand there. Put a text with such signs into quotes."


def _scalar(word: str) -> Any:
    """Returns what a word without quotes stands for."""
    if word.lower() in _CONSTANTS:
        return _CONSTANTS[word.lower()]
    if _INTEGER.fullmatch(word):
        return int(word)
    return float(word) if _FLOAT.fullmatch(word) else word
