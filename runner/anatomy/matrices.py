"""Kernels of all kinds as matrices (blocks, inputs, units): a unit sums up the inputs of its block.

- A dense or recurrent kernel is one matrix.
- A convolution has one for each group, a depthwise kernel one for each channel. An input is a
  channel at a tap; the taps of a channel stand together.
- A transposed convolution is one matrix too, from input channels at all taps to output channels.
- `EinsumDense` sums over inputs; what is new in its output are units, and axes that its input and
  output share are blocks.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.anatomy.kernels import UndefinedError, Weight, is_depthwise, is_transposed, num_groups

_Axes = tuple[int, ...]


@dataclass(frozen=True)
class Matrices:
    """How matrices make up a kernel.

    Attributes:
      whole: Shape of the kernel, or of what it has at one tap.
      parts: The same, with the groups told apart from the units of each.
      blocks, inputs, units: Axes of `parts`.
    """

    whole: tuple[int, ...]
    parts: tuple[int, ...]
    blocks: _Axes
    inputs: _Axes
    units: _Axes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of blocks, of the inputs and of the units of each."""
        blocks, inputs, units = (
            math.prod(self.parts[axis] for axis in axes)
            for axes in (self.blocks, self.inputs, self.units)
        )
        return blocks, inputs, units

    def apart(self, kernel: Any) -> Any:
        """Returns the matrices of a kernel, which may be a numpy array or a tensor."""
        order = (*self.blocks, *self.inputs, *self.units)
        if isinstance(kernel, np.ndarray):
            return kernel.reshape(self.parts).transpose(order).reshape(self.shape)
        import tensorflow as tf

        return tf.reshape(tf.transpose(tf.reshape(kernel, self.parts), order), self.shape)

    def joined(self, values: np.ndarray) -> np.ndarray:
        """Returns the kernel of matrices that broadcast to `shape`."""
        order = (*self.blocks, *self.inputs, *self.units)
        sizes = [self.parts[axis] for axis in order]
        apart = np.broadcast_to(values, self.shape).reshape(sizes)
        return apart.transpose(np.argsort(order)).reshape(self.whole)


def matrices(kernel: Weight) -> Matrices:
    """Returns how a kernel is made up.

    Raises:
      UndefinedError: It is neither a matrix nor that of a convolution or of `EinsumDense`.
    """
    return _matrices(kernel, kernel.shape)


def rows_and_units(kernel: Weight) -> Matrices:
    """Returns how a kernel is made up; the last axis has the units where nothing is known."""
    try:
        return matrices(kernel)
    except UndefinedError:
        last = len(kernel.shape) - 1
        return Matrices(kernel.shape, kernel.shape, (), tuple(range(last)), (last,))


def channel_matrices(kernel: Weight) -> Matrices:
    """Returns how a kernel is made up; of a convolution's, what it has at one tap."""
    return _matrices(kernel, kernel.shape[-2:] if is_spatial(kernel) else kernel.shape)


def at_own_place(kernel: Weight, values: np.ndarray) -> np.ndarray:
    """Returns a kernel that is zero but at the tap under the output's own place.

    That is the centre, and the last tap where padding is causal. `same` padding adds
    (taps - 1) // 2 before the first place, also for an even number of taps.

    Args:
      kernel: Not of a convolution: nothing is added.
      values: At that tap.
    """
    if not is_spatial(kernel):
        return values
    whole = np.zeros(kernel.shape)
    causal = getattr(kernel.layer, "padding", None) == "causal"
    whole[tuple(taps - 1 if causal else (taps - 1) // 2 for taps in kernel.shape[:-2])] = values
    return whole


def is_spatial(kernel: Weight) -> bool:
    """Tells whether a kernel's first axes are taps."""
    return hasattr(kernel.layer, "kernel_size") and len(kernel.shape) > 2


def _matrices(kernel: Weight, shape: tuple[int, ...]) -> Matrices:
    if kernel.fan_axes:
        return Matrices(shape, shape, *_contracted(kernel))
    if not is_spatial(kernel):
        if len(shape) != 2:
            raise UndefinedError("it is defined for matrices, convolution and EinsumDense kernels")
        return Matrices(shape, shape, (), (0,), (1,))
    *taps, first, second = range(len(shape))
    if is_depthwise(kernel):
        return Matrices(shape, shape, (first,), tuple(taps), (second,))
    if is_transposed(kernel):
        return Matrices(shape, shape, (), (second, *taps), (first,))
    groups = num_groups(kernel)
    parts = (*shape[:-1], groups, shape[-1] // groups)
    return Matrices(shape, parts, (second,), (first, *taps), (second + 1,))


def _contracted(kernel: Weight) -> tuple[_Axes, _Axes, _Axes]:
    """Returns the axes of blocks, inputs and units of a kernel that is summed over by its axes."""
    if kernel.einsum is None:
        inputs, units = (tuple(axes) for axes in kernel.fan_axes.values())
    else:  # in the order of input and output
        before, own, after = kernel.einsum
        inputs = tuple(own.index(axis) for axis in before if axis in own and axis not in after)
        inputs += tuple(a for a, axis in enumerate(own) if axis not in before + after)
        units = tuple(own.index(axis) for axis in after if axis in own and axis not in before)
    blocks = tuple(a for a in range(len(kernel.shape)) if a not in (*inputs, *units))
    return blocks, inputs, units
