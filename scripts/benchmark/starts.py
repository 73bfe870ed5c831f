"""Whole commands with an empty and with a filled cache of compiled programs.

Each runs in a process of its own, in an empty folder, so that no result is reused. A repetition
takes about three minutes on two cores.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmark.commands import Finished, run

_IMPORTS = "hydra, pandas, sklearn.datasets, tensorflow, keras, mlflow, vl_convert"
_LIGHT_IMPORTS = "hydra, pandas"
# What trains, and how many seconds it may take besides the imports.
_COMMANDS: tuple[tuple[tuple[str, ...], float | None], ...] = (
    ((), 4.0),
    (("experiment=article",), 12.0),
    (("--multirun", "model.depth=1,2,4,8"), None),
)
_LIGHT_COMMANDS = ("--help",), ("--cfg", "job")
_LIGHT_TARGET = 2.0  # times the imports


def measure(folder: Path, quick: bool, repetitions: int, head: str) -> int:
    """Writes starts.md into the folder; returns the exit code.

    Args:
      folder: Of the results.
      quick: The first command only, for two epochs.
      repetitions: Of each command with either cache; the median counts.
      head: Machine, versions, date.
    """
    imports = _repeated(["-c", f"import {_IMPORTS}"], repetitions)
    light = _repeated(["-c", f"import {_LIGHT_IMPORTS}"], repetitions)
    rows = [_row(f"import {_IMPORTS}", imports), _row(f"import {_LIGHT_IMPORTS}", light)]
    for options, rest_s in _COMMANDS[:1] if quick else _COMMANDS:
        limit = f"{_seconds(imports) + rest_s:.1f}" if rest_s else ""
        told = " ".join(["python -m runner", *options])
        arguments = [*options, *(["training.epochs=2"] if quick else [])]
        empty, filled = _empty_and_filled(arguments, repetitions)
        rows += [_row(told, empty, "empty", limit), _row(told, filled, "filled", limit)]
    for options in _LIGHT_COMMANDS:
        done = _repeated(["-m", "runner", *options], repetitions)
        limit = f"{_LIGHT_TARGET * _seconds(light):.2f}"
        rows.append(_row(" ".join(["python -m runner", *options]), done, "", limit))
    text = _HEAD.format(head=head, repetitions=repetitions) + "".join(rows)
    (folder / "starts.md").write_text(text, "utf-8")
    print(text)
    return 0


def _repeated(arguments: Sequence[str], repetitions: int) -> list[Finished]:
    print(f"python {' '.join(arguments)} ...", flush=True)
    return [run([sys.executable, *arguments]) for _ in range(repetitions)]


def _empty_and_filled(
    arguments: Sequence[str], repetitions: int
) -> tuple[list[Finished], list[Finished]]:
    """Returns what the command takes where nothing is compiled yet, and right after that."""
    print(f"python -m runner {' '.join(arguments)} ...", flush=True)
    command = [sys.executable, "-m", "runner", *arguments]
    empty, filled = [], []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as cache:
            environment = {"XDG_CACHE_HOME": cache}
            empty.append(run(command, environment))
            filled.append(run(command, environment))
    return empty, filled


def _seconds(done: Sequence[Finished]) -> float:
    return statistics.median(each.seconds for each in done)


def _row(told: str, done: Sequence[Finished], cache: str = "", limit: str = "") -> str:
    memory = max(each.memory_bytes for each in done) / 1e6
    cells = f"`{told}`", cache, f"{_seconds(done):.2f}", limit, f"{memory:,.0f}"
    return f"| {' | '.join(cells)} |\n"


_HEAD = """\
# From the shell to the answer

{head}
Whole commands with MLflow and report, each in a process of its own and in an empty folder, so that
nothing is reused. With an empty cache the command compiles all of its programs, with a filled one
it is the second command of the same shapes. Medians of {repetitions}; the memory is the most that
one process held.

| command | cache | seconds | at most | memory MB |
| --- | --- | --- | --- | --- |
"""
