"""Which configuration stands for its initializer in a problem.

Factors of the data set and the model pose a *problem*. Factors of the optimizer and of training are
ways to train, which a fair comparison may choose for each initializer: on the validation part, with
failures counted, and told on the test part where there is one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner import tasks
from runner.records import ConfigurationRecord, lower_is_better
from runner.report import names
from runner.report.results import Results
from runner.report.scores import Scores, comparable, setting_text, with_failures
from runner.report.tables import endpoint_column

_TUNED = ("optimizer", "training")


@dataclass(frozen=True)
class Chosen:
    """A configuration that stands for its initializer in a problem.

    Attributes:
      record: The configuration.
      problem: The factors that pose the problem, as text.
      setting: The factors of training, as text.
      chosen_mean: Mean endpoint, failures counted, by which it was chosen.
    """

    record: ConfigurationRecord
    problem: str
    setting: str
    chosen_mean: float


def is_tuned(key: str) -> bool:
    """Tells whether a factor is a way to train."""
    return key.partition(".")[0] in _TUNED


def choices(results: Results, found: Scores) -> dict[str, list[list[Chosen]]]:
    """Returns for each problem the configurations of each initializer, in their order."""
    shortened = names.short_keys(key for record in results.configurations for key in record.factors)
    problems: dict[tuple[str, ...], dict[str, list[Chosen]]] = {}
    for record in results.configurations:
        if record.error is None:
            choice = _choice(record, found, shortened)
            inits = problems.setdefault((*comparable(record), choice.problem), {})
            inits.setdefault(record.init, []).append(choice)
    texts = _distinct([(key[-1], next(iter(v.values()))[0]) for key, v in problems.items()])
    return dict(zip(texts, [list(inits.values()) for inits in problems.values()], strict=True))


def _choice(record: ConfigurationRecord, found: Scores, shortened: Mapping[str, str]) -> Chosen:
    tuned = {key: value for key, value in record.factors.items() if is_tuned(key)}
    other = {key: value for key, value in record.factors.items() if not is_tuned(key)}
    return Chosen(
        record=record,
        problem=setting_text(other, shortened),
        setting=setting_text(tuned, shortened),
        chosen_mean=float(found.counted[record.index].mean()),
    )


def _distinct(problems: Sequence[tuple[str, Chosen]]) -> list[str]:
    """Returns one name a problem; where the factors do not tell them apart the number does.

    A single problem keeps its factors, and has no name where none vary.
    """
    if len(problems) == 1:
        return [problems[0][0]]
    texts = [text or str(first.record.dataset.get("name", "")) for text, first in problems]
    if len(set(texts)) == len(texts):
        return texts
    return [f"{text} #{number}" for number, text in enumerate(texts)]


def own_best(of_init: Sequence[Chosen]) -> Chosen:
    """Returns the setting at which an initializer does best; the first of equal ones."""
    return min(of_init, key=lambda choice: downward(choice.record, choice.chosen_mean))


def downward(record: ConfigurationRecord, value: float) -> float:
    """Returns a value for sorting, best first; missing ones come last."""
    if np.isnan(value):
        return np.inf
    return value if lower_is_better(record.endpoint) else -value


def shared_best(inits: Sequence[Sequence[Chosen]]) -> list[Chosen]:
    """Returns all initializers at the one setting that is best for them on the average.

    Only settings that all of them have been trained at count; empty where there is none.
    """
    of = [{choice.setting: choice for choice in reversed(of_init)} for of_init in inits]
    shared = [choice.setting for choice in inits[0] if all(choice.setting in o for o in of)]
    if not shared:
        return []

    def order(setting: str) -> float:
        values = [downward(o[setting].record, o[setting].chosen_mean) for o in of]
        return float(np.mean(values))

    best = min(dict.fromkeys(shared), key=order)
    return [o[best] for o in of]


def told_scores(
    results: Results, chosen: Sequence[ConfigurationRecord], on_test: bool = True
) -> tuple[str, dict[int, list[float]], dict[int, list[float]]]:
    """Returns the metric that is told of configurations, and their values of it.

    Returns:
      The metric; configuration -> values of its finished replicates; the same with failures
      counted, each worth what it is among all configurations that are comparable, chosen or not.
    """
    rows = results.replicates
    metric = chosen[0].endpoint
    test = f"test_{tasks.parted(metric)[1]}"
    of_chosen = rows["configuration"].isin([record.index for record in chosen])
    finished = of_chosen & (rows["status"] == "finished")
    column = endpoint_column(chosen[0])
    if on_test and test in rows and rows.loc[finished, test].notna().all() and finished.any():
        metric = column = test
    values = rows.get(column, pd.Series(np.nan, rows.index)).astype(float)
    values = values.where(rows["status"] == "finished")
    group = comparable(chosen[0])
    trained = [record for record in results.configurations if record.error is None]
    beside = [record for record in trained if comparable(record) == group]
    counted = with_failures(results, beside, values)
    return metric, _by_configuration(rows, values), _by_configuration(rows, counted)


def _by_configuration(rows: pd.DataFrame, values: pd.Series) -> dict[int, list[float]]:
    found: dict[int, list[float]] = defaultdict(list)
    for index, value in zip(rows["configuration"], values, strict=True):
        if not np.isnan(value):
            found[int(index)].append(float(value))
    return found
