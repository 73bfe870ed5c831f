"""Every replicate's final score as a point, and how many replicates came to which end."""

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd

from runner.records import lower_is_better
from runner.report import names
from runner.report.figures.theme import (
    GRID,
    INK,
    LOST,
    MUTED,
    Figure,
    Series,
    color,
    csv_data,
    finish,
    value_scale,
)
from runner.report.results import Results
from runner.report.tables import endpoints, replicate_name
from runner.report.verdict import Cell, Standing, rank

MAX_ROWS = 40
_WIDTH, _ROW_HEIGHT = 560, 30
# Neighbouring points are moved apart by the golden ratio: even, and the same every time.
_GOLDEN_RATIO = 0.618034

_STATUS_COLORS = {
    "finished": "#7aa6c9",
    "diverged": LOST,
    "failed": INK,
    "interrupted": "#ffa90e",
    "missing": "#d5dbe1",
}


def score_figures(
    results: Results, cells: Sequence[Cell], series: Sequence[Series], note: str
) -> list[Figure]:
    """Returns one figure per endpoint in which any replicate finished.

    Args:
      results: The sweep.
      cells: Its comparison.
      series: How each series is drawn.
      note: Over which replicates the means are.
    """
    groups: dict[tuple[str, str], list[Standing]] = {}
    for cell in cells:
        for standing in cell.standings:
            record = standing.record
            groups.setdefault((record.endpoint, record.endpoint_at), []).append(standing)
    trained = [standing.record for standings in groups.values() for standing in standings]
    points = results.replicates.assign(score=endpoints(trained, results.replicates))
    return [
        _scores(standings, points.dropna(subset="score"), series, note, len(groups) > 1)
        for standings in groups.values()
        if any(standing.score.count for standing in standings)
    ]


def _scores(
    standings: Sequence[Standing],
    points: pd.DataFrame,
    series: Sequence[Series],
    note: str,
    several: bool,
) -> Figure:
    ranked = rank(standings)
    rows = ranked[:MAX_ROWS]
    endpoint = rows[0].record.endpoint
    metric = names.endpoint_name(rows[0].record)
    off_axis = _off_axis(rows)
    on_axis = [standing for standing in rows if standing.record.index not in off_axis]
    data = pd.concat([_points(on_axis, points), _means(rows, off_axis)], ignore_index=True)
    order = [standing.name.title for standing in rows]
    shown = [item for item in series if item.name in {s.name.series for s in rows}]
    chart = _strip(data, order, shown, metric, _is_log(endpoint, data["score"]))
    caption = (
        f"Each point is the {metric} of one replicate; the bar is the mean with its interval, "
        f"best first; {note}."
    )
    if data["lost"].any():
        caption += " Replicates that did not finish have no score: they are counted at the right."
    if off_axis:
        caption += " What never learned is told in words and left out of the axis."
    if len(ranked) > MAX_ROWS:
        caption += f" The best {MAX_ROWS} of {len(ranked)} configurations are drawn."
    title = metric[0].upper() + metric[1:]
    name = f"scores_{endpoint}" if several else "scores"
    return Figure(name, title, caption, finish(chart, title, note))


def _off_axis(rows: Sequence[Standing]) -> set[int]:
    """Returns the configurations that would stretch the axis: none learned where others have."""
    scored = [standing for standing in rows if standing.score.count]
    unlearned = {s.record.index for s in scored if s.num_unlearned == s.score.count}
    return unlearned if len(unlearned) < len(scored) else set()


def _is_log(metric: str, scores: pd.Series) -> bool:
    if not lower_is_better(metric) or not (scores.dropna() > 0).all():
        return False
    return bool(scores.max() > 10 * scores.min())


def _points(rows: Sequence[Standing], points: pd.DataFrame) -> pd.DataFrame:
    by = {standing.record.index: standing.name for standing in rows}
    mine = points[points["configuration"].isin(by)]
    place = mine.groupby("configuration").cumcount()
    seeds = zip(mine["weight_seed"], mine["batch_seed"], strict=True)
    return pd.DataFrame(
        {
            "title": [by[index].title for index in mine["configuration"]],
            "series_name": [by[index].series for index in mine["configuration"]],
            "kind": "replicate",
            "score": mine["score"].to_numpy(float),
            "offset": ((place * _GOLDEN_RATIO) % 1 - 0.5).to_numpy(float),
            "text": [replicate_name(*pair) for pair in seeds],
        }
    )


def _means(rows: Sequence[Standing], off_axis: set[int]) -> pd.DataFrame:
    def shown(standing: Standing, value: float) -> float:
        return math.nan if standing.record.index in off_axis else value

    return pd.DataFrame(
        {
            "title": [standing.name.title for standing in rows],
            "series_name": [standing.name.series for standing in rows],
            "kind": "mean",
            "score": [shown(standing, standing.score.mean) for standing in rows],
            "low": [shown(standing, standing.score.low) for standing in rows],
            "high": [shown(standing, standing.score.high) for standing in rows],
            "text": [
                names.coverage(standing.record.num_replicates, standing.statuses)
                for standing in rows
            ],
            "lost": [_lost_text(_lost(standing)) for standing in rows],
            "aside": [
                f"never learned: {names.significant(standing.score.mean)}"
                if standing.record.index in off_axis
                else ""
                for standing in rows
            ],
        }
    )


