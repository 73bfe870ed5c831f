"""Images of another size, and images as sequences of their pixels."""

from dataclasses import replace

import numpy as np

from runner.config import ConfigError
from runner.datasets.settings import Examples, Settings


def shaped(examples: Examples, settings: Settings) -> Examples:
    """Returns the examples with `dataset.resize` and `dataset.as_sequence` applied.

    Raises:
      ConfigError: They are no images, shape (n, height, width, channels).
    """
    wanted = {"resize": settings.resize, "as_sequence": settings.as_sequence or None}
    for key, value in wanted.items():
        if value is not None and examples.x.ndim != 4:
            rule = f"{'null' if key == 'resize' else 'false'} where an example is no image"
            received = f"{list(value) if isinstance(value, tuple) else value}"
            raise ConfigError(
                f"`dataset.{key}` must be {rule} (height, width, channels). Received: {received}, "
                f"and examples of shape {examples.x.shape[1:]}. Images of one channel need an axis "
                "for it, such as x[..., None]."
            )

    def changed(x: np.ndarray | None) -> np.ndarray | None:
        if x is None or x.ndim != 4:
            return x
        x = resized(x, *settings.resize) if settings.resize else x
        return x.reshape(len(x), -1, x.shape[-1]) if settings.as_sequence else x

    x = changed(examples.x)
    assert x is not None
    return replace(examples, x=x, x_test=changed(examples.x_test))


def resized(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns images of another size: bilinear, and averaged where they shrink.

    Args:
      x: Shape (n, h, w, channels). Bytes stay bytes.
      height, width: In pixels.

    Returns:
      Shape (n, height, width, channels), uint8 or float32.
    """
    from PIL import Image

    dtype = np.uint8 if x.dtype == np.uint8 else np.float32
    if x.shape[1:3] == (height, width):
        return x
    made = np.empty((len(x), height, width, x.shape[3]), dtype)
    for image, place in zip(x, made, strict=True):
        for channel in range(x.shape[3]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel], dtype))
            size = (width, height)
            place[..., channel] = plane.resize(size, Image.Resampling.BILINEAR)
    return made
