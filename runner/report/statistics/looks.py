"""A verdict that stays valid when people look, add seeds and look again.

Two rules, never combined:

- **Looks fixed beforehand** (Wang & Tsiatis 1987): the paired t test at each look, at levels so
  small that a true null hypothesis is rejected at any of the looks with the probability that was
  asked for. Early looks have less of it than late ones; see `SHAPE`.
- **Any number of looks**: a test martingale. The e-value of the Gaussian mixture over effect sizes
  (Robbins 1970; for t statistics Lai 1976) exceeds 1 / p at some number of seeds with probability p
  at most.

The joint law of the t statistics at several looks is exact. Let v = Σx / √(n Σx²), so that
t = v √(n - 1) / √(1 - v²). For n independent normal values of mean zero, v is a function of their
direction, which is independent of their length. So v' after m more values depends on the past
through v alone: v' = √(n/n') v cos φ + √(m/n') w sin φ with n' = n + m, cos² φ ~ Beta(n/2, m/2) and
w = sin θ, θ of density ∝ cos^(m-2) θ, all independent.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtr, ndtri, stdtr, stdtrit

# Nodes of the quadratures: over v, over φ, and over θ, whose integrand has no kinks. With one new
# value w is 1 or -1, and what is integrated over φ has steps: levels are right to a thousandth of
# themselves then, else to a hundred-thousandth.
_NUM_STATES, _NUM_ANGLES, _NUM_DIRECTIONS, _NUM_OF_ONE = 65, 64, 40, 500
_NEGLIGIBLE = 1e-13
# Of a level's logarithm. What a secant is wrong by is less than a thousandth of its last step.
_TOLERANCE, _LAST_STEP = 1e-7, 1e-4
# Variance of the effect sizes that the e-value is a mixture over, in units of the values' variance.
MIXTURE_VARIANCE = 1.0

SHAPE = 0.4
"""Δ of Wang & Tsiatis: the bound of the look at n of N values is c (n / N)^(Δ - 1/2), in units of a
normal value's standard deviation. 1/2 is Pocock's: the same level at each look. At a few seeds the
t test finds little, and is misled by skewed scores, so level that is spent there is missed later.
In twenty sweeps of real trainings (`scripts/benchmark.py --answer-cost`) `seeds=auto` takes 0.63
of the trainings of the smallest fixed number of seeds that decides as much, and 0.74 with Pocock's;
0.35 is as good, but leaves a look at five seeds hardly any level."""

_SMALLEST = 1e-300


def nominal_level(level: float, looks: tuple[int, ...], count: int) -> float:
    """Returns the two-sided level of the t test at one of the looks; all together keep `level`.

    Args:
      level: Probability of rejecting a true null hypothesis at any look.
      looks: Numbers of values at the looks, rising, each at least 2.
      count: The look.

    Reference:
      Wang & Tsiatis (1987), Approximately Optimal One-Parameter Boundaries for Group Sequential
      Trials.
    """
    return _levels(level, looks)[looks.index(count)]


@lru_cache(maxsize=4096)
def _levels(level: float, looks: tuple[int, ...]) -> tuple[float, ...]:
    if len(looks) == 1:
        return (level,)
    growth = (np.array(looks) / looks[-1]) ** (SHAPE - 0.5)

    def levels(logarithm: float) -> np.ndarray:
        """Returns all levels, from the logarithm of the last one."""
        return np.fmax(2 * ndtr(ndtri(math.exp(logarithm) / 2) * growth), _SMALLEST)

    def excess(logarithm: float) -> float:
        return math.log(rejection_probability(levels(logarithm), looks) / level)

    # The last level is the largest; the sum of all is what Bonferroni has, so too small.
    root = _root(excess, math.log(level / len(looks)), math.log(level))
    return tuple(map(float, levels(root)))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Returns where a rising function of a slope near 1 is zero, to a millionth.

    By secants, and halves where one leads out of what is left; scipy's routines take a third of a
    second to import. The low end where it is zero nowhere between the two.
    """
    last, at_last = low, function(low)
    if at_last >= 0:
        return low
    guess = last - at_last
    while high - low > _TOLERANCE:
        if not low < guess < high:
            guess = (low + high) / 2
        value = function(guess)
        if value < 0:
            low = guess
        else:
            high = guess
        slope = (value - at_last) / (guess - last)
        step = -value / slope if slope else math.nan
        if abs(step) < _LAST_STEP:
            return guess + step
        last, at_last, guess = guess, value, guess + step
    return low


