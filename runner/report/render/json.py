"""The whole answer for programs: what `--json` prints and `report.json` holds.

`runner.report.schema` makes its JSON Schema of the dataclasses here. A number that does not exist
is null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from runner import version
from runner.plan import Scalar
from runner.records import SweepRecord, lower_is_better
from runner.report.comparison import Comparison
from runner.report.sweep import Sweep
from runner.report.verdict import Cell, Outcome, Standing
from runner.report.words import good

SCHEMA_VERSION = 1

Verdict = Literal["different", "equivalent", "different_within_margin", "unknown"]


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
      name: Of its results folder.
      command: The command line.
      started: ISO 8601.
      versions: Library -> version.
      machine: In words.
    """

    name: str
    command: str
    started: str
    versions: Mapping[str, str]
    machine: str


@dataclass(frozen=True)
class Row:
    """One configuration in the ranking of its cell.

    Attributes:
      configuration: Its number.
      rank: From 1; null without a result.
      init: Label of the initializer.
      factors: The other settings that vary.
      mean, median, std, ci_low, ci_high: Of the endpoint over the finished replicates.
      test_mean: Of the same metric on the test part, where there is one.
      num_asked: Replicates that were asked for.
      num_finished, num_diverged, num_failed, num_interrupted: How they ended.
      num_never_learned: Finished ones that did not beat a constant guess.
      outcome: Against the reference; `unlearned` where nothing that finished learned, `unfinished`
        where nothing finished.
    """

    configuration: int
    rank: int | None
    init: str
    factors: Mapping[str, Scalar]
    mean: float | None
    median: float | None
    std: float | None
    ci_low: float | None
    ci_high: float | None
    test_mean: float | None
    num_asked: int
    num_finished: int
    num_diverged: int
    num_failed: int
    num_interrupted: int
    num_never_learned: int
    outcome: Outcome


@dataclass(frozen=True)
class Pair:
    """Two configurations of a cell on the seeds that both finished.

    Attributes:
      configuration_a, configuration_b: Their numbers.
      init_a, init_b: Their initializers.
      is_tested: Whether the design compares them; the verdict on others is `unknown`.
      mean, ci_low, ci_high: Mean of a minus b, and its interval, not corrected.
      num_pairs: Number of seeds.
      p_value: Of the paired t test.
      level: What it had to be.
      verdict: What is decided.
      decided_at: At how many seeds; null where nothing is.
    """

    configuration_a: int
    configuration_b: int
    init_a: str
    init_b: str
    is_tested: bool
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    num_pairs: int
    p_value: float | None
    level: float | None
    verdict: Verdict
    decided_at: int | None


@dataclass(frozen=True)
class CellAnswer:
    """Configurations that may be compared with each other, as only the initializer differs.

    Attributes:
      name: The values of the factors; empty where there is one cell.
      dataset: Name of the data.
      metric: The endpoint, such as `val_accuracy`.
      at: `final`, `best` or `epoch`.
      epoch: Which one, where `at` is `epoch`.
      higher_is_better: Whether a greater value of the metric is the better one.
      looks: Numbers of seeds at which the verdict is asked for; null for any number, empty where
        none were fixed beforehand.
      margin: Difference that does not matter, where one was named.
      reference: What the others are compared with.
      is_baseline: Whether that was fixed beforehand.
      look: The last look that was reached; 0 for none, and then nothing is decided.
      choice: The initializer to use; null where none can be named.
      ties: Others that are equivalent to it, or better than the reference too.
      unknown: Those of which it is not known yet how they compare with the reference.
      avoid: Those that are worse, never learn or do not finish.
      ranking: Best first.
      pairs: All pairs.
      sentences: What the report says.
    """

    name: str
    dataset: str
    metric: str
    at: str
    epoch: int | None
    higher_is_better: bool
    looks: Sequence[int] | None
    margin: float | None
    reference: str | None
    is_baseline: bool
    look: int
    choice: str | None
    ties: Sequence[str]
    unknown: Sequence[str]
    avoid: Sequence[str]
    ranking: Sequence[Row]
    pairs: Sequence[Pair]
    sentences: Sequence[str]


