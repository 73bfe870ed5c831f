"""How far training moved each parameter."""

from collections.abc import Callable, Mapping

import pandas as pd

from runner.report import names
from runner.report.answer import Answer, blocks
from runner.report.names import Name
from runner.report.render.charts import first_of
from runner.report.render.heat_map import HeatMap, heat_map_figure
from runner.report.render.theme import MAX_ROWS, Figure
from runner.report.sweep import Sweep
from runner.report.table import Entry, Row, Table, tabulated, title, value
from runner.report.tables import movement_medians

# A table wider than this is not read; the figure shows the same.
_MAX_PARAMETERS = 16


def ask(sweep: Sweep) -> Answer:
    """What did training move?"""
    medians = movement_medians(sweep.results.replicates, sweep.results.movement)
    if len(medians):
        medians = sweep.ordered(medians.reset_index()).set_index("configuration")
    return Answer(
        "movement",
        "What training moved",
        figures=sweep.drawn(movement_figures, medians, sweep.names),
        blocks=blocks(
            movement(medians, sweep.names),
            title="In numbers: median root mean square change",
            csv="movement.csv",
            folded=True,
        ),
    )


def movement(medians: pd.DataFrame, by: Mapping[int, Name]) -> Table | None:
    """Returns the median change of each parameter, or None where there is none to show."""
    if len(medians.columns) > _MAX_PARAMETERS:
        return None
    parameters = [str(column) for column in medians.columns]
    return tabulated(
        medians.reset_index(),
        [("configuration", title(by)), *((name, _moved(name)) for name in parameters)],
    )


def _moved(parameter: str) -> Callable[[Row], Entry]:
    def entry(row: Row) -> Entry:
        moved = value(row, parameter)
        if moved == 0:
            return Entry("did not move", 0.0, "muted")
        return Entry(names.significant(moved, 3), moved)

    return entry


def movement_figures(medians: pd.DataFrame, by: Mapping[int, Name]) -> list[Figure]:
    """Returns how far training moved each parameter, if anything was trained; see `movement`."""
    if medians.empty:
        return []
    rows = medians.iloc[:MAX_ROWS]
    long = rows.reset_index().melt("configuration", var_name="parameter").dropna()
    cells = pd.DataFrame(
        {
            "row": [by[index].short_title for index in long["configuration"]],
            "column": long["parameter"],
            "value": long["value"].where(long["value"] > 0),
            "text": [names.power(v, 2) if v > 0 else "0" for v in long["value"]],
            "hint": ["" if v > 0 else "did not move" for v in long["value"]],
        }
    )
    heat_map = HeatMap(
        cells=cells,
        columns=list(medians.columns),
        legend="root mean square change",
        scheme="blues",
        y_title=names.row_heading(by.values()),
    )
    caption = (
        "Root mean square of the change of each trainable parameter between epoch 0 and the last "
        "epoch, median over finished replicates, on a logarithmic colour scale. Grey: it did not "
        "move at all."
    )
    caption += first_of(len(rows), len(medians), " configurations")
    return [heat_map_figure("movement", "How far each parameter moved", caption, heat_map)]