def _lost(standing: Standing) -> dict[str, int]:
    return names.lost(standing.record.num_replicates, standing.statuses)


def _lost_text(counts: dict[str, int]) -> str:
    told = [f"{n} {status}" for status, n in counts.items()]
    return f"✕ {', '.join(told)}" if told else ""


def _strip(
    data: pd.DataFrame, order: list[str], series: Sequence[Series], metric: str, is_log: bool
) -> alt.LayerChart:
    def x(column: str) -> alt.X:
        scale = value_scale(data["score"], is_log)
        return alt.X(f"{column}:Q", title=metric, scale=scale, axis=alt.Axis(tickCount=6))

    axis = alt.Axis(grid=True, gridColor=GRID, labelColor=INK, labelFontSize=12)
    base = alt.Chart().encode(y=alt.Y("title:N", title=None, sort=order, axis=axis))
    points = base.transform_filter("datum.kind == 'replicate'").encode(
        x=x("score"),
        yOffset=alt.YOffset("offset:Q", scale=alt.Scale(domain=[-1, 1])),
        color=color(series, legend=False),
        tooltip=["title:N", alt.Tooltip("text:N", title="replicate"), _score_tooltip(metric)],
    )
    scored = "datum.kind == 'mean' && isValid(datum.score)"
    means = base.transform_filter(scored).encode(
        tooltip=[
            "title:N",
            _score_tooltip(f"mean {metric}"),
            alt.Tooltip("low:Q", title="interval from", format=".4~g"),
            alt.Tooltip("high:Q", title="to", format=".4~g"),
            alt.Tooltip("text:N", title="replicates"),
        ]
    )
    lost = base.transform_filter("isValid(datum.lost)")
    aside = base.transform_filter("isValid(datum.aside)")
    return alt.layer(
        points.mark_point(filled=True, size=45, fillOpacity=0.75, opacity=1),
        means.mark_rule(strokeWidth=2, color=INK).encode(x=x("low"), x2="high:Q"),
        means.mark_tick(thickness=3, size=16, color=INK).encode(x=x("score")),
        lost.mark_text(align="left", dx=8, color=LOST, fontWeight="bold").encode(
            x=alt.value("width"), text="lost:N"
        ),
        aside.mark_text(align="left", dx=8, color=MUTED, fontStyle="italic").encode(
            x=alt.value(0), text="aside:N"
        ),
        data=csv_data(data),
    ).properties(width=_WIDTH, height=max(_ROW_HEIGHT * len(order), 60))


def _score_tooltip(title: str) -> alt.Tooltip:
    return alt.Tooltip("score:Q", title=title, format=".4~g")


def status_figures(results: Results, cells: Sequence[Cell]) -> list[Figure]:
    """Returns the counts of statuses as a figure, if any replicate did not finish."""
    standings = [standing for cell in cells for standing in cell.standings]
    touched = [standing for standing in standings if _lost(standing)]
    if not touched:
        return []
    rows = standings if len(standings) <= MAX_ROWS else touched[:MAX_ROWS]
    data = pd.DataFrame(
        [
            {"title": s.name.title, "status": status, "count": count, "place": place}
            for s in rows
            for place, status in enumerate(_STATUS_COLORS)
            if (count := ({"finished": s.score.count} | _lost(s)).get(status, 0))
        ]
    )
    used = [status for status in _STATUS_COLORS if status in set(data["status"])]
    chart = _bars(data, used, [standing.name.title for standing in rows])
    caption = "How the replicates of each configuration ended."
    if len(rows) < len(standings):
        caption += f" {len(rows)} of {len(standings)} configurations are drawn."
    title = "How the replicates ended"
    return [Figure("statuses", title, caption, finish(chart, title, ""))]


def _bars(data: pd.DataFrame, used: list[str], order: list[str]) -> alt.Chart:
    colors = alt.Scale(domain=used, range=[_STATUS_COLORS[status] for status in used])
    axis = alt.Axis(labelColor=INK, labelFontSize=12)
    return (
        alt.Chart(csv_data(data))
        .mark_bar(height={"band": 0.65})
        .encode(
            x=alt.X("count:Q", title="replicates", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("title:N", title=None, sort=order, axis=axis),
            color=alt.Color("status:N", scale=colors, legend=alt.Legend(title=None, orient="top")),
            order="place:Q",
            tooltip=[alt.Tooltip("title:N"), alt.Tooltip("status:N"), alt.Tooltip("count:Q")],
        )
        .properties(width=_WIDTH, height=max(24 * len(order), 60))
    )
