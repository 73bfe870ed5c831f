"""Is an initializer worse, or was the learning rate not made for it? Two rankings side by side."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from runner.records import bounds, lower_is_better
from runner.report import names, pairs
from runner.report.answer import Answer, blocks, overall
from runner.report.choices import Chosen, choices, is_tuned, own_best, shared_best, told_scores
from runner.report.render import charts, theme
from runner.report.render.vegalite import Spec, View, channel, layer
from runner.report.results import Results
from runner.report.scores import SEEDS, Scores
from runner.report.sweep import Sweep
from runner.report.table import Table, interval_digits, number, tabulated, text
from runner.report.tables import status_counts
from runner.summary import summarize

_COLUMNS = [
    *("ranking", "problem", "configuration", "init", "setting", "chosen_by", "chosen_mean"),
    *("metric", "mean", "ci_low", "ci_high", "counted_mean", "num_finished", "num_diverged"),
    *("rank", "same_data", "to_first", "p_to_first"),
]
_SHARED, _OWN = "shared", "own best"
_MAX_TOLD = 4
_ROW_HEIGHT = 26


def ask(sweep: Sweep) -> Answer:
    """Who leads at one way to train for all, and who if each has its own?"""
    rankings = rankings_table(sweep.results, sweep.scores)
    return Answer(
        "tuning",
        "Fair to every initializer?",
        note="A setting can suit one initializer and not another, so there are two rankings: all "
        "at one setting, and each initializer at its own best.",
        sentences=overall(sentences(rankings, sweep.confidence)),
        figures=sweep.drawn(choice_figures, rankings, sweep.success),
        blocks=blocks(rankings_block(rankings), csv="rankings.csv"),
        tables={"rankings.csv": rankings},
    )


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
    blocks = [
        _ranked(ranking, problem, chosen, results, found)
        for problem, inits in (choices(results, found) if tuned else {}).items()
        if len(inits) > 1
        for ranking, chosen in ((_SHARED, shared_best(inits)), (_OWN, [*map(own_best, inits)]))
        if chosen
    ]
    return pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame(columns=_COLUMNS)


def _ranked(
    ranking: str, problem: str, chosen: Sequence[Chosen], results: Results, found: Scores
) -> pd.DataFrame:
    metric, values, counted = told_scores(results, [choice.record for choice in chosen])
    statuses = status_counts(results.replicates)
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
            "mean": score.mean,
            "ci_low": score.low,
            "ci_high": score.high,
            "num_finished": score.count,
            "counted_mean": float(np.mean(of)) if len(of) else np.nan,
            "num_diverged": statuses.get(index, {}).get("diverged", 0),
            "same_data": metric == choice.record.endpoint,
        }
        for choice in chosen
        for index in [choice.record.index]
        for of in [counted[index]]
        for score in [summarize(values[index], results.sweep.confidence, bounds(metric))]
    ]
    table = pd.DataFrame(rows)
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


def rankings_block(frame: pd.DataFrame) -> Table | None:
    """Returns the two rankings side by side, or None where no way to train varies."""
    if frame.empty:
        return None
    keys = ["problem", "init"]
    shared = frame[frame["ranking"] == _SHARED].set_index(keys).add_prefix("shared_")
    own = frame[frame["ranking"] == _OWN].set_index(keys)
    both = own.join(shared).reset_index()
    digits = interval_digits(both)
    several = both["problem"].nunique() > 1
    return tabulated(
        both,
        [
            *([("problem", text("problem"))] if several else []),
            ("initializer", text("init")),
            ("# shared", number("shared_rank", 0)),
            ("mean, shared", number("shared_counted_mean", digits)),
            ("shared setting", text("shared_setting")),
            ("# own best", number("rank", 0)),
            ("mean, own best", number("counted_mean", digits)),
            ("own best setting", text("setting")),
        ],
    )


def sentences(table: pd.DataFrame, confidence: float) -> list[str]:
    """Returns who leads at a shared way to train, and who if each has its own."""
    if table.empty:
        return []
    problems = table["problem"].unique()
    told = [
        _ranking(table[table["problem"] == problem], confidence) for problem in problems[:_MAX_TOLD]
    ]
    if len(problems) > _MAX_TOLD:
        told.append(f"{len(problems) - _MAX_TOLD} more problems: see rankings.csv.")
    return told


def _ranking(rows: pd.DataFrame, confidence: float) -> str:
    own = rows[rows["ranking"] == _OWN]
    shared = rows[rows["ranking"] == _SHARED]
    best = own.iloc[0]
    each = f"At {best['problem']}, each" if best["problem"] else "Each"
    flaw = ", which is too good, as it was chosen on the same data" if best["same_data"] else ""
    counted = " with failures counted" if own["num_diverged"].any() else ""
    leading = _leading(own)
    what = f"{names.best_word(best['metric'])} {names.metric_name(best['metric'])}{counted}"
    told = (
        f"{each} initializer at its own best setting: {names.listed_some(leading)} "
        f"{'have' if len(leading) > 1 else 'has'} the {what}, {_value(best)} at "
        f"{best['setting']}{flaw}{_beside(own, confidence)}."
    )
    if shared.empty:
        return f"{told} No setting is shared by all."
    first = shared.iloc[0]
    return (
        f"{told} All at {first['setting']}: {names.listed_some(_leading(shared))}, {_value(first)}"
        f"{_beside(shared, confidence)}."
    )


def _leading(rows: pd.DataFrame) -> list[str]:
    """Returns all that share the first rank."""
    return [_init(row) for _, row in rows[rows["rank"] == rows["rank"].iloc[0]].iterrows()]


def _beside(rows: pd.DataFrame, confidence: float) -> str:
    """Returns who is not known to differ from the first of a ranking, picked from the data."""
    others = rows[rows["rank"] > rows["rank"].iloc[0]]
    level = others[~(others["p_to_first"] <= 1 - confidence) & (others["num_finished"] > 0)]
    if level.empty:
        return ""
    told = [f"{_init(row)} (p {names.p_value(row['p_to_first'])})" for _, row in level.iterrows()]
    return f"; not known to differ from it: {names.listed_some(told)}"


def _init(row: pd.Series) -> str:
    return names.one_line(str(row["init"]))


def _value(row: pd.Series) -> str:
    lost = f" over {row['num_finished']} finished, {row['num_diverged']} diverged"
    ends = "" if pd.isna(row["ci_low"]) else f" [{_short(row['ci_low'])}, {_short(row['ci_high'])}]"
    return f"{_short(row['mean'])}{ends}{lost if row['num_diverged'] else ''}"


def _short(value: float) -> str:
    return names.significant(float(value), 3)


def choice_figures(rankings: pd.DataFrame, success: pd.DataFrame) -> list[theme.Figure]:
    """Returns each initializer at the shared setting beside its own best, one panel a problem."""
    rates = success.set_index("configuration")["success_rate"]
    told = rankings.assign(success_rate=rankings["configuration"].map(rates).astype(float))
    return [
        _choice_figure(rows, str(metric), is_one_of_many=rankings["metric"].nunique() > 1)
        for metric, rows in told.dropna(subset="counted_mean").groupby("metric", sort=False)
    ]


def _choice_figure(rows: pd.DataFrame, metric: str, is_one_of_many: bool) -> theme.Figure:
    what = names.metric_name(metric)
    shared = list(dict.fromkeys(rows.loc[rows["ranking"] == _SHARED, "setting"]))
    at = f" ({names.one_line(shared[0])})" if len(shared) == 1 else ""
    title = "At a shared setting, and each at its own best"
    caption = (
        f"Mean {what} of each initializer, failures counted. Ring: at the setting that is best "
        f"for all on average{at}. Dot: at its own best setting, with the interval over finished "
        f"replicates. A long line: the shared setting does not suit this initializer."
    )
    data = _choice_data(rows)
    caption += charts.aside_note(data)
    if rows["same_data"].any():
        caption += (
            " Settings were chosen on the same data, so the dots are too good; with a test part "
            "they would not be."
        )
    name = f"choices_{metric}" if is_one_of_many else "choices"
    panels = list(dict.fromkeys(rows["problem"]))
    own = data[data["ranking"] == _OWN]
    best = pd.Series(own["order"].to_numpy(float), own["title"].tolist())
    seen = f"Mean {what} at the own best setting: {theme.extremes(best, lower_is_better(metric))}."
    spec = theme.finish(_choice_chart(data, what, metric, panels), title, "", seen)
    return theme.Figure(name, title, caption, spec, len(panels) if len(panels) > 1 else None)


def _choice_data(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the figure; numbers are missing where there is an `aside` (a text)."""
    never = _never_learned(rows)
    data = pd.DataFrame(
        {
            "title": [names.one_line(str(init)) for init in rows["init"]],
            "panel": rows["problem"].astype(str),
            "ranking": rows["ranking"],
            "setting": [names.one_line(str(text)) for text in rows["setting"]],
            "value": rows["counted_mean"].to_numpy(float),
            "order": rows["counted_mean"].to_numpy(float),
            # The interval is over finished replicates, and the mean may not be.
            "low": rows["ci_low"].where(rows["num_diverged"] == 0).to_numpy(float),
            "high": rows["ci_high"].where(rows["num_diverged"] == 0).to_numpy(float),
            "aside": [
                f"never learned: {names.significant(value)}" if is_never else ""
                for value, is_never in zip(rows["counted_mean"], never, strict=True)
            ],
        }
    )
    data.loc[never.to_numpy(), ["value", "low", "high"]] = math.nan
    # Both rankings of an initializer stand in one row, which needs the words once.
    data.loc[(data["ranking"] == _SHARED) & never.to_numpy(), "aside"] = ""
    return data


