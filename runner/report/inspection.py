"""Models before any training, in a notebook: what was measured, and what would help."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import pandas as pd

from runner.report.notebook import Results, as_html, as_text, chart
from runner.report.questions.propagation import propagation_figures, starts, verdicts
from runner.report.render.console import rich_table
from runner.report.sweep import Sweep
from runner.report.table import Table

_NOTE = "z: pre-activations, h: activations, w: kernel entries; means over seeds."
# A cell shows the layers of so many configurations.
_MAX_SHOWN = 4


@dataclass(frozen=True, repr=False)
class Inspection:
    """Step 0 of one or several initializers.

    Attributes:
      results: All records, as frames too: `results.propagation` has a row per seed, layer and
        quantity.
    """

    results: Results

    @cached_property
    def _sweep(self) -> Sweep:
        return Sweep(self.results, draws=True)

    @property
    def verdicts(self) -> pd.DataFrame:
        """One row a configuration: its verdict, why, and what would help."""
        found = verdicts(self._sweep)
        if found is None:
            return pd.DataFrame(columns=["configuration", "verdict", "why", "what would help"])
        order = [name.title for _, name in sorted(self.results.names.items())]
        return _frame(found).sort_values("configuration", key=lambda c: c.map(order.index))

    @property
    def verdict(self) -> str:
        """A line for each configuration."""
        rows = self.verdicts.to_dict("records")
        return "\n".join(f"{r['configuration']} is {r['verdict']}: {r['why']}." for r in rows)

    @property
    def advice(self) -> str:
        """What would help those that are not healthy; empty where all are."""
        rows = self.verdicts.to_dict("records")
        found = [(r["configuration"], r["what would help"]) for r in rows if r["what would help"]]
        return "\n".join(f"{name}: {text}" for name, text in found)

    @property
    def table(self) -> pd.DataFrame:
        """One row per configuration, layer and quantity: means over seeds."""
        frame = self.results.propagation
        keys = ["configuration", "init", "layer_index", "layer", "quantity"]
        means = frame.groupby(keys, sort=False, as_index=False)[["measured", "predicted"]].mean()
        return means.sort_values(["configuration", "layer_index"], kind="stable", ignore_index=True)

    def plot(self) -> Any:
        """Returns the variance of signal and gradient through the layers, as an Altair chart.

        Raises:
          ValueError: Nothing could be measured.
        """
        figures = propagation_figures(self._sweep)
        if not figures:
            raise ValueError("Nothing could be measured before training; the log says why.")
        return chart(figures[0].spec)

    def _tables(self) -> list[tuple[str, Table]]:
        """Returns what a cell shows, with titles."""
        judged = verdicts(self._sweep)
        found = [] if judged is None else [("Before training", judged)]
        for choice in starts(self._sweep)[:_MAX_SHOWN]:
            found += [(f"{choice.title}: {b.title}", b.table) for b in choice.blocks]
        return found

    def __repr__(self) -> str:
        parts: list[Any] = []
        for title, table in self._tables():
            parts += [title, rich_table(table), ""]
        return as_text(*parts, _NOTE)

    def _repr_html_(self) -> str:
        shown = "".join(f"<p><b>{escape(t)}</b></p>{as_html(table)}" for t, table in self._tables())
        return f"<div>{shown}<p>{escape(_NOTE)}</p></div>"


def _frame(table: Table) -> pd.DataFrame:
    rows: Sequence[Any] = [[entry.text for entry in row] for row in table.rows]
    return pd.DataFrame(rows, columns=list(table.columns))
