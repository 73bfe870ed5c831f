"""What to use, what ties, what to avoid, what is not known yet: the numbers behind the words.

Configurations are compared within a *cell*: same data, same endpoint, same values of every factor,
so that only the initializer differs. Differences are paired by (weight_seed, batch_seed).

The *reference* of a cell is the baseline that its design fixed beforehand: `report.baseline`, or
else glorot_uniform, Keras's default, where the sweep has it. The family of comparisons is then the
differences to the baseline in all cells; where there is none, all pairs of all cells. The rules of
the verdict are those of `runner.report.statistics.verdicts`. Without a baseline the others are
shown beside the *leader*, the best mean with failures counted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import pandas as pd

from runner import tasks
from runner.config import abridged
from runner.design import DEFAULT_BASELINES, UNSTAMPED, Design
from runner.records import ConfigurationRecord, bounds, lower_is_better
from runner.report import names, pairs
from runner.report.names import Name
from runner.report.results import Results
from runner.report.scores import Scores, comparable, scores
from runner.report.statistics.verdicts import EQUIVALENT, UNKNOWN, WITHIN
from runner.report.tables import num_untrained, status_counts
from runner.summary import Summary, summarize

Outcome = Literal[
    "reference", "better", "equivalent", "worse", "unknown", "unlearned", "unfinished"
]

_MAX_LISTED = 4


@dataclass(frozen=True)
class Difference(Summary):
    """How an endpoint differs from another's on the seeds that both finished, up to the last look.

    Attributes:
      num_left_out: How many of both finished but belong to crossed seeds that are not complete.
      p_value: Of the paired t test.
      level: What it had to be.
      verdict: `"different"`, `"equivalent"`, `"different_within_margin"` or `"unknown"`.
      decided_at: Number of seeds at which that was known; 0 where it is not.
      look: Number of seeds at the last look that was reached; 0 where none was.
      next_look: The next one; 0 after the last.
      sign: Of the difference when it was found; 0 where none was.
      fails_more: Whether it is known to train less often.
      margin: Difference that does not matter; NaN for none.
      chance: Of a verdict at the last look of all; see `verdicts.decide`.
    """

    num_left_out: int = 0
    p_value: float = math.nan
    level: float = math.nan
    verdict: str = UNKNOWN
    decided_at: int = 0
    look: int = 0
    next_look: int = 0
    sign: int = 0
    fails_more: bool = False
    margin: float = math.nan
    chance: float = 1.0


@dataclass(frozen=True)
class Standing:
    """One configuration in its cell.

    Attributes:
      score: Its endpoint over the finished replicates.
      num_unlearned: Finished replicates that never learned; see `runner.report.learning`.
      num_untrained: Replicates that diverged before any training.
      counted: Mean of its endpoint over the replicates that finished or diverged, the latter with
        the score of a constant guess or the worst on the data; NaN unless some finished.
      difference: Its endpoint minus the reference's over the seeds that both finished, perhaps
        none; None for the reference, and without a replicate that finished or diverged.
      outcome: What `difference` says, `"equivalent"` also of a difference that is known to be less
        than the margin; `"unlearned"` where no finished replicate learned, `"unfinished"` where
        none finished.
      start: What was seen before training, such as `"exploding"`; empty where unknown.
      test: Its score on the test part, where there is one.
    """

    record: ConfigurationRecord
    name: Name
    score: Summary
    statuses: dict[str, int]
    num_unlearned: int
    num_untrained: int = 0
    counted: float = math.nan
    difference: Difference | None = None
    outcome: Outcome = "unfinished"
    start: str = ""
    test: Summary | None = None

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
      pairs: All pairs of its configurations; see `runner.report.pairs.compare`.
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
    def choice(self) -> Standing | None:
        """What to use: the best of those that beat the reference, or the reference itself.

        None where that never learned, or nothing finished.
        """
        better = self.having("better")
        found = better[0] if better else self.reference
        return None if found is None or found.never_learned else found

    @property
    def design(self) -> Design:
        """How it is compared: the design of its last family."""
        designs = [standing.record.design or UNSTAMPED for standing in self.standings]
        return max(designs, key=lambda design: design.family)

    @property
    def look(self) -> int:
        """The last look that any comparison has reached; 0 for none."""
        return max((s.difference.look for s in self.standings if s.difference), default=0)

    @property
    def num_seeds(self) -> int:
        """The most seeds that a configuration has."""
        return max(standing.record.num_replicates for standing in self.standings)

    @property
    def is_decided(self) -> bool:
        """Whether any comparison is."""
        return any(s.outcome in ("better", "equivalent", "worse") for s in self.standings)

    def having(self, *outcomes: Outcome) -> list[Standing]:
        """Returns the standings with an outcome, best first."""
        return [standing for standing in self.standings if standing.outcome in outcomes]


def repeating(first: ConfigurationRecord, second: ConfigurationRecord) -> list[ConfigurationRecord]:
    """Returns those of two because of which more seeds start with the same kernels."""
    both = [first, second]
    own = [record for record in both if record.repeats_weights]
    return own or (both if all(record.has_fixed_kernels for record in both) else [])


def judge(
    results: Results, start: Mapping[int, str] | None = None, found: Scores | None = None
) -> list[Cell]:
    """Returns the comparison within each cell, in the order of the configurations.

    Args:
      results: The sweep.
      start: Configuration -> what was seen before training, where that was looked at.
      found: Its endpoints, where they are known already.
    """
    trained = [record for record in results.configurations if record.error is None]
    by = results.names
    found = found or scores(results, trained)
    statuses = status_counts(results.replicates)
    untrained = num_untrained(results.replicates)
    lost = (found.finished.notna() & ~found.trained).sum()
    confidence = results.sweep.confidence
    groups: dict[tuple[str, ...], list[Standing]] = {}
    for record in trained:
        score = summarize(found.finished[record.index], confidence, bounds(record.endpoint))
        counted = found.counted[record.index].dropna()
        standing = Standing(
            record=record,
            name=by[record.index],
            score=score,
            statuses=statuses.get(record.index, {}),
            num_unlearned=int(lost[record.index]),
            num_untrained=untrained.get(record.index, 0),
            counted=float(counted.mean()) if score.count else math.nan,
            start=(start or {}).get(record.index, ""),
            test=_on_test(results, record),
        )
        groups.setdefault((*comparable(record), standing.name.cell), []).append(standing)
    return _compared([rank(group) for group in groups.values()], found, confidence)


def _on_test(results: Results, record: ConfigurationRecord) -> Summary | None:
    """Returns the endpoint's metric on the test part over the finished replicates."""
    column = f"test_{tasks.parted(record.endpoint)[1]}"
    rows = results.replicates
    if column not in rows or record.endpoint.startswith("test_"):
        return None
    is_own = (rows["configuration"] == record.index) & (rows["status"] == "finished")
    values = rows.loc[is_own, column].astype(float)
    test = summarize(values, results.sweep.confidence, bounds(column))
    return test if test.count else None


