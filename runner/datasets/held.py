"""Inputs in the form in which they were read: bytes stay bytes until a batch is made of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.datasets.scaling import Scaling

# Numbers of single precision take so many bytes; what takes less is kept as it is.
_SEEN = np.dtype(np.float32)


@dataclass(frozen=True)
class Held:
    """Inputs of a part. Rows of them are what a model sees: scaled, and float32.

    Attributes:
      stored: As they were read, shape (n, ...).
      scaling: What makes of them what a model sees.
    """

    stored: np.ndarray
    scaling: Scaling

    dtype = _SEEN

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (n, ...)."""
        return self.stored.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.stored.ndim

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Returns examples, a slice or positions of them, as a model sees them."""
        return self.scaling.apply(self.stored[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Returns all examples as a model sees them."""
        return self[:].astype(dtype or _SEEN, copy=False)


Inputs = np.ndarray | Held


def scaled(x: np.ndarray, scaling: Scaling) -> Inputs:
    """Returns inputs as a model sees them; those that take less memory as they are stay so."""
    return Held(x, scaling) if x.dtype.itemsize < _SEEN.itemsize else scaling.apply(x)
