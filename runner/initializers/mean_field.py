r"""Mean-field scaling: one factor for each kernel, by which theory keeps the signal's variance.

What enters the activation of a layer is to have E[z^2] = 1, in the mean over a batch of training
data, positions and units, and over the initial weights:

    1 = s^2 sum_j E[W_ij^2] E[h_j^2] + E[b_i^2],

where W is what `base` draws and s W what this law does. E[h^2] comes from the layers before: for an
activation f of z ~ N(0, q) it is E[f(z)^2], so that for ReLU s^2 fan_in E[W^2] is 2 (He et al.,
2015); `runner.anatomy.moments` has the rest. It goes through the actual graph: strides, padding and
the sizes of layers count, and these besides:

- sums of independent branches: second moments add up where one branch at least has the mean 0 over
  a kernel that the other does not use, as in residual nets;
- normalizations of such signals: the variance is 1;
- layers that only move numbers.

What a maximum, an average over positions, attention, a recurrent layer or a user's own layer makes
of a signal is not known; if a kernel comes after it, the law is refused. A kernel that is used
twice is scaled by its first use; the kernels of a separable convolution have the factor in common.

References:
  Poole et al. (2016), "Exponential expressivity in deep neural networks through transient chaos",
    equation 3.
  Bingham and Miikkulainen (2023), "AutoInit: analytic signal-preserving weight initialization for
    neural networks": the same idea, about the mean as well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from runner.anatomy.kernels import UndefinedError, Weight
from runner.initializers import laws
from runner.initializers.law import CATALOGUE, KEEP, SCALED, Body, KernelLaw, ModelLaw, Scaled

_TRIAL_SEEDS = (0, 1)


@dataclass(frozen=True, kw_only=True)
class _Deviating(Scaled):
    """A law with the factor that gives it this standard deviation."""

    deviation: float

    def stddev(self, kernel: Weight) -> float:
        return self.deviation


@dataclass(frozen=True)
class MeanField(ModelLaw):
    """`base`, times the factors that keep the predicted variance at 1; see the module's text."""

    needs_data: ClassVar[bool] = True

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        """Returns the scaled laws.

        Raises:
          UndefinedError: Theory does not know what enters a kernel.
        """
        import keras

        from runner.initializers.balance import factors

        law = CATALOGUE[self.base]()
        assert isinstance(law, KernelLaw)
        with keras.device("cpu"):
            squares = {k.position: self._mean_square(law, k) for k in body.kernels}
            found = factors(body, squares, self._bias_mean_squares(body))
        return {
            position: _Deviating(
                law=law, factor=factor, deviation=factor * math.sqrt(squares[position])
            )
            for position, factor in found.items()
        }

    def _mean_square(self, law: KernelLaw, kernel: Weight) -> float:
        """Returns E[W^2] of what `base` draws."""
        from runner.anatomy.moments import Moments

        stddev, moments = law.stddev(kernel), Moments()
        drawn = [
            np.asarray(law.initializer(kernel, seed)(kernel.shape, dtype="float32"))
            for seed in _TRIAL_SEEDS
        ]
        moments.add(drawn)
        is_fixed = np.array_equal(drawn[0], drawn[1])
        if stddev is None or is_fixed or math.isnan(moments.mean_square(0)):
            raise UndefinedError(
                f"init.base={self.base} does not draw independent numbers of the mean 0, as "
                "he_normal does"
            )
        return stddev**2

    def _bias_mean_squares(self, body: Body) -> dict[int, float]:
        """Returns E[b^2] of the biases that the settings set, by their positions."""
        if self.bias == KEEP:
            return {}
        if self.bias in SCALED:
            law = laws.OPTIONS[str(self.bias)](scale=self.bias_scale)  # type: ignore[call-arg]
            scale = law.stddev(body.kernels[0])
            assert scale is not None
        elif self.bias != 0:
            raise UndefinedError(f"init.bias={self.bias} gives all units the same mean")
        else:
            scale = 0.0
        layers = {id(place.layer) for place in body.places if place.is_kernel}
        if any(body.places[position].name == "bias" for position in body.ruled):
            raise UndefinedError("a rule draws biases, which theory does not know")
        return {
            place.position: scale**2
            for place in body.places
            if place.name == "bias" and id(place.layer) in layers
        }
