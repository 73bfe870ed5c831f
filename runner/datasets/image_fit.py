"""One image as a function from the place of a pixel to its colour."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from runner.config import BOOLEAN, FRACTION, TEXT, optional, setting
from runner.datasets.files import existing_file
from runner.datasets.images import SUFFIXES, read_image
from runner.datasets.settings import DEFAULT_TEST, LENGTHS, Examples, Split

_WHAT = "an image"
_LARGEST_BYTE = 255


@dataclass(frozen=True)
class ImageFit(Split):
    """The pixels of an image: an example is a place, its target the colour there.

    Law: the pixel in row i of h and column j of w lies at ((2 j + 1) / w - 1, (2 i + 1) / h - 1);
    its targets are its brightnesses from 0, black, to 1, white. Neither is standardized. The pixels
    of the validation and test part are drawn among all, so that these parts ask for what lies
    between the pixels of the training part.

    Attributes:
      path: An image; None for one that scikit-learn ships, a temple with its roofs and trees.
      size: Height and width in pixels that it is brought to.
      grey: Whether it has one brightness at each place, not three.

    Reference: Sitzmann et al., 2020, "Implicit neural representations with periodic activation
    functions" (SIREN), section 3.1; Tancik et al., 2020, "Fourier features let networks learn high
    frequency functions in low dimensional domains", section 6.
    """

    path: str | None = setting(optional(TEXT), None)
    size: tuple[int, int] = setting(LENGTHS, (64, 64))
    grey: bool = setting(BOOLEAN, False)
    test: float = setting(FRACTION, DEFAULT_TEST)  # type: ignore[misc]

    standardize: ClassVar[bool | None] = False

    def read(self) -> Examples:
        """Returns places, shape (pixels, 2), and brightnesses, shape (pixels, 1 or 3)."""
        path = existing_file(self.path, SUFFIXES, _WHAT) if self.path else _built_in()
        image, _ = read_image(path, self.size)
        pixels = np.asarray(image.convert("L" if self.grey else "RGB"), np.float64) / _LARGEST_BYTE
        height, width = self.size
        down, right = ((2 * np.arange(num) + 1) / num - 1 for num in (height, width))
        x = np.stack(np.meshgrid(right, down), axis=-1).reshape(-1, 2)
        return Examples(
            x=x,
            y=pixels.reshape(len(x), -1),
            task="regression",
            key="dataset.path",
            source=str(self.path or path.name),
            inputs=("right", "down"),
            has_pixels=True,
        )


def _built_in() -> Path:
    from sklearn import datasets

    return Path(datasets.__file__).parent / "images" / "china.jpg"
