"""Who leads, whom the intervals cannot tell apart, and what failed: the numbers behind the words.

Configurations are compared within a *cell*: same data, same endpoint, same values of every factor,
so that only the initializer differs. Differences are paired by (weight_seed, batch_seed); a
configuration counts as different from the reference only where the interval of its mean paired
difference excludes zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from runner.records import ConfigurationRecord, lower_is_better
from runner.report.names import Name
from runner.report.results import Results
from runner.report.statistics import Summary, paired_difference, summarize
from runner.report.tables import endpoints, status_counts

Outcome = Literal["reference", "better", "same", "worse", "unknown", "unlearned", "unfinished"]

# A loss this close, relatively, to that of the best constant guess counts as not learned.
UNLEARNED_TOLERANCE = 0.01


@dataclass(frozen=True)
class Standing:
    """One configuration in its cell.

    Attributes:
      record: The configuration.
      name: What it is called.
      score: Its endpoint over the finished replicates.
      statuses: Status -> number of replicates.
      num_unlearned: Finished replicates that end where a constant guess would.
      difference: Its endpoint minus the reference's over the seeds that both finished, or None for
        the reference and where there are none.
      outcome: What `difference` says; `"unknown"` with fewer than two shared seeds, `"unlearned"`
        where no finished replicate learned, `"unfinished"` where none finished.
    """

    record: ConfigurationRecord
    name: Name
    score: Summary
    statuses: dict[str, int]
    num_unlearned: int
    difference: Summary | None = None
    outcome: Outcome = "unfinished"

    @property
    def mostly_finished(self) -> bool:
        """Whether at least half of the replicates that came to an end finished."""
        lost = self.statuses.get("diverged", 0) + self.statuses.get("failed", 0)
        return self.score.count > 0 and self.score.count >= lost


@dataclass(frozen=True)
class Cell:
    """The configurations that may be compared with each other.

    Attributes:
      name: The factors' values, or an empty text where none vary.
      standings: Best first; those of which most replicates were lost after the others.
      reference: What the others are compared with, or None if nothing finished.
      is_baseline: Whether the reference was fixed beforehand by `report.baseline`; otherwise it is
        the leader.
    """

    name: str
    standings: tuple[Standing, ...]
    reference: Standing | None
    is_baseline: bool

    @property
    def leader(self) -> Standing | None:
        """The best mean, among those of which most replicates finished if there are any."""
        first = self.standings[0]
        return first if first.score.count else None


def judge(results: Results) -> list[Cell]:
    """Returns the comparison within each cell, in the order of the configurations."""
    trained = [record for record in results.configurations if record.error is None]
    names = results.names
    scores = _scores(results, trained)
    statuses = status_counts(results.replicates)
    unlearned = _unlearned(results, trained)
    cells: dict[tuple[str, ...], list[Standing]] = {}
    for record in trained:
        standing = Standing(
            record=record,
            name=names[record.index],
            score=summarize(scores[record.index], results.sweep.confidence),
            statuses=statuses.get(record.index, {}),
            num_unlearned=unlearned.get(record.index, 0),
        )
        cells.setdefault((*comparable(record), standing.name.cell), []).append(standing)
    return [_cell(standings, scores, results.sweep.confidence) for standings in cells.values()]


def comparable(record: ConfigurationRecord) -> tuple[str, ...]:
    """Returns what two configurations must share for their endpoints to be compared."""
    return record.endpoint, record.endpoint_at, str(record.dataset.get("fingerprint"))


def rank(standings: Sequence[Standing]) -> list[Standing]:
    """Returns the standings best first: mostly finished ones, the others, those without a score."""

    def order(standing: Standing) -> tuple[int, float]:
        if not standing.score.count:
            return 2, 0.0
        down = 1 if lower_is_better(standing.record.endpoint) else -1
        return int(not standing.mostly_finished), down * standing.score.mean

    return sorted(standings, key=order)


def _scores(results: Results, trained: Sequence[ConfigurationRecord]) -> pd.DataFrame:
    """Returns the endpoints, shape (seeds of the sweep, configurations), NaN where missing."""
    values = endpoints(trained, results.replicates).rename("value")
    keys = results.replicates[["configuration", "weight_seed", "batch_seed"]]
    table = keys.assign(value=values).pivot_table(
        "value", ["weight_seed", "batch_seed"], "configuration"
    )
    return table.reindex(columns=[record.index for record in trained])


def _unlearned(results: Results, trained: Sequence[ConfigurationRecord]) -> dict[int, int]:
    of = {record.index: record.dataset for record in trained}
    rows = results.replicates
    if "final_loss" not in rows:
        return {}
    count: dict[int, int] = {}
    accuracies = rows.get("final_accuracy", pd.Series(math.nan, rows.index))
    columns = (rows["configuration"], rows["epochs"], rows["final_loss"], accuracies)
    for index, epochs, loss, accuracy in zip(*columns, strict=True):
        if epochs > 0 and index in of and is_unlearned(of[index], loss, accuracy):
            count[index] = count.get(index, 0) + 1
    return count


def is_unlearned(dataset: dict, loss: float, accuracy: float = math.nan) -> bool:
    """Tells whether a trained replicate ended where a constant guess would.

    A regression: its final training loss is not more than 1 % below the uninformed loss. A
    classification: its accuracy does not exceed chance, 1/k, or its loss is not more than 1 % below
    the uninformed loss and its accuracy not above the share of the largest class. Where a record
    does not tell that share: one that a constant guess can have with such a loss.

    Args:
      dataset: What the record keeps of the data set.
      loss: Final training loss.
      accuracy: Final training accuracy; NaN for a regression.
    """
    uninformed = dataset.get("uninformed_loss")
    if uninformed is None or math.isnan(loss):
        return False
    margin = UNLEARNED_TOLERANCE * uninformed
    if math.isnan(accuracy):
        return loss >= uninformed - margin
    classes = dataset["num_outputs"]
    if accuracy <= 1 / classes:
        return True
    majority = dataset.get("majority_share")
    if majority is not None:
        return loss >= uninformed - margin and accuracy <= majority
    return abs(loss - uninformed) <= margin and _least_skew(accuracy, classes) <= margin


def _least_skew(share: float, classes: int) -> float:
    """Returns by how much a constant guess must beat ln k where one class has `share` of the data.

    That is the relative entropy of the class shares to equal ones, least where all other classes
    are equally large.
    """
    rest = 1 - share
    of_rest = rest * math.log(rest * classes / (classes - 1)) if rest else 0.0
    return share * math.log(share * classes) + of_rest


def _cell(standings: Sequence[Standing], scores: pd.DataFrame, confidence: float) -> Cell:
    ranked = rank(standings)
    baseline = _baseline(ranked)
    reference = baseline or (ranked[0] if ranked[0].score.count else None)
    judged = tuple(_judged(standing, reference, scores, confidence) for standing in ranked)
    return Cell(
        name=ranked[0].name.cell,
        standings=judged,
        reference=next((s for s in judged if s.outcome == "reference"), None),
        is_baseline=baseline is not None,
    )


def baseline_label(record: ConfigurationRecord) -> str | None:
    """Returns the initializer that `report.baseline` names."""
    return record.settings.get("report", {}).get("baseline")


def _baseline(standings: Sequence[Standing]) -> Standing | None:
    for standing in standings:
        if standing.record.init == baseline_label(standing.record) and standing.score.count:
            return standing
    return None


def _judged(
    standing: Standing, reference: Standing | None, scores: pd.DataFrame, confidence: float
) -> Standing:
    if not standing.score.count or reference is None:
        return standing
    if standing is reference:
        return replace(standing, outcome="reference")
    mine, theirs = scores[standing.record.index], scores[reference.record.index]
    difference = paired_difference(mine, theirs, confidence)
    outcome = _outcome(standing, difference)
    return replace(standing, outcome=outcome, difference=difference)


def _outcome(standing: Standing, difference: Summary) -> Outcome:
    if standing.num_unlearned == standing.score.count:
        return "unlearned"
    if difference.count < 2:
        return "unknown"
    if difference.low <= 0 <= difference.high:
        return "same"
    lower = difference.mean < 0
    return "better" if lower == lower_is_better(standing.record.endpoint) else "worse"
