"""Keeps every replicate on disk, the moment it ends; the rest can be rebuilt from that."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import CompactHydraException

from runner.recording.recorder import End, Recorder, Summary
from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord, write_record

log = logging.getLogger(__name__)

_MAX_TOLD = 5


class DiskError(CompactHydraException):
    """A record cannot be written. Its message is one line; Hydra prints it without a traceback."""


class DiskRecorder(Recorder):
    """Writes the records of a sweep into its folder, each file whole or not at all.

    A replicate that has not ended leaves no file; the tables of all are the report's to write. A
    record that cannot be written waits in memory while training goes on, and is tried again with
    each one that follows. A sweep's folder that was removed is not made again; one of a
    configuration is.

    Attributes:
      folder: The sweep's.
      elsewhere: Whether another recorder keeps the records too, so that training goes on where the
        folder was removed.
      waiting: Records that could not be written yet, by their files.
      gone: Whether the folder was removed.
    """

    def __init__(self, folder: Path, elsewhere: bool = False) -> None:
        self.folder = folder
        self.elsewhere = elsewhere
        self.waiting: dict[Path, ReplicateRecord] = {}
        self.gone = False
        self._configurations: dict[Path, ConfigurationRecord] = {}

    def start_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Writes `sweep.json` and each `<number>/configuration.json`.

        Raises:
          DiskError: One of them cannot be written.
        """
        files: list[tuple[str, Any]] = [("sweep.json", sweep)]
        named = {f"{record.index}/configuration.json": record for record in configurations}
        files += named.items()
        self._configurations |= {self.folder / name: record for name, record in named.items()}
        for name, record in files:
            try:
                write_record(self.folder / name, record)
            except OSError as error:
                raise DiskError(
                    f"{self.folder / name} cannot be written ({error.strerror or error}). When "
                    "there is room again, repeat the command."
                ) from error

    def extend_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Writes `sweep.json` again, and the files of these configurations.

        Raises:
          DiskError: One of them cannot be written, or the folder was removed, and nobody else keeps
            the records.
        """
        if self._is_there():
            self.start_sweep(sweep, configurations)

    def finish_replicate(self, record: ReplicateRecord) -> None:
        """Writes `<number>/replicates/<key>.json`.

        Raises:
          DiskError: The folder was removed, and nobody else keeps the record.
        """
        home = self.folder / str(record.configuration) / "replicates"
        self.waiting[home / f"{record.key}.json"] = record
        self._write()

    def finish_configuration(
        self, configuration: int, end: End, summary: Summary, endpoint: Mapping[str, float]
    ) -> None:
        """Tries again what waits."""
        self._write()

    def finish_sweep(self, end: End, folder: Path | None) -> None:
        """Tries a last time; tells what is lost."""
        self._write()
        if self.waiting and not self.gone:
            count = len(self.waiting)
            log.error(
                "%d record%s could not be written: %s. %s",
                count,
                "s" * (count > 1),
                ", ".join(str(path) for path in [*self.waiting][:_MAX_TOLD]),
                "MLflow has them." if self.elsewhere else "The same command trains them again.",
            )

    @property
    def is_whole(self) -> bool:
        """Whether everything that has ended is on disk."""
        return not (self.waiting or self.gone)

    def _write(self) -> None:
        if not self._is_there():
            return
        for place, (path, record) in enumerate(list(self.waiting.items())):
            try:
                self._restore(path.parents[1] / "configuration.json")
                write_record(path, record)
            except OSError as error:
                if place == len(self.waiting) - 1:  # the first that waits
                    log.error(
                        "%s cannot be written (%s). It is kept in memory and tried again; training "
                        "goes on.",
                        path,
                        error.strerror or error,
                    )
                return
            del self.waiting[path]

    def _is_there(self) -> bool:
        if not self.gone and not (self.folder / "sweep.json").exists():
            self._give_up()
        return not self.gone

    def _restore(self, path: Path) -> None:
        """Writes the record of a configuration again if somebody has removed it."""
        if path in self._configurations and not path.exists():
            write_record(path, self._configurations[path])
            log.warning("%s was removed while the command ran. It is written again.", path)

    def _give_up(self) -> None:
        self.gone = True
        kept = "MLflow keeps what follows." if self.elsewhere else "Training stops."
        text = f"{self.folder} was removed while the command ran. It is not made again. {kept}"
        if not self.elsewhere:
            raise DiskError(text)
        log.error("%s", text)
