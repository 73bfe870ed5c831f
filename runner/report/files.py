"""Writes a report's files into its results folder, each whole or not at all."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from runner.records import write_bytes, write_text
from runner.report.comparison import Comparison, compare
from runner.report.document import document
from runner.report.markdown import markdown
from runner.report.page import bundled_libraries, page
from runner.report.results import Results, load
from runner.report.verdict import Cell, judge

if TYPE_CHECKING:
    from runner.report.figures.theme import Figure, Series

# Every name that a report gives to a figure; one that is not drawn again would be out of date.
_OWN_FIGURES = re.compile(r"(curves_.+|scores(_.+)?|factors|statuses|movement)\.(svg|png)")


def write(folder: Path, figures: bool = True) -> Comparison:
    """See `runner.report.write`."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        # Bundling takes as long as all figures of a small sweep, and needs nothing of it.
        libraries = beside.submit(bundled_libraries) if figures else None
        results = load(folder)
        _write_tables(results)
        cells = judge(results)
        comparison = compare(results, cells)
        drawn, legend = _drawn(results, cells) if figures else ((), ())
        _write_figures(folder / "figures", drawn)
        content = document(results, comparison, drawn, legend)
        write_text(folder / "report.md", markdown(content))
        write_text(folder / "report.html", page(content, libraries.result() if libraries else ""))
    return comparison


def _drawn(
    results: Results, cells: Sequence[Cell]
) -> tuple[Sequence["Figure"], Sequence["Series"]]:
    from runner.report.figures import all_figures, legend_of

    return all_figures(results, cells), legend_of(results)


def _write_tables(results: Results) -> None:
    for name in ("replicates", "movement", "comparison"):
        table: pd.DataFrame = getattr(results, name)
        write_text(results.folder / f"{name}.csv", table.to_csv(index=False))
    write_bytes(results.folder / "curves.parquet", results.curves.to_parquet(index=False))


def _write_figures(folder: Path, figures: Sequence["Figure"]) -> None:
    from runner.report.figures import drawing

    kept = set()
    for figure in figures:
        svg = drawing.svg(figure)
        write_text(folder / f"{figure.name}.svg", svg)
        write_bytes(folder / f"{figure.name}.png", drawing.png(svg))
        kept |= {f"{figure.name}.svg", f"{figure.name}.png"}
    for path in folder.glob("*") if folder.is_dir() else ():
        if _OWN_FIGURES.fullmatch(path.name) and path.name not in kept:
            path.unlink()
