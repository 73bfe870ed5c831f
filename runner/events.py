"""What happens in a sweep, as values: everything that is recorded, shown or sent is one of these.

A task, wherever it runs, yields `TaskEvent`s; whoever collects them tells the recorders those, and
what follows from them: `SweepEvent`s. All are plain values: `to_json` and `from_json` carry them to
another process and back.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from runner.plan import Key
from runner.records import (
    ConfigurationRecord,
    Curves,
    PropagationRecord,
    ReplicateRecord,
    Status,
    SweepRecord,
)
from runner.validation import Count, Number, Seconds
from runner.validation import from_json as checked
from runner.validation import to_json as dumped

VERSION = 1
"""Of how events are written; a reader refuses others."""

End = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True)
class TaskStarted:
    """A worker has begun a task, at its start or where a checkpoint was.

    Attributes:
      task: Its name in the plan.
      attempt: Counted from 1. What earlier attempts told of replicates that have not ended does not
        count any more.
      environment: What the numbers depend on, by name: versions, processor, threads, device.
    """

    task: str
    attempt: Count
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """Replicates of a configuration were measured before training."""

    configuration: Count
    keys: tuple[Key, ...]
    records: tuple[PropagationRecord, ...]


@dataclass(frozen=True)
class Resumed:
    """A replicate goes on where a checkpoint was; these are its epochs until there."""

    key: Key
    steps: list[Count]
    curves: Curves


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of replicates that are trained together.

    Attributes:
      keys: The replicates that were alive at its end.
      epoch: 0 is the model before any training.
      step: Optimizer updates so far.
      metrics: Name -> a finite value for each of `keys`.
    """

    keys: tuple[Key, ...]
    epoch: Count
    step: Count
    metrics: Mapping[str, Sequence[Number]]


@dataclass(frozen=True)
class WeightsWritten:
    """Weights of a replicate that are to be kept lie in a file, which the collector takes away.

    Those of its end are told of before the end itself.

    Attributes:
      key: Which one.
      file: Where, from the folder of the sweep or absolute.
    """

    key: Key
    file: str


@dataclass(frozen=True)
class ReplicateEnded:
    """A replicate has come to an end.

    Attributes:
      key: Which one.
      status: How it ended.
      wall_time_s: Seconds spent on it; where `wall_time_shared`, the time of the program that
        trained it together with others, divided by their number.
      diverged_epoch: The epoch during which the loss became non-finite or too large.
      diverged_step: The first such optimizer step, counted from 1; 0 for the untrained model.
      stopped_epoch: The last epoch of one that early stopping ended; None where it ran to the end.
      test: Metrics on the test part after the last epoch, or of the best weights with early
        stopping, by their plain names ("loss"); empty where there is no such part.
      movement: Path of a trainable variable -> (rms before training, rms of its change).
      error: Why it failed.
      draw_time_s: Seconds that drawing its initial weights took; where the replicates of a
        configuration are drawn together, their time divided by their number.
    """

    key: Key
    status: Status
    wall_time_s: Seconds = 0.0
    diverged_epoch: Count | None = None
    diverged_step: Count | None = None
    test: Mapping[str, float | None] = field(default_factory=dict)
    movement: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    error: str | None = None
    wall_time_shared: bool = False
    draw_time_s: Seconds | None = None
    stopped_epoch: Count | None = None


@dataclass(frozen=True)
class Restarted:
    """Replicates under way begin anew: what was told of their epochs does not count any more."""

    keys: tuple[Key, ...]


@dataclass(frozen=True)
class CheckpointWritten:
    """A task can go on from the end of this epoch."""

    task: str
    epoch: Count


@dataclass(frozen=True)
class Logged:
    """A worker has something to tell people.

    Attributes:
      level: As of `logging`.
      text: One line.
      configurations: What it is about; empty for the sweep.
    """

    level: Count
    text: str
    configurations: tuple[Count, ...] = ()


