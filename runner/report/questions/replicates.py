"""Every replicate's final score as a point beside the mean of its configuration."""

import math
from collections.abc import Sequence

import pandas as pd

from runner.records import bounds, lower_is_better
from runner.report import names
from runner.report.answer import Answer
from runner.report.render import theme
from runner.report.render.charts import aside_note, rows, spans_decades, tall, tooltips
from runner.report.render.vegalite import Spec, View, channel, layer
from runner.report.scores import comparable
from runner.report.sweep import Sweep
from runner.report.tables import endpoints, replicate_name
from runner.report.verdict import Standing, rank

_ROW_HEIGHT = 30
# Neighbouring points are moved apart by the golden ratio: even, and the same every time.
_GOLDEN_RATIO = 0.618034


def ask(sweep: Sweep) -> Answer:
    """How do the replicates of each configuration scatter?"""
    return Answer("scores", "Every replicate", figures=sweep.drawn(score_figures, sweep))


def score_figures(sweep: Sweep) -> list[theme.Figure]:
    """Returns one figure per endpoint in which any replicate finished."""
    groups: dict[tuple[str, str], list[Standing]] = {}  # by the metric and where it is taken
    for standing in sweep.standings:
        groups.setdefault(comparable(standing.record)[:2], []).append(standing)
    trained = [standing.record for standings in groups.values() for standing in standings]
    replicates = sweep.results.replicates
    points = replicates.assign(score=endpoints(trained, replicates)).dropna(subset="score")
    return [
        _figure(
            f"scores_{endpoint}_{at}" if len(groups) > 1 else "scores",
            standings,
            points,
            sweep,
        )
        for (endpoint, at), standings in groups.items()
        if any(standing.score.count for standing in standings)
    ]


def _figure(
    name: str, standings: Sequence[Standing], points: pd.DataFrame, sweep: Sweep
) -> theme.Figure:
    best = {standing.record.index for standing in rank(standings)[: theme.MAX_ROWS]}
    drawn = [standing for standing in standings if standing.record.index in best]
    off_axis = _off_axis(drawn)
    on_axis = [standing for standing in drawn if standing.record.index not in off_axis]
    data = pd.concat([_points(on_axis, points), _means(drawn, off_axis)], ignore_index=True)
    metric = names.endpoint_name(drawn[0].record)
    title = f"{metric[0].upper()}{metric[1:]} of every replicate"
    is_bounded = math.isfinite(bounds(drawn[0].record.endpoint)[1])
    cut = " (cut at 0 and 1)" if is_bounded else ""
    caption = (
        f"Each point is the {metric} of one replicate, the bar the mean with its Student t "
        f"interval{cut}, in the order of the ranking; {sweep.coverage}."
    )
    if data["lost"].any():
        caption += " Replicates that did not finish have no score: they are counted at the right."
    caption += aside_note(data)
    if len(drawn) < len(standings):
        caption += f" The best {len(drawn)} of {len(standings)} configurations are drawn."
    means = pd.Series({s.name.short_title: s.score.mean for s in drawn if s.score.count})
    seen = f"Mean {metric}: {theme.extremes(means, lower_is_better(drawn[0].record.endpoint))}."
    chart = _chart(data, drawn, sweep.series)
    return theme.Figure(name, title, caption, theme.finish(chart, title, sweep.coverage, seen))


def _off_axis(drawn: Sequence[Standing]) -> set[int]:
    """Returns the configurations that would stretch the axis: none learned where others have."""
    scored = [standing for standing in drawn if standing.score.count]
    unlearned = {s.record.index for s in scored if s.num_unlearned == s.score.count}
    return unlearned if len(unlearned) < len(scored) else set()


def _points(rows: Sequence[Standing], points: pd.DataFrame) -> pd.DataFrame:
    """Returns a row with `kind` "replicate" for each point."""
    by = {standing.record.index: standing.name for standing in rows}
    mine = points[points["configuration"].isin(by)]
    place = mine.groupby("configuration").cumcount()
    seeds = zip(mine["weight_seed"], mine["batch_seed"], strict=True)
    return pd.DataFrame(
        {
            "title": [by[index].short_title for index in mine["configuration"]],
            "series_name": [by[index].series for index in mine["configuration"]],
            "kind": "replicate",
            "score": mine["score"].to_numpy(float),
            "offset": ((place * _GOLDEN_RATIO) % 1 - 0.5).to_numpy(float),
            "text": [replicate_name(*pair) for pair in seeds],
        }
    )


def _means(rows: Sequence[Standing], off_axis: set[int]) -> pd.DataFrame:
    """Returns a row with `kind` "mean" for each configuration."""
    return pd.DataFrame(
        {
            "title": row.name.short_title,
            "kind": "mean",
            **dict.fromkeys(("score", "low", "high"), math.nan),
            **({} if aside else {"score": score.mean, "low": score.low, "high": score.high}),
            "text": names.coverage(row.record.num_replicates, row.statuses),
            "lost": f"✕ {', '.join(f'{n} {status}' for status, n in lost.items())}" if lost else "",
            "lost_count": f"✕ {sum(lost.values())}" if lost else "",
            "aside": f"never learned: {names.significant(score.mean)}" if aside else "",
        }
        for row in rows
        for score, aside in [(row.score, row.record.index in off_axis)]
        for lost in [names.lost(row.record.num_replicates, row.statuses)]
    )


def _chart(data: pd.DataFrame, drawn: Sequence[Standing], series: Sequence[theme.Series]) -> View:
    order = [standing.name.short_title for standing in drawn]
    metric = names.endpoint_name(drawn[0].record)
    is_log = spans_decades(data["score"], drawn[0].record.endpoint)
    scale = theme.value_scale(data["score"], is_log)

    def x(column: str) -> Spec:
        axis = dict(tickCount=theme.TICK_COUNT)
        return channel(f"{column}:Q", title=metric, scale=scale, axis=axis)

    base = View().encode(y=rows(order, names.row_heading(row.name for row in drawn)))
    points = base.filter("datum.kind == 'replicate'").encode(
        x=x("score"),
        yOffset=channel("offset:Q", scale=dict(domain=[-1, 1])),
        color=theme.color([s for s in series if s.name in set(data["series_name"])], legend=False),
        tooltip=tooltips(
            ("title:N", "configuration"), ("text:N", "replicate"), ("score:Q", metric, ".4~g")
        ),
    )
    means = base.filter("datum.kind == 'mean' && isValid(datum.score)").encode(
        tooltip=tooltips(
            ("title:N", "configuration"),
            ("score:Q", f"mean {metric}", ".4~g"),
            ("low:Q", "interval from", ".4~g"),
            ("high:Q", "to", ".4~g"),
            ("text:N", "replicates"),
        )
    )
    interval = means.mark("rule", strokeWidth=2, color=theme.INK).encode(
        x=x("low"), x2=channel("high")
    )
    lost = base.filter("isValid(datum.lost)").calculate(
        shown="narrow ? datum.lost_count : datum.lost"
    )
    layers = layer(
        points.mark("point", filled=True, size=45, fillOpacity=0.75, opacity=1),
        *([interval] if data["low"].notna().any() else []),
        means.mark("tick", thickness=3, size=16, color=theme.INK).encode(x=x("score")),
        lost.mark("text", align="left", dx=8, color=theme.LOST, fontWeight="bold").encode(
            x={"value": "width"}, text=channel("shown:N")
        ),
        *theme.aside_layers(base),
        data=theme.csv_data(data),
    )
    return tall(layers, len(order), _ROW_HEIGHT)
