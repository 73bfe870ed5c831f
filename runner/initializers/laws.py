"""The classic laws: one class for each option, with its settings and the initializer that draws it.

Every kernel is drawn by a fresh Keras initializer with a seed of its own, so the numbers are those
that Keras's own layers would draw with that initializer and that seed.

`fan_in` and `fan_out` are Keras's: inputs and outputs of a dense kernel; for a convolution kernel
channels times receptive field; for `EinsumDense` and attention the sizes of the axes that are
summed over and of those that appear in the output. A gain multiplies the standard deviation (or the
limit of a uniform law).

References:
  LeCun, Bottou, Orr, Müller (1998), Efficient BackProp, section 4.6.
  Glorot, Bengio (2010), Understanding the difficulty of training deep feedforward neural networks,
    equation 16.
  He, Zhang, Ren, Sun (2015), Delving deep into rectifiers, equations 10 and 15.
  Saxe, McClelland, Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks.
  Keras 1.2.2, keras/initializations.py.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from runner.anatomy.kernels import (
    UndefinedError,
    Weight,
    fans,
    is_depthwise,
    keras_fans,
    num_groups,
)
from runner.anatomy.matrices import matrices
from runner.config import NUMBER, POSITIVE, one_of, setting
from runner.initializers.identity import identity_kernel
from runner.initializers.law import Initializer, KernelLaw, holding

# Standard deviation of a standard normal variable that is redrawn beyond 2.
_TRUNCATED = 0.8796256610342398


def _fan(both: tuple[float, float], mode: str) -> float:
    fan_in, fan_out = both
    return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]


def _variance_scaling(
    kernel: Weight, scale: float, mode: str, distribution: str, seed: int
) -> Initializer:
    """Returns Keras's initializer of the variance scale / n, whatever Keras takes for n."""
    from keras import initializers

    if kernel.is_exact:
        scale *= _fan(keras_fans(kernel), mode) / _fan(fans(kernel), mode)
    return initializers.VarianceScaling(scale, mode, distribution, seed=seed, **kernel.fan_axes)


@dataclass(frozen=True)
class Uniform(KernelLaw):
    """U(-scale, scale): `scale` is the half-width; standard deviation scale / sqrt(3)."""

    scale: float = setting(POSITIVE, 0.05)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        from keras import initializers

        return initializers.RandomUniform(-self.scale, self.scale, seed=seed)

    def stddev(self, kernel: Weight) -> float:
        return self.scale / math.sqrt(3)


@dataclass(frozen=True)
class Normal(KernelLaw):
    """N(0, scale^2): `scale` is the standard deviation."""

    scale: float = setting(POSITIVE, 0.05)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        from keras import initializers

        return initializers.RandomNormal(stddev=self.scale, seed=seed)

    def stddev(self, kernel: Weight) -> float:
        return self.scale


@dataclass(frozen=True)
class TruncatedNormal(KernelLaw):
    """N(0, scale^2), redrawn beyond 2 scale.

    Keras does not correct for what truncation takes away: the standard deviation of the values is
    0.8796 scale, sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)) with the standard normal density phi and
    distribution Phi. The laws below that are scaled by a fan are corrected.
    """

    scale: float = setting(POSITIVE, 0.05)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        from keras import initializers

        return initializers.TruncatedNormal(stddev=self.scale, seed=seed)

    def stddev(self, kernel: Weight) -> float:
        return _TRUNCATED * self.scale


@dataclass(frozen=True)
class VarianceScaling(KernelLaw):
    """Variance scale / n, where n is `fan_in`, `fan_out` or their mean (`fan_avg`).

    `truncated_normal` is cut at two standard deviations of the untruncated normal and rescaled to
    that variance; `untruncated_normal` is N(0, scale / n); `uniform` has the limit
    sqrt(3 scale / n).
    """

    scale: float = setting(POSITIVE, 1.0)
    mode: str = setting(one_of("fan_in", "fan_out", "fan_avg"), "fan_in")
    distribution: str = setting(
        one_of("truncated_normal", "untruncated_normal", "uniform"), "truncated_normal"
    )

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        return _variance_scaling(kernel, self.scale, self.mode, self.distribution, seed)

    def stddev(self, kernel: Weight) -> float:
        return math.sqrt(self.scale / _fan(fans(kernel), self.mode))


