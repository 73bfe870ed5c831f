"""Ranks of initializers: over problems, and at a shared setting beside each one's own best."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from runner.records import lower_is_better
from runner.report import names
from runner.report.figures.theme import (
    GRID,
    INK,
    MAX_ROWS,
    MUTED,
    PALETTE,
    TICK_COUNT,
    Figure,
    aside_layers,
    bottom_legend,
    csv_data,
    finish,
    panel_facet,
    row_axis,
    value_scale,
    whole_axis,
)
from runner.report.statistics.ranks import cliques

_WIDTH, _ROW_HEIGHT = 560, 26
_PROBLEM = "rank: "
_SHARED, _OWN = "shared", "own best"


def rank_figures(ranks: pd.DataFrame) -> list[Figure]:
    """Returns the critical-difference diagram: average ranks, and which of them are alike.

    Args:
      ranks: See `runner.report.analysis`.
    """
    rows = ranks.sort_values("average_rank", ignore_index=True).iloc[:MAX_ROWS]
    if len(rows) < 2:
        return []
    distance = float(rows["critical_difference"].iloc[0])
    num_problems = int(rows["num_problems"].iloc[0])
    title = "Average ranks"
    note = f"critical difference {names.significant(distance, 3)}"
    caption = (
        f"Average rank over {names.counted(num_problems, 'problem')} (1 is the best; small points: "
        f"the single problems). A bar joins initializers that Nemenyi's test cannot tell apart: "
        f"their ranks differ by less than the critical difference, "
        f"{names.significant(distance, 3)}. Friedman's test of no difference at all: "
        f"p {names.p_value(float(rows['friedman_p'].iloc[0]))}."
    )
    return [Figure("ranks", title, caption, finish(_rank_chart(rows, distance), title, note))]


def _rank_chart(rows: pd.DataFrame, distance: float) -> alt.LayerChart:
    titles = [names.one_line(str(init)) for init in rows["init"]]
    problems = [str(column) for column in rows if str(column).startswith(_PROBLEM)]
    single = pd.DataFrame(
        [
            {"title": title, "rank": float(row[column]), "problem": column.removeprefix(_PROBLEM)}
            for title, row in zip(titles, rows.to_dict("records"), strict=True)
            for column in problems
        ]
    )
    means = pd.DataFrame({"title": titles, "rank": rows["average_rank"].to_numpy(float)})
    last = math.ceil(max(len(rows), single["rank"].max()))
    scale = alt.Scale(domain=[1, last], nice=False, padding=12)
    axis = whole_axis(1, last, orient="top", gridColor=GRID)
    x = alt.X("rank:Q", title="rank, 1 is the best", scale=scale, axis=axis)
    told = alt.Tooltip("title:N", title="initializer")
    points = alt.Chart(csv_data(single)).mark_point(size=25, opacity=0.5, color=MUTED, filled=True)
    dots = alt.Chart(csv_data(means)).mark_point(size=110, opacity=1, color=INK, filled=True)
    layers = [
        points.encode(x=x, y=_row(titles), tooltip=[told, "problem:N", "rank:Q"]),
        dots.encode(x=x, y=_row(titles), tooltip=[told, alt.Tooltip("rank:Q", format=".3~g")]),
        *_bars(titles, rows["average_rank"].tolist(), distance),
    ]
    return alt.layer(*layers).properties(width=_WIDTH, height=_ROW_HEIGHT * len(rows))


def _row(titles: Sequence[str], column: str = "title") -> alt.Y:
    scale = alt.Scale(domain=list(titles))
    return alt.Y(f"{column}:N", title=None, scale=scale, sort=list(titles), axis=row_axis())


def _bars(titles: Sequence[str], ranks: Sequence[float], distance: float) -> list[alt.Chart]:
    """Returns a vertical bar, right of the axis, for each group of initializers that are alike."""
    charts = []
    for place, (first, last) in enumerate(cliques(ranks, distance)):
        ends = alt.Data(values=[{"first": titles[first], "last": titles[last]}])
        bar = alt.Chart(ends).mark_rule(strokeWidth=5, strokeCap="round", color=PALETTE[0])
        x = alt.value(alt.expr(f"width + {16 + 12 * place}"))
        charts.append(bar.encode(x=x, y=_row(titles, "first"), y2="last:N"))
    return charts


def choice_figures(rankings: pd.DataFrame, success: pd.DataFrame) -> list[Figure]:
    """Returns each initializer at the shared setting beside its own best, one panel a problem.

    Args:
      rankings, success: See `runner.report.analysis`.
    """
    rates = success.set_index("configuration")["success_rate"]
    told = rankings.assign(success_rate=rankings["configuration"].map(rates).astype(float))
    return [
        _choice_figure(rows, str(metric), is_one_of_many=rankings["metric"].nunique() > 1)
        for metric, rows in told.dropna(subset="counted_mean").groupby("metric", sort=False)
    ]


def _choice_figure(rows: pd.DataFrame, metric: str, is_one_of_many: bool) -> Figure:
    what = names.metric_name(metric)
    shared = list(dict.fromkeys(rows.loc[rows["ranking"] == _SHARED, "setting"]))
    at = f" ({names.one_line(shared[0])})" if len(shared) == 1 else ""
    title = "At a shared setting, and each at its own best"
    caption = (
        f"Mean {what} of each initializer, failures counted: a ring at the setting that is best "
        f"for all on the average{at}, a dot at its own best setting, with the interval over "
        f"finished replicates. A long line is an initializer that the shared setting treats badly."
    )
    data = _choice_data(rows)
    if data["aside"].ne("").any():
        caption += " Initializers that never learned are listed, not plotted."
    if rows["same_data"].any():
        caption += (
            " Settings were chosen on the data that is shown, which flatters the dots; "
            "a test part would mend that."
        )
    name = f"choices_{metric}" if is_one_of_many else "choices"
    panels = list(dict.fromkeys(rows["problem"]))
    spec = finish(_choice_chart(data, what, metric, panels), title, "")
    return Figure(name, title, caption, spec, len(panels) if len(panels) > 1 else None)


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
    return ~learned if learned.any() else pd.Series(False, rows.index)


def _choice_chart(data: pd.DataFrame, what: str, metric: str, panels: list[str]) -> alt.Chart:
    order = _by_own_best(data, lower_is_better(metric))
    log = lower_is_better(metric) and bool((data["value"].dropna() > 0).all())
    scale = value_scale(data["value"], log and data["value"].max() > 10 * data["value"].min())
    y = alt.Y("title:N", title=None, sort=order[:MAX_ROWS], axis=row_axis())
    base = alt.Chart().encode(y=y)

    def x(column: str) -> alt.X:
        return alt.X(f"{column}:Q", title=what, scale=scale, axis=alt.Axis(tickCount=TICK_COUNT))

    told = [
        alt.Tooltip("title:N", title="initializer"),
        "ranking:N",
        "setting:N",
        alt.Tooltip("value:Q", title=what, format=".4~g"),
    ]
    dots = base.encode(x=x("value"), tooltip=told, **_rings_and_dots())
    own_dots = dots.transform_filter("datum.ranking == 'own best'")
    shared_rings = dots.transform_filter("datum.ranking == 'shared'")
    own = base.transform_filter("datum.ranking == 'own best'")
    chart: alt.LayerChart = alt.layer(
        base.mark_line(color=MUTED, strokeWidth=1.5).encode(x=x("value"), detail="title:N"),
        own.mark_rule(strokeWidth=2, color=PALETTE[0]).encode(x=x("low"), x2="high:Q"),
        own_dots.mark_point(size=50, strokeWidth=2, opacity=1),
        shared_rings.mark_point(size=150, strokeWidth=2, opacity=1),
        *aside_layers(base),
    )
    height = max(_ROW_HEIGHT * len(order[:MAX_ROWS]), 60)
    if len(panels) == 1:
        return chart.properties(data=csv_data(data), width=_WIDTH, height=height)
    return chart.properties(width=_WIDTH // 2, height=height).facet(
        facet=panel_facet("panel", panels), columns=2, data=csv_data(data)
    )


def _rings_and_dots() -> dict[str, Any]:
    """Returns the channels that make a ring of what is shared and a dot of each one's own best."""

    def looks(values: list[Any]) -> dict[str, Any]:
        scale = alt.Scale(domain=[_SHARED, _OWN], range=values)
        return {"scale": scale, "legend": bottom_legend([_SHARED, _OWN], _WIDTH)}

    return {
        "fill": alt.Fill("ranking:N", **looks(["transparent", PALETTE[0]])),
        "stroke": alt.Stroke("ranking:N", **looks([MUTED, PALETTE[0]])),
    }


def _by_own_best(data: pd.DataFrame, lower: bool) -> list[str]:
    own = data[data["ranking"] == _OWN].groupby("title", sort=False)["order"].mean()
    return [str(title) for title in own.sort_values(ascending=lower, kind="stable").index]