def rank(standings: Sequence[Standing]) -> list[Standing]:
    """Returns the standings best first: mostly finished ones, the others, those without a score."""

    def order(standing: Standing) -> tuple[int, float]:
        if not standing.score.count:
            return 2, 0.0
        lost = standing.num_diverged + standing.statuses.get("failed", 0)
        down = 1 if lower_is_better(standing.record.endpoint) else -1
        return int(standing.score.count < lost), down * standing.counted

    return sorted(standings, key=order)


def _compared(ranked: Sequence[Sequence[Standing]], found: Scores, confidence: float) -> list[Cell]:
    """Returns the cells with all their comparisons."""
    baselines = [_baselines(group) for group in ranked]
    groups = [
        pairs.Group(_designs(group), references, group[0].record.endpoint)
        for group, references in zip(ranked, baselines, strict=True)
    ]
    table = pairs.compare(groups, found, confidence)
    return [
        _cell(name, group, baselines[place], table[table["group"] == place])
        for place, (name, group) in enumerate(zip(_called(ranked), ranked, strict=True))
    ]


def _designs(standings: Sequence[Standing]) -> dict[int, Design]:
    """Returns how each configuration with an outcome is compared, in their order."""
    found = {s.record.index: s.record.design or UNSTAMPED for s in standings if s.num_ended}
    return dict(sorted(found.items()))


