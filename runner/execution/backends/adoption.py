"""Tasks of an earlier command whose parent has died, or has left them, while their workers go on.

A worker writes what happens into the sweep's folder, whoever reads it. So a later command that
wants the same replicates follows the worker instead of starting another one. That works for every
cluster whose workers outlive the command and share its folder.
"""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from runner.config import ConfigError
from runner.events import (
    CheckpointWritten,
    EpochEnded,
    Heartbeat,
    Logged,
    Measured,
    ReplicateEnded,
    Restarted,
    Resumed,
    TaskEnded,
    TaskEvent,
    TaskStarted,
    WeightsWritten,
)
from runner.execution import folders, plan, reuse
from runner.execution.backends.frames import Follower, Frame
from runner.execution.backends.task_files import (
    Attempt,
    frames_file,
    read_task,
    task_folder,
)
from runner.execution.checkpoints import MemberKey, member_key, path_of
from runner.execution.plan import Plan, Planned, Task
from runner.locks import HeldError, hold
from runner.plan import Key
from runner.records import weights_file

log = logging.getLogger(__name__)

TASKS = "tasks"

# While it is locked, a command follows the tasks beside it.
_PARENT = "parent.json"

_held: dict[Path, int] = {}


@dataclass(frozen=True)
class Found:
    """A task of an earlier command.

    Attributes:
      frames: The file of the newest attempt at it, as `Task.adopted` names it.
      names: Those of its replicates that are wanted, in its order.
      earlier: The task.
      checkpoint: Where the next attempt at it goes on, if that is there by then.
    """

    frames: Path
    names: tuple[MemberKey, ...]
    earlier: Task
    checkpoint: Path

    def task(self, keys: tuple[Key, ...]) -> Task:
        """Returns the task that follows it, for replicates of another plan; it has no name yet."""
        return replace(
            self.earlier,
            name="",
            keys=keys,
            checkpoint=str(self.checkpoint),
            adopted=str(self.frames),
        )


@dataclass
class Adopted:
    """An attempt of an earlier command that is followed as one of this command's.

    Attributes:
      attempt: What it is called here.
      earlier: What it is called there.
      sweep: The id of the sweep there.
      keys: Key of a replicate there -> here, of those that are wanted.
      follower: Reads what it tells.
      left: Those that have not ended.
      is_ended: Whether nothing more comes of it.
    """

    attempt: Attempt
    earlier: Attempt
    sweep: str
    keys: Mapping[Key, Key]
    follower: Follower
    left: set[Key] = field(default_factory=set)
    is_ended: bool = False

    def __post_init__(self) -> None:
        self.left = set(self.keys.values())

    @property
    def log_file(self) -> Path:
        """What its process prints."""
        return self.follower.path.with_suffix(".log")

    def frames(self) -> Iterator[Frame]:
        """Yields what has come since, as if it were told of this sweep.

        It ends with the last replicate that is wanted.
        """
        for frame in self.follower.frames():
            if self.is_ended:
                return
            event = renamed(frame.event, self.attempt.task, self.keys)
            if isinstance(event, WeightsWritten) and isinstance(frame.event, WeightsWritten):
                event = replace(event, file=str(self._weights(frame.event)))
            yield Frame(*self.attempt, frame.number, event)
            if isinstance(event, ReplicateEnded) and event.status != "interrupted":
                self.left.discard(event.key)
            self.is_ended = not self.left or isinstance(event, TaskEnded)
            if self.is_ended and not isinstance(event, TaskEnded):
                yield Frame(*self.attempt, frame.number + 1, TaskEnded(self.attempt.task))

    def _weights(self, event: WeightsWritten) -> Path:
        """Returns where weights are: the earlier command may have taken them away, too."""
        folder, key = self.follower.path.parents[2].resolve(), event.key
        taken = weights_file(folder / str(key.configuration), key.replicate.key)
        return taken if taken.exists() else folder / event.file


def own(folder: Path) -> None:
    """Makes this process the one that follows the tasks of a sweep, until it ends.

    Raises:
      ConfigError: Another process does.
    """
    path = folder.resolve() / TASKS / _PARENT
    if path in _held:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _held[path] = hold(path)
    except HeldError as error:
        raise ConfigError(
            f"{folder} is being trained: {error}. Wait for that command or end it: what it has "
            "finished is not trained again. rerun=true trains everything a second time."
        ) from None


def release() -> None:
    """Lets another process follow what this one did."""
    while _held:
        os.close(_held.popitem()[1])


