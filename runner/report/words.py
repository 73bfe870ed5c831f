"""The verdict in sentences, written by rule from the numbers, never surer than the tests."""

import math
from collections.abc import Sequence

import numpy as np

from runner import tasks
from runner.config import abridged
from runner.design import DEFAULT_BASELINES
from runner.report import names
from runner.report.answer import Kind, Sentence
from runner.report.statistics.verdicts import LEAST_CHANCE, MIN_PAIRS, WITHIN
from runner.report.verdict import Cell, Difference, Outcome, Standing, repeating

_MAX_LISTED = 12
_MAX_IN_HEADLINE = 6
# Settings outside are written as powers of ten.
_PLAIN = 1e-5, 1e7


def headline(cells: Sequence[Cell]) -> str:
    """Returns the answer: what to use, what ties, what is not known yet, what to avoid."""
    scored = [cell for cell in cells if cell.leader]
    if not scored:
        return "No replicate has finished: there is nothing to compare."
    if len(scored) == 1:
        text = _answer(scored[0])
    else:
        text = " ".join(
            part for part in (_answer_of_many(scored), _avoided_everywhere(scored)) if part
        )
    empty = len(cells) - len(scored)
    return f"{text} Nothing finished in {names.counted(empty, 'other setting')}." if empty else text


def _answer(cell: Cell) -> str:
    leader, scored = cell.leader, [s for s in cell.standings if s.score.count]
    assert leader is not None, "a cell with a score"
    if len(cell.standings) == 1:
        return f"{leader.name.series} reaches a {_metric(leader)} of {_score(leader, cell)}."
    if all(standing.never_learned for standing in scored):
        return "Nothing that finished has learned: try another learning rate or more epochs."
    avoided = _avoided(cell, ["worse", "unlearned", "unfinished"])
    if not cell.look and len(scored) == 1 and not _is_open(cell):
        parts = [f"Only {leader.name.series} has a result: {_score(leader, cell)}.", avoided]
    elif not cell.look:
        parts = [_no_verdict(cell), _highest(leader, cell), _avoided(cell, ["unlearned"])]
    else:
        parts = [_choice(cell), _open(cell), avoided, _without_result(cell)]
    return " ".join(part.strip() for part in parts if part)


def _is_open(cell: Cell) -> bool:
    """Returns whether a replicate may still end."""
    ended = [s.num_ended + s.statuses.get("failed", 0) for s in cell.standings]
    asked = [s.record.num_replicates for s in cell.standings]
    return any(number < of for number, of in zip(ended, asked, strict=True))


def _always_diverges(standing: Standing) -> bool:
    return 0 < standing.num_diverged == standing.num_ended


def _without_result(cell: Cell) -> str:
    """Returns who has no score, for another reason than that it always diverges."""
    lost = [s for s in cell.having("unfinished") if not _always_diverges(s)]
    return f"No result: {_some(_names(lost))}." if lost else ""


def _no_verdict(cell: Cell) -> str:
    """Returns why there is no verdict: too few seeds for a look, or for a test."""
    first = cell.design.looks[0] if cell.design.looks else MIN_PAIRS
    number = _NUMBERS.get(first, str(first))
    are = "is" if cell.num_seeds == 1 else "are"
    if cell.num_seeds < first:
        return (
            f"No verdict yet: {number} seeds are needed for a verdict, "
            f"{cell.num_seeds} {are} trained."
        )
    return f"No verdict yet: not all of the first {number} seeds have ended."


