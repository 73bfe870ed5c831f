"""What would bring a net to criticality, as an override that can be pasted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runner.propagation import meanfield
from runner.propagation.activations import ACTIVATIONS
from runner.propagation.judgement import Verdict
from runner.records import PropagationRecord

# Initializers with these weight variances, for the activations that most people use.
_NAMED = {2.0: "he_normal", 1.0: "lecun_normal"}
# A net that is so close to criticality is not ill for want of it.
_CLOSE = 1.05


def advice(
    verdict: Verdict, records: Sequence[PropagationRecord], settings: Mapping[str, Any]
) -> str:
    """Returns a sentence with an override for `python -m runner`; empty for the healthy.

    Args:
      verdict: On the configuration.
      records: Of its replicates.
      settings: The resolved configuration.
    """
    if verdict.name == "healthy":
        return ""
    activation = _activation(records[0])
    target = target_weight_variance(activation)
    given = _weight_variance(records)
    bias = settings.get("init", {}).get("bias", 0)
    biased = " init.bias=0" if bias not in (0, "keep") else ""
    named = _named(target) + biased
    factor = float(np.sqrt(target / given)) if given > 0 else np.inf
    is_close = 1 / _CLOSE < factor < _CLOSE
    if verdict.name == "symmetric" or not np.isfinite(factor):
        return f"Try {named}: kernels must be random for units to become different."
    if is_close and biased:
        return f"Try{biased}: the kernels are critical as they are."
    if is_close:
        switches = [key for key in ("batch_norm", "residual") if key in settings.get("model", {})]
        told = " or ".join(f"model.{key}=true" for key in switches)
        return (
            "The kernels are critical as they are: what is left is a net that is less deep or "
            + (f"wider, or {told}." if told else "wider, normalization or skip connections.")
        )
    scaled = _scaled(settings.get("init", {}), factor)
    either = f"{scaled}{biased}, or {named}" if scaled else named
    return (
        f"Try {either}: {activation} layers keep signal and gradient where fan_in times the "
        f"kernel's variance is {target:.3g}; here it is {given:.3g}."
    )


def target_weight_variance(activation: str) -> float:
    """Returns fan_in times the kernel's variance that is critical without biases.

    Where there is no stable critical point (GELU, sigmoid) it is 1 / E[f'(z)^2], z ~ N(0, 1), which
    keeps the gradient of the first layers; for an activation that the theory does not know, 1.
    """
    known = ACTIVATIONS.get(activation)
    if known is None:
        return 1.0
    try:
        critical = meanfield.critical_weight_variance(known)
        if meanfield.length_fixed_point(known, critical) < 10:
            return round(critical, 4)
    except ValueError:
        pass
    return 1 / float(known.squared_slope(1.0))


def _activation(record: PropagationRecord) -> str:
    """Returns the name of the activation that most layers have; without any, `"linear"`."""
    names = Counter(name for name in record.activations[:-1] if name)
    return names.most_common(1)[0][0] if names else "linear"


def _weight_variance(records: Sequence[PropagationRecord]) -> float:
    """Returns the geometric mean of the hidden layers' weight variances."""
    rows = records[0].judged[:-1] or records[0].judged
    values = np.concatenate([record.values("weight_variance")[rows] for record in records])
    known = values[np.isfinite(values)]
    if not len(known) or (known <= 0).any():
        return 0.0
    return float(np.exp(np.mean(np.log(known))))


def _named(target: float) -> str:
    for variance, name in _NAMED.items():
        if abs(target - variance) < 0.01:
            return f"init={name}"
    return f"init=variance_scaling init.scale={target:.3g}"


def _scaled(init: Mapping[str, Any], factor: float) -> str:
    """Returns the override that keeps the law and multiplies its standard deviation."""
    if "gain" in init:
        return f"init.gain={float(init['gain']) * factor:.3g}"
    if init.get("name") == "variance_scaling":
        return f"init.scale={float(init['scale']) * factor**2:.3g}"
    return f"init.scale={float(init['scale']) * factor:.3g}" if "scale" in init else ""
