"""Keeps every replicate on disk, the moment it ends; the rest can be rebuilt from that."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.errors import CompactHydraException

from runner.recording.recorder import Recorder
from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord, write_record


class DiskError(CompactHydraException):
    """A record cannot be written. Its message is one line; Hydra prints it without a traceback."""


class DiskRecorder(Recorder):
    """Writes the records of a sweep into its folder, each file whole or not at all.

    A replicate that has not ended leaves no file; the tables of all are the report's to write.
    The first file that cannot be written ends the sweep; no other is tried after it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failed = False

    def start_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Writes `sweep.json` and each `<number>/configuration.json`."""
        self._write(self.folder / "sweep.json", sweep)
        for configuration in configurations:
            path = self.folder / str(configuration.index) / "configuration.json"
            self._write(path, configuration)

    def finish_replicate(self, record: ReplicateRecord) -> None:
        """Writes `<number>/replicates/<key>.json`."""
        folder = self.folder / str(record.configuration) / "replicates"
        self._write(folder / f"{record.key}.json", record)

    def _write(self, path: Path, record: Any) -> None:
        if self.failed:
            return
        try:
            write_record(path, record)
        except OSError as error:
            self.failed = True
            raise DiskError(
                f"{path} cannot be written ({error.strerror or error}). What had been written is "
                "kept; when there is room again, the same command goes on from there."
            ) from error
