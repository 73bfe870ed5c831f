"""`python -m runner.report`: the report of a sweep, of several as one, or of a part of them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from runner import version
from runner.interruption import INTERRUPTED, end_without_traceback, stoppable
from runner.machine import few_collections
from runner.terminal import tolerate_any_console

LATEST = Path("results/latest")
OUTPUT = Path("results/report")

_EXAMPLES = """\
examples:
  python -m runner.report                                      the newest sweep again, in place
  python -m runner.report results/A results/B                  both as one comparison
  python -m runner.report --where 'depth <= 8 and init.str.startswith("he_")'
  python -m runner.report --where 'init in ["zero", "he_normal"]' --where '`model.depth` > 2'
  python -m runner.report --by depth                           all of one depth with each other
  python -m runner.report --mlflow runner --tracking-uri http://localhost:5000
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
      Its exit code: 0, 1 if there is nothing to report on, or 130 after an interruption.
    """
    tolerate_any_console()
    options = _parser().parse_args(arguments)
    try:
        with stoppable():
            return _report(options)
    except KeyboardInterrupt:
        print("Interrupted. Files that were there before are whole.", file=sys.stderr)
        return INTERRUPTED


def _report(options: argparse.Namespace) -> int:
    from rich import get_console

    from runner.report import load
    from runner.report.files import write
    from runner.report.render.console import view
    from runner.report.results import ResultsError

    folders = options.folders or ([] if options.mlflow else [LATEST])
    by = [key for keys in options.by for key in keys.split(",")] if options.by else None
    try:
        results = load(
            *folders,
            mlflow=options.mlflow,
            tracking_uri=options.tracking_uri,
            where=options.where,
            by=by,
        )
        output = options.output or _place(folders, options)
        output.mkdir(parents=True, exist_ok=True)
        comparison = write(results, output, options.figures)
    except (ResultsError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    console = get_console()
    console.print(view(comparison))
    for name in ("report.html", "report.md", "report.tex"):
        console.print(f"{output / name}", style="bold", markup=False, soft_wrap=True)
    return 0


def _place(folders: Sequence[Path], options: argparse.Namespace) -> Path:
    """Returns where the report goes: a whole sweep's into its folder, any other beside them."""
    is_whole = len(folders) == 1 and not (options.mlflow or options.where or options.by)
    return folders[0] if is_whole else OUTPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runner.report",
        description="Compares what sweeps have left: tables, figures, report.html, .md and .tex.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER",
        help=f"results of one command; several are compared as one (default: {LATEST})",
    )  # fmt: skip
    parser.add_argument(
        "--mlflow", action="append", default=[], metavar="NAME",
        help="sweeps that MLflow keeps: an experiment, or a sweep's name or run id; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--tracking-uri", metavar="URI",
        help="MLflow's server or database (default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db)",
    )  # fmt: skip
    parser.add_argument(
        "--where", action="append", default=[], metavar="CONDITION",
        help="only what meets it, in the query syntax of pandas; columns are init, seed, status, "
        "and each setting, as depth or, in backticks, `model.depth`; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--by", action="append", default=[], metavar="KEY",
        help="compare all configurations that have this factor (or init) in common; repeatable "
        "(default: every factor that varies)",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER",
        help=f"where to write (default: the folder itself if it is a single whole one, "
        f"else {OUTPUT})",
    )  # fmt: skip
    parser.add_argument(
        "--no-figures", dest="figures", action="store_false", help="tables and words only"
    )
    parser.add_argument("--version", action="version", version=f"runner {version()}")
    return parser


if __name__ == "__main__":
    end_without_traceback()
    with few_collections():
        sys.exit(main())
