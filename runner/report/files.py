"""Writes a report's files into its results folder, each whole or not at all."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from runner.files import remove_halves, write_bytes, write_text
from runner.machine import num_cores
from runner.report.analysis import Analysis, analyse
from runner.report.comparison import Comparison, compare
from runner.report.document import Drawings, document
from runner.report.latex import latex
from runner.report.libraries import libraries
from runner.report.markdown import markdown
from runner.report.page import page
from runner.report.results import Results

# Every name that a report gives to a figure; one that is not drawn again would be out of date.
_OWN_FIGURES = re.compile(
    r"(curves|scores|differences|target|choices|trainability|ranks|profiles|variance|predictors"
    r"|statuses|movement|propagation|factors)(_.+)?\.(svg|png)"
)


def write(results: Results, folder: Path, figures: bool = True) -> Comparison:
    """Writes the tables and the report of results into a folder; see `runner.report.write`."""
    for place in (folder, folder / "figures"):
        remove_halves(place)
    if not figures:
        return _write(results, analyse(results), folder, Drawings())
    from runner.report.drawing import Drawer
    from runner.report.figures import all_figures, legend

    with Drawer(num_cores()) as drawer, ThreadPoolExecutor(max_workers=1) as beside:
        script = beside.submit(libraries)
        analysis = analyse(results)
        images = [(figure, drawer.draw(figure.spec)) for figure in all_figures(results, analysis)]
        drawings = Drawings([figure for figure, _ in images], legend(results), script.result())
        comparison = _write(results, analysis, folder, drawings)
        for figure, image in images:
            write_text(folder / "figures" / f"{figure.name}.svg", image.result().svg)
            write_bytes(folder / "figures" / f"{figure.name}.png", image.result().png)
    return comparison


def _write(results: Results, analysis: Analysis, folder: Path, drawings: Drawings) -> Comparison:
    """Writes everything but the images."""
    _write_tables(results, analysis, folder)
    comparison = compare(results, analysis)
    _remove_figures(folder / "figures", drawings)
    content = document(results, analysis, comparison, drawings)
    write_text(folder / "report.md", markdown(content))
    write_text(folder / "report.html", page(content))
    write_text(folder / "report.tex", latex(content))
    return comparison


def _write_tables(results: Results, analysis: Analysis, folder: Path) -> None:
    for name in ("replicates", "movement", "comparison"):
        table: pd.DataFrame = getattr(results, name)
        write_text(folder / f"{name}.csv", table.to_csv(index=False))
    for name in ("curves", "propagation"):
        frame: pd.DataFrame = getattr(results, name)
        write_bytes(folder / f"{name}.parquet", frame.to_parquet(index=False))
    for path, table in analysis.tables(folder):
        if len(table):
            write_text(path, table.to_csv(index=False))
        else:
            path.unlink(missing_ok=True)  # it would be out of date


def _remove_figures(folder: Path, but: Drawings) -> None:
    kept = {f"{figure.name}.{kind}" for figure in but.figures for kind in ("svg", "png")}
    for path in folder.glob("*") if folder.is_dir() else ():
        if _OWN_FIGURES.fullmatch(path.name) and path.name not in kept:
            path.unlink()
