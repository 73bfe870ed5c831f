"""Data sets: reading them, checking, splitting, scaling.

A data set is a frozen dataclass of settings with a method `read`, which returns examples as they
come; what follows is the same for all (`preparation`). Libraries that are slow to import are
imported where a data set is read.
"""

from collections.abc import Mapping

from runner.datasets.arrays import Arrays
from runner.datasets.bundled import BreastCancer, Diabetes, Digits, Iris, Wine
from runner.datasets.dataset import Dataset, Part
from runner.datasets.generated import Spirals, Teacher
from runner.datasets.generated_sequences import Adding, Copy, Parity
from runner.datasets.image_fit import ImageFit
from runner.datasets.images import Images
from runner.datasets.keras_images import Cifar10, Cifar100, FashionMnist, Mnist
from runner.datasets.mnist5k import Mnist5k
from runner.datasets.preparation import LookedUp, prepare
from runner.datasets.series import Series
from runner.datasets.settings import Settings
from runner.datasets.shapeset import Shapeset
from runner.datasets.table import Table
from runner.datasets.text import Text

__all__ = ["CATALOGUE", "Dataset", "Part", "load"]

CATALOGUE: dict[str, type] = {
    "digits": Digits,
    "breast_cancer": BreastCancer,
    "wine": Wine,
    "iris": Iris,
    "diabetes": Diabetes,
    "spirals": Spirals,
    "teacher": Teacher,
    "adding": Adding,
    "copy": Copy,
    "parity": Parity,
    "shapeset": Shapeset,
    "image_fit": ImageFit,
    "mnist": Mnist,
    "mnist5k": Mnist5k,
    "fashion_mnist": FashionMnist,
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "arrays": Arrays,
    "table": Table,
    "text": Text,
    "images": Images,
    "series": Series,
}


def load(
    name: str,
    settings: Settings,
    looked_up: LookedUp = (),
    integers: bool | Mapping[str, bool] = False,
) -> Dataset:
    """Reads, checks, splits and scales a data set.

    Args:
      name: Name of the option.
      settings: An instance of `CATALOGUE[name]`.
      looked_up: Positions along the last axis of inputs that the model looks up, which so stay as
        they are.
      integers: Whether inputs that are all whole numbers stay such, int32. Both by the names of
        several inputs.

    Raises:
      ConfigError: It cannot be read, cannot be trained on, or not be split as asked.
    """
    return prepare(name, settings.read(), settings, looked_up, integers)
