"""`python -m runner.sync`: sends to MLflow what it lacks of results on disk."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from runner.machine import few_collections
from runner.terminal import tolerate_any_terminal

LATEST = Path("results/latest")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, or 1 if MLflow still lacks something."""
    tolerate_any_terminal()
    options = _parser().parse_args(arguments)
    failed = [folder for folder in options.folders if not _sent(folder, options.tracking_uri)]
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runner.sync",
        description="Sends to MLflow what it lacks of the results of commands that have ended.",
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, default=[LATEST], metavar="FOLDER",
        help=f"results of one command (default: {LATEST})",
    )  # fmt: skip
    parser.add_argument(
        "--tracking-uri", metavar="URI",
        help="server or database (default: that of the command's tracking.uri)",
    )  # fmt: skip
    return parser


def _sent(folder: Path, uri: str | None) -> bool:
    from runner.config import ConfigError
    from runner.execution.sync import send
    from runner.records import RecordError

    try:
        lacking = send(folder, uri)
    except (ConfigError, RecordError) as error:
        print(f"Error: {folder}: {error}", file=sys.stderr)
        return False
    if lacking:
        print(f"Error: {folder}: MLflow has only a part of it ({lacking}).", file=sys.stderr)
        return False
    print(f"{folder}: MLflow has all of it.")
    return True


if __name__ == "__main__":
    with few_collections():
        sys.exit(main())
