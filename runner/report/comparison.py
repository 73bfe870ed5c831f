"""The comparison as people see it: a headline, sentences, cautions and a ranked table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from runner.report import methods, names, words
from runner.report.answer import Answer, Sentence
from runner.report.cautions import cautions
from runner.report.methods import Methods
from runner.report.ranking import matrix, metrics, outcomes, ranking, ranks
from runner.report.results import Results
from runner.report.sweep import Sweep
from runner.report.table import Table

# So many are told in sentences; the ranked table has them all.
MAX_CELLS = 12


@dataclass(frozen=True)
class Comparison:
    """What a report says first, and what the console shows.

    Attributes:
      conditions: Which part of the records it is of; empty where all count.
      findings: For each cell, its sentences.
      overall: What is told of the sweep as a whole.
      method: How to read the intervals and the verdict.
      paper: A paragraph on the methods, to paste; None where nothing is compared.
      matrix: One row an initializer, one column a setting, where there are several settings.
      metric: What the ranked table shows, in words.
      table: `comparison.csv`.
      ranks: Configuration -> its place in its cell, where it has a score.
      outcomes: Configuration -> what the ranked table calls its outcome.
    """

    title: str
    conditions: str
    headline: str
    findings: tuple[tuple[Sentence, ...], ...]
    overall: tuple[Sentence, ...]
    method: str
    paper: Methods | None
    cautions: tuple[str, ...]
    matrix: Table | None
    metric: str
    ranking: Table
    table: pd.DataFrame
    ranks: Mapping[int, int]
    outcomes: Mapping[int, str]

    def beyond_headline(self) -> list[list[Sentence]]:
        """Returns the findings without what the headline or, of many cells, the table tells."""
        several = len(self.findings) > 1
        return [list(told) for told in self.findings[:MAX_CELLS] if told or several]


def compare(results: Results) -> Comparison:
    """Returns the comparison of a sweep."""
    from runner.report.questions import ask

    sweep = Sweep(results, draws=False)
    return summed_up(sweep, list(ask(sweep)))


def summed_up(sweep: Sweep, answers: Sequence[Answer]) -> Comparison:
    """Returns the comparison of a sweep."""
    cells, results = sweep.cells, sweep.results
    return Comparison(
        title=title(results),
        conditions=f"Only where {' and '.join(results.where)}" if results.where else "",
        headline=words.headline(cells),
        findings=tuple(tuple(words.sentences(cell)) for cell in cells),
        overall=tuple(sentence for answer in answers for sentence in answer.sentences),
        method=methods.reading(cells, sweep.confidence),
        paper=methods.methods(results, cells),
        cautions=tuple(cautions(results, cells)),
        matrix=matrix(cells),
        metric=names.listed(metrics(cells)),
        ranking=ranking(cells, sweep.confidence),
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
