"""Keeps every replicate on disk, the moment it ends; the rest can be rebuilt from that."""

import contextlib
import logging
from pathlib import Path

from hydra.errors import CompactHydraException

from runner.events import (
    ConfigurationEnded,
    Event,
    ReplicateRecorded,
    SweepEnded,
    SweepPlanned,
    WeightsWritten,
)
from runner.files import flush_folder, link
from runner.recording.recorder import Recorder
from runner.records import (
    ARRIVING,
    ConfigurationRecord,
    ReplicateRecord,
    SweepRecord,
    weights_file,
    write_record,
)

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
        self._unflushed: set[Path] = set()
        self._written: dict[Path, SweepRecord | ConfigurationRecord] = {}

    def take(self, event: Event) -> None:
        """Writes what a file is for: `sweep.json`, `<number>/configuration.json`, replicates.

        Raises:
          DiskError: The sweep or a configuration cannot be written, or the folder was removed and
            nobody else keeps the records.
        """
        match event:
            case SweepPlanned():
                if not self._written or self._is_there():
                    self._plan(event)
            case ReplicateRecorded(record):
                home = self.folder / str(record.configuration) / "replicates"
                self.waiting[home / f"{record.key}.json"] = record
                self._write()
                return  # replicates that were trained together end together
            case WeightsWritten():
                self._take_weights(event)
                return
            case ConfigurationEnded():
                self._write()
            case SweepEnded():
                self._write()
                self._tell_lost()
                with contextlib.suppress(OSError):  # there is none, or something was left in it
                    (self.folder / ARRIVING).rmdir()
        while self._unflushed:
            flush_folder(self._unflushed.pop())

    @property
    def is_whole(self) -> bool:
        """Whether everything that has ended is on disk."""
        return not (self.waiting or self.gone)

    def _plan(self, event: SweepPlanned) -> None:
        records: dict[str, SweepRecord | ConfigurationRecord] = {"sweep.json": event.sweep}
        records |= {f"{record.index}/configuration.json": record for record in event.configurations}
        for name, record in records.items():
            path = self.folder / name
            if self._written.get(path) == record:
                continue
            try:
                write_record(path, record)
            except OSError as error:
                raise DiskError(
                    f"{path} cannot be written ({error.strerror or error}). When there is room "
                    "again, repeat the command."
                ) from error
            self._written[path] = record

    def _write(self) -> None:
        if not self._is_there():
            return
        for place, (path, record) in enumerate(list(self.waiting.items())):
            try:
                self._restore(path.parents[1] / "configuration.json")
                write_record(path, record, flushes_folder=False)
                self._unflushed.add(path.parent)
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

    def _take_weights(self, event: WeightsWritten) -> None:
        """Moves a file of weights to its place; one of another sweep's folder is left there."""
        key, source = event.key, self.folder / event.file
        path = weights_file(self.folder / str(key.configuration), key.replicate.key)
        try:
            path.parent.mkdir(exist_ok=True)
            if source.is_relative_to(self.folder):
                source.replace(path)
            else:
                link(source, path)
        except OSError as error:
            log.error("%s cannot be written (%s).", path, error.strerror or error)
        else:
            self._unflushed.add(path.parent)

    def _tell_lost(self) -> None:
        if self.waiting and not self.gone:
            count = len(self.waiting)
            kept = "MLflow has the curves." if self.elsewhere else "They will be trained again."
            log.error(
                "%d record%s could not be written: %s. %s",
                count,
                "s" * (count > 1),
                ", ".join(str(path) for path in [*self.waiting][:_MAX_TOLD]),
                kept,
            )

    def _is_there(self) -> bool:
        """Tells whether the folder is there; says once that it is not any more."""
        if not self.gone and not (self.folder / "sweep.json").exists():
            self.gone = True
            kept = "MLflow keeps what follows." if self.elsewhere else "Training stops."
            text = f"{self.folder} was removed while the command ran. It is not made again. {kept}"
            if not self.elsewhere:
                raise DiskError(text)
            log.error("%s", text)
        return not self.gone

    def _restore(self, path: Path) -> None:
        """Writes the record of a configuration again if somebody has removed it."""
        if path in self._written and not path.exists():
            write_record(path, self._written[path])
            log.warning("%s was removed while the command ran. It is written again.", path)
