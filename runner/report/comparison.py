"""The comparison as people see it: a headline, sentences, cautions and a ranked table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from runner.report import names, words
from runner.report.answer import Answer
from runner.report.cautions import cautions
from runner.report.ranking import metrics, outcomes, ranking, ranks
from runner.report.results import Results
from runner.report.sweep import Sweep
from runner.report.table import Table

# So many are told in sentences; the ranked table has them all.
MAX_CELLS = 12


@dataclass(frozen=True)
class Comparison:
    """What a report says first, and what the console shows.

    Attributes:
      title: What was compared.
      conditions: Which part of the records it is of; empty where all count.
      headline: The outcome in a sentence or two.
      findings: For each cell, its sentences.
      overall: What is told of the sweep as a whole.
      method: How to read the intervals.
      cautions: What limits the comparison.
      metric: What the ranked table shows, in words.
      ranking: One row a configuration, best first.
      table: `comparison.csv`.
      ranks: Configuration -> its place in its cell, where it has a score.
      outcomes: Configuration -> what the ranked table calls its outcome.
    """

    title: str
    conditions: str
    headline: str
    findings: tuple[tuple[words.Sentence, ...], ...]
    overall: tuple[words.Sentence, ...]
    method: str
    cautions: tuple[str, ...]
    metric: str
    ranking: Table
    table: pd.DataFrame
    ranks: Mapping[int, int]
    outcomes: Mapping[int, str]

    def beyond_headline(self) -> list[list[words.Sentence]]:
        """Returns the findings without what the headline or, of many cells, the table tells."""
        if len(self.findings) > 1:
            return [list(sentences) for sentences in self.findings[:MAX_CELLS]]
        told = [[s for s in sentences if s.kind != "leads"] for sentences in self.findings]
        return [sentences for sentences in told if sentences]


def compare(results: Results) -> Comparison:
    """Returns the comparison of a sweep."""
    from runner.report.questions import ask

    sweep = Sweep(results, draws=False)
    return summed_up(sweep, list(ask(sweep)))


def summed_up(sweep: Sweep, answers: Sequence[Answer]) -> Comparison:
    """Returns the comparison of a sweep.

    Args:
      sweep: The sweep.
      answers: What it has to say to each question.
    """
    results, cells = sweep.results, sweep.cells
    return Comparison(
        title=title(results),
        conditions=f"Only where {' and '.join(results.where)}" if results.where else "",
        headline=words.headline(cells),
        findings=tuple(tuple(words.sentences(cell, len(cells) == 1)) for cell in cells),
        overall=tuple(sentence for answer in answers for sentence in answer.sentences),
        method=words.method(cells, results.sweep.confidence),
        cautions=tuple(cautions(results, cells)),
        metric=names.listed(metrics(cells)),
        ranking=ranking(cells, results.sweep.confidence),
        table=results.comparison,
        ranks=ranks(cells),
        outcomes=outcomes(cells),
    )


def title(results: Results) -> str:
    """Returns such as `"10 initializers on digits"`."""
    inits = list(dict.fromkeys(record.init for record in results.configurations))
    what = names.one_line(inits[0]) if len(inits) == 1 else f"{len(inits)} initializers"
    if len(results.configurations) > len(inits):
        what += f" in {len(results.configurations)} configurations"
    datasets = {r.dataset["name"]: None for r in results.configurations if "name" in r.dataset}
    return f"{what} on {names.listed(list(datasets))}" if datasets else what
