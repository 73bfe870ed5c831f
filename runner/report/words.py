"""The verdict in sentences, written by rule from the numbers, never surer than the interval."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from runner.config import abridged
from runner.records import lower_is_better
from runner.report import names
from runner.report.answer import Kind, Sentence
from runner.report.pairs import MIN_DEGREES
from runner.report.scores import comparable
from runner.report.statistics.paired import MAX_FURTHER, POWER
from runner.report.verdict import Cell, Difference, Outcome, Standing, rank

_MAX_LISTED = 12
_MAX_IN_HEADLINE = 4
_MIN_SEEDS = MIN_DEGREES + 1
# Settings outside are written as powers of ten.
_PLAIN = 1e-5, 1e7


def sentences(cell: Cell, has_headline: bool = True) -> list[Sentence]:
    """Returns what can be said about one cell.

    Args:
      cell: The cell.
      has_headline: Whether the headline is about this cell alone, and need not be repeated.
    """
    told = [
        Sentence("leads", _result(cell)),
        Sentence("level", _level(cell, has_headline)),
        *_comparisons(cell),
        *(Sentence("unknown", text) for text in _untested(cell)),
        *(Sentence("fragile", text) for text in _fragile(cell)),
        *(Sentence("success", text) for text in _successes(cell)),
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
        return _result(scored[0]) + _company(scored[0]) + _less_trained(scored[0])
    shared = list(dict.fromkeys(key for c in scored for s in c.standings for key in s.name.shared))
    of = f" of {names.listed(shared)}" if shared else ""
    listed = abridged([cell.name for cell in scored], _MAX_IN_HEADLINE, separator="; ")
    apart = "" if shared else f" ({listed})"
    told = f"Configurations are compared within each of the {len(scored)} settings{of}{apart}."
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
    text = (
        f"{_fixed_laws(standings)}Brackets: {100 * confidence:g} % Student t intervals over seeds"
    )
    tested = [
        s.difference for s in standings if s.difference and not math.isnan(s.difference.p_holm)
    ]
    if not tested:
        return f"{text}."
    return (
        f"{text}. Differences are paired by seed; their intervals are uncorrected. Two "
        f"initializers are called different if p < {1 - confidence:.2g} (paired t test, "
        f"Holm-corrected for "
        f"{_family(cells, tested[0].family)}.{_exact_tests(cells, confidence)}"
    )


def _fixed_laws(standings: Sequence[Standing]) -> str:
    """Returns what differs between the seeds of initializers in which nothing is random."""
    fixed: dict[str, list[str]] = {}
    for record in (standing.record for standing in standings):
        if record.has_fixed_kernels and not record.repeats_weights:
            rest = names.listed([names.VARIATION[name] for name in record.varies or []])
            fixed.setdefault(f"differ in {rest} only" if rest else "do not differ", []).append(
                record.init
            )
    return "".join(
        f"Seeds of {names.listed(list(dict.fromkeys(inits)))} {how}. "
        for how, inits in fixed.items()
    )


def _family(cells: Sequence[Cell], size: int) -> str:
    """Returns the family of comparisons that decides."""
    kinds = {cell.is_baseline for cell in cells if cell.reference}
    what = "difference to the baseline" if kinds == {True} else "pair"
    family = names.counted(size, "comparison" if len(kinds) > 1 else what)
    family = family.replace("difference to the baselines", "differences to the baseline")
    if len(cells) > 1:
        family += f" in {len(cells)} settings"
    if kinds == {False} and size > 1:
        family = f"all {family}, as the winner was chosen from these data"
    if len(kinds) > 1:
        family += ": with the baseline, or all pairs where there is none"
    return f"{family})"


def _exact_tests(cells: Sequence[Cell], confidence: float) -> str:
    """Returns that Wilcoxon's test and sign flips can show nothing, where that is so."""
    exact = ["p_wilcoxon_least", "p_sign_flip_least"]
    least = [value for cell in cells for value in cell.pairs[exact].min(axis=1).dropna()]
    if not least or min(least) <= 1 - confidence:
        return ""
    tests = "The exact tests (Wilcoxon, sign flips)"
    if min(least) == 1:
        return f" {tests} can tell nothing from so few differences."
    return f" {tests} cannot give a smaller p-value than {min(least):.2g} with so few seeds."


def digits(cell: Cell) -> int:
    """Returns how many decimals the scores of a cell are worth."""
    return names.decimals(standing.score for standing in cell.standings)


