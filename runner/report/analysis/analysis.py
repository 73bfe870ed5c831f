"""All tables of a sweep at once."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from runner.report.analysis.components import variance_table
from runner.report.analysis.differences import differences_table, pairs_table
from runner.report.analysis.problems import profiles_table, rank_tables
from runner.report.analysis.rankings import rankings_table, trainability_table
from runner.report.analysis.step_zero import predictors_table, start_texts
from runner.report.analysis.success import success_table
from runner.report.analysis.times import mean_times_table, survival_table, times_table
from runner.report.results import Results
from runner.report.scores import scores
from runner.report.verdict import Cell, judge


@dataclass(frozen=True)
class Analysis:
    """What a sweep tells, in numbers. The columns stand at the functions that make the frames.

    Attributes:
      cells: The comparisons.
      differences: Each configuration to its reference.
      pairs: Every two configurations of a cell.
      success: How often each configuration trained.
      times: Time to the target of each replicate.
      survival: Share that has reached the target by when.
      mean_times: Median and restricted mean of that time, and log-rank tests.
      rankings: Initializers at a shared way to train, and each at its own best.
      trainability: The endpoint over each numeric factor.
      variance: Shares of weights and batches in the variance.
      predictors: How step 0 goes with the endpoint.
      ranks, rank_pairs: Average ranks over problems, and Nemenyi's test.
      profiles: Share of replicates that reach a score, over problems.
    """

    cells: list[Cell]
    differences: pd.DataFrame
    pairs: pd.DataFrame
    success: pd.DataFrame
    times: pd.DataFrame
    survival: pd.DataFrame
    mean_times: pd.DataFrame
    rankings: pd.DataFrame
    trainability: pd.DataFrame
    variance: pd.DataFrame
    predictors: pd.DataFrame
    ranks: pd.DataFrame
    rank_pairs: pd.DataFrame
    profiles: pd.DataFrame

    def tables(self, folder: Path) -> Iterator[tuple[Path, pd.DataFrame]]:
        """Yields each table with the file in a results folder that is to hold it."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, pd.DataFrame):
                yield folder / f"{field.name}.csv", value


def analyse(results: Results) -> Analysis:
    """Returns every table of a sweep."""
    trained = [record for record in results.configurations if record.error is None]
    found = scores(results, trained)
    cells = judge(results, start_texts(results.replicates))
    success = success_table(results, cells)
    times = times_table(results)
    ranks, rank_pairs = rank_tables(results, found)
    return Analysis(
        cells=cells,
        differences=differences_table(results, cells),
        pairs=pairs_table(cells),
        success=success,
        times=times,
        survival=survival_table(results, times),
        mean_times=mean_times_table(results, times, cells),
        rankings=rankings_table(results, found),
        trainability=trainability_table(results, found, success),
        variance=variance_table(results, found),
        predictors=predictors_table(results, found),
        ranks=ranks,
        rank_pairs=rank_pairs,
        profiles=profiles_table(results, found),
    )
