"""What would help a net that starts badly, as an override that can be pasted.

`runner.propagation.diagnosis` looks for the kernels' scale by mean-field theory, where the model's
activations can be evaluated, and leaves it in the numbers `advice_*` of a record's network:

    advice_weight_variance   fan_in times the kernels' variance of the least strain
    advice_gain              what to multiply the kernels by, as they are, for the least strain
    advice_..._strain        that strain: see `runner.propagation.criticality`
    advice_strain            of the kernels as they are
    advice_normalizations, advice_skips, advice_unknown_activations    how many there are

One override sets all kernels of a model, so the scale is one for all layers with a kernel together.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runner.propagation.criticality import COMFORT, NAMED
from runner.propagation.judgement import Verdict
from runner.records import KernelRecord, PropagationRecord

# Strains that differ by less are the same to theory.
_SAME = 1.05
# Beyond this factor, the output layer of a normalized net is ill by itself.
_FAR = 30.0
# Standard deviations that Keras's fans change by less are not worth a sentence.
_MISSCALED = 1.5
# Any random law tells units apart.
_RANDOM = "init=glorot_uniform"


def advice(
    verdict: Verdict,
    records: Sequence[PropagationRecord],
    settings: Mapping[str, Any],
    kernels: Sequence[KernelRecord] = (),
) -> str:
    """Returns a sentence or two with overrides for `python -m runner`; empty for the healthy.

    Args:
      verdict: On the configuration.
      records: Of its replicates.
      settings: The resolved configuration.
      kernels: Of the configuration.
    """
    if verdict.name == "healthy":
        return ""
    return f"{_Patient(verdict, records, settings).told()} {misscaled(kernels)}".rstrip()


def misscaled(kernels: Sequence[KernelRecord]) -> str:
    """Returns which kernel Keras's fans scale worst, by how much, and what to do about it.

    Args:
      kernels: Of one configuration.

    Returns:
      Empty where no standard deviation is much different with exact fans.
    """
    factors = {
        kernel: kernel.exact_stddev / kernel.stddev
        for kernel in kernels
        if kernel.exact_fans and kernel.stddev and kernel.exact_stddev
    }
    if not factors:
        return ""
    worst = max(factors, key=lambda kernel: abs(math.log(factors[kernel])))
    factor = max(factors[worst], 1 / factors[worst])
    if factor < _MISSCALED:
        return ""
    many = sum(max(one, 1 / one) >= _MISSCALED for one in factors.values()) - 1
    more = f" and {many} more" if many else ""
    true = " and ".join(f"{fan:.4g}" for fan in worst.exact_fans or ())
    return (
        f"{worst.path}{more}: Keras counts fan_in {worst.fan_in} and fan_out {worst.fan_out}; true "
        f"are {true}. So {worst.law} is {factor:.3g} times too "
        f"{'small' if factors[worst] > 1 else 'large'}. Try init.fans=exact."
    )


class _Patient:
    """A configuration that is not healthy."""

    def __init__(
        self, verdict: Verdict, records: Sequence[PropagationRecord], settings: Mapping[str, Any]
    ) -> None:
        self.verdict, self.records = verdict, records
        self.init, self.model = settings.get("init", {}), settings.get("model", {})
        bias = self.init.get("bias", 0)
        self.unbiased = "" if bias in (0, "keep") else " init.bias=0"

    def told(self) -> str:
        """Returns the advice."""
        if self.verdict.name == "symmetric":
            law = self._by_fan(math.inf) or _RANDOM
            return f"Try {law}: units become different only if their kernels are random."
        if self._number("normalizations") > 0:
            return self._normalized()
        given, best = self._number("strain"), self._number("weight_variance_strain")
        if math.isnan(best):
            return self._unknown()
        near = max(COMFORT, _SAME * min(best, self._number("gain_strain", math.inf)))
        if given > near or math.isnan(given):
            return self._rescaled()
        if self.unbiased:
            return f"Try{self.unbiased}: no other scale of the kernels would help."
        return f"No other scale of the kernels would help. Try {self._left('wider')}."

    def _rescaled(self) -> str:
        """Returns the scales at which the theory sees no illness, if there are any."""
        laws = [law for law in (self._as_given(), self._by_fan(1.0)) if law]
        variance = self._number("weight_variance")
        if not laws:
            times = self._number("weight_variance_strain")
            return (
                f"By mean-field theory, no scale of the kernels of {self._layers()} is within the "
                f"limits: the best, fan_in × variance = {variance:.3g}, is {times:.2g} times "
                f"beyond them. Try {self._left()}."
            )
        given = self._given_variance()
        here = "" if math.isnan(given) else f"; here it is {given:.3g}"
        return (
            f"Try {', or '.join(laws)}: by mean-field theory, {self._layers()} keep signal and "
            f"gradient best with fan_in × variance = {variance:.3g}{here}."
        )

    def _normalized(self) -> str:
        """Returns what helps where only the output layer's scale counts.

        What normalized layers add to skip connections has the variance 1 each, so the outputs' is
        that of the kernel times about as many as there are.
        """
        skips, output = self._number("skips"), self._output_variance()
        cancels = "normalization cancels the scale of the kernels before it"
        if output > 0 and abs(math.log(output * (1 + skips))) > math.log(_FAR):
            return (
                f"Try {_law(1 / (1 + skips))}: {cancels}, but not that of the output layer, where "
                f"fan_in × variance = {output:.3g}."
            )
        if self._switches("residual"):
            law = _law(1 / len(self.records[0].judged))
            return (
                f"Try model.residual=true {law}: {cancels}, but the gradient grows with depth "
                "unless there are skip connections. These add up, so the output layer needs small "
                "kernels."
            )
        return f"{cancels[0].upper()}{cancels[1:]}. Try {self._left()}."

    def _unknown(self) -> str:
        """Returns what can be said of a net that mean-field theory does not cover."""
        directions = {"vanishing": "larger", "exploding": "smaller", "saturated": "smaller"}
        kernels = f"{directions.get(self.verdict.name, 'other')} kernels"
        if self.unbiased:
            kernels = f"{self.unbiased.strip()}, or {kernels}"
        why = (
            " (an activation depends on several numbers)"
            if self._number("unknown_activations") > 0
            else ""
        )
        return f"The best scale of the kernels is not known for this network{why}. Try {kernels}."

    def _left(self, more: str = "") -> str:
        """Returns what can be changed where no scale would help."""
        network = f"a shallower{f' or {more}' if more else ''} network"
        switches = self._switches("batch_norm", "residual")
        if switches:
            return f"{network}, or {' or '.join(switches)}"
        if {"batch_norm", "residual"} & set(self.model):
            return network
        return f"{network}, normalization or skip connections"

    def _switches(self, *names: str) -> list[str]:
        """Returns the overrides that turn on what the model has, but has not on."""
        return [f"model.{name}=true" for name in names if self.model.get(name) is False]

    def _by_fan(self, most: float) -> str:
        """Returns the law of the least strain, if that is at most so much."""
        variance = self._number("weight_variance")
        if math.isnan(variance) or self._number("weight_variance_strain") > most:
            return ""
        return f"{_law(variance)}{self.unbiased}"

    def _as_given(self) -> str:
        """Returns the override that keeps the law and multiplies its standard deviation."""
        factor, init = self._number("gain"), self.init
        if math.isnan(factor) or self._number("gain_strain") > 1:
            return ""
        if "gain" in init:
            return f"init.gain={float(init['gain']) * factor:.3g}{self.unbiased}"
        if init.get("name") == "variance_scaling":
            return f"init.scale={float(init['scale']) * factor**2:.3g}{self.unbiased}"
        if "scale" in init:
            return f"init.scale={float(init['scale']) * factor:.3g}{self.unbiased}"
        return ""

    def _number(self, name: str, missing: float = math.nan) -> float:
        """Returns a number of the advice; replicates that were examined together have the same."""
        found = (record.number(f"advice_{name}") for record in self.records)
        return next((value for value in found if not math.isnan(value)), missing)

    def _layers(self) -> str:
        """Returns the hidden layers that the scale is for, with their activation."""
        record = self.records[0]
        inner = record.judged[:-1] or record.judged
        names = [record.layers[row] for row in inner]
        acts = Counter(record.activations[row] or "linear" for row in inner)
        act = " and ".join(name for name, _ in acts.most_common(2))
        return f"{names[0]}{f' to {names[-1]}' if len(names) > 1 else ''} ({act})"

    def _given_variance(self) -> float:
        """Returns the geometric mean of the hidden layers' fan_in times variance."""
        return self._variance(self.records[0].judged[:-1])

    def _output_variance(self) -> float:
        return self._variance(self.records[0].judged[-1:])

    def _variance(self, rows: Sequence[int]) -> float:
        values = np.array([record.values("weight_variance")[list(rows)] for record in self.records])
        known = values[np.isfinite(values)]
        if not known.size:
            return math.nan
        with np.errstate(divide="ignore"):
            return float(np.exp(np.mean(np.log(known))))


def _law(variance: float) -> str:
    """Returns the override for kernels of this variance times fan_in."""
    return f"init={NAMED.get(variance, f'variance_scaling init.scale={variance:.3g}')}"
