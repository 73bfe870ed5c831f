"""What a sweep tells beyond its comparisons, in sentences, each with its number."""

import pandas as pd

from runner.records import lower_is_better
from runner.report import names
from runner.report.analysis import Analysis
from runner.report.words import Sentence

_MAX_LISTED = 4


def overall(analysis: Analysis, confidence: float) -> list[Sentence]:
    """Returns what can be said of the sweep as a whole.

    Args:
      analysis: Its numbers.
      confidence: Level of the intervals.
    """
    told = [
        *_rankings(analysis.rankings),
        _ranks(analysis.ranks, analysis.rank_pairs, confidence),
        *_times(analysis.mean_times, analysis.times),
        _variance(analysis.variance),
        *_predictors(analysis.predictors, confidence),
    ]
    return [Sentence("overall", text) for text in told if text]


def _rankings(table: pd.DataFrame) -> list[str]:
    """Returns who leads at a shared way to train, and who if each has its own."""
    if table.empty:
        return []
    problems = table["problem"].unique()
    told = [_ranking(table[table["problem"] == problem]) for problem in problems[:_MAX_LISTED]]
    if len(problems) > _MAX_LISTED:
        told.append(f"{len(problems) - _MAX_LISTED} more problems: see rankings.csv.")
    return told


def _ranking(rows: pd.DataFrame) -> str:
    best = rows[rows["ranking"] == "own best"].iloc[0]
    shared = rows[rows["ranking"] == "shared"]
    problem = f"At {best['problem']}: " if best["problem"] else ""
    flaw = " (chosen and told on the same data, so too good)" if best["same_data"] else ""
    own = (
        f"{_init(best)} has the {_best(best)} {names.metric_name(best['metric'])} if each "
        f"initializer trains at its own best setting{flaw}, {_value(best)} at {best['setting']}"
    )
    if shared.empty:
        return f"{problem}{own}; no setting is shared by all."
    first = shared.iloc[0]
    same = first["init"] == best["init"]
    who = "the same one" if same else _init(first)
    return f"{problem}{own}; at {first['setting']} for all it is {who}, {_value(first)}."


def _init(row: pd.Series) -> str:
    return names.one_line(str(row["init"]))


def _best(row: pd.Series) -> str:
    return names.best_word(str(row["metric"]))


def _value(row: pd.Series) -> str:
    lost = f" over {row['num_finished']} finished, {row['num_diverged']} diverged"
    ends = "" if pd.isna(row["ci_low"]) else f" [{_short(row['ci_low'])}, {_short(row['ci_high'])}]"
    return f"{_short(row['mean'])}{ends}{lost if row['num_diverged'] else ''}"


def _short(value: float) -> str:
    return names.significant(float(value), 3)


def _ranks(table: pd.DataFrame, pairs: pd.DataFrame, confidence: float) -> str:
    """Returns the average ranks over several problems."""
    if table.empty:
        return ""
    first = table.iloc[0]
    init, number = _init(first), int(first["num_problems"])
    start = (
        f"Over {number} problems {init} has the best average rank, {first['average_rank']:.2f} of "
        f"{len(table)}"
    )
    of_first = pairs[(pairs["init_a"] == first["init"]) | (pairs["init_b"] == first["init"])]
    apart = int(of_first["distinguishable"].sum())
    p = first["friedman_p"]
    test = "" if pd.isna(p) else f"; Friedman p {names.p_value(p)}"
    if not apart or p > 1 - confidence:
        return (
            f"{start}; no other is told apart from it (Nemenyi, critical difference "
            f"{first['critical_difference']:.2f}{test})."
        )
    return (
        f"{start}; {apart} of the {len(table) - 1} others are told apart from it (Nemenyi, "
        f"critical difference {first['critical_difference']:.2f}{test})."
    )


def _times(means: pd.DataFrame, times: pd.DataFrame) -> list[str]:
    """Returns who reaches the target first, where configurations share one."""
    rows = means[means["unit"] == "epochs"]
    targets = times[["target_metric", "target_value"]].drop_duplicates()
    if rows.empty or len(targets) > 1:
        return []
    metric, value = targets.iloc[0]
    sign = "≤" if lower_is_better(str(metric)) else "≥"
    target = f"{names.metric_name(str(metric))} {sign} {names.scalar_text(float(value))}"
    first = rows.iloc[int(rows["restricted_mean"].argmin())]
    if not first["num_reached"]:
        return [f"No replicate reaches {target}."]
    of = f"{first['num_reached']} of {first['num_replicates']} do"
    ends = "" if pd.isna(first["ci_low"]) else f" [{first['ci_low']:.1f}, {first['ci_high']:.1f}]"
    text = (
        f"{_place(first)} reaches {target} soonest, after {first['restricted_mean']:.1f}{ends} "
        f"epochs on the average over the first {first['horizon']:g} ({of})"
    )
    never = rows[rows["num_reached"] == 0]
    if len(never):
        text += f"; {len(never)} of {names.counted(len(rows), 'configuration')} never"
    p = first["p_all"]
    if len(rows) > 1 and rows["p_all"].nunique(dropna=False) == 1 and not pd.isna(p):
        text += f"; log-rank test of all: p {names.p_value(p)}"
    return [f"{text}."]


def _place(row: pd.Series) -> str:
    """Returns initializer and factors of a row; these stand between that and its unit."""
    columns = [str(column) for column in row.index]
    factors = columns[columns.index("init") + 1 : columns.index("unit")]
    told = [f"{short}={row[key]}" for key, short in names.short_keys(factors).items()]
    return names.one_line(f"{row['init']} at {', '.join(told)}") if told else _init(row)


def _variance(table: pd.DataFrame) -> str:
    """Returns the share of each source in the variance of one replicate."""
    if table.empty or table["share"].isna().all():
        return ""
    shares = table.groupby("source")["share"].median()
    count = names.counted(int(table["configuration"].nunique()), "configuration")
    truncated = int(table.groupby("configuration")["truncated"].any().sum())
    note = f"; a negative estimate was set to zero in {truncated} of them" if truncated else ""
    return (
        f"Of the variance between replicates {100 * shares['weights']:.0f} % comes from the "
        f"initial weights and {100 * shares['batches']:.0f} % from the order of the data, the rest "
        f"from both together (medians over {count}{note})."
    )


def _predictors(table: pd.DataFrame, confidence: float) -> list[str]:
    """Returns which number at step 0 goes with the outcome most closely, for each data set."""
    known = table[table["rho"].notna()]
    groups = list(known.groupby("group", sort=False))
    told = [(str(group), _predictor(rows, confidence)) for group, rows in groups]
    return [
        text if len(told) == 1 else f"On {names.one_line(group)}: {text}" for group, text in told
    ]


def _predictor(rows: pd.DataFrame, confidence: float) -> str:
    row = rows.iloc[int(rows["rho"].abs().argmax())]
    quantity = str(row["quantity"]).replace("_", " ")
    if row["transform"] != "value":
        quantity = f"the {row['transform'].replace('distance', f'distance of {quantity}')}"
    numbers = (
        f"rank correlation {names.number(row['rho'], 2)} "
        f"[{names.number(row['ci_low'], 2)}, {names.number(row['ci_high'], 2)}] with "
        f"{names.metric_name(str(row['metric']))} over {row['num_configurations']} configurations"
    )
    if row["p_holm"] <= 1 - confidence:
        return f"At step 0, {quantity} goes with the outcome most closely: {numbers}."
    return (
        f"Nothing at step 0 goes with the outcome beyond chance; closest is {quantity}: {numbers}."
    )
