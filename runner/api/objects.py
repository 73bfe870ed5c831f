"""Objects of Keras as the settings that say the same."""

import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from runner import labels
from runner.config import ConfigError
from runner.execution.configure import GROUPS

_OPTIMIZER = "the name of an optimizer, or an optimizer of Keras"
_INITIALIZER = "the name of an initializer, an initializer of Keras, or a list of them"
_OWN = "For one of your own in a module: {0}='custom', **{{'{0}.target': 'module.name'}}."

# Options that are called otherwise than the classes of Keras, and their settings.
_OPTIONS = {
    "random_normal": "normal",
    "random_uniform": "uniform",
    "zeros": "zero",
    "orthogonal_initializer": "orthogonal",
    "identity_initializer": "identity",
}
_SETTINGS = {"stddev": "scale", "maxval": "scale"}
# The runner decides on these.
_LEFT_OUT = {"name", "seed", "input_axes", "output_axes"}


def optimizer(value: Any) -> dict[str, Any]:
    """Returns the settings of an optimizer: of a name itself, of an object of Keras its config.

    Raises:
      ConfigError: It is no such thing, or does something that no setting says.
    """
    if _is_plain(value):
        return {"optimizer": value}
    made = _of_keras("optimizers", value)
    if made is None:
        advice = _OWN.format("optimizer") if callable(value) else ""
        raise ConfigError.at("optimizer", _OPTIMIZER, value, advice)
    kind, config = type(made), _config(made)
    rate = config.pop("learning_rate")
    if not isinstance(rate, float):
        received = f"{kind.__name__} with {rate['class_name']}"
        advice = "Give its name, and the course of the rate: **{'optimizer.schedule': 'cosine'}."
        raise ConfigError.at("optimizer", f"{_OPTIMIZER} with one learning rate", received, advice)
    found: dict[str, Any] = {"optimizer": kind.__name__.lower(), "optimizer.learning_rate": rate}
    if kind.__name__ == "SGD" and config["momentum"]:
        found["optimizer"] = "momentum"
    usual = _config(kind())
    spec = GROUPS["optimizer"].get(found["optimizer"])
    if spec is None:
        arguments = {key: config[key] for key in config if config[key] != usual[key]}
        arguments = {f"optimizer.arguments.{key}": value for key, value in arguments.items()}
        return {**found, "optimizer": "custom", "optimizer.target": kind.__name__, **arguments}
    known = {field.name: field.default for field in fields(spec)}
    if unknown := [key for key in config if key not in known and config[key] != usual[key]]:
        received = f"{kind.__name__} with {', '.join(f'{key}={config[key]}' for key in unknown)}"
        raise ConfigError.at("optimizer", f"{_OPTIMIZER} without {' and '.join(unknown)}", received)
    differing = {key: config[key] for key in config if config[key] != known.get(key, config[key])}
    return found | {f"optimizer.{key}": value for key, value in differing.items()}


def initializers(value: Any) -> Any:
    """Returns names and labels of initializers: of names themselves, of objects of Keras theirs.

    Raises:
      ConfigError: One is no such thing.
    """
    if _is_plain(value):
        return value
    if isinstance(value, list | tuple):
        return [each if _is_plain(each) else _label(each) for each in value]
    return _label(value)


def _label(value: Any) -> str:
    made = _of_keras("initializers", value)
    name = _snake_case(type(made).__name__)
    option = _OPTIONS.get(name, name)
    spec = GROUPS["init"].get(option)
    if made is None or spec is None:
        advice = _OWN.format("init") if callable(value) else ""
        raise ConfigError.at("init", _INITIALIZER, value, advice)
    config = _config(made)
    if config.pop("mean", 0) or config.get("maxval", 0) != -config.pop("minval", 0):
        advice = "Only those around 0 are compared."
        raise ConfigError.at("init", _INITIALIZER, f"{type(made).__name__}({config})", advice)
    settings = {_SETTINGS.get(key, key): each for key, each in config.items()}
    known = {field.name: field.default for field in fields(spec)}
    return labels.label(option, {k: v for k, v in settings.items() if known.get(k, v) != v})


def _of_keras(module: str, value: Any) -> Any:
    """Returns an object of a module of Keras, that of a class by itself; None for all others."""
    keras = sys.modules.get("keras")
    if keras is None:
        return None
    kind = value if isinstance(value, type) else type(value)
    if getattr(getattr(keras, module), kind.__name__, None) is not kind:
        return None
    return value() if isinstance(value, type) else value


def _config(made: Any) -> dict[str, Any]:
    """Returns what an object of Keras computes with; it holds numbers in single precision."""
    config: Mapping[str, Any] = made.get_config()
    return {
        key: float(f"{value:.7g}") if isinstance(value, float) else value
        for key, value in config.items()
        if key not in _LEFT_OUT
    }


def _is_plain(value: Any) -> bool:
    """Tells whether a value is none of Keras, nor holds such."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | Mapping)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
