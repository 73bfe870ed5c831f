import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runner import archive

Packed = Callable[[bytes], Path]


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
        "0/weights/seed-0.weights.h5",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def packed(tmp_path: Path) -> Callable[[bytes], Path]:
    """Returns a function that writes an archive."""

    def write(content: bytes) -> Path:
        path = tmp_path / "records.zip"
        path.write_bytes(content)
        return path

    return write


def zipped(contents: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_records_come_back_as_they_were(results: Path, packed: Packed, tmp_path: Path) -> None:
    assert archive.unpack(packed(archive.pack(results)), tmp_path / "back") == []
    kept = {"sweep.json", "0/configuration.json", "0/replicates/seed-0.json"}
    assert files(tmp_path / "back") == {
        name: name.encode() for name in kept | {"10/configuration.json"}
    }


def test_equal_records_give_equal_bytes(results: Path) -> None:
    first = archive.pack(results)
    (results / "sweep.json").touch()
    assert archive.pack(results) == first


STRANGE_NAMES = ("../../outside.json", "/absolute.json", "0/../../x.json", "0/.hydra/config.yaml")


def test_nothing_is_written_but_records(packed: Packed, tmp_path: Path) -> None:
    content = zipped(dict.fromkeys((*STRANGE_NAMES, "0/configuration.json"), b"1"))
    archive.unpack(packed(content), tmp_path / "a" / "inside")
    assert set(files(tmp_path)) == {"a/inside/0/configuration.json", "records.zip"}


def flagged(content: bytes, offset: int, value: int) -> bytes:
    """Returns an archive of one file with a field of both of its headers changed."""
    changed = bytearray(content)
    for mark, place in ((b"PK\3\4", offset), (b"PK\1\2", offset + 2)):
        changed[content.index(mark) + place] = value
    return bytes(changed)


ONE = {"sweep.json": str([number**3 for number in range(100)]).encode()}
DAMAGED = {
    "encrypted": flagged(zipped(ONE), 6, 1),
    "an unknown method": flagged(zipped(ONE), 8, 97),
    "other bytes": zipped(ONE, zipfile.ZIP_STORED).replace(b"729", b"730"),
    "garbled": zipped(ONE).replace(zipped(ONE)[42:50], b"\xff" * 8),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_and_left_out(name: str, packed: Packed, tmp_path: Path) -> None:
    (fault,) = archive.unpack(packed(DAMAGED[name]), tmp_path / "back")
    assert fault.startswith("sweep.json: cannot be unpacked (")
    assert "\n" not in fault


BOMB = zipped({"0/replicates/seed-0.json": bytes(50_000_000)})
REFUSED = {
    "something else": b"something else",
    "nothing": b"",
    "cut": zipped(ONE)[:-30],
    "a bomb": BOMB,
    "many small ones": zipped({f"{n}/a.json": bytes(300_000) for n in range(20)}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_archive_is_refused(name: str, packed: Packed, tmp_path: Path) -> None:
    with pytest.raises(archive.ArchiveError) as caught:
        archive.unpack(packed(REFUSED[name]), tmp_path / "back")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "back").exists()


def test_a_bomb_that_understates_its_size_is_left_out(packed: Packed, tmp_path: Path) -> None:
    stated, real = (size.to_bytes(4, "little") for size in (100, 50_000_000))
    (fault,) = archive.unpack(packed(BOMB.replace(real, stated)), tmp_path / "back")
    assert "cannot be unpacked" in fault
    assert files(tmp_path) == {"records.zip": BOMB.replace(real, stated)}
