"""Writes a report's files into its results folder, each whole or not at all."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from runner.records import write_bytes, write_text
from runner.report.comparison import Comparison, compare
from runner.report.document import Drawings, document
from runner.report.markdown import markdown
from runner.report.page import page
from runner.report.results import Results, load
from runner.report.verdict import Cell, judge

# Every name that a report gives to a figure; one that is not drawn again would be out of date.
_OWN_FIGURES = re.compile(
    r"(curves_.+|scores(_.+)?|factors|statuses|movement|propagation_.+)\.(svg|png)"
)


def write(folder: Path, figures: bool = True) -> Comparison:
    """See `runner.report.write`."""
    results = load(folder)
    _write_tables(results)
    cells = judge(results)
    comparison = compare(results, cells)
    drawings = _draw(results, cells) if figures else Drawings()
    _remove_figures(folder / "figures", drawings)
    content = document(results, comparison, drawings)
    write_text(folder / "report.md", markdown(content))
    write_text(folder / "report.html", page(content))
    return comparison


def _write_tables(results: Results) -> None:
    for name in ("replicates", "movement", "comparison"):
        table: pd.DataFrame = getattr(results, name)
        write_text(results.folder / f"{name}.csv", table.to_csv(index=False))
    for name in ("curves", "propagation"):
        frame: pd.DataFrame = getattr(results, name)
        write_bytes(results.folder / f"{name}.parquet", frame.to_parquet(index=False))


def _draw(results: Results, cells: Sequence[Cell]) -> Drawings:
    """Writes the figures; the page's libraries are bundled beside that."""
    from runner.report import drawing
    from runner.report.figures import all_figures, legend

    folder = results.folder / "figures"
    with ThreadPoolExecutor(max_workers=1) as beside:
        libraries = beside.submit(drawing.libraries)
        figures = all_figures(results, cells)
        for figure in figures:
            svg = drawing.svg(figure.spec)
            write_text(folder / f"{figure.name}.svg", svg)
            write_bytes(folder / f"{figure.name}.png", drawing.png(svg))
        return Drawings(figures, legend(results), libraries.result())


def _remove_figures(folder: Path, but: Drawings) -> None:
    kept = {f"{figure.name}.{kind}" for figure in but.figures for kind in ("svg", "png")}
    for path in folder.glob("*") if folder.is_dir() else ():
        if _OWN_FIGURES.fullmatch(path.name) and path.name not in kept:
            path.unlink()
