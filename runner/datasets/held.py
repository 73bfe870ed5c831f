"""Inputs in the form in which they were read: bytes stay bytes until a batch is made of them."""

from collections.abc import Mapping
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


@dataclass(frozen=True)
class Several:
    """Several inputs of each example. Rows of them are arrays by the inputs' names.

    Attributes:
      inputs: By their names, all of one length.
    """

    inputs: Mapping[str, np.ndarray | Held]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def __getitem__(self, rows: Any) -> dict[str, np.ndarray]:
        """Returns examples, a slice or positions of them, as a model sees them."""
        return {name: x[rows] for name, x in self.inputs.items()}


Inputs = np.ndarray | Held | Several


def by_name(x: Inputs) -> Mapping[str, np.ndarray | Held]:
    """Returns the inputs by their names; `""` is that of a single one."""
    return x.inputs if isinstance(x, Several) else {"": x}


def rows_of(x: Inputs, rows: slice) -> Inputs:
    """Returns some of the examples in the form in which all are held."""
    if isinstance(x, Several):
        return Several({name: _rows_of(each, rows) for name, each in x.inputs.items()})
    return _rows_of(x, rows)


def _rows_of(x: np.ndarray | Held, rows: slice) -> np.ndarray | Held:
    return Held(x.stored[rows], x.scaling) if isinstance(x, Held) else x[rows]


def scaled(x: np.ndarray, scaling: Scaling) -> np.ndarray | Held:
    """Returns inputs as a model sees them; those that take less memory as they are stay so."""
    return Held(x, scaling) if x.dtype.itemsize < _SEEN.itemsize else scaling.apply(x)
