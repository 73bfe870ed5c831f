"""Where the variance comes from, when seeds of weights and batches are crossed."""

import pandas as pd

from runner.report.results import Results
from runner.report.scores import Scores, keys
from runner.report.statistics import crossed

_COLUMNS = [
    *("metric", "source", "num_weights", "num_batches", "mean_square", "df"),
    *("variance", "truncated", "share", "std", "p_value"),
]


def variance_table(results: Results, found: Scores) -> pd.DataFrame:
    """Returns `variance.csv`: one row a configuration and source of variance.

    Columns `configuration, init, <factors>, metric`, then those of `crossed.variance_components`.
    Over the finished replicates; seeds of which one is missing are left out.
    """
    of = keys(results, results.configurations)
    columns = [*of.columns, *_COLUMNS]
    blocks = []
    for record in results.configurations:
        if record.index in found.crossed:
            grid = found.finished[record.index].dropna().unstack()
            parts = crossed.variance_components(grid.to_numpy(float))
            blocks.append(parts.assign(configuration=record.index, metric=record.endpoint))
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return pd.DataFrame(columns=columns)
    return of.merge(pd.concat(blocks), on="configuration")[columns]
