"""Draws all weights of a model for a seed.

Every weight has its own stream: its seed is that of the replicate's stream `weights` at the
weight's position in `model.weights`. So a draw depends on the seed, the position, the law and the
shape, and on nothing else: not on what was built or drawn before in the process, not on names, not
on the other seeds. What is drawn:

- what a rule of `init.rules` fits, from the law that it names;
- other kernels, from the law of the configuration or, where that is not defined, its fallback;
- biases of layers with a kernel: as the setting `bias` says, unless that is `keep`;
- everything else (embeddings, slopes, normalization) as its layer does; see
  `runner.initializers.own`.

A law of whole models then looks at what came of it, for all seeds at once. With exact fans, the
kernels of gates that stand side by side are drawn one by one, each from a stream of its own.

TensorFlow folds a seed modulo 2**31 - 2: two weights share one with a probability of 5e-10.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np

from runner import seeds
from runner.anatomy.kernels import (
    UndefinedError,
    Weight,
    chosen,
    exact_fans,
    fits,
    keras_fans,
    listed,
    weights,
    with_products,
)
from runner.anatomy.roles import Structure, structure
from runner.config import ConfigError, changed_settings, choose
from runner.imports import told
from runner.initializers import laws, own, rules
from runner.initializers.custom import Custom
from runner.initializers.law import (
    CATALOGUE,
    KEEP,
    SCALED,
    SHARED,
    Body,
    Initializer,
    KernelLaw,
    ModelLaw,
    Probe,
    node_of,
)
from runner.initializers.own import Builds, Draw, Keep
from runner.labels import FIXED, MARK
from runner.plan import Choice
from runner.records import KernelRecord

# Any seed shows whether a law works; what is drawn with it is thrown away.
_TRIAL_SEED = 0
_ONE_SEED, _ANOTHER_SEED = 0, 1

# Streams at a weight's position: 1 belongs to laws of whole models.
_FIRST_GATE = 2

# Weights of several seeds are drawn together up to about this size.
_STACKED_BYTES = 2**28


class Subject:
    """A model whose weights are to be drawn, and what laws may ask about it.

    Attributes:
      model: A `keras.Model` with its weights created; what has no law keeps the values that it
        holds now.
    """

    def __init__(
        self,
        model: keras.Model,
        input_shape: tuple[int, ...] | Mapping[str, tuple[int, ...]] | None = None,
        build: Callable[[int], Sequence[np.ndarray]] | None = None,
        probe: Callable[[], Probe] | None = None,
    ) -> None:
        """Looks at nothing yet.

        Args:
          model: As the attribute.
          input_shape: Shape of one example, of several inputs by their names; without it, kernels
            go by their names.
          build: Returns the weights of the model, built anew with a seed.
          probe: Returns the batch for laws that look at data.
        """
        self.model = model
        self._input_shape = input_shape
        self._probe = probe
        self.builds = None if build is None else Builds(build)
        self._structures: dict[tuple[int, ...], Structure] = {}

    @cached_property
    def places(self) -> list[Weight]:
        """The model's weights, the kernels of users' own layers among them found."""
        found = weights(self.model)
        return found if self._example is None else with_products(self.model, found, self._example)

    def structure(self, places: Sequence[Weight]) -> Structure:
        """Returns what the weights are for, given which of them are kernels.

        Raises:
          UndefinedError: The model's graph cannot be read.
        """
        if self._example is None:
            raise UndefinedError("the shape of an example is not known")
        kernels = tuple(place.position for place in places if place.is_kernel)
        if kernels not in self._structures:
            try:
                self._structures[kernels] = structure(self.model, places, self._example)
            except Exception as error:
                raise UndefinedError(f"its graph cannot be read: {told(error)}") from error
        return self._structures[kernels]

    @cached_property
    def probe(self) -> Probe:
        """The batch for laws that look at data.

        Raises:
          UndefinedError: There is none.
        """
        if self._probe is None:
            raise UndefinedError("it needs a batch of data")
        return self._probe()

    @cached_property
    def _example(self) -> Any:
        inputs = getattr(self.model, "inputs", None)
        shape = self._input_shape
        if shape is None:
            if not inputs:
                return None
            return keras.tree.map_structure(
                lambda tensor: keras.KerasTensor((None, *tensor.shape[1:]), tensor.dtype),
                self.model.input if len(inputs) > 1 else inputs[0],
            )
        dtypes = {tensor.name: tensor.dtype for tensor in inputs or ()}
        usual = keras.config.floatx()
        if isinstance(shape, Mapping):
            return {
                name: keras.KerasTensor((None, *lengths), dtypes.get(name, usual), name=name)
                for name, lengths in shape.items()
            }
        return keras.KerasTensor((None, *shape), inputs[0].dtype if inputs else usual)


@dataclass(frozen=True)
class Ruled:
    """A rule and what it draws.

    Attributes:
      rule: As people read it.
      paths: Of the weights that it holds for.
    """

    rule: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Drawer:
    """Draws the initial weights of one configuration's model.

    Attributes:
      label: Name of the law and what differs from its defaults; `fallback` only where it was used.
      kernels: One record per kernel, in the order of the model's weights.
      drawn: The kernels themselves.
      rules: What the rules hold for, in their order.
      unknown: Paths of trainable weights, of user-written layers, that nothing tells how to draw
        and that do not hold one value throughout: they are as the model was built, for every seed.
      is_fixed: Whether two seeds give the same kernels.
      left_out: Trainable weights that are neither kernels nor biases of a layer with a kernel, and
        that no rule is about.
      share: Of the trainable parameters, without these.
      draws: For each of the model's weights what draws it, given the weight seed.
      adjust: What a law of whole models makes of the weights of several seeds; None for others.
    """

    label: str
    kernels: list[KernelRecord]
    drawn: Sequence[Weight]
    rules: Sequence[Ruled]
    unknown: list[str]
    is_fixed: bool
    left_out: Sequence[Weight]
    share: float
    draws: Sequence[Draw]
    adjust: Callable[[Sequence[int], list[np.ndarray]], Sequence[np.ndarray]] | None = None

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
          ConfigError: An initializer fails for this seed.
        """
        return self._draw([weight_seed])[0]

    def together(self, weight_seeds: Sequence[int]) -> Callable[[int], list[np.ndarray]]:
        """Returns what draws the weights of these seeds, as `draw` does, but several at once.

        A law of whole models computes the weights of those that follow along, as far as memory
        goes; each is kept until it was asked for.
        """
        if self.adjust is None:
            return self.draw
        order = list(dict.fromkeys(weight_seeds))
        due = Counter(weight_seeds)  # a seed may stand for several replicates
        ready: dict[int, list[np.ndarray]] = {}

        def draw(weight_seed: int) -> list[np.ndarray]:
            if weight_seed not in ready:
                ready.clear()
                first = order.index(weight_seed)
                group = order[first : first + self._group_size]
                ready.update(zip(group, self._draw(group), strict=True))
            due[weight_seed] -= 1
            if due[weight_seed] > 0:
                return [values.copy() for values in ready[weight_seed]]
            return ready.pop(weight_seed)

        return draw

    @cached_property
    def _group_size(self) -> int:
        num_bytes = sum(draw(_TRIAL_SEED).nbytes for draw in self.draws)
        return max(_STACKED_BYTES // max(num_bytes, 1), 1)

    def _draw(self, weight_seeds: Sequence[int]) -> list[list[np.ndarray]]:
        each = [[draw(seed) for draw in self.draws] for seed in weight_seeds]
        if self.adjust is None:
            return each
        stacked = [np.stack(values) for values in zip(*each, strict=True)]
        del each  # stacked, they are there twice
        adjusted = self.adjust(weight_seeds, stacked)
        return [[values[n].copy() for values in adjusted] for n in range(len(weight_seeds))]


def prepare(subject: Subject, init: Choice) -> Drawer:
    """Checks that a law can draw every kernel of a model and returns what draws its weights.

    Args:
      subject: The model.
      init: An option of the group `init` with its settings.

    Raises:
      ConfigError: There is no kernel, or the law is not defined for one or for the model, or it
        does not give finite values, or a rule fits nothing.
    """
    return _Preparation(subject, init).drawer()


class _Preparation:
    """What becomes of a law and a model.

    Attributes:
      places: The model's weights, with what the settings say of them.
      ruled: Position of a weight that a rule holds for -> the number of the rule.
      kernels: Those that are drawn by the law, by a rule or by the fallback.
      laws: Position -> law of what is drawn by one; of kernels that keep their own it is missing.
      fallen: Positions of the kernels that the fallback draws.
      is_adjusted: Whether a law of whole models changes what they draw.
    """

    def __init__(self, subject: Subject, init: Choice) -> None:
        settings = init.settings
        self.subject, self.init = subject, init
        _check_bias_scale(settings)
        self.places = self._places()
        self.kernels = [place for place in self.places if place.is_kernel]
        if not self.kernels:
            raise ConfigError(
                f"`init` must have a kernel to draw. Received: {init.name}, and a model without "
                "any: no weight has Keras's name for one, and no layer uses a matrix of its own in "
                "a product. Name the weights to draw, such as init.kernels=['*/w']; the model has "
                f"{listed(self.places)}."
            )
        self.ruled = rules.matched(settings.rules, self.places)
        self.of_law = [place for place in self.kernels if place.position not in self.ruled]
        self.fallen: set[int] = set()
        self.body = self._body()
        self.laws = self._laws()
        self.is_adjusted = isinstance(settings, ModelLaw) and (
            type(settings).adjusted is not ModelLaw.adjusted
        )

    def _places(self) -> list[Weight]:
        settings = self.init.settings
        places = chosen(self.subject.places, settings.kernels, settings.not_kernels)
        is_exact = settings.fans == "exact"
        named = [settings.fallback, getattr(settings, "base", None)]
        named += [rule.init for rule in settings.rules]
        lawful = settings.needs_roles or any(
            CATALOGUE[name].needs_roles for name in named if name in CATALOGUE
        )
        if lawful or any(rule.needs_roles for rule in settings.rules):
            key = "init" if lawful else rules.KEY
            roles = self._or_refused(lambda: self.subject.structure(places), key).roles
            places = [
                replace(place, roles=roles.get(place.position, frozenset())) for place in places
            ]
        return [replace(place, is_exact=True) for place in places] if is_exact else places

    def _body(self) -> Body:
        law = self.init.settings
        needs_data = isinstance(law, ModelLaw) and law.needs_data
        return Body(
            model=self.subject.model,
            places=self.places,
            kernels=self.of_law,
            ruled=self.ruled,
            structure=self.subject.structure(self.places) if law.needs_roles else None,
            probe=self._or_refused(lambda: self.subject.probe) if needs_data else None,
        )

    def _or_refused(self, work: Callable[[], Any], key: str = "init") -> Any:
        """Returns what comes of something that a law may not be defined for."""
        try:
            return work()
        except UndefinedError as error:
            raise ConfigError(
                f"`{key}` must be defined for the model. Received: {_law_label(self.init)}; "
                f"{error}."
            ) from error

    def _laws(self) -> dict[int, Choice]:
        """Returns the law of each weight that is drawn by one."""
        law = self.init.settings
        found: dict[int, Choice] = {}
        if isinstance(law, ModelLaw):
            base = Choice(law.base, CATALOGUE[law.base]())
            own_laws = self._or_refused(lambda: law.laws(self.body))
            given = {
                kernel.position: Choice("", own_laws[kernel.position])
                if kernel.position in own_laws
                else base
                for kernel in self.of_law
            }
            found = {
                kernel.position: self._defined(given[kernel.position], kernel)
                for kernel in self.of_law
            }
            others = own_laws.keys() - {kernel.position for kernel in self.kernels}
            found |= {
                p: Choice("", own_laws[p])
                for p in others
                if p not in self.ruled and not fits(self.places[p], law.not_kernels)
            }
        elif isinstance(law, KernelLaw):
            self._or_refused(lambda: law.check(self.of_law))
            found = {kernel.position: self._defined(self.init, kernel) for kernel in self.of_law}
        for position, number in self.ruled.items():
            rule = law.rules[number]
            choice = _named(rule)
            if not isinstance(choice.settings, Keep):
                _try(choice, self.places[position], rules.KEY)
                found[position] = choice
        return found

    def _defined(self, law: Choice, kernel: Weight) -> Choice:
        """Returns the law that draws a kernel: this one or the fallback."""
        init = self.init
        try:
            _try(law, kernel)
            return law
        except UndefinedError as error:
            if init.settings.fallback is None:
                raise ConfigError(
                    f"`init` must be defined for every kernel. Received: {init.name}, and the "
                    f"kernel `{kernel.path}` of shape {kernel.shape}: {error}. Name another "
                    "initializer for such kernels, for example init.fallback=glorot_uniform."
                ) from None
        fallback = Choice(init.settings.fallback, CATALOGUE[init.settings.fallback]())
        try:
            _try(fallback, kernel)
            self.fallen.add(kernel.position)
            return fallback
        except UndefinedError as error:
            raise ConfigError(
                f"`init.fallback` must be defined for the kernels that {init.name} is not defined "
                f"for. Received: {fallback.name}, and the kernel `{kernel.path}` of shape "
                f"{kernel.shape}: {error}. Name another, for example init.fallback=glorot_uniform."
            ) from None

    def drawer(self) -> Drawer:
        """Returns what draws the weights."""
        with_kernel = {id(kernel.layer) for kernel in self.kernels}
        biases = {
            p.position for p in self.places if p.name == "bias" and id(p.layer) in with_kernel
        }
        covered = {kernel.position for kernel in self.kernels} | biases | {*self.laws, *self.ruled}
        unknown: list[str] = []

        def draw_of(place: Weight) -> Draw:
            if (law := self.laws.get(place.position)) is not None:
                return partial(_kernel_values, law, place)
            is_set = place.position in biases and place.position not in self.ruled
            if is_set and self.init.settings.bias != KEEP:
                return _bias_draw(place, self.init.settings)
            draw, is_known = own.draws(place, self.subject.builds, _realized)
            if not is_known:
                unknown.append(place.path)
            return draw

        draws = [draw_of(place) for place in self.places]
        trainable = [place for place in self.places if place.variable.trainable]
        small_first = sorted(self.kernels, key=lambda kernel: math.prod(kernel.shape))
        is_random = isinstance(self.init.settings, ModelLaw) and self.init.settings.is_random
        is_fixed = not is_random and not _any_varies([draws[k.position] for k in small_first])
        drawer = Drawer(
            label=self._label(is_fixed),
            kernels=[self._record(kernel) for kernel in self.kernels],
            drawn=self.kernels,
            rules=self._ruled(),
            unknown=unknown,
            is_fixed=is_fixed,
            left_out=[place for place in trainable if place.position not in covered],
            share=_num_values(p for p in trainable if p.position in covered)
            / max(_num_values(trainable), 1),
            draws=draws,
            adjust=self._adjust if self.is_adjusted else None,
        )
        if isinstance(self.init.settings, ModelLaw) and self.init.settings.is_tried:
            drawer.draw(_TRIAL_SEED)
        return drawer

    def _adjust(self, seeds: Sequence[int], stacked: list[np.ndarray]) -> Sequence[np.ndarray]:
        with keras.device("cpu"):
            adjusted = self._or_refused(
                lambda: self.init.settings.adjusted(self.body, seeds, stacked)
            )
        for place, values in zip(self.places, adjusted, strict=True):
            if place.is_real and not np.isfinite(values).all():
                raise ConfigError(
                    f"`init` must give finite values. Received: {_law_label(self.init)}, which "
                    f"gave others for `{place.path}` of shape {place.shape}."
                )
        return adjusted

    def _ruled(self) -> list[Ruled]:
        return [
            Ruled(
                str(rule),
                tuple(self.places[p].path for p, held in self.ruled.items() if held == number),
            )
            for number, rule in enumerate(self.init.settings.rules)
        ]

    def _record(self, kernel: Weight) -> KernelRecord:
        law = self.laws.get(kernel.position)
        fan_in, fan_out = keras_fans(kernel)
        exact = exact_fans(kernel)
        is_fallen, is_ruled = kernel.position in self.fallen, kernel.position in self.ruled
        is_adjusted = self.is_adjusted and not is_ruled
        stddev = exact_stddev = None
        if law is not None and not is_adjusted:
            stddev, exact_stddev = (
                law.settings.stddev(one) for one in (_as_drawn(kernel), _as_drawn(_exact(kernel)))
            )
        is_own = is_adjusted and not is_fallen  # whatever was drawn first
        return KernelRecord(
            path=kernel.path,
            shape=kernel.shape,
            law=KEEP if law is None else (not is_own and _law_label(law)) or _law_label(self.init),
            fan_in=fan_in,
            fan_out=fan_out,
            stddev=stddev,
            origin=kernel.origin,
            exact_fans=None if exact == (fan_in, fan_out) else exact,
            drawn_by="fallback" if is_fallen else "rule" if is_ruled else "law",
            exact_stddev=exact_stddev,
        )

    def _label(self, is_fixed: bool) -> str:
        """Returns the label; of the user's initializers and models, if the weights are fixed."""
        hidden = () if self.fallen else ("fallback",)
        is_silent = is_fixed and isinstance(self.init.settings, Custom | Keep)
        return self.init.label_with(hidden, **({MARK: FIXED} if is_silent else {}))


def _named(rule: rules.Given) -> Choice:
    """Returns the law that a rule names.

    Raises:
      ConfigError: There is none such, or a setting is wrong.
    """
    node = node_of(rule.init, rule.settings)
    settings = choose(CATALOGUE, node, rules.KEY)
    if wrong := [name for name in changed_settings(settings) if name in SHARED]:
        raise ConfigError.at(
            rules.KEY, f"without `{wrong[0]}`, which holds for all weights", rule.plain()
        )
    if not isinstance(settings, KernelLaw | Keep):
        raise ConfigError.at(
            rules.KEY, "about initializers that draw kernel by kernel", rule.plain()
        )
    return Choice(node["name"], settings)


def _check_bias_scale(settings: Any) -> None:
    if settings.bias not in SCALED and "bias_scale" in changed_settings(settings):
        raise ConfigError(
            f"`init.bias_scale` belongs to init.bias={' or init.bias='.join(SCALED)}. "
            f"Received: init.bias_scale={settings.bias_scale} and init.bias={settings.bias}."
        )


def _num_values(places: Iterable[Weight]) -> int:
    return sum(math.prod(place.shape) for place in places)


def _any_varies(draws: Sequence[Draw]) -> bool:
    """Tells whether any weight differs between two seeds."""
    try:
        return any(not np.array_equal(draw(_ONE_SEED), draw(_ANOTHER_SEED)) for draw in draws)
    except ConfigError:  # not defined for every seed: so it depends on it
        return True


def _law_label(law: Choice) -> str:
    """Returns the label of the law itself, without what all laws share; empty for a nameless."""
    return law.label_with(SHARED) if law.name else ""


def _try(law: Choice, kernel: Weight, key: str = "init") -> None:
    """Draws a kernel once, and user code twice: its values may depend on the seed only.

    Raises:
      UndefinedError: The law is not defined for the kernel; a `ConfigError` where no other takes
        its place.
    """
    try:
        values = _raw_kernel_values(law, kernel, _TRIAL_SEED)
    except UndefinedError as error:
        if key == "init":
            raise
        raise ConfigError(
            f"`{key}` must name laws that are defined for what they draw. Received: "
            f"{_law_label(law)}, and `{kernel.path}` of shape {kernel.shape}: {error}."
        ) from error
    if not isinstance(law.settings, Custom):
        return
    if not np.array_equal(values, _raw_kernel_values(law, kernel, _TRIAL_SEED)):
        raise ConfigError(
            f"`init.target` must give the same values for the same seed. Received: "
            f"{law.settings.target}, which gave others when it was called again. "
            "Give it a parameter `seed` and draw from that."
        )


def _kernel_values(law: Choice, kernel: Weight, weight_seed: int) -> np.ndarray:
    try:
        return _raw_kernel_values(law, kernel, weight_seed)
    except UndefinedError as error:
        raise ConfigError(
            f"`init` must be defined for every kernel and seed. Received: {_told(law)}, and the "
            f"kernel `{kernel.path}` of shape {kernel.shape} with the seed {weight_seed}: {error}"
        ) from error


def _raw_kernel_values(law: Choice, kernel: Weight, weight_seed: int) -> np.ndarray:
    """Draws one kernel; raises `UndefinedError` where the law says so."""
    try:
        values = _drawn(law, kernel, weight_seed)
    except (ConfigError, UndefinedError):
        raise
    except Exception as error:
        raise ConfigError(
            f"`init` must be able to draw every kernel. Received: {_told(law)}, which raised "
            f"for the kernel `{kernel.path}` of shape {kernel.shape} and dtype {kernel.dtype}: "
            f"{told(error)}"
        ) from error
    if not np.isfinite(values).all():
        raise ConfigError(
            f"`init` must give finite values. Received: {_told(law)}, which gave others for "
            f"the kernel `{kernel.path}` of shape {kernel.shape} and dtype {kernel.dtype}."
        )
    return values


def _told(law: Choice) -> str:
    """Returns what messages call a law; one that a law of whole models made goes by its class."""
    return _law_label(law) or type(law.settings).__name__


def _exact(kernel: Weight) -> Weight:
    return replace(kernel, is_exact=True)


def _as_drawn(kernel: Weight) -> Weight:
    """Returns what is drawn at once: the kernel, or the first of its gates."""
    return kernel.of_gates()[0] if kernel.is_exact else kernel


def _drawn(law: Choice, kernel: Weight, weight_seed: int) -> np.ndarray:
    """Draws one kernel; gate by gate where they are to be told apart."""
    if not (kernel.is_exact and kernel.num_gates > 1):
        seed = seeds.integer(weight_seed, "weights", kernel.position)
        return _realized(law.settings.initializer(kernel, seed), kernel)
    streams = [
        seeds.integer(weight_seed, "weights", kernel.position, _FIRST_GATE + gate)
        for gate in range(kernel.num_gates)
    ]
    gates = zip(kernel.of_gates(), streams, strict=True)
    return np.concatenate(
        [_realized(law.settings.initializer(gate, seed), gate) for gate, seed in gates], axis=-1
    )


def _realized(initializer: Initializer, place: Weight) -> np.ndarray:
    """Returns what an initializer gives for a weight, as an array of the weight's dtype."""
    with keras.device("cpu"):  # on a GPU the last bits of normal numbers differ
        value = initializer(place.shape, dtype=place.dtype.name)
    with np.errstate(over="ignore"):  # infinite values are reported in one line, not as warnings
        return np.array(keras.ops.convert_to_numpy(value), dtype=place.dtype)


def _bias_draw(place: Weight, settings: Any) -> Draw:
    """Returns what draws a bias: one value, or numbers of a law with a scale."""
    if settings.bias in SCALED:
        law = Choice(settings.bias, laws.OPTIONS[settings.bias](scale=settings.bias_scale))  # type: ignore[call-arg]
        _try(law, place)
        return partial(_kernel_values, law, place)
    with np.errstate(over="ignore"):
        values = np.full(place.shape, settings.bias, dtype=place.dtype)
    if not np.isfinite(values).all():
        raise ConfigError.at("init.bias", f"finite in the dtype {place.dtype}", settings.bias)
    return lambda seed: values.copy()
