"""Draws all weights of a model for a seed.

Every weight has its own stream: its seed is that of the replicate's stream `weights` at the
weight's position in `model.weights`. So a draw depends on the seed, the position, the law and the
shape, and on nothing else: not on what was built or drawn before in the process, not on names, not
on the other seeds. What is drawn:

- kernels, from the law of the configuration or, where that is not defined, from its fallback;
- biases of layers with a kernel: the value of the setting `bias`, unless that is `keep`;
- everything else (embeddings, slopes, normalization) from the layer's own initializer if that is a
  random one; otherwise it keeps the values that the model was built with.

TensorFlow folds a seed modulo 2**31 - 2: two weights share one with a probability of 5e-10.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from runner import config, seeds
from runner.config import ConfigError, changed_settings
from runner.imports import told
from runner.initializers import CATALOGUE, own
from runner.initializers.custom import Custom
from runner.initializers.kernels import Weight, fans, weights
from runner.initializers.laws import KEEP, Initializer, UndefinedError
from runner.plan import Choice
from runner.records import KernelRecord

# Any seed shows whether a law works; what is drawn with it is thrown away.
_TRIAL_SEED = 0

_Draw = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Drawer:
    """Draws the initial weights of one configuration's model.

    Attributes:
      label: Name of the law and what differs from its defaults; `fallback` only where it was used.
      kernels: One record per kernel, in the order of the model's weights.
      unknown: Paths of trainable weights, of user-written layers, that nothing tells how to draw
        and that do not hold one value throughout: they are as the model was built, for every seed.
      draws: For each of the model's weights what draws it, given the seed of its stream.
    """

    label: str
    kernels: list[KernelRecord]
    unknown: list[str]
    draws: Sequence[_Draw]

    def draw(self, weight_seed: int) -> list[np.ndarray]:
        """Draws the weights that belong to a seed.

        Args:
          weight_seed: Non-negative integer.

        Returns:
          New values for all of `model.weights`, in that order, in their shapes and dtypes. The
          model itself is not touched.

        Raises:
          ConfigError: A user's initializer fails for this seed.
        """
        return [
            draw(seeds.integer(weight_seed, "weights", position))
            for position, draw in enumerate(self.draws)
        ]


def prepare(model: keras.Model, init: Choice) -> Drawer:
    """Checks that a law can draw every kernel of a model and returns what draws its weights.

    Args:
      model: With its weights created; what has no law keeps the values that it holds now.
      init: An option of the group `init` with its settings.

    Raises:
      ConfigError: The law is not defined for a kernel and there is no fallback that is, or it does
        not give finite values.
    """
    places = weights(model)
    kernels = [place for place in places if place.is_kernel]
    laws = {kernel.position: _law(init, kernel) for kernel in kernels}
    with_kernel = {id(kernel.layer) for kernel in kernels}
    unknown: list[str] = []

    def draw_of(place: Weight) -> _Draw:
        if place.is_kernel:
            return lambda seed: _kernel_values(laws[place.position], place, seed)
        if place.name == "bias" and id(place.layer) in with_kernel and init.settings.bias != KEEP:
            return _constant(_bias_values(place, init.settings.bias))
        if (seeded := own.seeded_initializer(place)) is not None:
            return lambda seed: _own_values(place, seeded(seed))
        if own.is_unknown(place):
            unknown.append(place.path)
        return _constant(np.array(place.variable.numpy()))

    draws = [draw_of(place) for place in places]
    return Drawer(
        label=_label(init, used_fallback=any(law is not init for law in laws.values())),
        kernels=[_record(kernel, laws[kernel.position]) for kernel in kernels],
        unknown=unknown,
        draws=draws,
    )


def _record(kernel: Weight, law: Choice) -> KernelRecord:
    fan_in, fan_out = fans(kernel)
    stddev = law.settings.stddev(kernel)
    return KernelRecord(kernel.path, kernel.shape, _law_label(law), fan_in, fan_out, stddev)


def _label(init: Choice, *, used_fallback: bool) -> str:
    hidden = set() if used_fallback else {"fallback"}
    return _label_without(init, hidden)


def _law_label(init: Choice) -> str:
    """Returns the label of the law itself, without what is not about kernels."""
    return _label_without(init, {"bias", "fallback"})


def _label_without(init: Choice, hidden: set[str]) -> str:
    changed = changed_settings(init.settings)
    return config.label(init.name, {k: v for k, v in changed.items() if k not in hidden})


def _law(init: Choice, kernel: Weight) -> Choice:
    """Returns the law that draws a kernel: `init` or its fallback."""
    try:
        _try(init, kernel)
        return init
    except UndefinedError as error:
        if init.settings.fallback is None:
            raise ConfigError(
                f"`init` must be defined for every kernel. Received: {init.name}, and the kernel "
                f"`{kernel.path}` of shape {kernel.shape}: {error}. Name another initializer for "
                "such kernels, for example init.fallback=glorot_uniform."
            ) from None
    fallback = Choice(init.settings.fallback, CATALOGUE[init.settings.fallback]())
    try:
        _try(fallback, kernel)
        return fallback
    except UndefinedError as error:
        raise ConfigError(
            f"`init.fallback` must be defined for the kernels that {init.name} is not defined for. "
            f"Received: {fallback.name}, and the kernel `{kernel.path}` of shape {kernel.shape}: "
            f"{error}. Name another, for example init.fallback=glorot_uniform."
        ) from None


def _try(law: Choice, kernel: Weight) -> None:
    """Draws a kernel once, and user code twice: its values may depend on the seed only."""
    values = _raw_kernel_values(law, kernel, _TRIAL_SEED)
    if not isinstance(law.settings, Custom):
        return
    if not np.array_equal(values, _raw_kernel_values(law, kernel, _TRIAL_SEED)):
        raise ConfigError(
            f"`init.target` must give the same values for the same seed. Received: "
            f"{law.settings.target}, which gave others when it was called again. "
            "Give it a parameter `seed` and draw from that."
        )


def _kernel_values(law: Choice, kernel: Weight, seed: int) -> np.ndarray:
    try:
        return _raw_kernel_values(law, kernel, seed)
    except UndefinedError as error:
        raise ConfigError(
            f"`init` must be defined for every kernel and seed. Received: {law.name}, and the "
            f"kernel `{kernel.path}` of shape {kernel.shape} with the seed {seed}: {error}"
        ) from error


def _raw_kernel_values(law: Choice, kernel: Weight, seed: int) -> np.ndarray:
    """Draws one kernel; raises `UndefinedError` where the law says so."""
    try:
        values = _realized(law.settings.initializer(kernel, seed), kernel)
    except (ConfigError, UndefinedError):
        raise
    except Exception as error:
        raise ConfigError(
            f"`init` must be able to draw every kernel. Received: {_law_label(law)}, which raised "
            f"for the kernel `{kernel.path}` of shape {kernel.shape} and dtype {kernel.dtype}: "
            f"{told(error)}"
        ) from error
    if not np.isfinite(values).all():
        raise ConfigError(
            f"`init` must give finite values. Received: {_law_label(law)}, which gave others for "
            f"the kernel `{kernel.path}` of shape {kernel.shape} and dtype {kernel.dtype}."
        )
    return values


def _own_values(place: Weight, initializer: Initializer) -> np.ndarray:
    """Draws a weight from its layer's own law."""
    values = _realized(initializer, place)
    if place.name == "bias" and getattr(place.layer, "unit_forget_bias", False):
        # Gates stand in the order input, forget, cell, output; the forget gate starts open.
        quarter = len(values) // 4
        values[quarter : 2 * quarter] = 1
    return values


def _realized(initializer: Initializer, place: Weight) -> np.ndarray:
    """Returns what an initializer gives for a weight, as an array of the weight's dtype."""
    with keras.device("cpu"):  # on a GPU the last bits of normal numbers differ
        value = initializer(place.shape, dtype=place.dtype.name)
    with np.errstate(over="ignore"):  # infinite values are reported in one line, not as warnings
        return np.array(keras.ops.convert_to_numpy(value), dtype=place.dtype)


def _bias_values(place: Weight, bias: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        values = np.full(place.shape, bias, dtype=place.dtype)
    if not np.isfinite(values).all():
        raise ConfigError.at("init.bias", f"finite in the dtype {place.dtype}", bias)
    return values


def _constant(values: np.ndarray) -> _Draw:
    """Returns what gives a fresh copy of `values` for every seed."""
    return lambda seed: values.copy()
