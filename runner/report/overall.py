"""What a sweep tells beyond its comparisons, in sentences, each with its number."""

from collections.abc import Sequence

import pandas as pd

from runner.records import lower_is_better
from runner.report import names
from runner.report.analysis import Analysis
from runner.report.statistics import paired
from runner.report.words import Sentence

_MAX_LISTED = 4


def overall(analysis: Analysis, confidence: float) -> list[Sentence]:
    """Returns what can be said of the sweep as a whole.

    Args:
      analysis: Its numbers.
      confidence: Level of the intervals.
    """
    told = [
        *_rankings(analysis.rankings, confidence),
        _ranks(analysis.ranks, analysis.rank_pairs, confidence),
        *_times(analysis.mean_times, analysis.times, confidence),
        _variance(analysis.variance, confidence),
        *_predictors(analysis.predictors, confidence),
    ]
    return [Sentence("overall", text) for text in told if text]


def _rankings(table: pd.DataFrame, confidence: float) -> list[str]:
    """Returns who leads at a shared way to train, and who if each has its own."""
    if table.empty:
        return []
    problems = table["problem"].unique()
    told = [
        _ranking(table[table["problem"] == problem], confidence)
        for problem in problems[:_MAX_LISTED]
    ]
    if len(problems) > _MAX_LISTED:
        told.append(f"{len(problems) - _MAX_LISTED} more problems: see rankings.csv.")
    return told


def _ranking(rows: pd.DataFrame, confidence: float) -> str:
    own = rows[rows["ranking"] == "own best"]
    shared = rows[rows["ranking"] == "shared"]
    best = own.iloc[0]
    problem = f"At {best['problem']}: " if best["problem"] else ""
    flaw = " (chosen and told on the same data, so too good)" if best["same_data"] else ""
    counted = " with failures counted" if own["num_diverged"].any() else ""
    leading = _leading(own)
    told = (
        f"{problem}{_some(leading)} {'share' if len(leading) > 1 else 'has'} the {_best(best)} "
        f"{names.metric_name(best['metric'])}{counted} if each initializer trains at its own best "
        f"setting{flaw}, {_value(best)} at {best['setting']}{_beside(own, confidence)}"
    )
    if shared.empty:
        return f"{told}; no setting is shared by all."
    first = shared.iloc[0]
    same = _leading(shared) == leading
    return (
        f"{told}; at {first['setting']} for all it is "
        f"{'the same' if same else _some(_leading(shared))}, {_value(first)}"
        f"{_beside(shared, confidence)}."
    )


def _leading(rows: pd.DataFrame) -> list[str]:
    """Returns all that share the first rank."""
    return [_init(row) for _, row in rows[rows["rank"] == rows["rank"].iloc[0]].iterrows()]


def _beside(rows: pd.DataFrame, confidence: float) -> str:
    """Returns who is not told from the first of a ranking, which was picked from the data."""
    others = rows[rows["rank"] > rows["rank"].iloc[0]]
    level = others[~(others["p_to_first"] <= 1 - confidence) & (others["num_finished"] > 0)]
    if level.empty:
        return ""
    told = [f"{_init(row)} (p {names.p_value(row['p_to_first'])})" for _, row in level.iterrows()]
    return f", not distinguishable from {_some(told)}"


def _some(items: Sequence[str]) -> str:
    shown = list(items)
    if len(shown) > _MAX_LISTED:
        shown = [*shown[:_MAX_LISTED], f"{len(shown) - _MAX_LISTED} more"]
    return names.listed(shown)


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
            f"{start}; no other differs significantly from it (Nemenyi, critical difference "
            f"{first['critical_difference']:.2f}{test})."
        )
    return (
        f"{start}; {apart} of the {len(table) - 1} others {'differs' if apart == 1 else 'differ'} "
        f"significantly from it (Nemenyi, critical difference "
        f"{first['critical_difference']:.2f}{test})."
    )


def _times(means: pd.DataFrame, times: pd.DataFrame, confidence: float) -> list[str]:
    """Returns who reaches the target soonest in each cell, and who cannot be told from that."""
    rows = means[means["unit"] == "epochs"]
    targets = times[["target_metric", "target_value"]].drop_duplicates()
    if rows.empty or len(targets) > 1:
        return []
    metric, value = targets.iloc[0]
    sign = "≤" if lower_is_better(str(metric)) else "≥"
    target = f"{names.metric_name(str(metric))} {sign} {names.scalar_text(float(value))}"
    if not rows["num_reached"].any():
        return [f"No replicate reaches {target}."]
    cells = [of_cell for _, of_cell in rows.groupby("soonest", sort=False)]
    reaching = [of_cell for of_cell in cells if of_cell["num_reached"].any()]
    told = [_soonest(of_cell, target, confidence) for of_cell in reaching[:_MAX_LISTED]]
    if len(reaching) > len(told):
        told.append(f"{len(reaching) - len(told)} more settings: see mean_times.csv.")
    if len(cells) > len(reaching):
        settings = names.counted(len(cells) - len(reaching), "other setting")
        told.append(f"In {settings} no replicate reaches {target}.")
    return told