@dataclass(frozen=True)
class Heartbeat:
    """A worker lives."""

    task: str


@dataclass(frozen=True)
class TaskEnded:
    """Nothing more comes from this attempt at a task.

    Attributes:
      task: Its name.
      end: `"interrupted"` where it can go on from a checkpoint, `"failed"` where it was refused.
      error: Why it was refused.
    """

    task: str
    end: End = "finished"
    error: str | None = None


TaskEvent = (
    TaskStarted
    | Measured
    | Resumed
    | EpochEnded
    | WeightsWritten
    | ReplicateEnded
    | Restarted
    | CheckpointWritten
    | Logged
    | Heartbeat
    | TaskEnded
)


@dataclass(frozen=True)
class SweepPlanned:
    """A sweep begins, or goes on with another batch or look.

    Attributes:
      sweep: Its record as it is now.
      configurations: All so far, those that were refused included.
      num_epochs: That are still to be trained, of all replicates together, without epoch 0.
    """

    sweep: SweepRecord
    configurations: tuple[ConfigurationRecord, ...]
    num_epochs: Count = 0


@dataclass(frozen=True)
class Judged:
    """What step 0 says of a configuration.

    Attributes:
      configuration: Its number.
      records: What was measured of its replicates so far.
      verdict: Such as `"healthy"`.
      reason: Why.
      advice: What to do about it; may be empty.
    """

    configuration: Count
    records: tuple[PropagationRecord, ...]
    verdict: str
    reason: str = ""
    advice: str = ""


@dataclass(frozen=True)
class ReplicateRecorded:
    """A replicate has ended, here or in an earlier command; the record has its whole curves."""

    record: ReplicateRecord


@dataclass(frozen=True)
class ConfigurationEnded:
    """All replicates of a configuration have ended.

    Attributes:
      configuration: Its number.
      end: `"failed"` if it was refused or any replicate failed.
      endpoint: The configuration's numbers of `comparison.csv`, by column name; those that exist.
    """

    configuration: Count
    end: End
    endpoint: Mapping[str, Number]


@dataclass(frozen=True)
class Concluded:
    """What the report says of a sweep, whose configurations have all ended.

    Attributes:
      text: The verdict as Markdown.
      ranks: Configuration -> its place in its comparison, 1 is the best; only those with a score.
      outcomes: Configuration -> a word or two, such as `"worse"`.
    """

    text: str
    ranks: Mapping[int, int]
    outcomes: Mapping[int, str]


@dataclass(frozen=True)
class SweepEnded:
    """Everything has ended.

    Attributes:
      end: How.
      folder: Holds the report's files; None if there is no report.
    """

    end: End
    folder: str | None = None


SweepEvent = SweepPlanned | Judged | ReplicateRecorded | ConfigurationEnded | Concluded | SweepEnded

Event = TaskEvent | SweepEvent

KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Event)}


# Numbers are parsed once, as the values of their event.
_WRITTEN = re.compile(rb'\{"version": (\d+), "event": "(\w+)", "value": (.*)\}', re.DOTALL)


def to_json(event: Event) -> bytes:
    """Returns an event as one line of JSON, without a line break."""
    kind = type(event).__name__.encode()
    return b'{"version": %d, "event": "%s", "value": %s}' % (VERSION, kind, dumped(event))


def from_json(content: bytes) -> Event:
    """Returns the event of `to_json`.

    Raises:
      ValueError: The content is none, or one of another version.
    """
    found = _WRITTEN.fullmatch(content)
    if found is None:
        raise ValueError("no event, as this runner writes them")
    version, name = int(found[1]), found[2].decode()
    if version != VERSION:
        raise ValueError(f"an event of version {version}; this runner reads version {VERSION}")
    if (kind := KINDS.get(name)) is None:
        raise ValueError(f"no event is called {name!r}")
    return checked(kind, found[3])
