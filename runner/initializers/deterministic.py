"""Laws without random numbers: seeds differ in the order of the data only.

References:
  Fernández-Hernández, Mestre, Dolz, Duato, Quintana-Ortí (2025), Sinusoidal initialization, time
    for a new start.
  Zhao, Schäfer, Anandkumar (2022), ZerO initialization, algorithms 1 and 2.
  PyTorch, `torch.nn.init.dirac_`.
"""

import math
from dataclasses import dataclass

import numpy as np

from runner.anatomy.kernels import UndefinedError, Weight, fans
from runner.anatomy.matrices import (
    Matrices,
    at_own_place,
    channel_matrices,
    is_spatial,
    matrices,
)
from runner.config import POSITIVE, one_of, setting
from runner.initializers.law import Initializer, KernelLaw, holding
from runner.initializers.laws import Identity

# Fewer inputs do not hold a wave.
_LEAST_INPUTS = 3


class Dirac(Identity):
    """`identity`, of convolutions alone: passes on min(inputs, outputs) channels of each group.

    Other kernels are left to `fallback`. PyTorch's `dirac_` takes the tap n // 2 of n, which is
    another one where n is even: there this takes the one that `same` padding puts under the
    output's own place.
    """

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        if not is_spatial(kernel):
            raise UndefinedError("it is defined for convolutions")
        return super().initializer(kernel, seed)


@dataclass(frozen=True)
class HadamardIdentity(KernelLaw):
    """ZerO (Zhao et al., 2022): the partial identity, or rows and columns of a Hadamard matrix.

    A kernel of shape (inputs, units) is

        the rectangular eye                                if there are no more units than inputs,
        gain 2^(-k/2) H[:inputs, :units], k = ceil(log2 units)    else,

    with Sylvester's H_ij = (-1)^(number of common binary digits 1 of i and j). In convolutions it
    is the tap under the output's own place, within each group. The factor 2^(-k/2) is that of the
    authors' code; with the paper's formula, 2^(-(k-1)/2), `gain` is sqrt(2). For ZerO as a whole,
    the last kernel of each branch is zero: init.rules=[{role: last_of_branch, init: zero}].
    """

    gain: float = setting(POSITIVE, 1.0)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        return holding(self._values(kernel))

    def stddev(self, kernel: Weight) -> float:
        return float(self._values(kernel).std())

    def _values(self, kernel: Weight) -> np.ndarray:
        found = channel_matrices(kernel)
        _, inputs, units = found.shape
        if units <= inputs:
            return at_own_place(kernel, found.joined(np.eye(inputs, units)))
        scale = self.gain * 2 ** (-math.ceil(math.log2(units)) / 2)
        common = np.bitwise_count(np.arange(inputs)[:, None] & np.arange(units))
        return at_own_place(kernel, found.joined(np.where(common % 2, -scale, scale)))


@dataclass(frozen=True)
class Sinusoidal(KernelLaw):
    """A wave for each unit: W_ij = a sin(2 pi f_j i / n + phi_j), i from 0 among n inputs.

    a gives all entries together the variance 2 gain^2 / (fan_in + fan_out), that of Glorot and
    Bengio. The inputs of a convolution are its channels at all taps; each group has the same waves.
    Units j = 0, 1, ... of m have

        waves=distinct    frequencies 1 to F = floor((n - 1) / 2), below Nyquist's, again and again:
                          f_j = 1 + j mod F, phi_j = pi floor(j / F) / ceil(m / F),
        waves=paper       f_j = j + 1, phi_j = 2 pi (j + 1) / m.

    The second is the formula of the paper's own code (Fernández-Hernández et al., 2025), whose
    frequencies beyond Nyquist's come back as lower ones: for m = n a unit is zero, the others are
    pairs of w and -w. The first is what its authors do since (AnyInit 2026). Defined for three
    inputs or more.
    """

    gain: float = setting(POSITIVE, 1.0)
    waves: str = setting(one_of("distinct", "paper"), "distinct")

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        found = matrices(kernel)
        _, inputs, _ = found.shape
        if inputs < _LEAST_INPUTS:
            raise UndefinedError(f"it is defined for {_LEAST_INPUTS} inputs or more")
        waves = self._waves(found)
        return holding(found.joined(self.stddev(kernel) / waves.std() * waves))

    def stddev(self, kernel: Weight) -> float:
        return self.gain * math.sqrt(2 / sum(fans(kernel)))

    def _waves(self, found: Matrices) -> np.ndarray:
        """Returns waves of amplitude 1, shape (inputs, units)."""
        _, inputs, units = found.shape
        unit = np.arange(units)
        if self.waves == "paper":
            frequencies, phases = unit + 1, 2 * math.pi * (unit + 1) / units
        else:
            highest = (inputs - 1) // 2
            frequencies = unit % highest + 1
            phases = math.pi * (unit // highest) / math.ceil(units / highest)
        place = np.arange(inputs)[:, None] / inputs
        return np.sin(2 * math.pi * frequencies * place + phases)


OPTIONS: dict[str, type[KernelLaw]] = {
    "dirac": Dirac,
    "hadamard_identity": HadamardIdentity,
    "sinusoidal": Sinusoidal,
}
"""Names of these laws."""
