"""The verdict in sentences, written by rule from the numbers, never surer than the tests."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from runner.config import abridged
from runner.design import DEFAULT_BASELINE
from runner.records import lower_is_better
from runner.report import names
from runner.report.answer import Kind, Sentence
from runner.report.statistics.verdicts import MIN_PAIRS, WITHIN
from runner.report.verdict import Cell, Difference, Standing, repeating

_MAX_LISTED = 12
_MAX_IN_HEADLINE = 6
# Settings outside are written as powers of ten.
_PLAIN = 1e-5, 1e7


def headline(cells: Sequence[Cell]) -> str:
    """Returns the answer: what to use, what ties, what is not known yet, what to avoid."""
    scored = [cell for cell in cells if cell.leader]
    if not scored:
        return "No replicate has finished: there is nothing to compare."
    return _answer(scored[0]) if len(scored) == 1 else _answer_of_many(scored)


def _answer(cell: Cell) -> str:
    leader, scored = cell.leader, [s for s in cell.standings if s.score.count]
    assert leader is not None, "a cell with a score"
    if len(cell.standings) == 1:
        return f"{leader.name.series} reaches a {_metric(leader)} of {_score(leader, cell)}."
    if all(standing.never_learned for standing in scored):
        return (
            f"None of the {len(scored)} configurations with a score learned: try another learning "
            f"rate or more epochs."
        )
    if not cell.look:
        return f"{_no_verdict(cell)} {_highest(leader, cell)}{_avoided(cell, ['unlearned'])}"
    parts = [_choice(cell), _open(cell), _avoided(cell, ["worse", "unlearned", "unfinished"])]
    return " ".join(part.strip() for part in parts if part)


def _no_verdict(cell: Cell) -> str:
    """Returns why there is no verdict: too few seeds for a look, or for a test."""
    design, number = cell.design, names.counted(cell.num_seeds, "seed")
    first = design.looks[0] if design.looks else MIN_PAIRS
    are = "is" if cell.num_seeds == 1 else "are"
    if cell.num_seeds < first:
        return (
            f"No verdict yet: {_number_word(first)} seeds are needed for a verdict, "
            f"{cell.num_seeds} {are} trained."
        )
    return f"No verdict yet: not all of the first {first} of {number} have ended."


_SMALL = ("three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def _number_word(number: int) -> str:
    return _SMALL[number - 3] if 3 <= number < 3 + len(_SMALL) else str(number)


def _highest(leader: Standing, cell: Cell) -> str:
    best = names.best_word(leader.record.endpoint).capitalize()
    peers = [s for s in cell.standings if s.counted == leader.counted]
    told = names.listed([standing.name.series for standing in peers])
    return f"{best} mean so far: {told}, {_score(leader, cell)}."


def _score(standing: Standing, cell: Cell) -> str:
    value = names.mean_and_interval(standing.score, digits(cell))
    count = standing.score.count
    over = "one seed" if count == 1 else f"mean over {_coverage(standing)}"
    return f"{value} ({over}{', never learned' if standing.never_learned else ''})"


def _choice(cell: Cell) -> str:
    """Returns what to use, and what ties with it."""
    choice, reference = cell.choice, cell.reference
    if choice is None or reference is None:
        return _baseline_fails(cell)
    equivalent = cell.having("equivalent")
    within = _within(cell) if equivalent else ""
    if choice is not reference:
        also = [standing for standing in cell.having("better") if standing is not choice]
        text = f"Use {_named(choice)}: {_how(choice)} than {_named(reference)}"
        if also:
            text += f", as {_are(also)} {_some([_and_by(s) for s in also])}"
        tie = f" {_some(_names(equivalent))} {_are(equivalent)} equivalent to the latter {within}."
        return f"{text}.{tie if equivalent else ''}"
    if equivalent:
        tied = f"{_some(_names(equivalent))} {_are(equivalent)} equivalent {within}"
        return f"Use {_named(choice)}: {tied}."
    if not cell.is_decided:
        what = (
            f"differs from {_named(choice)}"
            if cell.is_baseline
            else f"is worse than {choice.name.series}, the best mean so far"
        )
        if not cell.having("unknown"):
            return f"Use {_named(choice)}."
        when = f"after {names.counted(cell.look, 'seed')}"
        still = "still not known" if not _next_look(cell) else "not known yet"
        return f"{still.capitalize()} {when} whether any initializer {what}."
    if not cell.having("unknown"):
        others = "all others are" if len(cell.standings) > 2 else "the other is"
        return f"Use {_named(choice)}: {others} worse."
    if not cell.is_baseline:
        return f"Use {choice.name.series}, {names.best_word(choice.record.endpoint)} mean so far."
    return f"Use {_named(choice)}: no other is known to be better."


def _baseline_fails(cell: Cell) -> str:
    """Returns what there is to say where the baseline never learned and nothing beats it."""
    leader = cell.leader
    return "" if leader is None else _highest(leader, cell)


def _named(standing: Standing) -> str:
    """Returns the name, and that it is the default or the baseline."""
    name = standing.name.series
    if standing.record.init == DEFAULT_BASELINE and name == DEFAULT_BASELINE:
        return f"{name} (the default)"
    return name


def _names(standings: Sequence[Standing]) -> list[str]:
    return [standing.name.series for standing in standings]


def _are(standings: Sequence[Standing]) -> str:
    return "is" if len(standings) == 1 else "are"


def _within(cell: Cell) -> str:
    """Returns within which margin, and that it was named late."""
    design = next(s.record.design for s in cell.having("equivalent") if s.record.design)
    late = ", a margin named after the data were seen" if design.has_late_margin else ""
    return f"within {names.scalar_text(design.margin)}{late}"


def _by(standing: Standing) -> str:
    """Returns such as `"1.2 points better"`; of a loss, how much lower."""
    difference = standing.difference
    if difference is None:
        return ""
    if not difference.sign:
        return "more often trained" if difference.fails_less else "less often trained"
    return f"{size(difference, standing.record.endpoint)} {_direction(standing)}"


def _how(standing: Standing) -> str:
    """Returns `_by`, with the metric where it is none in points."""
    metric = standing.record.endpoint
    if not lower_is_better(metric) or not (standing.difference and standing.difference.sign):
        return _by(standing)
    return f"{_metric(standing)} {_by(standing)}"


def _direction(standing: Standing) -> str:
    is_lower = standing.difference is not None and standing.difference.mean < 0
    if lower_is_better(standing.record.endpoint):
        return "lower" if is_lower else "higher"
    return "worse" if is_lower else "better"


def _and_by(standing: Standing) -> str:
    difference = standing.difference
    assert difference is not None, "a standing that was compared"
    return f"{standing.name.series} ({size(difference, standing.record.endpoint)})"


def size(difference: Difference, metric: str) -> str:
    """Returns how large a difference is: in points where the metric is a share."""
    if lower_is_better(metric):
        return names.significant(abs(difference.mean), 2)
    points = abs(100 * difference.mean)
    shown = names.significant(points, 2) if points < 10 else f"{points:.0f}"
    return f"{shown} {'point' if shown == '1' else 'points'}"


def _open(cell: Cell) -> str:
    """Returns what is not known, and when it may be."""
    unknown = cell.having("unknown")
    if not unknown:
        return ""
    following = _next_look(cell)
    when = f" (next look: {following} seeds)" if following else ""
    if not cell.is_decided:
        leader = cell.leader
        best = "" if leader is None else f"{_highest(leader, cell)}"
        return f"{best}{f' Next look: {following} seeds.' if following else ''}"
    start = "Not known yet" if following else f"Still not known after {cell.look} seeds"
    if not cell.design.is_stamped:
        start = f"Not known from {names.counted(cell.look, 'seed')}"
    return f"{start}: {_some(_names(unknown))}{when}."


def _next_look(cell: Cell) -> int:
    unknown = cell.having("unknown")
    return max((s.difference.next_look for s in unknown if s.difference), default=0)


def _avoided(cell: Cell, outcomes: Sequence[str]) -> str:
    """Returns what to avoid and why."""
    worse = [s for s in cell.standings if s.outcome == "worse" and "worse" in outcomes]
    told = []
    measured = [s for s in worse if s.difference and s.difference.sign and not _fails(s)]
    failing = [s for s in worse if s not in measured]
    if measured:
        told.append(f"{_some(_names(measured))} ({_how_much(measured)})")
    told += [f"{s.name.series} (trains in {s.num_succeeded} of {s.num_ended})" for s in failing]
    never = [
        s
        for s in cell.standings
        if s.outcome == "unlearned" or (s.never_learned and s.outcome == "reference")
    ]
    if never and "unlearned" in outcomes:
        told.append(f"{_some(_names(never))} (never {'learns' if len(never) == 1 else 'learn'})")
    lost = [
        s for s in cell.having("unfinished") if s.num_diverged and s.num_diverged == s.num_ended
    ]
    if lost and "unfinished" in outcomes:
        told.append(f"{_some(_names(lost))} (always {'diverges' if len(lost) == 1 else 'diverge'})")
    return f" Avoid {names.listed(told)}." if told else ""


def _fails(standing: Standing) -> bool:
    return standing.difference is not None and standing.difference.fails_more


def _how_much(worse: Sequence[Standing]) -> str:
    """Returns such as `"0.7 and 1.7 points worse"`; of many the least and the most."""
    sizes = [size(s.difference, s.record.endpoint) for s in worse if s.difference]
    plain = [text.partition(" ")[0] for text in sizes]
    unit = " points" if " " in sizes[0] else ""
    if sizes == ["1 point"]:
        unit = " point"
    word = _direction(worse[0])
    if len(worse) <= 3:
        return f"{names.listed(plain)}{unit} {word}"
    values = sorted(
        zip([abs(s.difference.mean) for s in worse if s.difference], plain, strict=True)
    )
    return f"{values[0][1]} to {values[-1][1]}{unit} {word}"


def _some(items: Sequence[str]) -> str:
    shown = list(items)
    if len(shown) > _MAX_IN_HEADLINE:
        shown = [*shown[: _MAX_IN_HEADLINE - 1], f"{len(shown) - _MAX_IN_HEADLINE + 1} others"]
    return names.listed(shown)


def good(cell: Cell) -> list[Standing]:
    """Returns what to use in a cell: the choice, and what ties with it; nobody where unknown."""
    if cell.choice is None or not cell.look:
        return []
    if cell.choice is not cell.reference:
        return cell.having("better")
    return [cell.choice, *cell.having("equivalent")] if cell.is_decided else []


def _answer_of_many(cells: Sequence[Cell]) -> str:
    """Returns the answer over several settings, in one or two sentences."""
    number = len(cells)
    if all(len(cell.standings) == 1 for cell in cells):
        return f"There is one configuration in each of {number} settings: nothing is compared."
    unknown = [cell for cell in cells if not good(cell)]
    counts: dict[str, int] = {}
    for cell in cells:
        for standing in good(cell):
            counts[standing.name.series] = counts.get(standing.name.series, 0) + 1
    least = min(cell.num_seeds for cell in cells)
    if not counts:
        if not any(cell.look for cell in cells):
            return f"{_no_verdict(min(cells, key=lambda cell: cell.num_seeds))}"
        return f"Not known yet in any of the {number} settings which initializer is best."
    most = max(counts.values())
    best = [name for name, count in counts.items() if count == most]
    of = f"all {number}" if most == number else f"{most} of {number}"
    text = f"Use {_some(best)}: best or tied in {of} settings."
    if unknown:
        text += f" Not known yet in {len(unknown)} of them ({names.counted(least, 'seed')})."
    bad = [{s.name.series for s in cell.having("worse", "unlearned")} for cell in cells]
    everywhere = [s.name.series for s in cells[0].standings if all(s.name.series in b for b in bad)]
    return f"{text} Avoid {_some(everywhere)} everywhere." if everywhere else text


def sentences(cell: Cell) -> list[Sentence]:
    """Returns what can be said about one cell beside the headline, each with its numbers."""
    told = [
        *_comparisons(cell),
        Sentence("fails", _failing(cell)),
        Sentence("unlearned", _unlearned(cell)),
        Sentence("lost", _lost(cell)),
        Sentence("next", _next(cell)),
    ]
    return [sentence for sentence in told if sentence.text]


def _comparisons(cell: Cell) -> list[Sentence]:
    if cell.reference is None or not cell.look:
        return []
    who = cell.reference.name.series
    at = f"At {cell.name}: " if cell.name else ""
    open_words = "Not known yet" if _next_look(cell) else "Not known"
    texts: list[tuple[Kind, str, Callable[[Standing], str]]] = [
        ("better", f"{at}Better than {who}: ", lambda s: _difference(s, cell)),
        ("equivalent", f"{at}Equivalent to {who}: ", lambda s: _difference(s, cell)),
        ("unknown", f"{at}{open_words}, against {who}: ", lambda s: _difference(s, cell)),
        ("worse", f"{at}Worse than {who}: ", lambda s: _difference(s, cell)),
    ]
    return [
        Sentence(kind, start + _enumerated([f"{s.name.series} ({detail(s)})" for s in group]) + ".")
        for kind, start, detail in texts
        if (group := [s for s in cell.standings if s.outcome == kind])
    ]


def _difference(standing: Standing, cell: Cell) -> str:
    """Returns a difference, its interval, and what is or is not known of it."""
    difference = standing.difference
    if difference is None or not difference.count:
        return "no seed finished by both"
    value = names.mean_and_interval(difference, difference_digits(cell), signed=True)
    parts = [value, _of_shared(standing, difference)]
    if standing.outcome == "unknown":
        parts.append(_why_unknown(difference))
    elif difference.verdict == WITHIN:
        parts.append("differs, by less than the margin")
    return "; ".join(part for part in parts if part)


def _of_shared(standing: Standing, difference: Difference) -> str:
    """Returns over how many pairs a difference is, where that is not all that were looked at."""
    if difference.count == (difference.look or standing.record.num_replicates):
        return ""
    which = (
        "of crossed seeds that are complete" if difference.num_left_out else "that both finished"
    )
    return f"over {_replicates(standing, difference.count)} {which}"


def _why_unknown(difference: Difference) -> str:
    if difference.mean == 0 and difference.std == 0:
        return "no difference at all"
    if math.isnan(difference.p_value):
        return f"fewer than {MIN_PAIRS} seeds finished by both"
    if math.isnan(difference.level):
        return ""
    return f"p {names.p_value(difference.p_value)}, needed {names.significant(difference.level, 2)}"


def _failing(cell: Cell) -> str:
    """Returns who trains less often than the reference."""
    reference = cell.reference
    if reference is None:
        return ""
    told = [
        f"{s.name.series} ({s.num_succeeded} of {s.num_ended} against {reference.num_succeeded} of "
        f"{reference.num_ended})"
        for s in cell.standings
        if s.difference and s.success_rate < reference.success_rate and s.outcome != "unlearned"
    ]
    if not told:
        return ""
    known = [s.name.series for s in cell.standings if _fails(s) and s.outcome != "unlearned"]
    how = "; not enough for Fisher's exact test"
    if known:
        how = "" if len(known) == len(told) else f"; Fisher's exact test: {names.listed(known)}"
    return f"Trained less often than {reference.name.series}: {_enumerated(told)}{how}."


def _unlearned(cell: Cell) -> str:
    found = [s for s in cell.standings if s.num_unlearned]
    if not found:
        return ""
    loss = names.significant(found[0].record.dataset.get("uninformed_loss", float("nan")))
    told = [f"{s.name.series} ({_share(s)}{_start(s)})" for s in found]
    return f"Never learned, no better than a constant guess (loss {loss}): {_enumerated(told)}."


def _share(standing: Standing) -> str:
    count = standing.score.count
    if not standing.never_learned:
        return f"{standing.num_unlearned} of {_replicates(standing, count)}"
    return f"all {count} that finished" if count > 1 else "one seed"


def _lost(cell: Cell) -> str:
    told = [
        f"{s.name.series} ({names.coverage(s.record.num_replicates, s.statuses)}{_start(s)})"
        for s in cell.standings
        if s.score.count < s.record.num_replicates
    ]
    return f"Not all replicates finished: {_enumerated(told)}." if told else ""


def _start(standing: Standing) -> str:
    """Returns what was seen before training, where that was looked at."""
    return f"; at step 0: {standing.start}" if standing.start else ""


def _enumerated(items: Sequence[str]) -> str:
    return abridged(items, _MAX_LISTED, "more (see the table)")


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


def _metric(standing: Standing) -> str:
    return names.endpoint_name(standing.record)


def digits(cell: Cell) -> int:
    """Returns how many decimals the scores of a cell are worth."""
    return names.decimals(standing.score for standing in cell.standings)


def difference_digits(cell: Cell) -> int:
    """Returns how many decimals the differences are worth: paired ones are often more exact."""
    differences = [s.difference for s in cell.standings if s.difference is not None]
    return max(digits(cell), names.decimals(differences))


def _next(cell: Cell) -> str:
    """Returns what would tell more."""
    advice = [_next_seeds(cell), _next_start(cell), _next_rate(cell)]
    told = " Or: ".join(sentence for sentence in advice if sentence)
    return f"Next: {told}" if told else ""


def _next_seeds(cell: Cell) -> str:
    scored = [s for s in cell.standings if s.score.count]
    if len(scored) < 2:
        return ""
    if all(s.never_learned for s in scored):
        return "another learning rate or more epochs, as nothing has learned with these."
    if any(_is_crossed(s) for s in scored):
        return ""
    looks = cell.design.looks
    following = _next_look(cell) if cell.look else (looks[0] if looks else MIN_PAIRS)
    if not following or (cell.look and not cell.having("unknown")):
        return ""
    rivals = [s for s in scored if s is not cell.reference]
    if cell.look:
        rivals = cell.having("unknown")
    fixed = [repeating(cell.reference.record, s.record) for s in rivals if cell.reference]
    if fixed and all(fixed):
        told = list(dict.fromkeys(record.init for records in fixed for record in records))
        return f"nothing by more seeds: those of {names.listed(told)} start with the same kernels."
    until = ", or `seeds=auto` to go on until it is known" if cell.design.is_stamped else ""
    return f"`seeds={following}` for the next look{until}."


def _next_start(cell: Cell) -> str:
    """Returns what may help those that diverged before any training, where nothing else did."""
    untrained = [s for s in cell.standings if 0 < s.num_diverged == s.num_untrained]
    if not untrained:
        return ""
    data = [s.record.settings.get("dataset") or {} for s in untrained]
    is_raw = any(settings.get("standardize") is False for settings in data)
    advice = "`dataset.standardize=true`" if is_raw else "smaller initial weights"
    state = "not finite"
    if any(standing.record.is_trained for standing in untrained):
        advice += ", or a higher `training.divergence_limit`"
        state = "above it, or not finite"
    told = _enumerated([standing.name.series for standing in untrained])
    return f"{advice}: the loss of the untrained model is {state} ({told})."


def _next_rate(cell: Cell) -> str:
    """Returns that a smaller learning rate may help what diverged, where none was tried."""
    diverged = [s for s in cell.standings if s.num_diverged > s.num_untrained]
    tried = {(s.record.settings.get("optimizer") or {}).get("learning_rate") for s in diverged}
    varies = any("optimizer.learning_rate" in s.record.factors for s in cell.standings)
    rate = next(iter(tried), None)
    if not diverged or varies or len(tried) != 1 or not isinstance(rate, int | float):
        return ""
    return (
        f"what diverged may train at a smaller learning rate: "
        f"`optimizer.learning_rate={_pasted([rate / 10, rate / 100])}`."
    )


def _pasted(values: Sequence[float]) -> str:
    """Returns positive numbers as a command line takes them, all in one notation."""
    rounded = [float(f"{value:.3g}") for value in values]
    if all(_PLAIN[0] <= value < _PLAIN[1] for value in rounded):
        return ",".join(np.format_float_positional(value, trim="-") for value in rounded)
    powers = [np.format_float_scientific(value, trim="-", exp_digits=1) for value in rounded]
    return ",".join(powers).replace("+", "")
