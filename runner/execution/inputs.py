"""Inputs that a user's model looks up, such as words: they are left as they are."""

import logging
from typing import Any

from runner import datasets
from runner.config import ConfigError
from runner.datasets.dataset import Dataset
from runner.plan import Configuration

log = logging.getLogger(__name__)


def as_looked_up(item: Configuration, dataset: Dataset, model: Any) -> Dataset:
    """Returns the data set with those inputs left as they are that the model looks up or decodes.

    Raises:
      ConfigError: They are to be standardized, or a table has no row for one of their numbers.
    """
    if item.model.name != "custom":
        return dataset
    from runner.models import lookups

    choice, found = item.dataset, lookups.find(model, dataset.input_shape)
    if choice.settings.standardize and found and found.features:
        raise ConfigError(
            f"`dataset.standardize` must be null or false for this model, because {found.reason}. "
            "Received: true."
        )
    is_free = choice.settings.standardize is None
    spared = set(found.features) if found else set()
    if found and is_free:
        spared |= set(found.codes) & set(dataset.whole)
    if is_free and (others := set(dataset.whole) - spared):
        log.info(
            "%s: %s whole numbers, and are standardized. If your model takes them for codes, set "
            "`dataset.standardize=false`.",
            item.model.label,
            _inputs(len(others), dataset),
        )
    if found is None or not spared:
        return dataset
    is_all = len(found.features) == dataset.input_shape[-1]
    integers = is_all and lookups.takes_integers(model, dataset.input_shape)
    left = dataset
    if not dataset.vocabulary:
        left = datasets.load(choice.name, choice.settings, sorted(spared), integers)
    parts = [part.x for part in (left.train, left.validation, left.test) if part is not None]
    if missing := found.missing(parts):
        raise ConfigError(
            f"`model.function` must return a model with a row for each number that it looks up. "
            f"Received: {missing}."
        )
    if fraction := found.fraction(parts):
        log.warning("%s: %s; `dataset` has numbers that are not whole.", item.model.label, fraction)
    reason = found.reason
    if is_free and not found.features:
        reason += " (`dataset.standardize=true` standardizes them all the same)"
    inputs = _inputs(len(spared), dataset)
    log.info("%s: %s not standardized, because %s.", item.model.label, inputs, reason)
    return left


def _inputs(num: int, dataset: Dataset) -> str:
    total = dataset.input_shape[-1]
    return "inputs are" if num == total else f"{num} of {total} inputs are"
