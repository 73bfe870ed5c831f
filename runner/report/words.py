"""The verdict in sentences, written by rule from the numbers, never surer than the interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.records import lower_is_better
from runner.report import names
from runner.report.verdict import Cell, Outcome, Standing

Kind = Literal["leads", "better", "same", "worse", "unknown", "unlearned", "lost"]

_MAX_LISTED = 12


@dataclass(frozen=True)
class Sentence:
    """One statement and what sort of statement it is."""

    kind: Kind
    text: str


def sentences(cell: Cell) -> list[Sentence]:
    """Returns what can be said about one cell."""
    told = [
        Sentence("leads", _result(cell)),
        *_comparisons(cell),
        Sentence("unlearned", _unlearned(cell)),
        Sentence("lost", _lost(cell)),
    ]
    return [sentence for sentence in told if sentence.text]


def headline(cells: Sequence[Cell]) -> str:
    """Returns the whole outcome in a sentence or two."""
    scored = [cell for cell in cells if cell.leader]
    if not scored:
        return "No replicate has finished: there is nothing to compare."
    if len(scored) == 1:
        return _result(scored[0]) + _company(scored[0])
    factors = names.short_keys(key for c in scored for s in c.standings for key in s.record.factors)
    of = f" of {names.listed(list(factors.values()))}" if factors else ""
    told = f"Configurations are compared within each of the {len(scored)} settings{of}."
    return f"{best_of_all(scored)} {told}".strip()


def method(cells: Sequence[Cell], confidence: float) -> str:
    """Returns how to read the intervals, or nothing where there is none.

    Args:
      cells: The comparison.
      confidence: Level of its intervals.
    """
    standings = [standing for cell in cells for standing in cell.standings]
    if all(standing.score.count < 2 for standing in standings):
        return ""
    text = f"Brackets: {100 * confidence:g} % Student t intervals over seeds"
    if all(not s.difference or s.difference.count < 2 for s in standings):
        return f"{text}."
    is_picked = any(cell.reference and not cell.is_baseline for cell in cells)
    return (
        f"{text}. Differences are paired by seed and their intervals unadjusted for multiple "
        f"comparisons{'; the leader was picked from the same numbers' if is_picked else ''}."
    )


def digits(cell: Cell) -> int:
    """Returns how many decimals the scores of a cell are worth."""
    return names.decimals(standing.score for standing in cell.standings)


def difference_digits(cell: Cell) -> int:
    """Returns how many decimals the differences are worth: paired ones are often more exact."""
    differences = [s.difference for s in cell.standings if s.difference is not None]
    return max(digits(cell), names.decimals(differences))


def _result(cell: Cell) -> str:
    leader = cell.leader
    at = f"At {cell.name}: " if cell.name else ""
    if leader is None:
        return f"{at or 'Result: '}no replicate has finished."
    scored = [standing for standing in cell.standings if standing.score.count]
    if len(scored) == 1:
        return at + _reached(leader, cell)
    if all(_is_unlearned(standing) for standing in scored):
        return f"{at or 'Result: '}none of the {len(scored)} configurations with a score learned."
    return at + _led(leader, scored, cell)


def _reached(leader: Standing, cell: Cell) -> str:
    mean = "mean over " if leader.score.count > 1 else ""
    value = names.mean_and_interval(leader.score, digits(cell))
    return (
        f"{leader.name.series} reaches a {_metric(leader)} of {value} "
        f"({mean}{_replicates(leader, leader.score.count)})."
    )


def _led(leader: Standing, scored: Sequence[Standing], cell: Cell) -> str:
    peers = [s for s in scored if s.mostly_finished == leader.mostly_finished]
    tied = [s.name.series for s in peers if s.score.mean == leader.score.mean]
    start = f"{names.listed(tied)} {'share' if len(tied) > 1 else 'has'} the "
    best = names.best_word(leader.record.endpoint)
    value = names.mean_and_interval(leader.score, digits(cell))
    if all(standing.score.count == 1 for standing in scored):
        caution = "one seed each allows no statement of certainty"
        return f"{start}{best} {_metric(leader)}, {value}; {caution}."
    seeds = _replicates(leader, leader.score.count)
    return f"{start}{best} mean {_metric(leader)}, {value} over {seeds}."


def _is_unlearned(standing: Standing) -> bool:
    return 0 < standing.score.count == standing.num_unlearned


def _replicates(standing: Standing, count: int) -> str:
    crossed = standing.record.settings.get("weight_seeds") is not None
    return names.counted(count, "replicate" if crossed else "seed")


def _placed(standing: Standing) -> str:
    name = standing.name
    return f"{name.series} at {name.cell}" if name.cell else name.series


def _metric(standing: Standing) -> str:
    return names.endpoint_name(standing.record)


def _company(cell: Cell) -> str:
    """Returns how the others stand to the leader, for the headline."""
    leader = cell.leader
    differences = [
        standing.difference
        for standing in cell.standings
        if standing.difference and leader and standing.score.mean != leader.score.mean
    ]
    uncertain = any(difference.count < 2 for difference in differences)
    if leader is None or _is_unlearned(leader) or cell.is_baseline:
        return ""
    if uncertain or not differences or _having(cell, "better"):
        return ""
    same = sum(difference.low <= 0 <= difference.high for difference in differences)
    if not same:
        return " The interval of every other's paired difference to it excludes zero."
    if same == len(differences):
        return " None of the others can be told apart from it with these seeds."
    verb = "is" if same == 1 else "are"
    finished = " that finished" if _having(cell, "unfinished") else ""
    return f" {same} of the {len(differences)} others{finished} {verb} not distinguishable from it."


def _comparisons(cell: Cell) -> list[Sentence]:
    if cell.reference is None:
        return []
    who = cell.reference.name.series
    # The leader has the best mean of all; on the seeds that two share it can be otherwise.
    shared = "" if cell.is_baseline else " on the seeds that both finished"
    texts: list[tuple[Kind, str, Callable[[Standing], str]]] = [
        ("better", f"Better than {who}{shared}: ", lambda s: _by(s, cell)),
        ("same", f"Not distinguishable from {who} with these seeds: ", lambda s: _around(s, cell)),
        ("worse", f"Worse than {who}: ", lambda s: _by(s, cell)),
        ("unknown", f"Fewer than two seeds shared with {who}, no comparison: ", lambda s: ""),
    ]
    return [
        Sentence(kind, start + _enumerated([_told(s, detail(s)) for s in group]) + ".")
        for kind, start, detail in texts
        if (group := _having(cell, kind)) and not _single_seeds(cell, kind)
    ]


def _single_seeds(cell: Cell, kind: Kind) -> bool:
    """Whether the first sentence has already said that one seed allows no comparison."""
    return kind == "unknown" and all(s.score.count <= 1 for s in cell.standings)


def _having(cell: Cell, outcome: Kind | Outcome) -> list[Standing]:
    return [standing for standing in cell.standings if standing.outcome == outcome]


def _told(standing: Standing, detail: str) -> str:
    return f"{standing.name.series} {detail}".strip()


def _enumerated(items: Sequence[str]) -> str:
    if len(items) <= _MAX_LISTED:
        return ", ".join(items)
    return f"{', '.join(items[:_MAX_LISTED])} and {len(items) - _MAX_LISTED} more (see the table)"


def _by(standing: Standing, cell: Cell) -> str:
    """Returns by how much a configuration is better or worse, as a positive difference."""
    difference = standing.difference
    if difference is None:
        return ""
    sign = 1 if difference.mean > 0 else -1
    low, high = sorted((sign * difference.low, sign * difference.high))
    places = difference_digits(cell)
    ends = ", ".join(names.number(end, places) for end in (low, high))
    return f"by {names.number(abs(difference.mean), places)} [{ends}]"


def _around(standing: Standing, cell: Cell) -> str:
    if standing.difference is None:
        return ""
    text = names.mean_and_interval(standing.difference, difference_digits(cell), signed=True)
    return f"({text})"


def _unlearned(cell: Cell) -> str:
    found = [s for s in cell.standings if s.num_unlearned]
    if not found:
        return ""
    loss = names.significant(found[0].record.dataset.get("uninformed_loss", float("nan")))
    told = [f"{standing.name.series} ({_share(standing)})" for standing in found]
    return (
        f"Never learned, ended where a constant guess would be (loss {loss}): {_enumerated(told)}."
    )


def _share(standing: Standing) -> str:
    count = standing.score.count
    if not _is_unlearned(standing):
        return f"{standing.num_unlearned} of {_replicates(standing, count)}"
    return f"all {count} that finished" if count > 1 else "one seed"


def _lost(cell: Cell) -> str:
    told = [
        f"{s.name.series} (mean over {names.coverage(s.record.num_replicates, s.statuses)})"
        if s.score.count
        else f"{s.name.series} ({names.coverage(s.record.num_replicates, s.statuses)})"
        for s in cell.standings
        if s.score.count < s.record.num_replicates
    ]
    return f"Not all replicates finished: {_enumerated(told)}." if told else ""


def best_of_all(cells: Sequence[Cell]) -> str:
    """Returns which configuration has the best mean of several comparable cells."""
    leaders = [cell.leader for cell in cells if cell.leader and cell.leader.mostly_finished]
    shared = {(s.record.endpoint, s.record.dataset.get("fingerprint")) for s in leaders}
    if len(leaders) < 2 or len(shared) > 1:
        return ""
    endpoint = leaders[0].record.endpoint
    pick = min if lower_is_better(endpoint) else max
    best = pick(leaders, key=lambda standing: standing.score.mean)
    count = sum(len(cell.standings) for cell in cells)
    value = names.mean_and_interval(best.score, names.decimals([best.score]))
    return (
        f"Of all {count} configurations, {_placed(best)} has the {names.best_word(endpoint)} "
        f"mean {_metric(best)}, {value}."
    )
