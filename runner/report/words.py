"""The verdict in sentences, written by rule from the numbers, never surer than the interval."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.records import lower_is_better
from runner.report import names
from runner.report.pairs import MIN_DEGREES
from runner.report.scores import comparable
from runner.report.statistics.paired import MAX_FURTHER, POWER
from runner.report.verdict import Cell, Difference, Outcome, Standing

Kind = Literal[
    "leads",
    "better",
    "same",
    "worse",
    "unknown",
    "fragile",
    "unlearned",
    "lost",
    "next",
    "overall",
]

_MAX_LISTED = 12
_MAX_IN_HEADLINE = 4
_MIN_SEEDS = MIN_DEGREES + 1


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
        Sentence("fragile", _fragile(cell)),
        Sentence("unlearned", _unlearned(cell)),
        Sentence("lost", _lost(cell)),
        Sentence("next", _next(cell)),
    ]
    return [sentence for sentence in told if sentence.text]


def headline(cells: Sequence[Cell]) -> str:
    """Returns the whole outcome in a sentence or two."""
    scored = [cell for cell in cells if cell.leader]
    if not scored:
        return "No replicate has finished: there is nothing to compare."
    if len(scored) == 1:
        return _result(scored[0]) + _company(scored[0])
    shared = list(dict.fromkeys(key for c in scored for s in c.standings for key in s.name.shared))
    of = f" of {names.listed(shared)}" if shared else ""
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
    tested = [
        s.difference for s in standings if s.difference and not math.isnan(s.difference.p_holm)
    ]
    if not tested:
        return f"{text}."
    return (
        f"{text}. Differences are paired by seed and their intervals uncorrected; two are told "
        f"apart where the paired t test is below {1 - confidence:.2g} after Holm's correction for "
        f"{_family(cells, tested[0].family)}.{_exact_tests(cells, confidence)}"
    )


def _family(cells: Sequence[Cell], size: int) -> str:
    """Returns the family of comparisons that decides."""
    kinds = {cell.is_baseline for cell in cells if cell.reference}
    what = "difference to the baseline" if kinds == {True} else "pair"
    family = names.counted(size, "comparison" if len(kinds) > 1 else what)
    if len(cells) > 1:
        family += f" of the {len(cells)} settings"
    if kinds == {False}:
        family += ": all pairs, as the reference was picked from the data"
    if len(kinds) > 1:
        family += ": with the baseline, or all pairs where there is none"
    return family.replace("difference to the baselines", "differences to the baseline")


def _exact_tests(cells: Sequence[Cell], confidence: float) -> str:
    """Returns that Wilcoxon's test and sign flips can show nothing, where that is so."""
    exact = ["p_wilcoxon_least", "p_sign_flip_least"]
    least = [value for cell in cells for value in cell.pairs[exact].min(axis=1).dropna()]
    if not least or min(least) <= 1 - confidence:
        return ""
    return (
        f" Exact tests (Wilcoxon, sign flips) cannot fall below p = {min(least):.2g} with so few "
        f"seeds, whatever the difference."
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
    if all(standing.never_learned for standing in scored):
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
    tied = [s.name.series for s in peers if s.counted == leader.counted]
    start = f"{names.listed(tied)} {'share' if len(tied) > 1 else 'has'} the "
    best = names.best_word(leader.record.endpoint)
    value = names.mean_and_interval(leader.score, digits(cell))
    if all(standing.score.count == 1 for standing in scored):
        caution = "one seed each allows no statement of certainty"
        return f"{start}{best} {_metric(leader)}, {value}; {caution}."
    return f"{start}{best} mean {_metric(leader)}, {value} over {_coverage(leader)}."


def _coverage(standing: Standing) -> str:
    """Returns over how many replicates a mean is, and what became of the others."""
    if standing.score.count == standing.record.num_replicates:
        return _replicates(standing, standing.score.count)
    noun = "replicate" if _is_crossed(standing) else "seed"
    return names.coverage(standing.record.num_replicates, standing.statuses, noun)


def _replicates(standing: Standing, count: int) -> str:
    return names.counted(count, "replicate" if _is_crossed(standing) else "seed")


def _is_crossed(standing: Standing) -> bool:
    return standing.record.settings.get("weight_seeds") is not None


def _placed(standing: Standing) -> str:
    name = standing.name
    return f"{name.series} at {name.cell}" if name.cell else name.series


def _metric(standing: Standing) -> str:
    return names.endpoint_name(standing.record)


def _company(cell: Cell) -> str:
    """Returns how the others stand to the leader, for the headline."""
    leader = cell.leader
    if leader is None or leader.never_learned:
        return ""
    others = [s for s in cell.standings if s.to_leader and not math.isnan(s.to_leader.p_holm)]
    if not others or any(s.score.count and s not in (*others, leader) for s in cell.standings):
        return ""
    told = _to_baseline(cell, leader)
    if any(_is_better(s) for s in others):
        return told  # on the seeds that it shares with the leader
    if all(s.counted == leader.counted for s in others):
        return told
    same = [s for s in others if s in cell.leaders]
    if len(same) == len(others):
        return f"{told} None of the others can be told apart from it with these seeds."
    if same:
        return f"{told} {_told_same(cell, same, len(others))}"
    if all(s.to_leader and s.to_leader.is_apart for s in others):
        return f"{told} {_all_apart(len(others))}"
    return told


def _is_better(standing: Standing) -> bool:
    """Whether a configuration is told apart from the leader as the better one."""
    difference = standing.to_leader
    if difference is None or not difference.is_apart:
        return False
    return (difference.mean < 0) == lower_is_better(standing.record.endpoint)


def _told_same(cell: Cell, same: Sequence[Standing], num_others: int) -> str:
    verb = "is" if len(same) == 1 else "are"
    finished = " that finished" if _having(cell, "unfinished") else ""
    of = f"{len(same)} of the {num_others} others{finished}"
    listed = ""
    if len(same) <= _MAX_IN_HEADLINE:
        listed = f": {names.listed([standing.name.series for standing in same])}"
    return f"{of} {verb} not distinguishable from it{listed}."


def _all_apart(num_others: int) -> str:
    if num_others == 1:
        return "The other is told apart from it."
    return f"Each of the {num_others} others is told apart from it."


def _to_baseline(cell: Cell, leader: Standing) -> str:
    """Returns how the leader stands to a baseline that was fixed beforehand."""
    if not cell.is_baseline or cell.reference is None or leader.outcome == "reference":
        return ""
    who = cell.reference.name.series
    if leader.outcome == "better":
        return f" It is better than the baseline {who} {_by(leader, cell)}."
    if leader.outcome == "same":
        return f" It is not distinguishable from the baseline {who} {_around(leader, cell)}."
    return ""


def _comparisons(cell: Cell) -> list[Sentence]:
    if cell.reference is None:
        return []
    who = cell.reference.name.series
    if cell.leader is not None and cell.reference.record.index != cell.leader.record.index:
        who += ", the baseline" if cell.is_baseline else ", the best median"
    texts: list[tuple[Kind, str, Callable[[Standing], str]]] = [
        ("better", f"Better than {who}: ", lambda s: _by(s, cell)),
        ("same", f"Not distinguishable from {who}: ", lambda s: _around(s, cell)),
        ("worse", f"Worse than {who}: ", lambda s: _by(s, cell)),
        ("unknown", f"Fewer than three seeds shared with {who}, no test: ", lambda s: ""),
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
    value = f"by {names.number(abs(difference.mean), places)} [{ends}]"
    return value + _of_shared(standing, difference, " over ")


def _around(standing: Standing, cell: Cell) -> str:
    """Returns a difference that is not established, and what would establish it."""
    difference = standing.difference
    if difference is None:
        return ""
    parts = [
        names.mean_and_interval(difference, difference_digits(cell), signed=True),
        _of_shared(standing, difference, "over "),
        _held_back(difference),
        _further(difference),
    ]
    return f"({'; '.join(part for part in parts if part)})"


def _of_shared(standing: Standing, difference: Difference, start: str) -> str:
    """Returns over how many pairs a difference is, where that is not all that were asked for."""
    if difference.count == standing.record.num_replicates:
        return ""
    return f"{start}{_replicates(standing, difference.count)} that both finished"


def _held_back(difference: Difference) -> str:
    """Returns why a difference does not count although its interval excludes zero."""
    if difference.low <= 0 <= difference.high:
        return ""
    if difference.low == difference.high:
        return f"the same for all {difference.count}, too few to tell"
    return f"p = {difference.p_holm:.2g} after Holm's correction for {difference.family:,}"


def _further(difference: Difference) -> str:
    if difference.mean == 0 and difference.std == 0:
        return "no difference at all"
    if difference.count < 2 or not difference.std or math.isnan(difference.p_value):
        return ""
    if math.isnan(difference.further_seeds):
        return f"more than {MAX_FURTHER:,} more seeds to tell" if difference.can_plan else ""
    return f"about {_rounded(difference.further_seeds)} more seeds to tell"


def _rounded(count: float) -> str:
    """Returns a count with two digits, never less than one: it is a rough number."""
    number = max(round(count), 1)
    return f"{number if number < 100 else round(number, 1 - int(math.log10(number))):,}"


def _fragile(cell: Cell) -> str:
    if not cell.fragile or cell.leader is None:
        return ""
    told = [
        f"{s.name.series} (trained in {s.num_succeeded} of {s.num_ended})" for s in cell.fragile
    ]
    return (
        f"Not distinguishable from {cell.leader.name.series} where they finished, but failed more "
        f"often: {_enumerated(told)}."
    )


def _unlearned(cell: Cell) -> str:
    found = [s for s in cell.standings if s.num_unlearned]
    if not found:
        return ""
    loss = names.significant(found[0].record.dataset.get("uninformed_loss", float("nan")))
    told = [f"{s.name.series} ({_share(s)}{_start(s)})" for s in found]
    return (
        f"Never learned, ended where a constant guess would be (loss {loss}): {_enumerated(told)}."
    )


def _share(standing: Standing) -> str:
    count = standing.score.count
    if not standing.never_learned:
        return f"{standing.num_unlearned} of {_replicates(standing, count)}"
    return f"all {count} that finished" if count > 1 else "one seed"


def _lost(cell: Cell) -> str:
    told = [
        f"{s.name.series} ({'mean over ' if s.score.count else ''}"
        f"{names.coverage(s.record.num_replicates, s.statuses)}{_start(s)})"
        for s in cell.standings
        if s.score.count < s.record.num_replicates
    ]
    return f"Not all replicates finished: {_enumerated(told)}." if told else ""


def _start(standing: Standing) -> str:
    """Returns what was seen before training, where that was looked at."""
    return f"; at step 0: {standing.start}" if standing.start else ""


def _next(cell: Cell) -> str:
    """Returns what would tell more."""
    advice = [_next_seeds(cell), _next_rate(cell)]
    told = " ".join(sentence for sentence in advice if sentence)
    return f"Next: {told}" if told else ""


def _next_seeds(cell: Cell) -> str:
    leader = cell.leader
    if leader is None:
        return ""
    scored = [s for s in cell.standings if s.score.count]
    if all(s.never_learned for s in scored):
        return "another learning rate or more epochs, as nothing has learned with these."
    if len(scored) == 1:
        return ""
    if all(s.score.count < _MIN_SEEDS for s in scored):
        return "more seeds, such as `seeds=5`; with so few any difference may be luck."
    rivals = [s for s in cell.leaders if s is not leader and s.to_leader is not None]
    if not rivals:
        return ""
    return _to_separate(leader, rivals)


def _to_separate(leader: Standing, rivals: Sequence[Standing]) -> str:
    """Returns how many more seeds would tell the leader from the first that can be told."""
    hopeful = [
        (s.to_leader.further_seeds, s)
        for s in rivals
        if s.to_leader and not math.isnan(s.to_leader.further_seeds)
    ]
    if hopeful:
        further, rival = min(hopeful, key=lambda pair: pair[0])
        total = leader.record.num_replicates + max(round(further), 1)
        seeds = "" if _is_crossed(leader) else f" (`seeds={total}`)"
        return (
            f"about {_rounded(further)} more seeds{seeds} would tell {rival.name.series} from "
            f"{leader.name.series} with {100 * POWER:g} % power, if they differ by what it looks "
            f"like."
        )
    if all(s.to_leader and s.to_leader.can_plan for s in rivals):
        return (
            f"no number of seeds up to {MAX_FURTHER:,} more would tell those that lead apart; "
            f"choose by other reasons."
        )
    return ""


def _next_rate(cell: Cell) -> str:
    """Returns that a smaller learning rate may help what diverged, where none was tried."""
    diverged = [s for s in cell.standings if s.num_diverged]
    tried = {(s.record.settings.get("optimizer") or {}).get("learning_rate") for s in diverged}
    varies = any("optimizer.learning_rate" in s.record.factors for s in cell.standings)
    rate = next(iter(tried), None)
    if not diverged or varies or len(tried) != 1 or not isinstance(rate, int | float):
        return ""
    return (
        f"what diverged may train at a smaller learning rate: "
        f"`optimizer.learning_rate={rate:g},{rate / 10:g}`."
    )


def best_of_all(cells: Sequence[Cell]) -> str:
    """Returns which configuration has the best mean of several comparable cells."""
    leaders = [cell.leader for cell in cells if cell.leader and cell.leader.mostly_finished]
    shared = {comparable(s.record) for s in leaders}
    if len(leaders) < 2 or len(shared) > 1:
        return ""
    endpoint = leaders[0].record.endpoint
    pick = min if lower_is_better(endpoint) else max
    best = pick(leaders, key=lambda standing: standing.counted)
    count = sum(len(cell.standings) for cell in cells)
    value = names.mean_and_interval(best.score, names.decimals([best.score]))
    return (
        f"Of all {count} configurations, {_placed(best)} has the {names.best_word(endpoint)} "
        f"mean {_metric(best)}, {value}."
    )
