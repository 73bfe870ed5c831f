"""From records to answers: statistics, tables, figures, a page to read.

Three layers that know nothing of training: `statistics` (arrays in, numbers out), `questions` (each
with its tables, figures and sentences) and `render` (console, Markdown, LaTeX, HTML). Nothing here
imports TensorFlow, so that a report can be made on any machine in seconds.

In a notebook, `load` gives the verdict and pandas frames. How do the seeds scatter?

>>> import runner.report
>>> results = runner.report.load("results/latest")                         # doctest: +SKIP
>>> results                  # the verdict, and a short table              # doctest: +SKIP
>>> results.plot()           # mean curves with bands, an Altair chart     # doctest: +SKIP
>>> results.differences      # each initializer to the baseline            # doctest: +SKIP
>>> results.replicates.boxplot("final_val_accuracy", by="init")            # doctest: +SKIP

Who learns fastest, of some initializers over two sweeps?

>>> day = runner.report.load("results/A", "results/B", where='init in ["zero", "he_normal"]')
... # doctest: +SKIP
>>> losses = day.curves.query("metric == 'val_loss'")                      # doctest: +SKIP
>>> losses.pivot_table("value", "epoch", "init", aggfunc="median").plot()  # doctest: +SKIP
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.report.comparison import Comparison
    from runner.report.notebook import Results


def load(
    *folders: Path | str,
    mlflow: str | Sequence[str] = (),
    tracking_uri: str | None = None,
    where: str | Sequence[str] = (),
    by: str | Sequence[str] | None = None,
    margin: float | None = None,
) -> "Results":
    """Returns the records of one or several sweeps as tidy frames; see `runner.report.results`.

    Of several sweeps, the seeds of identical configurations are pooled, and where
    two sweeps have trained the same replicate, the first counts.

    Args:
      folders: Results folders; a sweep that was killed, or is still running, too.
      mlflow: Sweeps and experiments that MLflow keeps, by name or id.
      tracking_uri: Where; None for `MLFLOW_TRACKING_URI`, else `mlflow.db` here.
      where: Conditions in pandas' query syntax, such as `'depth <= 8 and init == "zero"'`; see
        `runner.report.selection`.
      by: What configurations have in common that are compared with each other, such as
        `"model.depth"`; None for every factor.
      margin: Difference of the endpoint that does not matter, in place of what was named before
        training. It is marked as named after the data were seen.

    `mlflow`, `where` and `by` may be one text or several.

    Raises:
      ResultsError: A place has no records, one of them is corrupted, or nothing is left.
    """
    from runner.report import notebook, results

    places = [Path(folder) for folder in folders]
    found = results.load(
        places,
        _several(mlflow),
        tracking_uri,
        _several(where),
        None if by is None else _several(by),
        margin,
    )
    return notebook.shown(found, places)


def _several(texts: str | Sequence[str]) -> Sequence[str]:
    return [texts] if isinstance(texts, str) else texts


def write(folder: Path | str, figures: bool = True) -> "Comparison":
    """Writes the tables and the report of a results folder into it, each file whole or not at all.

    Args:
      folder: It may come from a sweep that was killed or is still running.
      figures: Whether to draw; without figures the page has tables and words only.

    Returns:
      What the console shows; rich prints `runner.report.render.console.view` of it.

    Raises:
      ResultsError: The folder has no records, or one of them is corrupted.
    """
    from runner.report.render.svg import drawing

    with drawing(figures) as drawer:
        from runner.report.files import write as write_files

        return write_files(load(folder), Path(folder), drawer)
