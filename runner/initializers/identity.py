"""The kernel that makes a layer pass its input on, for each kind of kernel.

Where a layer has more outputs than inputs, the rest are zero; where it has fewer, the first inputs
are passed on: the rectangular eye, which is what Keras's `Identity` gives for a matrix.
"""

import numpy as np

from runner.anatomy.kernels import Weight
from runner.anatomy.matrices import at_own_place, channel_matrices


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
    found = channel_matrices(kernel)
    _, inputs, units = found.shape
    if kernel.name == "pointwise_kernel":
        multiplier = kernel.layer.depth_multiplier
        values = np.zeros((inputs, units))
        values[::multiplier] = np.eye(inputs // multiplier, units)
        return at_own_place(kernel, values)
    return at_own_place(kernel, found.joined(np.eye(inputs, units)))
