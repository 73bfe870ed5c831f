"""Results folders: one per command, `latest` points to the newest."""

import os
from datetime import datetime

import pytest

from runner.execution import folders

NOON = datetime(2026, 1, 2, 12, 0, 0)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_two_commands_of_one_second_get_two_folders(tmp_path):
    names = [folders.claim(tmp_path, NOON).relative_to(tmp_path).as_posix() for _ in range(3)]
    assert names == ["2026-01-02/12-00-00", "2026-01-02/12-00-00-2", "2026-01-02/12-00-00-3"]


def test_latest_points_to_the_newest():
    first, second = (folders.claim(folders.ROOT, NOON) for _ in range(2))
    folders.point_latest(first)
    folders.point_latest(second)
    assert (folders.ROOT / "latest").resolve() == second.resolve()


def test_a_folder_called_latest_is_told_of_and_stays(caplog):
    (folders.ROOT / "latest").mkdir(parents=True)
    folders.point_latest(folders.claim(folders.ROOT))
    assert "latest cannot point to" in caplog.text
    assert [path.name for path in folders.ROOT.glob(".*")] == []


def test_a_folder_elsewhere_is_not_latest(tmp_path):
    folders.ROOT.mkdir()
    folders.point_latest(tmp_path / "elsewhere")
    assert not (folders.ROOT / "latest").is_symlink()


def test_the_resolver_gives_one_folder_per_command():
    from omegaconf import OmegaConf

    folders.register_resolver()
    tree = OmegaConf.create({"a": "${results_folder:}", "b": "${results_folder:}/0"})
    assert tree.b == f"{tree.a}/0"
    first = tree.a
    folders.release()
    assert not list(folders.ROOT.rglob("*-*-*/*-*-*"))  # nothing was put there
    folders.register_resolver()
    assert OmegaConf.create({"a": "${results_folder:}"}).a == first  # free again
    folders.release()


def test_a_search_does_not_mind_folders_that_are_removed_meanwhile(tmp_path, monkeypatch):
    kept, gone = (folders.claim(tmp_path, NOON) for _ in range(2))
    for folder in (kept, gone):
        (folder / "sweep.json").touch()
    list_folder = os.scandir

    def after_another_command(path):
        if str(path) == str(gone):
            (gone / "sweep.json").unlink()
            gone.rmdir()
        return list_folder(path)

    monkeypatch.setattr(os, "scandir", after_another_command)
    assert folders.search(tmp_path, "[0-9]*/*/*.json") == [kept / "sweep.json"]
    assert not gone.exists()


def test_what_was_put_there_stays():
    folders.register_resolver()
    folder = folders.claim(folders.ROOT)
    (folder / "file").touch()
    folders.discard(folder)  # not claimed by this command's resolver
    assert (folder / "file").exists()
