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
