"""What is to be trained, as the setting `model`: a function, a built model, or names of options."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runner.config import ConfigError
from runner.execution.captured import captured
from runner.given import Given
from runner.imports import told

_RULE = (
    "a function build(input_shape, num_outputs), a built Keras model, a name of the catalogue "
    "such as 'mlp', or a list of one kind"
)


@dataclass(frozen=True)
class Building:
    """How models are built.

    Attributes:
      settings: Of the group `model`.
      given: What has to be lent while they are built, by the import paths in `settings`.
      input_names: Names of the inputs of a built model, in their order.
    """

    settings: dict[str, Any]
    given: dict[str, Given]
    input_names: tuple[str, ...] = ()


def building(build: Any, is_local: bool) -> Building:
    """Returns how models are built.

    Args:
      build: See `runner.compare`.
      is_local: Whether they are built in this process only.

    Raises:
      ConfigError: It is nothing that builds models, or only this process could call it.
    """
    several = list(build) if isinstance(build, list | tuple) else [build]
    if several and all(isinstance(each, str) for each in several):
        return Building({"model": several if len(several) > 1 else several[0]}, {})
    if not several or any(isinstance(each, str) for each in several):
        raise ConfigError.at("build", _RULE, build)
    given: dict[str, Given] = {}
    for each in several:
        function = _function(each)
        given[_path(each, given)] = Given(function, captured(function))
    if not is_local:
        return Building(_settings(list(map(_importable, several))), {})
    names = {each.value.input_names for each in given.values() if isinstance(each.value, _Clone)}
    return Building(_settings(list(given)), given, names.pop() if len(names) == 1 else ())


def _settings(paths: Sequence[str]) -> dict[str, Any]:
    return {"model": "custom", "model.function": paths if len(paths) > 1 else paths[0]}


def _function(build: Any) -> Any:
    """Returns the function that builds a model."""
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(build, keras.Model):
        return _clones(build)
    if not callable(build):
        raise ConfigError.at("build", _RULE, build)
    return build


def _path(build: Any, taken: Any) -> str:
    """Returns the import path that a function or model is called by, if only here."""
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(build, keras.Model):
        kind = type(build).__name__
        is_named = not re.fullmatch(r"(sequential|functional|model)(_\d+)?", build.name)
        module, name = "keras", build.name if is_named else kind
    else:
        module = getattr(build, "__module__", None) or "__main__"
        name = getattr(build, "__qualname__", type(build).__qualname__)
    plain = re.sub(r"\W+", "_", re.sub(r"<locals>\.|[<>]", "", name))
    path = f"{module}.{plain}"
    count = sum(each == path or each.startswith(f"{path}_") for each in taken)
    return f"{path}_{count + 1}" if count else path


def _importable(build: Any) -> str:
    """Returns the import path of a function in a module.

    Raises:
      ConfigError: Other processes would not find it.
    """
    module, name = getattr(build, "__module__", ""), getattr(build, "__qualname__", "")
    there = sys.modules.get(module or "")
    is_there = getattr(there, name, None) is build and isinstance(
        getattr(there, "__file__", None), str
    )
    if module == "__main__" or not is_there:
        raise ConfigError(
            "`build` must stand in a module (a .py file in the working directory) where "
            "`execution` is not local: other processes import it. Received: "
            f"{name or type(build).__name__}, which is known in this process only."
        )
    return f"{module}.{name}"


def _clones(model: Any) -> Callable[..., Any]:
    """Returns a function that builds a model like this one from its config.

    Raises:
      ConfigError: The config does not tell all of it.
    """
    import keras

    if type(model) not in (keras.Sequential, _functional()):
        raise ConfigError(
            f"`build` must be a function that returns the model. Received: a built "
            f"{type(model).__name__}, which is a class of your own: its code is not part of a "
            f"Keras config, so it cannot be built anew for each seed. Write "
            f"build=lambda input_shape, num_outputs: {type(model).__name__}(...)."
        )
    clone = _Clone(model)
    try:
        clone((), 0)
    except Exception as error:
        raise ConfigError(
            f"`build` must be a model that Keras can build from its config, or a function that "
            f"returns it. Received: {model.name}: {told(error)}"
        ) from None
    return clone


def _functional() -> type:
    """Returns the class that Keras makes of `keras.Model(inputs, outputs)`."""
    import keras

    inputs = keras.Input((1,))
    return type(keras.Model(inputs, inputs))


class _Clone:
    """Builds a model like another one, with new weights.

    Layers keep their weights where these are no matter of initialization: where they are frozen,
    or were adapted to data. Names that Keras has made up are counted anew, as it counts on from
    cell to cell.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs of what is built."""
        return tuple(each.name for each in self((), 0).inputs)

    def get_config(self) -> Any:
        """Returns what tells this from other models."""
        return {"model": self((), 0).get_config()}

    def get_weights(self) -> list[Any]:
        """Returns the weights that are kept."""
        return [w for layer in _kept(self.model) for w in layer.get_weights()]

    def __call__(self, input_shape: Any, num_outputs: int) -> Any:
        """Returns a new model."""
        import keras

        counts: dict[str, int] = {}

        def name(own: str, kind: str) -> str:
            base = keras.src.utils.naming.to_snake_case(kind)
            if not re.fullmatch(rf"{re.escape(base)}(_\d+)?", own):
                return own
            count = counts.setdefault(base, 0)
            counts[base] += 1
            return f"{base}_{count}" if count else base

        pairs: list[tuple[Any, Any]] = []

        def clone(layer: Any) -> Any:
            config = layer.get_config()
            if "name" in config:
                config["name"] = name(layer.name, type(layer).__name__)
            made = type(layer).from_config(config)
            pairs.append((layer, made))
            return made

        made = keras.models.clone_model(self.model, clone_function=clone)
        made.name = name(self.model.name, type(self.model).__name__)
        for layer in made._flatten_layers():
            if isinstance(layer, keras.layers.InputLayer):  # which Keras does not ask about
                layer.name = name(layer.name, "InputLayer")
        kept = {id(layer) for layer in _kept(self.model)}
        for layer, new in pairs:
            if id(layer) in kept and layer.weights and new.weights:
                new.set_weights(layer.get_weights())
        return made


def _kept(model: Any) -> list[Any]:
    """Returns the layers whose weights a clone takes over."""
    import keras

    layers = model._flatten_layers(include_self=False)
    return [x for x in layers if not x.trainable or isinstance(x, keras.layers.Normalization)]
