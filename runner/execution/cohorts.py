"""What an engine is given: replicates that can be trained together, as one cohort."""

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


def cohort_of(pairs: Sequence[Pair]) -> "Cohort":
    """Returns what an engine is given to train replicates of one group."""
    from runner.training.cohort import Cohort, Member

    seeds: dict[int, list[int]] = {}
    for item, replicate in pairs:
        seeds.setdefault(item.record.index, []).append(replicate.weight_seed)
    drawers = {item.record.index: item.drawer for item, _ in pairs}
    together = {index: drawer.together(seeds[index]) for index, drawer in drawers.items()}
    members = [
        Member(
            draw=partial(together[item.record.index], replicate.weight_seed),
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