_SMALL = ("three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS = dict(enumerate(_SMALL, start=3))


def _highest(leader: Standing, cell: Cell) -> str:
    best = _best(leader).capitalize()
    peers = [s for s in cell.standings if s.counted == leader.counted]
    told = names.listed([standing.name.series for standing in peers])
    return f"{best} mean so far: {told}, {_score(leader, cell)}."


def _score(standing: Standing, cell: Cell) -> str:
    """Returns a mean, its interval, over how many replicates it is, what became of the others."""
    value = names.mean_and_interval(standing.score, digits(cell))
    count, num_asked = standing.score.count, standing.record.num_replicates
    over = f"mean over {_replicates(standing, count)}"
    if count < num_asked:
        noun = "replicate" if _is_crossed(standing) else "seed"
        over = f"mean over {names.coverage(num_asked, standing.statuses, noun)}"
    over = "one seed" if count == 1 else over
    return f"{value} ({over}{', never learned' if standing.never_learned else ''})"


def _choice(cell: Cell) -> str:
    """Returns what to use, and what ties with it."""
    choice, reference = cell.choice, cell.reference
    if choice is None or reference is None:
        return _highest(cell.leader, cell) if cell.leader else ""
    equivalent = cell.having("equivalent")
    within = _within(cell) if equivalent else ""
    are = "is" if len(equivalent) == 1 else "are"
    tied = f"{_some(_names(equivalent))} {are} equivalent"
    if choice is not reference:
        also = [standing for standing in cell.having("better") if standing is not choice]
        text = f"Use {_named(choice)}: {_how(choice)} than {_named(reference)}."
        if also:
            text += f" Also better: {_some([_and_by(s) for s in also])}."
        return f"{text} {tied} to {reference.name.series} {within}." if equivalent else text
    if equivalent:
        return f"Use {_named(choice)}: {tied} {within}."
    if not cell.is_decided:
        return _nothing_known(cell, choice) if cell.having("unknown") else f"Use {_named(choice)}."
    if not cell.having("unknown"):
        is_all = len(cell.standings) > 2 and not _without_result(cell)
        return f"Use {_named(choice)}{': all others are worse' if is_all else ''}."
    if not cell.is_baseline:
        return f"Use {choice.name.series}: it has the {_best(choice)} mean so far."
    return f"Use {_named(choice)}: no other is known to be better."


def _nothing_known(cell: Cell, choice: Standing) -> str:
    others = cell.having("unknown")
    who = others[0].name.series if len(others) == 1 else f"any other {noun(cell)}"
    what = "differs from" if cell.is_baseline else "is worse than"
    after = f"after {names.counted(cell.look, 'seed')}"
    return f"{_not_known(cell)} {after} whether {who} {what} {_named(choice)}."


def _not_known(cell: Cell) -> str:
    """Returns that something is not known, as surely as it will stay so."""
    if not cell.design.is_stamped:
        return "Not known"
    is_last = cell.design.looks is not None and not _next_look(cell)
    return "Still not known" if is_last else "Not known yet"


def noun(cell: Cell) -> str:
    """Returns what is compared in a cell: initializers, or settings of one."""
    inits = {standing.record.init for standing in cell.standings}
    return "initializer" if len(inits) > 1 else "setting"


def _best(standing: Standing) -> str:
    return names.best_word(standing.record.endpoint)


def _named(standing: Standing) -> str:
    """Returns the name, and that it is the default."""
    name = standing.name.series
    if standing.record.init == name == DEFAULT_BASELINES[0]:
        return f"{name} (the model's own)"
    if standing.record.init == name == DEFAULT_BASELINES[-1]:
        return f"{name} (the default)"
    return name


def _names(standings: Sequence[Standing]) -> list[str]:
    return [standing.name.series for standing in standings]


def _within(cell: Cell) -> str:
    """Returns within which margin, and that it was named late."""
    design = next(s.record.design for s in cell.having("equivalent") if s.record.design)
    late = ", a margin named after the data were seen" if design.has_late_margin else ""
    return f"within {names.scalar_text(design.margin)}{late}"


def _how(standing: Standing) -> str:
    """Returns such as `"1.2 points better"`; of a loss, which and how much lower."""
    difference, metric = standing.difference, standing.record.endpoint
    if difference is None or not difference.sign:
        return "it trains more often"
    what = "" if _is_share(metric) else f"{_metric(standing)} "
    return f"{what}{size(difference, metric)} {_direction(standing)}"


def _direction(standing: Standing) -> str:
    is_lower = standing.difference is not None and standing.difference.mean < 0
    if _is_share(standing.record.endpoint):
        return "worse" if is_lower else "better"
    return "lower" if is_lower else "higher"


def _and_by(standing: Standing) -> str:
    difference, how = standing.difference, "trains more often"
    if difference is not None and difference.sign:
        how = size(difference, standing.record.endpoint)
    return f"{standing.name.series} ({how})"


def size(difference: Difference, metric: str) -> str:
    """Returns how large a difference is: in points where the metric is a share."""
    if not _is_share(metric):
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
        best = _highest(cell.leader, cell) if cell.leader else ""
        return f"{best}{f' Next look: {following} seeds.' if following else ''}"
    start = _not_known(cell)
    if not following and cell.design.looks is not None:
        start += f" after {names.counted(cell.look, 'seed')}"
    return f"{start}: {_some(_names(unknown))}{when}."


def _next_look(cell: Cell) -> int:
    unknown = cell.having("unknown")
    return max((s.difference.next_look for s in unknown if s.difference), default=0)


def _avoided(cell: Cell, outcomes: Sequence[Outcome]) -> str:
    """Returns what to avoid and why."""
    worse = [s for s in cell.having(*outcomes) if s.outcome == "worse"]
    measured = [s for s in worse if s.difference and s.difference.sign and not _fails(s)]
    never = [s for s in cell.having("unlearned", "reference") if s.never_learned]
    lost = [s for s in cell.having(*outcomes) if s.outcome == "unfinished" and _always_diverges(s)]
    groups = [
        (measured, _how_much(measured)),
        *(
            ([s], f"trains in {s.num_succeeded} of {s.num_ended}")
            for s in worse
            if s not in measured
        ),
        (never, "never learns" if len(never) == 1 else "never learn"),
        (lost, "always diverges" if len(lost) == 1 else "always diverge"),
    ]
    told = [f"{_some(_names(group))} ({why})" for group, why in groups if group]
    return f" Avoid {names.listed(told)}." if told else ""


def _fails(standing: Standing) -> bool:
    return standing.difference is not None and standing.difference.fails_more


def _how_much(worse: Sequence[Standing]) -> str:
    """Returns such as `"0.7 and 1.7 points worse"`; of many the least and the most."""
    if not worse:
        return ""
    sizes = [size(s.difference, s.record.endpoint) for s in worse if s.difference]
    plain = [text.partition(" ")[0] for text in sizes]
    unit = " points" if " " in sizes[0] else ""
    if sizes == ["1 point"]:
        unit = " point"
    word, metric = _direction(worse[0]), worse[0].record.endpoint
    known = tasks.metric(metric)
    what = "" if known.is_share else f"{known.words} "
    if len(worse) <= 3:
        return f"{what}{names.listed(plain)}{unit} {word}"
    values = sorted(
        zip([abs(s.difference.mean) for s in worse if s.difference], plain, strict=True)
    )
    return f"{what}{values[0][1]} to {values[-1][1]}{unit} {word}"


def _some(items: Sequence[str], word: str = "and") -> str:
    shown = list(items)
    if len(shown) > _MAX_IN_HEADLINE:
        shown = [*shown[: _MAX_IN_HEADLINE - 1], f"{len(shown) - _MAX_IN_HEADLINE + 1} others"]
    return names.listed(shown, word)


def good(cell: Cell) -> list[Standing]:
    """Returns what to use in a cell: the choice, and what ties with it; nobody where unknown."""
    if cell.choice is None or not cell.look:
        return []
    if cell.choice is not cell.reference:
        return cell.having("better")
    is_known = cell.is_decided or not cell.having("unknown")
    return [cell.choice, *cell.having("equivalent")] if is_known else []


def _answer_of_many(cells: Sequence[Cell]) -> str:
    """Returns the answer over several settings, in one or two sentences."""
    number = len(cells)
    if all(len(cell.standings) == 1 for cell in cells):
        return f"There is one configuration in each of {number} settings: nothing is compared."
    unknown = [cell for cell in cells if not good(cell)]
    where: dict[str, list[int]] = {}
    for place, cell in enumerate(cells):
        for standing in good(cell):
            where.setdefault(standing.name.series, []).append(place)
    least = min(cell.num_seeds for cell in cells)
    which = "either setting" if number == 2 else f"any of the {number} settings"
    if not where:
        if not any(cell.look for cell in cells):
            return _no_verdict(min(cells, key=lambda cell: cell.num_seeds))
        return f"Not known yet which {noun(cells[0])} is best in {which}."
    most = max(map(len, where.values()))
    best = [name for name, places in where.items() if len(places) == most]
    of = f"{most} of {number}" if most < number else "both" if number == 2 else f"all {number}"
    if len({tuple(where[name]) for name in best}) == 1:
        each = "" if len(best) == 1 else "each of them is "
        text = f"Use {_some(best, 'or')}: {each}best or tied in {of} settings."
    else:
        text = f"The best differs between settings: {_some(best)} are each best or tied in {of}."
    if unknown:
        text += f" Not known yet in {len(unknown)} of {number} ({names.counted(least, 'seed')})."
    return text


def _avoided_everywhere(cells: Sequence[Cell]) -> str:
    if all(len(cell.standings) == 1 for cell in cells):
        return ""
    bad = [{s.name.series for s in cell.having("worse", "unlearned")} for cell in cells]
    everywhere = [s.name.series for s in cells[0].standings if all(s.name.series in b for b in bad)]
    return f"Avoid {_some(everywhere)} everywhere." if everywhere else ""


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
    texts: dict[Kind, str] = {
        "better": f"Better than {who}",
        "equivalent": f"Equivalent to {who}",
        "unknown": f"{_not_known(cell)}, against {who}",
        "worse": f"Worse than {who}",
    }
    of = {kind: [s for s in cell.standings if s.outcome == kind] for kind in texts}
    return [
        Sentence(kind, f"{at}{text}: {_enumerated(told)}.")
        for kind, text in texts.items()
        if (told := [f"{s.name.series} ({_difference(s, cell)})" for s in of[kind]])
    ]


def _difference(standing: Standing, cell: Cell) -> str:
    """Returns a difference, its interval, and what is or is not known of it."""
    difference = standing.difference
    if difference is None or not difference.count:
        return "no seed finished by both"
    value = names.mean_and_interval(difference, difference_digits(cell), signed=True)
    parts = [value, _of_shared(standing, difference)]
    if standing.outcome == "unknown":
        parts.append(_why_unknown(difference, cell.design.looks is None))
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


def _why_unknown(difference: Difference, by_e_value: bool) -> str:
    if difference.mean == 0 and difference.std == 0:
        return "identical so far"
    if math.isnan(difference.p_value):
        return f"fewer than {MIN_PAIRS} seeds finished by both"
    if math.isnan(difference.level):
        return ""
    if by_e_value:
        return f"e-value below {names.significant(1 / difference.level, 2)}"
    needed = names.significant(difference.level, 2)
    return f"p {names.p_value(difference.p_value)}, needed ≤ {needed}"


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
    how = "; not known to differ in that (Fisher's exact test)"
    if known:
        some = f"; different by Fisher's exact test: {names.listed(known)}"
        how = "" if len(known) == len(told) else some
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
    if count == standing.record.num_replicates:
        return f"all {_replicates(standing, count)}" if count > 1 else "one seed"
    return f"all {count} that finished" if count > 1 else "the only one that finished"


def _lost(cell: Cell) -> str:
    told = [
        f"{s.name.series} ({names.coverage(s.record.num_replicates, s.statuses)}{_start(s)})"
        for s in cell.standings
        if s.score.count < s.record.num_replicates
    ]
    return f"Not all replicates finished: {_enumerated(told)}." if told else ""


def _start(standing: Standing) -> str:
    """Returns what was seen before training, where that was looked at."""
    return f"; before training: {standing.start}" if standing.start else ""


def _enumerated(items: Sequence[str]) -> str:
    return abridged(items, _MAX_LISTED, "more (see the table)")


def _replicates(standing: Standing, count: int) -> str:
    return names.counted(count, "replicate" if _is_crossed(standing) else "seed")


def _is_crossed(standing: Standing) -> bool:
    return standing.record.settings.get("weight_seeds") is not None


def _is_share(metric: str) -> bool:
    return tasks.metric(metric).is_share


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
        return "another learning rate or more epochs."
    if any(_is_crossed(s) for s in scored):
        return ""
    looks = cell.design.looks
    following = _next_look(cell) if cell.look else (looks[0] if looks else MIN_PAIRS)
    if not cell.look and _is_open(cell) and cell.num_seeds >= following:
        return "the same command again, which trains what is missing."
    if not following or (cell.look and not cell.having("unknown")):
        return ""
    rivals = [s for s in scored if s is not cell.reference]
    if cell.look:
        rivals = cell.having("unknown")
    fixed = [repeating(cell.reference.record, s.record) for s in rivals if cell.reference]
    if fixed and all(fixed):
        told = list(dict.fromkeys(record.init for records in fixed for record in records))
        return f"no more seeds: all seeds of {names.listed(told)} start with the same kernels."
    if looks and rivals and all(_is_hopeless(s.difference) for s in rivals):
        return (
            f"no more seeds: the probability that {looks[-1]} seeds tell more is below "
            f"{100 * LEAST_CHANCE:.0f} %."
        )
    until = ", or `seeds=auto` to go on until it is known" if cell.design.is_stamped else ""
    what = "the next look" if cell.look else "a verdict"
    return f"`seeds={following}` for {what}{until}."


def _is_hopeless(difference: Difference | None) -> bool:
    return difference is not None and difference.chance < LEAST_CHANCE


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
    return f"{advice}: the untrained model's loss is {state} ({told})."


def _next_rate(cell: Cell) -> str:
    """Returns that a smaller learning rate may help what diverged, where none was tried."""
    diverged = [s for s in cell.standings if s.num_diverged > s.num_untrained]
    tried = {(s.record.settings.get("optimizer") or {}).get("learning_rate") for s in diverged}
    varies = any("optimizer.learning_rate" in s.record.factors for s in cell.standings)
    rate = next(iter(tried), None)
    if not diverged or varies or len(tried) != 1 or not isinstance(rate, int | float):
        return ""
    return (
        f"a smaller learning rate for what diverged: "
        f"`optimizer.learning_rate={_pasted([rate / 10, rate / 100])}`."
    )


def _pasted(values: Sequence[float]) -> str:
    """Returns positive numbers as a command line takes them, all in one notation."""
    rounded = [float(f"{value:.3g}") for value in values]
    if all(_PLAIN[0] <= value < _PLAIN[1] for value in rounded):
        return ",".join(np.format_float_positional(value, trim="-") for value in rounded)
    powers = [np.format_float_scientific(value, trim="-", exp_digits=1) for value in rounded]
    return ",".join(powers).replace("+", "")
