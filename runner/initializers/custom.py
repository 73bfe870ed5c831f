"""The user's own initializer, or any of Keras's, by import path."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from runner.anatomy.kernels import UndefinedError, Weight
from runner.config import ARGUMENTS, ConfigError, setting, target_in
from runner.imports import import_target, told
from runner.initializers.law import Initializer, KernelLaw

_KEY = "init.target"


@dataclass(frozen=True, kw_only=True)
class Custom(KernelLaw):
    """A class whose instances are called `(shape, dtype=dtype)`, or a function called so.

    For each kernel an instance is made as `target(**arguments)`, or the function gets `arguments`
    as further keyword arguments. One that takes `seed`, by name or among any keyword arguments,
    gets the kernel's; others must give the same values at every call. Like Keras's initializers it
    tells that it is not defined for a shape by raising `ValueError` when it is called.

    Attributes:
      target: Name of a class in `keras.initializers`, or import path.
      arguments: Keyword arguments, without `seed`.
    """

    target: str = setting(target_in("keras.initializers", "HeNormal"))
    arguments: Mapping[str, Any] = setting(ARGUMENTS, {})

    def initializer(self, kernel: Weight, seed: int) -> Initializer:
        target = import_target(self.target, _KEY, "keras.initializers", "Initializer")
        if not inspect.isclass(target) and not inspect.isroutine(target):
            raise ConfigError.at(_KEY, "the import path of a class or a function", target)
        if "seed" in self.arguments:
            raise ConfigError(
                "`init.arguments` must not contain `seed`: each kernel gets its own from `seeds`. "
                f"Received: {dict(self.arguments)}."
            )
        taking = _takes_seed(target)
        arguments = {**self.arguments, "seed": seed} if taking else self.arguments
        if inspect.isclass(target):
            made = self._instance(target, arguments, may_refuse_seed=taking == "perhaps")
            call = _with_fan_axes(made, kernel)
        else:
            call = partial(target, **arguments)
        return partial(_call, call, self.target)

    def _instance(
        self, target: type, arguments: Mapping[str, Any], may_refuse_seed: bool
    ) -> Callable[..., Any]:
        try:
            instance = target(**arguments)
        except Exception as error:
            if may_refuse_seed and isinstance(error, TypeError):
                return self._instance(target, self.arguments, may_refuse_seed=False)
            raise ConfigError(
                f"`init.arguments` must be what {self.target} takes. "
                f"Received: {dict(self.arguments)}; it raised {told(error)}"
            ) from error
        if not callable(instance):
            raise ConfigError.at(_KEY, "a class whose instances can be called", self.target)
        return instance


def _takes_seed(target: Callable[..., Any]) -> Literal["", "perhaps", "yes"]:
    """Tells whether a class's constructor or a function takes an argument `seed`.

    `"perhaps"` if it takes any keyword arguments, which it may hand on to what refuses this one.
    """
    try:
        parameters = inspect.signature(target).parameters
    except ValueError:  # some compiled functions have no signature
        return ""
    if "seed" in parameters:
        return "yes"
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return "perhaps" if takes_any else ""


def _with_fan_axes(instance: Callable[..., Any], kernel: Weight) -> Callable[..., Any]:
    """Tells a variance scaling initializer its fans, as `EinsumDense` does."""
    from keras import initializers

    if not kernel.fan_axes or not isinstance(instance, initializers.VarianceScaling):
        return instance
    if instance.input_axes is not None and instance.output_axes is not None:
        return instance
    config = {**instance.get_config(), "seed": instance.seed, **kernel.fan_axes}
    return type(instance).from_config(config)


def _call(call: Callable[..., Any], name: str, shape: tuple[int, ...], *, dtype: str) -> np.ndarray:
    """Calls the user's code and checks what it returns."""
    try:
        value = call(shape, dtype=dtype)
        array = np.asarray(value)
    except ValueError as error:
        raise UndefinedError(f"it raised {told(error)}") from error
    except Exception as error:
        raise ConfigError(
            f"`{_KEY}` must be callable as an initializer: (shape, dtype=...). Received: {name}; "
            f"called with {shape}, dtype={dtype!r} it raised {told(error)}"
        ) from error
    if array.shape != shape:
        raise ConfigError(
            f"`{_KEY}` must return values of the shape that it is given. "
            f"Received: {name}; called with {shape} it returned {array.shape}."
        )
    # Keras casts what numpy made, whose default is float64, and refuses other tensors.
    if array.dtype.name != dtype and not (
        isinstance(value, np.ndarray) and array.dtype.kind == "f"
    ):
        raise ConfigError(
            f"`{_KEY}` must return values of the dtype that it is given. "
            f"Received: {name}; called with dtype={dtype!r} it returned {array.dtype.name}."
        )
    return array
