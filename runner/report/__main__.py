"""`python -m runner.report`: writes the report of one or several results folders again."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from runner.terminal import tolerate_any_terminal

LATEST = Path("results/latest")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, or 1 if a folder could not be reported on."""
    tolerate_any_terminal()
    options = _parser().parse_args(arguments)
    failed = [folder for folder in options.folders if not _report(folder, options.figures)]
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runner.report",
        description="Writes tables, figures, report.md and report.html of results folders again.",
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, default=[LATEST], metavar="FOLDER",
        help=f"results of one command (default: {LATEST})",
    )  # fmt: skip
    parser.add_argument(
        "--no-figures", dest="figures", action="store_false", help="tables and words only"
    )
    return parser


def _report(folder: Path, figures: bool) -> bool:
    from rich import get_console

    from runner.report import write
    from runner.report.results import ResultsError

    try:
        comparison = write(folder, figures=figures)
    except (ResultsError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return False
    console = get_console()
    console.print(comparison)
    for name in ("report.html", "report.md"):
        console.print(f"{folder / name}", style="bold", markup=False, soft_wrap=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
