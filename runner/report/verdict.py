"""Who leads, whom the seeds cannot tell apart, and what failed: the numbers behind the words.

Configurations are compared within a *cell*: same data, same endpoint, same values of every factor,
so that only the initializer differs. Differences are paired by (weight_seed, batch_seed).

The *reference* of a cell is the baseline that was fixed beforehand: `report.baseline`, or else
glorot_uniform, Keras's default, where it is in the cell. Otherwise it is the best median. A
configuration counts as different from it only where the paired t test says so after Holm's
correction for the *family*: the differences to the baseline of all cells, and, for a cell whose
reference was picked from the data, all of its pairs. In a cell with a baseline, who else is apart
from the *leader*, the best mean with failures counted, is told from Holm's correction for all pairs
of all cells, and only where something differs from the baseline: so the chance of a false
difference in a sweep without any stays below 1 - confidence. Once one configuration differs, two
families err side by side, and equal ones beside it are told apart a little more often.

Who fails more often than the leader, whether or not anything of it finished, is told from Fisher's
exact test of how many replicates trained, after Holm's correction for all pairs of all cells, which
counts what each can attain, and at half the level: it is a second question about the same sweep.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from runner.config import abridged
from runner.records import ConfigurationRecord, bounds, lower_is_better
from runner.report import names, pairs
from runner.report.learning import num_unlearned
from runner.report.names import Name
from runner.report.results import Results
from runner.report.scores import Scores, comparable, scores
from runner.report.statistics import Summary, summarize
from runner.report.tables import num_untrained, status_counts

Outcome = Literal["reference", "better", "same", "worse", "unknown", "unlearned", "unfinished"]

DEFAULT_BASELINE = "glorot_uniform"

# Of the level of the tests, for those of how many trained: with all of it, six equal initializers
# of which three in ten replicates diverge were told apart, one way or the other, in 9 % of sweeps.
_SUCCESS_LEVEL = 0.5
_MAX_LISTED = 4


@dataclass(frozen=True)
class Difference(Summary):
    """How an endpoint differs from another's on the seeds that both finished.

    Attributes:
      num_left_out: How many of both finished but belong to crossed seeds that are not complete.
      p_value: Of the paired t test.
      p_holm: The same after Holm's correction; NaN as `p_value` where there is none.
      family: Number of comparisons that the correction is for.
      further_seeds: How many more seeds tell the two apart with 80 % power if the difference is
        what it looks like; NaN where more than a thousand would be needed or nobody knows.
      is_apart: Whether the corrected test tells the two apart.
      is_independent: Whether the pairs are independent, which crossed seeds are not.
      p_success: Of Fisher's exact test that as many replicates of both train, after Holm's
        correction for all pairs.
      is_success_apart: Whether that tells the two apart.
      can_test_success: Whether that could tell any two apart with so many replicates.
      has_new_weights: Whether further seeds start from other weights.
    """

    num_left_out: int = 0
    p_value: float = math.nan
    p_holm: float = math.nan
    family: int = 0
    further_seeds: float = math.nan
    is_apart: bool = False
    is_independent: bool = True
    p_success: float = math.nan
    is_success_apart: bool = False
    can_test_success: bool = False
    has_new_weights: bool = True

    @property
    def can_plan(self) -> bool:
        """Whether the number of further seeds could be worked out, or is only too large."""
        known = not math.isnan(self.p_value) and self.count > 1 and self.std > 0
        return known and self.is_independent and self.has_new_weights


@dataclass(frozen=True)
class Standing:
    """One configuration in its cell.

    Attributes:
      record: The configuration.
      name: What it is called.
      score: Its endpoint over the finished replicates.
      statuses: Status -> number of replicates.
      num_unlearned: Finished replicates that never learned; see `runner.report.learning`.
      num_untrained: Replicates that diverged before any training.
      counted: Mean of its endpoint over the replicates that finished or diverged, the latter with
        the score of a constant guess or the worst on the data; NaN unless some finished.
      counted_median: The median of the same.
      difference: Its endpoint minus the reference's over the seeds that both finished, perhaps
        none; None for the reference, and without a replicate that finished or diverged.
      to_leader: The same to the leader of its cell.
      outcome: What `difference` says; `"unknown"` where it has no test, as with fewer than
        three shared seeds, `"unlearned"` where no finished replicate learned, `"unfinished"` where
        none finished.
      start: What was seen before training, such as `"exploding"`; empty where unknown.
    """

    record: ConfigurationRecord
    name: Name
    score: Summary
    statuses: dict[str, int]
    num_unlearned: int
    num_untrained: int = 0
    counted: float = math.nan
    counted_median: float = math.nan
    difference: Difference | None = None
    to_leader: Difference | None = None
    outcome: Outcome = "unfinished"
    start: str = ""

    @property
    def num_diverged(self) -> int:
        """Replicates that diverged."""
        return self.statuses.get("diverged", 0)

    @property
    def num_ended(self) -> int:
        """Replicates that have an outcome: they finished or diverged."""
        return self.statuses.get("finished", 0) + self.num_diverged

    @property
    def num_succeeded(self) -> int:
        """Replicates that finished and learned."""
        return self.statuses.get("finished", 0) - self.num_unlearned

    @property
    def success_rate(self) -> float:
        """Share of the replicates with an outcome that finished and learned."""
        return self.num_succeeded / self.num_ended if self.num_ended else math.nan

    @property
    def mostly_finished(self) -> bool:
        """Whether at least half of the replicates that came to an end finished."""
        lost = self.num_diverged + self.statuses.get("failed", 0)
        return self.score.count > 0 and self.score.count >= lost

    @property
    def never_learned(self) -> bool:
        """Whether replicates finished and none of them learned."""
        return 0 < self.score.count == self.num_unlearned


@dataclass(frozen=True)
class Cell:
    """The configurations that may be compared with each other.

    Attributes:
      name: The factors' values, and what else tells it from another cell with the same; an empty
        text where it needs no name.
      standings: Best first; those of which most replicates were lost after the others.
      reference: What the others are compared with, or None if nothing finished.
      is_baseline: Whether the reference was fixed beforehand.
      pairs: All pairs of its configurations; see `runner.report.pairs`.
    """

    name: str
    standings: tuple[Standing, ...]
    reference: Standing | None
    is_baseline: bool
    pairs: pd.DataFrame = field(repr=False, compare=False, default_factory=pd.DataFrame)

    @property
    def leader(self) -> Standing | None:
        """The best mean, failures counted, among those of which most replicates finished."""
        first = self.standings[0]
        return first if first.score.count else None

    @property
    def shows_differences(self) -> bool:
        """Whether the comparisons with the reference have told any two apart."""
        return any(s.difference is not None and s.difference.is_apart for s in self.standings)

    @property
    def leaders(self) -> tuple[Standing, ...]:
        """The leader and those that nothing tells from it as worse, neither scores nor failures."""
        leader = self.leader
        if leader is None or leader.never_learned:
            return ()
        return tuple(
            s
            for s in self.standings
            if s is leader or (self._keeps_up(s) and not self._fails_more(s))
        )

    @property
    def level(self) -> tuple[Standing, ...]:
        """Those of the leaders, but for the first, that are not better than it either."""
        return tuple(s for s in self.leaders if s is not self.leader and not self._is_better(s))

    @property
    def better(self) -> tuple[Standing, ...]:
        """Those that are better than the leader on the seeds that both finished.

        They do not lead because they failed more often, or were lost, on the others.
        """
        leader = self.leader
        if leader is None or leader.never_learned:
            return ()
        return tuple(s for s in self.standings if self._is_better(s))

    @property
    def fragile(self) -> tuple[Standing, ...]:
        """Those whose finished replicates keep up with the leader, but fewer of which trained.

        Of those that are not better, only if the test of how many trained says so.
        """
        leader = self.leader
        if leader is None or leader.never_learned:
            return ()
        return tuple(
            s
            for s in self.standings
            if (self._is_better(s) and s.success_rate < leader.success_rate)
            or (self._keeps_up(s) and self._fails_more(s))
        )

    @property
    def less_trained(self) -> tuple[Standing, ...]:
        """Others than the fragile of which fewer trained, by the test, than of the leader."""
        return tuple(s for s in self.standings if self._fails_more(s) and s not in self.fragile)

    @property
    def more_trained(self) -> tuple[Standing, ...]:
        """Those of which more trained, by the test, than of the leader."""
        leader = self.leader
        if leader is None:
            return ()
        return tuple(
            s
            for s in self.standings
            if s.to_leader and s.to_leader.is_success_apart and s.success_rate > leader.success_rate
        )

    @property
    def unsettled(self) -> tuple[Standing, ...]:
        """Those that no test of scores compares, nor that of how many trained, though fewer did."""
        leader = self.leader
        if leader is None:
            return ()
        return tuple(
            s
            for s in self.standings
            if s.outcome in ("unknown", "unlearned", "unfinished")
            and s.success_rate < leader.success_rate
            and not self._fails_more(s)
            and s not in self.fragile
        )

    def _keeps_up(self, other: Standing) -> bool:
        if not other.num_succeeded or other.to_leader is None or math.isnan(other.to_leader.p_holm):
            return False
        return not self._is_apart(other) or self._is_better(other)

    def _is_better(self, other: Standing) -> bool:
        if other.to_leader is None or not self._is_apart(other):
            return False
        return (other.to_leader.mean < 0) == lower_is_better(other.record.endpoint)

    def _is_apart(self, other: Standing) -> bool:
        told = self.shows_differences or not self.is_baseline
        return other.to_leader is not None and other.to_leader.is_apart and told

    def _fails_more(self, other: Standing) -> bool:
        if self.leader is None or other.to_leader is None:
            return False
        less = other.success_rate < self.leader.success_rate
        return less and other.to_leader.is_success_apart


def judge(results: Results, start: Mapping[int, str] | None = None) -> list[Cell]:
    """Returns the comparison within each cell, in the order of the configurations.

    Args:
      results: The sweep.
      start: Configuration -> what was seen before training, where that was looked at.
    """
    trained = [record for record in results.configurations if record.error is None]
    by = results.names
    found = scores(results, trained)
    statuses = status_counts(results.replicates)
    unlearned = num_unlearned(results, trained)
    untrained = num_untrained(results.replicates)
    groups: dict[tuple[str, ...], list[Standing]] = {}
    for record in trained:
        counted = found.counted[record.index].dropna()
        score = summarize(
            found.finished[record.index], results.sweep.confidence, bounds(record.endpoint)
        )
        standing = Standing(
            record=record,
            name=by[record.index],
            score=score,
            statuses=statuses.get(record.index, {}),
            num_unlearned=unlearned.get(record.index, 0),
            num_untrained=untrained.get(record.index, 0),
            counted=float(counted.mean()) if score.count else math.nan,
            counted_median=float(counted.median()) if score.count else math.nan,
            start=(start or {}).get(record.index, ""),
        )
        groups.setdefault((*comparable(record), standing.name.cell), []).append(standing)
    return _compared(list(groups.values()), found, results.sweep.confidence)


def rank(standings: Sequence[Standing]) -> list[Standing]:
    """Returns the standings best first: mostly finished ones, the others, those without a score."""
    return sorted(standings, key=lambda standing: _order(standing, standing.counted))


def _order(standing: Standing, value: float) -> tuple[int, float]:
    if not standing.score.count:
        return 2, 0.0
    down = 1 if lower_is_better(standing.record.endpoint) else -1
    return int(not standing.mostly_finished), down * value


def _compared(groups: Sequence[Sequence[Standing]], found: Scores, confidence: float) -> list[Cell]:
    """Returns the cells with all their comparisons, corrected together."""
    ranked = [rank(group) for group in groups]
    baselines = [_baseline(group) for group in ranked]
    references = [
        baseline or _best_median(group) for baseline, group in zip(baselines, ranked, strict=True)
    ]
    groupings = [
        pairs.Group(
            members=tuple(s.record.index for s in group if s.num_ended),
            repeated=frozenset(s.record.index for s in group if s.num_ended > 1),
            reference=reference.record.index if reference else -1,
            leader=order[0].record.index,
            is_baseline=baseline is not None,
            metric=order[0].record.endpoint,
        )
        for group, order, reference, baseline in zip(
            groups, ranked, references, baselines, strict=True
        )
    ]
    called = _called(groups)
    table = _with_success(pairs.compare(groupings, found, confidence), groups)
    table = _without_vain_advice(table, [s.record for group in groups for s in group])
    return [
        _cell(name, order, reference, baseline is not None, own, confidence)
        for name, order, reference, baseline, own in zip(
            called, ranked, references, baselines, pairs.by_group(table, len(ranked)), strict=True
        )
    ]


def _called(groups: Sequence[Sequence[Standing]]) -> list[str]:
    """Returns the name of each cell: the factors' values, and what else tells it from others."""
    called = [group[0].name.cell for group in groups]
    alike = Counter(called)
    return [
        ", ".join(filter(None, (name, _own(group, groups)))) if alike[name] > 1 else name
        for name, group in zip(called, groups, strict=True)
    ]


