"""Checkpoints that somebody changed, or that nobody needs any more."""

import io
import json
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from runner.execution import checkpoints
from runner.files import lock
from runner.records import ReplicateRecord, write_record

IDENTITY = "a" * 64
ABOUT = {
    "epoch": 1,
    "seconds": 2.5,
    "program": {"form": "stacked", "width": 2, "size": 2},
    "members": [[IDENTITY, 0, 0], [IDENTITY, 1, 1]],
    "rates": [0.1, 0.1],
    "curves": [[[IDENTITY, 1, 1], [0, 9], {"loss": [2.0, 1.0]}]],
}
KEY = (IDENTITY, 1, 1)


def archive(about: object, compression: int = zipfile.ZIP_STORED, **arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(content, about=text, **arrays)
    packed = io.BytesIO()
    with zipfile.ZipFile(content) as source, zipfile.ZipFile(packed, "w", compression) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return packed.getvalue()


def changed(**values: object) -> bytes:
    return archive({**ABOUT, **values})


class Bomb:
    """Creates a file when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def pickled() -> bytes:
    content = io.BytesIO()
    np.savez(content, about=np.array([Bomb()], object))
    return content.getvalue()


DAMAGED = {
    "empty": b"",
    "cut": archive(ABOUT)[:-30],
    "text": b"{}",
    "a pickle": pickled(),
    "without what it is about": archive(ABOUT).replace(b"about", b"abuot"),
    "a bomb": archive(ABOUT, zipfile.ZIP_DEFLATED, weights=np.zeros(10**7)),
    "a list": archive([]),
    "no epoch": archive({key: value for key, value in ABOUT.items() if key != "epoch"}),
    "a negative epoch": changed(epoch=-1),
    "another epoch": changed(epoch=7),
    "an epoch as a text": changed(epoch="1"),
    "negative seconds": changed(seconds=-1),
    "NaN seconds": changed(seconds=float("nan")),
    "a member of two": changed(members=[[IDENTITY, 0], [IDENTITY, 1]]),
    "a member twice": changed(members=[[IDENTITY, 1, 1]] * 2),
    "a negative seed": changed(members=[[IDENTITY, -1, 0], [IDENTITY, 1, 1]]),
    "a rate too few": changed(rates=[0.1]),
    "an infinite rate": changed(rates=[0.1, float("inf")]),
    "a huge program": changed(program={"form": "stacked", "width": 10**9, "size": 2}),
    "a program as a list": changed(program=[]),
    "a stranger's curves": changed(curves=[[[IDENTITY, 9, 9], [0, 9], {"loss": [2.0, 1.0]}]]),
    "a short curve": changed(curves=[[[IDENTITY, 1, 1], [0, 9], {"loss": [2.0]}]]),
    "a curve with NaN": changed(curves=[[[IDENTITY, 1, 1], [0, 9], {"loss": [2.0, None]}]]),
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a checkpoint of a killed command lies."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results" / "2026-01-02" / "12-00-00" / "checkpoints" / "0-0.npz"
    path.parent.mkdir(parents=True)
    return path


def test_what_a_checkpoint_says_is_read(path):
    path.write_bytes(archive(ABOUT, weights=np.zeros(3)))
    (found,) = checkpoints.find(Path("results"), {KEY})
    assert (found.epoch, found.curves) == (1, {KEY: ([0, 9], {"loss": [2.0, 1.0]})})
    assert list(found.snapshot([True, True]).arrays) == ["weights"]


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_checkpoint_is_named_and_not_used(path, caplog, name):
    path.write_bytes(DAMAGED[name])
    assert checkpoints.find(Path("results"), {KEY}) == []
    assert "0-0.npz: cannot be read (" in caplog.text
    assert len(caplog.records) == 1
    assert "\n" not in caplog.records[0].getMessage()
    assert not Path("executed").exists()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_waited_for(path, caplog, make):
    make(path)
    assert checkpoints.find(Path("results"), {KEY}) == []
    assert "not a regular file" in caplog.text


def end(folder: Path, status: str = "finished") -> None:
    """Lets the replicate that is under way come to its end in another sweep."""
    write_record(folder / "sweep.json", ReplicateRecord(0, 1, 1, 1, "failed", [], {}, 0.0))
    (folder / "0").mkdir(parents=True, exist_ok=True)
    (folder / "0" / "configuration.json").write_text(f'{{"identity": "{IDENTITY}"}}')
    record = ReplicateRecord(
        0, 1, 1, 1, status, [0, 9], {"loss": [2.0, 1.0]}, 1.0, identity=IDENTITY
    )
    write_record(folder / "0" / "replicates" / "seed-1.json", record)


@pytest.mark.parametrize(
    ("status", "age_days", "remains"),
    [("finished", 0, False), ("interrupted", 0, True), ("interrupted", 31, False)],
)
def test_a_checkpoint_goes_when_nobody_needs_it(path, status, age_days, remains):
    path.write_bytes(archive(ABOUT))
    moment = time.time() - 86400 * age_days
    os.utime(path, (moment, moment))
    other = path.parents[2] / "13-00-00"
    other.mkdir()
    end(other, status)
    checkpoints.remove_needless(Path("results"))
    assert path.exists() == remains
    assert path.parent.exists() == remains


def test_a_checkpoint_of_a_living_command_stays(path):
    path.write_bytes(archive(ABOUT))
    os.utime(path, (0, 0))
    descriptor = os.open(path.parents[1], os.O_RDONLY)
    assert lock(descriptor)
    checkpoints.remove_needless(Path("results"))
    assert path.exists()
    os.close(descriptor)
    checkpoints.remove_needless(Path("results"))
    assert not path.exists()
