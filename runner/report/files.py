"""Writes a report's files into its results folder, each whole or not at all.

`report.json` is the whole answer for programs. It names the files that a report has made, so that
the next one removes what it does not make again and leaves alone what is not a report's.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from runner.files import remove_halves, write_bytes, write_text
from runner.report.answer import Answer
from runner.report.comparison import Comparison, summed_up
from runner.report.questions import ask
from runner.report.questions.trained import origin
from runner.report.render.json import sweep_report
from runner.report.render.latex import latex
from runner.report.render.libraries import libraries
from runner.report.render.markdown import markdown
from runner.report.results import Results
from runner.report.sweep import Sweep
from runner.validation import to_json

if TYPE_CHECKING:
    from runner.report.render.svg import Drawer

LIST = "report.json"
_KEPT_EMPTY = ("replicates", "movement", "comparison")
# Whatever a list says, nothing else is removed.
_OWN = re.compile(r"(figures/)?\w[\w.-]*\.(csv|parquet|svg|md|html|tex)")


def write(results: Results, folder: Path, drawer: "Drawer | None") -> Comparison:
    """Writes the tables and the report of results into a folder; see `runner.report.write`.

    Args:
      results: What is reported on.
      folder: The folder.
      drawer: Draws the figures; None for tables and words only.
    """
    for place in (folder, folder / "figures"):
        remove_halves(place)
    sweep = Sweep(results, draws=drawer is not None)
    if drawer is None:
        return _write(sweep, list(ask(sweep)), folder, str, {})
    with ThreadPoolExecutor(max_workers=1) as beside:
        script = beside.submit(libraries)
        answers: list[Answer] = []
        images: dict[str, Callable[[], str]] = {}
        for answer in ask(sweep):
            answers.append(answer)
            images |= {figure.name: drawer.draw(figure.spec) for figure in answer.figures}
        return _write(sweep, answers, folder, script.result, images)


def _write(
    sweep: Sweep,
    answers: Sequence[Answer],
    folder: Path,
    script: Callable[[], str],
    images: Mapping[str, Callable[[], str]],
) -> Comparison:
    """Writes all files; those with figures last, which are drawn meanwhile."""
    results = sweep.results
    comparison = summed_up(sweep, answers)
    frames = {f"{name}.csv": getattr(results, name) for name in _KEPT_EMPTY}
    tables = {name: frame for answer in answers for name, frame in answer.tables.items()}
    frames |= {name: frame for name, frame in tables.items() if len(frame)}
    texts = {
        "report.md": markdown(comparison, answers, results.sweep.command, origin(results)),
        "report.tex": latex(comparison),
    }
    drawn = ["report.html", *(f"figures/{name}.svg" for name in images)]
    parquet = {f"{name}.parquet": getattr(results, name) for name in ("curves", "propagation")}
    made = [*frames, *texts, *drawn, *parquet]
    for name in {*_listed(folder), *tables} - {*made}:  # it would be out of date
        (folder / name).unlink(missing_ok=True)
    told = to_json(sweep_report(sweep, comparison, made), indent=1)
    write_bytes(folder / LIST, told + b"\n")
    for name, frame in frames.items():
        write_text(folder / name, frame.to_csv(index=False))
    for name, frame in parquet.items():
        write_bytes(folder / name, frame.to_parquet(index=False))
    # With its templates' library, while the last figures are drawn.
    from runner.report.render.html import page

    figures = {name: image() for name, image in images.items()}
    texts |= {f"figures/{name}.svg": figure for name, figure in figures.items()}
    texts["report.html"] = page(sweep, comparison, answers, script(), figures)
    for name, text in texts.items():
        write_text(folder / name, text)
    return comparison


def _listed(folder: Path) -> set[str]:
    """Returns the files that the last report here has made; none where its list cannot be read."""
    try:
        names = json.loads((folder / LIST).read_text("utf-8"))["files"]
        return {name for name in names if _OWN.fullmatch(name)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
