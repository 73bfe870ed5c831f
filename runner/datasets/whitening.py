"""Inputs without correlations: whitening by the covariance of the training part.

With C = U diag(s) U^T the covariance of the flattened inputs and m their mean,

    pca   z = diag(s)^(-1/2) U^T (x - m)
    zca   z = U diag(s)^(-1/2) U^T (x - m),

so that the covariance of z is the identity; of all such z, that of `zca` is nearest to x - m.
Directions in which the training part does not vary (s below 1e-6 of the largest) become 0: nothing
could be learned about them.

Reference: Kessy, Lewin and Strimmer, 2018, "Optimal whitening and decorrelation".
"""

from dataclasses import dataclass

import numpy as np

from runner.config import ConfigError

_SMALLEST = 1e-6
_MOST_INPUTS = 4096  # the covariance of more takes minutes
_BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Whitening:
    """z = (x - mean) matrix.

    Attributes:
      mean: Shape (d,), float64.
      matrix: Shape (d, k), float64.
      is_flat: Whether z is flat; otherwise it has the shape of x.
    """

    mean: np.ndarray
    matrix: np.ndarray
    is_flat: bool

    @classmethod
    def fit(cls, x: np.ndarray, kind: str) -> "Whitening":
        """Returns the whitening of the training part.

        Args:
          x: Shape (n, ...).
          kind: `"pca"` or `"zca"`.

        Raises:
          ConfigError: An example has too many inputs, or none of them varies.
        """
        rows = x.reshape(len(x), -1)
        if rows.shape[1] > _MOST_INPUTS:
            raise ConfigError(
                f"`dataset.whiten` must be null for more than {_MOST_INPUTS} inputs. Received: "
                f"{kind}, and {rows.shape[1]} inputs."
            )
        mean = rows.mean(axis=0, dtype=np.float64)
        covariance = np.zeros((rows.shape[1],) * 2)
        for start in range(0, len(rows), _BLOCK_ROWS):
            centred = rows[start : start + _BLOCK_ROWS] - mean
            covariance += centred.T @ centred
        variances, axes = np.linalg.eigh(covariance / len(rows))
        if not variances[-1] > 0:
            raise ConfigError(
                "`dataset.whiten` must be null where no input varies in the training part. "
                f"Received: {kind}."
            )
        kept = variances > _SMALLEST * variances[-1]
        matrix = (axes[:, kept] / np.sqrt(variances[kept]))[:, ::-1]
        if kind == "zca":
            matrix = matrix @ axes[:, kept][:, ::-1].T
        return cls(mean, matrix, kind == "pca")

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Returns `x` whitened, float32, shape (n, ...) as `x` or (n, k)."""
        rows = x.reshape(len(x), -1)
        whitened = np.empty((len(x), self.matrix.shape[1]), np.float32)
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            whitened[block] = (rows[block] - self.mean) @ self.matrix
        return whitened if self.is_flat else whitened.reshape(x.shape)
