"""Diagnoses the replicates of a cohort before they are trained, and holds the gate."""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.config import abridged
from runner.execution.cohorts import Pair, cohort_of
from runner.execution.identity import measuring_key
from runner.execution.logs import about
from runner.execution.preflight import Ready
from runner.imports import told
from runner.interruption import check
from runner.plan import Replicate
from runner.propagation.advice import advice
from runner.propagation.judgement import judge
from runner.propagation.settings import Diagnostics
from runner.records import PropagationRecord, ReplicateRecord
from runner.terminal import DETAIL
from runner.training.programs import building

if TYPE_CHECKING:
    from runner.propagation.diagnosis import Examination
    from runner.training.cohort import Cohort

log = logging.getLogger(__name__)

# Weights drawn for the diagnosis are kept for the training up to this size; others are drawn again.
_KEPT_BYTES = 2**30
# A line names no more initializers.
_MAX_NAMED = 4

Diagnoses = list[PropagationRecord | None]
"""One of each member of a cohort; None where nothing was measured."""


class Diagnostician:
    """Diagnoses cohorts; what was compiled for a model is kept for the next one."""

    def __init__(self) -> None:
        self._given: dict[int, tuple[int, int]] = {}
        self._reasons: set[str] = set()

    def diagnose(self, items: Sequence[Ready], cohort: "Cohort") -> "tuple[Diagnoses, Cohort]":
        """Returns what was measured of each member, and the cohort without drawing anything twice.

        A model that cannot be measured is trained all the same; a warning names it.

        Args:
          items: The configurations of the cohort.
          cohort: What is going to be trained; members without a key are not measured.
        """
        from runner.training.precision import computing_in

        found: Diagnoses = [None] * len(cohort.members)
        kept = _Kept()
        unmeasured: dict[str, list[Ready]] = {}
        for item in items:
            settings = item.configuration.diagnostics
            if not isinstance(settings, Diagnostics):
                continue
            positions = [
                place
                for place, member in enumerate(cohort.members)
                if member.key and member.key.configuration == item.record.index
            ]
            drawn: list[int] = []
            try:
                with building, computing_in(cohort.training.precision):
                    examination = self._examination(item, settings)
                    weights = kept.draws(cohort, positions, drawn)
                    records = _on_device(item.device, partial(examination.examine, weights))
            except Exception as error:  # diagnostics must not stand in the way of training
                check()  # it may come from an interruption that a library caught
                unmeasured.setdefault(told(error), []).append(item)
                continue
            for place, record in zip(drawn, records, strict=True):
                found[place] = dataclasses.replace(record, key=measuring_key(settings))
        for reason, some in unmeasured.items():
            self._warn(some, reason)
        return found, kept.spared(cohort)

    def _warn(self, items: Sequence[Ready], reason: str) -> None:
        """Names the configurations of a cohort that an error kept unmeasured; warns of it once."""
        level = DETAIL if reason in self._reasons else logging.WARNING
        self._reasons.add(reason)
        names = abridged([item.record.init for item in items], _MAX_NAMED)
        text = "%s, %s: the weights could not be checked before training: %s"
        with about(item.record.index for item in items):
            log.log(level, text, items[0].record.model, names, reason)

    def renewed(self, item: Ready) -> list[ReplicateRecord]:
        """Returns the reused replicates of a configuration, measured as its settings ask for.

        What was measured otherwise, or not at all, is measured anew: the weights that training
        started from are drawn again.
        """
        with about([item.record.index]):
            return self._renewed(item)

    def _renewed(self, item: Ready) -> list[ReplicateRecord]:
        records = list(item.reused)
        settings = item.configuration.diagnostics
        if not isinstance(settings, Diagnostics):
            return records
        key = measuring_key(settings)
        places = [
            place
            for place, record in enumerate(records)
            if record.propagation is None or record.propagation.key != key
        ]
        if not places:
            return records
        pairs: list[Pair] = [
            (item, Replicate(records[place].weight_seed, records[place].batch_seed))
            for place in places
        ]
        found, _ = self.diagnose([item], cohort_of(pairs))
        for place, propagation in zip(places, found, strict=True):
            if propagation is not None:
                records[place] = dataclasses.replace(records[place], propagation=propagation)
        return records

    def _examination(self, item: Ready, settings: Diagnostics) -> "Examination":
        from runner.propagation.diagnosis import Examination
        from runner.training import programs
        from runner.training.objective import Objective

        kernels = item.drawer.drawn
        drawn = tuple((k.position, k.path, k.product, k.gate, k.is_exact) for k in kernels)
        of = item.measured_key, item.device, type(settings), settings
        key = repr((*of, drawn, _shapes(item, settings)))

        def make() -> Examination:
            loss = Objective(item.model, item.dataset).loss
            return Examination(item.model, item.dataset, loss, settings, kernels)

        examination = _on_device(item.device, lambda: programs.kept(key, make))
        given = id(item.model), id(item.dataset)
        if self._given.get(id(examination)) != given:
            _on_device(item.device, partial(examination.take, item.model, item.dataset))
            self._given[id(examination)] = given
        return examination


