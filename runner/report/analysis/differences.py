"""The tables of differences: each configuration to its reference, and all pairs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from runner.report import pairs
from runner.report.results import Results
from runner.report.scores import Scores, keys
from runner.report.statistics import interquartile_mean
from runner.report.statistics.paired import bca_interval
from runner.report.verdict import Cell

_REFERENCE = ["reference", "reference_init", "is_baseline", "metric"]
_DIFFERENCES = [
    *("num_pairs", "num_left_out", "mean", "ci_low", "ci_high", "std", "p_t", "p_holm", "family"),
    *("p_wilcoxon", "p_wilcoxon_least", "p_sign_flip", "p_sign_flip_least"),
    *("d_z", "probability_better", "median"),
    *("interquartile_mean", "bca_low", "bca_high", "further_seeds", "outcome"),
]
_PAIRS = [
    *("num_pairs", "num_left_out", "mean", "ci_low", "ci_high", "std", "p_t", "p_holm", "family"),
    *("p_wilcoxon", "p_wilcoxon_least", "p_sign_flip", "p_sign_flip_least"),
    *("d_z", "probability_better", "median", "further_seeds"),
]
_SUCCESS = ["success_difference", "p_fisher", "p_fisher_holm"]


def differences_table(results: Results, found: Scores, cells: Sequence[Cell]) -> pd.DataFrame:
    """Returns `differences.csv`: one row a configuration that is compared with a reference.

    Columns `configuration, init, <factors>, reference` (a configuration), `reference_init`,
    `is_baseline` (fixed beforehand), `metric`, then of this minus the reference, by seed:
    `num_pairs`, `num_left_out` (that both finished, of crossed seeds with a gap), `mean, ci_low,
    ci_high` (paired t, not corrected), `std, p_t, p_holm` (decides), `family` (of how many
    comparisons), `p_wilcoxon, p_wilcoxon_least, p_sign_flip, p_sign_flip_least` (the two, each with
    the least that it can give with so many pairs that differ), `d_z, probability_better, median,
    interquartile_mean, bca_low, bca_high` (from twenty pairs on), `further_seeds, outcome`.
    """
    blocks = [_of_cell(cell, found, results.sweep.confidence) for cell in cells]
    of = keys(results, results.configurations)
    columns = [*of.columns, *_REFERENCE, *_DIFFERENCES]
    filled = [block for block in blocks if len(block)]
    if not filled:
        return pd.DataFrame(columns=columns)
    table = of.merge(pd.concat(filled), on="configuration")[columns]
    return table.sort_values("configuration", ignore_index=True)


def _of_cell(cell: Cell, found: Scores, confidence: float) -> pd.DataFrame:
    if cell.reference is None:
        return pd.DataFrame()
    reference = cell.reference.record
    rows = pairs.oriented(cell.pairs, reference.index)
    scored = [standing.record.index for standing in cell.standings if standing.score.count]
    rows = rows[rows["configuration"].isin(scored)]
    outcomes = {standing.record.index: standing.outcome for standing in cell.standings}
    others = rows["configuration"].tolist()
    differences = pairs.differences(found, others, [reference.index] * len(others))
    intervals = [
        (np.nan, np.nan) if is_crossed else bca_interval(of_pair, confidence)
        for of_pair, is_crossed in zip(differences.values, differences.is_crossed, strict=True)
    ]
    return rows.assign(
        reference=reference.index,
        reference_init=reference.init,
        is_baseline=cell.is_baseline,
        p_holm=rows["p_deciding"],
        family=rows["family_deciding"],
        interquartile_mean=[interquartile_mean(of_pair) for of_pair in differences.values],
        bca_low=[low for low, _ in intervals],
        bca_high=[high for _, high in intervals],
        outcome=[outcomes[index] for index in rows["configuration"]],
    )


def pairs_table(cells: Sequence[Cell]) -> pd.DataFrame:
    """Returns `pairs.csv`: every two configurations of a cell, a minus b, by seed.

    Columns `cell` (its name), `configuration_a, init_a, configuration_b, init_b, metric`, those
    of `differences.csv` where they make sense (`p_holm` is corrected for all pairs of all cells),
    and `success_difference` (share of replicates that trained, a minus b), `p_fisher`,
    `p_fisher_holm`.
    """
    columns = [
        *("cell", "configuration_a", "init_a", "configuration_b", "init_b", "metric"),
        *(*_PAIRS, *_SUCCESS),
    ]
    filled = [cell.pairs.assign(cell=cell.name) for cell in cells if len(cell.pairs)]
    if not filled:
        return pd.DataFrame(columns=columns)
    table = pd.concat(filled, ignore_index=True)
    inits = {s.record.index: s.record.init for cell in cells for s in cell.standings}
    return table.assign(
        init_a=table["configuration_a"].map(inits), init_b=table["configuration_b"].map(inits)
    )[columns]
