"""What decides a replicate's numbers, as one key: equal keys and seeds, equal numbers.

The key of a configuration is the SHA-256 of everything that its replicates' numbers depend on
besides their seeds: the settings of data, model, initializer, optimizer, training and engine; the
data itself; the built model; the source of the user's own code; kind of device and precision; the
versions of TensorFlow, Keras and `runner`. Where things lie, are tracked and reported is not part
of it, nor which other replicates are trained along: they change rounding at most.
"""

import dataclasses
import functools
import hashlib
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import runner
from runner import given
from runner.config import choose
from runner.datasets.dataset import Dataset
from runner.execution.user_code import user_sources
from runner.initializers.law import CATALOGUE, node_of
from runner.initializers.rules import KEY
from runner.plan import Choice, Configuration
from runner.propagation.settings import Diagnostics, probe_size

# Settings that change what is told about the numbers, or where they are, but not the numbers; and
# those whose whole effect the data itself shows.
_WITHOUT_EFFECT = {
    "dataset": {"path", "standardize", "keep", "separator", "decimal", "encoding", "memory"},
    "training": {"target_metric", "target_value", "checkpoint_every_s", "save"},
}

# Which setting of the option `custom` names the user's code.
_USER_CODE = {"model": "function", "init": "target", "optimizer": "target"}

# What may change in `runner` without changing a number.
_TELLING = {
    *("__main__.py", "archive.py", "compiled.py", "design.py", "files.py", "given.py"),
    *("interruption.py", "labels.py", "locks.py", "masking.py", "spelling.py", "stores.py"),
    *("sync.py", "terminal.py", "validation.py"),
    *("api", "execution", "propagation", "recording", "report"),
}


def identity(item: Configuration, dataset: Dataset, model: str, arithmetic: Sequence[str]) -> str:
    """Returns the key of a configuration, 64 hexadecimal digits.

    Args:
      item: The settings.
      dataset: What it is trained on.
      model: Key of the model, from `model_key`.
      arithmetic: What decides how its device rounds; see `runner.training.tensorflow`.
    """
    parts = {
        **{name: _settings(name, item) for name in ("dataset", "model", "init", "optimizer")},
        "training": _settings("training", item),
        "engine": item.engine,
        "data": dataset.fingerprint,
        "built": model,
        "probe": _probe(item),
        "code": {name: _user_code(name, getattr(item, name)) for name in _USER_CODE},
        "code of rules": [_user_code("init", law) for law in _laws_of_rules(item.init)],
        "code of goal": [_code_at(path) for path in item.training.goal.own_code],
        "device": list(arithmetic),
        "versions": _versions(),
    }
    return _digest(parts)


def program_key(item: Configuration, dataset: Dataset, measured: str) -> str:
    """Returns the key of what the programs of a configuration compute by, in this process.

    Left out are what they are given (data, weights, learning rates) and what the engine knows (how
    large and how many these are).

    Args:
      item: The settings.
      dataset: What it is trained on.
      measured: From `measured_key`.
    """
    of_each = {"learning_rate"} if item.optimizer.settings.mixes_rates else set()
    parts = [
        [item.engine, measured, dataset.metrics],
        [item.optimizer.name, _values(item.optimizer.settings, of_each)],
        _values(item.training, _WITHOUT_EFFECT["training"] | {"epochs", "class_weight"}),
        [_user_code("optimizer", item.optimizer)],
    ]
    return _digest(parts)


def measured_key(
    item: Configuration, dataset: Dataset, model: str, arithmetic: Sequence[str]
) -> str:
    """Returns the key of what outputs and loss of a configuration are computed by, as above.

    Args:
      item, dataset, model, arithmetic: See `identity`.
    """
    import keras

    goal = item.training.goal
    return _digest(
        [
            [_settings("model", item), model, _user_code("model", item.model), list(arithmetic)],
            [goal.loss, goal.label_smoothing, [_code_at(path) for path in goal.own_code]],
            [dataset.task, dataset.num_outputs],
            [keras.config.epsilon(), keras.config.image_data_format()],
        ]
    )


