"""The records of one results folder, checked as they are read."""

import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner import archive
from runner.config import ConfigError
from runner.plan import Scalar
from runner.propagation.tables import limits
from runner.records import (
    ConfigurationRecord,
    RecordError,
    ReplicateRecord,
    SweepRecord,
    configuration_files,
    read_kept,
    read_sweep,
)
from runner.report.errors import ResultsError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Records:
    """What is kept of a sweep, or of several that are looked at as one.

    Attributes:
      sweeps: The commands; several after `combining.combined`.
      configurations: By number; those that were refused have an `error`.
      replicates: Those that have ended, by configuration and seeds.
      num_repeated: Replicates that are left out because another sweep has the same.
      num_deselected: Replicates that are left out because of how they ended.
      num_damaged: Files that are left out because they cannot be read.
      between: Factor -> value in each of the sweeps, where it is one in each.
    """

    sweeps: tuple[SweepRecord, ...]
    configurations: tuple[ConfigurationRecord, ...]
    replicates: tuple[ReplicateRecord, ...]
    num_repeated: int = 0
    num_deselected: int = 0
    num_damaged: int = 0
    between: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)


def read(folder: Path) -> Records:
    """Reads the records of a results folder; a sweep that is still running, or was killed, too.

    Where it holds no configuration, but a `records.zip`, that is read. Damaged files are told and
    left out.

    Raises:
      ResultsError: The folder is missing or has no records, or none that can be read.
    """
    if not folder.is_dir():
        raise ResultsError(f"{folder}: there is no such folder.")
    packed = folder / archive.NAME
    if packed.is_file() and not configuration_files(folder):
        return read_packed(packed)
    return _read(folder, f"{folder}/")


def read_packed(path: Path) -> Records:
    """Reads the records that `runner.archive` has made one file of; see `read`."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            faults = archive.unpack(path, Path(folder))
        except archive.ArchiveError as error:
            raise ResultsError(f"{path}: {error}.") from error
        for fault in faults:
            log.warning("%s: %s It is left out.", path, fault)
        found = _read(Path(folder), f"{path}: ")
        return replace(found, num_damaged=found.num_damaged + len(faults))


def _read(folder: Path, place: str) -> Records:
    """Reads the records in a folder that messages call `place`."""
    missing = "" if os.path.lexists(folder / "sweep.json") else "sweep.json"
    if missing := missing or ("" if configuration_files(folder) else "*/configuration.json"):
        raise ResultsError(f"{place.rstrip('/: ')}: not a results folder, it has no {missing}.")
    kept = read_kept(folder, place)
    configurations = [record for record in kept.configurations if _has_limits(record, place)]
    known = {record.index for record in configurations}
    replicates = [record for record in kept.replicates if record.configuration in known]
    num_damaged = len(kept.faults) + len(kept.configurations) - len(configurations)
    if num_damaged and not replicates:
        raise ResultsError(f"{place.rstrip('/: ')}: none of its records can be read.")
    return Records(
        (_sweep(folder, place),), tuple(configurations), tuple(replicates), num_damaged=num_damaged
    )


def _sweep(folder: Path, place: str) -> SweepRecord:
    try:
        return read_sweep(folder)
    except RecordError as error:
        log.warning("%s Intervals are at 95 %%.", str(error).replace(f"{folder}/", place))
        return SweepRecord("/".join(folder.absolute().parts[-2:]), "unknown", "", {}, "unknown")


def _has_limits(record: ConfigurationRecord, place: str) -> bool:
    """Tells whether a configuration says how what was measured before training is judged."""
    try:
        limits(record)
    except ConfigError as error:
        text = "%s%d/configuration.json: %s Its replicates are left out with it."
        log.warning(text, place, record.index, error)
        return False
    return True
