"""A folder of images, in a folder for each class.

Every image becomes bytes, in grey where all are grey and in red, green and blue otherwise.
Images of 16 bits lose their lower 8; what is transparent lies on white; of several frames the first
counts; an image that a camera has marked as turned is turned upright. All of it is told in notes.
"""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runner.config import (
    BOOLEAN,
    FRACTION,
    PROPER_FRACTION,
    TEXT,
    ConfigError,
    optional,
    setting,
    shown,
)
from runner.datasets.files import WIDE, check_memory, one_line, unfit
from runner.datasets.folders import class_folders, existing_place
from runner.datasets.settings import LENGTHS, Common, Examples

if TYPE_CHECKING:
    from PIL import Image

_WHAT = "a folder with a folder of images for each class"
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".avif"),
)
_GREY = {"1", "L"}
_ORIENTATION = 0x0112  # the tag of EXIF
_BYTES_OF_16_BITS = 257  # 65535 / 255
_LARGEST_16_BITS = 65535

_NOTES = {
    "transparent": "are transparent somewhere, which is white",
    "16 bits": "have 16 bits and are brought to 8",
    "frames": "have several frames, of which the first counts",
    "turned": "are turned upright, as their EXIF orientation says",
    "resized": "are stretched or shrunk to `dataset.size`",
    "grey": "are grey, the others coloured: they have three equal channels",
}


@dataclass(frozen=True)
class Images(Common):
    """Images of the user.

    Attributes:
      path: A folder of folders, one for each class, or of folders train, test and val of such.
      size: Height and width that all images are brought to, whatever their shape; None where all
        have the same.
      as_sequence: As in `Pictures`.
      test: Fraction of all examples in the test part, 0 for none. None is the folder's own test
        part, and the usual fraction where it has none.
    """

    path: str | None = setting(optional(TEXT), None)
    size: tuple[int, int] | None = setting(optional(LENGTHS), None)
    as_sequence: bool = setting(BOOLEAN, False)  # type: ignore[misc]
    validation: float | None = setting(optional(PROPER_FRACTION), None)
    test: float | None = setting(optional(FRACTION), None)  # type: ignore[misc]

    def read(self) -> Examples:
        """Returns images of bytes, shape (n, height, width, channels)."""
        place = existing_place(self.path, _WHAT)
        if not place.is_dir():
            raise unfit(f"name {_WHAT}", "a file", place)
        found = class_folders(place, _is_image, _WHAT, "images")
        parts = [part for part in (found.train, found.validation, found.test) if part is not None]
        paths = [path for part in parts for path in part.paths]
        x, notes = _read(paths, self.size)
        y = np.concatenate([part.classes for part in parts])
        num = len(x) - (len(found.test.paths) if found.test else 0)
        return Examples(
            x=x[:num],
            y=y[:num],
            task="classification",
            key="dataset.path",
            source=str(self.path),
            x_test=x[num:] if found.test else None,
            y_test=y[num:] if found.test else None,
            num_validation=len(found.validation.paths) if found.validation else 0,
            notes=(*found.notes, *(f"{place.name}: {note}" for note in notes)),
        )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _read(paths: Sequence[Path], size: tuple[int, int] | None) -> tuple[np.ndarray, list[str]]:
    """Returns all images, and what was done to them, as sentences."""
    done: Counter[str] = Counter()
    x: np.ndarray = np.empty(0, np.uint8)
    for number, path in enumerate(paths):
        image, changes = read_image(path, size)
        done.update(changes)
        if not number:
            first = path
            shape = len(paths), image.height, image.width, 3
            check_memory(math.prod(shape), path.parent)
            x = np.empty(shape, np.uint8)
        if (image.height, image.width) != x.shape[1:3]:
            raise ConfigError(
                f"`dataset.size` must be a height and a width, such as [32,32], where images have "
                f"several sizes. Received: null, and {shown(first.name)} has {x.shape[1]} x "
                f"{x.shape[2]} pixels, {shown(str(path), WIDE)} {image.height} x {image.width}."
            )
        pixels = np.asarray(image)
        x[number] = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
    if done["grey"] == len(paths):
        del done["grey"]
        x = x[..., :1].copy()
    total = len(paths)
    return x, [f"{done[k]} of {total} images {what}." for k, what in _NOTES.items() if done[k]]


def read_image(path: Path, size: tuple[int, int] | None) -> "tuple[Image.Image, list[str]]":
    """Returns an image of mode L or RGB, and what was done to it.

    Raises:
      ConfigError: It is damaged, or of a kind that has no brightness from black to white.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                opened.load()
                changes = ["frames"] if getattr(opened, "n_frames", 1) > 1 else []
                if opened.getexif().get(_ORIENTATION, 1) != 1:
                    changes.append("turned")
                image = ImageOps.exif_transpose(opened)
    except Exception as error:  # a damaged image can raise anything
        raise unfit(
            "hold images that can be read",
            f"{type(error).__name__}: {one_line(error)}",
            path,
            "Repair it, or take it out of the folder.",
        ) from None
    image, flattened = _of_bytes(image, path)
    changes += flattened
    if size is not None and (image.height, image.width) != size:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        changes.append("resized")
    return image, changes + ["grey"] * (image.mode == "L")


def _of_bytes(image: "Image.Image", path: Path) -> "tuple[Image.Image, list[str]]":
    """Returns an image of any mode in the mode L or RGB."""
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.asarray(image, np.int64)
        if values.min() < 0 or values.max() > _LARGEST_16_BITS:
            received = f"whole numbers from {values.min()} to {values.max()}"
            raise unfit("hold images of at most 16 bits", received, path)
        return Image.fromarray((values // _BYTES_OF_16_BITS).astype(np.uint8)), ["16 bits"]
    if image.mode == "F":
        rule = "hold images of whole numbers"
        raise unfit(rule, "fractions, which have no black and white", path)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        is_grey = image.mode in ("LA", "La", *_GREY)
        white = Image.new("RGBA", over.size, "white")
        flat = Image.alpha_composite(white, over).convert("L" if is_grey else "RGB")
        opaque = over.getchannel("A").getextrema() == (255, 255)
        return flat, [] if opaque else ["transparent"]
    return image.convert("L" if image.mode in _GREY else "RGB"), []
