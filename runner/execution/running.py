"""Runs a task, anywhere: measures, holds the gate, trains, writes checkpoints, and yields events.

It goes on from its checkpoint where there is one. If memory runs out it is split and both halves
are tried; if it fails otherwise, those of its replicates that were under way fail with it.
"""

import logging
from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.events import Measured, ReplicateEnded, Restarted, Resumed, TaskEvent
from runner.execution import checkpoints
from runner.execution.checkpoints import Checkpoint, CheckpointWriter, MemberKey, member_key
from runner.execution.cohorts import DrawTimes, EngineEvent, cohort_of, engine
from runner.execution.diagnostics import Diagnoses, Diagnostician, requirement_errors
from runner.execution.logs import about
from runner.execution.plan import Task
from runner.execution.preflight import Ready
from runner.execution.saving import Saver
from runner.execution.under_way import UnderWay
from runner.imports import told
from runner.interruption import deferred, is_asked
from runner.plan import Key
from runner.records import PropagationRecord
from runner.training.cohort import Cohort
from runner.training.exhaustion import is_out_of_memory

log = logging.getLogger(__name__)


class TrainingError(Exception):
    """An engine raised; the reason is the exception's cause."""


@dataclass(frozen=True)
class _Work:
    """Replicates of a task that are trained as one cohort.

    Attributes:
      keys: The replicates.
      path: Where its checkpoints are kept; None for nowhere.
      checkpoint: Where they go on, or None to start from the beginning.
    """

    keys: Sequence[Key]
    path: Path | None
    checkpoint: Checkpoint | None = None


def run_task(
    task: Task, ready: Mapping[int, Ready], diagnostician: Diagnostician, folder: Path | None
) -> Iterator[TaskEvent]:
    """Trains the replicates of a task; yields what happens.

    Args:
      task: The task.
      ready: Its configurations, by their numbers.
      diagnostician: Measures before training.
      folder: The sweep's folder, where checkpoints are kept and found; None if there is none that
        the next attempt can see.

    Raises:
      KeyboardInterrupt: Interrupted; a checkpoint of what was under way has been written.
    """
    running = _Running(task, ready, diagnostician)
    with about(key.configuration for key in task.keys):
        yield from running.run(folder)