@dataclass(frozen=True)
class _FanScaled(KernelLaw):
    """Variance gain^2 factor / n: `VarianceScaling` with three fixed arguments."""

    factor: ClassVar[float]
    mode: ClassVar[str]
    distribution: ClassVar[str]

    gain: float = setting(POSITIVE, 1.0)

    @property
    def numerator(self) -> float:
        """The variance times n."""
        return self.factor * self.gain**2

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        return _variance_scaling(kernel, self.numerator, self.mode, self.distribution, seed)

    def stddev(self, kernel: Weight) -> float:
        return math.sqrt(self.numerator / _fan(fans(kernel), self.mode))


class LecunUniform(_FanScaled):
    """Uniform with the limit gain sqrt(3 / fan_in); variance 1 / fan_in (LeCun et al., 1998)."""

    factor, mode, distribution = 1.0, "fan_in", "uniform"


class LecunNormal(_FanScaled):
    """Truncated normal of the standard deviation gain sqrt(1 / fan_in) (LeCun et al., 1998)."""

    factor, mode, distribution = 1.0, "fan_in", "truncated_normal"


class GlorotUniform(_FanScaled):
    """Uniform with the limit gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""

    factor, mode, distribution = 1.0, "fan_avg", "uniform"


class GlorotNormal(_FanScaled):
    """Truncated normal of the standard deviation gain sqrt(2 / (fan_in + fan_out)).

    Glorot and Bengio (2010) give the variance; Keras 1 used a normal without truncation.
    """

    factor, mode, distribution = 1.0, "fan_avg", "truncated_normal"


@dataclass(frozen=True)
class _He(_FanScaled):
    """Variance 2 gain^2 / ((1 + negative_slope^2) fan_in): keeps the signal of a leaky ReLU."""

    factor, mode = 2.0, "fan_in"

    negative_slope: float = setting(NUMBER, 0.0)

    @property
    def numerator(self) -> float:
        return super().numerator / (1 + self.negative_slope**2)


class HeUniform(_He):
    """Uniform with the limit gain sqrt(6 / ((1 + a^2) fan_in)) (He et al., 2015, equation 15).

    a is `negative_slope`: that of the leaky ReLU or PReLU behind, 0 for a ReLU.
    """

    distribution = "uniform"


class HeNormal(_He):
    """Truncated normal of the standard deviation gain sqrt(2 / ((1 + a^2) fan_in)).

    a is `negative_slope`, as for `HeUniform`. He et al. (2015, equation 15) and Keras 1 use a
    normal without truncation.
    """

    distribution = "truncated_normal"


class Keras1GlorotNormal(_FanScaled):
    """N(0, 2 gain^2 / (fan_in + fan_out)): `glorot_normal` as Keras 1 defined it, untruncated."""

    factor, mode, distribution = 1.0, "fan_avg", "untruncated_normal"


class Keras1HeNormal(_FanScaled):
    """N(0, 2 gain^2 / fan_in): `he_normal` as Keras 1 defined it, untruncated."""

    factor, mode, distribution = 2.0, "fan_in", "untruncated_normal"


@dataclass(frozen=True)
class Orthogonal(KernelLaw):
    """gain Q, with orthonormal rows or columns (whichever are fewer), uniform over such matrices.

    Q comes from the QR decomposition of a normal matrix, with the signs of R's diagonal moved into
    it (Saxe et al., 2014, have the idea; Mezzadri, 2007, the signs). A kernel with more than two
    axes is one matrix of shape (product of all but the last axis, last axis). Not defined for
    fewer than two axes.

    With exact fans each gate has a Q of its own, and so have, in place of the matrix that their
    shape suggests, the groups of a convolution, the channels of a depthwise kernel, whose inputs
    are the taps, and `EinsumDense`, by the axes that are summed over and made. A transposed
    convolution is the adjoint of a convolution, whose matrix is the one of its shape.
    """

    gain: float = setting(POSITIVE, 1.0)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        from keras import initializers

        if len(kernel.shape) < 2:
            raise UndefinedError("it is defined for two axes or more")
        if _is_otherwise(kernel):
            found = matrices(kernel)
            drawn = semi_orthogonal(np.random.default_rng(seed), found.shape)
            return holding(found.joined(self.gain * drawn))
        return initializers.Orthogonal(self.gain, seed=seed)

    def stddev(self, kernel: Weight) -> float:
        # As many orthonormal vectors as the shorter side has, of as many entries as the longer.
        if _is_otherwise(kernel):
            return self.gain / math.sqrt(max(matrices(kernel).shape[1:]))
        columns = kernel.shape[-1]
        return self.gain / math.sqrt(max(math.prod(kernel.shape) // columns, columns))


def _is_otherwise(kernel: Weight) -> bool:
    """Tells whether a kernel is to be other matrices than its shape suggests."""
    return kernel.is_exact and (
        is_depthwise(kernel) or num_groups(kernel) > 1 or bool(kernel.fan_axes)
    )


@dataclass(frozen=True)
class Keras1Orthogonal(Orthogonal):
    """`orthogonal` with the gain that Keras 1 had by default.

    Keras 1 took Q from a singular value decomposition of a normal matrix; this draws it as
    `Orthogonal` does, so the two differ by the gain only.
    """

    gain: float = setting(POSITIVE, 1.1)


@dataclass(frozen=True)
class Identity(KernelLaw):
    """gain times the kernel that passes its input on, as far as there is room.

    A matrix is the rectangular eye. In a convolution kernel every tap is zero but the one under the
    output's own place, and that one is the rectangular eye of the channels, so that a convolution
    with `same` padding and equal channels is the identity map; `identity_kernel` in
    `runner.initializers.identity` has the rest. Biases and activations are not part of it.
    """

    gain: float = setting(NUMBER, 1.0)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        return holding(self.gain * identity_kernel(kernel))

    def stddev(self, kernel: Weight) -> float:
        return abs(self.gain) * float(identity_kernel(kernel).std())


@dataclass(frozen=True)
class Keras1Identity(Identity):
    """gain times the identity matrix, as Keras 1 defined it: for square matrices only."""

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        if len(kernel.shape) != 2 or kernel.shape[0] != kernel.shape[1]:
            raise UndefinedError("it is defined for square matrices")
        return super().initializer(kernel, seed)


@dataclass(frozen=True)
class Constant(KernelLaw):
    """Every value is `value`."""

    value: float = setting(NUMBER, 0.0)

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        from keras import initializers

        return initializers.Constant(self.value)

    def stddev(self, kernel: Weight) -> float:
        return 0.0


class Zero(KernelLaw):
    """Every value is 0."""

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        from keras import initializers

        return initializers.Zeros()

    def stddev(self, kernel: Weight) -> float:
        return 0.0


class Ones(KernelLaw):
    """Every value is 1."""

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        from keras import initializers

        return initializers.Ones()

    def stddev(self, kernel: Weight) -> float:
        return 0.0


def semi_orthogonal(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Draws matrices with orthonormal rows or columns, whichever are fewer, uniformly.

    By the QR decomposition of normal matrices, with the signs of R's diagonal moved into Q
    (Mezzadri, 2007).

    Args:
      random: Source of random numbers.
      shape: (blocks, inputs, units), as of the result.
    """
    blocks, inputs, units = shape
    drawn = random.normal(size=(blocks, max(inputs, units), min(inputs, units)))
    orthonormal, triangle = np.linalg.qr(drawn)
    orthonormal *= np.sign(np.diagonal(triangle, axis1=-2, axis2=-1))[:, None, :]
    return orthonormal if inputs >= units else orthonormal.swapaxes(-2, -1)


OPTIONS: dict[str, type[KernelLaw]] = {
    "uniform": Uniform,
    "lecun_uniform": LecunUniform,
    "normal": Normal,
    "identity": Identity,
    "orthogonal": Orthogonal,
    "zero": Zero,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "keras1/identity": Keras1Identity,
    "keras1/orthogonal": Keras1Orthogonal,
    "keras1/glorot_normal": Keras1GlorotNormal,
    "keras1/he_normal": Keras1HeNormal,
    "lecun_normal": LecunNormal,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "constant": Constant,
    "ones": Ones,
}
"""Names of these laws."""