def difference_digits(cell: Cell) -> int:
    """Returns how many decimals the differences are worth: paired ones are often more exact."""
    differences = [s.difference for s in cell.standings if s.difference is not None]
    return max(digits(cell), names.decimals(differences))


def _result(cell: Cell) -> str:
    leader = cell.leader
    told = all(cell.name in standing.name.series for standing in cell.standings)
    at = "" if told else f"At {cell.name}: "
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
        f"({mean}{_replicates(leader, leader.score.count)}){_but_unlearned([leader])}."
    )


def _led(leader: Standing, scored: Sequence[Standing], cell: Cell) -> str:
    peers = [s for s in scored if s.mostly_finished == leader.mostly_finished]
    tied = [s for s in peers if s.counted == leader.counted]
    told = names.listed([standing.name.series for standing in tied])
    start = f"{told} {'share' if len(tied) > 1 else 'has'} the "
    end = _but_unlearned(tied)
    best = names.best_word(leader.record.endpoint)
    if all(standing.score.count == 1 for standing in scored):
        value = names.mean_and_interval(leader.score, digits(cell))
        caution = "one seed each allows no statement of certainty"
        return f"{start}{best} {_metric(leader)}, {value}{end}; {caution}."
    return f"{start}{best} {_mean(leader, scored, digits(cell))} over {_coverage(leader)}{end}."


def _but_unlearned(leading: Sequence[Standing]) -> str:
    """Returns that of those that lead some, or all, are no better than a constant guess."""
    never = [standing for standing in leading if standing.never_learned]
    if not never:
        return ""
    some = "" if len(never) == len(leading) else f"{len(never)} of these {len(leading)} "
    return f", but {some}never learned"


def _mean(leader: Standing, scored: Sequence[Standing], places: int) -> str:
    """Returns what is the best of the leader, and how much that is.

    It leads by the mean with failures counted, among those that mostly finished. Where the plain
    means would say the same, neither is mentioned.
    """
    value = names.mean_and_interval(leader.score, places)
    told = f"mean {_metric(leader)}"
    if any(_exceeds(s, s.score.mean, leader.score.mean) for s in scored) or leader.num_diverged:
        told += " with failures counted"
    if any(_exceeds(s, s.counted, leader.counted) for s in scored):
        told += " of those that mostly finished"
    if leader.num_diverged:
        return f"{told}, {names.number(leader.counted, places)}: {value} where it finished,"
    return f"{told}, {value}"


def _exceeds(standing: Standing, value: float, other: float) -> bool:
    """Whether a value of an endpoint is better than another."""
    return value < other if lower_is_better(standing.record.endpoint) else value > other


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
    if cell.better:
        return f" {_better(cell)}"
    others = [s for s in cell.standings if s.to_leader and not math.isnan(s.to_leader.p_holm)]
    if not others or any(s.score.count and s not in (*others, leader) for s in cell.standings):
        return ""
    told = _to_baseline(cell, leader)
    if all(s.counted == leader.counted for s in others) or (told and len(others) == 1):
        return told
    if len(cell.level) == len(others):
        return f"{told} None of the others{_finished(cell)} differs significantly from it."
    if cell.level:
        return f"{told} {_told_same(cell, cell.level, len(others))}"
    if all(s.to_leader and s.to_leader.is_apart for s in others):
        return f"{told} {_all_apart(cell, len(others))}"
    return told


def _less_trained(cell: Cell) -> str:
    """Returns who is told from the leader by how often it trained alone, for the headline."""
    untested = [s for s in cell.less_trained if s.outcome in ("unknown", "unlearned", "unfinished")]
    if not untested or cell.leader is None or cell.leader.never_learned:
        return ""
    told = f"{len(untested)} others"
    if len(untested) <= _MAX_IN_HEADLINE:
        told = names.listed([standing.name.series for standing in untested])
    return f" {told} trained less often than {cell.leader.name.series} (Fisher's exact test)."


def _better(cell: Cell) -> str:
    """Returns who is better than the leader where both finished, and does not lead all the same."""
    one = len(cell.better) == 1
    failing = all(standing in cell.fragile for standing in cell.better)
    return (
        f"{_enumerated([s.name.series for s in cell.better])} {'is' if one else 'are'} better on "
        f"the seeds that both finished{', but trained less often' if failing else ''}."
    )