def find(
    root: Path,
    wanted: Collection[MemberKey],
    alive: Callable[[str], Collection[Attempt]],
    last: Collection[MemberKey] = (),
) -> Iterator[Found]:
    """Yields the tasks of earlier commands that have, or will have, replicates that are wanted.

    Of one whose worker is gone these are the replicates that came to their end after the command
    had died.

    Args:
      root: Folder of the sweeps.
      wanted: The replicates, none of which is on record.
      alive: Returns the attempts of a sweep, by its id, of which a worker waits or runs.
      last: Those of the replicates whose last weights are to be kept: a worker that does not keep
        them is not followed.

    Raises:
      ConfigError: Another command that lives follows one of them.
    """
    pending = set(wanted)
    read_plan = cache(plan.read)
    for place in folders.search(root, f"[0-9]*/*/{TASKS}/*/"):
        if not pending:
            return
        try:
            earlier = read_plan(place.parents[1])
            task = read_task(place.parents[1], place.name)
        except (OSError, ValueError) as error:
            log.debug("%s is not adopted.", place, exc_info=error)
            continue
        kept = {each.index for each in earlier.configurations if _keeps_last(each)}
        names = {
            key: name
            for key, name in _names(earlier, task).items()
            if name in pending and (name not in last or key.configuration in kept)
        }
        if not names:
            continue
        own(place.parents[1])
        found = _found(place.parents[1], task, names, alive(earlier.sweep))
        if found is not None:
            pending -= set(found.names)
            yield found


def adopted(task: Task, of: Plan) -> Adopted | None:
    """Returns the attempt of an earlier command that a planned task is to follow.

    Args:
      task: The task, whose `adopted` says which that is.
      of: Its plan.

    Returns:
      The attempt; None if there is none, or what there is of it cannot be read any more.
    """
    if task.adopted is None:
        return None
    path = Path(task.adopted)
    place, number = path.parent, int(path.stem)
    try:
        earlier = plan.read(place.parents[1])
        there = _names(earlier, read_task(place.parents[1], place.name))
    except (OSError, ValueError) as error:
        log.warning(
            "The job of %s cannot be followed (%s). Its task is trained again.", place, error
        )
        return None
    here = {name: key for key, name in _names(of, task).items()}
    return Adopted(
        attempt=Attempt(task.name, number),
        earlier=Attempt(place.name, number),
        sweep=earlier.sweep,
        keys={key: here[name] for key, name in there.items() if name in here},
        follower=Follower(path),
    )


def _names(of: Plan, task: Task) -> dict[Key, MemberKey]:
    """Returns what the replicates of a task are called among those of all commands."""
    identities = {planned.index: planned.identity for planned in of.configurations}
    return {
        key: member_key(identities[key.configuration], key.replicate)
        for key in task.keys
        if key.configuration in identities
    }


def _keeps_last(planned: Planned) -> bool:
    return planned.settings.get("training", {}).get("save") == "end"


def _found(
    folder: Path, task: Task, names: Mapping[Key, MemberKey], alive: Collection[Attempt]
) -> Found | None:
    """Returns what of a task can be followed; None if that is nothing."""
    place = task_folder(folder, task.name)
    told = {int(path.stem) for path in place.glob("*.frames") if path.stem.isdecimal()}
    at_work = {attempt.number for attempt in alive if attempt.task == task.name}
    if not told | at_work:
        return None
    attempt = Attempt(task.name, max(told | at_work))
    path = frames_file(folder, attempt)
    if attempt.number not in at_work:
        ended = _ended(path)
        names = {key: name for key, name in names.items() if key in ended}
    if not names:
        return None
    return Found(path, tuple(names.values()), task, path_of(folder, task.name))


def _ended(path: Path) -> set[Key]:
    """Returns the replicates that came to their end in an attempt."""
    events = [frame.event for frame in Follower(path, patience_s=0.0).frames()]
    return {
        event.key
        for event in events
        if isinstance(event, ReplicateEnded) and event.status in reuse.ENDED
    }


def renamed(event: TaskEvent, task: str, keys: Mapping[Key, Key]) -> TaskEvent:
    """Returns an event of a task as one of another name, with the replicates that are wanted.

    Args:
      event: The event.
      task: The other name.
      keys: Key of a replicate in the event -> in the one that is returned.

    Returns:
      The event; a sign of life if it is about no replicate that is wanted.
    """
    configurations = {old.configuration: new.configuration for old, new in keys.items()}
    match event:
        case Measured(configuration, told, records):
            kept = {keys[key]: each for key, each in zip(told, records, strict=True) if key in keys}
            index = configurations.get(configuration)
            if index is not None and kept:
                return Measured(index, tuple(kept), tuple(kept.values()))
        case EpochEnded(told, epoch, step, metrics):
            places = {keys[key]: place for place, key in enumerate(told) if key in keys}
            if places:
                values = {
                    name: [each[place] for place in places.values()]
                    for name, each in metrics.items()
                }
                return EpochEnded(tuple(places), epoch, step, values)
        case Restarted(told):
            if left := tuple(keys[key] for key in told if key in keys):
                return Restarted(left)
        case Resumed() | ReplicateEnded() | WeightsWritten():
            if event.key in keys:
                return replace(event, key=keys[event.key])
        case Logged():
            about = tuple(configurations[i] for i in event.configurations if i in configurations)
            if about or not event.configurations:
                return replace(event, configurations=about)
        case TaskStarted() | TaskEnded() | CheckpointWritten() | Heartbeat():
            return replace(event, task=task)
    return Heartbeat(task)
