"""From the events of tasks to whole records, and on to the recorders.

Whatever trains, resumes, replays or sends a sweep hands its events to a `Collector`. It is the only
one that makes records, and it tells every recorder of everything, the disk first.
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from runner.events import (
    Concluded,
    ConfigurationEnded,
    End,
    EpochEnded,
    Event,
    Judged,
    Logged,
    Measured,
    ReplicateEnded,
    ReplicateRecorded,
    Restarted,
    Resumed,
    SweepEnded,
    SweepPlanned,
    TaskEvent,
    WeightsWritten,
)
from runner.execution.logs import about
from runner.execution.under_way import UnderWay, without
from runner.interruption import deferred, take_up
from runner.plan import Key
from runner.propagation.tables import opinion
from runner.recording.recorder import Recorder
from runner.records import ConfigurationRecord, PropagationRecord, ReplicateRecord, SweepRecord
from runner.report import tables
from runner.report.render.markdown import description

if TYPE_CHECKING:
    from runner.report import Comparison

log = logging.getLogger(__name__)


class Collector:
    """Takes the events of a sweep's tasks and tells all recorders what follows, in their order.

    Attributes:
      recorders: Who is told of everything.
      sweep: What they record; None until it is planned.
      configurations: By their numbers.
      under_way: Steps and curves of the replicates under way.
      measured: What was measured before training, of replicates that have not ended.
      ended: Configuration -> its replicates that have ended, in whichever status.
      endpoints: Configuration that has ended -> its numbers of `comparison.csv`.
      growing: Configurations that may get more replicates: they do not end with their last.
    """

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self.recorders = recorders
        self.sweep: SweepRecord | None = None
        self.configurations: dict[int, ConfigurationRecord] = {}
        self.under_way = UnderWay()
        self.measured: dict[Key, PropagationRecord] = {}
        self.ended: dict[int, dict[Key, ReplicateRecord]] = {}
        self.endpoints: dict[int, Mapping[str, float]] = {}
        self.growing: frozenset[int] = frozenset()
        self._ended_keys: set[Key] = set()
        self._judged: set[int] = set()

    def plan(
        self,
        sweep: SweepRecord,
        configurations: Sequence[ConfigurationRecord],
        num_epochs: int = 0,
        growing: Iterable[int] = (),
    ) -> None:
        """Begins the sweep, or goes on with another round; the refused configurations end at once.

        Args:
          sweep: Its record as it is now.
          configurations: All so far, with what varies among them now.
          num_epochs: See `SweepPlanned`.
          growing: Configurations that may get more replicates in a further round.
        """
        is_first = self.sweep is None
        try:
            with deferred():
                self._tell(SweepPlanned(sweep, tuple(configurations), num_epochs))
                self.sweep = sweep
                self.configurations = {record.index: record for record in configurations}
                self.ended = {index: self.ended.get(index, {}) for index in self.configurations}
                self.growing = frozenset(growing)
        except KeyboardInterrupt:
            if is_first:
                take_up()
                self.close("interrupted", None)
            raise
        with deferred():
            for index, record in self.configurations.items():
                if record.error is not None and index not in self.endpoints:
                    self._end_configuration(index, "failed")

    def take(self, event: TaskEvent) -> None:
        """Takes account of an event of a task.

        What is told of a replicate that has ended already, by another attempt at its task, is left
        aside.
        """
        with deferred():
            match event:
                case Measured():
                    self._measured(event)
                case EpochEnded():
                    if own := without(event, self._ended_keys):
                        self._note(own)
                case Resumed(key=key):
                    if key not in self._ended_keys:
                        self._note(event)
                case WeightsWritten(key=key):
                    if key not in self._ended_keys:
                        self._tell(event)
                case Restarted():
                    self._note(event)
                case ReplicateEnded(key=key):
                    if key not in self._ended_keys:
                        self._end(event)
                case Logged():
                    with about(event.configurations):
                        log.log(event.level, "%s", event.text)
                case _:
                    self._tell(event)

    def fail(self, key: Key, error: str) -> None:
        """Ends a replicate that could not be trained."""
        self.take(ReplicateEnded(key, "failed", error=error))

    def replay(self, records: Iterable[ReplicateRecord]) -> None:
        """Takes replicates that ended elsewhere or earlier, from their records.

        What was measured of a configuration is told once: here if all of its replicates ended
        earlier, else with those that are yet to be trained.
        """
        by_configuration: dict[int, list[ReplicateRecord]] = {}
        for record in records:
            by_configuration.setdefault(record.configuration, []).append(record)
        for index, own in by_configuration.items():
            measured = self.propagation(index)
            measured += [record.propagation for record in own if record.propagation is not None]
            num_ended = len(self.ended[index]) + len(own)
            if measured and num_ended == self.configurations[index].num_replicates:
                with deferred():
                    self._judge(index, measured)
            for record in own:
                with deferred():
                    self._finish(record)

    def settle(self, indices: Iterable[int]) -> None:
        """Ends configurations that get no more replicates."""
        settled = self.growing.intersection(indices)
        self.growing -= settled
        for index in sorted(settled):
            with deferred():
                self._end_if_complete(index)

    def stop(self, end: End) -> None:
        """Ends what is under way as interrupted, and every configuration that has not ended."""
        for key in list(self.under_way):
            self._end(ReplicateEnded(key, "interrupted"))
        for index in self.configurations:
            if index not in self.endpoints:
                self._end_configuration(index, end)

    def conclude(self, comparison: "Comparison") -> None:
        """Hands on what the report says."""
        self._tell(Concluded(description(comparison), comparison.ranks, comparison.outcomes))

    def close(self, end: End, folder: Path | None) -> None:
        """Ends the sweep, whose report lies in `folder`, for each recorder whatever one raises."""
        event = SweepEnded(end, None if folder is None else str(folder))
        with ExitStack() as stack:
            for recorder in reversed(self.recorders):
                stack.callback(recorder.take, event)

    def records(self) -> list[ReplicateRecord]:
        """Returns the records of all replicates that have ended."""
        return [record for own in self.ended.values() for record in own.values()]

    def propagation(self, index: int) -> list[PropagationRecord]:
        """Returns what was measured of the replicates of a configuration so far."""
        ended = [r.propagation for r in self.ended[index].values() if r.propagation is not None]
        return [*ended, *(r for key, r in self.measured.items() if key.configuration == index)]

    def failures(self) -> dict[int, str]:
        """Returns the first error of each configuration that has one."""
        errors = {index: record.error for index, record in self.configurations.items()}
        for record in self.records():
            errors[record.configuration] = errors[record.configuration] or record.error
        return {index: error for index, error in errors.items() if error}

    def _tell(self, event: Event) -> None:
        for recorder in self.recorders:
            recorder.take(event)

    def _note(self, event: EpochEnded | Resumed | Restarted) -> None:
        self.under_way.take(event)
        self._tell(event)

    def _measured(self, event: Measured) -> None:
        found = zip(event.keys, event.records, strict=True)
        new = {
            key: record
            for key, record in found
            if key not in self._ended_keys and self.measured.get(key) != record
        }
        if new:
            self.measured |= new
            self._judge(event.configuration, self.propagation(event.configuration))

    def _judge(self, index: int, records: Sequence[PropagationRecord]) -> None:
        self._judged.add(index)
        with about([index]):
            found = opinion(self.configurations[index], records)
            verdict = found.verdict
            self._tell(Judged(index, tuple(records), verdict.name, verdict.reason, found.advice))

    def _end(self, event: ReplicateEnded) -> None:
        steps, curves = self.under_way.get(event.key, ([], {}))
        index, replicate = event.key.configuration, event.key.replicate
        self.under_way.take(event)
        self._finish(
            ReplicateRecord(
                configuration=index,
                seed=replicate.seed,
                weight_seed=replicate.weight_seed,
                batch_seed=replicate.batch_seed,
                status=event.status,
                steps=steps,
                curves=curves,
                wall_time_s=event.wall_time_s,
                diverged_epoch=event.diverged_epoch,
                diverged_step=event.diverged_step,
                test=dict(event.test),
                movement=dict(event.movement),
                error=event.error,
                wall_time_shared=event.wall_time_shared,
                draw_time_s=event.draw_time_s,
                stopped_epoch=event.stopped_epoch,
                propagation=self.measured.pop(event.key, None),
                identity=self.configurations[index].identity,
            )
        )

    def _finish(self, record: ReplicateRecord) -> None:
        index = record.configuration
        key = Key(index, record.weight_seed, record.batch_seed)
        self.ended[index][key] = record
        self._ended_keys.add(key)
        with about([index]):
            self._tell(ReplicateRecorded(record))
        self._end_if_complete(index)

    def _end_if_complete(self, index: int) -> None:
        is_complete = len(self.ended[index]) == self.configurations[index].num_replicates
        if is_complete and index not in self.growing:
            self._end_configuration(index, "finished")

    def _end_configuration(self, index: int, end: End) -> None:
        configuration, ended = self.configurations[index], list(self.ended[index].values())
        if index not in self._judged and (measured := self.propagation(index)):
            self._judge(index, measured)
        statuses = {record.status for record in ended}
        if configuration.error or "failed" in statuses:
            end = "failed"
        elif "interrupted" in statuses:
            end = "interrupted"
        assert self.sweep is not None, "a sweep that was planned"
        endpoint = tables.endpoint_numbers(configuration, ended, self.sweep.confidence)
        self.endpoints[index] = endpoint
        existing = {name: value for name, value in endpoint.items() if math.isfinite(value)}
        with about([index]):
            self._tell(ConfigurationEnded(index, end, existing))