def _shapes(item: Ready, settings: Diagnostics) -> str:
    """Returns shapes and types of the examples that a configuration is diagnosed on."""
    train = item.dataset.train
    rows = len(item.dataset.probe_rows(settings.examples))
    weight = [] if train.weight is None else [train.weight.shape[1:], train.weight.dtype]
    return repr([rows, item.dataset.input_shape, train.y.shape[1:], train.y.dtype, weight])


class _Kept:
    """Weights that were drawn and not yet used."""

    def __init__(self) -> None:
        self.weights: dict[int, list[np.ndarray]] = {}
        self.num_bytes = 0

    def draws(
        self, cohort: "Cohort", positions: Sequence[int], drawn: list[int]
    ) -> Iterator[list[np.ndarray]]:
        """Yields the weights of these members; notes in `drawn` those that could be drawn."""
        for position in positions:
            try:
                values = cohort.members[position].draw()
            except Exception:  # the engine will meet it again and record it
                continue
            size = sum(value.nbytes for value in values)
            if self.num_bytes + size <= _KEPT_BYTES:
                self.weights[position] = values
                self.num_bytes += size
            drawn.append(position)
            yield values

    def spared(self, cohort: "Cohort") -> "Cohort":
        """Returns the cohort whose members give the kept weights the first time."""
        members = [
            dataclasses.replace(member, draw=partial(self._take, position, member.draw))
            for position, member in enumerate(cohort.members)
        ]
        return dataclasses.replace(cohort, members=members)

    def _take(self, position: int, draw: Callable[[], list[np.ndarray]]) -> list[np.ndarray]:
        return self.weights.pop(position, None) or draw()


def _on_device(device: str, work: Callable[[], Any]) -> Any:
    import tensorflow as tf

    with tf.device(device):
        return work()


def requirement_errors(
    items: Iterable[Ready], measured: Callable[[int], Sequence[PropagationRecord]]
) -> dict[int, str]:
    """Returns why configurations do not have the verdict that `diagnostics.require` asks for.

    Args:
      items: The configurations.
      measured: Gives what was measured of the replicates of one of them, by its number.
    """
    errors = {}
    for item in items:
        settings, index = item.configuration.diagnostics, item.record.index
        if not isinstance(settings, Diagnostics) or settings.require is None:
            continue
        records = measured(index)
        if not records:
            errors[index] = (
                f"`diagnostics.require` asks for {settings.require}; {item.record.init} "
                f"({item.record.model}) could not be checked before training."
            )
            continue
        verdict = judge(records, settings)
        if verdict.name != settings.require:
            hint = advice(verdict, records, item.record.settings, item.record.kernels)
            errors[index] = (
                f"`diagnostics.require` asks for {settings.require}; {item.record.init} is "
                f"{verdict}. {hint}".strip()
            )
    return errors
