"""The user's own model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.config import ARGUMENTS, IMPORT_PATH, ConfigError, setting, shown
from runner.imports import import_object, told
from runner.models.randomness import BUILD_SEED, fixed_randomness
from runner.tasks import Signature

_KEY = "model.function"
_RULE = "a function that returns a Keras model"


@dataclass(frozen=True)
class Custom:
    """Settings of `custom`.

    Attributes:
      function: Import path of a function `f(input_shape, num_outputs, **arguments)`; where there
        are several inputs, `input_shape` is their shapes by their names.
      arguments: Its further arguments.
    """

    function: str = setting(IMPORT_PATH)
    arguments: Mapping[str, Any] = setting(ARGUMENTS, {})


def build(settings: Custom, signature: Signature, seed: int = BUILD_SEED) -> Any:
    """Returns what the user's function returns, built if it is not.

    Args:
      settings: See `Custom`.
      signature: What the model is for.
      seed: Of the global generators, in [0, 2**32).

    Raises:
      ConfigError: The function cannot be imported or called, it raises, or what it returns is not
        a Keras model that takes such examples.
    """
    function = import_object(settings.function, _KEY)
    if not callable(function):
        raise ConfigError.at(_KEY, _RULE, function, f"{settings.function} cannot be called.")
    # Seeded once more: the import, which happens only once in a process, may have drawn.
    with fixed_randomness(seed):
        model = _call(function, settings, signature)
        _fit_to(model, signature.inputs)
    return model


def ignored_compilation(model: Any) -> str:
    """Returns what the user's model was compiled with, none of which is used; empty if nothing."""
    if not getattr(model, "compiled", False):
        return ""
    metrics = getattr(getattr(model, "_compile_metrics", None), "_user_metrics", None)
    parts = {"loss": getattr(model, "loss", None), "optimizer": model.optimizer, "metrics": metrics}
    told = {name: _names(value) for name, value in parts.items() if value is not None}
    return ", ".join(f"{name} {value}" for name, value in told.items() if value)


def _names(value: Any) -> str:
    """Returns what a loss, an optimizer, or a nest of metrics is called."""
    import keras

    return " and ".join(
        str(one if isinstance(one, str) else getattr(one, "__name__", type(one).__name__))
        for one in keras.tree.flatten(value)
    )


def _call(function: Any, settings: Custom, signature: Signature) -> Any:
    import keras

    try:
        model = function(signature.inputs, signature.num_outputs, **settings.arguments)
    except Exception as error:
        raise ConfigError(
            f"`{_KEY}` must be {_RULE}. {settings.function} raised {told(error)}"
        ) from error
    if not isinstance(model, keras.Model):
        advice = f"It is what {settings.function} returned: a {type(model).__name__}."
        raise ConfigError.at(_KEY, _RULE, model, advice)
    return model


def _fit_to_several(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Builds what has no weights yet with inputs by their names."""
    import keras

    if declared := getattr(model, "inputs", None):
        names = sorted(tensor.name for tensor in declared)
        if names != sorted(shapes):
            raise ConfigError(
                f"`{_KEY}` must be {_RULE} with the inputs {shown(sorted(shapes))} of the data. "
                f"Received: one with the inputs {shown(names)}. Name each `keras.Input`."
            )
    else:
        model({name: keras.Input(shape, name=name) for name, shape in shapes.items()})
    dtypes = {tensor.name: tensor.dtype for tensor in declared or ()}
    model.compute_output_spec(
        {
            name: keras.KerasTensor((None, *shape), dtypes.get(name), name=name)
            for name, shape in shapes.items()
        }
    )


def _fit_to(model: Any, input_shape: Any) -> None:
    """Builds what has no weights yet and checks that the model takes such examples."""
    import keras

    try:
        if isinstance(input_shape, Mapping):
            _fit_to_several(model, input_shape)
            return
        if isinstance(model, keras.Sequential) and not model.built:
            model.build((None, *input_shape))
        elif not getattr(model, "inputs", None):
            model(keras.Input(input_shape))  # a subclass learns its shapes by being called
        model.compute_output_spec(keras.KerasTensor((None, *input_shape)))
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"`{_KEY}` must be {_RULE} for examples of shape {input_shape}. "
            f"The model does not take them: {told(error)}"
        ) from error