def _level(cell: Cell, has_headline: bool) -> str:
    """Returns who is level with the leader; below a headline only what nothing else tells."""
    if not cell.level or cell.leader is None:
        return ""
    told = names.listed([standing.name.series for standing in cell.level])
    same = [standing for standing in cell.standings if standing.outcome == "same"]
    is_compared = cell.leader.outcome == "reference" and list(cell.level) == same
    if has_headline and (is_compared or told in _company(cell)):
        return ""
    shown = _enumerated([standing.name.series for standing in cell.level])
    return f"Not distinguishable from the leader {cell.leader.name.series}: {shown}."


def _told_same(cell: Cell, same: Sequence[Standing], num_others: int) -> str:
    verb = "does" if len(same) == 1 else "do"
    of = f"{len(same)} of the {num_others} others{_finished(cell)}"
    listed = ""
    if len(same) <= _MAX_IN_HEADLINE:
        listed = f": {names.listed([standing.name.series for standing in same])}"
    return f"{of} {verb} not differ significantly from it{listed}."


def _all_apart(cell: Cell, num_others: int) -> str:
    if num_others == 1:
        return f"The other{_finished(cell)} is significantly worse."
    others = "Both" if num_others == 2 else f"All {num_others}"
    return f"{others} others{_finished(cell)} are significantly worse."


def _finished(cell: Cell) -> str:
    """Returns which others are meant, where some did not finish."""
    return " that finished" if _having(cell, "unfinished") else ""


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
    ]
    return [
        Sentence(kind, start + _enumerated([_told(s, detail(s)) for s in group]) + ".")
        for kind, start, detail in texts
        if (group := _having(cell, kind))
    ]


def _untested(cell: Cell) -> list[str]:
    """Returns who could not be compared with the reference, for each reason why.

    Where all have one seed the first sentence has said so already.
    """
    if cell.reference is None or all(s.score.count <= 1 for s in cell.standings):
        return []
    reasons: dict[str, list[str]] = {}
    for standing in _having(cell, "unknown"):
        reasons.setdefault(_why_untested(standing), []).append(standing.name.series)
    return [
        f"No test against {cell.reference.name.series}, {reason}: {_enumerated(told)}."
        for reason, told in reasons.items()
    ]


def _why_untested(standing: Standing) -> str:
    difference = standing.difference
    noun = "replicate" if _is_crossed(standing) else "seed"
    if difference is None or not difference.count:
        return f"no {noun} finished by both"
    if difference.count < _MIN_SEEDS:
        return f"fewer than {_MIN_SEEDS} {noun}s finished by both"
    if difference.low == difference.high:
        return f"the same difference for every {noun}"
    return f"fewer than {_MIN_SEEDS} weight or batch seeds shared"


def _having(cell: Cell, outcome: Kind | Outcome) -> list[Standing]:
    return [standing for standing in cell.standings if standing.outcome == outcome]


def _told(standing: Standing, detail: str) -> str:
    return f"{standing.name.series} {detail}".strip()


def _enumerated(items: Sequence[str]) -> str:
    return abridged(items, _MAX_LISTED, "more (see the table)")


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
        _further(difference, [s for s in (standing, cell.reference) if s is not None]),
    ]
    return f"({'; '.join(part for part in parts if part)})"


def _of_shared(standing: Standing, difference: Difference, start: str) -> str:
    """Returns over how many pairs a difference is, where that is not all that were asked for."""
    if difference.count == standing.record.num_replicates:
        return ""
    which = (
        "of crossed seeds that are complete" if difference.num_left_out else "that both finished"
    )
    return f"{start}{_replicates(standing, difference.count)} {which}"


def _held_back(difference: Difference) -> str:
    """Returns why a difference does not count although its interval excludes zero."""
    if difference.low <= 0 <= difference.high:
        return ""
    if difference.low == difference.high:
        return f"the same for all {difference.count}, too few to tell"
    p = names.p_value(difference.p_holm)
    return f"p {p} after Holm's correction for {names.counted(difference.family, 'comparison')}"


def _further(difference: Difference, of: Sequence[Standing]) -> str:
    if difference.mean == 0 and difference.std == 0:
        return "no difference at all"
    if difference.count < 2 or not difference.std or math.isnan(difference.p_value):
        return ""
    if not difference.has_new_weights:
        fixed = [s for s in of if s.record.repeats_weights] or of
        told = "both" if len(fixed) > 1 else fixed[0].name.series
        return f"more seeds of {told} start with the same kernels"
    if math.isnan(difference.further_seeds):
        return f"more than {MAX_FURTHER:,} more seeds to tell" if difference.can_plan else ""
    return f"about {_more_seeds(difference.further_seeds)} to tell"


