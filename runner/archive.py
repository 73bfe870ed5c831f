"""The records of a results folder as one file, to be kept where folders cannot be."""

import io
import zipfile
from pathlib import Path

NAME = "records.zip"

# Everything that a report is made from; not Hydra's files and logs, which may hold passwords.
_PATTERNS = ("sweep.json", "[0-9]*/*.json", "[0-9]*/*.parquet", "[0-9]*/[a-z]*/*")
# One date for all entries, so that equal records give equal bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


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


def unpack(content: bytes, folder: Path) -> None:
    """Writes what `pack` returned into a folder, and nothing outside of it.

    Raises:
      zipfile.BadZipFile: It is something else.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)  # leaves out "..", drives and leading slashes
