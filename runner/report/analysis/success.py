"""Failure as data: how often each initializer trained at all."""

from collections.abc import Sequence

import pandas as pd

from runner.report.results import Results
from runner.report.scores import keys
from runner.report.statistics.proportions import wilson_interval
from runner.report.verdict import Cell


def success_table(results: Results, cells: Sequence[Cell]) -> pd.DataFrame:
    """Returns `success.csv`: one row a configuration that could be trained, in their order.

    Columns `configuration, init, <factors>, num_asked, num_ended` (finished or diverged),
    `num_diverged`, `num_unlearned` (finished where a constant guess would be), `num_failed`
    (raised: an error, no outcome), `num_succeeded` (finished and learned), `success_rate` (of those
    that ended), `ci_low`, `ci_high` (Wilson), `counted_mean` (of the endpoint, failures counted),
    `start` (what was seen before training, where that was looked at).
    """
    standings = sorted(
        (standing for cell in cells for standing in cell.standings), key=lambda s: s.record.index
    )
    counts = pd.DataFrame(
        {
            "num_asked": [s.record.num_replicates for s in standings],
            "num_ended": [s.num_ended for s in standings],
            "num_diverged": [s.num_diverged for s in standings],
            "num_unlearned": [s.num_unlearned for s in standings],
            "num_failed": [s.statuses.get("failed", 0) for s in standings],
            "num_succeeded": [s.num_succeeded for s in standings],
            "success_rate": [s.success_rate for s in standings],
        }
    )
    low, high = wilson_interval(
        counts["num_succeeded"], counts["num_ended"], results.sweep.confidence
    )
    told = counts.assign(
        ci_low=low,
        ci_high=high,
        counted_mean=[s.counted for s in standings],
        start=[s.start for s in standings],
    )
    return pd.concat([keys(results, [s.record for s in standings]), told], axis=1)
