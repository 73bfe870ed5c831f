"""Laws of kernels together with their biases.

References:
  Lu, Shin, Su, Karniadakis (2020), Dying ReLU and initialization: theory and
    numerical examples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from runner import seeds as streams
from runner.anatomy.kernels import UndefinedError, Weight, fans, is_recurrent
from runner.anatomy.matrices import matrices
from runner.initializers.law import Body, Initializer, KernelLaw, ModelLaw, holding

# Of the normal parameters, times sqrt(fan_in): as in the code that goes with the paper.
_SCALE = 0.6007


@dataclass(frozen=True)
class Rai(ModelLaw):
    """One parameter of each unit is positive, Beta(2, 1), the others are N(0, 0.6007^2 / fan_in).

    The randomized asymmetric initialization (Lu et al., 2020), for ReLUs: a unit has its fan_in
    weights and its bias for parameters, any of which may be the positive one; without a bias, or if
    `bias` says anything but 0, it is one of the weights. The constant, and the use in all layers,
    the last one included, are those of the code in circulation for the paper, whose own text could
    not be read. A unit of a convolution is a filter; the paper is about dense kernels. Kernels of
    recurrent layers are drawn by `base`.
    """

    is_random: ClassVar[bool] = True

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        own = {
            kernel.position: _Parameters(has_bias=bias is not None)
            for kernel, bias in self._units(body)
        }
        if not own:
            raise UndefinedError("it is defined for kernels outside of recurrent layers")
        return own

    def adjusted(
        self, body: Body, seeds: Sequence[int], stacked: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray]:
        for kernel, bias in self._units(body):
            if bias is None:
                continue
            for place, seed in enumerate(seeds):
                own = streams.integer(seed, "weights", kernel.position)
                drawn = _Parameters(has_bias=True).drawn(kernel, own)[:, -1]
                stacked[bias.position][place] = drawn.reshape(bias.shape)
        return stacked

    def _units(self, body: Body) -> list[tuple[Weight, Weight | None]]:
        """Returns the kernels that the law draws, with the biases of their units that it draws.

        Of a layer with several kernels, the bias belongs to the last one.
        """
        last = {id(place.layer): place.position for place in body.places if place.is_kernel}
        biases = {
            last.get(id(place.layer)): place
            for place in body.places
            if self.bias == 0 and place.name == "bias" and place.position not in body.ruled
        }
        found: list[tuple[Weight, Weight | None]] = []
        for kernel in body.kernels:
            if not is_recurrent(kernel):
                bias = biases.get(kernel.position)
                blocks, _, units = _shape(kernel)
                is_own = bias is not None and math.prod(bias.shape) == blocks * units
                found.append((kernel, bias if is_own else None))
        return found


@dataclass(frozen=True)
class _Parameters(KernelLaw):
    """The kernel's part.

    Attributes:
      has_bias: Whether there is a bias for each unit.
    """

    has_bias: bool = False

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        found = matrices(kernel)
        return holding(found.joined(self.drawn(kernel, seed)[:, : found.shape[1]]))

    def drawn(self, kernel: Weight, seed: int) -> np.ndarray:
        """Draws the weights and, if there is one, the bias of each unit.

        Returns:
          Shape (blocks, inputs or inputs + 1, units).
        """
        random = np.random.default_rng(seed)
        blocks, inputs, units = matrices(kernel).shape
        scale = _SCALE / math.sqrt(fans(kernel)[0])
        values = random.normal(scale=scale, size=(blocks, inputs + self.has_bias, units))
        chosen = random.integers(values.shape[1], size=(blocks, 1, units))
        np.put_along_axis(values, chosen, random.beta(2, 1, size=chosen.shape), axis=1)
        return values


def _shape(kernel: Weight) -> tuple[int, int, int]:
    """Returns the shape of a kernel's matrices; nothing of one that has none."""
    try:
        return matrices(kernel).shape
    except UndefinedError:  # which drawing it tells, or leaves to the fallback
        return 0, 0, 0


OPTIONS: dict[str, type[ModelLaw]] = {"rai": Rai}
"""Names of these laws."""