def _own(group: Sequence[Standing], groups: Sequence[Sequence[Standing]]) -> str:
    """Returns what tells a group from the others whose factors have the same values."""
    alike = [of for of in groups if of is not group and of[0].name.cell == group[0].name.cell]
    own, others = _marks(group), [_marks(of) for of in alike]
    apart = [
        sum(mark != of[place] for of in others) if mark else 0 for place, mark in enumerate(own)
    ]
    if max(apart) == len(others):
        return own[apart.index(len(others))]
    return ", ".join(mark for mark, count in zip(own, apart, strict=True) if count)


def _marks(group: Sequence[Standing]) -> list[str]:
    """Returns what may tell a group from others, the plainest first: its data or its endpoint."""
    records = [standing.record for standing in group]
    keys = names.short_keys(key for record in records for key in record.factors)
    of_data = [
        ", ".join(
            f"{keys[key]}={names.scalar_text(value)}"
            for key, value in record.factors.items()
            if key.partition(".")[0] == "dataset"
        )
        for record in records
    ]
    models = list(dict.fromkeys(record.model for record in records))
    told = [
        of_data,
        [record.dataset.get("name", "") for record in records],
        [names.endpoint_name(record) for record in records],
        [f"data for {abridged(models, _MAX_LISTED)}" if all(models) else ""],
        [f"data {record.dataset.get('fingerprint', '')}" for record in records],
    ]
    return [names.one_line(" or ".join(dict.fromkeys(filter(None, mark)))) for mark in told]