class _Running:
    """A task under way.

    Attributes:
      under_way: Steps and curves of the replicates under way.
      ended: The replicates that have ended.
    """

    def __init__(
        self, task: Task, ready: Mapping[int, Ready], diagnostician: Diagnostician
    ) -> None:
        self.task = task
        self.ready = ready
        self.diagnostician = diagnostician
        self.under_way = UnderWay()
        self.ended: set[Key] = set()
        self.saver = Saver(None, ready)
        self.draw_times = DrawTimes()

    def run(self, folder: Path | None) -> Iterator[TaskEvent]:
        """Trains everything, in as many parts as it takes."""
        path = None if folder is None else checkpoints.path_of(folder, self.task.name)
        self.saver.folder = folder
        waiting = deque(self._works(path))
        while waiting:
            if is_asked():
                raise KeyboardInterrupt
            rest = yield from self._train(waiting.popleft())
            waiting.extendleft(reversed(rest))

    def _works(self, path: Path | None) -> list[_Work]:
        """Returns what is to be trained, from where an earlier attempt or command has come to.

        What had ended before that has been told.
        """
        paths = [path, Path(self.task.checkpoint) if self.task.checkpoint else None]
        names = {key: self._member(key) for key in self.task.keys}
        for each in paths:
            found = checkpoints.read(each) if each is not None and each.exists() else None
            if found is not None and found.curves.keys() & {*names.values()}:
                members = {*found.members}
                covered = [key for key, name in names.items() if name in members]
                self.ended = {key for key in covered if names[key] not in found.curves}
                rest = [key for key, name in names.items() if name not in members]
                return [_Work(covered, path, found), *([_Work(rest, path)] if rest else [])]
        return [_Work(self.task.keys, path)]

    def _train(self, work: _Work) -> Generator[TaskEvent, None, list[_Work]]:
        """Trains replicates together; returns what has to be tried again in another way."""
        try:
            yield from self._run(work)
        except TrainingError as error:
            # Only the text is kept: the exception holds on to the memory of the engine.
            cause = error.__cause__ or error
            reason, memory = told(cause), is_out_of_memory(cause)
            log.debug("The engine raised.", exc_info=error)
        else:
            self._discard(work)
            return []
        left = [key for key in work.keys if key not in self.ended]
        if work.checkpoint is not None:
            log.warning("The checkpoint %s cannot be used (%s).", work.checkpoint.path, reason)
            yield self._noted(Restarted(tuple(left)))
            return [_Work(left, work.path)]
        if memory and len(left) > 1:
            half = len(left) - len(left) // 2
            parts = left[:half], left[half:]
            sizes = (len(left), *map(len, parts))
            log.warning("Out of memory with %d replicates at once; trying %d and %d.", *sizes)
            yield self._noted(Restarted(tuple(left)))
            return [_Work(part, work.path) for part in parts]
        for key in left:
            yield self._noted(ReplicateEnded(key, "failed", error=reason))
        return []

    def _run(self, work: _Work) -> Iterator[TaskEvent]:
        """Gives the replicates to their engine."""
        items = list(
            {key.configuration: self.ready[key.configuration] for key in work.keys}.values()
        )
        cohort, members = self._cohort(work)
        found, cohort = self.diagnostician.diagnose(items, self.draw_times.watching(cohort))
        yield from _measured(cohort, found)
        if work.checkpoint is None:
            errors = _turned_away(items, cohort, found)
            cohort, members = _without(errors, cohort, members)
            for key in work.keys:
                if key.configuration in errors:
                    reason = f"Not trained: {errors[key.configuration]}"
                    yield self._noted(ReplicateEnded(key, "failed", error=reason))
            if not cohort.members:
                return
        else:
            going_on = [key for key in work.keys if key not in self.ended]
            log_args = (work.checkpoint.epoch, len(going_on), work.checkpoint.path)
            log.info("Going on after epoch %d with %d replicates, from %s", *log_args)
            for key in going_on:
                yield self._noted(Resumed(key, *work.checkpoint.curves[self._member(key)]))
        writer = CheckpointWriter(
            task=self.task.name,
            path=work.path,
            every_s=cohort.training.checkpoint_every_s,
            members=members,
            rates=[member.learning_rate for member in cohort.members],
            curves=lambda: {self._member(key): told for key, told in self.under_way.items()},
            replaces=_replaced(work),
        )
        train = engine(items[0].configuration.engine)
        # An interruption waits until the engine pauses between epochs, or nothing is under way.
        with deferred("Stopping after this epoch. To stop at once, interrupt again."):
            watched = self.saver.watching(replace(cohort, at_pause=writer))
            for event in _from_engine(train(watched)):
                yield from self.saver.written()
                yield self._noted(event)
                yield from writer.written()
                if is_asked() and not self.under_way:
                    return

    def _noted(self, event: TaskEvent) -> TaskEvent:
        """Returns an event, after it has been taken account of."""
        self.under_way.take(event)
        if isinstance(event, ReplicateEnded):
            self.ended.add(event.key)
            return replace(event, draw_time_s=self.draw_times.of(event.key))
        return event

    def _member(self, key: Key) -> MemberKey:
        return member_key(self.ready[key.configuration].record.identity, key.replicate)

    def _discard(self, work: _Work) -> None:
        for path in (work.path, _replaced(work)):
            if path is not None:
                checkpoints.discard(path)

    def _cohort(self, work: _Work) -> tuple[Cohort, list[MemberKey]]:
        """Returns what the engine is given, and the name of each member in a checkpoint.

        In a program that goes on there may be members that nobody wants any more; anybody's weights
        do for them, because they are frozen.
        """
        own = {self._member(key): key for key in work.keys}
        pairs = [(self.ready[key.configuration], key.replicate) for key in work.keys]
        cohort = replace(cohort_of(pairs), room=self.task.room)
        if work.checkpoint is None:
            return cohort, list(own)
        made = dict(zip(own, cohort.members, strict=True))
        filler = replace(cohort.members[0], key=None)
        members = [
            made.get(name) or replace(filler, batch_seed=name[2], learning_rate=rate)
            for name, rate in zip(work.checkpoint.members, work.checkpoint.rates, strict=True)
        ]
        wanted = [own.get(name) not in self.ended | {None} for name in work.checkpoint.members]
        try:
            snapshot = work.checkpoint.snapshot(wanted)
        except Exception as error:  # a damaged archive raises almost anything
            raise TrainingError from error
        return replace(cohort, members=members, resume=snapshot), list(work.checkpoint.members)


def _measured(cohort: Cohort, found: Diagnoses) -> Iterator[Measured]:
    """Yields what was measured, of each configuration together."""
    own: dict[int, list[tuple[Key, PropagationRecord]]] = {}
    for member, record in zip(cohort.members, found, strict=True):
        if member.key is not None and record is not None:
            own.setdefault(member.key.configuration, []).append((member.key, record))
    for index, pairs in own.items():
        yield Measured(index, *zip(*pairs, strict=True))


def _turned_away(items: Sequence[Ready], cohort: Cohort, found: Diagnoses) -> dict[int, str]:
    """Returns why `diagnostics.require` turns configurations away.

    Where nothing is trained all come through: what is wrong with them is told at the end.
    """
    if not cohort.training.epochs:
        return {}
    measured = {event.configuration: event.records for event in _measured(cohort, found)}
    return requirement_errors(items, lambda index: measured.get(index, ()))


def _without(
    errors: Collection[int], cohort: Cohort, members: Sequence[MemberKey]
) -> tuple[Cohort, list[MemberKey]]:
    """Returns a cohort and its members' names without some configurations."""
    kept = [
        place
        for place, member in enumerate(cohort.members)
        if member.key is None or member.key.configuration not in errors
    ]
    left = replace(cohort, members=[cohort.members[place] for place in kept])
    return left, [members[place] for place in kept]


def _replaced(work: _Work) -> Path | None:
    """Returns the checkpoint that nobody else may want to go on from, if this work is from one."""
    if work.checkpoint is None or len(work.checkpoint.curves) > len(work.keys):
        return None
    return work.checkpoint.path


def _from_engine(events: Iterator[EngineEvent]) -> Iterator[EngineEvent]:
    """Yields the events; what their source raises becomes a `TrainingError`, to tell it apart."""
    while True:
        try:
            event = next(events)
        except StopIteration:
            return
        except Exception as error:
            raise TrainingError from error
        yield event