def rejection_probability(levels: Sequence[float] | np.ndarray, looks: Sequence[int]) -> float:
    """Returns how likely t tests reject a true null hypothesis at any look.

    Args:
      levels: Two-sided, of each look.
      looks: Numbers of values.
    """
    bounds = [_bound(level, count) for level, count in zip(levels, looks, strict=True)]
    points = chebyshev.chebpts1(_NUM_STATES)[_NUM_STATES // 2 :]  # v and -v are alike
    later = np.zeros(1)  # after the last look nothing is rejected
    for place in range(len(looks) - 2, -1, -1):
        values = _rejection_after(
            bounds[place] * points, looks[place], looks[place + 1], bounds[place + 1], later
        )
        later = chebyshev.chebfit(_doubled(points), values, _NUM_STATES // 2)
    # At the first look, θ with v = sin θ has the density of the module's docstring.
    end = math.asin(bounds[0])
    nodes, weights = _legendre(-end, end, _NUM_ANGLES)
    density = np.cos(nodes) ** (looks[0] - 2) / _normalization(looks[0])
    return float(
        levels[0]
        + np.sum(weights * density * chebyshev.chebval(_doubled(np.sin(nodes) / bounds[0]), later))
    )


def _doubled(values: np.ndarray) -> np.ndarray:
    """Returns 2 x² - 1: the Chebyshev polynomials of it are those of x of even degrees."""
    return np.asarray(2 * values * values - 1)


def _bound(level: float, count: int) -> float:
    """Returns the |v| from which on the t test rejects."""
    t = -stdtrit(count - 1, level / 2)
    return 1 / math.hypot(1, math.sqrt(count - 1) / t)


def _rejection_after(
    states: np.ndarray, count: int, next_count: int, bound: float, later: np.ndarray
) -> np.ndarray:
    """Returns the probability of rejecting at the next look or later, shape (states,).

    Args:
      states: v at this look.
      count, next_count: Numbers of values at this look and the next.
      bound: |v'| from which on the next look rejects.
      later: Coefficients of the probability of rejecting after the next look, over v' / bound as
        `_doubled`.
    """
    new = next_count - count
    nodes = _NUM_OF_ONE if new == 1 else _NUM_ANGLES
    ends = np.arccos(np.sqrt(betaincinv(count / 2, new / 2, [1 - _NEGLIGIBLE, _NEGLIGIBLE])))
    angles, weights = _legendre(ends[0], ends[1], nodes)
    density = np.cos(angles) ** (count - 1) * np.sin(angles) ** (new - 1)
    weights = weights * density / np.sum(weights * density)
    center = math.sqrt(count / next_count) * np.outer(states, np.cos(angles))
    width = math.sqrt(new / next_count) * np.sin(angles)
    if new == 1:
        inside = sum(_kept(center + sign * width, bound, later) / 2 for sign in (-1, 1))
    else:
        inside = _kept_of_many(center, width, new, bound, later)
    return np.asarray(1 - inside @ weights)


def _kept(values: np.ndarray, bound: float, later: np.ndarray) -> np.ndarray:
    """Returns the probability that v' never rejects: 0 from `bound` on."""
    rejected = chebyshev.chebval(_doubled(values / bound), later)
    return np.where(np.abs(values) < bound, 1 - rejected, 0.0)


def _kept_of_many(
    center: np.ndarray, width: np.ndarray, new: int, bound: float, later: np.ndarray
) -> np.ndarray:
    """Returns the mean of `_kept` over w, shape (states, angles)."""
    largest = math.sqrt(betaincinv(0.5, (new - 1) / 2, 1 - _NEGLIGIBLE))
    low, high = (np.clip((sign * bound - center) / width, -largest, largest) for sign in (-1, 1))
    if not later.any():
        return np.asarray(_below(high, new) - _below(low, new))
    low, high = np.arcsin(low), np.arcsin(high)
    nodes, weights = _legendre(0.0, 1.0, _NUM_DIRECTIONS)
    angles = low[..., np.newaxis] + (high - low)[..., np.newaxis] * nodes
    values = center[..., np.newaxis] + width[:, np.newaxis] * np.sin(angles)
    density = np.cos(angles) ** (new - 2) / _normalization(new)
    return (high - low) * np.sum(
        weights * density * (1 - chebyshev.chebval(_doubled(values / bound), later)), axis=-1
    )


def _below(w: np.ndarray, new: int) -> np.ndarray:
    """Returns the probability of a smaller w: w √(new - 1) / √(1 - w²) is Student's t."""
    with np.errstate(divide="ignore"):  # at 1 and -1 it is infinite
        return np.asarray(stdtr(new - 1, w * np.sqrt((new - 1) / (1 - w * w))))


def _normalization(count: int) -> float:
    """Returns the integral of cos^(count - 2) θ from -π/2 to π/2."""
    return math.sqrt(math.pi) * math.exp(math.lgamma((count - 1) / 2) - math.lgamma(count / 2))


_nodes = lru_cache(maxsize=8)(np.polynomial.legendre.leggauss)


def _legendre(low: float, high: float, number: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = _nodes(number)
    return low + (nodes + 1) * (high - low) / 2, weights * (high - low) / 2


def e_value(t: ArrayLike, count: ArrayLike) -> np.ndarray:
    """Returns the evidence of n values against a mean of zero, any shape.

    E = a^(-1/2) · [(1 + t²/(n - 1)) / (1 + t²/(a (n - 1)))]^(n/2) with a = 1 + n g: the likelihood
    ratio of the t statistic, with effect sizes of variance g, to no effect. Over growing n it is a
    test martingale: it passes 1 / p with probability p at most, whenever one looks.

    Args:
      t: Student's t of the values.
      count: n.

    Reference:
      Lai (1976), On Confidence Sequences; Wang & Ramdas (2025), Anytime-Valid t-Tests and
      Confidence Sequences for Gaussian Means with Unknown Variance, theorem 4.9.
    """
    number = np.asarray(count, float)
    square = np.asarray(t, float) ** 2 / (number - 1)
    factor = 1 + number * MIXTURE_VARIANCE
    # With t infinite the quotient is `factor`.
    with np.errstate(invalid="ignore"):
        quotient = np.where(np.isinf(square), factor, (1 + square) / (1 + square / factor))
    return np.exp(number / 2 * np.log(quotient) - np.log(factor) / 2)


def sequential_holm(
    p_values: ArrayLike, size: int, level: float, nominal: Sequence[Callable[[float], float]]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns at which look each hypothesis is rejected, and what its p had to be.

    Holm's procedure at each look: with r hypotheses left, the smallest p is compared with the
    nominal level of level / r; where it is rejected, r falls by one and the next is compared. What
    is rejected stays so. By the closure principle the family's error stays below `level`, as each
    single test over all looks has level / r.

    Args:
      p_values: Shape (looks, hypotheses); NaN where there is none.
      size: Number of hypotheses of the family, at least those here.
      level: Of the family.
      nominal: Of each look: from the level of one hypothesis over all looks to that at this one.

    Returns:
      Places of the looks, -1 where at none, and the nominal levels at the last look at which each
      was tested, NaN where at none, both of shape (hypotheses,).

    Reference:
      Holm (1979); with looks: Ye, Li, Liu & Yao (2013), A Group Sequential Holm Procedure.
    """
    p = np.asarray(p_values, float)
    rejected, levels = np.full(p.shape[1], -1), np.full(p.shape[1], np.nan)
    for look, (row, at_look) in enumerate(zip(p, nominal, strict=True)):
        left = np.flatnonzero((rejected < 0) & ~np.isnan(row))
        ordered = left[np.argsort(row[left], kind="stable")]
        for place, hypothesis in enumerate(ordered):
            remaining = max(size, len(rejected)) - np.sum(rejected >= 0)
            levels[ordered[place:]] = at_look(level / remaining)
            if not row[hypothesis] <= levels[hypothesis]:
                break
            rejected[hypothesis] = look
    return rejected, levels
