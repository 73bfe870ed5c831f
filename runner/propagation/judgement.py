r"""One word about how a net starts, with the reason and the numbers.

A configuration is judged by the mean over its replicates of the logarithms, because a single net
scatters: at width n the variance of ln(q_L / q_0) of a ReLU net is about 5 L / n, and its mean lies
below that of the theory by half as much. What is tolerated grows with depth accordingly.

Reference: Hanin and Rolnick (2018), "How to start training: the effect of initialization and
architecture", theorem 5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runner.propagation.settings import Diagnostics, Name
from runner.records import PropagationRecord

# Variance of ln q that a layer of n units adds, times n (Hanin and Rolnick, 2018, for ReLU).
_SCATTER = 5.0
_DEVIATIONS = 2.0
ROUNDING = 1e-4
"""Gradients that differ by less, in units of their standard deviation, differ by rounding."""

# Stands for a logarithm of zero.
_NOTHING = -300.0
# Factors beyond are written as powers of ten.
_MAX_PLAIN_DECADES = 4


@dataclass(frozen=True)
class Verdict:
    """What is said of a net.

    Attributes:
      name: One word.
      reason: Why, in a clause with the numbers.
    """

    name: Name
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def judge(records: Sequence[PropagationRecord], limits: Diagnostics) -> Verdict:
    """Returns the verdict on a configuration, or on one replicate.

    The first illness that is found is told, causes before their effects.

    Args:
      records: Of the replicates, at least one; all of the same model.
      limits: What is still healthy.
    """
    seen = _Seen(records, limits)
    illnesses = (
        seen.symmetric(),
        seen.not_finite(),
        seen.dead(),
        seen.saturated(),
        seen.changes("signal", "first layer's input", "last hidden layer"),
        seen.changes("gradient", "output", "first layer"),
        seen.collapsed(),
        seen.large_loss(),
    )
    return next((verdict for verdict in illnesses if verdict), seen.healthy())


class _Seen:
    """The numbers of some replicates of a model."""

    def __init__(self, records: Sequence[PropagationRecord], limits: Diagnostics) -> None:
        self.records = records
        self.limits = limits
        first = records[0]
        self.layers = first.layers
        self.hidden = first.judged[:-1]
        spread = sum(1 / first.num_units[row] for row in self.hidden)
        self.tolerance = _SCATTER * spread / 2
        self.tolerance += _DEVIATIONS * math.sqrt(_SCATTER * spread / len(records))
        self.tolerance /= math.log(10)

    def mean(self, quantity: str) -> np.ndarray:
        """Returns the mean over replicates of a quantity of the layers; NaN where it is missing."""
        values = np.array([record.values(quantity) for record in self.records], float)
        with np.errstate(invalid="ignore"):
            return values.mean(axis=0)

    def number(self, name: str) -> float:
        """Returns the mean over replicates of a number of the whole net."""
        return float(np.mean([record.number(name) for record in self.records]))

    def symmetric(self) -> Verdict | None:
        """Units with the same kernels and gradients stay alike; at the outputs targets differ."""
        names = [name for name in self.records[0].measured if name.endswith("unit_difference")]
        # One kernel that tells units apart is enough; where no two share inputs, there is NaN.
        all_differences = [self.mean(name) + self._learned(name) for name in names]
        differences = np.fmax.reduce([np.full(len(self.layers), np.nan), *all_differences])
        same = [row for row in self.hidden if differences[row] == 0]
        if not same:
            return None
        return Verdict(
            "symmetric",
            f"all units of {self._names(same)} have the same kernel, so they compute and learn the "
            "same",
        )

    def _learned(self, name: str) -> np.ndarray:
        """Returns how much the first step tells units apart; nothing where that is rounding."""
        kernel = name.removesuffix("unit_difference")
        difference = self.mean(f"{kernel}unit_gradient_difference")
        with np.errstate(invalid="ignore"):
            spread = np.sqrt(self.mean(f"{kernel or 'kernel_'}gradient_variance"))
        return np.where(difference > ROUNDING * spread, difference, 0.0)

    def closed(self) -> list[int]:
        """Returns the layers whose kernel is zero at the start only: the first step opens it."""
        zero = self.mean("weight_variance") == 0
        return list(np.flatnonzero(zero & (self.mean("kernel_gradient_variance") > 0)))

    def not_finite(self) -> Verdict | None:
        broken = [r for r in self.records if r.number("nonfinite_layers") > 0]
        if not broken:
            return None
        return Verdict(
            "exploding",
            f"numbers overflow in {len(broken)} of {len(self.records)} replicates",
        )

    def dead(self) -> Verdict | None:
        zero, off = self.mean("zero_share"), self.mean("off_share")
        worst = _largest(np.where(zero > 0, off, np.nan))
        if worst is None or off[worst] <= self.limits.off_share:
            return None
        return Verdict(
            "dead",
            f"{off[worst]:.0%} of the units of {self.layers[worst]} are off for the whole batch "
            f"(limit {self.limits.off_share:.0%})",
        )

    def saturated(self) -> Verdict | None:
        share = self.mean("saturated_share")
        worst = _largest(share)
        if worst is None or share[worst] <= self.limits.saturated_share:
            return None
        return Verdict(
            "saturated",
            f"{share[worst]:.0%} of the activations of {self.layers[worst]} are where their "
            f"function is flat (limit {self.limits.saturated_share:.0%})",
        )

    def changes(self, what: str, start: str, end: str) -> Verdict | None:
        """Tells whether the signal or the gradient changes too much on its way."""
        decades = self.number(f"log10_{what}_gain")
        limit = self.limits.decades + self.tolerance
        if not abs(decades) > limit:
            return None
        if what == "gradient" and decades <= _NOTHING and self.closed():
            return None
        name: Name = "exploding" if decades > 0 else "vanishing"
        noun = "signal's variance" if what == "signal" else "gradient's squared norm"
        verb = "grows" if decades > 0 else "falls"
        far = "to zero" if decades <= _NOTHING else f"by a factor of 10^{abs(decades):.1f}"
        return Verdict(
            name, f"the {noun} {verb} {far} from the {start} to the {end} (limit 10^{limit:.1f})"
        )

    def large_loss(self) -> Verdict | None:
        loss, nothing = self.number("loss"), self.number("uninformed_loss")
        ratio = loss / nothing if nothing > 0 else 0.0
        if not ratio > self.limits.loss_ratio:
            return None
        return Verdict(
            "exploding",
            f"the loss before training is {loss:.3g}, {ratio:.3g} times that of a constant guess "
            f"({nothing:.3g}; limit {self.limits.loss_ratio:g} times)",
        )

    def collapsed(self) -> Verdict | None:
        correlation, given = self._last_correlation(), self.number("input_correlation")
        if not given < 1 or not (1 - correlation) / (1 - given) < self.limits.distinctness:
            return None
        return Verdict(
            "collapsed",
            f"two inputs with correlation {given:.3f} have correlation 1 - {1 - correlation:.1g} "
            "after the last hidden layer: the network cannot distinguish them",
        )

    def healthy(self) -> Verdict:
        gains = [
            f"{what}'s {'variance' if what == 'signal' else 'squared norm'} {_factor(decades)}"
            for what in ("signal", "gradient")
            if (decades := self.number(f"log10_{what}_gain")) > _NOTHING
        ]
        if (closed := self.closed()) and self.number("log10_gradient_gain") <= _NOTHING:
            verb = "is" if len(closed) == 1 else "are"
            gains.append(f"no gradient until the first step, as {self._listed(closed)} {verb} zero")
        loss, guess = self.number("loss"), self.number("uninformed_loss")
        of_guess = "" if math.isnan(guess) else f" (constant guess: {guess:.3g})"
        return Verdict("healthy", ", ".join([*gains, f"loss {loss:.3g}{of_guess}"]))

    def _last_correlation(self) -> float:
        return float(self.mean("correlation")[self.hidden[-1]]) if self.hidden else math.nan

    def _listed(self, rows: Sequence[int]) -> str:
        names = [self.layers[row] for row in rows]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

    def _names(self, rows: Sequence[int]) -> str:
        names = [self.layers[row] for row in rows]
        return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _largest(values: np.ndarray) -> int | None:
    return None if np.isnan(values).all() else int(np.nanargmax(values))


def _factor(decades: float) -> str:
    if abs(decades) < _MAX_PLAIN_DECADES:
        return f"×{10**decades:.2g}"
    return f"×10^{decades:.0f}".replace("-", "\N{MINUS SIGN}")


def gain(start: float, end: float) -> float:
    """Returns log10(end / start), -300 where nothing is left."""
    if not start > 0:
        return math.nan
    return max(math.log10(end / start), _NOTHING) if end > 0 else _NOTHING
