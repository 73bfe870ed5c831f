"""What did not finish, or finished without having learned, and why."""

from collections.abc import Mapping, Sequence

import pandas as pd

from runner.report import names
from runner.report.answer import Answer, blocks
from runner.report.names import Name
from runner.report.render.charts import rows, tall, word_colors
from runner.report.render.theme import INK, LOST, MAX_ROWS, Figure, csv_data, finish, whole_axis
from runner.report.render.vegalite import View, channel
from runner.report.results import Results
from runner.report.sweep import Sweep
from runner.report.table import Entry, Row, Table, count, part_of, share, tabulated, text, title
from runner.report.tables import replicate_name
from runner.report.verdict import Standing

_TITLE = "How the replicates ended"
_COLORS = {
    "finished": "#7aa6c9",
    "diverged": LOST,
    "failed": INK,
    "interrupted": "#ffa90e",
    "missing": "#d5dbe1",
}


def ask(sweep: Sweep) -> Answer:
    """What failed, how often and why?"""
    success = success_block(sweep.ordered(sweep.success), sweep.names)
    return Answer(
        "failures",
        "Failures",
        figures=sweep.drawn(status_figures, sweep.standings),
        blocks=[
            *blocks(success, csv="success.csv"),
            *blocks(failures(sweep.results), title="What happened"),
        ],
        tables={"success.csv": sweep.success},
    )


def success_block(frame: pd.DataFrame, by: Mapping[int, Name]) -> Table | None:
    """Returns how often each configuration trained, or None if all did."""
    if frame.empty or (frame["num_succeeded"] == frame["num_asked"]).all():
        return None
    return tabulated(
        frame,
        [
            ("configuration", title(by)),
            ("trained", part_of("num_succeeded", "num_ended")),
            ("success rate", share("success_rate", "ci_low", "ci_high")),
            ("diverged", count("num_diverged")),
            ("never learned", count("num_unlearned")),
            ("failed", count("num_failed")),
            *([("before training", text("start"))] if frame["start"].any() else []),
        ],
    )


def failures(results: Results) -> Table | None:
    """Returns what went wrong and why, or None if nothing did."""
    return tabulated(
        results.failures,
        [
            ("configuration", title(results.names)),
            ("replicate", _replicate),
            ("status", text("status", "bad")),
            ("when", _when),
            ("why", text("reason")),
        ],
    )


def _replicate(row: Row) -> Entry:
    whole = pd.isna(row["weight_seed"])
    return Entry("all" if whole else replicate_name(row["weight_seed"], row["batch_seed"]))


def _when(row: Row) -> Entry:
    return Entry("" if pd.isna(row["epoch"]) else f"epoch {row['epoch']}, step {row['step']}")


def status_figures(standings: Sequence[Standing]) -> list[Figure]:
    """Returns the counts of statuses as a figure, if any replicate did not finish."""
    touched = [standing for standing in standings if _lost(standing)]
    if not touched:
        return []
    drawn = standings if len(standings) <= MAX_ROWS else touched[:MAX_ROWS]
    caption = "How the replicates of each configuration ended."
    if len(drawn) < len(standings):
        caption += f" {len(drawn)} of {len(standings)} configurations are drawn."
    counts = {
        standing.name.short_title: ", ".join(f"{n} {word}" for word, n in _lost(standing).items())
        for standing in touched[:MAX_ROWS]
    }
    seen = "; ".join(f"{title}: {told}" for title, told in counts.items())
    return [Figure("statuses", _TITLE, caption, finish(_chart(drawn), _TITLE, "", f"{seen}."))]


def _lost(standing: Standing) -> dict[str, int]:
    return names.lost(standing.record.num_replicates, standing.statuses)


def _chart(drawn: Sequence[Standing]) -> View:
    data = pd.DataFrame(
        [
            {"title": row.name.short_title, "status": status, "count": count, "place": place}
            for row in drawn
            for place, status in enumerate(_COLORS)
            if (count := ({"finished": row.score.count} | _lost(row)).get(status, 0))
        ]
    )
    heading = names.row_heading(row.name for row in drawn)
    most = int(data.groupby("title")["count"].sum().max())
    chart = (
        View(data=csv_data(data))
        .mark("bar", height={"band": 0.65})
        .encode(
            x=channel("count:Q", title="replicates", axis=whole_axis(0, most)),
            y=rows([row.name.short_title for row in drawn], heading),
            color=word_colors("status", _COLORS, data["status"]),
            order=channel("place:Q"),
            tooltip=[channel("title:N"), channel("status:N"), channel("count:Q")],
        )
    )
    return tall(chart, len(drawn))
