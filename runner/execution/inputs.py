"""Inputs that a user's model looks up, such as words: they are left as they are."""

import logging
from typing import Any

from runner import datasets
from runner.config import ConfigError
from runner.datasets.dataset import Dataset
from runner.plan import Configuration

log = logging.getLogger(__name__)


def as_looked_up(item: Configuration, dataset: Dataset, model: Any) -> Dataset:
    """Returns the data set with those inputs left as they are that the model looks up.

    Raises:
      ConfigError: They are to be standardized, or a table has no row for one of their numbers.
    """
    if item.model.name != "custom":
        return dataset
    from runner.models import lookups

    choice, found = item.dataset, lookups.find(model, dataset.input_shape)
    if found is None:
        return dataset
    if choice.settings.standardize:
        raise ConfigError(
            f"`dataset.standardize` must be null or false for this model, because {found.reason}. "
            "Received: true."
        )
    left = datasets.load(choice.name, choice.settings, found.features)
    parts = [part.x for part in (left.train, left.validation, left.test) if part is not None]
    if missing := found.missing(parts):
        raise ConfigError(
            f"`model.function` must return a model with a row for each number that it looks up. "
            f"Received: {missing}."
        )
    if fraction := found.fraction(parts):
        log.warning("%s: %s; `dataset` has numbers that are not whole.", item.model.label, fraction)
    num, total = len(found.features), dataset.input_shape[-1]
    inputs = "inputs are" if num == total else f"{num} of {total} inputs are"
    log.info("%s: %s not standardized, because %s.", item.model.label, inputs, found.reason)
    return left
