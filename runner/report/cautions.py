"""What limits a comparison: said beside it, whatever the numbers look like."""

from collections.abc import Sequence

from runner.config import abridged
from runner.records import ConfigurationRecord, KernelRecord, lower_is_better
from runner.report import names
from runner.report.results import Results
from runner.report.scores import comparable
from runner.report.tables import factor_keys, missing_replicates
from runner.report.verdict import Cell, Standing, baseline_label

_MAX_LISTED = 4
# A lognormal law beside a narrow one is told apart at equal means in more than one sweep of twenty.
_UNEVEN = 3


def cautions(results: Results, cells: Sequence[Cell]) -> list[str]:
    """Returns one sentence for each thing that a reader should know before trusting the numbers."""
    shown = [s for cell in cells for s in cell.standings if s.score.count]
    checks = (
        _deselected(results),
        _same_weights(shown),
        _undrawn(results),
        _looks(results, cells),
        _chosen_late(results),
        _families(cells),
        _uneven(cells),
        _damaged(results),
        _missing(results),
        _refused(results),
        _survivors(results, shown),
        _unpaired(results, cells),
        _crossed(results, shown),
        _incomplete(cells),
        _mixed(shown),
        _best_epoch(shown),
        _stopped(results),
        _absent_baseline(results, cells),
        _fallbacks(results),
        _reused(results),
        _mixed_settings(results),
        _mixed_versions(results),
        _repeated(results),
    )
    return [sentence for sentence in checks if sentence]


def _deselected(results: Results) -> str:
    if not results.num_deselected:
        return ""
    count = names.counted(results.num_deselected, "replicate")
    verb = "is" if results.num_deselected == 1 else "are"
    return (
        f"Picked by outcome: {count} that ended otherwise {verb} left out. That makes a "
        f"configuration that often fails look better than it is."
    )


def _same_weights(shown: Sequence[Standing]) -> str:
    """Returns whose seeds differ in less than they seem to; what named laws do is no surprise."""
    same: dict[str, dict[str, None]] = {}
    for record in (standing.record for standing in shown if standing.score.count > 1):
        if record.repeats_weights:
            rest = names.listed([names.VARIATION[name] for name in record.varies or []])
            same.setdefault(rest, {})[names.one_line(record.init)] = None
    told = [
        f"{_some(list(inits))}, whose seeds differ {f'in {rest} only' if rest else 'in nothing'}"
        for rest, inits in same.items()
    ]
    if not told:
        return ""
    return (
        f"Same kernels for every seed: {abridged(told, _MAX_LISTED, separator='; ')}. Their "
        f"intervals say nothing about other kernels, however many seeds there are."
    )


def _stopped(results: Results) -> str:
    """Returns what early stopping means for the numbers, where it ended a replicate."""
    finished = results.replicates[results.replicates["status"] == "finished"]
    epochs = finished["stopped_epoch"].dropna()
    if epochs.empty:
        return ""
    first, last = int(epochs.min()), int(epochs.max())
    when = f"after epoch {first}" if first == last else f"after epochs {first} to {last}"
    return (
        f"Early stopping ended {len(epochs)} of {names.counted(len(finished), 'replicate')} "
        f"{when}. Final values are those of each one's last epoch, which curves keep from there "
        f"on; the test part was measured with the weights of its best epoch."
    )


def _undrawn(results: Results) -> str:
    paths = list(dict.fromkeys(p for record in results.configurations for p in record.undrawn))
    if not paths:
        return ""
    start, kernels = "start", "they are kernels, name them"
    if len(paths) == 1:
        start, kernels = "starts", "it is a kernel, name it"
    return (
        f"Not drawn: {_some(paths)} {start} with the same random values for every seed and every "
        f"initializer. If {kernels} in `init.kernels`."
    )


def _some(items: Sequence[str]) -> str:
    return names.listed(items) if len(items) <= _MAX_LISTED else abridged(items, _MAX_LISTED)


def _looks(results: Results, cells: Sequence[Cell]) -> str:
    """Returns what the verdict rests on, where that is not all seeds at a look."""
    compared = [cell for cell in cells if len(cell.standings) > 1 and cell.leader]
    if any(not cell.design.is_stamped for cell in compared):
        return (
            "No looks were fixed before these records were trained: the verdict treats all of "
            "their seeds as one look. Looking earlier, or again with more seeds, makes false "
            "differences more likely."
        )
    most = [max(standing.num_ended for standing in cell.standings) for cell in compared]
    beyond = [cell for cell, num in zip(compared, most, strict=True) if 0 < cell.look < num]
    if not beyond or any(cell.design.looks is None for cell in compared):
        return ""
    cell = beyond[0]
    following = next((look for look in cell.design.looks or () if look > cell.look), None)
    when = f"The next look is at {following} seeds" if following else "It was the last look"
    return (
        f"The verdict is that of the look at {cell.look} seeds; means and curves include the seeds "
        f"beyond it, which are exploratory. {when}."
    )


