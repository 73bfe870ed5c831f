import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runner import archive
from runner.report import load
from runner.report.errors import ResultsError

Build = Callable[..., Path]


@pytest.fixture
def folder(build: Build, behaviour: Any) -> Path:
    return build({"zero": behaviour(learns=False), "he_normal": behaviour()}, epochs=3)


def test_frames_share_their_keys(folder: Path) -> None:
    results = load(folder)
    key = ["configuration", "weight_seed", "batch_seed"]
    assert not results.replicates.duplicated(key).any()
    assert len(results.replicates) == 10
    assert len(results.curves) == 10 * 4 * 4  # replicates, metrics, epochs
    assert len(results.movement) == 10 * 4
    for frame in (results.curves, results.movement):
        assert len(frame.merge(results.replicates, on=key)) == len(frame)
    assert [record.init for record in results.configurations] == ["zero", "he_normal"]


def test_a_path_may_be_a_text(folder: Path) -> None:
    assert load(str(folder)).sweep.name == "2026-11-23/18-02-11"


def test_a_killed_sweep_has_what_has_ended(build: Build, behaviour: Any) -> None:
    folder = build({"a": behaviour(ends=dict.fromkeys(range(5))), "b": behaviour(ends={4: None})})
    results = load(folder)
    assert list(results.comparison["num_finished"]) == [0, 4]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"nowhere: there is no such folder"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("missing", ["sweep.json", "0/configuration.json"])
def test_a_folder_without_records_is_named(build: Build, behaviour: Any, missing: str) -> None:
    folder = build({"a": behaviour()})
    (folder / missing).unlink()
    with pytest.raises(ResultsError, match=r"results: not a results folder, it has no .*\.json"):
        load(folder)


@pytest.fixture
def packed(folder: Path, tmp_path: Path) -> Path:
    """Returns a folder that holds a sweep's records as one file, beside its sweep.json."""
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / archive.NAME).write_bytes(archive.pack(folder))
    (clone / "sweep.json").write_bytes((folder / "sweep.json").read_bytes())
    return clone


def test_records_in_one_file_are_as_good_as_a_folder(folder: Path, packed: Path) -> None:
    pd.testing.assert_frame_equal(load(packed).replicates, load(folder).replicates)
    assert load(packed).configurations == load(folder).configurations
    assert {path.name for path in packed.iterdir()} == {archive.NAME, "sweep.json"}


def test_records_that_lie_open_count_before_packed_ones(
    folder: Path, build: Build, behaviour: Any
) -> None:
    other = build({"ones": behaviour()}, name="other", epochs=1)
    (folder / archive.NAME).write_bytes(archive.pack(other))
    assert [record.init for record in load(folder).configurations] == ["zero", "he_normal"]


def test_a_corrupted_file_of_records_is_named(
    packed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = packed / archive.NAME
    with zipfile.ZipFile(path, "a") as content:
        content.writestr("2/configuration.json", "{")
    assert len(load(packed).configurations) == 2
    assert f"{path}: 2/configuration.json: cannot be read as a record" in caplog.text
    path.write_bytes(b"something else")
    with pytest.raises(ResultsError, match=r"clone/records\.zip: .*File is not a zip file"):
        load(packed)
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("other.json", "{}")
    with pytest.raises(ResultsError, match=r"records\.zip: not a results folder, it has no sweep"):
        load(packed)
