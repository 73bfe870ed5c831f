"""Files are whole or absent, and what bears a file's name need not be one."""

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from runner import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    files.write_text(path, "old")
    with pytest.raises(TypeError):
        files.write_bytes(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_flushed_before_it_gets_its_name_and_the_name_after(tmp_path, monkeypatch):
    path, flushed, fsync = tmp_path / "a" / "record.json", [], os.fsync

    def spy(descriptor):
        flushed.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    files.write_text(path, "{}")
    assert flushed == [(False, False), (True, True)]
    assert names(path.parent) == ["record.json"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        files.write_text(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_what_cannot_be_written_is_named(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)  # Python ignores the signal of this limit
    path = tmp_path / "report.html"
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"report\.html") as caught:
            files.write_bytes(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert names(tmp_path) == []


def test_a_folder_that_vanished_is_not_made_again(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"0/replicates/seed-0\.json"):
        files.write_text(tmp_path / "gone" / "0" / "replicates" / "seed-0.json", "{}")
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    kept = (".hidden", ".npz.12345678.txt", "1.npz", "a.12345678")
    for name in (*kept, ".1.npz.0123abcd", ".report.md.89abcdef"):
        (tmp_path / name).touch()
    with files.replacing(tmp_path / "2.npz") as file:
        files.remove_halves(tmp_path)
        file.write(b"whole")
    assert names(tmp_path) == sorted([*kept, "2.npz"])
    assert (tmp_path / "2.npz").read_bytes() == b"whole"


def test_a_half_that_is_removed_before_it_is_locked_is_begun_anew(tmp_path, monkeypatch):
    lock, taken = files.lock, []

    def late(descriptor):
        if not taken:
            taken.append(descriptor)
            files.remove_halves(tmp_path)  # of another command
            assert names(tmp_path) == []
        return lock(descriptor)

    monkeypatch.setattr(files, "lock", late)
    monkeypatch.setattr(files, "unused", lambda path: files.contextlib.nullcontext(True))
    files.write_text(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)


STRANGE = {
    "a pipe without a writer": (make_pipe, "not a regular file"),
    "a folder": (Path.mkdir, "not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "too large": (make_sparse, "too many"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "No such file"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "symbolic links"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_file_is_not_waited_for(tmp_path, name):
    make, message = STRANGE[name]
    make(tmp_path / "record.json")
    with pytest.raises(OSError, match=message):
        files.read_bytes(tmp_path / "record.json")
