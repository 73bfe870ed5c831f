r"""Mean-field theory of signal propagation in wide random nets.

Kernel entries are independent with mean 0 and variance sigma_w^2 / fan_in, biases with variance
sigma_b^2; throughout, `weight_variance` is sigma_w^2 = fan_in times the variance of an entry. The
pre-activations of layer l are Gaussian with the variance ("length") q_l and, for two inputs of
equal length, the correlation c_l:

    q' = sigma_w^2 E[f(u)^2] + sigma_b^2,
    c' = (sigma_w^2 E[f(u1) f(u2)] + sigma_b^2) / q'.

chi_1 = sigma_w^2 E[f'(u)^2] at q* is the slope of the correlation map at c = 1 and the factor by
which the variance of the gradient grows from a layer to the one before it. Below 1 the net is
*ordered* (inputs become alike, gradients vanish), above 1 *chaotic* (inputs are torn apart,
gradients explode), at 1 *critical*.

References:
  Poole et al. (2016), "Exponential expressivity in deep neural networks through transient chaos",
    equations 3 to 5.
  Schoenholz et al. (2017), "Deep information propagation", equations 5 to 9 (depth scales).
  Xiao et al. (2018), "Dynamical isometry and a mean field theory of CNNs": convolutions obey the
    same maps, with fan_in = channels times taps.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from runner.anatomy.activations import Activation

Phase = Literal["ordered", "critical", "chaotic"]

# Fixed points are looked for between these variances.
_LENGTHS = np.logspace(-12, 12, 97)
# |chi_1 - 1| below this is the rounding of the integrals.
_CRITICAL = 1e-9
_TOLERANCE = 1e-12
# At 1 itself the correlation map always has a fixed point.
_NEAR_ONE = 1 - 1e-5
# Correlations at which the correlation map is told from the identity.
_CORRELATIONS = np.linspace(0, _NEAR_ONE, 11)
# Of relative differences along the critical line, and where the integrals keep it.
_ROUNDING = 1e-10
_CRITICAL_LENGTHS = np.logspace(-12, 4, 129)
# Of chi_1 where a length of that line is found again.
_CRITICAL_CHI = 1e-6


def _zero(function: Callable[[float], float], low: float, high: float, xtol: float) -> float:
    """Returns where a function is zero; scipy's search takes long to import."""
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=xtol))


def length_map(
    activation: Activation, q: np.ndarray | float, weight_variance: float, bias_variance: float = 0
) -> np.ndarray:
    """Returns q', the variance of the next layer's pre-activations."""
    return weight_variance * activation.second_moment(q) + bias_variance


def correlation_map(
    activation: Activation,
    c: np.ndarray | float,
    q: float,
    weight_variance: float,
    bias_variance: float = 0,
) -> np.ndarray:
    """Returns c', the next layer's correlation of two inputs of the same length q."""
    covariance = weight_variance * activation.product(q, q, c) + bias_variance
    return covariance / length_map(activation, q, weight_variance, bias_variance)


def length_fixed_point(
    activation: Activation, weight_variance: float, bias_variance: float = 0
) -> float:
    """Returns q*, the length that inputs of length 1 tend to: perhaps 0 or infinity.

    Where every length is a fixed point (ReLU with weight_variance 2 and no bias) it is 1.
    """

    def gain(log_q: float) -> float:
        q = math.exp(log_q)
        return float(length_map(activation, q, weight_variance, bias_variance)) / q - 1

    here = gain(0.0)
    if abs(here) < _TOLERANCE:
        return 1.0
    # The map increases with q for all usual activations: lengths move towards the next fixed point.
    ahead = np.log(_LENGTHS[_LENGTHS >= 1] if here > 0 else _LENGTHS[_LENGTHS <= 1][::-1])
    for near, far in pairwise(ahead):
        if gain(near) * gain(far) <= 0:
            return math.exp(_zero(gain, near, far, xtol=1e-14))
    return math.inf if here > 0 else 0.0


@dataclass(frozen=True)
class Regime:
    """Where a net of equal layers stands.

    Attributes:
      q: q*, the fixed point of the length map; 0 or infinity where there is none between.
      chi: chi_1 at q*.
      c: c*, the stable fixed point of the correlation map; NaN where the map is the identity (a
        linear net, or a smooth activation at q* = 0, without biases): correlations stay.
      slope: Of the correlation map at c*; chi_1 where c* is 1 and q* is a length.
      length_depth: xi_q, layers in which a difference from q* falls by e.
      correlation_depth: xi_c, layers in which a difference from c* falls by e.
      phase: By chi.
    """

    q: float
    chi: float
    c: float
    slope: float
    length_depth: float
    correlation_depth: float
    phase: Phase