def _never_learned(rows: pd.DataFrame) -> pd.Series:
    """Tells which rows are of an initializer that trained at no setting shown, where others did."""
    success = rows.groupby(["problem", "init"])["success_rate"].transform("max")
    learned = success.isna() | (success > 0)
    return ~learned & bool(learned.any())


def _choice_chart(data: pd.DataFrame, what: str, metric: str, panels: list[str]) -> View:
    order = _by_own_best(data, lower_is_better(metric))
    scale = theme.value_scale(data["value"], charts.spans_decades(data["value"], metric))
    base = View().encode(y=charts.rows(order[: theme.MAX_ROWS]))

    def x(column: str) -> Spec:
        return channel(
            f"{column}:Q", title=what, scale=scale, axis=dict(tickCount=theme.TICK_COUNT)
        )

    told = charts.tooltips(
        ("title:N", "initializer"),
        ("ranking:N", "ranking"),
        ("setting:N", "setting"),
        ("value:Q", what, ".4~g"),
    )
    dots = base.encode(x=x("value"), tooltip=told, **_rings_and_dots())
    own_dots = dots.filter("datum.ranking == 'own best'")
    shared_rings = dots.filter("datum.ranking == 'shared'")
    own = base.filter("datum.ranking == 'own best'")
    chart = layer(
        base.mark("line", color=theme.MUTED, strokeWidth=1.5).encode(
            x=x("value"), detail=channel("title:N")
        ),
        own.mark("rule", strokeWidth=2, color=theme.PALETTE[0]).encode(
            x=x("low"), x2=channel("high")
        ),
        own_dots.mark("point", size=50, strokeWidth=2, opacity=1),
        shared_rings.mark("point", size=150, strokeWidth=2, opacity=1),
        *theme.aside_layers(base),
    )
    chart = charts.tall(chart, len(order[: theme.MAX_ROWS]), _ROW_HEIGHT)
    if len(panels) == 1:
        return View(chart, data=theme.csv_data(data))
    return charts.in_panels(View(chart, width=charts.WIDTH // 2), panels, theme.csv_data(data))


def _rings_and_dots() -> dict[str, Any]:
    """Returns the channels that make a ring of what is shared and a dot of each one's own best."""

    def looks(values: list[Any]) -> dict[str, Any]:
        scale = dict(domain=[_SHARED, _OWN], range=values)
        return {"scale": scale, "legend": theme.bottom_legend([_SHARED, _OWN], charts.WIDTH)}

    return {
        "fill": channel("ranking:N", **looks(["transparent", theme.PALETTE[0]])),
        "stroke": channel("ranking:N", **looks([theme.MUTED, theme.PALETTE[0]])),
    }


def _by_own_best(data: pd.DataFrame, lower: bool) -> list[str]:
    own = data[data["ranking"] == _OWN].groupby("title", sort=False)["order"].mean()
    return [str(title) for title in own.sort_values(ascending=lower, kind="stable").index]
