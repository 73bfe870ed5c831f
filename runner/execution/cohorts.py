"""What an engine is given: replicates that can be trained together, as one cohort."""

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from runner.events import EpochEnded, ReplicateEnded
from runner.execution.preflight import Ready
from runner.plan import Key, Replicate

if TYPE_CHECKING:
    import numpy as np

    from runner.training.cohort import Cohort, Member

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


class DrawTimes:
    """How long it took to draw the initial weights of replicates, each the first time."""

    def __init__(self) -> None:
        self._seconds: dict[Key, float] = {}

    def watching(self, cohort: "Cohort") -> "Cohort":
        """Returns a cohort whose draws are timed."""
        return replace(cohort, members=[self._watched(member) for member in cohort.members])

    def of(self, key: Key) -> float | None:
        """Returns the mean over those of its configuration that have been drawn so far.

        What draws all of them together does so when the first is asked for.
        """
        own = [s for each, s in self._seconds.items() if each.configuration == key.configuration]
        return sum(own) / len(own) if key in self._seconds else None

    def _watched(self, member: "Member") -> "Member":
        if member.key is None:
            return member
        return replace(member, draw=partial(self._drawn, member.key, member.draw))

    def _drawn(self, key: Key, draw: "Callable[[], list[np.ndarray]]") -> "list[np.ndarray]":
        began = time.perf_counter()
        values = draw()
        self._seconds.setdefault(key, time.perf_counter() - began)
        return values


def engine(name: str) -> "Callable[[Cohort], Iterator[EngineEvent]]":
    """Returns the function that trains a cohort."""
    return importlib.import_module(_MODULES[name]).train
