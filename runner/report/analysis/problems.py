"""Several data sets or models: ranks of the initializers, and how often they reach what score."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from runner.records import ConfigurationRecord, lower_is_better
from runner.report.analysis.rankings import (
    Choice,
    choices,
    downward,
    is_tuned,
    own_best,
    told_scores,
)
from runner.report.learning import constant_guess
from runner.report.results import Results
from runner.report.scores import Scores, is_problem
from runner.report.statistics import ranks
from runner.report.statistics.proportions import wilson_interval

_RANKS = ["init", "average_rank", "num_problems", "friedman_p", "critical_difference"]
_PAIRS = ["init_a", "init_b", "rank_difference", "p_nemenyi", "distinguishable"]
_PROFILES = ["init", "threshold", "share", "ci_low", "ci_high", "num_replicates"]
_MAX_THRESHOLDS = 200


def rank_tables(results: Results, found: Scores) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns `ranks.csv` and `rank_pairs.csv`; empty below two problems or two initializers.

    An initializer is ranked by its mean score, failures counted, in each problem; where ways to
    train vary, at its own best. Only initializers that were trained on every problem are ranked. A
    problem that is there several times, with different endpoints for one, counts once: the first.

    Returns:
      `init, average_rank, num_problems, friedman_p, critical_difference` and a column
      `rank: <problem>` each, best first; and `init_a, init_b, rank_difference, p_nemenyi,
      distinguishable` of every two.
    """
    of = _best_of_problems(results, found)
    inits = _everywhere(of)
    if len(of) < 2 or len(inits) < 2:
        return pd.DataFrame(columns=_RANKS), pd.DataFrame(columns=_PAIRS)
    scores = np.array([_means(results, [chosen[init] for init in inits]) for chosen in of.values()])
    each = ranks.ranks(scores)
    average = each.mean(axis=0)
    size = len(inits), len(of)
    critical = ranks.critical_difference(*size, 1 - results.sweep.confidence)
    table = pd.DataFrame(
        {
            "init": inits,
            "average_rank": average,
            "num_problems": len(of),
            "friedman_p": ranks.friedman(-each),
            "critical_difference": critical,
        }
        | {f"rank: {problem}": row for problem, row in zip(of, each, strict=True)}
    ).sort_values("average_rank", kind="stable", ignore_index=True)
    return table, _rank_pairs(inits, average, size, 1 - results.sweep.confidence)


def _rank_pairs(
    inits: list[str], average: np.ndarray, size: tuple[int, int], level: float
) -> pd.DataFrame:
    first, second = np.triu_indices(len(inits), k=1)
    difference = average[first] - average[second]
    p = ranks.nemenyi(difference, *size)
    return pd.DataFrame(
        {
            "init_a": [inits[place] for place in first],
            "init_b": [inits[place] for place in second],
            "rank_difference": difference,
            "p_nemenyi": p,
            "distinguishable": p <= level,
        }
    )


def _best_of_problems(results: Results, found: Scores) -> dict[str, dict[str, Choice]]:
    """Returns problem -> initializer -> the configuration that stands for it."""
    first: dict[tuple, str] = {}
    of = choices(results, found)
    for problem, inits in of.items():
        first.setdefault(_posed(inits[0][0].record), problem)
    return {
        problem: {of_init[0].record.init: own_best(of_init) for of_init in of[problem]}
        for problem in first.values()
    }


def _posed(record: ConfigurationRecord) -> tuple:
    """Returns data and model, whatever else varies."""
    given = [item for item in record.factors.items() if is_problem(item[0])]
    return record.dataset.get("fingerprint"), *given


def _everywhere(of: dict[str, dict[str, Choice]]) -> list[str]:
    """Returns the initializers that every problem has, in their order."""
    inits = dict.fromkeys(init for chosen in of.values() for init in chosen)
    return [init for init in inits if all(init in chosen for chosen in of.values())]


def _means(results: Results, chosen: Sequence[Choice]) -> list[float]:
    """Returns the mean scores of a problem, failures counted; a higher one is better."""
    records = [choice.record for choice in chosen]
    _, _, counted = told_scores(results, records, on_test=_is_chosen(results))
    means = [float(np.mean(counted.get(record.index, [np.nan]))) for record in records]
    return [-downward(record, mean) for record, mean in zip(records, means, strict=True)]


def _is_chosen(results: Results) -> bool:
    """Whether the setting of training is chosen by the endpoint, which then flatters."""
    return any(is_tuned(key) for record in results.configurations for key in record.factors)


def profiles_table(results: Results, found: Scores) -> pd.DataFrame:
    """Returns `profiles.csv`: the share of replicates, over all problems, that reach a score.

    Scores are normalized: 0 is the best constant guess, 1 is perfect; a replicate that diverged is
    below every threshold. Columns `init, threshold, share, ci_low, ci_high` (Wilson, pointwise),
    `num_replicates`. Empty below two problems.
    """
    of = _best_of_problems(results, found)
    inits = _everywhere(of)
    if len(of) < 2 or not inits:
        return pd.DataFrame(columns=_PROFILES)
    normalized = [_normalized(results, [chosen[init] for init in inits]) for chosen in of.values()]
    scores = {
        init: np.concatenate([of_problem[place] for of_problem in normalized])
        for place, init in enumerate(inits)
    }
    thresholds = _thresholds(np.concatenate(list(scores.values())))
    blocks = []
    for init, values in scores.items():
        reached = ranks.profile(values, thresholds)
        low, high = wilson_interval(
            reached, np.full(len(reached), len(values)), results.sweep.confidence
        )
        share = reached / len(values) if len(values) else np.full(len(reached), np.nan)
        columns = {"threshold": thresholds, "share": share, "ci_low": low, "ci_high": high}
        blocks.append(pd.DataFrame({"init": init, **columns, "num_replicates": len(values)}))
    return pd.concat(blocks, ignore_index=True)[_PROFILES]


def _normalized(results: Results, chosen: Sequence[Choice]) -> list[np.ndarray]:
    """Returns the normalized scores of each configuration of a problem, -inf for failures."""
    records = [choice.record for choice in chosen]
    metric, finished, _ = told_scores(results, records, on_test=_is_chosen(results))
    rows = results.replicates
    diverged = rows.loc[rows["status"] == "diverged", "configuration"]
    guess = constant_guess(records[0].dataset, metric)
    perfect = 0.0 if lower_is_better(metric) else 1.0
    span = (perfect - guess) or np.nan  # of targets that are all equal a guess is perfect
    found = []
    for record in records:
        values = np.array(finished.get(record.index, []), float)
        lost = np.full(int((diverged == record.index).sum()), -np.inf)
        scores = np.concatenate([(values - guess) / span, lost])
        found.append(scores[~np.isnan(scores)])
    return found


def _thresholds(values: np.ndarray) -> np.ndarray:
    """Returns at most so many of the scores that occur, evenly among them."""
    distinct = np.unique(values[np.isfinite(values)])
    if len(distinct) <= _MAX_THRESHOLDS:
        return distinct
    places = np.linspace(0, len(distinct) - 1, _MAX_THRESHOLDS).round().astype(int)
    return distinct[places]
