"""`python -m runner.report`: the report of a sweep, of several as one, or of a part of them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner import version
from runner.interruption import INTERRUPTED, end_without_traceback, stoppable
from runner.machine import few_collections
from runner.terminal import tolerate_any_console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from runner.report.results import Results

LATEST = Path("results/latest")
OUTPUT = Path("results/report")

EXAMPLES = """\
examples:
  python -m runner.report                                      the newest sweep again, in place
  python -m runner.report results/A results/B                  both as one comparison
  python -m runner.report --where 'depth <= 8 and init.str.startswith("he_")'
  python -m runner.report --where 'init in ["zero", "he_normal"]' --where '`model.depth` > 2'
  python -m runner.report --diff results/A results/B           what changed between two sweeps
  python -m runner.report --json                               the whole answer for programs
  python -m runner.report --by depth                           all of one depth with each other
  python -m runner.report --mlflow runner --tracking-uri http://localhost:5000
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
      Its exit code: 0, 1 if there is nothing to report on, or 130 after an interruption.
    """
    tolerate_any_console()
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.diff and (options.folders or options.mlflow):
        parser.error("--diff takes two folders, and no others")
    try:
        with stoppable():
            return _report(options)
    except KeyboardInterrupt:
        print("Interrupted. Files that were there before are whole.", file=sys.stderr)
        return INTERRUPTED


def _report(options: argparse.Namespace) -> int:
    from runner.report.errors import ResultsError

    try:
        return _diff(options) if options.diff else _write(options)
    except (ResultsError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _write(options: argparse.Namespace) -> int:
    from runner.report.render.svg import drawing

    folders = options.folders or ([] if options.mlflow else [LATEST])
    output = options.output or _place(folders, options)
    with drawing(options.figures) as drawer:
        from runner.report.files import write
        from runner.report.render.console import answer, view

        results = _load(folders, options)
        output.mkdir(parents=True, exist_ok=True)
        comparison = write(results, output, drawer)
    if options.json:
        _print_json((output / "report.json").read_bytes())
    else:
        _show(view(comparison), [output / f"report.{kind}" for kind in ("html", "md", "tex")])
        _show(answer(comparison), [])
    return 0


def _diff(options: argparse.Namespace) -> int:
    from runner.files import write_text
    from runner.report.diff import sweep_diff
    from runner.report.render.diff import markdown, view
    from runner.validation import to_json

    found = sweep_diff(*(_load([folder], options) for folder in options.diff))
    written = [options.output / "diff.md"] if options.output else []
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, markdown(found))
    if options.json:
        _print_json(to_json(found, indent=1) + b"\n")
    else:
        _show(view(found), written)
    return 0


def _load(folders: Sequence[Path], options: argparse.Namespace) -> "Results":
    from runner.report import load

    by = [key for keys in options.by for key in keys.split(",")] if options.by else None
    uri = options.tracking_uri
    return load(
        *folders,
        mlflow=options.mlflow,
        tracking_uri=uri,
        where=options.where,
        by=by,
        margin=options.margin,
    )


def _print_json(content: bytes) -> None:
    """Prints JSON, which is UTF-8 whatever the terminal can show."""
    sys.stdout.buffer.write(content)
    sys.stdout.flush()


def _show(view: "RenderableType", written: Sequence[Path]) -> None:
    from rich import get_console

    console = get_console()
    console.print(view)
    for path in written:
        console.print(f"{path}", style="bold", markup=False, soft_wrap=True)


def _place(folders: Sequence[Path], options: argparse.Namespace) -> Path:
    """Returns where the report goes: a whole sweep's into its folder, any other beside them."""
    others = options.mlflow or options.where or options.by or options.margin
    is_whole = len(folders) == 1 and not others
    return folders[0] if is_whole else OUTPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runner.report",
        description="Compares what sweeps have left: tables, figures, report.html, .md and .tex.",
        epilog=EXAMPLES,
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
        "--diff", nargs=2, type=Path, metavar=("A", "B"),
        help="what changed between two sweeps, in settings and results; --output takes diff.md",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true",
        help="print the whole answer as JSON, and nothing else (report.json is the same)",
    )  # fmt: skip
    parser.add_argument(
        "--margin", type=float, metavar="NUMBER",
        help="difference of the endpoint that does not matter, in place of what was named before "
        "training; the report says that it was named after the data were seen",
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
