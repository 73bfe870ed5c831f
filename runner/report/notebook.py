"""Results in a notebook: what a cell shows of them, and the questions that people ask first."""

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from rich.console import Console

from runner import tasks
from runner.report import results
from runner.report.comparison import Comparison, compare
from runner.report.questions import take_home
from runner.report.questions.differences import differences_table
from runner.report.render.console import answer, view
from runner.report.sweep import Sweep
from runner.report.table import Table

_MAX_ROWS = 12
_LEFT_OUT = ("median", "std")
_WIDTH = 100
_FORMATS = (".html", ".md", ".tex", ".json")


@dataclass(frozen=True, repr=False, eq=False)
class Results(results.Results):
    """The frames of `runner.report.results.Results`, and what they say.

    A cell of a notebook that ends with it shows the verdict and the table.

    Attributes:
      folders: Where the records lie.
      Other attributes: see `runner.report.results.Results`.
    """

    folders: tuple[Path, ...] = ()

    @cached_property
    def _sweep(self) -> Sweep:
        return Sweep(self, draws=False)

    @cached_property
    def _comparison(self) -> Comparison:
        return compare(self)

    @property
    def verdict(self) -> str:
        """The answer in a sentence or two."""
        return self._comparison.headline

    @property
    def differences(self) -> pd.DataFrame:
        """`differences.csv`: each configuration to its reference, seed by seed."""
        return differences_table(self._sweep)

    def plot(self, metric: str | None = None) -> Any:
        """Returns mean curves with their interval bands, by initializer, as an Altair chart.

        Args:
          metric: Such as `"loss"`; None for the endpoint's.

        Raises:
          ValueError: There is no such metric.
        """
        from runner.report.questions.curves import curve_figures

        sweep = self._sweep
        wanted = metric or (sweep.trained[0].endpoint if sweep.trained else "")
        figures = curve_figures(self, sweep.names, sweep.series, sweep.coverage)
        found = {figure.name.partition("_")[2]: figure.spec for figure in figures}
        if (plain := tasks.parted(wanted)[1]) not in found:
            told = ", ".join(found) or "none"
            raise ValueError(f"`metric` must be one of {told}. Received: {wanted!r}.")
        return chart(found[plain])

    def report(self, path: Path | str) -> Path:
        """Writes the report into one file, which needs no other; returns the file.

        Args:
          path: Its name ends with `.html`, `.md`, `.tex`, or `.json` for programs.

        Raises:
          ValueError: The name ends with something else.
          OSError: It cannot be written.
        """
        from runner.report.files import write
        from runner.report.render.svg import drawing

        place = Path(path).expanduser()
        if place.suffix not in _FORMATS:
            rule = f"a file whose name ends with {', '.join(_FORMATS)}"
            raise ValueError(f"`path` must be {rule}. Received: {str(path)!r}.")
        with TemporaryDirectory() as folder, drawing(figures=True) as drawer:
            write(self, Path(folder), drawer)
            shutil.copyfile(Path(folder, f"report{place.suffix}"), place)
        return place

    def __repr__(self) -> str:
        return as_text(view(self._comparison), answer(self._comparison))

    def _repr_html_(self) -> str:
        told = self._comparison
        lines = [told.title, told.conditions, told.headline]
        texts = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
        cautions = "".join(f"<li>{escape(caution)}</li>" for caution in told.cautions)
        home = take_home.ask(self._sweep)
        code = f"<p>{escape(home.note)}</p><pre>{escape(home.code)}</pre>" if home else ""
        return f"<div>{texts}{as_html(told.ranking)}<ul>{cautions}</ul>{code}</div>"


def chart(spec: Any) -> Any:
    """Returns a figure of a report as an Altair chart that can be moved and zoomed."""
    import altair

    switched = [
        p | {"value": True} if p["name"] == "interactive" else p for p in spec.get("params", ())
    ]
    return altair.Chart.from_dict(spec | {"params": switched})


def as_text(*parts: Any) -> str:
    """Returns what rich prints of some parts, as plain text."""
    text = io.StringIO()
    console = Console(file=text, width=_WIDTH, color_system=None)
    for part in parts:
        console.print(part, markup=False)
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())


def as_html(table: Table) -> str:
    """Returns the first rows of a table as HTML."""
    shown = [place for place, title in enumerate(table.columns) if title not in _LEFT_OUT]
    head = "".join(f"<th>{escape(table.columns[place])}</th>" for place in shown)
    rows = [
        "".join(f"<td>{escape(row[place].text)}</td>" for place in shown)
        for row in table.rows[:_MAX_ROWS]
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    rest = len(table.rows) - len(rows)
    more = f"<p>{rest} more rows: see the report.</p>" if rest else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def shown(found: results.Results, folders: Sequence[Path] = ()) -> Results:
    """Returns results as a notebook shows them.

    Args:
      found: The results.
      folders: Where their records lie.
    """
    named = {field.name: getattr(found, field.name) for field in fields(found)}
    return Results(**named, folders=tuple(folders))
