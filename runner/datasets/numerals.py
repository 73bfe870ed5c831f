"""Numbers as people write them: 1.234,56 and 1,234.56, $1,200.00, 12 %, 1 234,5 and (3.50).

What decimals and thousands are separated by is one question for a whole column: `readings` tells
which answers its texts admit.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

# No-break and thin spaces.
_BLANKS = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009\u2007", " "))
# The minus sign and the dashes that stand for it; the typographic apostrophe.
_PLAIN = _BLANKS | str.maketrans(
    {**dict.fromkeys("\u2212\u2012\u2013\u2014\ufe63\uff0d", "-"), "\u2019": "'"}
)
_CURRENCY = (
    r"(?:[A-Z]{1,2}\$|[$€£¥₹₩₽₺₫₪₴₦₱฿₿]|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK"
    r"|BRL|kr\.?|zł|Fr\.)"
)
_AMOUNT = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>{_CURRENCY})?\s*(?P<inner>[-+])?\s*"
    rf"(?P<body>[\d.,][\d., ']*(?:[eE][-+]?\d+)?)(?P<last>-)?"
    rf"\s*(?P<after>%|{_CURRENCY})?\s*(?P<close>\))?"
)
# Postal codes and the like, but not 07, which days and hours are written as; and more digits than
# any count has.
_CODE = re.compile(r"[-+]?0\d{2,}|[-+]?\d{20,}")


def _body(decimal: str, thousands: str) -> re.Pattern[str]:
    grouped = rf"[1-9]\d{{0,2}}(?P<mark>[{thousands}])\d{{3}}(?:(?P=mark)\d{{3}})*"
    return re.compile(
        rf"(?:(?P<whole>{grouped}|\d+)(?:{decimal}(?P<part>\d*))?|{decimal}(?P<only>\d+))"
        r"(?P<power>[eE][-+]?\d+)?"
    )


_BODIES = {".": _body(r"\.", ",' "), ",": _body(",", ".' ")}
# The separator, texts one a line that hold no other, and a line in which it separates no thousands.
_SIMPLE = [
    (
        mark,
        re.compile(rf"[-+]?\d+(?:[{mark}]\d+)?(?:\n[-+]?\d+(?:[{mark}]\d+)?)*"),
        re.compile(rf"[{mark}](?!\d{{3}}$)", re.MULTILINE),
    )
    for mark in ".,"
]
_CODES = re.compile(rf"^(?:{_CODE.pattern})$", re.MULTILINE)


class MixedUnitsError(ValueError):
    """Amounts in different currencies, or percentages beside plain numbers; `args` are two."""


def is_code(text: str) -> bool:
    """Tells whether a text is digits that are no number: a zero and more, or very many."""
    return _CODE.fullmatch(text) is not None


def readings(texts: Iterable[str]) -> dict[str, dict[str, float]]:
    """Returns how texts read as numbers: decimal separator -> text -> number.

    A separator is missing if some text is no number by it. Both are there where nothing decides:
    in whole numbers, where both readings are equal, and in "1,234", where they are not.

    Raises:
      MixedUnitsError: They would be numbers, but not of one unit.
    """
    texts = list(texts)
    if simple := _simple(texts):
        return simple
    units: dict[str, str] = {}
    read: dict[str, dict[str, float]] = {decimal: {} for decimal in _BODIES}
    for text in texts:
        found = _AMOUNT.fullmatch(text.translate(_PLAIN).strip())
        if found is None or bool(found["open"]) != bool(found["close"]):
            return {}
        signs = [found[name] for name in ("sign", "inner", "last") if found[name]]
        if is_code(text) or len(signs) > 1 or (found["before"] and found["after"]):
            return {}
        if found["last"] and not re.search("[.,]", found["body"]):
            return {}  # 1.23- is bookkeeping's -1.23, but 2- may be a mark
        units.setdefault(found["before"] or found["after"] or "", text)
        for decimal in list(read):
            number = _number(found["body"].strip(), decimal)
            if number is None:
                del read[decimal]
            else:
                minus = "-" in signs or found["open"]
                read[decimal][text] = -number if minus else number
        if not read:
            return {}
    if len(set(units) - {""}) > 1 or ("%" in units and "" in units):
        raise MixedUnitsError(*list(units.values())[:2])
    return read


def _simple(texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Returns the readings where they are plain but for the separator: one search for all texts."""
    joined = "\n".join(texts)
    for decimal, only, decides in _SIMPLE:
        if only.fullmatch(joined) and decides.search(joined) and not _CODES.search(joined):
            return {decimal: {text: float(text.replace(decimal, ".")) for text in texts}}
    return {}


def with_blanks(text: str) -> str:
    """Returns a text with usual blanks for no-break and thin ones, as it is shown to people."""
    return text.translate(_BLANKS)


def is_numeral(text: str) -> bool:
    """Tells whether a text alone could be a number."""
    return bool(readings([text]))


def plain(text: str) -> float | None:
    """Returns the number if it is written as computers write it."""
    try:
        return float(text)
    except ValueError:
        return None


def _number(body: str, decimal: str) -> float | None:
    found = _BODIES[decimal].fullmatch(body)
    if found is None:
        return None
    whole = re.sub(r"\D", "", found["whole"] or "0")
    return float(f"{whole}.{found['part'] or found['only'] or 0}{found['power'] or ''}")


def differ(read: Mapping[str, Mapping[str, float]]) -> bool:
    """Tells whether texts admit two readings that are not the same numbers."""
    return len(read) == 2 and read["."] != read[","]


def has_ungrouped_thousands(texts: Iterable[str]) -> bool:
    """Tells whether a text has four digits or more in a row: then no comma groups thousands."""
    return any(re.search(r"(?<![.,\d])\d{4}", text) for text in texts)
