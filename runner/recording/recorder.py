"""What every recorder does with the stream of records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from runner.plan import Replicate
from runner.records import (
    ConfigurationRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
)

Summary = Callable[[], pd.DataFrame]
"""Returns a configuration's mean curves: columns `epoch, metric, mean, ci_low, ci_high` over the
finished replicates, without rows where there are none. Called only by who has a use for it."""

End = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True)
class Verdict:
    """What the report says of a sweep.

    Attributes:
      text: The verdict as Markdown.
      ranks: Configuration -> its place in its comparison, 1 is the best; only those with a score.
      outcomes: Configuration -> a word or two, such as `"worse"`.
    """

    text: str
    ranks: Mapping[int, int]
    outcomes: Mapping[int, str]


class Recorder:
    def take(self, event):
        from runner import events as e
        from runner.plan import Key

        if not hasattr(self, "_seen"):
            self._seen, self._begun, self._by = None, set(), {}
        match event:
            case e.SweepPlanned():
                first = self._seen is None
                if hasattr(self, "expect"):
                    self.expect(event.num_epochs)
                if first:
                    self._seen = {}
                    self.start_sweep(event.sweep, event.configurations)
                else:
                    changed = [r for r in event.configurations if r != self._seen.get(r.index)]
                    self.extend_sweep(event.sweep, changed)
                self._sweep = event.sweep
                self._seen = {r.index: r for r in event.configurations}
            case e.Judged():
                self.record_propagation(event.configuration, event.records)
            case e.EpochEnded():
                for place, key in enumerate(event.keys):
                    self._start(key)
                    metrics = {n: v[place] for n, v in event.metrics.items()}
                    self.record_epoch(
                        key.configuration, key.replicate, event.epoch, event.step, metrics
                    )
            case e.Resumed(key=key):
                self._start(key)
                for epoch, step in enumerate(event.steps):
                    metrics = {n: v[epoch] for n, v in event.curves.items()}
                    self.record_epoch(key.configuration, key.replicate, epoch, step, metrics)
            case e.Restarted():
                self._begun -= set(event.keys)
            case e.ReplicateRecorded(record=record):
                if record.reused_from is None:
                    self._start(Key(record.configuration, record.weight_seed, record.batch_seed))
                self._by.setdefault(record.configuration, []).append(record)
                self.finish_replicate(record)
            case e.ConfigurationEnded():
                from functools import partial

                from runner.report.tables import curve_summary

                summary = partial(
                    curve_summary, self._by.get(event.configuration, []), self._sweep.confidence
                )
                self.finish_configuration(event.configuration, event.end, summary, event.endpoint)
            case e.Concluded():
                self.tell(Verdict(event.text, event.ranks, event.outcomes))
            case e.SweepEnded():
                self.finish_sweep(event.end, None if event.folder is None else Path(event.folder))

    def _start(self, key):
        if key not in self._begun:
            self._begun.add(key)
            self.start_replicate(key.configuration, key.replicate)

    """Consumes records in the order in which they happen; never calls the engine.

    A sweep starts with its first configurations, others may follow; replicates of any of them run
    and end in any interleaving; configurations finish, then the sweep. `configuration` is always
    the number in `ConfigurationRecord.index`. A recorder that cannot write raises; the caller
    decides. What a recorder has no use for, it leaves as it is here: ignored.
    """

    def start_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Opens the sweep. `configurations` are the first, those that were refused included."""

    def extend_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Another batch: those that are new, and earlier ones whose factors are others now."""

    def record_propagation(self, configuration: int, records: Sequence[PropagationRecord]) -> None:
        """What was measured of a configuration's replicates before training, if anything was."""

    def start_replicate(self, configuration: int, replicate: Replicate) -> None:
        """A replicate begins."""

    def record_epoch(
        self,
        configuration: int,
        replicate: Replicate,
        epoch: int,
        step: int,
        metrics: Mapping[str, float],
    ) -> None:
        """One whole epoch of a replicate: finite values; epoch 0 is the untrained model."""

    def finish_replicate(self, record: ReplicateRecord) -> None:
        """A replicate has ended, in whichever status; the record repeats its whole curves."""

    def finish_configuration(
        self, configuration: int, end: End, summary: Summary, endpoint: Mapping[str, float]
    ) -> None:
        """All replicates of a configuration have ended.

        Args:
          configuration: Its number.
          end: `"failed"` if it was refused or any replicate failed.
          summary: Its mean curves.
          endpoint: The configuration's numbers of `comparison.csv`, by column name.
        """

    def tell(self, verdict: Verdict) -> None:
        """All configurations have ended and the report is written; the sweep ends after that."""

    def finish_sweep(self, end: End, folder: Path | None) -> None:
        """Everything has ended; `folder` holds the report's files, or None if there is none."""
