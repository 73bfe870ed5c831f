"""Is an initializer worse, or was the learning rate not made for it? Two rankings, and a map.

Factors of the data set and the model pose a *problem*. Factors of the optimizer and of training are
ways to train, which a fair comparison may choose for each initializer: on the validation part, with
failures counted, and told on the test part where there is one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from runner import tasks
from runner.plan import Scalar
from runner.records import ConfigurationRecord, bounds, lower_is_better
from runner.report import names, pairs
from runner.report.results import Results
from runner.report.scores import SEEDS, Scores, comparable, keys, setting_text, with_failures
from runner.report.statistics import Summary, summarize
from runner.report.tables import endpoint_column

_TUNED = ("optimizer", "training")
_COLUMNS = [
    *("ranking", "problem", "configuration", "init", "setting", "chosen_by", "chosen_mean"),
    *("metric", "mean", "ci_low", "ci_high", "counted_mean", "num_finished", "num_diverged"),
    *("rank", "same_data", "to_first", "p_to_first"),
]


@dataclass(frozen=True)
class Choice:
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


def choices(results: Results, found: Scores) -> dict[str, list[list[Choice]]]:
    """Returns for each problem the configurations of each initializer, in their order."""
    shortened = names.short_keys(key for record in results.configurations for key in record.factors)
    problems: dict[tuple[str, ...], dict[str, list[Choice]]] = {}
    for record in results.configurations:
        if record.error is None:
            choice = _choice(record, found, shortened)
            inits = problems.setdefault((*comparable(record), choice.problem), {})
            inits.setdefault(record.init, []).append(choice)
    texts = _distinct([(key[-1], next(iter(v.values()))[0]) for key, v in problems.items()])
    return dict(zip(texts, [list(inits.values()) for inits in problems.values()], strict=True))


def _choice(record: ConfigurationRecord, found: Scores, shortened: Mapping[str, str]) -> Choice:
    tuned = {key: value for key, value in record.factors.items() if is_tuned(key)}
    other = {key: value for key, value in record.factors.items() if not is_tuned(key)}
    return Choice(
        record=record,
        problem=setting_text(other, shortened),
        setting=setting_text(tuned, shortened),
        chosen_mean=float(found.counted[record.index].mean()),
    )


def _distinct(problems: Sequence[tuple[str, Choice]]) -> list[str]:
    """Returns one name a problem; where the factors do not tell them apart the number does.

    A single problem keeps its factors, and has no name where none vary.
    """
    if len(problems) == 1:
        return [problems[0][0]]
    texts = [text or str(first.record.dataset.get("name", "")) for text, first in problems]
    if len(set(texts)) == len(texts):
        return texts
    return [f"{text} #{number}" for number, text in enumerate(texts)]


def own_best(of_init: Sequence[Choice]) -> Choice:
    """Returns the setting at which an initializer does best; the first of equal ones."""
    return min(of_init, key=lambda choice: downward(choice.record, choice.chosen_mean))


def downward(record: ConfigurationRecord, value: float) -> float:
    """Returns a value for sorting, best first; missing ones come last."""
    if np.isnan(value):
        return np.inf
    return value if lower_is_better(record.endpoint) else -value


def shared_best(inits: Sequence[Sequence[Choice]]) -> list[Choice]:
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


def rankings_table(results: Results, found: Scores) -> pd.DataFrame:
    """Returns `rankings.csv`: the initializers at a shared setting, and each at its own best.

    Columns: `ranking` ("shared" or "own best"), `problem`, `configuration`, `init`, `setting`,
    `chosen_by` (the metric), `chosen_mean` (failures counted), `metric` (what is told: of the test
    part if there is one), `mean`, `ci_low`, `ci_high` (over finished replicates), `counted_mean`
    (failures counted; gives the rank), `num_finished`, `num_diverged`, `rank`, `same_data` (whether
    choice and result are of the same data, and so the result too good), `to_first` (mean difference
    to the first row, on the seeds that both finished), `p_to_first` (of the paired t test, after
    Holm's correction for all pairs of the ranking, as the first was picked from the data).

    Empty unless a way to train varies and two initializers are there.
    """
    tuned = any(is_tuned(key) for record in results.configurations for key in record.factors)
    blocks: list[pd.DataFrame] = []
    if tuned:
        for problem, inits in choices(results, found).items():
            if len(inits) > 1:
                shared = shared_best(inits)
                best = [own_best(of_init) for of_init in inits]
                blocks.append(_ranked("shared", problem, shared, results, found))
                blocks.append(_ranked("own best", problem, best, results, found))
    filled = [block for block in blocks if len(block)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=_COLUMNS)


def _ranked(
    ranking: Literal["shared", "own best"],
    problem: str,
    chosen: Sequence[Choice],
    results: Results,
    found: Scores,
) -> pd.DataFrame:
    if not chosen:
        return pd.DataFrame(columns=_COLUMNS)
    metric, values, counted = told_scores(results, [choice.record for choice in chosen])
    rows = [
        {
            "ranking": ranking,
            "problem": problem,
            "configuration": choice.record.index,
            "init": choice.record.init,
            "setting": choice.setting,
            "chosen_by": choice.record.endpoint,
            "chosen_mean": choice.chosen_mean,
            "metric": metric,
            **_numbers(
                summarize(values[choice.record.index], results.sweep.confidence, bounds(metric))
            ),
            "counted_mean": float(np.mean(of)) if len(of := counted[choice.record.index]) else None,
            "num_diverged": _num_diverged(results, choice.record.index),
            "same_data": metric == choice.record.endpoint,
        }
        for choice in chosen
    ]
    table = pd.DataFrame(rows).astype({"counted_mean": float})
    ranks = table["counted_mean"].rank(ascending=lower_is_better(metric), method="min")
    ranked = table.assign(rank=ranks).sort_values("rank", ignore_index=True)
    to_first = _to_first(ranked, results, found)
    return ranked.join(to_first, on="configuration")[_COLUMNS]


def _to_first(ranked: pd.DataFrame, results: Results, found: Scores) -> pd.DataFrame:
    """Returns how the others differ from the first, by configuration."""
    members, metric = ranked["configuration"].tolist(), str(ranked["metric"].iloc[0])
    rows = results.replicates
    if ranked["same_data"].iloc[0]:
        finished = found.finished[members]
    else:
        of = rows[rows["configuration"].isin(members) & (rows["status"] == "finished")]
        finished = of.pivot_table(metric, SEEDS, "configuration").reindex(columns=members)
    table = pairs.explore(replace(found, finished=finished.astype(float)), members, metric)
    to_first = table[table["configuration_b"] == members[0]]
    return to_first.set_index("configuration_a")[["mean", "p_holm"]].rename(
        columns={"mean": "to_first", "p_holm": "p_to_first"}
    )


def _numbers(score: Summary) -> dict[str, Any]:
    return {
        "mean": score.mean,
        "ci_low": score.low,
        "ci_high": score.high,
        "num_finished": score.count,
    }


def _num_diverged(results: Results, index: int) -> int:
    rows = results.replicates
    return int(((rows["configuration"] == index) & (rows["status"] == "diverged")).sum())


def told_scores(
    results: Results, chosen: Sequence[ConfigurationRecord], on_test: bool = True
) -> tuple[str, dict[int, list[float]], dict[int, list[float]]]:
    """Returns the metric that is told of configurations, and their values of it.

    Args:
      results: The sweep.
      chosen: Configurations with the same endpoint.
      on_test: Whether the test part counts, where every configuration has one.

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


def trainability_table(results: Results, found: Scores, success: pd.DataFrame) -> pd.DataFrame:
    """Returns `trainability.csv`: the endpoint over each factor that is a number.

    Columns `configuration, init, <factors>, factor` (its key), `value`, `problem` (the other
    factors, as text), `metric`, `counted_mean` (failures counted), `mean` (finished only),
    `success_rate`, `num_ended`. One row a configuration and factor.

    Args:
      results: The sweep.
      found: Its endpoints.
      success: `success.csv`.
    """
    trained = [record for record in results.configurations if record.error is None]
    shortened = names.short_keys(key for record in trained for key in record.factors)
    rows = [
        {
            "configuration": record.index,
            "factor": key,
            "value": float(record.factors[key]),
            "problem": setting_text(
                {k: v for k, v in record.factors.items() if k != key}, shortened
            ),
            "metric": record.endpoint,
            "counted_mean": float(found.counted[record.index].mean()),
            "mean": float(found.finished[record.index].mean()),
        }
        for record in trained
        for key in _numeric(trained)
        if key in record.factors
    ]
    of = keys(results, trained)
    told = ["factor", "value", "problem", "metric", "counted_mean", "mean"]
    columns = [*of.columns, *told, "success_rate", "num_ended"]
    if not rows:
        return pd.DataFrame(columns=columns)
    rates = success[["configuration", "success_rate", "num_ended"]]
    table = of.merge(pd.DataFrame(rows), on="configuration").merge(rates, on="configuration")
    return table[columns]


def _numeric(records: Iterable[ConfigurationRecord]) -> list[str]:
    """Returns the factors of which every value is a number, at least two different ones."""
    values: dict[str, set[Scalar]] = {}
    for record in records:
        for key, value in record.factors.items():
            values.setdefault(key, set()).add(value)
    return [
        key
        for key, found in values.items()
        if len(found) > 1
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in found)
    ]
