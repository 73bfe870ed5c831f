"""Small real data sets from the files that scikit-learn ships: no download.

Reference: scikit-learn user guide, "Toy datasets", names the origin of each.
"""

from dataclasses import dataclass, replace
from typing import Any

from runner.datasets.settings import DrawnPictures, DrawnTest, Examples

_LARGEST_PIXEL = 16  # of digits


def _classes(bunch: Any, name: str) -> Examples:
    names = tuple(str(label) for label in bunch.target_names)
    return Examples(bunch.data, bunch.target, "classification", source=name, classes=names)


@dataclass(frozen=True)
class Digits(DrawnPictures):
    """1,797 images of handwritten digits, 8 x 8 pixels, one channel, 10 classes."""

    def read(self) -> Examples:
        """Returns the images with pixels in [0, 1], shape (n, 8, 8, 1)."""
        from sklearn.datasets import load_digits

        examples = _classes(load_digits(), "digits")
        images = examples.x.reshape(-1, 8, 8, 1) / _LARGEST_PIXEL
        return replace(examples, x=images)


@dataclass(frozen=True)
class BreastCancer(DrawnTest):
    """569 tumours, 30 measurements of cell nuclei, malignant or benign."""

    def read(self) -> Examples:
        """Returns the measurements, shape (n, 30)."""
        from sklearn.datasets import load_breast_cancer

        return _classes(load_breast_cancer(), "breast_cancer")


@dataclass(frozen=True)
class Wine(DrawnTest):
    """178 wines, 13 chemical measurements, 3 cultivars."""

    def read(self) -> Examples:
        """Returns the measurements, shape (n, 13)."""
        from sklearn.datasets import load_wine

        return _classes(load_wine(), "wine")


@dataclass(frozen=True)
class Iris(DrawnTest):
    """150 flowers, 4 lengths, 3 species."""

    def read(self) -> Examples:
        """Returns the lengths, shape (n, 4)."""
        from sklearn.datasets import load_iris

        return _classes(load_iris(), "iris")


@dataclass(frozen=True)
class Diabetes(DrawnTest):
    """442 patients, 10 measurements; target: progression of the disease after a year."""

    def read(self) -> Examples:
        """Returns the measurements in their own units, shape (n, 10)."""
        from sklearn.datasets import load_diabetes

        bunch = load_diabetes(scaled=False)
        return Examples(bunch.data, bunch.target, "regression", source="diabetes")
