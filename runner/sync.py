"""`python -m runner.sync`: sends to MLflow what it lacks of results on disk."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from runner import version
from runner.interruption import INTERRUPTED, end_without_traceback, stoppable
from runner.machine import few_collections
from runner.terminal import tolerate_any_console

LATEST = Path("results/latest")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
      Its exit code: 0, 1 if MLflow still lacks something, or 130 after an interruption.
    """
    tolerate_any_console()
    options = _parser().parse_args(arguments)
    try:
        with stoppable():
            sent = [_sent(folder, options.tracking_uri) for folder in options.folders]
    except KeyboardInterrupt:
        print("Interrupted. The same command uploads the rest.", file=sys.stderr)
        return INTERRUPTED
    return 0 if all(sent) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runner.sync",
        description="Uploads to MLflow the results of finished commands that are missing there.",
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, default=[LATEST], metavar="FOLDER",
        help=f"results of one command (default: {LATEST})",
    )  # fmt: skip
    parser.add_argument(
        "--tracking-uri", metavar="URI",
        help="server or database (default: that of the command's tracking.uri)",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"runner {version()}")
    return parser


def _sent(folder: Path, uri: str | None) -> bool:
    from runner.config import ConfigError
    from runner.execution.sync import send
    from runner.records import RecordError
    from runner.report.errors import ResultsError

    try:
        lacking = send(folder, uri)
    except (ConfigError, RecordError, ResultsError, OSError) as error:
        print(f"Error: {folder}: {error}", file=sys.stderr)
        return False
    if lacking:
        print(f"Error: {folder}: MLflow has only a part of it ({lacking}).", file=sys.stderr)
        return False
    print(f"{folder}: MLflow has all of it.")
    return True


if __name__ == "__main__":
    end_without_traceback()
    with few_collections():
        sys.exit(main())
