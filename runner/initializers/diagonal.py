"""Laws with ones on a diagonal, and noise.

References:
  Lee, Choi, Kim (2025), Robust weight initialization for tanh neural networks with fixed point
    analysis, section 3.2.
  Pan, Wang, Wu, Wang, Zhang, Xu (2025), IDInit: a universal and stable initialization method for
    neural network training.
  Le, Jaitly, Hinton (2015), A simple way to initialize recurrent networks of rectified linear
    units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runner.anatomy.kernels import UndefinedError, Weight, fans
from runner.anatomy.matrices import at_own_place, channel_matrices, matrices
from runner.config import NON_NEGATIVE, NUMBER, POSITIVE, setting
from runner.initializers.identity import identity_kernel
from runner.initializers.law import Initializer, KernelLaw, holding


def _wrapped_eye(inputs: int, units: int) -> np.ndarray:
    """Returns ones where i and j are equal modulo the smaller side; shape (inputs, units)."""
    shorter = min(inputs, units)
    return (np.arange(inputs)[:, None] % shorter == np.arange(units) % shorter).astype(float)


@dataclass(frozen=True)
class LeeTanh(KernelLaw):
    """D + Z: D_ij = 1 where i and j are equal modulo the shorter side, Z ~ N(0, noise^2 / fan_in).

    For nets of tanh (Lee et al., 2025): a unit sees its own input through tanh(a x), a near 1, so
    activations neither saturate nor vanish in deep nets. A kernel that is not square repeats the
    identity along its longer side; programs that pad it with zeros instead are in use too, and
    which the authors' is could not be checked. The paper is about dense kernels. Here, in
    convolutions, D is between channels at the tap under the output's own place, within each group,
    and Z at all taps.
    """

    noise: float = setting(POSITIVE, 0.085)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        noise = np.random.default_rng(seed).normal(scale=self._scale(kernel), size=kernel.shape)
        return holding(_diagonal(kernel) + noise)

    def stddev(self, kernel: Weight) -> float:
        return math.hypot(float(_diagonal(kernel).std()), self._scale(kernel))

    def _scale(self, kernel: Weight) -> float:
        return self.noise / math.sqrt(fans(kernel)[0])


def _diagonal(kernel: Weight) -> np.ndarray:
    found = channel_matrices(kernel)
    return at_own_place(kernel, found.joined(_wrapped_eye(*found.shape[1:])))


@dataclass(frozen=True)
class IdInit(KernelLaw):
    """W_ij = 1 where i and j are equal modulo the shorter side, plus N(0, noise^2).

    The last kernels of residual branches are `noise` times that matrix, without noise (Pan et al.,
    2025). The inputs of a convolution are its channels at all taps: the matrix is reshaped into the
    kernel ("patch-maintain"). Training needs momentum.

    The authors' matrix for the last kernels has entries -noise besides, so that a sum of equal
    inputs is 0; that, and how their matrix goes on where it is not square, could not be checked.
    """

    needs_roles = True

    noise: float = setting(NON_NEGATIVE, 1e-6)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        values = self._values(kernel)
        if _ends_branch(kernel):
            return holding(values)
        noise = np.random.default_rng(seed).normal(scale=self.noise, size=kernel.shape)
        return holding(values + noise)

    def stddev(self, kernel: Weight) -> float:
        noise = 0 if _ends_branch(kernel) else self.noise
        return math.hypot(float(self._values(kernel).std()), noise)

    def _values(self, kernel: Weight) -> np.ndarray:
        found = matrices(kernel)
        scale = self.noise if _ends_branch(kernel) else 1.0
        return found.joined(scale * _wrapped_eye(*found.shape[1:]))


def _ends_branch(kernel: Weight) -> bool:
    return "last_of_branch" in kernel.roles


@dataclass(frozen=True)
class Irnn(KernelLaw):
    """gain times the identity for recurrent kernels, N(0, scale^2) for all others.

    Le et al. (2015), for recurrent nets of ReLUs without gates, with biases 0; they scale the
    identity by 0.01 for short memories. Defined for models with a recurrent kernel, and for
    recurrent kernels that are square: with init.fans=exact each gate of an LSTM or GRU is one.
    """

    gain: float = setting(NUMBER, 1.0)
    scale: float = setting(POSITIVE, 0.001)

    def check(self, kernels: Sequence[Weight]) -> None:
        if not any(map(_is_of_state, kernels)):
            raise UndefinedError("it is defined for models with a recurrent kernel to draw")

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        if not _is_of_state(kernel):
            random = np.random.default_rng(seed)
            return holding(random.normal(scale=self.scale, size=kernel.shape))
        _, inputs, units = channel_matrices(kernel).shape
        if inputs != units:
            raise UndefinedError(
                "it is defined for square recurrent kernels, and init.fans=exact draws gate by gate"
            )
        return holding(self.gain * identity_kernel(kernel))

    def stddev(self, kernel: Weight) -> float:
        if not _is_of_state(kernel):
            return self.scale
        return abs(self.gain) * float(identity_kernel(kernel).std())


def _is_of_state(kernel: Weight) -> bool:
    return "recurrent_kernel" in kernel.name


OPTIONS: dict[str, type[KernelLaw]] = {"lee_tanh": LeeTanh, "idinit": IdInit, "irnn": Irnn}
"""Names of these laws."""