def regime(activation: Activation, weight_variance: float, bias_variance: float = 0) -> Regime:
    """Returns fixed points, depth scales and phase of a net of equal layers."""
    q = length_fixed_point(activation, weight_variance, bias_variance)
    place = min(max(q, _LENGTHS[0]), _LENGTHS[-1])  # limits stand for 0 and for infinity
    chi = weight_variance * float(activation.squared_slope(place))
    following = float(length_map(activation, place, weight_variance, bias_variance))
    scale = weight_variance * place / following
    c = _correlation_fixed_point(activation, place, weight_variance, bias_variance)
    slope = scale * float(activation.slope_product(place, place, 1.0 if math.isnan(c) else c))
    growth = weight_variance * float(activation.growth(place))
    return Regime(
        q=q,
        chi=chi,
        c=c,
        slope=float(slope),
        length_depth=_depth_scale(growth),
        correlation_depth=_depth_scale(slope),
        phase=_phase(chi),
    )


def _phase(chi: float) -> Phase:
    if abs(chi - 1) < _CRITICAL:
        return "critical"
    return "ordered" if chi < 1 else "chaotic"


def _depth_scale(slope: float) -> float:
    """Returns -1 / ln(slope): infinite where differences do not fall."""
    if slope >= 1 - _CRITICAL:
        return math.inf
    return 0.0 if slope <= 0 else -1 / math.log(slope)


def _correlation_fixed_point(
    activation: Activation, q: float, weight_variance: float, bias_variance: float
) -> float:
    """Returns c*: the crossing below 1 that is next to 0, else 1; NaN for the identity."""

    def excess(c: np.ndarray | float) -> np.ndarray:
        return correlation_map(activation, c, q, weight_variance, bias_variance) - c

    if (np.abs(excess(_CORRELATIONS)) < _CRITICAL).all():
        return math.nan
    if excess(0.0) <= 0:
        return 0.0
    if excess(_NEAR_ONE) >= 0:
        return 1.0
    return _zero(lambda c: float(excess(c)), 0.0, _NEAR_ONE, xtol=1e-14)


def critical_line(activation: Activation, q: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Returns (weight_variance, bias_variance) at which q is a fixed point with chi_1 = 1.

    sigma_w^2 = 1 / E[f'(u)^2], sigma_b^2 = q - sigma_w^2 E[f(u)^2]; a negative bias variance says
    that there is no such net.
    """
    weight_variance = 1 / activation.squared_slope(q)
    return weight_variance, np.asarray(q) - weight_variance * activation.second_moment(q)


def critical_weight_variance(activation: Activation, bias_variance: float = 0) -> float:
    """Returns the weight variance that is critical with this bias variance.

    Where several are, it is that of the shortest length; length 0 counts where lengths tend to it
    (tanh without biases).

    Raises:
      ValueError: There is none.
    """

    def excess(q: np.ndarray) -> np.ndarray:
        return (critical_line(activation, q)[1] - bias_variance) / np.maximum(q, bias_variance)

    for q in _roots(excess):
        weight_variance = float(critical_line(activation, q)[0])
        if _is_critical(activation, weight_variance, bias_variance):
            return weight_variance
    raise ValueError(
        f"No weight variance is critical for {activation.name} with the bias variance "
        f"{bias_variance:g}."
    )


def critical_bias_variance(activation: Activation, weight_variance: float) -> float:
    """Returns the bias variance that is critical with this weight variance.

    Raises:
      ValueError: There is none.
    """
    for q in _roots(lambda q: critical_line(activation, q)[0] / weight_variance - 1):
        bias_variance = float(critical_line(activation, q)[1])
        if abs(bias_variance) <= _ROUNDING * q:
            bias_variance = 0.0
        if bias_variance >= 0 and _is_critical(activation, weight_variance, bias_variance):
            return bias_variance
    raise ValueError(
        f"No bias variance is critical for {activation.name} with the weight variance "
        f"{weight_variance:g}."
    )


def _is_critical(activation: Activation, weight_variance: float, bias_variance: float) -> bool:
    """Tells whether chi_1 is 1 at the length that inputs of length 1 tend to."""
    q = length_fixed_point(activation, weight_variance, bias_variance)
    place = min(max(q, _LENGTHS[0]), _LENGTHS[-1])
    return abs(weight_variance * float(activation.squared_slope(place)) - 1) < _CRITICAL_CHI


def _roots(excess: Callable[[np.ndarray], np.ndarray]) -> Iterator[float]:
    """Yields the lengths at which a relative excess vanishes, the least first."""
    values = excess(_CRITICAL_LENGTHS)
    for place, value in enumerate(values):
        if abs(value) <= _ROUNDING:
            yield float(_CRITICAL_LENGTHS[place])
        elif place and value * values[place - 1] < 0:
            low, high = _CRITICAL_LENGTHS[place - 1 : place + 1]
            yield _zero(lambda q: float(excess(np.asarray(q))), low, high, 2e-12)