def _digest(parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _probe(item: Configuration) -> int | None:
    """Returns how many examples the initializer looks at; None of one that looks at none."""
    looks = getattr(item.init.settings, "needs_data", False)
    return probe_size(item.diagnostics) if looks else None


@functools.cache
def measuring_key(settings: Diagnostics) -> str:
    """Returns the key of how step 0 is measured and judged, 64 hexadecimal digits.

    With the key of a configuration and a seed it decides a `PropagationRecord`.
    """
    parts = {
        "settings": _values(settings, {"require"}),
        "full": settings.is_full,
        "source": _source(lambda place: place in ("anatomy", "propagation")),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _settings(group: str, item: Configuration) -> Mapping[str, Any]:
    option = getattr(item, group)
    settings = option.settings if isinstance(option, Choice) else option
    values = _values(settings, _WITHOUT_EFFECT.get(group, set()))
    return {"name": option.name if isinstance(option, Choice) else type(option).__name__, **values}


def _values(settings: Any, left_out: set[str]) -> dict[str, Any]:
    return {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name not in left_out
    }


def model_key(model: Any) -> str:
    """Returns the key of a built Keras model: structure, values before any drawing, precision."""
    import keras

    values = hashlib.sha256()
    for weight in model.weights:
        values.update(weight.numpy().tobytes())
    parts = [
        _structure(model),
        [(weight.path, list(weight.shape), str(weight.dtype)) for weight in model.weights],
        [bool(weight.trainable) for weight in model.weights],
        values.hexdigest(),
        keras.config.floatx(),
        keras.config.dtype_policy().name,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _structure(model: Any) -> str:
    """Returns the model's config, or its class where it has none; its source is hashed anyway."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras about layers that could not be loaded again
            return model.to_json()
    except Exception:  # whatever a user's `get_config` raises
        return f"{type(model).__module__}.{type(model).__qualname__}"


def _laws_of_rules(init: Choice) -> list[Choice]:
    rules = getattr(init.settings, "rules", ())
    nodes = [node_of(rule.init, rule.settings) for rule in rules]
    laws = [node for node in nodes if node["name"] == "custom"]
    return [Choice("custom", choose(CATALOGUE, node, KEY)) for node in laws]


def _user_code(group: str, option: Choice) -> list[str]:
    """Returns a digest of each piece of source that the option `custom` runs."""
    path = getattr(option.settings, _USER_CODE[group], "") if option.name == "custom" else ""
    return _code_at(path)


def _code_at(path: str) -> list[str]:
    """Returns a digest of each piece of source that an import path leads to."""
    if (found := given.find(path)) is not None:
        return [found.digest]
    start = sys.modules.get(path.rpartition(".")[0])
    return [] if start is None else sorted(set(user_sources(start)))


def _package() -> Path:
    return Path(runner.__file__).resolve().parent


@functools.cache
def _versions() -> dict[str, str]:
    """Returns the versions that may change numbers; for `runner` that of its source too.

    A checkout keeps its version number while its code changes.
    """
    import keras
    import tensorflow as tf

    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    return versions | {"runner": _source(lambda place: place not in _TELLING)}


@functools.cache
def source_digest() -> str:
    """Returns a digest of all of `runner`'s source, 64 hexadecimal digits."""
    return _source(lambda place: True)


def _source(wanted: Callable[[str], bool]) -> str:
    """Returns a digest of those modules and packages of `runner` whose names are wanted."""
    source = hashlib.sha256()
    for file in sorted(_package().rglob("*.py")):
        path = file.relative_to(_package())
        if wanted(path.parts[0]):
            source.update(f"{path.as_posix()}\n".encode() + file.read_bytes())
    return source.hexdigest()
