r"""The scale of the kernels at which a given net keeps signal and gradient on their way.

With v_l the sum of the mean squares of the weights that enter a unit of layer l, f_l the activation
and p_0 the mean square of the input, the maps of `runner.propagation.meanfield` without biases read

    q_l = v_l p_{l-1},  p_l = E[f_l(u)^2],  u ~ N(0, q_l),  chi_l = E[f_l'(u)^2];

where a skip connection adds the layer's input to its activation, with m_l the mean of what it puts
out (the weights are new, so that f_l(u) and the input are independent),

    p_l = p_{l-1} + 2 m_{l-1} E[f_l(u)] + E[f_l(u)^2],  m_l = m_{l-1} + E[f_l(u)].

In decades, with s_l = 1 where there is a skip connection and else 0, the net changes

    the signal by               log10 q_L / p_0,
    the gradient by             log10 v_{L+1} chi_1 + sum over l > 1 of log10 (s_l + v_l chi_l),
    differences of inputs by    sum of log10 (s_l + v_l chi_l) p_{l-1} / p_l,
    and has outputs of          log10 v_{L+1} p_L.

The third is the slope of the correlation map at 1; it bounds what is left of the differences,
because that map is convex. Each divided by what is still healthy is a *strain*; the net's is the
largest of them, and at most 1 if all are healthy.

References:
  Schoenholz et al. (2017), "Deep information propagation".
  Yang and Schoenholz (2017), "Mean field residual networks: on the edge of chaos", section 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runner.anatomy.activations import Activation

if TYPE_CHECKING:
    from runner.propagation.settings import Diagnostics

# Decades of the standard deviation in which the least strain is looked for, how finely at first.
_DECADES, _PER_DECADE = 2.5, 32
# Each refinement looks at so many scales between the neighbours of the best one.
_REFINEMENTS, _FINE = 2, 17
NAMED = {2.0: "he_normal", 1.0: "lecun_normal"}
"""Fan_in times the variance of kernels -> the initializer that most people know by name."""
# The bound on the differences is up to a decade above what is left of them: a scale is looked for
# first where it uses no more than this of the decades that are healthy.
_SHARE_OF_BOUND = 2 / 3
COMFORT = 0.5
"""A net with less strain is not ill for want of another scale."""


@dataclass(frozen=True)
class Chain:
    """Hidden layers, one after the other, and the output layer.

    Attributes:
      activations: Of the hidden layers.
      gains: v of the hidden layers and of the output layer, shape (hidden layers + 1,).
      num_kernels: Of each layer, same shape: all of them are scaled together.
      input_mean_square: p_0.
      has_skips: Whether the hidden layers after the first have skip connections.
    """

    activations: Sequence[Activation]
    gains: np.ndarray
    num_kernels: np.ndarray
    input_mean_square: float
    has_skips: bool = False

    def decades(self, scales: np.ndarray) -> np.ndarray:
        """Returns the four changes for kernels times `scales` (n,), shape (4, n)."""
        gains = self.gains[:, None] * scales ** (2 * self.num_kernels[:, None])
        p, m = np.full(len(scales), self.input_mean_square), np.zeros(len(scales))
        q, gradient, differences = p, np.log10(gains[-1]), np.zeros(len(scales))
        for place, (activation, v) in enumerate(zip(self.activations, gains, strict=False)):
            q, skip = v * p, float(self.has_skips and place > 0)
            mean = activation.mean(q)
            chi = activation.squared_slope(q)
            following = skip * (p + 2 * m * mean) + activation.second_moment(q)
            differences = differences + np.log10((skip + v * chi) * p / following)
            gradient = gradient + np.log10(skip + v * chi if place else chi)
            p, m = following, skip * m + mean
        signal = np.log10(q / self.input_mean_square)
        return np.stack([signal, gradient, differences, np.log10(gains[-1] * p)])

    def strains(
        self,
        scales: np.ndarray,
        limits: "Diagnostics",
        is_classifier: bool,
        share_of_bound: float = 1.0,
    ) -> np.ndarray:
        """Returns the strain for kernels times `scales`, shape (n,).

        Args:
          scales: Positive, shape (n,).
          limits: What is still healthy.
          is_classifier: Whether the loss grows with the outputs, not with their squares.
          share_of_bound: Of the decades of distinctness so much is for the bound on it.
        """
        with np.errstate(all="ignore"):
            signal, gradient, differences, outputs = self.decades(scales)
            loss = math.log10(limits.loss_ratio) * (2 if is_classifier else 1)
            strains = np.stack(
                [
                    np.abs(signal) / limits.decades,
                    np.abs(gradient) / limits.decades,
                    differences / (share_of_bound * math.log10(limits.distinctness)),
                    outputs / loss,
                ]
            ).max(axis=0)
        return np.where(np.isnan(strains), np.inf, strains)

    def best_scale(self, limits: "Diagnostics", is_classifier: bool) -> tuple[float, float]:
        """Returns what to multiply the kernels by for the least strain, and that strain.

        NaN for the scale where no scale has a finite strain, as where a layer's kernels are zero.
        """
        if not (self.gains > 0).all():
            return math.nan, math.inf
        for share in (_SHARE_OF_BOUND, 1.0):
            scale = self._least_strained(limits, is_classifier, share)
            strain = float(self.strains(np.array([scale]), limits, is_classifier)[0])
            if strain <= 1:
                break
        return (scale, strain) if math.isfinite(strain) else (math.nan, math.inf)

    def _least_strained(self, limits: "Diagnostics", is_classifier: bool, share: float) -> float:
        centre = float(np.exp(-np.mean(np.log(self.gains) / (2 * self.num_kernels))))
        count = int(2 * _DECADES * _PER_DECADE) + 1
        scales = centre * np.logspace(-_DECADES, _DECADES, count)
        for _ in range(_REFINEMENTS):
            best = int(np.argmin(self.strains(scales, limits, is_classifier, share)))
            low, high = scales[max(best - 1, 0)], scales[min(best + 1, len(scales) - 1)]
            scales = np.geomspace(low, high, _FINE)
        return float(scales[np.argmin(self.strains(scales, limits, is_classifier, share))])
