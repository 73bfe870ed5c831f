"""Brings inputs and regression targets to a common scale.

Everything is fitted on the training part and applied to all parts, over all axes but the last: flat
inputs per feature, images per channel, sequences per feature. Sums run in double precision and in
blocks, so that a large array of bytes is never copied as a whole into doubles.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_BLOCK_VALUES = 1 << 20
_LARGEST_BYTE = 255
LARGEST = int(np.iinfo(np.int32).max)
EXACT = 2**24
"""Single precision holds all whole numbers up to here."""


@dataclass(frozen=True)
class Scaling:
    """z = (x - shift) * scale.

    Attributes:
      shift, scale: Float64, shape () or that of the last axis.
    """

    shift: np.ndarray
    scale: np.ndarray

    def sparing(self, features: Sequence[int], shape: tuple[int, ...]) -> "Scaling":
        """Returns a scaling that leaves some features as they are.

        Args:
          features: Positions along the last axis.
          shape: Shape of an example.
        """
        shift, scale = (np.broadcast_to(v, shape[-1:]).copy() for v in (self.shift, self.scale))
        shift[list(features)], scale[list(features)] = 0.0, 1.0
        return Scaling(shift, scale)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Returns `x` scaled, float32, in the same shape."""
        rows = x.reshape(len(x), -1)
        shift, scale = _repeated(self.shift, x), _repeated(self.scale, x)
        scaled = np.empty(rows.shape, np.float32)
        for block in _blocks(rows):
            scaled[block] = (rows[block] - shift) * scale
        return scaled.reshape(x.shape)


def standardization(x: np.ndarray) -> Scaling:
    """Returns the scaling to mean 0 and variance 1 of `x`, shape (n, ...).

    A feature that is constant in `x` becomes 0 wherever the scaling is applied: nothing could be
    learned about it.
    """
    rows, num_features = x.reshape(len(x), -1), x.shape[-1]

    def folded(per_column: np.ndarray) -> np.ndarray:
        return per_column.reshape(-1, num_features)

    count = x.size // num_features
    mean = folded(rows.sum(axis=0, dtype=np.float64)).sum(axis=0) / count
    shift = _repeated(mean, x)
    squares = sum(np.square(rows[block] - shift).sum(axis=0) for block in _blocks(rows))
    std = np.sqrt(folded(np.asarray(squares)).sum(axis=0) / count)
    # The mean of equal numbers is not always that number to the last bit: compare the numbers.
    largest, smallest = folded(rows.max(axis=0)).max(axis=0), folded(rows.min(axis=0)).min(axis=0)
    varies = (largest > smallest) & (std > 0)
    return Scaling(mean, np.divide(1.0, std, out=np.zeros_like(mean), where=varies))


def plain(x: np.ndarray) -> Scaling:
    """Returns the scaling that leaves values as they are; 8-bit images come to [0, 1].

    An array of bytes counts as images if an example has at least two axes.
    """
    return Scaling(np.zeros(()), np.asarray(1 / _LARGEST_BYTE if _is_images(x) else 1.0))


def whole(x: np.ndarray) -> tuple[int, ...]:
    """Returns the positions along the last axis of `x` that hold only whole numbers.

    They must be exact in single precision. None of images of bytes, whose numbers are no codes.
    """
    if _is_images(x):
        return ()
    return _whole_features(x, EXACT)


def is_whole(x: np.ndarray) -> bool:
    """Tells whether `x` holds only whole numbers that 32 bits can hold."""
    return len(_whole_features(x, LARGEST)) == x.shape[-1]


def _whole_features(x: np.ndarray, largest: int) -> tuple[int, ...]:
    rows, num_features = x.reshape(len(x), -1), x.shape[-1]
    are = np.ones(rows.shape[1], bool)
    for block in _blocks(rows):
        values = rows[block].astype(np.float64)
        are &= ((values == np.round(values)) & (np.abs(values) <= largest)).all(axis=0)
    return tuple(np.flatnonzero(are.reshape(-1, num_features).all(axis=0)).tolist())


def _is_images(x: np.ndarray) -> bool:
    return x.dtype == np.uint8 and x.ndim >= 3


def _repeated(per_feature: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns a value for each number of an example; long rows are much faster than short ones."""
    return np.broadcast_to(per_feature, x.shape[1:]).reshape(-1)


def _blocks(rows: np.ndarray) -> Iterator[slice]:
    step = max(1, _BLOCK_VALUES // rows.shape[1])
    for start in range(0, len(rows), step):
        yield slice(start, start + step)
