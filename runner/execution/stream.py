"""From an engine's stream to whole records and to the recorders."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.execution.logs import about
from runner.interruption import deferred, is_asked, take_up
from runner.plan import Replicate
from runner.recording.recorder import End, Recorder, Verdict
from runner.records import (
    ConfigurationRecord,
    Curves,
    EpochRecord,
    Outcome,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
)
from runner.report import tables

if TYPE_CHECKING:
    from runner.report import Comparison

Key = tuple[int, Replicate]
"""Number of the configuration and the replicate in it."""


class TrainingError(Exception):
    """An engine raised; the reason is the exception's cause."""


class Stream:
    """Hands every event to all recorders, in their order, and keeps the curves of what runs.

    Attributes:
      recorders: Who is told of everything.
      sweep: What they record.
      configurations: By their numbers.
      diagnoses: What was measured before training, of replicates that have not ended.
      running: Steps and curves of the replicates under way.
      ended: Configuration -> its replicates that have ended, in whichever status.
      endpoints: Configuration that has ended -> its numbers of `comparison.csv`.
    """

    def __init__(
        self,
        recorders: Sequence[Recorder],
        sweep: SweepRecord,
        configurations: Sequence[ConfigurationRecord],
    ) -> None:
        self.recorders = recorders
        self.sweep = sweep
        self.configurations = {record.index: record for record in configurations}
        self.diagnoses: dict[Key, PropagationRecord] = {}
        self.running: dict[Key, tuple[list[int], Curves]] = {}
        self.ended: dict[int, list[ReplicateRecord]] = {index: [] for index in self.configurations}
        self.endpoints: dict[int, Mapping[str, float]] = {}

    def open(self) -> None:
        """Starts the sweep; the refused configurations end at once."""
        try:
            with deferred():
                for recorder in self.recorders:
                    recorder.start_sweep(self.sweep, list(self.configurations.values()))
        except KeyboardInterrupt:
            take_up()
            self.close("interrupted", None)
            raise
        self._close_refused()

    def extend(self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]) -> None:
        """Adds another batch of configurations; those of it that were refused end at once.

        Args:
          sweep: The sweep's record as it is now.
          configurations: All so far, with what varies among them now.
        """
        changed = [r for r in configurations if r != self.configurations.get(r.index)]
        with deferred():
            for recorder in self.recorders:
                recorder.extend_sweep(sweep, changed)
            self.sweep = sweep
            self.configurations = {record.index: record for record in configurations}
            self.ended = {index: self.ended.get(index, []) for index in self.configurations}
            self._close_refused()

    def diagnosed(self, keys: Sequence[Any], records: Sequence[PropagationRecord | None]) -> None:
        """Hands on what was measured before training; it becomes part of the replicates' records.

        Args:
          keys: Of a cohort's replicates.
          records: Theirs, or None where nothing was measured.
        """
        found = {key: r for key, r in zip(keys, records, strict=True) if r is not None}
        self.diagnoses |= found
        for index in dict.fromkeys(index for index, _ in found):
            self._tell_measured(index, self.measured(index))

    def measured(self, index: int) -> list[PropagationRecord]:
        """Returns what was measured of the replicates of a configuration so far."""
        ended = [r.propagation for r in self.ended[index] if r.propagation is not None]
        return [*ended, *(r for key, r in self.diagnoses.items() if key[0] == index)]

    def consume(self, keys: Sequence[Any], events: Iterator[EpochRecord | Outcome]) -> None:
        """Records what an engine yields; `keys[i]` is the replicate at position i of its cohort.

        Positions that the engine says nothing of may have keys of another kind.

        An interruption waits until nothing is cut in two: until the engine pauses between epochs
        (`runner.execution.checkpoints`), or until none of its replicates is under way.

        Raises:
          TrainingError: The engine raised. What it had yielded is recorded.
        """
        with deferred("Stopping after this epoch. To stop at once, interrupt again."):
            for event in _from_engine(events):
                self._take(keys, event)
                if is_asked() and not self.running:
                    return

    def resume(self, key: Key, steps: Sequence[int], curves: Curves) -> None:
        """Tells the recorders of the epochs that a replicate had when it was interrupted."""
        with deferred():
            for epoch, step in enumerate(steps):
                metrics = {name: values[epoch] for name, values in curves.items()}
                self._epoch(key, epoch, step, metrics)

    def forget(self, keys: Iterable[Key]) -> None:
        """Takes back what was told of replicates under way, which begin anew."""
        for key in keys:
            self.running.pop(key, None)

    def fail(self, key: Key, error: str) -> None:
        """Ends a replicate that could not be trained."""
        with deferred():
            self._end(key, Outcome(replicate=0, status="failed", wall_time_s=0.0, error=error))

    def replay(self, records: Iterable[ReplicateRecord]) -> None:
        """Hands on replicates that ended elsewhere or earlier, from their records.

        What was measured of a configuration is told once: here if all of its replicates ended
        earlier, else with those that are yet to be trained.
        """
        by_configuration: dict[int, list[ReplicateRecord]] = {}
        for record in records:
            by_configuration.setdefault(record.configuration, []).append(record)
        for index, own in by_configuration.items():
            measured = [record.propagation for record in own if record.propagation is not None]
            if measured and len(own) == self.configurations[index].num_replicates:
                self._tell_measured(index, measured)
            for record in own:
                with deferred():
                    self._finish(record)

    def stop(self, end: End) -> None:
        """Ends what still runs as interrupted, and every configuration that has not ended."""
        for key in list(self.running):
            self._end(key, Outcome(replicate=0, status="interrupted", wall_time_s=0.0))
        for index in self.configurations:
            if index not in self.endpoints:
                self._close_configuration(index, end)

    def tell(self, comparison: "Comparison") -> None:
        """Hands on what the report says."""
        verdict = Verdict(comparison.description, comparison.ranks, comparison.outcomes)
        for recorder in self.recorders:
            recorder.tell(verdict)

    def close(self, end: End, folder: Path | None) -> None:
        """Ends the sweep, whose report lies in `folder`, for each recorder whatever one raises."""
        with ExitStack() as stack:
            for recorder in reversed(self.recorders):
                stack.callback(recorder.finish_sweep, end, folder)

    def ended_keys(self) -> set[Key]:
        """Returns the replicates that have ended, in whichever status."""
        return {
            (index, Replicate(record.weight_seed, record.batch_seed))
            for index, records in self.ended.items()
            for record in records
        }

    def failures(self) -> dict[int, str]:
        """Returns the first error of each configuration that has one."""
        errors = {index: record.error for index, record in self.configurations.items()}
        for index, records in self.ended.items():
            for record in records:
                errors[index] = errors[index] or record.error
        return {index: error for index, error in errors.items() if error}

    def _close_refused(self) -> None:
        for index, configuration in self.configurations.items():
            if configuration.error is not None and index not in self.endpoints:
                self._close_configuration(index, "failed")

    def _tell_measured(self, index: int, records: Sequence[PropagationRecord]) -> None:
        with deferred(), about([index]):
            for recorder in self.recorders:
                recorder.record_propagation(index, records)

    def _take(self, keys: Sequence[Key], event: EpochRecord | Outcome) -> None:
        if isinstance(event, Outcome):
            self._end(keys[event.replicate], event)
            return
        for row, position in enumerate(event.replicates):
            metrics = {name: float(values[row]) for name, values in event.metrics.items()}
            self._epoch(keys[position], event.epoch, event.step, metrics)

    def _begin(self, key: Key) -> tuple[list[int], Curves]:
        if key not in self.running:
            self.running[key] = ([], {})
            for recorder in self.recorders:
                recorder.start_replicate(*key)
        return self.running[key]

    def _epoch(self, key: Key, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        steps, curves = self._begin(key)
        steps.append(step)
        for name, value in metrics.items():
            curves.setdefault(name, []).append(value)
        for recorder in self.recorders:
            recorder.record_epoch(*key, epoch, step, metrics)

    def _end(self, key: Key, outcome: Outcome) -> None:
        steps, curves = self._begin(key)
        index, replicate = key
        record = ReplicateRecord(
            configuration=index,
            seed=replicate.seed,
            weight_seed=replicate.weight_seed,
            batch_seed=replicate.batch_seed,
            status=outcome.status,
            steps=steps,
            curves=curves,
            wall_time_s=outcome.wall_time_s,
            diverged_epoch=outcome.diverged_epoch,
            diverged_step=outcome.diverged_step,
            test=dict(outcome.test),
            movement=dict(outcome.movement),
            error=outcome.error,
            wall_time_shared=outcome.wall_time_shared,
            propagation=self.diagnoses.pop(key, None),
            identity=self.configurations[key[0]].identity,
        )
        del self.running[key]
        self._finish(record)

    def _finish(self, record: ReplicateRecord) -> None:
        index = record.configuration
        self.ended[index].append(record)
        with about([index]):
            for recorder in self.recorders:
                recorder.finish_replicate(record)
        if len(self.ended[index]) == self.configurations[index].num_replicates:
            self._close_configuration(index, "finished")

    def _close_configuration(self, index: int, end: End) -> None:
        configuration, ended = self.configurations[index], self.ended[index]
        statuses = {record.status for record in ended}
        if configuration.error or "failed" in statuses:
            end = "failed"
        elif "interrupted" in statuses:
            end = "interrupted"
        confidence = self.sweep.confidence
        endpoint = tables.endpoint_numbers(configuration, ended, confidence)
        self.endpoints[index] = endpoint
        summary = partial(tables.curve_summary, ended, confidence)
        with about([index]):
            for recorder in self.recorders:
                recorder.finish_configuration(index, end, summary, endpoint)


def _from_engine(
    events: Iterator[EpochRecord | Outcome],
) -> Iterator[EpochRecord | Outcome]:
    """Yields the events; what their source raises becomes a `TrainingError`, to tell it apart."""
    while True:
        try:
            event = next(events)
        except StopIteration:
            return
        except Exception as error:
            raise TrainingError from error
        yield event
