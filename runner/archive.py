"""The records of a results folder as one file, to be kept where folders cannot be."""

import io
import re
import zipfile
from pathlib import Path

from runner.files import MAX_BYTES, opened

NAME = "records.zip"

# Everything that a report is made from; not Hydra's files and logs, which may hold passwords, and
# not the weights of replicates, which are large.
_PATTERNS = ("sweep.json", "[0-9]*/*.json", "[0-9]*/*.parquet", "[0-9]*/[a-z]*/*.json")
_NAMES = re.compile(
    r"sweep\.json|[0-9]+/(\w[\w.-]*\.(json|parquet)|[a-z]\w*/\w[\w.-]*\.json)", re.ASCII
)
# One date for all entries, so that equal records give equal bytes.
_DATE = (1980, 1, 1, 0, 0, 0)

# What is unpacked may be so many times as large as the archive. Records become 3 times as large,
# those of curves that never move 50 times.
_MAX_RATIO = 200
_MAX_ENTRIES = 1_000_000


class ArchiveError(ValueError):
    """A file that should be an archive of records and is not. Its message is one line."""


def pack(folder: Path) -> bytes:
    """Returns the records of a results folder as a zip file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(
            path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()
        ):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _DATE)
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def unpack(path: Path, folder: Path) -> list[str]:
    """Writes what `pack` returned into a folder, and nothing outside of it.

    Entries that `pack` would not have made are passed over.

    Args:
      path: The archive; others may have made it.
      folder: Where its files go.

    Returns:
      A line for each file that is damaged, with the reason; it is left out.

    Raises:
      ArchiveError: It is something else, or takes up far more room than records do.
      OSError: A file cannot be read or written.
    """
    with opened(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # a damaged archive raises almost anything
            raise ArchiveError(f"cannot be read as an archive ({_reason(error)})") from error
        with archive:
            return _unpack(archive, _entries(archive, path.stat().st_size), folder)


def _entries(archive: zipfile.ZipFile, size: int) -> list[zipfile.ZipInfo]:
    """Returns the files of records in an archive of so many bytes."""
    entries = [entry for entry in archive.infolist() if _NAMES.fullmatch(entry.filename)]
    total = sum(entry.file_size for entry in entries)
    names = {entry.filename for entry in entries}
    if len(entries) > _MAX_ENTRIES or total > _MAX_RATIO * size or len(names) < len(entries):
        raise ArchiveError(
            f"is no archive of records: {len(entries)} files ({len(names)} names) of together "
            f"{total} bytes in {size}"
        )
    return entries


def _unpack(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path) -> list[str]:
    faults = []
    for entry in entries:
        try:
            if entry.file_size > MAX_BYTES:
                raise ArchiveError(f"{entry.file_size} bytes are too many")
            content = archive.read(entry)  # never more than the size that it states
        except Exception as error:
            faults.append(f"{entry.filename}: cannot be unpacked ({_reason(error)}).")
            continue
        place = folder / entry.filename
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return faults


def _reason(error: Exception) -> str:
    return " ".join(f"{error or type(error).__name__}".split())[:200]
