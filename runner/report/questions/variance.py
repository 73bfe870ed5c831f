"""Where the variance comes from, when seeds of weights and batches are crossed."""

from collections.abc import Mapping

import pandas as pd

from runner.report import names
from runner.report.answer import Answer, blocks, overall
from runner.report.names import Name
from runner.report.render.charts import rows, tall, tooltips, word_colors
from runner.report.render.theme import GRID, MAX_ROWS, PALETTE, Figure, csv_data, finish
from runner.report.render.vegalite import View, channel
from runner.report.statistics import crossed, paired
from runner.report.sweep import Sweep
from runner.report.table import Column, Table, number, p_value, share, tabulated, title

_TITLES = {
    "weights": "initial weights",
    "batches": "order of the data",
    "residual": "both together",
}
_COLORS = dict(zip(_TITLES.values(), (PALETTE[0], PALETTE[1], GRID), strict=True))


def ask(sweep: Sweep) -> Answer:
    """Is it the luck of the weights, or that of the order of the data?"""
    variance = variance_table(sweep)
    return Answer(
        "variance",
        "Luck of the weights, luck of the order",
        sentences=overall([sentence(variance, sweep.confidence)]),
        figures=sweep.drawn(variance_figures, sweep.ordered(variance), sweep.names),
        blocks=blocks(variance_block(sweep.ordered(variance), sweep.names), csv="variance.csv"),
        tables={"variance.csv": variance},
    )


def variance_table(sweep: Sweep) -> pd.DataFrame:
    """Returns `variance.csv`: one row a configuration and source of variance.

    Columns `configuration, init, <factors>, metric`, then those of `crossed.variance_components`.
    Over the finished replicates; seeds of which one is missing are left out.
    """
    blocks = []
    for record in sweep.trained:
        if record.index in sweep.scores.crossed:
            grid = sweep.scores.finished[record.index].dropna().unstack()
            parts = crossed.variance_components(grid.to_numpy(float))
            blocks.append(parts.assign(configuration=record.index, metric=record.endpoint))
    return sweep.keyed(blocks, ["metric", *crossed.COMPONENTS])


def variance_block(frame: pd.DataFrame, by: Mapping[int, Name]) -> Table | None:
    """Returns the shares of the variance, or None where seeds are not crossed."""
    if frame.empty:
        return None
    wide = frame.pivot_table(
        ["share", "std", "p_value"], "configuration", "source", dropna=False, sort=False
    )
    wide.columns = pd.Index([f"{name[1]}_{name[0]}" for name in wide.columns])
    sources = [s for s in ("weights", "batches", "residual") if f"{s}_share" in wide]
    columns: list[Column] = [("configuration", title(by))]
    for source in sources:
        columns.append((f"{source}, share", share(f"{source}_share")))
        columns.append((f"{source}, std", number(f"{source}_std", 4)))
        if f"{source}_p_value" in wide and wide[f"{source}_p_value"].notna().any():
            columns.append((f"{source}, p", p_value(f"{source}_p_value")))
    return tabulated(wide.reset_index(), columns)


def sentence(table: pd.DataFrame, confidence: float) -> str:
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


def variance_figures(variance: pd.DataFrame, by: Mapping[int, Name]) -> list[Figure]:
    """Returns the shares of weights and batches in the variance, a bar for each configuration."""
    known = variance.dropna(subset="share")
    if known.empty:
        return []
    indices = list(dict.fromkeys(known["configuration"]))[:MAX_ROWS]
    shown = known[known["configuration"].isin(indices)]
    data = pd.DataFrame(
        {
            "title": [by[index].short_title for index in shown["configuration"]],
            "source": [_TITLES.get(str(source), str(source)) for source in shown["source"]],
            "place": [list(_TITLES).index(str(source)) for source in shown["source"]],
            "share": shown["share"].to_numpy(float),
            "std": shown["std"].to_numpy(float),
        }
    )
    chart = (
        View(data=csv_data(data))
        .mark("bar", height={"band": 0.65})
        .encode(
            x=channel("share:Q", title="share of the variance", axis=dict(format="%")),
            y=rows(data["title"].tolist(), names.row_heading(by.values())),
            color=word_colors("source", _COLORS, _COLORS),
            order=channel("place:Q"),
            tooltip=tooltips(
                ("title:N", "configuration"),
                ("source:N", "source"),
                ("share:Q", "share", ".0%"),
                ("std:Q", "standard deviation", ".3~g"),
            ),
        )
    )
    title = "Where the variance comes from"
    caption = (
        "Estimated shares of the variance of the endpoint that come from the seeds of the initial "
        "weights and from those of the order of the data (crossed seeds); the rest is their "
        "interaction."
    )
    means = data.groupby("source", sort=False)["share"].mean()
    told = ", ".join(f"{source} {share:.0%}" for source, share in means.items())
    seen = f"Shares, means over configurations: {told}."
    return [Figure("variance", title, caption, finish(tall(chart, len(indices)), title, "", seen))]