def _with_success(table: pd.DataFrame, groups: Sequence[Sequence[Standing]]) -> pd.DataFrame:
    """Returns the pairs with the difference in how many replicates trained, and its test."""
    standings = [standing for group in groups for standing in group]
    succeeded = pd.Series({s.record.index: s.num_succeeded for s in standings}, dtype=int)
    ended = pd.Series({s.record.index: s.num_ended for s in standings}, dtype=int)
    return pd.concat([table, pairs.fisher(table, succeeded, ended)], axis=1)


def _without_vain_advice(
    table: pd.DataFrame, records: Sequence[ConfigurationRecord]
) -> pd.DataFrame:
    """Returns the pairs without further seeds where those would start from the same weights."""
    first, second = table["configuration_a"], table["configuration_b"]
    repeating = {record.index for record in records if record.repeats_weights}
    fixed = {record.index for record in records if record.has_fixed_kernels}
    is_vain = (
        first.isin(repeating) | second.isin(repeating) | (first.isin(fixed) & second.isin(fixed))
    )
    return table.assign(
        has_new_weights=~is_vain, further_seeds=table["further_seeds"].where(~is_vain)
    )


def _cell(
    name: str,
    standings: Sequence[Standing],
    reference: Standing | None,
    is_baseline: bool,
    table: pd.DataFrame,
    confidence: float,
) -> Cell:
    to_reference = _differences(table, reference, confidence)
    to_leader = _differences(table, standings[0], confidence)
    judged = tuple(
        replace(
            standing,
            difference=to_reference.get(standing.record.index),
            to_leader=to_leader.get(standing.record.index),
            outcome=_outcome(standing, reference, to_reference.get(standing.record.index)),
        )
        for standing in standings
    )
    return Cell(
        name=name,
        standings=judged,
        reference=next((s for s in judged if s.outcome == "reference"), None),
        is_baseline=is_baseline,
        pairs=table,
    )


