"""The records of one results folder, checked as they are read."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from runner.records import (
    ConfigurationRecord,
    ReplicateRecord,
    SweepRecord,
    read_configurations,
    read_replicates,
    read_sweep,
)

T = TypeVar("T")


class ResultsError(Exception):
    """Results that cannot be reported on. Its message is one line that names the place."""


@dataclass(frozen=True)
class Records:
    """What is kept of a sweep, or of several that are looked at as one.

    Attributes:
      sweeps: The commands; several after `combining.combined`.
      configurations: By number; those that were refused have an `error`.
      replicates: Those that have ended, by configuration and seeds.
      num_repeated: Replicates that are left out because another sweep has the same.
    """

    sweeps: tuple[SweepRecord, ...]
    configurations: tuple[ConfigurationRecord, ...]
    replicates: tuple[ReplicateRecord, ...]
    num_repeated: int = 0


def read(folder: Path) -> Records:
    """Reads the records of a results folder; a sweep that is still running, or was killed, too.

    Raises:
      ResultsError: The folder is missing or has no records, or one of its files is corrupted.
    """
    if not folder.is_dir():
        raise ResultsError(f"{folder}: there is no such folder.")
    for pattern in ("sweep.json", "*/configuration.json"):
        if not any(folder.glob(pattern)):
            raise ResultsError(f"{folder}: not a results folder, it has no {pattern}.")
    sweep = _read(read_sweep, folder, "sweep.json", SweepRecord)
    configurations = _read(read_configurations, folder, "*/configuration.json", ConfigurationRecord)
    replicates = _read(read_replicates, folder, "*/replicates/*.json", ReplicateRecord)
    _check_numbers(folder, configurations, replicates)
    return Records((sweep,), tuple(configurations), tuple(replicates))


def _read(reader: Callable[[Path], T], folder: Path, pattern: str, record: type) -> T:
    try:
        return reader(folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        path, reason = _unreadable(folder, pattern, record) or (folder / pattern, _line(error))
        raise ResultsError(f"{path}: cannot be read as a record ({reason}).") from error


def _unreadable(folder: Path, pattern: str, record: type) -> tuple[Path, str] | None:
    """Returns the first file that does not hold such a record, and why."""
    for path in sorted(folder.glob(pattern)):
        try:
            record(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            return path, _line(error)
    return None


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _check_numbers(
    folder: Path, configurations: list[ConfigurationRecord], records: list[ReplicateRecord]
) -> None:
    known = {configuration.index for configuration in configurations}
    for record in records:
        if record.configuration not in known:
            path = folder / str(record.configuration) / "replicates" / f"{record.key}.json"
            raise ResultsError(f"{path}: its configuration.json is missing.")
