r"""Gaussian expectations of activation functions, the raw material of mean-field theory.

In a wide random net the pre-activations of two inputs are jointly Gaussian with mean 0, variances
q1 and q2 and correlation c. What the theory needs of an activation f are

    E[f(u)],  E[f(u)^2],  E[f'(u)^2],  E[f(u1) f(u2)],  E[f'(u1) f'(u2)].

For linear, ReLU, leaky ReLU and sine they have closed forms. For all others they are integrals,
taken with Gauss-Legendre nodes on both sides of 0 and, for two inputs, in polar coordinates between
the four rays on which u1 or u2 changes its sign. Gauss-Hermite nodes would do as well for smooth
functions, but lose all accuracy at a kink (SELU, ELU) and where the variance makes a smooth step
steep (tanh at q = 10^4). These nodes stand densest about 0, where such steps are, by the
substitution u = 2 sinh(s), and towards the ends of the arcs. Against the closed forms of erf, one
input is taken to 10^-12 up to q = 10^8; two to 10^-6 up to q = 100, and at q = 10^4 products to
10^-5 and products of slopes to 10^-3, the most at c = 1.

References:
  Cho and Saul (2009), "Kernel methods for deep learning": the arc-cosine kernels.
  Poole et al. (2016), "Exponential expressivity in deep neural networks through transient chaos".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np
from scipy import special

Array = np.ndarray
Function = Callable[[Array], Array]

# A standard normal variable is larger once in 10^23.
_FARTHEST = 10.0
_LINE_NODES = 96
_ARC_NODES = 32
_RADIAL_NODES = 64
# In each of three directions, where products are interpolated.
_CHEBYSHEV_NODES = 12
# Activations change their course where their argument is about so large.
_STEP = 2.0
# Points whose integrals are taken together: bounds the memory at about 100 MB.
_BLOCK = 2048
# Beyond them, sqrt(q) times a node would lose digits to underflow or overflow.
_LEAST_VARIANCE, _LARGEST_VARIANCE = 1e-200, 1e200


@dataclass(frozen=True)
class Activation:
    """An activation function whose expectations are taken numerically.

    All methods broadcast over arrays of variances and correlations.

    Attributes:
      name: As in Keras.
      function: f, elementwise on float64 arrays.
      derivative: f'; at a kink either one-sided derivative.
    """

    name: str
    function: Function = field(repr=False)
    derivative: Function = field(repr=False)

    def mean(self, q: Array | float) -> Array:
        """Returns E[f(u)], u ~ N(0, q)."""
        return _expectation(self.function, np.asarray(q, float))

    def second_moment(self, q: Array | float) -> Array:
        """Returns E[f(u)^2], u ~ N(0, q)."""
        return _expectation(lambda u: self.function(u) ** 2, np.asarray(q, float))

    def squared_slope(self, q: Array | float) -> Array:
        """Returns E[f'(u)^2], u ~ N(0, q)."""
        return _expectation(lambda u: self.derivative(u) ** 2, np.asarray(q, float))

    def growth(self, q: Array | float) -> Array:
        """Returns d E[f(u)^2] / dq = E[f(u) f'(u) z] / sqrt(q), u = sqrt(q) z."""
        lengths = np.maximum(np.asarray(q, float), _LEAST_VARIANCE)

        def integrand(u: Array) -> Array:
            return self.function(u) * self.derivative(u) * u

        return _expectation(integrand, lengths) / lengths

    def product(self, q1: Array | float, q2: Array | float, c: Array | float) -> Array:
        """Returns E[f(u1) f(u2)] for variances q1 and q2 and correlation c."""
        return _joint_expectation(self.function, q1, q2, c)

    def slope_product(self, q1: Array | float, q2: Array | float, c: Array | float) -> Array:
        """Returns E[f'(u1) f'(u2)] for variances q1 and q2 and correlation c."""
        return _joint_expectation(self.derivative, q1, q2, c)


class Rectifier(Activation):
    r"""f(x) = x above 0 and a x below, in closed form: linear (a = 1), ReLU (a = 0), leaky ReLU.

    It is (1 + a)/2 x + (1 - a)/2 |x|; the mixed terms of products vanish by symmetry, and

        E[|u1 u2|] = (2/pi) sqrt(q1 q2) (sqrt(1 - c^2) + c arcsin c),
        E[sign(u1) sign(u2)] = (2/pi) arcsin c.
    """

    def __init__(self, name: str, negative_slope: float) -> None:
        def function(x: Array) -> Array:
            return np.where(x > 0, x, negative_slope * x)

        def derivative(x: Array) -> Array:
            return np.where(x > 0, 1.0, negative_slope)

        super().__init__(name, function, derivative)
        object.__setattr__(self, "negative_slope", float(negative_slope))

    negative_slope: float = 0.0

    @property
    def _even_and_odd(self) -> tuple[float, float]:
        return (1 - self.negative_slope) / 2, (1 + self.negative_slope) / 2

    def mean(self, q: Array | float) -> Array:
        return (1 - self.negative_slope) * np.sqrt(np.asarray(q, float) / (2 * np.pi))

    def second_moment(self, q: Array | float) -> Array:
        return np.asarray(q, float) * (1 + self.negative_slope**2) / 2

    def squared_slope(self, q: Array | float) -> Array:
        return np.full_like(np.asarray(q, float), (1 + self.negative_slope**2) / 2)

    def growth(self, q: Array | float) -> Array:
        return self.squared_slope(q)

    def product(self, q1: Array | float, q2: Array | float, c: Array | float) -> Array:
        even, odd = self._even_and_odd
        c = np.clip(c, -1.0, 1.0)
        absolute = 2 / np.pi * (np.sqrt(1 - c**2) + c * np.arcsin(c))
        return np.sqrt(np.asarray(q1, float) * q2) * (odd**2 * c + even**2 * absolute)

    def slope_product(self, q1: Array | float, q2: Array | float, c: Array | float) -> Array:
        even, odd = self._even_and_odd
        signs = 2 / np.pi * np.arcsin(np.clip(c, -1.0, 1.0))
        return odd**2 + even**2 * signs + np.zeros(np.broadcast_shapes(np.shape(q1), np.shape(q2)))


class Sine(Activation):
    r"""f(x) = sin(omega x), in closed form: nodes would miss the waves of a large omega.

    With cos a cos b and sin a sin b as halves of cos(a - b) and cos(a + b), and E[cos(w)] =
    exp(-var(w) / 2) of a Gaussian w,

        E[f(u1) f(u2)] = (exp(-omega^2 var(u1 - u2) / 2) - exp(-omega^2 var(u1 + u2) / 2)) / 2.
    """

    def __init__(self, name: str, omega: float) -> None:
        super().__init__(
            name, lambda x: np.sin(omega * x), lambda x: omega * np.cos(omega * np.asarray(x))
        )
        object.__setattr__(self, "omega", float(omega))

    omega: float = 1.0

    def mean(self, q: Array | float) -> Array:
        return np.zeros_like(np.asarray(q, float))

    def second_moment(self, q: Array | float) -> Array:
        return -np.expm1(-2 * self.omega**2 * np.asarray(q, float)) / 2

    def squared_slope(self, q: Array | float) -> Array:
        return self.omega**2 * (1 + np.exp(-2 * self.omega**2 * np.asarray(q, float))) / 2

    def growth(self, q: Array | float) -> Array:
        return self.omega**2 * np.exp(-2 * self.omega**2 * np.asarray(q, float))

    def product(self, q1: Array | float, q2: Array | float, c: Array | float) -> Array:
        difference, total = self._of_waves(q1, q2, c)
        return (difference - total) / 2

    def slope_product(self, q1: Array | float, q2: Array | float, c: Array | float) -> Array:
        difference, total = self._of_waves(q1, q2, c)
        return self.omega**2 * (difference + total) / 2

    def _of_waves(
        self, q1: Array | float, q2: Array | float, c: Array | float
    ) -> tuple[Array, Array]:
        """Returns E[cos(omega (u1 - u2))] and E[cos(omega (u1 + u2))]."""
        q1, q2 = np.asarray(q1, float), np.asarray(q2, float)
        covariance = np.clip(c, -1.0, 1.0) * np.sqrt(q1 * q2)
        both = (q1 + q2 - 2 * sign * covariance for sign in (1, -1))
        difference, total = (np.exp(-(self.omega**2) * variance / 2) for variance in both)
        return difference, total


@cache
def _legendre(count: int) -> tuple[Array, Array]:
    """Returns places in (0, 1) and weights that sum f(place) to the integral of f."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def _half_line(q: Array, count: int) -> tuple[Array, Array]:
    """Returns nodes z in (0, 10) and weights of their integral, shape (*q.shape, count).

    In s, where sqrt(q) z = 2 sinh(s), they are those of Gauss and Legendre.
    """
    place, weight = _legendre(count)
    scale = np.sqrt(np.clip(q, _LEAST_VARIANCE, _LARGEST_VARIANCE))[..., None] / _STEP
    length = np.arcsinh(_FARTHEST * scale)
    return np.sinh(length * place) / scale, length * weight * np.cosh(length * place) / scale


def _expectation(function: Function, q: Array) -> Array:
    """Returns E[function(sqrt(q) z)], z standard normal, in the shape of `q`."""
    z, weight = _half_line(q, _LINE_NODES)
    density = weight * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    u = np.sqrt(q)[..., None] * z
    return np.sum((function(u) + function(-u)) * density, axis=-1)


@cache
def _arc_nodes() -> tuple[Array, Array]:
    """Returns places in (0, 1) of an arc, dense towards its ends, and their weights."""
    s, weight = _legendre(_ARC_NODES)
    return s**3 * (10 - 15 * s + 6 * s**2), weight * 30 * (s * (1 - s)) ** 2


def _joint_expectation(
    function: Function, q1: Array | float, q2: Array | float, c: Array | float
) -> Array:
    """Returns E[function(u1) function(u2)] in the common shape of the arguments."""
    given = np.broadcast_arrays(np.asarray(q1, float), q2, np.clip(c, -1.0, 1.0))
    flat = [array.ravel() for array in given]
    blocks = [
        _joint_block(function, *(array[first : first + _BLOCK] for array in flat))
        for first in range(0, flat[0].size, _BLOCK)
    ]
    return np.concatenate(blocks or [np.empty(0)]).reshape(given[0].shape)


def _joint_block(function: Function, q1: Array, q2: Array, c: Array) -> Array:
    r"""Returns the expectations of a block of points, shape (points,).

    With u1 = sqrt(q1) r cos(t - a), u2 = sqrt(q2) r cos(t + a) and cos(2 a) = c the pair has the
    wanted distribution if r has the density r exp(-r^2 / 2) and t is uniform. Both change their
    signs on rays of the plane only, so each arc between two rays sees smooth functions.
    """
    place, arc = _arc_nodes()
    radii, weights = _half_line(np.maximum(q1, q2), _RADIAL_NODES)
    densities = weights * radii * np.exp(-(radii**2) / 2)
    total = np.zeros(q1.shape)
    a = np.arccos(c) / 2
    rays = np.stack([a - np.pi / 2, np.pi / 2 - a, np.pi / 2 + a, 3 * np.pi / 2 - a])
    rays = np.concatenate([rays, rays[:1] + 2 * np.pi])
    for low, high in pairwise(rays):
        angle = low[:, None] + (high - low)[:, None] * place
        first = np.sqrt(q1)[:, None] * np.cos(angle - a[:, None])
        second = np.sqrt(q2)[:, None] * np.cos(angle + a[:, None])
        for r, density in zip(radii.T, densities.T, strict=True):
            values = function(r[:, None] * first) * function(r[:, None] * second)
            total += density * (high - low) * (values @ arc)
    return total / (2 * np.pi)


def interpolated_product(
    activation: Activation, q1: Array, q2: Array, c: Array, norms: Array
) -> Array:
    """Returns E[f(u1) f(u2)], by interpolation where there are many points.

    What is interpolated is the correlation of f(u1) and f(u2), a smooth function of
    asinh(sqrt(q1)), asinh(sqrt(q2)) and arccos(c), by Chebyshev polynomials.

    Args:
      activation: The function f.
      q1, q2: Variances, of the same shape.
      c: Correlations, same shape.
      norms: sqrt(E[f(u1)^2] E[f(u2)^2]), same shape.
    """
    is_closed = isinstance(activation, Rectifier | Sine)
    if is_closed or c.size <= _BLOCK or not np.isfinite(q1 * q2 * c).all():
        return activation.product(q1, q2, c)
    places = np.stack([_of_length(q1), _of_length(q2), np.arccos(np.clip(c, -1.0, 1.0))])
    places = places.reshape(3, -1)
    low, high = places.min(axis=1), places.max(axis=1)
    width = np.maximum(high - low, 1e-6)
    node = np.polynomial.chebyshev.chebpts1(_CHEBYSHEV_NODES)
    axes = [low[k] + width[k] * (node + 1) / 2 for k in range(3)]
    first, second, angle = np.meshgrid(*axes, indexing="ij")
    lengths = np.sinh(first) ** 2, np.sinh(second) ** 2
    moments = [activation.second_moment(length) for length in lengths]
    values = activation.product(*lengths, np.cos(angle)) / np.sqrt(moments[0] * moments[1])
    basis = np.linalg.inv(_polynomials(node))
    coefficients = np.einsum("ia,jb,kc,abc->ijk", basis, basis, basis, values)
    scaled = (2 * (places - low[:, None]) / width[:, None] - 1).T
    blocks = [
        _interpolated(coefficients, scaled[start : start + _BLOCK])
        for start in range(0, len(scaled), _BLOCK)
    ]
    return np.concatenate(blocks).reshape(c.shape) * norms


def _of_length(q: Array) -> Array:
    return np.arcsinh(np.sqrt(q))


def _polynomials(x: Array) -> Array:
    """Returns the Chebyshev polynomials at places, shape (places, polynomials)."""
    return np.polynomial.chebyshev.chebvander(x, _CHEBYSHEV_NODES - 1)


def _interpolated(coefficients: Array, places: Array) -> Array:
    """Returns a sum of products of polynomials at places, shape (n, 3)."""
    count = len(coefficients)
    first, second, third = (_polynomials(column) for column in places.T)
    inner = (first @ coefficients.reshape(count, -1)).reshape(-1, count, count)
    return np.einsum("nj,njk,nk->n", second, inner, third)


def _sigmoid_slope(x: Array) -> Array:
    return special.expit(x) * special.expit(-x)


def _gelu(x: Array) -> Array:
    return x * special.ndtr(x)


def _gelu_slope(x: Array) -> Array:
    return special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _silu(x: Array) -> Array:
    return x * special.expit(x)


def _silu_slope(x: Array) -> Array:
    return special.expit(x) + x * _sigmoid_slope(x)


def _tanh_slope(x: Array) -> Array:
    # Not 1 - tanh^2, which is rounded to 0 where the slope is 10^-16.
    return 4 * special.expit(2 * x) * special.expit(-2 * x)


# Klambauer et al. (2017), "Self-normalizing neural networks", equation 14; as in Keras.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _elu(scale: float, alpha: float) -> tuple[Function, Function]:
    def function(x: Array) -> Array:
        return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))

    def derivative(x: Array) -> Array:
        return scale * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0)))

    return function, derivative


# Keras's function `leaky_relu` has this slope; its layer `LeakyReLU` has 0.3 unless told otherwise.
_LEAKY_SLOPE = 0.2

ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Rectifier("linear", 1.0),
        Rectifier("relu", 0.0),
        Rectifier("leaky_relu", _LEAKY_SLOPE),
        Activation("tanh", np.tanh, _tanh_slope),
        Activation("sigmoid", special.expit, _sigmoid_slope),
        Activation("softsign", lambda x: x / (1 + np.abs(x)), lambda x: (1 + np.abs(x)) ** -2.0),
        Activation("erf", special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2))),
        Activation("gelu", _gelu, _gelu_slope),
        Activation("silu", _silu, _silu_slope),
        Activation("elu", *_elu(1.0, 1.0)),
        Activation("selu", *_elu(_SELU_SCALE, _SELU_ALPHA)),
        Activation("softplus", lambda x: np.logaddexp(0, x), special.expit),
    )
}
"""Those that the theory knows by name; `swish` is Keras's second name of `silu`."""
ACTIVATIONS["swish"] = ACTIVATIONS["silu"]