def _differences(
    table: pd.DataFrame, to: Standing | None, confidence: float
) -> dict[int, Difference]:
    """Returns how each other configuration differs from one of its cell.

    A pair is decided once: where the reference's family has it, that decides for the leader too.
    """
    if to is None:
        return {}
    rows = pairs.oriented(table, to.record.index)
    decided = rows["p_deciding"].notna()
    rows = rows.assign(
        p_holm=rows["p_deciding"].where(decided, rows["p_holm"]),
        family=rows["family_deciding"].where(decided, rows["family"]),
    )
    return {
        int(row["configuration"]): Difference(
            mean=row["mean"],
            median=row["median"],
            std=row["std"],
            low=row["ci_low"],
            high=row["ci_high"],
            count=int(row["num_pairs"]),
            num_left_out=int(row["num_left_out"]),
            p_value=row["p_t"],
            p_holm=row["p_holm"],
            family=int(row["family"]),
            further_seeds=row["further_seeds"],
            is_apart=bool(row["p_holm"] <= 1 - confidence),
            is_independent=not math.isnan(row["p_sign_flip"]),
            p_success=row["p_fisher_holm"],
            has_new_weights=bool(row["has_new_weights"]),
            is_success_apart=bool(row["p_fisher_holm"] <= _SUCCESS_LEVEL * (1 - confidence)),
            can_test_success=bool(row["p_fisher_least"] <= _SUCCESS_LEVEL * (1 - confidence)),
        )
        for row in rows.to_dict("records")
    }


