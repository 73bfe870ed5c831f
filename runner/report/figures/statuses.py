"""How many replicates of each configuration came to which end."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from runner.report import names
from runner.report.figures.theme import (
    INK,
    LOST,
    MAX_ROWS,
    Figure,
    bottom_legend,
    csv_data,
    finish,
    row_axis,
    whole_axis,
)
from runner.report.verdict import Cell, Standing

_WIDTH, _ROW_HEIGHT = 560, 24
_COLORS = {
    "finished": "#7aa6c9",
    "diverged": LOST,
    "failed": INK,
    "interrupted": "#ffa90e",
    "missing": "#d5dbe1",
}


def status_figures(cells: Sequence[Cell]) -> list[Figure]:
    """Returns the counts of statuses as a figure, if any replicate did not finish.

    Args:
      cells: The comparison.
    """
    standings = [standing for cell in cells for standing in cell.standings]
    touched = [standing for standing in standings if _lost(standing)]
    if not touched:
        return []
    rows = standings if len(standings) <= MAX_ROWS else touched[:MAX_ROWS]
    title = "How the replicates ended"
    caption = "How the replicates of each configuration ended."
    if len(rows) < len(standings):
        caption += f" {len(rows)} of {len(standings)} configurations are drawn."
    return [Figure("statuses", title, caption, finish(_chart(rows), title, ""))]


def _lost(standing: Standing) -> dict[str, int]:
    return names.lost(standing.record.num_replicates, standing.statuses)


def _chart(rows: Sequence[Standing]) -> alt.Chart:
    data = pd.DataFrame(
        [
            {"title": row.name.short_title, "status": status, "count": count, "place": place}
            for row in rows
            for place, status in enumerate(_COLORS)
            if (count := ({"finished": row.score.count} | _lost(row)).get(status, 0))
        ]
    )
    used = [status for status in _COLORS if status in set(data["status"])]
    scale = alt.Scale(domain=used, range=[_COLORS[status] for status in used])
    heading = names.row_heading(row.name for row in rows)
    most = int(data.groupby("title")["count"].sum().max())
    order = [row.name.short_title for row in rows]
    return (
        alt.Chart(csv_data(data))
        .mark_bar(height={"band": 0.65})
        .encode(
            x=alt.X("count:Q", title="replicates", axis=whole_axis(0, most)),
            y=alt.Y("title:N", title=heading, sort=order, axis=row_axis()),
            color=alt.Color("status:N", scale=scale, legend=bottom_legend(used, _WIDTH)),
            order="place:Q",
            tooltip=["title:N", "status:N", "count:Q"],
        )
        .properties(width=_WIDTH, height=max(_ROW_HEIGHT * len(order), 60))
    )
