"""The image data sets of `keras.datasets`, each with its official test part.

A file is looked for at `dataset.path`, else in Keras's cache and where a package of the system puts
it; what is not there is downloaded by Keras. Reading a file needs no TensorFlow, only the download
does.
"""

import os
import pickle
import socket
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from runner.config import TEXT, ConfigError, optional, setting, shown
from runner.datasets.files import WIDE, expanded, one_line, reading
from runner.datasets.keras_formats import Batches, Format, Idx, Npz
from runner.datasets.settings import Examples, Pictures

_KERAS_FILES = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_CIFAR_FILES = "https://www.cs.toronto.edu/~kriz/"
_DAMAGED = (
    ValueError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    tarfile.TarError,
    pickle.UnpicklingError,
)
# A network that swallows packets would otherwise hold the command up for minutes.
_SILENCE_LIMIT_S = 20.0


@dataclass(frozen=True)
class KerasImages(Pictures):
    """Images in one of Keras's file formats; a base of the data sets below.

    Attributes:
      path: The file, or a folder that it lies in; None for the Keras cache.
    """

    path: str | None = setting(optional(TEXT), None)

    keras_name: ClassVar[str]
    format: ClassVar[Format]
    origin: ClassVar[str]
    classes: ClassVar[tuple[str, ...]] = ()
    # A package of Debian, and where it puts the files.
    package: ClassVar[str] = ""
    system: ClassVar[Path | None] = None

    def read(self) -> Examples:
        """Returns images of bytes, shape (n, height, width, channels), and the test part."""
        place = self._place()
        with reading(place, f"files of {self.keras_name}", *_DAMAGED):
            images = self.format.read(place)
        return Examples(
            x=images.x_train,
            y=images.y_train,
            task="classification",
            key="dataset.path",
            source=str(place),
            classes=self.classes,
            x_test=images.x_test,
            y_test=images.y_test,
        )

    def _place(self) -> Path:
        if self.path is None:
            return self._cached() or self._downloaded()
        root = expanded(self.path)
        with reading(root, f"files of {self.keras_name}"):
            place = self.format.find(root)
        if place is None:
            raise ConfigError(
                f"`dataset.path` must name the place of {self.format.files}. "
                f"Received: {shown(self.path, WIDE)}, and they are not there."
            )
        return place

    def _cached(self) -> Path | None:
        places = [*_caches(), *([self.system] if self.system else [])]
        found = (self.format.find(place) for place in places)
        return next((place for place in found if place), None)

    def _downloaded(self) -> Path:
        reason = "Keras put them elsewhere"
        try:
            _download(self.keras_name, self.origin)
        except Exception as error:  # Keras raises a bare Exception
            reason = one_line(error)
        place = self._cached()
        if place is None:
            advice = f" On Debian: apt install {self.package}." if self.package else ""
            raise ConfigError(
                f"`dataset.path` is missing: {self.keras_name} is not in the Keras cache and could "
                f"not be downloaded ({reason}). Put {self.format.files} (from {self.origin}) into "
                f"{shown(str(_caches()[0]), WIDE)}, or name their place with dataset.path=..."
                f"{advice}"
            )
        return place


def _caches() -> list[Path]:
    """Returns where Keras keeps data sets: first where it wants to, then where it falls back to."""
    home = expanded(os.environ.get("KERAS_HOME", "~/.keras"))
    homes = [home]
    if not os.access(home, os.W_OK):
        temporary = Path("/tmp")
        homes.append((temporary if temporary.is_dir() else Path(tempfile.gettempdir())) / ".keras")
    return [home / "datasets" for home in homes]


def _download(keras_name: str, origin: str) -> None:
    """Lets Keras download a data set into its cache, if `origin` answers at all."""
    with _silence_limit():
        # Asked first, because Keras takes many seconds to start, and there may be no network.
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(origin, method="HEAD")).close()
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["KERAS_BACKEND"] = "tensorflow"
        import keras

        getattr(keras.datasets, keras_name).load_data()


@contextmanager
def _silence_limit() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SILENCE_LIMIT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@dataclass(frozen=True)
class Mnist(KerasImages):
    """60,000 and 10,000 handwritten digits, 28 x 28 pixels, one channel, 10 classes."""

    keras_name = "mnist"
    format = Npz("mnist.npz")
    origin = f"{_KERAS_FILES}mnist.npz"


@dataclass(frozen=True)
class FashionMnist(KerasImages):
    """60,000 and 10,000 pieces of clothing, 28 x 28 pixels, one channel, 10 classes."""

    keras_name = "fashion_mnist"
    format = Idx("fashion-mnist")
    package = "dataset-fashion-mnist"
    system = Path("/usr/share/datasets/fashion-mnist")
    origin = _KERAS_FILES
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )


@dataclass(frozen=True)
class Cifar10(KerasImages):
    """50,000 and 10,000 photographs, 32 x 32 pixels, three channels, 10 classes."""

    keras_name = "cifar10"
    format = Batches(
        folder="cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test="test_batch",
        labels="labels",
    )
    origin = f"{_CIFAR_FILES}cifar-10-python.tar.gz"
    classes = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )


@dataclass(frozen=True)
class Cifar100(KerasImages):
    """50,000 and 10,000 photographs, 32 x 32 pixels, three channels, 100 (fine) classes."""

    keras_name = "cifar100"
    format = Batches(
        folder="cifar-100-python",
        archive="cifar-100-python.tar.gz",
        train=("train",),
        test="test",
        labels="fine_labels",
    )
    origin = f"{_CIFAR_FILES}cifar-100-python.tar.gz"
