"""The kernel that makes a layer pass its input on, for each kind of kernel.

Where a layer has more outputs than inputs, the rest are zero; where it has fewer, the first inputs
are passed on: the rectangular eye, which is what Keras's `Identity` gives for a matrix.
"""

import math
from collections.abc import Sequence

import numpy as np

from runner.anatomy.kernels import UndefinedError, Weight


def identity_kernel(kernel: Weight) -> np.ndarray:
    """Returns zeros and ones in the shape of the kernel.

    - A matrix (dense, recurrent, gates side by side included): the rectangular eye.
    - `EinsumDense` and attention: the rectangular eye between the axes that are summed over and
      those that are new in the output, in their order there.
    - Convolutions, transposed ones included: at the tap under the output's own place (the centre;
      the last one where padding is causal) the rectangular eye between channels, within each group.
    - Depthwise kernels: a channel goes into the first of its `depth_multiplier` outputs. Pointwise
      kernels read these, so that a separable convolution passes its input on as a whole.

    Raises:
      UndefinedError: It is none of these.
    """
    if kernel.einsum is not None:
        return _einsum_identity(kernel.shape, *kernel.einsum)
    if len(kernel.shape) == 2:
        return np.eye(*kernel.shape)
    if hasattr(kernel.layer, "kernel_size") and len(kernel.shape) > 2:
        return _convolution_identity(kernel)
    raise UndefinedError("it is defined for matrices, convolution and EinsumDense kernels")


def _convolution_identity(kernel: Weight) -> np.ndarray:
    """Returns the centre-tap identity; axes (taps..., channels, channels)."""
    values = np.zeros(kernel.shape)
    causal = getattr(kernel.layer, "padding", None) == "causal"
    # `same` padding adds (taps - 1) // 2 before the first place, also for an even number of taps.
    own_place = tuple(taps - 1 if causal else (taps - 1) // 2 for taps in kernel.shape[:-2])
    values[own_place] = _channel_identity(kernel)
    return values


def _channel_identity(kernel: Weight) -> np.ndarray:
    """Returns the last two axes of a convolution kernel at the tap that is not zero."""
    rows, columns = kernel.shape[-2:]
    multiplier = getattr(kernel.layer, "depth_multiplier", None)
    if multiplier is None:
        groups = getattr(kernel.layer, "groups", 1)
        return np.tile(np.eye(rows, columns // groups), groups)
    values = np.zeros((rows, columns))
    if kernel.name == "pointwise_kernel":
        values[::multiplier] = np.eye(rows // multiplier, columns)
    else:
        values[:, 0] = 1
    return values


def _einsum_identity(shape: Sequence[int], inputs: str, weights: str, outputs: str) -> np.ndarray:
    """Returns the eye between summed and new axes, repeated along the axes that are in both.

    Args:
      shape: Of the kernel.
      inputs, weights, outputs: Letters of the axes; those of `weights` name the axes of `shape`.
    """
    size = dict(zip(weights, shape, strict=True))
    shared = [axis for axis in weights if axis in inputs and axis in outputs]
    summed = [axis for axis in inputs if axis in weights and axis not in outputs]
    new = [axis for axis in outputs if axis in weights and axis not in inputs]
    eye = np.eye(math.prod(size[axis] for axis in summed), math.prod(size[axis] for axis in new))
    ordered = [*shared, *summed, *new]
    values = np.broadcast_to(
        eye.reshape([size[axis] for axis in (*summed, *new)]), [size[axis] for axis in ordered]
    )
    return values.transpose([ordered.index(axis) for axis in weights])
