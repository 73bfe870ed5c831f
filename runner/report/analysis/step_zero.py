"""Does what is seen before training predict the outcome?"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from runner.records import ConfigurationRecord
from runner.report.results import Results
from runner.report.scores import Scores, comparable
from runner.report.statistics.correlation import rank_correlation
from runner.report.statistics.paired import holm

_COLUMNS = [
    *("group", "quantity", "transform", "metric", "num_configurations"),
    *("rho", "ci_low", "ci_high", "p_value", "p_holm"),
]
VALUE, FROM_ONE, FROM_ZERO = "value", "distance from 1", "distance from 0"
# Already on a logarithmic scale.
_LOGARITHM = "log10_"
# The largest singular value is a headline number; those after it are a spectrum.
_SPECTRUM = r"singular_value_(?!1$)\d+"


def predictors_table(results: Results, found: Scores) -> pd.DataFrame:
    """Returns `predictors.csv`: how the numbers at step 0 go with the endpoint over the sweep.

    Columns: `group` (data set), `quantity`, `transform` (`"value"`; `"distance from 1"`, the
    absolute logarithm of a quantity that is positive, or `"distance from 0"` of one that is a
    logarithm: too much and too little may both be bad), `metric`, `num_configurations`, `rho`
    (Spearman's), `ci_low`, `ci_high`, `p_value`, `p_holm`
    (corrected for all rows). Each configuration counts once: with the median of the quantity over
    its replicates and its mean endpoint, failures counted; those that are not trained do not.

    Args:
      results: The sweep. Of `propagation.parquet` the rows about the whole network count.
      found: Its endpoints.
    """
    if results.propagation.empty:
        return pd.DataFrame(columns=_COLUMNS)
    headline = _medians(results.propagation)
    outcome = found.counted.mean()
    rows = []
    for group in _groups(results):
        indices = [record.index for record in group]
        of_group = headline.reindex(indices)
        for quantity in of_group.columns:
            for transform, values in _transforms(of_group[quantity]).items():
                count, rho, low, high, p = rank_correlation(
                    values, outcome.reindex(indices), results.sweep.confidence
                )
                names = (group[0].dataset.get("name", ""), quantity, transform, group[0].endpoint)
                rows.append((*names, count, rho, low, high, p, np.nan))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.assign(p_holm=holm(table["p_value"])) if len(table) else table


def _groups(results: Results) -> list[list[ConfigurationRecord]]:
    groups: dict[tuple[str, ...], list[ConfigurationRecord]] = {}
    for record in results.configurations:
        if record.error is None and record.is_trained:
            groups.setdefault(comparable(record), []).append(record)
    return list(groups.values())


def _medians(propagation: pd.DataFrame) -> pd.DataFrame:
    """Returns the quantities of whole networks: configurations down, quantities across."""
    layers = propagation["layer"].fillna("").astype(str)
    spectrum = propagation["quantity"].astype(str).str.fullmatch(_SPECTRUM)
    whole = propagation[((propagation["layer_index"] < 0) | (layers == "")) & ~spectrum]
    return whole.pivot_table("measured", "configuration", "quantity", aggfunc="median")


def _transforms(values: pd.Series) -> Mapping[str, pd.Series]:
    known = values.dropna()
    if str(values.name).startswith(_LOGARITHM):
        return {VALUE: values, FROM_ZERO: values.abs()}
    if len(known) and (known > 0).all():
        return {VALUE: values, FROM_ONE: np.log(values).abs()}
    return {VALUE: values}


def start_texts(replicates: pd.DataFrame) -> dict[int, str]:
    """Returns what was seen before training, by configuration, such as `"exploding"`.

    Where replicates differ the most frequent is told with its count: `"dead in 3 of 5"`.

    Args:
      replicates: `replicates.csv`, which has a column `verdict` where anything was measured.
    """
    if "verdict" not in replicates:
        return {}
    groups = replicates.dropna(subset=["verdict"]).groupby("configuration")["verdict"]
    return {int(str(index)): _most(list(verdicts)) for index, verdicts in groups}


def _most(verdicts: Sequence[str]) -> str:
    (verdict, count), *others = Counter(verdicts).most_common()
    return f"{verdict} in {count} of {len(verdicts)}" if others else str(verdict)