def _chosen_late(results: Results) -> str:
    told = ["the selection (`--where`)"] if results.where else []
    told += ["the grouping (`--by`)"] if results.by is not None else []
    if not told:
        return ""
    text, verb = names.listed(told), "was" if len(told) == 1 else "were"
    return (
        f"{text[:1].upper()}{text[1:]} {verb} chosen after training, which the verdict does not "
        f"allow for."
    )


def _families(cells: Sequence[Cell]) -> str:
    families = {s.record.design.family for c in cells for s in c.standings if s.record.design}
    if len(families) < 2:
        return ""
    last = max(families)
    later = dict.fromkeys(
        names.one_line(s.record.init)
        for cell in cells
        for s in cell.standings
        if s.record.design and s.record.design.family == last
    )
    verb, whose = ("was", "its") if len(later) == 1 else ("were", "their")
    return (
        f"{_some(list(later))} {verb} added later: {whose} comparisons form a family of their own, "
        f"which is corrected separately, each with the whole error rate."
    )


def _uneven(cells: Sequence[Cell]) -> str:
    """Returns whose losses scatter so widely beside others that the t test may err too often.

    Of two laws alike, however skewed, the differences are symmetric. Where one scatters more, they
    have its skew: few seeds then miss its rare large losses, and show too small a mean and spread.
    """
    wide: dict[str, None] = {}
    for cell in cells:
        of = {s.record.index: s for s in cell.standings if not s.never_learned}
        found = cell.pairs[cell.pairs["is_tested"] & (cell.pairs["sign"] != 0)]
        for pair in found.to_dict("records"):
            sides = [of.get(pair[f"configuration_{side}"]) for side in "ab"]
            both = sorted(filter(None, sides), key=lambda standing: standing.score.std)
            if len(both) < 2 or not lower_is_better(pair["metric"]):
                continue
            if both[1].score.std >= _UNEVEN * both[0].score.std:
                wide[names.one_line(both[1].record.init)] = None
    if not wide:
        return ""
    return (
        f"The losses of {_some(list(wide))} scatter at least {_UNEVEN} times as much as those of "
        f"an initializer that differs. If they are skewed, such a difference may be luck more "
        f"often than the tests allow: compare the medians."
    )


def _damaged(results: Results) -> str:
    if not results.num_damaged:
        return ""
    verb = "is" if results.num_damaged == 1 else "are"
    files = names.counted(results.num_damaged, "damaged file")
    return f"{files} {verb} left out; `python -m runner.report` names each with its reason."


def _missing(results: Results) -> str:
    missing = missing_replicates(results.configurations, results.replicates)
    if not missing:
        return ""
    asked = sum(record.num_replicates for record in results.configurations if not record.error)
    return (
        f"Missing: {sum(missing.values())} of {names.counted(asked, 'replicate')}, in "
        f"{names.counted(len(missing), 'configuration')}. The sweep has not ended."
    )


def _refused(results: Results) -> str:
    refused = [record for record in results.configurations if record.error is not None]
    if not refused:
        return ""
    count = names.counted(len(refused), "configuration")
    return f"{count} could not be trained: see Failures for the reasons."


def _survivors(results: Results, shown: Sequence[Standing]) -> str:
    status = results.replicates["status"]
    lost = status.isin(["diverged", "failed", "interrupted"]).sum()
    if not lost or not shown:
        return ""
    flattered = ""
    if (status == "diverged").any():
        flattered = " A configuration that often diverges looks better in them than it is."
    return (
        f"Means, intervals and curves are over finished replicates only; "
        f"{names.counted(int(lost), 'replicate')} did not finish.{flattered}"
    )


def _unpaired(results: Results, cells: Sequence[Cell]) -> str:
    keys = results.replicates[["configuration", "weight_seed", "batch_seed"]]
    seeds = {
        frozenset(zip(rows["weight_seed"], rows["batch_seed"], strict=True))
        for _, rows in keys.groupby("configuration")
    }
    if len(seeds) < 2 or not any((cell.pairs["num_pairs"] > 0).any() for cell in cells):
        return ""
    return "Configurations ended with different seeds: a difference is over those that both have."


def _crossed(results: Results, shown: Sequence[Standing]) -> str:
    if results.replicates["seed"].notna().all() or not shown:
        return ""
    return (
        "Weight and batch seeds are crossed, so replicates that share one are not independent. The "
        "intervals of differences account for that; those of single configurations and of curves "
        "do not, and are too narrow."
    )


