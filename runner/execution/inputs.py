"""Inputs that a user's model looks up, such as words: they are left as they are."""

import logging
from typing import Any

from runner import datasets
from runner.config import ConfigError
from runner.datasets.dataset import Dataset, Part
from runner.datasets.held import by_name
from runner.plan import Configuration

log = logging.getLogger(__name__)


def as_looked_up(item: Configuration, dataset: Dataset, model: Any) -> Dataset:
    """Returns the data set with those inputs left as they are that the model looks up or decodes.

    Raises:
      ConfigError: They are to be standardized, or a table has no row for one of their numbers.
    """
    if item.model.name != "custom":
        return dataset
    if isinstance(dataset.input_shape, dict):
        return _several(item, dataset, model)
    from runner.models import lookups

    found = lookups.find(model, dataset.input_shape)
    spared = _spared(item, found, dataset.whole, dataset.input_shape)
    if found is None or not spared:
        return dataset
    left = dataset
    if not dataset.vocabulary:
        integers = _stay_whole(found, model, dataset.input_shape)
        left = _loaded(item, spared, integers)
    _check(item, found, [part.x for part in _parts(left)])
    _tell(item, found, _inputs(len(spared), dataset.input_shape))
    return left


def _several(item: Configuration, dataset: Dataset, model: Any) -> Dataset:
    """As `as_looked_up`, of several inputs: each is looked at by itself."""
    from runner.models import lookups

    looked_up, integers, found = {}, {}, {}
    shapes: Any = dataset.input_shape
    whole: Any = dataset.whole
    for name, shape in shapes.items():
        one = lookups.OneInput(model, shapes, name)
        lookup = lookups.find(one, shape)
        spared = _spared(item, lookup, whole[name], shape, name)
        if lookup is not None and spared:
            found[name], looked_up[name] = lookup, spared
            integers[name] = _stay_whole(lookup, one, shape)
    if not found:
        return dataset
    left = _loaded(item, looked_up, integers)
    for name, lookup in found.items():
        _check(item, lookup, [by_name(part.x)[name] for part in _parts(left)])
        _tell(item, lookup, _inputs(len(looked_up[name]), shapes[name], name))
    return left


def _loaded(item: Configuration, looked_up: Any, integers: Any) -> Dataset:
    loaded = datasets.load(item.dataset.name, item.dataset.settings, looked_up, integers)
    return loaded.aimed(item.training.goal)


def _spared(
    item: Configuration, found: Any, whole: Any, shape: tuple[int, ...], name: str = ""
) -> list[int]:
    """Returns the positions of inputs that are left as they are, of one input."""
    standardize = item.dataset.settings.standardize
    if standardize and found and found.features:
        raise ConfigError(
            f"`dataset.standardize` must be null or false for this model, because {found.reason}. "
            "Received: true."
        )
    spared = set(found.features) if found else set()
    if standardize is None:
        spared |= set(found.codes) & set(whole) if found else set()
        if others := set(whole) - spared:
            log.info(
                "%s: %s whole numbers, and are standardized. If your model takes them for codes, "
                "set `dataset.standardize=false`.",
                item.model.label,
                _inputs(len(others), shape, name),
            )
    return sorted(spared)


def _stay_whole(found: Any, model: Any, shape: tuple[int, ...]) -> bool:
    from runner.models import lookups

    return len(found.features) == shape[-1] and lookups.takes_integers(model, shape)


def _parts(dataset: Dataset) -> list[Part]:
    return [part for part in (dataset.train, dataset.validation, dataset.test) if part is not None]


def _check(item: Configuration, found: Any, parts: list[Any]) -> None:
    """Checks that every table has a row for each number."""
    if missing := found.missing(parts):
        raise ConfigError(
            f"`model.function` must return a model with a row for each number that it looks up. "
            f"Received: {missing}."
        )
    if fraction := found.fraction(parts):
        log.warning("%s: %s; `dataset` has numbers that are not whole.", item.model.label, fraction)


def _tell(item: Configuration, found: Any, inputs: str) -> None:
    reason = found.reason
    if item.dataset.settings.standardize is None and not found.features:
        reason += " (`dataset.standardize=true` standardizes them all the same)"
    log.info("%s: %s not standardized, because %s.", item.model.label, inputs, reason)


def _inputs(num: int, shape: tuple[int, ...], name: str = "") -> str:
    total = shape[-1]
    which = f"inputs of {name!r}" if name else "inputs"
    return f"{which} are" if num == total else f"{num} of {total} {which} are"