def _baselines(standings: Sequence[Standing]) -> dict[str, int]:
    """Returns for each family the configuration that was fixed beforehand as the reference."""
    found = {}
    for design in {standing.record.design or UNSTAMPED for standing in standings}:
        named_late = baseline_label(standings[0].record) or DEFAULT_BASELINES[-1]
        wanted = design.reference if design.is_stamped else named_late
        named = [standing for standing in standings if standing.record.init == wanted]
        # Where the factors of one initializer are compared, its name singles out none of them.
        if len(named) == 1 and named[0].score.count:
            found[design.family] = named[0].record.index
    return found


def baseline_label(record: ConfigurationRecord) -> str | None:
    """Returns the initializer that `report.baseline` names."""
    return record.settings.get("report", {}).get("baseline")


def _cell(
    name: str, standings: Sequence[Standing], references: Mapping[str, int], table: pd.DataFrame
) -> Cell:
    """Returns a cell; where its families have several references, that of the first counts."""
    by_index = {standing.record.index: standing for standing in standings}
    first = by_index[references[min(references)]] if references else standings[0]
    reference = first if first.score.count else None
    told = _differences(table, first)
    judged = tuple(
        replace(standing, difference=of, outcome=_outcome(standing, reference, of))
        for standing in standings
        for of in [told.get(standing.record.index)]
    )
    found = next((s for s in judged if s.outcome == "reference"), None)
    return Cell(name, judged, found, is_baseline=bool(references), pairs=table)


def _differences(table: pd.DataFrame, to: Standing) -> dict[int, Difference]:
    """Returns how each other configuration differs from one of its cell."""
    told = pairs.oriented(table, to.record.index).rename(columns=_CALLED)
    told = told.assign(
        decided_at=told["decided_at"].fillna(0).astype(int),
        sign=told["sign"].astype(int),
        fails_more=told["fails"] > 0,
    )
    own = [field.name for field in fields(Difference)]
    rows = zip(told["configuration"].tolist(), told[own].to_dict("records"), strict=True)
    return {int(index): Difference(**{str(key): row[key] for key in row}) for index, row in rows}


# Column of a comparison -> what `Difference` calls it.
_CALLED = {"ci_low": "low", "ci_high": "high", "num_pairs": "count", "p_t": "p_value"}


def _outcome(
    standing: Standing, reference: Standing | None, difference: Difference | None
) -> Outcome:
    if standing is reference:
        return "reference"
    if reference is None or not standing.score.count:
        return "unfinished"
    if standing.never_learned:
        return "unlearned"
    if difference is None or difference.verdict == UNKNOWN:
        return "unknown"
    if difference.fails_more:
        return "worse"
    if difference.verdict in (EQUIVALENT, WITHIN):
        return "equivalent"
    is_lower = difference.sign < 0
    if not difference.sign or is_lower == lower_is_better(standing.record.endpoint):
        return "better"  # without a sign: it trains more often
    return "worse"


def _called(groups: Sequence[Sequence[Standing]]) -> list[str]:
    """Returns the name of each cell: the factors' values, and what else tells it from others."""
    called = [group[0].name.cell for group in groups]
    marks = [_marks(group) for group in groups]
    told = []
    for name, own in zip(called, marks, strict=True):
        alike = [of for of, other in zip(marks, called, strict=True) if other == name]
        same = [sum(of[place] == mark for of in alike) for place, mark in enumerate(own)]
        apart = [(n, mark) for n, mark in zip(same, own, strict=True) if mark and n < len(alike)]
        unique = [mark for n, mark in apart if n == 1]
        told.append(", ".join(filter(None, [name, *(unique[:1] or [mark for _, mark in apart])])))
    return told


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