def baseline_label(record: ConfigurationRecord) -> str | None:
    """Returns the initializer that `report.baseline` names."""
    return record.settings.get("report", {}).get("baseline")


def _baseline(standings: Sequence[Standing]) -> Standing | None:
    """Returns the configuration that was fixed beforehand as the one to compare with."""
    found = [
        standing
        for standing in standings
        if standing.record.init == (baseline_label(standing.record) or DEFAULT_BASELINE)
    ]
    # Where the factors of one initializer are compared, its name singles out none of them.
    return found[0] if len(found) == 1 and found[0].score.count else None


def _best_median(ranked: Sequence[Standing]) -> Standing | None:
    """Returns the best median, failures counted; of equal ones the best mean."""
    best = min(ranked, key=lambda standing: _order(standing, standing.counted_median))
    return best if best.score.count else None


def _outcome(
    standing: Standing, reference: Standing | None, difference: Difference | None
) -> Outcome:
    if not standing.score.count or reference is None:
        return "unfinished"
    if standing is reference:
        return "reference"
    if standing.never_learned:
        return "unlearned"
    if difference is None or math.isnan(difference.p_holm):
        return "unknown"
    if not difference.is_apart:
        return "same"
    lower = difference.mean < 0
    return "better" if lower == lower_is_better(standing.record.endpoint) else "worse"
