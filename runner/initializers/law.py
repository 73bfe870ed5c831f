"""The two protocols of initializers, and the settings that all of them share.

A `KernelLaw` sees one kernel and a seed. A `ModelLaw` sees the model and a batch of data, and gives
the weights of all seeds at once. `runner.initializers.draw` lifts the first into the second: it
draws every kernel from its law, and hands what came of it to the `ModelLaw`, if there is one.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, cast

import numpy as np

from runner.anatomy.kernels import UndefinedError, Weight
from runner.anatomy.roles import Structure
from runner.config import NUMBER, POSITIVE, Rule, one_of, optional, setting
from runner.initializers.rules import RULES, Rules
from runner.labels import ARGUMENTS, FIXED, MARK

KEEP = "keep"

CATALOGUE: dict[str, type["Law"]] = {}
"""The options of the group `init`; the package fills it."""

SCALED = ("normal", "uniform", "truncated_normal")
"""Laws that biases can be drawn from: their only setting is a scale."""


def _option(value: Any) -> str:
    if not issubclass(CATALOGUE.get(value, Law), KernelLaw) or value == "custom":
        raise ValueError  # custom has no default target
    return value


KERNEL_LAW = Rule(
    "the name of an initializer that draws kernel by kernel, other than custom, such as "
    "glorot_uniform",
    _option,
)


def _bias(value: Any) -> float | str:
    return str(value) if value == KEEP or value in SCALED else NUMBER.accept(value)


BIAS = Rule(f"a finite number, {KEEP}, {', '.join(SCALED[:-1])} or {SCALED[-1]}", _bias)


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(
        isinstance(one, str) and one for one in value
    ):
        raise ValueError
    return tuple(value)


_PATTERNS = Rule(
    "a list of patterns of weights' paths, such as ['dense_1/kernel', '*/w']", _patterns
)


def node_of(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of an option of the group `init`, given what its label tells.

    A name that is no option but may be that of a class or function is the target of `custom`, whose
    arguments stand beside the settings that all laws share.
    """
    own = {key: value for key, value in settings.items() if (key, value) != (MARK, FIXED)}
    if name in CATALOGUE or not ("." in name or ":" in name or name[:1].isupper()):
        return {"name": name, **own}
    shared = {key: own.pop(key) for key in SHARED if key in own}
    arguments = {key.removeprefix(f"{ARGUMENTS}."): value for key, value in own.items()}
    return {"name": "custom", "target": name, ARGUMENTS: arguments, **shared}


class Initializer(Protocol):
    """The whole contract of a Keras initializer."""

    def __call__(self, shape: tuple[int, ...], *, dtype: str) -> Any:
        """Returns a tensor of this shape and dtype."""


def holding(values: np.ndarray) -> Initializer:
    """Returns the initializer that gives these values, of a kernel's shape, in whatever dtype."""
    return lambda shape, *, dtype: values


@dataclass(frozen=True)
class Law:
    """What all laws share.

    Attributes:
      bias: Value of all biases, `"keep"` for the layers' own bias initializers, or one of `SCALED`.
      bias_scale: Scale of that.
      fallback: Name of the option (with its defaults) for kernels that this law is not defined
        for; None makes such a kernel an error.
      fans: Whether fans are counted as Keras does, or exactly; see `runner.anatomy.kernels`.
      rules: Other laws for some weights; see `runner.initializers.rules`.
      kernels: Patterns of the paths of weights that are kernels besides those that are found.
      not_kernels: Patterns of the paths of weights that are none.
    """

    needs_roles: ClassVar[bool] = False
    """Whether kernels must know their roles."""

    bias: float | str = setting(BIAS, 0.0)
    bias_scale: float = setting(POSITIVE, 0.05)
    fallback: str | None = setting(optional(KERNEL_LAW), None)
    fans: str = setting(one_of("keras", "exact"), "keras")
    rules: Rules = setting(RULES, Rules())
    kernels: tuple[str, ...] = setting(_PATTERNS, ())
    not_kernels: tuple[str, ...] = setting(_PATTERNS, ())


SHARED = tuple(Law.__dataclass_fields__)
"""The settings that say nothing of the law itself."""


