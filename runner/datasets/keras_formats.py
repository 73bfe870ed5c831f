"""The file formats of `keras.datasets`: where the files lie under a folder, and what they hold.

Reference: `keras/src/datasets` and `keras/src/utils/file_utils.py` of Keras 3 (and, for the older
places of the CIFAR files, Keras 2).
"""

import gzip
import io
import pickle
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from runner.datasets.files import open_npz

_IDX_BYTES = 0x08  # the type code of unsigned bytes in an idx header
_CIFAR_IMAGE = (3, 32, 32)


class Images(NamedTuple):
    """Images of bytes, shape (n, height, width, channels), and labels, shape (n,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


class Format(Protocol):
    """Files of one kind."""

    @property
    def files(self) -> str:
        """What to put into the Keras cache, in words."""
        ...

    def find(self, root: Path) -> Path | None:
        """Returns the place of the complete files: `root` itself or under it; None without."""
        ...

    def read(self, place: Path) -> Images:
        """Returns what the files at a place that `find` returned hold."""
        ...


@dataclass(frozen=True)
class Npz:
    """One .npz file with the arrays x_train, y_train, x_test, y_test.

    Attributes:
      file: Its name in the cache.
    """

    file: str

    @property
    def files(self) -> str:
        """The file's name."""
        return self.file

    def find(self, root: Path) -> Path | None:
        """Finds the file, under any name if `root` is one."""
        return _first_file(root, root / self.file)

    def read(self, place: Path) -> Images:
        """Reads the four arrays."""
        with open_npz(place) as archive:
            x_train, y_train, x_test, y_test = (archive[name] for name in Images._fields)
        return Images(_with_channel(x_train), y_train, _with_channel(x_test), y_test)


@dataclass(frozen=True)
class Idx:
    """A folder with four gzipped idx files, those of MNIST's first publication.

    Attributes:
      folder: Its name in the cache.
    """

    folder: str

    _NAMES = (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    )

    @property
    def files(self) -> str:
        """The folder's name and those of the files."""
        return f"{self.folder}/ with {', '.join(self._NAMES)}"

    def find(self, root: Path) -> Path | None:
        """Finds the folder that holds all four files."""
        return _first_folder(self._NAMES, root, root / self.folder)

    def read(self, place: Path) -> Images:
        """Reads the four files."""
        x_train, y_train, x_test, y_test = (_idx(place / name) for name in self._NAMES)
        return Images(_with_channel(x_train), y_train, _with_channel(x_test), y_test)


@dataclass(frozen=True)
class Batches:
    """CIFAR's pickled batches, in a folder or in the archive that they are published in.

    Attributes:
      folder: Name of the folder in the archive; Keras 3 puts it into `<folder>-target` in the
        cache, Keras 2 into the cache itself.
      archive: Name under which the archive is published.
      train, test: Names of the batches.
      labels: Key of the labels in a batch.
    """

    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    labels: str

    @property
    def files(self) -> str:
        """The archive's name."""
        return self.archive

    def find(self, root: Path) -> Path | None:
        """Finds the folder that holds all batches, or the archive, under any name if `root` is one.

        The names of the archive are its own and those that Keras 3 and Keras 2 give it.
        """
        target = f"{self.folder}-target"
        folders = (root, root / target / self.folder, root / self.folder)
        archives = (self.archive, f"{target}_archive", f"{self.folder}.tar.gz")
        return _first_folder((*self.train, self.test), *folders) or _first_file(
            root, *(root / name for name in archives)
        )

    def read(self, place: Path) -> Images:
        """Reads all batches."""
        names = (*self.train, self.test)
        if place.is_dir():
            stored: Mapping[str, bytes] = {name: (place / name).read_bytes() for name in names}
        else:
            stored = _members(place, names)
        batches = [self._batch(stored[name]) for name in self.train]
        x_test, y_test = self._batch(stored[self.test])
        x_train = np.concatenate([x for x, _ in batches])
        return Images(x_train, np.concatenate([y for _, y in batches]), x_test, y_test)

    def _batch(self, content: bytes) -> tuple[np.ndarray, np.ndarray]:
        batch = unpickled(content)
        if not isinstance(batch, dict):
            raise ValueError("a batch must be a dictionary")
        flat, labels = np.asarray(batch[b"data"]), np.asarray(batch[self.labels.encode()])
        return flat.reshape(-1, *_CIFAR_IMAGE).transpose(0, 2, 3, 1), labels


# All that a pickle of plain containers and arrays needs. Both spellings of numpy's module occur:
# before and since numpy 2. Reading any other pickle could run whatever its author wrote.
_REBUILD = np.empty(0).__reduce__()[0]
_HARMLESS: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy._core.multiarray", "_reconstruct"): _REBUILD,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which is no data")
        return _HARMLESS[module, name]


def unpickled(content: bytes) -> Any:
    """Returns a pickle of plain containers and arrays; Python 2's texts come as bytes.

    Raises:
      pickle.UnpicklingError: It is damaged, or holds anything else.
    """
    try:
        return _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from error


def _members(archive: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Returns the named files of a tar archive in one pass; going back in a gzip is slow."""
    stored = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            if name in names and (file := tar.extractfile(member)):
                stored[name] = file.read()
    return stored


def _idx(path: Path) -> np.ndarray:
    """Returns the array of bytes of a gzipped idx file.

    Header: two zero bytes, the type code, the number of axes, their lengths as big-endian uint32.
    """
    with gzip.open(path) as file:
        content = file.read()
    if len(content) < 4 or content[:3] != bytes([0, 0, _IDX_BYTES]):
        raise ValueError(f"{path.name} is no idx file of bytes")
    lengths = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + lengths.nbytes).reshape(lengths)


def _with_channel(x: np.ndarray) -> np.ndarray:
    return x[..., np.newaxis] if x.ndim == 3 else x


def _first_folder(names: tuple[str, ...], *folders: Path) -> Path | None:
    complete = (f for f in folders if all((f / name).is_file() for name in names))
    return next(complete, None)


def _first_file(*files: Path) -> Path | None:
    return next((file for file in files if file.is_file()), None)
