"""From configurations to cohorts: what can be trained together is."""

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from runner.events import EpochEnded, ReplicateEnded
from runner.execution.preflight import Ready
from runner.plan import Key, Replicate

if TYPE_CHECKING:
    from runner.training.cohort import Cohort

Pair = tuple[Ready, Replicate]
"""A replicate that is to be trained, and its configuration."""

EngineEvent = EpochEnded | ReplicateEnded

# Name of the engine -> its module, which brings TensorFlow along.
_MODULES = {"vectorized": "runner.training.vectorized", "keras": "runner.training.reference"}


def cohorts(ready: Sequence[Ready]) -> list[list[Ready]]:
    """Groups the configurations that differ only in initializer, seeds and learning rate.

    A custom optimizer may do anything with its learning rate, so it has a group for each.

    Those of which nothing is left to train are in no group.
    """
    groups: dict[str, list[Ready]] = {}
    for item in ready:
        if not item.replicates:
            continue
        c = item.configuration
        optimizer = c.optimizer.settings
        if optimizer.mixes_rates:
            optimizer = dataclasses.replace(optimizer, learning_rate=1.0)
        shared = (c.dataset, c.model, c.optimizer.name, optimizer, c.training, c.engine)
        groups.setdefault(repr((*shared, item.device)), []).append(item)
    return list(groups.values())


def pairs_of(items: Sequence[Ready]) -> list[Pair]:
    """Returns the replicates that are to be trained of a group."""
    return [(item, replicate) for item in items for replicate in item.replicates]


def cohort_of(pairs: Sequence[Pair]) -> "Cohort":
    """Returns what an engine is given to train replicates of one group."""
    from runner.training.cohort import Cohort, Member

    members = [
        Member(
            draw=partial(item.drawer.draw, replicate.weight_seed),
            batch_seed=replicate.batch_seed,
            learning_rate=item.configuration.optimizer.settings.learning_rate,
            key=Key.of(item.record.index, replicate),
        )
        for item, replicate in pairs
    ]
    first, _ = pairs[0]
    return Cohort(
        model=first.model,
        dataset=first.dataset,
        optimizer=first.configuration.optimizer,
        training=first.configuration.training,
        device=first.device,
        members=members,
    )


def engine(name: str) -> "Callable[[Cohort], Iterator[EngineEvent]]":
    """Returns the function that trains a cohort."""
    return importlib.import_module(_MODULES[name]).train
