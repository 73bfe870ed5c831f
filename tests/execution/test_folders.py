"""Results folders: one per command, `latest` points to the newest."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

import runner
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
    folders.release()  # the resolver has not claimed it
    assert (folder / "file").exists()


# A folder of a command that was killed early, and what is in it.
LEFT = {
    "nothing": (),
    "what Hydra writes": ("0/.hydra/config.yaml", "0/runner.log", "multirun.yaml", "runner.log"),
    "a half": (".sweep.json.0123abcd",),
}
KEPT = {
    "a record": ("sweep.json",),
    "a replicate": ("0/replicates/seed-0.json",),
    "somebody's notes": ("notes.txt",),
}


def folder_with(*names: str):
    """Returns the folder of a command that is not alive."""
    folder = folders.ROOT / "2026-01-02" / "12-00-00"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("name", [*LEFT, *KEPT])
def test_the_folder_of_a_command_that_was_killed_early_goes_and_no_other(name):
    folder = folder_with(*(LEFT | KEPT)[name])
    folders.remove_left(folders.ROOT)
    assert folder.exists() == (name in KEPT)
    assert folders.ROOT.exists()


@pytest.mark.parametrize("name", ["notes", "2026-01-02/draft"])
def test_empty_folders_of_other_names_stay(name):
    (folders.ROOT / name).mkdir(parents=True)
    folders.remove_left(folders.ROOT)
    assert (folders.ROOT / name).exists()


def test_the_folder_of_a_living_command_stays():
    program = (
        "import sys; from runner.execution import folders;"
        "print(folders.claim(folders.ROOT), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])},
    ) as process:
        folder = Path(process.stdout.readline().strip())
        folders.remove_left(folders.ROOT)
        assert folder.is_dir()
        process.kill()
    folders.remove_left(folders.ROOT)
    assert not folder.exists()


def test_a_folder_that_is_taken_for_a_left_one_is_claimed_again(monkeypatch):
    lock, calls = folders.lock, []

    def late(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            folders.remove_left(folders.ROOT)  # of another command
        return lock(descriptor)

    monkeypatch.setattr(folders, "lock", late)
    folder = folders.claim(folders.ROOT, NOON)
    assert folder.is_dir()
    assert len(calls) == 2


def test_halves_of_killed_commands_go_from_every_folder_of_a_sweep():
    halves = (
        *(".sweep.json.0123abcd", "0/.configuration.json.0123abcd", "figures/.a.svg.0123abcd"),
        *("0/replicates/.seed-0.json.0123abcd", "checkpoints/.0-0.npz.0123abcd"),
    )
    folder = folder_with("sweep.json", *halves)
    folders.remove_left(folders.ROOT)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["sweep.json"]


def test_a_link_that_was_never_renamed_goes_when_it_is_old():
    folders.ROOT.mkdir()
    for name, age_s in ((".latest-1", 3600), (".latest-2", 0)):
        link = folders.ROOT / name
        link.symlink_to("nowhere")
        moment = link.lstat().st_mtime - age_s
        os.utime(link, (moment, moment), follow_symlinks=False)
    folders.remove_left(folders.ROOT)
    assert [path.name for path in folders.ROOT.iterdir()] == [".latest-2"]
