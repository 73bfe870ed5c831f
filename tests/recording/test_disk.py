"""Full disks and removed folders: told, tried again, and not half made anew."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from runner import files
from runner.events import ReplicateRecorded, SweepEnded, SweepPlanned
from runner.recording.disk import DiskError, DiskRecorder
from runner.records import (
    ConfigurationRecord,
    ReplicateRecord,
    SweepRecord,
    read_configurations,
    read_replicates,
)

SWEEP = SweepRecord("d/t", "python -m runner", "now", {"keras": "3"}, "here")
CONFIGURATION = ConfigurationRecord(0, "zero", {}, {}, num_replicates=3)


def record(seed: int) -> ReplicateRecord:
    return ReplicateRecord(0, seed, seed, seed, "finished", [0, 9], {"loss": [2.0, 1.0]}, 1.0)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Holds whether the disk has room."""
    replacing, has_room = files.replacing, [True]

    def limited(path: Path, *options: bool):
        if not has_room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return replacing(path, *options)

    monkeypatch.setattr(files, "replacing", limited)
    return has_room


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a sweep, as Hydra makes it."""
    (tmp_path / "sweep" / "0").mkdir(parents=True)
    return tmp_path / "sweep"


def begun(folder: Path, elsewhere: bool = False) -> DiskRecorder:
    disk = DiskRecorder(folder, elsewhere)
    disk.take(SweepPlanned(SWEEP, (CONFIGURATION,)))
    return disk


def test_what_could_not_be_written_is_written_when_there_is_room(folder, room, caplog):
    disk = begun(folder)
    room[0] = False
    disk.take(ReplicateRecorded(record(0)))
    disk.take(ReplicateRecorded(record(1)))
    assert not disk.is_whole
    assert read_replicates(folder) == []
    assert caplog.text.count("cannot be written (No space left on device)") == 1
    room[0] = True
    disk.take(ReplicateRecorded(record(2)))
    assert disk.is_whole
    assert [found.seed for found in read_replicates(folder)] == [0, 1, 2]


def test_what_is_lost_in_the_end_is_told(folder, room, caplog):
    disk = begun(folder)
    room[0] = False
    disk.take(ReplicateRecorded(record(0)))
    disk.take(SweepEnded("finished"))
    assert not disk.is_whole
    assert f"1 record could not be written: {folder}/0/replicates/seed-0.json" in caplog.text


def test_without_room_at_the_start_nothing_is_trained(folder, room):
    room[0] = False
    with pytest.raises(DiskError, match=r"sweep\.json cannot be written .* repeat the command"):
        begun(folder)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_removed_folder_is_told_once_and_not_made_again(folder, caplog, elsewhere):
    disk = begun(folder, elsewhere)
    disk.take(ReplicateRecorded(record(0)))
    shutil.rmtree(folder)
    if elsewhere:
        disk.take(ReplicateRecorded(record(1)))
        assert caplog.text.count("was removed while the command ran") == 1
    else:
        with pytest.raises(DiskError, match="was removed while the command ran"):
            disk.take(ReplicateRecorded(record(1)))
    disk.take(ReplicateRecorded(record(2)))
    disk.take(SweepEnded("failed"))
    assert not disk.is_whole
    assert len(caplog.records) == elsewhere
    assert not folder.exists()


@pytest.mark.parametrize("is_last", [False, True])
def test_a_removed_folder_of_a_configuration_is_made_again(folder, caplog, is_last):
    disk = begun(folder)
    disk.take(ReplicateRecorded(record(0)))
    shutil.rmtree(folder / "0")
    disk.take(ReplicateRecorded(record(1)))
    if not is_last:
        disk.take(ReplicateRecorded(record(2)))
    disk.take(SweepEnded("finished"))
    assert disk.is_whole
    assert [found.seed for found in read_replicates(folder)] == ([1] if is_last else [1, 2])
    assert read_configurations(folder) == [CONFIGURATION]
    assert caplog.text.count("was removed while the command ran. It is written again") == 1
