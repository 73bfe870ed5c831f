"""What a model draws for itself: weights that no law of the configuration draws.

A weight whose layer has a random initializer of Keras's for it is drawn by that, from a seed of its
own. Others are as the model was built, if they hold one value throughout. For the rest, such as
what a user's layer gives to `add_weight`, the model is built once more with another seed: what
comes out the same is not random.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from runner import seeds
from runner.anatomy.kernels import Weight
from runner.config import setting
from runner.initializers.law import BIAS, KEEP, Initializer, Law

# Values that were drawn on a GPU differ in the last bits.
_SAME = 1e-3

Draw = Callable[[int], np.ndarray]
"""A weight's values for a weight seed."""


@dataclass(frozen=True)
class Keep(Law):
    """The model's own initializers, kernels and biases included, drawn for each seed."""

    bias: float | str = setting(BIAS, KEEP)


@dataclass
class Builds:
    """A model's weights as it is built with one seed or another.

    Attributes:
      build: Returns the weights that the model is built with, given a seed in [0, 2**32).
    """

    build: Callable[[int], Sequence[np.ndarray]]
    _last: dict[int, Sequence[np.ndarray]] = field(default_factory=dict)

    def values(self, weight_seed: int, position: int) -> np.ndarray:
        """Returns a weight as the model is built with a weight seed."""
        if weight_seed not in self._last:
            self._last = {weight_seed: self.build(seeds.integer(weight_seed, "weights"))}
        return self._last[weight_seed][position].copy()

    @cached_property
    def varying(self) -> frozenset[int]:
        """Positions of the weights that another seed changes."""
        one, other = self.build(0), self.build(1)
        return frozenset(
            position
            for position, pair in enumerate(zip(one, other, strict=True))
            if not np.array_equal(*pair)
        )


def draws(weight: Weight, builds: Builds | None, realized: Any) -> tuple[Draw, bool]:
    """Returns what draws a weight as its layer does, and whether that is known.

    Args:
      weight: Of a model that nothing has trained or drawn yet.
      builds: The model's; None where it cannot be built again.
      realized: (initializer, weight) -> values.

    Returns:
      The second is False of values that are not all equal, and that nothing tells how to draw.
    """
    as_built = np.array(weight.variable.numpy())
    seeded = seeded_initializer(weight)
    if seeded is not None and (builds is None or _explains(weight, as_built, realized)):
        return lambda seed: _own_values(
            weight, realized(seeded(seeds.integer(seed, "weights", weight.position)), weight)
        ), True
    is_plain = as_built.size == 0 or bool((as_built == as_built.flat[0]).all())
    if not is_plain and builds is not None and weight.position in builds.varying:
        return lambda seed: builds.values(seed, weight.position), True
    if builds is None and isinstance(_initializer(weight), _keras_initializer()):
        return lambda seed: _own_values(weight, realized(_initializer(weight), weight)), True
    return lambda seed: as_built.copy(), is_plain or not weight.variable.trainable


def _explains(weight: Weight, as_built: np.ndarray, realized: Any) -> bool:
    """Tells whether a weight holds what its layer's initializer gives; else it was set since."""
    initializer = _initializer(weight)
    if getattr(weight.layer, _attribute(weight), None) is None:
        return True  # Keras wrote the initializer into the layer's `build`
    try:
        expected = _own_values(weight, realized(initializer, weight))
    except Exception:  # whatever a user's subclass raises
        return False
    scale = float(np.abs(expected).max(initial=0))
    return bool(np.allclose(as_built, expected, rtol=_SAME, atol=_SAME * scale))


def _own_values(weight: Weight, values: np.ndarray) -> np.ndarray:
    if weight.name == "bias" and getattr(weight.layer, "unit_forget_bias", False):
        # Gates stand in the order input, forget, cell, output; the forget gate starts open.
        quarter = len(values) // 4
        values[quarter : 2 * quarter] = 1
    return values


def _keras_initializer() -> type:
    import keras

    return keras.Initializer


def seeded_initializer(weight: Weight) -> Callable[[int], Initializer] | None:
    """Returns what makes the layer's own initializer for this weight from a seed.

    Returns:
      None where there is no such initializer, or it is not a random one with a seed of its own.
    """
    import keras

    own = _initializer(weight)
    if not isinstance(own, keras.Initializer) or "seed" not in own.get_config():
        return None
    return lambda seed: type(own).from_config({**own.get_config(), "seed": seed})


def replaced_initializers(kernels: Sequence[Weight]) -> list[str]:
    """Returns which kernels' layers were given another initializer than their class's default."""
    found = []
    for kernel in kernels:
        own, usual = _initializer(kernel), _usual_initializer(kernel)
        if own is not None and _described(own) != _described(usual):
            found.append(f"{kernel.path}: {getattr(own, '__name__', type(own).__name__)}")
    return found


def _usual_initializer(weight: Weight) -> Any:
    import keras

    parameters = inspect.signature(type(weight.layer).__init__).parameters
    name = _attribute(weight)
    return keras.initializers.get(parameters[name].default) if name in parameters else None


def _described(initializer: Any) -> Any:
    """Returns what an initializer is, without the seed that Keras may have given it."""
    import keras

    if not isinstance(initializer, keras.Initializer):
        return initializer
    return type(initializer), {k: v for k, v in initializer.get_config().items() if k != "seed"}


def _attribute(weight: Weight) -> str:
    """Returns the attribute of the layer, and the argument of its constructor.

    `recurrent_kernel` has `recurrent_initializer`, but `kernel` has `kernel_initializer`.
    """
    name = weight.name.removeprefix("reverse_")
    return f"{name.removesuffix('_kernel')}_initializer"


def _initializer(weight: Weight) -> Any:
    """Returns the layer's attribute, by Keras's convention for names, or None.

    The first two have no attribute: Keras wrote the initializer into the layer's `build`.
    """
    import keras

    if isinstance(weight.layer, keras.layers.SpectralNormalization) and weight.name == "vector_u":
        return keras.initializers.TruncatedNormal(stddev=0.02)
    if isinstance(weight.layer, keras.layers.AdditiveAttention) and weight.name == "scale":
        return keras.initializers.GlorotUniform()
    return getattr(weight.layer, _attribute(weight), None)
