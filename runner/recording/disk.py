"""Keeps every replicate on disk, the moment it ends; the rest can be rebuilt from that."""

from collections.abc import Sequence
from pathlib import Path

from runner.recording.recorder import Recorder
from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord, write_record


class DiskRecorder(Recorder):
    """Writes the records of a sweep into its folder, each file whole or not at all.

    A replicate that has not ended leaves no file; the tables of all are the report's to write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Writes `sweep.json` and each `<number>/configuration.json`."""
        write_record(self.folder / "sweep.json", sweep)
        for configuration in configurations:
            write_record(
                self.folder / str(configuration.index) / "configuration.json", configuration
            )

    def finish_replicate(self, record: ReplicateRecord) -> None:
        """Writes `<number>/replicates/<key>.json`."""
        folder = self.folder / str(record.configuration) / "replicates"
        write_record(folder / f"{record.key}.json", record)