@dataclass(frozen=True)
class SweepReport:
    """What a report says.

    Attributes:
      kind: `report`.
      schema_version: Of this structure.
      runner_version: Of the program that made it.
      commands: The sweep; several where they are reported on as one.
      where: Conditions that all of it meets.
      by: What compared configurations have in common; null for every factor.
      confidence: Level of the intervals; 1 - confidence is that of the tests.
      title: What was compared.
      headline: The answer in a sentence or two.
      cells: One for each setting of the factors.
      sentences: What is said of the sweep as a whole.
      cautions: What limits the comparison.
      method: How to read the intervals and the verdict.
      methods: A paragraph on the methods, for a paper, with its sources as BibTeX in `bibtex`.
      files: What the report wrote, relative to its folder.
    """

    kind: Literal["report"]
    schema_version: int
    runner_version: str
    commands: Sequence[Command]
    where: Sequence[str]
    by: Sequence[str] | None
    confidence: float
    title: str
    headline: str
    cells: Sequence[CellAnswer]
    sentences: Sequence[str]
    cautions: Sequence[str]
    method: str
    methods: str
    bibtex: str
    files: Sequence[str]


def sweep_report(sweep: Sweep, comparison: Comparison, files: Sequence[str]) -> SweepReport:
    """Returns what a report says, for programs."""
    results = sweep.results
    return SweepReport(
        kind="report",
        schema_version=SCHEMA_VERSION,
        runner_version=version(),
        commands=[command(each) for each in results.sweeps or (results.sweep,)],
        where=results.where,
        by=results.by,
        confidence=results.sweep.confidence,
        title=comparison.title,
        headline=comparison.headline,
        cells=[
            _cell(cell, comparison, [s.text for s in sentences])
            for cell, sentences in zip(sweep.cells, comparison.findings, strict=True)
        ],
        sentences=[sentence.text for sentence in comparison.overall],
        cautions=comparison.cautions,
        method=comparison.method,
        methods=comparison.paper.plain() if comparison.paper else "",
        bibtex=comparison.paper.bibtex() if comparison.paper else "",
        files=sorted(files),
    )


def command(sweep: SweepRecord) -> Command:
    """Returns what programs are told of a command."""
    return Command(sweep.name, sweep.command, sweep.started, sweep.versions, sweep.machine)


def _cell(cell: Cell, comparison: Comparison, sentences: Sequence[str]) -> CellAnswer:
    record = cell.standings[0].record
    best = good(cell)
    choice = cell.choice if best else None
    return CellAnswer(
        name=cell.name,
        dataset=str(record.dataset.get("name", "")),
        metric=record.endpoint,
        at=record.endpoint_at,
        epoch=record.endpoint_epoch,
        higher_is_better=not lower_is_better(record.endpoint),
        looks=cell.design.looks,
        margin=cell.design.margin,
        reference=cell.reference.record.init if cell.reference else None,
        is_baseline=cell.is_baseline,
        look=cell.look,
        choice=choice.record.init if choice else None,
        ties=[s.record.init for s in best if s is not choice],
        unknown=[s.record.init for s in cell.having("unknown")],
        avoid=[s.record.init for s in cell.having("worse", "unlearned", "unfinished")],
        ranking=[_row(standing, comparison) for standing in cell.standings],
        pairs=_pairs(cell),
        sentences=sentences,
    )


def _row(standing: Standing, comparison: Comparison) -> Row:
    record, score, statuses = standing.record, standing.score, standing.statuses
    return Row(
        configuration=record.index,
        rank=comparison.ranks.get(record.index),
        init=record.init,
        factors=record.factors,
        mean=score.mean,
        median=score.median,
        std=score.std,
        ci_low=score.low,
        ci_high=score.high,
        test_mean=standing.test.mean if standing.test else None,
        num_asked=record.num_replicates,
        num_finished=statuses.get("finished", 0),
        num_diverged=statuses.get("diverged", 0),
        num_failed=statuses.get("failed", 0),
        num_interrupted=statuses.get("interrupted", 0),
        num_never_learned=standing.num_unlearned,
        outcome=standing.outcome,
    )


def _pairs(cell: Cell) -> list[Pair]:
    inits = {standing.record.index: standing.record.init for standing in cell.standings}
    return [
        Pair(
            configuration_a=row["configuration_a"],
            configuration_b=row["configuration_b"],
            init_a=inits[row["configuration_a"]],
            init_b=inits[row["configuration_b"]],
            is_tested=row["is_tested"],
            mean=row["mean"],
            ci_low=row["ci_low"],
            ci_high=row["ci_high"],
            num_pairs=int(row["num_pairs"]),
            p_value=row["p_t"],
            level=row["level"],
            verdict=row["verdict"],
            decided_at=None if pd.isna(row["decided_at"]) else int(row["decided_at"]),
        )
        for row in cell.pairs.to_dict("records")
    ]
