"""Laws with orthonormal rows or columns that know more than the shape of a kernel.

References:
  Xiao, Bahri, Sohl-Dickstein, Schoenholz, Pennington (2018), Dynamical isometry and a mean field
    theory of CNNs, algorithm 2; `ConvolutionDeltaOrthogonal` of TensorFlow 1.
  Balduzzi, Frean, Leary, Lewis, Ma, McWilliams (2017), The shattered gradients problem.
  Burkholz, Dubatovka (2019), Initialization of ReLUs for dynamical isometry: the same for plain
    ReLUs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.anatomy.kernels import UndefinedError, Weight, is_depthwise, is_recurrent
from runner.anatomy.matrices import (
    Matrices,
    at_own_place,
    channel_matrices,
    is_spatial,
    matrices,
)
from runner.config import POSITIVE, setting
from runner.initializers.law import Initializer, KernelLaw, holding
from runner.initializers.laws import semi_orthogonal


@dataclass(frozen=True)
class DeltaOrthogonal(KernelLaw):
    """Zero but at the tap under the output's own place; there gain Q, Q of (inputs, outputs).

    Q has orthonormal rows, uniform over such matrices (Xiao et al., 2018, algorithm 2), so with
    circular padding and strides of 1 the norm of the output is gain times that of the input. Each
    group, and each channel of a depthwise kernel, has a Q of its own; a transposed convolution
    multiplies with Q at one tap as well. Defined for convolutions that have, within a group, no
    fewer outputs than inputs.
    """

    gain: float = setting(POSITIVE, 1.0)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        if not is_spatial(kernel):
            raise UndefinedError("it is defined for convolutions")
        found = channel_matrices(kernel)
        _, inputs, outputs = found.shape
        if inputs > outputs:
            raise UndefinedError("it is defined for convolutions with no fewer outputs than inputs")
        drawn = semi_orthogonal(np.random.default_rng(seed), found.shape)
        return holding(at_own_place(kernel, found.joined(self.gain * drawn)))

    def stddev(self, kernel: Weight) -> float:
        taps = math.prod(kernel.shape[:-2])
        return self.gain / math.sqrt(taps * channel_matrices(kernel).shape[2])


@dataclass(frozen=True)
class LooksLinear(KernelLaw):
    """Mirrored blocks, with which a net of ReLUs is a linear map, and an orthogonal one.

    Hidden units stand in pairs h = (relu(z), relu(-z)), the first half of a layer's units and the
    second, so h_1 - h_2 = z, and with W_0 of orthonormal rows or columns times `gain`

        first kernel [W_0, -W_0], hidden [[W_0, -W_0], [-W_0, W_0]], last [W_0; -W_0]

    in the shape (inputs, units); a kernel that is first and last is W_0. In convolutions channels
    are mirrored, and W_0 has the shape (taps × channels, filters). Where a `Flatten` is in front of
    a dense kernel, its inputs are mirrored place by place.

    Defined for dense kernels and for convolutions of one group, if the number of hidden units in
    front of each kernel and behind is even, and no `Concatenate` puts halves side by side. Biases
    are to stay 0, which is what `bias` says.

    Balduzzi et al. (2017) have concatenated rectifiers in mind, which do the mirroring, and W_0
    with columns mirrored alone; for plain ReLUs the units are mirrored as well (Burkholz and
    Dubatovka, 2019).
    """

    needs_roles = True

    gain: float = setting(POSITIVE, 1.0)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        found = _dense(kernel)
        places, channels, taps, units = _half(kernel, found)
        shape = (1, places * channels * taps, units)
        drawn = self.gain * semi_orthogonal(np.random.default_rng(seed), shape)
        values = drawn.reshape(places, channels, taps, units)
        if "input" not in kernel.roles:
            values = np.concatenate([values, -values], axis=1)
        if "output" not in kernel.roles:
            values = np.concatenate([values, -values], axis=3)
        return holding(found.joined(values.reshape(found.shape)))

    def stddev(self, kernel: Weight) -> float:
        places, channels, taps, units = _half(kernel, _dense(kernel))
        return self.gain / math.sqrt(max(places * channels * taps, units))


def _dense(kernel: Weight) -> Matrices:
    """Returns how a kernel is made up of the one matrix between all its channels.

    Raises:
      UndefinedError: It is not.
    """
    found = matrices(kernel)
    one_axis = len(found.units) == 1 and (len(found.inputs) == 1 or is_spatial(kernel))
    if found.shape[0] > 1 or not one_axis or is_depthwise(kernel) or is_recurrent(kernel):
        raise UndefinedError("it is defined for dense kernels and convolutions of one group")
    return found


def _half(kernel: Weight, found: Matrices) -> tuple[int, int, int, int]:
    """Returns the shape of W_0: flattened places, channels, taps, and units.

    Raises:
      UndefinedError: What is to be mirrored has an odd number.
    """
    _, inputs, units = found.shape
    taps = math.prod(kernel.shape[:-2])
    channels = inputs // taps
    places = 1
    if "input" not in kernel.roles:
        of_place = _channels_of_places(kernel.layer) or channels
        places, channels = channels // of_place, _halved(of_place, "inputs")
    return places, channels, taps, units if "output" in kernel.roles else _halved(units, "units")


def _halved(size: int, what: str) -> int:
    if size % 2:
        raise UndefinedError(
            f"it is defined for even numbers of hidden units, not for {size} {what}"
        )
    return size // 2


def _channels_of_places(layer: Any) -> int | None:
    """Returns how many channels each place had that are in a row before a layer.

    None where nothing puts them in a row, or there is no graph to look for it in.

    Raises:
      UndefinedError: Several layers' units stand side by side.
    """
    from keras import layers

    for operation in _since_kernels(layer):
        if isinstance(operation, layers.Concatenate):
            raise UndefinedError("it is defined for kernels that no Concatenate is in front of")
        if isinstance(operation, layers.Flatten | layers.Reshape):
            before, after = operation.input.shape, operation.output.shape
            if before[-1] != after[-1]:
                return before[-1]
    return None


def _since_kernels(layer: Any) -> Iterator[Any]:
    """Yields the layers before a layer, back to those that have kernels, the nearest first."""
    import keras

    def before(one: Any) -> list[Any]:
        try:
            tensors = keras.tree.flatten(one.input)
        except (AttributeError, ValueError):  # called twice, or not in a graph
            return []
        return [tensor._keras_history.operation for tensor in tensors]

    left, seen = before(layer), set[int]()
    while left:
        one = left.pop(0)
        has_kernel = any("kernel" in weight.name for weight in getattr(one, "weights", ()))
        if id(one) in seen or has_kernel:
            continue
        seen.add(id(one))
        yield one
        left.extend(before(one))


OPTIONS: dict[str, type[KernelLaw]] = {
    "delta_orthogonal": DeltaOrthogonal,
    "looks_linear": LooksLinear,
}
"""Names of these laws."""
