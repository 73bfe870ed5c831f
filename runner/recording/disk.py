"""Keeps every replicate on disk, the moment it ends; the rest can be rebuilt from that."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from runner.plan import Replicate
from runner.recording.recorder import End
from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord, write_record


class DiskRecorder:
    """Writes the records of a sweep into its folder, each file whole or not at all."""

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

    def start_replicate(self, configuration: int, replicate: Replicate) -> None:
        """Writes nothing: a replicate that has not ended leaves no file."""

    def record_epoch(
        self,
        configuration: int,
        replicate: Replicate,
        epoch: int,
        step: int,
        metrics: Mapping[str, float],
    ) -> None:
        """Writes nothing: the record of a replicate holds its whole curves."""

    def finish_replicate(self, record: ReplicateRecord) -> None:
        """Writes `<number>/replicates/<key>.json`."""
        folder = self.folder / str(record.configuration) / "replicates"
        write_record(folder / f"{record.key}.json", record)

    def finish_configuration(
        self, configuration: int, end: End, summary: pd.DataFrame, endpoint: Mapping[str, float]
    ) -> None:
        """Writes nothing: the report writes the tables of all configurations."""

    def finish_sweep(self, end: End, folder: Path | None) -> None:
        """Writes nothing more."""
