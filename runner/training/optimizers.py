"""Optimizers: Keras's own, each with its hyperparameters under Keras's names.

An option of the group `optimizer` is a dataclass that says which Keras class it stands for; its
fields are the arguments of that class, except those that all share: what becomes of the learning
rate, and the average of the weights. `weight_decay` is Keras's decoupled one: each update first
shrinks every trainable variable by the factor `1 - learning_rate * weight_decay`, biases included.

All listed classes update each parameter from its own gradient history alone. Two kinds are left to
`custom`: those that look at a whole kernel (Lamb, Adafactor, Muon), and Ftrl, whose first update
replaces the initial weights rather than moving them, so that it has nothing to say about them.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from runner.config import (
    ARGUMENTS,
    BOOLEAN,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    PROPER_FRACTION,
    ConfigError,
    Rule,
    one_of,
    optional,
    setting,
    target_in,
)
from runner.imports import import_target, told

_SCHEDULE = one_of("constant", "cosine", "linear", "step", "exponential")
_CLIPPINGS = ("clipnorm", "clipvalue", "global_clipnorm")


def _steps(value: Any) -> float:
    number = NON_NEGATIVE.accept(value)
    if number >= 1 and number != int(number):
        raise ValueError
    return float(number)


_STEPS = Rule("a whole number of steps, or a fraction of all steps, from 0 up to 1", _steps)


def _positive_steps(value: Any) -> float:
    return POSITIVE.accept(_steps(value))


_POSITIVE_STEPS = Rule("a positive whole number of steps, or a fraction of all", _positive_steps)


@dataclass(frozen=True, kw_only=True)
class _Course:
    """Settings of every optimizer that are not arguments of its class.

    With r the learning rate, T the steps of the training after warmup, t those since then, and f
    `final_fraction`, the schedules are, by Keras's classes:

    - `constant`: r.
    - `cosine`: r (f + (1 - f) (1 + cos(pi t / T)) / 2). Loshchilov and Hutter (2017), equation 5,
      one period.
    - `linear`: r (1 - (1 - f) t / T).
    - `step`: r c^floor(t / e), with c `decay_factor` and e the steps of `decay_every`.
    - `exponential`: r c^(t / e).

    Attributes:
      learning_rate: Step size; with a schedule, the largest one.
      schedule: See above.
      final_fraction: Share of the learning rate that is left at the end of `cosine` and `linear`.
      decay_factor: Of `step` and `exponential`: what the rate is multiplied by.
      decay_every: How often: a number of steps, or a fraction of T.
      warmup: How long the rate rises from 0 first: a number of steps, or a fraction of all.
      ema: Momentum m of an exponential moving average of the weights, a <- m a + (1 - m) w after
        every update, which takes the weights' place at the end of the training; None for none.
        What is measured after an epoch is measured of the weights themselves, as Keras does.
    """

    learning_rate: float = setting(POSITIVE, 0.001)
    schedule: str = setting(_SCHEDULE, "constant")
    final_fraction: float = setting(FRACTION, 0.0)
    decay_factor: float = setting(PROPER_FRACTION, 0.1)
    decay_every: float = setting(_POSITIVE_STEPS, 0.3)
    warmup: float = setting(_STEPS, 0.0)
    ema: float | None = setting(optional(PROPER_FRACTION), None)

    @property
    def average(self) -> dict[str, Any]:
        """The arguments of a Keras optimizer that ask for the average."""
        return {} if self.ema is None else {"use_ema": True, "ema_momentum": self.ema}


@dataclass(frozen=True, kw_only=True)
class _Optimizer(_Course):
    """Settings that all listed optimizers share.

    Attributes:
      weight_decay: Decoupled decay, or None.
      clipnorm: Largest norm of a variable's gradient, or None.
      clipvalue: Largest absolute value of a gradient's element, or None.
      global_clipnorm: Largest norm of all gradients together, or None.
    """

    keras_class: ClassVar[str]
    mixes_rates: ClassVar[bool] = True
    """Whether one program can train replicas with several learning rates."""

    weight_decay: float | None = setting(optional(NON_NEGATIVE), None)
    clipnorm: float | None = setting(optional(POSITIVE), None)
    clipvalue: float | None = setting(optional(POSITIVE), None)
    global_clipnorm: float | None = setting(optional(POSITIVE), None)

    def __post_init__(self) -> None:
        given = [name for name in _CLIPPINGS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(
                f"`optimizer.{given[1]}` must be null where `optimizer.{given[0]}` is set: Keras "
                f"clips in one way. Received: {getattr(self, given[1])!r}."
            )


@dataclass(frozen=True, kw_only=True)
class Sgd(_Optimizer):
    """Stochastic gradient descent."""

    keras_class = "SGD"

    learning_rate: float = setting(POSITIVE, 0.1)


@dataclass(frozen=True, kw_only=True)
class Momentum(_Optimizer):
    """Gradient descent with momentum: v <- momentum v - learning_rate g, w <- w + v."""

    keras_class = "SGD"

    learning_rate: float = setting(POSITIVE, 0.01)
    momentum: float = setting(FRACTION, 0.9)
    nesterov: bool = setting(BOOLEAN, False)


@dataclass(frozen=True, kw_only=True)
class RmsProp(_Optimizer):
    """Gradients divided by a running root mean square. Tieleman and Hinton (2012)."""

    keras_class = "RMSprop"

    rho: float = setting(FRACTION, 0.9)
    momentum: float = setting(FRACTION, 0.0)
    epsilon: float = setting(POSITIVE, 1e-7)
    centered: bool = setting(BOOLEAN, False)


@dataclass(frozen=True, kw_only=True)
class Adagrad(_Optimizer):
    """Gradients divided by the root of the sum of their squares. Duchi et al. (2011)."""

    keras_class = "Adagrad"

    learning_rate: float = setting(POSITIVE, 0.01)
    initial_accumulator_value: float = setting(NON_NEGATIVE, 0.1)
    epsilon: float = setting(POSITIVE, 1e-7)


@dataclass(frozen=True, kw_only=True)
class Adadelta(_Optimizer):
    """Steps in the units of the parameters. Zeiler (2012), where the learning rate is 1."""

    keras_class = "Adadelta"

    learning_rate: float = setting(POSITIVE, 1.0)
    rho: float = setting(FRACTION, 0.95)
    epsilon: float = setting(POSITIVE, 1e-7)


@dataclass(frozen=True, kw_only=True)
class _TwoMoments(_Optimizer):
    """Running means of the gradient (`beta_1`) and of its size (`beta_2`)."""

    beta_1: float = setting(FRACTION, 0.9)
    beta_2: float = setting(FRACTION, 0.999)
    epsilon: float = setting(POSITIVE, 1e-7)


@dataclass(frozen=True, kw_only=True)
class Adam(_TwoMoments):
    """Kingma and Ba (2015), algorithm 1; `amsgrad`: Reddi et al. (2018), algorithm 2."""

    keras_class = "Adam"

    amsgrad: bool = setting(BOOLEAN, False)


@dataclass(frozen=True, kw_only=True)
class AdamW(_TwoMoments):
    """Adam with decoupled weight decay. Loshchilov and Hutter (2019), algorithm 2."""

    keras_class = "AdamW"

    weight_decay: float = setting(NON_NEGATIVE, 0.004)
    amsgrad: bool = setting(BOOLEAN, False)


@dataclass(frozen=True, kw_only=True)
class Adamax(_TwoMoments):
    """Adam in the maximum norm. Kingma and Ba (2015), algorithm 2."""

    keras_class = "Adamax"


@dataclass(frozen=True, kw_only=True)
class Nadam(_TwoMoments):
    """Adam with Nesterov momentum. Dozat (2016)."""

    keras_class = "Nadam"


@dataclass(frozen=True, kw_only=True)
class Lion(_Optimizer):
    """Steps by the sign of a running mean. Chen et al. (2023), algorithm 2.

    Every parameter moves by the whole learning rate in each step, so it is smaller than Adam's.
    """

    keras_class = "Lion"

    learning_rate: float = setting(POSITIVE, 0.0003)
    beta_1: float = setting(FRACTION, 0.9)
    beta_2: float = setting(FRACTION, 0.99)


@dataclass(frozen=True, kw_only=True)
class Custom(_Course):
    """Any other Keras optimizer.

    Attributes:
      target: Name of a class in `keras.optimizers`, or import path of a class or function that
        takes `learning_rate` and `arguments` (and, where `ema` is set, `use_ema` and
        `ema_momentum`) and returns a Keras optimizer.
      arguments: Further keyword arguments.
    """

    mixes_rates: ClassVar[bool] = False  # the function may calculate with the rate

    target: str = setting(target_in("keras.optimizers", "Lamb"))
    arguments: Mapping[str, Any] = setting(ARGUMENTS, {})

    def __post_init__(self) -> None:
        if "learning_rate" in self.arguments:
            raise ConfigError(
                "`optimizer.arguments` must not hold `learning_rate`. "
                f"Received: {self.arguments['learning_rate']!r}. Set optimizer.learning_rate."
            )


CATALOGUE: dict[str, type] = {
    "sgd": Sgd,
    "momentum": Momentum,
    "rmsprop": RmsProp,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "adam": Adam,
    "adamw": AdamW,
    "adamax": Adamax,
    "nadam": Nadam,
    "lion": Lion,
    "custom": Custom,
}


def make(name: str, settings: Any, num_steps: int, rate: Any = None) -> Any:
    """Makes an optimizer that has not seen any variables yet.

    Args:
      name: A key of `CATALOGUE`.
      settings: An instance of `CATALOGUE[name]`.
      num_steps: Updates in the whole training, at least 1; the length of the schedule.
      rate: A Keras schedule that takes the place of the learning rate, or None.

    Returns:
      A `keras.optimizers.Optimizer`.

    Raises:
      ConfigError: The target of `custom` cannot be imported, raises, or makes something else.
    """
    import keras

    rate = learning_rate(settings, num_steps) if rate is None else rate
    if isinstance(settings, Custom):
        return _make_custom(settings, rate)
    shared = {field.name for field in dataclasses.fields(_Course)}
    arguments = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name not in shared
    }
    make_it = getattr(keras.optimizers, settings.keras_class)
    return make_it(learning_rate=rate, **arguments, **settings.average)


def learning_rate(settings: Any, num_steps: int) -> Any:
    """Returns what Keras takes as the learning rate: a number or a schedule.

    Args:
      settings: Of any optimizer.
      num_steps: Updates in the whole training, at least 1.
    """
    from runner.training import schedules  # imports Keras

    return schedules.schedule(settings, num_steps)


def check_warmup(settings: Any, num_steps: int) -> None:
    """Refuses a warmup that would outlast the training.

    Args:
      settings: Of any optimizer.
      num_steps: Updates in the whole training; 0 where nothing is trained.

    Raises:
      ConfigError: It would.
    """
    if num_steps and settings.warmup >= max(num_steps, 1):
        rule = f"below the {num_steps} steps of the training, or a fraction of them"
        raise ConfigError.at("optimizer.warmup", rule, settings.warmup)


def as_compiled(optimizer: Any, model: Any) -> Any:
    """Returns the optimizer as `keras.Model.compile` keeps it: float16 needs a scaled loss."""
    import keras

    scaling = keras.optimizers.LossScaleOptimizer
    if not scales_loss(model) or isinstance(optimizer, scaling):
        return optimizer
    return scaling(optimizer)


def scales_loss(model: Any) -> bool:
    """Returns whether `keras.Model.compile` scales the model's loss by itself."""
    return bool(model.dtype_policy.name == "mixed_float16")


def state(optimizer: Any) -> list[Any]:
    """Returns all variables of a built Keras optimizer and of those inside it.

    `optimizer.variables` leaves out what an optimizer keeps as a plain attribute, as Nadam does
    with its product of momentums.
    """
    import keras

    found = list(optimizer.variables)
    for value in vars(optimizer).values():
        if isinstance(value, keras.Variable):
            found.append(value)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, keras.optimizers.Optimizer):
                found += state(inner)
    return list({id(variable): variable for variable in found}.values())


def _make_custom(settings: Custom, rate: Any) -> Any:
    import keras

    key, rule = "optimizer.target", "something that makes a Keras optimizer"
    make_it = import_target(settings.target, key, "keras.optimizers", "Optimizer")
    try:
        optimizer = make_it(learning_rate=rate, **{**settings.average, **settings.arguments})
    except Exception as error:
        raise ConfigError(
            f"`{key}` must be {rule}. {settings.target} raised {told(error)}"
        ) from error
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ConfigError.at(key, rule, optimizer, f"It is what {settings.target} returned.")
    return optimizer
