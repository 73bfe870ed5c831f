"""The tables of differences: each configuration to its reference, and all pairs."""

from collections.abc import Sequence

import pandas as pd

from runner.report import pairs
from runner.report.results import Results
from runner.report.scores import keys
from runner.report.verdict import Cell

_REFERENCE = ["reference", "reference_init", "is_baseline", "metric"]
_COLUMNS = [
    *("verdict", "decided_at", "look", "next_look", "margin", "num_pairs", "num_left_out"),
    *("mean", "ci_low", "ci_high", "std", "p_t", "level", "d_z", "probability_better", "median"),
    *("success_difference", "p_fisher", "family"),
]


def differences_table(results: Results, cells: Sequence[Cell]) -> pd.DataFrame:
    """Returns `differences.csv`: one row a configuration that is compared with a reference.

    Columns `configuration, init, <factors>, reference` (a configuration), `reference_init`,
    `is_baseline` (fixed beforehand), `metric`, `verdict` (`different`, `equivalent`,
    `different_within_margin`, `unknown`), `decided_at` (seeds), `look` (seeds at the last look that
    was reached, which the numbers are of; 0 for none), `next_look` (0 after the last), `margin`,
    then of this minus the reference, by seed: `num_pairs`, `num_left_out` (that both finished, of
    crossed seeds with a gap), `mean, ci_low, ci_high` (paired t, not corrected), `std, p_t, level`
    (what p had to be), `d_z, probability_better, median`, `success_difference` (share of replicates
    that trained), `p_fisher`, `family` (the sweep whose comparisons are corrected together),
    `outcome`.
    """
    blocks = [_of_cell(cell) for cell in cells]
    of = keys(results, results.configurations)
    columns = [*of.columns, *_REFERENCE, *_COLUMNS, "outcome"]
    filled = [block for block in blocks if len(block)]
    if not filled:
        return pd.DataFrame(columns=columns)
    table = of.merge(pd.concat(filled), on="configuration")[columns]
    return table.sort_values("configuration", ignore_index=True)


def _of_cell(cell: Cell) -> pd.DataFrame:
    if cell.reference is None:
        return pd.DataFrame()
    reference = cell.reference.record
    rows = pairs.oriented(cell.pairs, reference.index)
    scored = [standing.record.index for standing in cell.standings if standing.score.count]
    rows = rows[rows["configuration"].isin(scored)]
    outcomes = {standing.record.index: standing.outcome for standing in cell.standings}
    return rows.assign(
        reference=reference.index,
        reference_init=reference.init,
        is_baseline=cell.is_baseline,
        outcome=[outcomes[index] for index in rows["configuration"]],
    )


def pairs_table(cells: Sequence[Cell]) -> pd.DataFrame:
    """Returns `pairs.csv`: every two configurations of a cell, a minus b, by seed.

    Columns `cell` (its name), `configuration_a, init_a, configuration_b, init_b, metric, is_tested`
    (whether the design compares them; the verdict on others is `unknown`), and those of
    `differences.csv` from `verdict` on.
    """
    columns = [
        *("cell", "configuration_a", "init_a", "configuration_b", "init_b", "metric"),
        *("is_tested", *_COLUMNS),
    ]
    filled = [cell.pairs.assign(cell=cell.name) for cell in cells if len(cell.pairs)]
    if not filled:
        return pd.DataFrame(columns=columns)
    table = pd.concat(filled, ignore_index=True)
    inits = {s.record.index: s.record.init for cell in cells for s in cell.standings}
    return table.assign(
        init_a=table["configuration_a"].map(inits), init_b=table["configuration_b"].map(inits)
    )[columns]
