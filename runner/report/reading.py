"""The records of one results folder, checked as they are read."""

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from runner import archive
from runner.records import (
    ConfigurationRecord,
    RecordError,
    ReplicateRecord,
    SweepRecord,
    read_configurations,
    read_replicates,
    read_sweep,
)


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
      num_deselected: Replicates that are left out because of how they ended.
    """

    sweeps: tuple[SweepRecord, ...]
    configurations: tuple[ConfigurationRecord, ...]
    replicates: tuple[ReplicateRecord, ...]
    num_repeated: int = 0
    num_deselected: int = 0


def read(folder: Path) -> Records:
    """Reads the records of a results folder; a sweep that is still running, or was killed, too.

    Where it holds no configuration, but a `records.zip`, that is read.

    Raises:
      ResultsError: The folder is missing or has no records, or one of its files is corrupted.
    """
    if not folder.is_dir():
        raise ResultsError(f"{folder}: there is no such folder.")
    packed = folder / archive.NAME
    if packed.is_file() and not any(folder.glob("*/configuration.json")):
        return read_packed(packed)
    for pattern in ("sweep.json", "*/configuration.json"):
        if not any(folder.glob(pattern)):
            raise ResultsError(f"{folder}: not a results folder, it has no {pattern}.")
    try:
        sweep = read_sweep(folder)
        configurations, replicates = read_configurations(folder), read_replicates(folder)
    except RecordError as error:
        raise ResultsError(str(error)) from error
    _check_numbers(folder, configurations, replicates)
    return Records((sweep,), tuple(configurations), tuple(replicates))


def read_packed(path: Path) -> Records:
    """Reads the records that `runner.archive` has made one file of; see `read`."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            archive.unpack(path.read_bytes(), Path(folder))
            return read(Path(folder))
        except (zipfile.BadZipFile, ResultsError) as error:
            raise ResultsError(f"{path}: {str(error).removeprefix(folder).strip('/: ')}") from error


def _check_numbers(
    folder: Path, configurations: list[ConfigurationRecord], records: list[ReplicateRecord]
) -> None:
    known = {configuration.index for configuration in configurations}
    for record in records:
        if record.configuration not in known:
            path = folder / str(record.configuration) / "replicates" / f"{record.key}.json"
            raise ResultsError(f"{path}: its configuration.json is missing.")