def _soonest(rows: pd.DataFrame, target: str, confidence: float) -> str:
    """Returns who reaches the target after the fewest epochs in one cell."""
    setting, places = _places(rows)
    first = rows[rows["configuration"] == rows["soonest"]].iloc[0]
    mean = first["restricted_mean"]
    ties = rows[(rows["restricted_mean"] - mean).abs() <= 1e-9 * abs(mean)]
    others = rows.drop(ties.index).sort_values("restricted_mean")
    later = [
        f"{places[index]} ({row['restricted_mean']:.1f}; log-rank p "
        f"{names.p_value(row['p_soonest'])})"
        for index, row in others.iterrows()
    ]
    is_level = ~(others["p_soonest"] <= 1 - confidence)
    is_soonest = len(ties) == 1 and len(others) > 0 and not is_level.any()
    ends = "" if pd.isna(first["ci_low"]) else f" [{first['ci_low']:.1f}, {first['ci_high']:.1f}]"
    text = (
        f"{setting}{_some([places[index] for index in ties.index])} "
        f"{'reach' if len(ties) > 1 else 'reaches'} {target}{' soonest,' if is_soonest else ''} "
        f"after {mean:.1f}{ends if len(ties) == 1 else ''} epochs on the average over the first "
        f"{first['horizon']:g} ({ties['num_reached'].sum()} of {ties['num_replicates'].sum()} do)"
    )
    never = int((rows["num_reached"] == 0).sum())
    if never:
        text += f"; {never} of {names.counted(len(rows), 'configuration')} never"
    if is_level.any():
        level = [told for told, is_one in zip(later, is_level, strict=True) if is_one]
        text += f"; not distinguishable from {_some(level)}"
    elif is_soonest:
        text += f"; next is {later[0]}"
    return f"{text}."


def _places(rows: pd.DataFrame) -> tuple[str, dict]:
    """Returns the factors that the rows of a cell share, as a start, and each row's name.

    The factors stand between the initializer and the unit.
    """
    columns = [str(column) for column in rows.columns]
    factors = columns[columns.index("init") + 1 : columns.index("unit")]
    shortened = names.short_keys(factors)
    shared = [key for key in factors if rows[key].nunique(dropna=False) == 1]

    def told(row: pd.Series, keys: Sequence[str]) -> str:
        return ", ".join(f"{shortened[key]}={names.scalar_text(row[key])}" for key in keys)

    start = told(rows.iloc[0], shared)
    own = [key for key in factors if key not in shared]
    places = {
        index: names.one_line(f"{row['init']} at {told(row, own)}") if own else _init(row)
        for index, row in rows.iterrows()
    }
    return (f"At {names.one_line(start)}: " if start else ""), places


def _variance(table: pd.DataFrame, confidence: float) -> str:
    """Returns the share of each source in the variance of one replicate, and its F test."""
    if table.empty or table["share"].isna().all():
        return ""
    shares = table.groupby("source")["share"].median()
    number = int(table["configuration"].nunique())
    truncated = int(table.groupby("configuration")["truncated"].any().sum())
    note = f"; a negative estimate was set to zero in {truncated} of them" if truncated else ""
    over = f" (medians over {number} configurations{note})"
    if number == 1:
        over = " (a negative estimate was set to zero)" if truncated else ""
    weights, batches = (
        f"{100 * shares[source]:.0f} % {what}{_told_by_f(table, source, confidence)}"
        for source, what in (
            ("weights", "comes from the initial weights"),
            ("batches", "from the order of the data"),
        )
    )
    return (
        f"Of the variance between replicates {weights} and {batches}, the rest from both "
        f"together{over}."
    )


def _told_by_f(table: pd.DataFrame, source: str, confidence: float) -> str:
    """Returns whether a share is more than luck: the p of one, or of how many it is small enough.

    Configurations share their seeds; Holm's correction holds whatever they have in common.
    """
    p = table.loc[table["source"] == source, "p_value"]
    if len(p) == 1:
        return f" (F test: p {names.p_value(p.iloc[0])})"
    told = int((paired.holm(p) <= 1 - confidence).sum())
    return f" (more than none in {told} of {len(p)} by F tests after Holm's correction)"


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
        return f"Before training, {quantity} predicts the outcome best: {numbers}."
    return (
        f"Nothing measured before training predicts the outcome beyond chance; closest is "
        f"{quantity}: {numbers}."
    )
