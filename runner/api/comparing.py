"""What stands behind `runner.compare`."""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from runner import report
from runner.api import data, objects
from runner.api.building import building
from runner.api.process import logged
from runner.api.settings import check_names, lines, merged
from runner.api.sweeping import as_value_errors, sweep, told
from runner.api.wording import Wording
from runner.config import ConfigError
from runner.execution import folders
from runner.terminal import DETAIL

if TYPE_CHECKING:
    from runner.report.notebook import Results

STORE = "data"
"""Folder below the results where data in memory are written."""

# Arguments that are settings, by the names of those.
_SETTINGS = {
    "init": "init",
    "seeds": "seeds",
    "epochs": "training.epochs",
    "optimizer": "optimizer",
    "batch_size": "training.batch_size",
}
_ARGUMENTS = (
    *("build", "x", "y", *_SETTINGS, "target", "sample_weight", "validation_data", "test_data"),
    "temporary",
)

# Until the process ends.
_temporary: list[tempfile.TemporaryDirectory] = []


@dataclass(frozen=True)
class Data:
    """What is trained on; see `runner.compare`."""

    x: Any
    y: Any
    target: str | None
    sample_weight: Any = None
    validation_data: Any = None
    test_data: Any = None


def compare(
    build: Any,
    given: Data,
    own: Mapping[str, Any],
    temporary: bool,
    settings: Mapping[str, Any],
    function: str = "compare",
) -> "Results":
    """See `runner.compare`.

    Args:
      build: See there.
      given: The data.
      own: What the arguments of `_SETTINGS` say.
      temporary: See there.
      settings: The other keywords.
      function: The name of the function that is called.
    """
    check_names(settings, function, _ARGUMENTS)
    with as_value_errors():
        if "model" in settings or "model.function" in settings:
            raise ConfigError("`model` must be left out: `build` says what is trained.")
        if not isinstance(temporary, bool):
            raise ConfigError.at("temporary", "true or false", temporary)
        every = merged(_as_settings(own), settings)
        command = told(function, {"build": build, **_told(given), **own}, settings)
        model = building(build, every.get("execution", "local") in ("local", ["local"]))
        root = _root(temporary)
        if temporary:
            every = {"tracking": "none", "hydra.sweep.dir": str(root / "sweep"), **every}
        every |= data.settings(
            root / STORE, **vars(given), given=every, input_names=model.input_names
        )
        typed = lines(model.settings | every)
    wording = _wording(given, own, every)
    verbose = every.get("verbose") is True
    level = DETAIL if function == "compare" else logging.WARNING
    with as_value_errors(wording):
        folder = sweep(typed, model.given, command, logged(verbose, level, wording))
        if folder is None:
            return cast("Results", None)
        return report.load(folder)


def _as_settings(own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what arguments say, by the names of settings."""
    found = {_SETTINGS[key]: value for key, value in own.items()}
    found["init"] = objects.initializers(found["init"])
    return found | objects.optimizer(found.get("optimizer"))


def _wording(given: Data, own: Mapping[str, Any], every: Mapping[str, Any]) -> Wording:
    """Returns how messages name what a call has given."""
    arguments = {_SETTINGS[key]: key for key, value in own.items() if value is not None}
    arguments |= {"model": "build", "model.function": "build"}
    if given.target is not None:
        arguments["dataset.target"] = "target"
    if given.sample_weight is not None:
        arguments["dataset.sample_weight"] = "sample_weight"
    if given.x is None:
        return Wording(arguments)
    targets = "" if given.target is not None else every.get("dataset.target", "y")
    return Wording(arguments, every["dataset.path"], targets)


def _root(temporary: bool) -> Path:
    """Returns where results and data lie."""
    if not temporary:
        return folders.ROOT
    _temporary.append(tempfile.TemporaryDirectory(prefix="runner-", ignore_cleanup_errors=True))
    return Path(_temporary[-1].name)


def _told(given: Data) -> dict[str, Any]:
    """Returns the data as the call is told."""
    found = {key: value for key, value in vars(given).items() if value is not None}
    return {key: _Name(key) if key != "target" else value for key, value in found.items()}


class _Name:
    """What a call names without saying what it is."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
