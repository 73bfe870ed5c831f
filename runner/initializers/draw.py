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

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from runner import seeds
from runner.anatomy.kernels import (
    UndefinedError,
    Weight,
    chosen,
    fans,
    listed,
    weights,
    with_products,
)
from runner.config import ConfigError
from runner.imports import told
from runner.initializers import CATALOGUE, own
from runner.initializers.custom import Custom
from runner.initializers.laws import KEEP, Initializer
from runner.plan import Choice
from runner.records import KernelRecord

# Any seed shows whether a law works; what is drawn with it is thrown away.
_TRIAL_SEED = 0
_ONE_SEED, _ANOTHER_SEED = 0, 1
_FIXED = "fixed"

_Draw = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Drawer:
    """Draws the initial weights of one configuration's model.

    Attributes:
      label: Name of the law and what differs from its defaults; `fallback` only where it was used.
      kernels: One record per kernel, in the order of the model's weights.
      drawn: The kernels themselves.
      unknown: Paths of trainable weights, of user-written layers, that nothing tells how to draw
        and that do not hold one value throughout: they are as the model was built, for every seed.
      is_fixed: Whether two seeds give the same kernels.
      left_out: Trainable weights that are neither kernels nor biases of a layer with a kernel.
      share: Of the trainable parameters, without these.
      draws: For each of the model's weights what draws it, given the seed of its stream.
    """

    label: str
    kernels: list[KernelRecord]
    drawn: Sequence[Weight]
    unknown: list[str]
    is_fixed: bool
    left_out: Sequence[Weight]
    share: float
    draws: Sequence[_Draw]

    @cached_property
    def others_vary(self) -> bool:
        """Whether two seeds give different values to weights that are no kernels."""
        drawn = {kernel.position for kernel in self.drawn}
        return _any_varies([d for place, d in enumerate(self.draws) if place not in drawn])

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


def places_of(model: keras.Model, input_shape: tuple[int, ...]) -> list[Weight]:
    """Returns the weights of a model, the kernels of users' own layers among them found.

    Args:
      model: With its weights created.
      input_shape: Shape of one example.
    """
    inputs = getattr(model, "inputs", None)
    dtype = inputs[0].dtype if inputs else keras.config.floatx()
    return with_products(model, weights(model), keras.KerasTensor((None, *input_shape), dtype))


def prepare(model: keras.Model, init: Choice, places: Sequence[Weight] | None = None) -> Drawer:
    """Checks that a law can draw every kernel of a model and returns what draws its weights.

    Args:
      model: With its weights created; what has no law keeps the values that it holds now.
      init: An option of the group `init` with its settings.
      places: The model's weights, from `places_of`; without them, kernels go by their names.

    Raises:
      ConfigError: There is no kernel, or the law is not defined for one and there is no fallback
        that is, or it does not give finite values.
    """
    found = weights(model) if places is None else places
    places = chosen(found, init.settings.kernels, init.settings.not_kernels)
    kernels = [place for place in places if place.is_kernel]
    if not kernels:
        raise ConfigError(
            f"`init` must have a kernel to draw. Received: {init.name}, and a model without any: "
            "no weight has Keras's name for one, and no layer uses a matrix of its own in a "
            "product. Name the weights to draw, such as init.kernels=['*/w']; the model has "
            f"{listed(places)}."
        )
    laws = {kernel.position: _law(init, kernel) for kernel in kernels}
    with_kernel = {id(kernel.layer) for kernel in kernels}
    biases = {p.position for p in places if p.name == "bias" and id(p.layer) in with_kernel}
    covered = biases | set(laws)
    unknown: list[str] = []

    def draw_of(place: Weight) -> _Draw:
        if place.is_kernel:
            return lambda seed: _kernel_values(laws[place.position], place, seed)
        if place.position in biases and init.settings.bias != KEEP:
            return _constant(_bias_values(place, init.settings.bias))
        if (seeded := own.seeded_initializer(place)) is not None:
            return lambda seed: _own_values(place, seeded(seed))
        if own.is_unknown(place):
            unknown.append(place.path)
        return _constant(np.array(place.variable.numpy()))

    draws = [draw_of(place) for place in places]
    trainable = [place for place in places if place.variable.trainable]
    used_fallback = any(law is not init for law in laws.values())
    small_first = sorted(kernels, key=lambda kernel: math.prod(kernel.shape))
    is_fixed = not _any_varies([draws[kernel.position] for kernel in small_first])
    return Drawer(
        label=_label(init, used_fallback=used_fallback, is_fixed=is_fixed),
        kernels=[_record(kernel, laws[kernel.position]) for kernel in kernels],
        drawn=kernels,
        unknown=unknown,
        is_fixed=is_fixed,
        left_out=[place for place in trainable if place.position not in covered],
        share=_num_values(p for p in trainable if p.position in covered)
        / max(_num_values(trainable), 1),
        draws=draws,
    )


def _num_values(places: Iterable[Weight]) -> int:
    return sum(math.prod(place.shape) for place in places)


def _any_varies(draws: Sequence[_Draw]) -> bool:
    """Tells whether any weight differs between two seeds."""
    try:
        return any(not np.array_equal(draw(_ONE_SEED), draw(_ANOTHER_SEED)) for draw in draws)
    except ConfigError:  # not defined for every seed: so it depends on it
        return True


def _record(kernel: Weight, law: Choice) -> KernelRecord:
    fan_in, fan_out = fans(kernel)
    stddev = law.settings.stddev(kernel)
    law_label, origin = _law_label(law), kernel.origin
    return KernelRecord(kernel.path, kernel.shape, law_label, fan_in, fan_out, stddev, origin)


def _label(init: Choice, *, used_fallback: bool, is_fixed: bool) -> str:
    """Returns the label; of the user's initializers, whose name does not tell, if it is fixed."""
    hidden = () if used_fallback else ("fallback",)
    is_silent = is_fixed and isinstance(init.settings, Custom)
    return init.label_with(hidden, **({"weights": _FIXED} if is_silent else {}))


def _law_label(init: Choice) -> str:
    """Returns the label of the law itself, without what is not about kernels."""
    return init.label_with(("bias", "fallback", "kernels", "not_kernels"))


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
