"""Activations by name, known without importing Keras, and the settings that some of them have.

Every option of the group `model` that has an activation has the settings in `PARAMETERS` too, each
null by default, for what Keras or a paper takes. One that the chosen activation does not have is
refused. Two names stand for layers: `prelu` has a trained slope for each channel, and `maxout`
hands on the largest of some units, so that the kernel before it has as many times the units.

References:
  He, Zhang, Ren, Sun (2015), "Delving deep into rectifiers", section 2.1 (`prelu`, starts at 0.25).
  Goodfellow et al. (2013), "Maxout networks", section 3.
  Sitzmann et al. (2020), "Implicit neural representations with periodic activation functions",
    section 3.2 (`sine`: sin(30 x)).
"""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.config import (
    NON_NEGATIVE,
    NUMBER,
    POSITIVE,
    TEXT,
    ConfigError,
    Rule,
    optional,
    setting,
)

# All of `keras.activations` that map a tensor to one of the same shape without further arguments:
# `glu` halves the width, `threshold` needs two arguments.
ACTIVATIONS = (
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
)

_MAXOUT, _PRELU = "maxout", "prelu"

CHOICES = (*ACTIVATIONS, _MAXOUT, _PRELU, "sine", "threshold")
"""What `model.activation` may be."""


def _pieces(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 2:
        raise ValueError
    return value


@dataclass(frozen=True)
class _Parameter:
    """A setting of activations.

    Attributes:
      rule: What it accepts.
      defaults: By the name of each activation that has it; what it is unless told.
    """

    rule: Rule
    defaults: Mapping[str, float]


PARAMETERS = {
    "negative_slope": _Parameter(NUMBER, {"leaky_relu": 0.2, "relu": 0.0, _PRELU: 0.25}),
    "alpha": _Parameter(POSITIVE, {"celu": 1.0, "elu": 1.0}),
    "threshold": _Parameter(
        NON_NEGATIVE, {"hard_shrink": 0.5, "soft_shrink": 0.5, "threshold": 1.0}
    ),
    "omega": _Parameter(POSITIVE, {"sine": 30.0}),
    "pieces": _Parameter(Rule("an integer of 2 or more", _pieces), {_MAXOUT: 2}),
}
"""The settings of activations, by their names."""


def _names(value: Any) -> str | tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return str(TEXT.accept(value))
    if not value:
        raise ValueError
    return tuple(TEXT.accept(name) for name in value)


NAMES = Rule("the name of an activation or a list of them", _names)


def parameter(name: str) -> Any:
    """Declares the field of a setting in `PARAMETERS`."""
    return setting(optional(PARAMETERS[name].rule), None)


def check_activation(settings: Any) -> None:
    """Checks `activation` of a model's settings, a name or several, and what belongs to it.

    Settings without a field `pieces` are of models that have no maxout.

    Raises:
      ConfigError: A name is not in `CHOICES`, the message lists the closest ones, or all; or a
        setting is given which the activation does not have.
    """
    fields = {field.name for field in dataclasses.fields(settings)}
    named = settings.activation
    names = named if isinstance(named, tuple) else (named,)
    for name in names:
        _check_name(name, [one for one in CHOICES if one != _MAXOUT or "pieces" in fields])
    for key in (key for key in PARAMETERS if key in fields):
        having = PARAMETERS[key].defaults
        if getattr(settings, key) is not None and having.keys().isdisjoint(names):
            rule = f"null where model.activation is {', '.join(dict.fromkeys(names))}"
            advice = f"It is a setting of {', '.join(having)}."
            raise ConfigError.at(f"model.{key}", rule, getattr(settings, key), advice)


def _check_name(name: str, choices: list[str]) -> None:
    if name in choices:
        return
    close = difflib.get_close_matches(name.lower(), choices, n=4, cutoff=0.5)
    advice = f"Close to it: {', '.join(close)}." if close else f"Use {', '.join(choices)}."
    raise ConfigError.at(
        "model.activation", "the name of an activation that keeps the shape", name, advice
    )


def refuse_trained(settings: Any) -> None:
    """Refuses an activation with weights, where no layer can stand.

    Raises:
      ConfigError: `activation` is `prelu`.
    """
    if settings.activation == _PRELU:
        raise ConfigError.at(
            "model.activation",
            "an activation without weights, as it acts inside of a recurrent cell",
            _PRELU,
            "Use leaky_relu, or another model.",
        )


def num_kernel_units(settings: Any, units: int, name: str | None = None) -> int:
    """Returns how many units a kernel needs for so many activations.

    Args:
      settings: Of the model.
      units: Activations; for images and sequences channels.
      name: The activation; `settings.activation` unless told.
    """
    return units * _told(settings, "pieces", _MAXOUT) if _name(settings, name) == _MAXOUT else units


def activated(settings: Any, layer: str, inputs: Any, name: str | None = None) -> Any:
    """Applies an activation as a layer of its own.

    Args:
      settings: Of the model.
      layer: What the layer is to be called.
      inputs: `keras.KerasTensor`, shape (batch, ..., `num_kernel_units`).
      name: The activation; `settings.activation` unless told.

    Returns:
      A tensor, shape (batch, ..., units).
    """
    from keras import initializers, layers

    from runner.models.parametrized import Maxout

    name = _name(settings, name)
    if name == _MAXOUT:
        return Maxout(_told(settings, "pieces", name), name=layer)(inputs)
    if name == _PRELU:
        start = initializers.Constant(_told(settings, "negative_slope", name))
        shared = list(range(1, len(inputs.shape) - 1)) or None
        return layers.PReLU(start, shared_axes=shared, name=layer)(inputs)
    return layers.Activation(activation(settings, name), name=layer)(inputs)


def activation(settings: Any, name: str | None = None) -> Any:
    """Returns what Keras takes for an activation: a name, or a function with its parameters.

    Args:
      settings: Of the model.
      name: The activation, not `maxout` or `prelu`; `settings.activation` unless told.
    """
    from runner.models.parametrized import Parametrized

    name = _name(settings, name)
    own = {key: one.defaults[name] for key, one in PARAMETERS.items() if name in one.defaults}
    given = {key: getattr(settings, key) for key in own if getattr(settings, key) is not None}
    if name in ACTIVATIONS and not given:
        return name
    return Parametrized(name, **own | given)


def is_layer(settings: Any) -> bool:
    """Tells whether the activation needs a layer of its own."""
    return settings.activation in (_MAXOUT, _PRELU)


def _name(settings: Any, name: str | None) -> str:
    return settings.activation if name is None else name


def _told(settings: Any, key: str, name: str) -> Any:
    value = getattr(settings, key)
    return PARAMETERS[key].defaults[name] if value is None else value