def _more_seeds(count: float) -> str:
    """Returns such as `"8 more seeds"`: two digits, never less than one, for it is rough."""
    number = max(round(count), 1)
    shown = number if number < 100 else round(number, 1 - int(math.log10(number)))
    return names.counted(shown, "more seed")


def _fragile(cell: Cell) -> list[str]:
    """Returns whose finished replicates keep up with the leader's, but fewer of which trained."""
    better = [s for s in cell.fragile if s in cell.better]
    level = [s for s in cell.fragile if s not in cell.better]
    return [
        *_counted_against("Better where both finished, but trained less often than", cell, better),
        *_counted_against(
            "Not distinguishable where both finished, but trained less often than", cell, level
        ),
    ]


def _successes(cell: Cell) -> list[str]:
    """Returns who else trained less, or more, often than the leader, each with its test."""
    testable = [s for s in cell.unsettled if s.to_leader and s.to_leader.can_test_success]
    few = [standing for standing in cell.unsettled if standing not in testable]
    return [
        *_counted_against("Trained less often than", cell, cell.less_trained),
        *_counted_against("Trained more often than", cell, cell.more_trained),
        *_counted_against("Not clearly less often trained than", cell, testable),
        *_counted_against("Trained less often than", cell, few, ", with too few seeds to test it"),
    ]


def _counted_against(start: str, cell: Cell, group: Sequence[Standing], how: str = "") -> list[str]:
    """Returns how many of each trained against the leader's, in one sentence; none for nobody."""
    if cell.leader is None or not group:
        return []
    told = _enumerated([_success(standing, cell.leader) for standing in group])
    return [f"{start} {cell.leader.name.series}{how}: {told}."]


def _success(standing: Standing, leader: Standing) -> str:
    to = standing.to_leader
    test = ""
    if to is not None and to.can_test_success:
        test = f"; Fisher p {names.p_value(to.p_success)} after Holm's correction"
    return (
        f"{standing.name.series} ({standing.num_succeeded} of {standing.num_ended} against "
        f"{leader.num_succeeded} of {leader.num_ended}{test})"
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
    advice = [_next_seeds(cell), _next_start(cell), _next_rate(cell)]
    told = " Or: ".join(sentence for sentence in advice if sentence)
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
    if cell.is_baseline and not cell.shows_differences and cell.reference is not None:
        # Before anything differs from the baseline, nothing is told apart from the leader either.
        return _to_separate(cell.reference, [(s, s.difference) for s in _having(cell, "same")])
    return _to_separate(leader, [(s, s.to_leader) for s in cell.level])


def _to_separate(one: Standing, others: Sequence[tuple[Standing, Difference | None]]) -> str:
    """Returns how many more seeds would tell one from the first of others that can be told."""
    rivals = [(standing, difference) for standing, difference in others if difference is not None]
    hopeful = [
        (difference.further_seeds, standing)
        for standing, difference in rivals
        if not math.isnan(difference.further_seeds)
    ]
    if hopeful:
        further, rival = min(hopeful, key=lambda pair: pair[0])
        total = one.record.num_replicates + max(round(further), 1)
        seeds = "" if _is_crossed(one) else f" (`seeds={total}`)"
        return (
            f"about {_more_seeds(further)}{seeds} would confirm the difference seen between "
            f"{rival.name.series} and {one.name.series} ({100 * POWER:g} % power)."
        )
    if rivals and all(difference.can_plan for _, difference in rivals):
        return (
            f"not even {MAX_FURTHER:,} more seeds would tell those that lead apart; choose by "
            f"other reasons."
        )
    return ""


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


def best_of_all(cells: Sequence[Cell]) -> str:
    """Returns which configuration has the best mean of several comparable cells."""
    scored = [s for cell in cells for s in cell.standings if s.score.count]
    leaders = [cell.leader for cell in cells if cell.leader and cell.leader.mostly_finished]
    if len(leaders) < 2 or len({comparable(s.record) for s in scored}) > 1:
        return ""
    best = rank(leaders)[0]
    tying = [s for s in leaders if s.counted == best.counted]
    tied = [_placed(standing) for standing in tying]
    if len(tied) > 2:
        tied = [tied[0], f"{len(tied) - 1} others"]
    count = sum(len(cell.standings) for cell in cells)
    verb = "share" if len(tied) > 1 else "has"
    return (
        f"Of all {count} configurations, {names.listed(tied)} {verb} the "
        f"{names.best_word(best.record.endpoint)} "
        f"{_mean(best, scored, names.decimals([best.score]))}{_but_unlearned(tying)}. Optimistic: "
        f"this was the best of {count}."
    )
