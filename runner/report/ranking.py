"""The ranked table, and the table of several settings."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner.records import lower_is_better
from runner.report import names, words
from runner.report.statistics.proportions import half_width_of_share
from runner.report.table import Entry, Table
from runner.report.verdict import Cell, Standing
from runner.summary import Summary

# More settings than these do not fit beside each other; the ranked table has all.
_MAX_COLUMNS = 12


@dataclass(frozen=True)
class Place:
    """A standing with what its row needs to know of its cell.

    Attributes:
      rank: Its place in the cell, from 1.
      digits, difference_digits: Decimals of the cell's scores and of its differences.
      confidence: Level of its intervals.
    """

    rank: int
    standing: Standing
    cell: Cell
    digits: int
    difference_digits: int
    confidence: float


Column = tuple[str, Callable[[Place], Entry]]


def ranking(cells: Sequence[Cell], confidence: float) -> Table:
    """Returns one row a configuration, best first within each cell."""
    compared = any(len(cell.standings) > 1 for cell in cells)
    numbers = _numbers(cells, confidence, compared)
    metric: Column = ("metric", lambda place: Entry(names.endpoint_name(place.standing.record)))
    tests: list[Column] = []
    if any(standing.test for cell in cells for standing in cell.standings):
        tests = [("test ± sampling error", _test), ("test, interval over seeds", _over_seeds)]
    columns: list[Column] = [
        *([("#", _rank)] if compared else []),
        ("initializer", lambda place: Entry(names.one_line(place.standing.record.init))),
        *_factors(cells),
        *([metric] if len(metrics(cells)) > 1 else []),
        *numbers,
        *([("outcome", _outcome)] if compared else []),
        ("finished", _coverage),
        *tests,
    ]
    places = [place for cell in cells for place in _places(cell, confidence)]
    return Table(
        columns=tuple(title for title, _ in columns),
        rows=tuple(tuple(entry(place) for _, entry in columns) for place in places),
        numeric=frozenset(("#", *(title for title, _ in (*numbers, *tests)))),
    )


MARKS = "★ use it, = ties with it, ? not known yet"
"""What stands beside the numbers of `matrix`."""


def matrix(cells: Sequence[Cell]) -> Table | None:
    """Returns one row an initializer, one column a setting: means, with the best of each marked.

    None of a single cell, and where cells have no initializer in common.
    """
    scored = [cell for cell in cells if cell.leader][:_MAX_COLUMNS]
    of = [{s.name.series: s for s in cell.standings} for cell in scored]
    series = list(dict.fromkeys(name for own in of for name in own))
    if len(scored) < 2 or len(series) == sum(map(len, of)):
        return None
    num_good = Counter(s.name.series for cell in scored for s in words.good(cell))
    order = sorted(series, key=lambda name: -num_good[name])
    rows = [
        (Entry(name), *(_marked(own.get(name), cell) for own, cell in zip(of, scored, strict=True)))
        for name in order
    ]
    columns = tuple(cell.name or f"setting {place}" for place, cell in enumerate(scored, start=1))
    return Table(("initializer", *columns), tuple(rows), frozenset(columns))


def _marked(standing: Standing | None, cell: Cell) -> Entry:
    if standing is None:
        return Entry("")
    if standing.never_learned:
        return Entry("never learns", -math.inf, "bad")
    if not standing.score.count:
        return Entry("diverges" if standing.num_diverged else "–", -math.inf, "bad")
    text = names.number(standing.score.mean, words.digits(cell))
    if any(standing is other for other in words.good(cell)):
        mark = "★" if cell.choice is standing else "="
        return Entry(f"{text} {mark}", standing.score.mean, "good")
    if standing.outcome == "unknown" or not words.good(cell):
        return Entry(f"{text} ?", standing.score.mean)
    return Entry(text, standing.score.mean, "muted")


def ranks(cells: Sequence[Cell]) -> dict[int, int]:
    """Returns the place of each configuration in its cell, if it has a score."""
    return {
        standing.record.index: rank
        for cell in cells
        for rank, standing in enumerate(cell.standings, start=1)
        if standing.score.count
    }


def outcomes(cells: Sequence[Cell]) -> dict[int, str]:
    """Returns what the table calls the outcome of each configuration; none that is alone."""
    return {
        place.standing.record.index: _outcome(place).text
        for cell in cells
        if len(cell.standings) > 1
        for place in _places(cell, 0.0)
    }


def _places(cell: Cell, confidence: float) -> list[Place]:
    digits, difference_digits = words.digits(cell), words.difference_digits(cell)
    return [
        Place(rank, standing, cell, digits, difference_digits, confidence)
        for rank, standing in enumerate(cell.standings, start=1)
    ]


def metrics(cells: Sequence[Cell]) -> list[str]:
    """Returns what the cells compare, in words."""
    found = (names.endpoint_name(s.record) for cell in cells for s in cell.standings)
    return list(dict.fromkeys(found))


def _numbers(cells: Sequence[Cell], confidence: float, compared: bool) -> list[Column]:
    reference = names.reference_word(cell.is_baseline for cell in cells)
    columns: list[Column] = [
        ("mean", lambda place: _number(place, place.standing.score.mean)),
        (f"{100 * confidence:g} % interval", lambda p: _interval(p.standing.score, p.digits)),
        ("median", lambda place: _number(place, place.standing.score.median)),
        ("std", _std),
    ]
    if compared:
        columns.append((f"difference to {reference}", _difference))
    return columns


def _factors(cells: Sequence[Cell]) -> list[Column]:
    records = [standing.record for cell in cells for standing in cell.standings]
    keys = names.short_keys(key for record in records for key in record.factors)

    def column(key: str) -> Callable[[Place], Entry]:
        def entry(place: Place) -> Entry:
            value = place.standing.record.factors.get(key)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            text = names.one_line(names.scalar_text(value))
            return Entry(text, float(value) if is_number else None)

        return entry

    return [(title, column(key)) for key, title in keys.items()]


def _rank(place: Place) -> Entry:
    if not place.standing.score.count:
        return Entry("–", len(place.cell.standings))
    return Entry(str(place.rank), place.rank)


def _number(place: Place, value: float) -> Entry:
    return Entry(names.number(value, place.digits), value)


def _interval(score: Summary | None, digits: int) -> Entry:
    return Entry(names.interval(score, digits), score.low, "muted") if score else Entry("")


def _over_seeds(place: Place) -> Entry:
    return _interval(place.standing.test, place.digits)


def _std(place: Place) -> Entry:
    value = place.standing.score.std
    return Entry(names.significant(value, 2), value)


def _difference(place: Place) -> Entry:
    difference = place.standing.difference
    if difference is None or not difference.count:
        return Entry("")
    text = names.mean_and_interval(difference, place.difference_digits, signed=True)
    return Entry(text, difference.mean)


def _test(place: Place) -> Entry:
    """Returns the mean score on the test part, and what the part's size leaves open of a share."""
    test, record = place.standing.test, place.standing.record
    if test is None:
        return Entry("")
    text, size = names.number(test.mean, place.digits), record.dataset.get("num_test")
    if size and not lower_is_better(record.endpoint):
        width = half_width_of_share(test.mean, int(size), place.confidence)
        text += f" ± {names.significant(width, 2)}"
    return Entry(text, test.mean)


# Outcome -> what it is called, and its emphasis.
OUTCOMES: dict[str, tuple[str, str]] = {
    "better": ("better", "good"),
    "equivalent": ("equivalent", "good"),
    "worse": ("worse", "bad"),
    "unknown": ("not known yet", "muted"),
    "unlearned": ("never learned", "bad"),
    "unfinished": ("no result", "bad"),
}


def _outcome(place: Place) -> Entry:
    outcome = "unlearned" if place.standing.never_learned else place.standing.outcome
    if outcome == "reference":
        return Entry("baseline") if place.cell.is_baseline else Entry("best mean", emphasis="good")
    text, emphasis = OUTCOMES[outcome]
    if outcome == "unknown" and not place.cell.look:
        text = "no verdict"
    return Entry(text, emphasis=emphasis)


def _coverage(place: Place) -> Entry:
    score, record = place.standing.score, place.standing.record
    text = names.coverage(record.num_replicates, place.standing.statuses)
    return Entry(text, score.count, "" if score.count >= record.num_replicates else "bad")
