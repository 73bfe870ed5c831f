"""Optimizers: Keras's own, each with its hyperparameters under Keras's names.

An option of the group `optimizer` is a dataclass that says which Keras class it stands for; its
fields are the arguments of that class, except `schedule`, which says what becomes of the learning
rate. `weight_decay` is Keras's decoupled one: each update first shrinks every trainable variable
by the factor `1 - learning_rate * weight_decay`, biases included.

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
    ConfigError,
    one_of,
    optional,
    setting,
    target_in,
)
from runner.imports import import_target, told

_SCHEDULE = one_of("constant", "cosine")
_CLIPPINGS = ("clipnorm", "clipvalue", "global_clipnorm")


@dataclass(frozen=True)
class _Optimizer:
    """Settings that all listed optimizers share.

    Attributes:
      learning_rate: Step size; with a schedule, that of the first step.
      schedule: `constant`, or `cosine`: at step t of T the rate is
        `learning_rate * (1 + cos(pi t / T)) / 2` (Loshchilov and Hutter, 2017, equation 5, one
        period, no warm-up, down to zero).
      weight_decay: Decoupled decay, or None.
      clipnorm: Largest norm of a variable's gradient, or None.
      clipvalue: Largest absolute value of a gradient's element, or None.
      global_clipnorm: Largest norm of all gradients together, or None.
    """

    keras_class: ClassVar[str]
    mixes_rates: ClassVar[bool] = True
    """Whether one program can train replicas with several learning rates."""

    learning_rate: float = setting(POSITIVE, 0.001)
    schedule: str = setting(_SCHEDULE, "constant")
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


@dataclass(frozen=True)
class Sgd(_Optimizer):
    """Stochastic gradient descent."""

    keras_class = "SGD"

    learning_rate: float = setting(POSITIVE, 0.1)


@dataclass(frozen=True)
class Momentum(_Optimizer):
    """Gradient descent with momentum: v <- momentum v - learning_rate g, w <- w + v."""

    keras_class = "SGD"

    learning_rate: float = setting(POSITIVE, 0.01)
    momentum: float = setting(FRACTION, 0.9)
    nesterov: bool = setting(BOOLEAN, False)


@dataclass(frozen=True)
class RmsProp(_Optimizer):
    """Gradients divided by a running root mean square. Tieleman and Hinton (2012)."""

    keras_class = "RMSprop"

    rho: float = setting(FRACTION, 0.9)
    momentum: float = setting(FRACTION, 0.0)
    epsilon: float = setting(POSITIVE, 1e-7)
    centered: bool = setting(BOOLEAN, False)


@dataclass(frozen=True)
class Adagrad(_Optimizer):
    """Gradients divided by the root of the sum of their squares. Duchi et al. (2011)."""

    keras_class = "Adagrad"

    learning_rate: float = setting(POSITIVE, 0.01)
    initial_accumulator_value: float = setting(NON_NEGATIVE, 0.1)
    epsilon: float = setting(POSITIVE, 1e-7)


@dataclass(frozen=True)
class Adadelta(_Optimizer):
    """Steps in the units of the parameters. Zeiler (2012), where the learning rate is 1."""

    keras_class = "Adadelta"

    learning_rate: float = setting(POSITIVE, 1.0)
    rho: float = setting(FRACTION, 0.95)
    epsilon: float = setting(POSITIVE, 1e-7)


@dataclass(frozen=True)
class _TwoMoments(_Optimizer):
    """Running means of the gradient (`beta_1`) and of its size (`beta_2`)."""

    beta_1: float = setting(FRACTION, 0.9)
    beta_2: float = setting(FRACTION, 0.999)
    epsilon: float = setting(POSITIVE, 1e-7)


@dataclass(frozen=True)
class Adam(_TwoMoments):
    """Kingma and Ba (2015), algorithm 1; `amsgrad`: Reddi et al. (2018), algorithm 2."""

    keras_class = "Adam"

    amsgrad: bool = setting(BOOLEAN, False)


@dataclass(frozen=True)
class AdamW(_TwoMoments):
    """Adam with decoupled weight decay. Loshchilov and Hutter (2019), algorithm 2."""

    keras_class = "AdamW"

    weight_decay: float = setting(NON_NEGATIVE, 0.004)
    amsgrad: bool = setting(BOOLEAN, False)


@dataclass(frozen=True)
class Adamax(_TwoMoments):
    """Adam in the maximum norm. Kingma and Ba (2015), algorithm 2."""

    keras_class = "Adamax"


@dataclass(frozen=True)
class Nadam(_TwoMoments):
    """Adam with Nesterov momentum. Dozat (2016)."""

    keras_class = "Nadam"


@dataclass(frozen=True)
class Lion(_Optimizer):
    """Steps by the sign of a running mean. Chen et al. (2023), algorithm 2.

    Every parameter moves by the whole learning rate in each step, so it is smaller than Adam's.
    """

    keras_class = "Lion"

    learning_rate: float = setting(POSITIVE, 0.0003)
    beta_1: float = setting(FRACTION, 0.9)
    beta_2: float = setting(FRACTION, 0.99)


@dataclass(frozen=True)
class Custom:
    """Any other Keras optimizer.

    Attributes:
      target: Name of a class in `keras.optimizers`, or import path of a class or function that
        takes `learning_rate` and `arguments` and returns a Keras optimizer.
      learning_rate: Step size; with a schedule, that of the first step.
      schedule: `constant` or `cosine`, as for the listed optimizers.
      arguments: Further keyword arguments.
    """

    mixes_rates: ClassVar[bool] = False  # the function may calculate with the rate

    target: str = setting(target_in("keras.optimizers", "Lamb"))
    learning_rate: float = setting(POSITIVE, 0.001)
    schedule: str = setting(_SCHEDULE, "constant")
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
    arguments = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name not in ("learning_rate", "schedule")
    }
    return getattr(keras.optimizers, settings.keras_class)(learning_rate=rate, **arguments)


def learning_rate(settings: Any, num_steps: int) -> Any:
    """Returns what Keras takes as the learning rate: a number or a schedule.

    Args:
      settings: Of any optimizer.
      num_steps: Length of the schedule, at least 1.
    """
    import keras

    if settings.schedule == "constant":
        return settings.learning_rate
    return keras.optimizers.schedules.CosineDecay(settings.learning_rate, num_steps)


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
        optimizer = make_it(learning_rate=rate, **settings.arguments)
    except Exception as error:
        raise ConfigError(
            f"`{key}` must be {rule}. {settings.target} raised {told(error)}"
        ) from error
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ConfigError.at(key, rule, optimizer, f"It is what {settings.target} returned.")
    return optimizer
