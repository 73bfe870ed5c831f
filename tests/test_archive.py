import io
import zipfile
from pathlib import Path

import pytest

from runner import archive


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    for name in (
        *(
            "sweep.json",
            "0/configuration.json",
            "0/replicates/seed-0.json",
            "10/configuration.json",
        ),
        *("0/.hydra/config.yaml", "0/runner.log", "report.html", "figures/curves.svg"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_records_come_back_as_they_were(results: Path, tmp_path: Path) -> None:
    archive.unpack(archive.pack(results), tmp_path / "back")
    kept = {"sweep.json", "0/configuration.json", "0/replicates/seed-0.json"}
    assert files(tmp_path / "back") == {
        name: name.encode() for name in kept | {"10/configuration.json"}
    }


def test_equal_records_give_equal_bytes(results: Path) -> None:
    first = archive.pack(results)
    (results / "sweep.json").touch()
    assert archive.pack(results) == first


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as hostile:
        hostile.writestr("../../outside.json", "1")
        hostile.writestr("/absolute.json", "1")
    archive.unpack(content.getvalue(), tmp_path / "a" / "inside")
    written = {path.name: path for path in tmp_path.rglob("*.json")}
    assert set(written) == {"outside.json", "absolute.json"}
    assert all(tmp_path / "a" / "inside" in path.parents for path in written.values())


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(zipfile.BadZipFile):
        archive.unpack(b"something else", tmp_path)
