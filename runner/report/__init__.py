"""From records to answers: statistics, tables, figures, a page to read.

Three layers that know nothing of training: `statistics` (arrays in, numbers out), tables and the
words about them, figures and documents. Nothing here imports TensorFlow, so that a report can be
made on any machine in seconds.

>>> results = load("results/latest")                                       # doctest: +SKIP
>>> results.replicates.groupby("init")["final_val_accuracy"].describe()    # doctest: +SKIP
>>> losses = results.curves.query("metric == 'val_loss'")                  # doctest: +SKIP
>>> losses.pivot_table("value", "epoch", "init", aggfunc="median").plot()  # doctest: +SKIP
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.report.comparison import Comparison
    from runner.report.results import Results


def load(folder: Path | str) -> "Results":
    """Returns the records of a results folder as tidy frames; see `runner.report.results`."""
    from runner.report import results

    return results.load(Path(folder))


def write(folder: Path | str, figures: bool = True) -> "Comparison":
    """Writes the tables and the report of a results folder into it, each file whole or not at all.

    Args:
      folder: It may come from a sweep that was killed or is still running.
      figures: Whether to draw; without figures the page has tables and words only.

    Returns:
      What the console shows; print it with rich.

    Raises:
      ResultsError: The folder has no records, or one of them is corrupted.
    """
    from runner.report.files import write as write_files

    return write_files(Path(folder), figures)