def _incomplete(cells: Sequence[Cell]) -> str:
    counts = [int(count) for cell in cells for count in cell.pairs["num_left_out"] if count]
    if not counts:
        return ""
    some = str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return (
        f"Of crossed seeds, a difference counts those whose replicates all finished: {some} that "
        f"both finished are left out of {names.counted(len(counts), 'difference')}. What failed "
        f"with such a seed looks better than it is."
    )


def _mixed(shown: Sequence[Standing]) -> str:
    if len({comparable(standing.record) for standing in shown}) < 2:
        return ""
    return "Configurations with other data or another endpoint are not compared with each other."


def _best_epoch(shown: Sequence[Standing]) -> str:
    if all(standing.record.endpoint_at != "best" for standing in shown):
        return ""
    return (
        "Scores are those of each replicate's best epoch, chosen on the same data that they are "
        "measured on: they are too good."
    )


def _absent_baseline(results: Results, cells: Sequence[Cell]) -> str:
    wanted = next((label for r in results.configurations if (label := baseline_label(r))), None)
    if wanted is None:
        return ""
    if all(record.init != wanted for record in results.configurations):
        instead = "; using the best mean" if any(cell.leader for cell in cells) else ""
        return f"Unknown baseline '{names.one_line(wanted)}'{instead}."
    if all(any(s.record.init == wanted and s.score.count for s in c.standings) for c in cells):
        return ""
    if not any(cell.leader for cell in cells):
        return ""
    some = "every setting; where none did, the best mean is used" if len(cells) > 1 else ""
    return (
        f"The baseline {names.one_line(wanted)} did not finish in "
        f"{some or 'this sweep; using the best mean'}."
    )


def _fallbacks(results: Results) -> str:
    told = {
        f"{record.init} is not defined for {kernel.path}, which {kernel.law} draws"
        for record in results.configurations
        for kernel in record.kernels
        if is_fallback(record, kernel)
    }
    if not told:
        return ""
    return f"Fallbacks: {abridged(sorted(told), _MAX_LISTED, separator='; ')}."


def is_fallback(record: ConfigurationRecord, kernel: KernelRecord) -> bool:
    """Tells whether a kernel was drawn by the fallback, as its law is not defined for it."""
    if kernel.drawn_by:
        return kernel.drawn_by == "fallback"
    return record.init.partition("(")[0] != kernel.law.partition("(")[0]


def _reused(results: Results) -> str:
    if "reused_from" not in results.replicates:
        return ""
    reused = results.replicates["reused_from"].dropna()
    if reused.empty:
        return ""
    # A source is `<date>/<time>/<number>`, or `mlflow:<run>`, of which each replicate has its own.
    origins = {"MLflow" if s.startswith("mlflow:") else s.rpartition("/")[0] for s in reused}
    sources = sorted(origins)
    if len(sources) > _MAX_LISTED:
        sources = [f"{len(sources)} earlier commands"]
    verb = "was" if len(reused) == 1 else "were"
    count = names.counted(len(reused), "replicate")
    told = f"{count} {verb} taken over from {names.listed(sources)}"
    others = [
        f"{library} {', '.join(versions)} (here {results.sweep.versions.get(library)})"
        for library, versions in results.sweep.mixed_versions.items()
    ]
    mixed = f"; some were trained with {names.listed(others)}" if others else ""
    return f"{told}{mixed}."


def _mixed_settings(results: Results) -> str:
    """Returns the settings that all of one sweep has, and that are others in all of another."""
    told = [
        f"{key} ({', '.join(map(names.scalar_text, values))})"
        for key, values in results.between.items()
        if key in factor_keys(results.configurations)
    ]
    if not told:
        return ""
    within = "initializers are compared within each sweep, not across"
    across = "what is compared across sweeps differs in that too"
    how = within if results.by is None else across
    return f"The sweeps differ as a whole in {names.listed(told)}: {how}."


def _mixed_versions(results: Results) -> str:
    of = [sweep.versions for sweep in results.sweeps]
    libraries = dict.fromkeys(library for versions in of for library in versions)
    mixed = [key for key in libraries if len({versions.get(key) for versions in of}) > 1]
    if not mixed:
        return ""
    told = [f"{key} {results.sweep.versions[key]}" for key in mixed]
    return f"Mixed versions: the sweeps ran with {names.listed(told)}."


def _repeated(results: Results) -> str:
    if not results.num_repeated:
        return ""
    count = names.counted(results.num_repeated, "replicate")
    verb = "occurs" if results.num_repeated == 1 else "occur"
    return f"{count} {verb} in more than one sweep; the first one counts."
