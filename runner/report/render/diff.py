"""What changed from one sweep to another, for people: on a terminal, and as Markdown."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from runner.config import abridged
from runner.report import names
from runner.report.diff import Common, Paired, Score, SweepDiff
from runner.report.ranking import OUTCOMES
from runner.report.render.console import rich_table
from runner.report.render.markdown import escaped
from runner.report.render.markdown import table as markdown_table
from runner.report.table import Entry, Table
from runner.summary import Summary

_AGREES = {True: ("yes", ""), False: ("no", "bad"), None: ("–", "muted")}
_MAX_LISTED = 6


def headline(diff: SweepDiff) -> str:
    """Returns what changed, and whether the verdicts still hold, in two or three sentences."""
    of = {change.subject: change for change in diff.changes}
    what = [change.key for change in diff.changes if change.subject == "settings"]
    what += ["the data"] if "data" in of else []
    what += [f"the version of {c.key}" for c in diff.changes if c.subject == "versions"]
    what += [str(subject) for subject in of if subject in ("seeds", "design", "machine")]
    told = ["Settings, data, versions, seeds and design are the same."]
    if what:
        some = names.listed(what) if len(what) <= _MAX_LISTED else abridged(what, _MAX_LISTED)
        told = [f"B differs from A in {some}."]
    compared = [outcome.agrees for outcome in diff.outcomes if outcome.agrees is not None]
    if not diff.outcomes:
        told.append("They have no configuration in common.")
    elif compared:
        count = names.counted(len(compared), "common configuration")
        told.append(f"The verdicts agree on {sum(compared)} of {count}.")
    else:
        told.append("No common configuration has a verdict in both.")
    for side, inits in (("A", diff.only_a), ("B", diff.only_b)):
        if inits:
            told.append(
                f"Only in {side}: {names.listed([names.one_line(init) for init in inits])}."
            )
    return " ".join(told)


def view(diff: SweepDiff) -> RenderableType:
    """Returns the whole difference for a terminal."""
    parts: list[RenderableType] = [Text(), Text(_title(diff), style="bold"), Text(headline(diff))]
    for title, table in _tables(diff):
        parts += [Text(), Text(title, style="bold"), rich_table(table)]
    return Group(*parts, *[Text(note, style="dim") for note in _notes(diff)])


def markdown(diff: SweepDiff) -> str:
    """Returns the whole difference as Markdown."""
    blocks = [f"# {escaped(_title(diff))}", escaped(headline(diff))]
    for title, table in _tables(diff):
        blocks += [f"## {escaped(title)}", markdown_table(table)]
    return "\n\n".join([*blocks, *map(escaped, _notes(diff))]) + "\n"


def _title(diff: SweepDiff) -> str:
    a, b = (names.listed([sweep.name for sweep in side]) for side in (diff.a, diff.b))
    return f"A = {a}, B = {b}"


def _notes(diff: SweepDiff) -> list[str]:
    if not any(outcome.difference for outcome in diff.outcomes):
        return []
    return [
        f"B minus A: mean difference seed by seed and its {100 * diff.confidence:g} % interval, "
        f"where at most one thing changed. It is exploratory: not corrected, and not a verdict."
    ]


def _tables(diff: SweepDiff) -> list[tuple[str, Table]]:
    changes = Table(
        columns=("", "what", "A", "B"),
        rows=tuple(
            (Entry(c.subject), Entry(c.key), Entry(c.a or "–"), Entry(c.b or "–"))
            for c in diff.changes
        ),
    )
    endpoints = {name for o in diff.outcomes for name in (o.endpoint_a, o.endpoint_b)}
    came = f"Outcome: {' or '.join(sorted(endpoints))}"
    titled = [("What changed", changes), (came, _outcomes(diff.outcomes))]
    return [(title, table) for title, table in titled if table.rows]


def _outcomes(outcomes: Sequence[Common]) -> Table:
    settings = any(outcome.setting for outcome in outcomes)
    paired = any(outcome.difference for outcome in outcomes)
    columns = ["initializer", *(["setting"] if settings else []), "A", "B"]
    columns += [*(["B minus A"] if paired else []), "verdict", "agree"]
    rows = []
    for outcome in outcomes:
        digits = names.decimals([_summary(outcome.a), _summary(outcome.b)])
        text, emphasis = _AGREES[outcome.agrees]
        row = [names.one_line(outcome.init)]
        row += [names.one_line(outcome.setting)] if settings else []
        row += [_reached(score, digits, not paired) for score in (outcome.a, outcome.b)]
        row += [_difference(outcome, digits)] if paired else []
        verdicts = dict.fromkeys((outcome.a.outcome, outcome.b.outcome))
        row += [" / ".join(OUTCOMES.get(name, (name, ""))[0] for name in verdicts)]
        rows.append((*map(Entry, row), Entry(text, emphasis=emphasis)))
    return Table(tuple(columns), tuple(rows))


def _summary(of: Score | Paired) -> Summary:
    return Summary(of.mean, math.nan, math.nan, of.ci_low, of.ci_high, count=0)


def _reached(score: Score, digits: int, with_interval: bool) -> str:
    summary, all_finished = _summary(score), score.num_finished == score.num_asked
    of = "" if all_finished else f" ({score.num_finished} of {score.num_asked})"
    if with_interval:
        return names.mean_and_interval(summary, digits) + of
    return names.number(summary.mean, digits) + of


def _difference(outcome: Common, digits: int) -> str:
    if outcome.difference is None:
        return f"changed: {abridged(outcome.changed, 3)}" if len(outcome.changed) > 1 else "–"
    return names.mean_and_interval(_summary(outcome.difference), digits, signed=True)
