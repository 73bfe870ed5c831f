"""What an engine is given: replicates that can be trained together, as one cohort."""

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from runner import compiled
from runner.events import EpochEnded, ReplicateEnded
from runner.execution.preflight import Ready
from runner.plan import Key, Replicate
from runner.training.programs import building

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
        program_key=first.program_key,
    )


class DrawTimes:
    """How long it took to draw the initial weights of replicates, each the first time.

    What draws several together does so when the first is asked for. So all replicates of a
    configuration are told the mean, where all were drawn before one of them had ended.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, dict[Key, float]] = {}
        self._asked: dict[int, set[Key]] = {}
        self._means: dict[int, float | None] = {}

    def watching(self, cohort: "Cohort") -> "Cohort":
        """Returns a cohort whose draws are timed."""
        for member in cohort.members:
            if member.key is not None:
                self._asked.setdefault(member.key.configuration, set()).add(member.key)
        return replace(cohort, members=[self._watched(member) for member in cohort.members])

    def of(self, key: Key) -> float | None:
        """Returns the seconds of a replicate that ends; None where it was not drawn."""
        own = self._seconds.get(key.configuration, {})
        if key not in own:
            return None
        if key.configuration not in self._means:
            is_whole = own.keys() == self._asked[key.configuration]
            self._means[key.configuration] = sum(own.values()) / len(own) if is_whole else None
        mean = self._means[key.configuration]
        return own[key] if mean is None else mean

    def _watched(self, member: "Member") -> "Member":
        if member.key is None:
            return member
        return replace(member, draw=partial(self._drawn, member.key, member.draw))

    def _drawn(self, key: Key, draw: "Callable[[], list[np.ndarray]]") -> "list[np.ndarray]":
        with building:
            began = time.perf_counter()
            values = draw()
            seconds = time.perf_counter() - began
        self._seconds.setdefault(key.configuration, {}).setdefault(key, seconds)
        return values


def engine(name: str) -> "Callable[[Cohort], Iterator[EngineEvent]]":
    """Returns the function that trains a cohort."""
    from runner.training.precision import in_precision

    train = importlib.import_module(_MODULES[name]).train

    def run(cohort: "Cohort") -> Iterator[EngineEvent]:
        try:
            yield from in_precision(cohort.training.precision, train(cohort))
        finally:
            compiled.write()

    return run