@dataclass(frozen=True)
class KernelLaw(Law):
    """A law of one kernel, whatever the others are."""

    def check(self, kernels: Sequence[Weight]) -> None:
        """Looks at all kernels that the law is to draw.

        Raises:
          UndefinedError: There is none that it is about; the message tells which it is about.
        """

    @abstractmethod
    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        """Returns the initializer of one kernel.

        Args:
          kernel: What is to be drawn.
          seed: Seed of this kernel, in [0, 2**32).

        Raises:
          UndefinedError: The law is not defined for this kernel. The initializer may raise it too.
        """

    def stddev(self, kernel: Weight) -> float | None:
        """Returns the standard deviation of a kernel's entries; None if only drawing them tells."""
        return None


@dataclass(frozen=True, kw_only=True)
class Scaled(KernelLaw):
    """A law times a factor: no option, but what laws of whole models are made of."""

    law: KernelLaw
    factor: float

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        drawn = self.law.initializer(kernel, seed)
        return lambda shape, *, dtype: self.factor * drawn(shape, dtype=dtype)

    def stddev(self, kernel: Weight) -> float | None:
        stddev = self.law.stddev(kernel)
        return None if stddev is None else self.factor * stddev


@dataclass(frozen=True)
class Probe:
    """The batch of training data that step 0 is measured on.

    Attributes:
      x: Examples, shape (examples, ...); of several inputs, by their names.
      y: Their targets.
      loss: (targets, outputs) -> mean loss.
    """

    x: Any
    y: np.ndarray
    loss: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Body:
    """What a `ModelLaw` is given.

    Attributes:
      model: A built `keras.Model`; its values are not to be changed.
      places: All its weights, in their order.
      kernels: Those of them that the law is to draw: no rule says otherwise.
      ruled: Positions of the weights that a rule is about.
      structure: Branches and attention, if the law `needs_roles`.
      probe: If the law `needs_data`.
    """

    model: Any
    places: Sequence[Weight]
    kernels: Sequence[Weight]
    ruled: Collection[int] = ()
    structure: Structure | None = None
    probe: Probe | None = None
    _programs: list[Any] = field(default_factory=list, repr=False, compare=False)

    def program(self, build: Callable[[], Any]) -> Any:
        """Returns what `build` returned when this was called first: it is compiled once."""
        if not self._programs:
            self._programs.append(build())
        return self._programs[0]

    @property
    def known_structure(self) -> Structure:
        """The structure, for a law that cannot do without."""
        if self.structure is None:
            raise UndefinedError("the model's structure is not known")
        return self.structure


@dataclass(frozen=True)
class ModelLaw(Law):
    """A law of all weights of a model together.

    Attributes:
      base: Name of the option (with its defaults) that draws the kernels first.
    """

    needs_data: ClassVar[bool] = False
    """Whether it looks at the probe."""

    is_random: ClassVar[bool] = False
    """Whether it draws numbers itself, whatever `base` does."""

    is_tried: ClassVar[bool] = False
    """Whether only a draw tells if it is defined for the data: it is tried before training."""

    base: str = setting(KERNEL_LAW, "he_normal")

    def scaled_base(self, factor: float) -> KernelLaw:
        """Returns `base` times a factor."""
        return Scaled(law=cast(KernelLaw, CATALOGUE[self.base]()), factor=factor)

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        """Returns what draws weights otherwise than `base`, by their positions.

        Weights that are no kernels, such as embeddings, may be among them.

        Raises:
          UndefinedError: The law is not defined for this model; the message tells for which it is.
        """
        return {}

    def adjusted(
        self, body: Body, seeds: Sequence[int], stacked: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray]:
        """Returns the weights of all seeds, given what was drawn kernel by kernel.

        Same seed, same values, whatever the other seeds are.

        Args:
          body: The model.
          seeds: Weight seeds, for what is random here: `runner.seeds.generator(seed, "weights",
            position, 1)` is a stream that no kernel draws from.
          stacked: Of each weight, shape (seeds, *shape); may be overwritten.
        """
        return stacked


def rescale(kernels: np.ndarray, factors: np.ndarray) -> None:
    """Multiplies a kernel of each seed, shape (seeds, *shape), in place by its factor, (seeds,)."""
    kernels *= factors.astype(kernels.dtype).reshape(-1, *[1] * (kernels.ndim - 1))
