"""The ranked table, and the table of several settings."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Any

from runner import tasks
from runner.report import names, words
from runner.report.statistics.proportions import half_width_of_share
from runner.report.table import Entry, Table
from runner.report.verdict import Cell, Standing

# More settings than these do not fit beside each other; the ranked table has all.
_MAX_COLUMNS = 12


def ranking(cells: Sequence[Cell], confidence: float) -> Table:
    """Returns one row a configuration, best first within each cell."""
    standings = [standing for cell in cells for standing in cell.standings]
    factors = names.short_keys(key for standing in standings for key in standing.record.factors)
    compared = any(len(cell.standings) > 1 for cell in cells)
    tested = any(standing.test for standing in standings)
    reference = names.reference_word(cell.is_baseline for cell in cells)
    titles = {
        "#": compared,
        "initializer": True,
        "metric": len(metrics(cells)) > 1,
        "mean": True,
        f"{100 * confidence:g} % interval": True,
        "median": True,
        "std": True,
        f"difference to {reference}": compared,
        "outcome": compared,
        "finished": True,
        "test ± sampling error": tested,
        "test, interval over seeds": tested,
    }
    shown = list(compress(titles, titles.values()))
    at = shown.index("initializer") + 1
    rows = [
        (*row[:at], *_factors(standing, factors), *row[at:])
        for cell in cells
        for standing, entries in zip(cell.standings, _entries(cell, confidence), strict=True)
        for row in [tuple(compress(entries, titles.values()))]
    ]
    return Table(
        columns=(*shown[:at], *factors.values(), *shown[at:]),
        rows=tuple(rows),
        numeric=frozenset(titles) - {"initializer", "metric", "outcome", "finished"},
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
    good = [s.name.series for cell in scored for s in words.good(cell)]
    rows = [
        (Entry(name), *(_marked(own.get(name), cell) for own, cell in zip(of, scored, strict=True)))
        for name in sorted(series, key=good.count, reverse=True)
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
    is_good = any(standing is other for other in words.good(cell))
    if is_good:
        choice = cell.choice is standing
        return Entry(f"{text} {'★' if choice else '='}", standing.score.mean, "good")
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
        standing.record.index: _outcome(standing, cell).text
        for cell in cells
        if len(cell.standings) > 1
        for standing in cell.standings
    }


def metrics(cells: Sequence[Cell]) -> list[str]:
    """Returns what the cells compare, in words."""
    found = (names.endpoint_name(s.record) for cell in cells for s in cell.standings)
    return list(dict.fromkeys(found))


def _entries(cell: Cell, confidence: float) -> Iterator[list[Entry]]:
    """Yields the row of each standing, without its factors."""
    digits, difference_digits = words.digits(cell), words.difference_digits(cell)
    for rank, standing in enumerate(cell.standings, start=1):
        record, score, test = standing.record, standing.score, standing.test
        is_whole = score.count >= record.num_replicates
        yield [
            Entry(str(rank), rank) if score.count else Entry("–", len(cell.standings)),
            Entry(names.one_line(record.init)),
            Entry(names.endpoint_name(record)),
            Entry(names.number(score.mean, digits), score.mean),
            Entry(names.interval(score, digits), score.low, "muted"),
            Entry(names.number(score.median, digits), score.median),
            Entry(names.significant(score.std, 2), score.std),
            _difference(standing, difference_digits),
            _outcome(standing, cell),
            Entry(
                names.coverage(record.num_replicates, standing.statuses),
                score.count,
                "" if is_whole else "bad",
            ),
            _test(standing, digits, confidence),
            Entry(names.interval(test, digits), test.low, "muted") if test else Entry(""),
        ]


def _factors(standing: Standing, keys: Iterable[str]) -> Iterator[Entry]:
    for key in keys:
        value: Any = standing.record.factors.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        yield Entry(names.one_line(names.scalar_text(value)), float(value) if is_number else None)


def _difference(standing: Standing, digits: int) -> Entry:
    difference = standing.difference
    if difference is None or not difference.count:
        return Entry("")
    return Entry(names.mean_and_interval(difference, digits, signed=True), difference.mean)


def _test(standing: Standing, digits: int, confidence: float) -> Entry:
    """Returns the mean score on the test part, and what the part's size leaves open of a share."""
    test, record = standing.test, standing.record
    if test is None:
        return Entry("")
    text, size = names.number(test.mean, digits), record.dataset.get("num_test")
    if size and tasks.metric(record.endpoint).is_share:
        width = half_width_of_share(test.mean, int(size), confidence)
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


def _outcome(standing: Standing, cell: Cell) -> Entry:
    outcome = "unlearned" if standing.never_learned else standing.outcome
    if outcome == "reference":
        return Entry("baseline") if cell.is_baseline else Entry("best mean", emphasis="good")
    text, emphasis = OUTCOMES[outcome]
    if outcome == "unknown" and not cell.look:
        text = "no verdict"
    return Entry(text, emphasis=emphasis)
