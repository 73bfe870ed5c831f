"""Checkpoints: where a cohort is between two epochs, on disk, so that the same command goes on.

A checkpoint lies in its sweep's folder, `checkpoints/<task>.npz`, until its cohort has come to the
end. It holds the engine's snapshot, the keys of its members and the curves so far. A later
command takes up those of its members that it wants; the others stay in the program, frozen, because
the last bits of the numbers depend on the program's shape.
"""

import contextlib
import json
import logging
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.events import CheckpointWritten
from runner.execution import folders, reuse
from runner.files import MAX_BYTES, opened, replacing, unused
from runner.interruption import is_asked
from runner.plan import Replicate
from runner.records import Curves
from runner.validation import Count, Number, Seconds, fault, from_json

if TYPE_CHECKING:
    from runner.training.cohort import Snapshot

log = logging.getLogger(__name__)

MemberKey = tuple[str, Count, Count]
"""Identity of the configuration, seed of the weights, seed of the batches."""

# Writing a checkpoint takes at most one part in so many of the time.
_WRITING_SHARE = 20

_ABOUT = "about"

# A program has room for less than so many times its members.
_MAX_WIDTH = 8
# Whoever has not gone on for so long will not.
_KEPT_S = 30 * 24 * 3600.0


@dataclass(frozen=True)
class _About:
    """What a checkpoint says of its arrays.

    Attributes:
      epoch: The last whole epoch.
      seconds: Spent so far.
      program: What the engine's program was.
      members: All replicates of the program, in its order, and the learning rate of each.
      curves: Key, steps and curves of those that were under way.
    """

    epoch: Count
    seconds: Seconds
    program: dict[str, str | Count]
    members: list[MemberKey]
    rates: list[Number]
    curves: list[tuple[MemberKey, list[Count], Curves]]

    def fault(self) -> str:
        """Returns what does not hold of one that was read; empty if all does."""
        lengths = {len(steps) for _, steps, _ in self.curves}
        lengths |= {len(values) for *_, curves in self.curves for values in curves.values()}
        under_way = {key for key, *_ in self.curves}
        sizes = [value for value in self.program.values() if isinstance(value, int)]
        return fault(
            (len(self.rates) == len(self.members), "not one learning rate for each member"),
            (len(set(self.members)) == len(self.members), "a member is there twice"),
            (under_way <= set(self.members), "curves of what is no member"),
            (max(sizes, default=0) <= _MAX_WIDTH * len(self.members), "a program without members"),
            (lengths <= {self.epoch + 1}, "curves that do not end with its epoch"),
        )


@dataclass(frozen=True)
class Checkpoint:
    """What a file says of a cohort, without the arrays.

    Attributes:
      path: The file.
      epoch: The last whole epoch.
      members: All replicates of the program, in its order, and the learning rate of each.
      curves: Steps and curves of those that were under way, by key.
      seconds: Spent so far.
      program: What the engine's program was.
    """

    path: Path
    epoch: int
    members: list[MemberKey]
    rates: list[float]
    curves: dict[MemberKey, tuple[list[int], Curves]]
    seconds: float
    program: Mapping[str, Any]

    def snapshot(self, wanted: Sequence[bool]) -> "Snapshot":
        """Returns the engine's snapshot, in which only the `wanted` members are alive."""
        from runner.training.cohort import Snapshot

        with opened(self.path) as file, np.load(file, allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in arrays.files if name != _ABOUT}
        alive = [key in self.curves for key in self.members]
        return Snapshot(
            epoch=self.epoch,
            members=list(range(len(self.members))),
            alive=np.array(alive) & np.array(wanted),
            seconds=self.seconds,
            program=self.program,
            arrays=values,
        )


@dataclass
class CheckpointWriter:
    """Is called when an engine pauses: writes a checkpoint when one is due, and lets it end.

    Attributes:
      task: Name of the task that it is a checkpoint of.
      path: The file to write; None where none is kept.
      every_s: Seconds between two checkpoints.
      members: The name of each member of the cohort.
      rates: The learning rate of each.
      curves: Returns steps and curves of those that are under way.
      replaces: An earlier checkpoint, which nobody needs once there is a newer one.
    """

    task: str
    path: Path | None
    every_s: float
    members: Sequence[MemberKey]
    rates: Sequence[float]
    curves: Callable[[], Mapping[MemberKey, tuple[list[int], Curves]]]
    replaces: Path | None = None
    next_s: float = 0.0
    works: bool = True
    events: list[CheckpointWritten] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.next_s = time.monotonic() + self.every_s

    def __call__(self, take: "Callable[[], Snapshot]") -> None:
        """Writes a checkpoint if it is time, or if the command is to end; then ends it.

        Raises:
          KeyboardInterrupt: The command is to end.
        """
        stopping = is_asked()
        if self.path and self.works and (stopping or time.monotonic() >= self.next_s):
            began = time.monotonic()
            self._write(self.path, take())
            ended = time.monotonic()
            self.next_s = ended + max(self.every_s, _WRITING_SHARE * (ended - began))
        if stopping:
            raise KeyboardInterrupt

    def written(self) -> Iterator[CheckpointWritten]:
        """Yields what was written since, each once."""
        while self.events:
            yield self.events.pop(0)

    def _write(self, path: Path, snapshot: "Snapshot") -> None:
        members = [self.members[position] for position in snapshot.members]
        under_way = self.curves()
        about = _About(
            epoch=snapshot.epoch,
            seconds=snapshot.seconds,
            program=dict(snapshot.program),
            members=members,
            rates=[self.rates[position] for position in snapshot.members],
            curves=[
                (name, *under_way[name])
                for name, alive in zip(members, snapshot.alive, strict=True)
                if alive and name in under_way
            ],
        )
        text = json.dumps(asdict(about)).encode()
        arrays = {_ABOUT: np.frombuffer(text, np.uint8), **snapshot.arrays}
        try:
            with replacing(path) as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            if self.replaces is not None:
                discard(self.replaces)
        except OSError as error:
            self.works = False
            log.warning(
                "%s: no checkpoint can be written (%s). Training goes on.", path, error.strerror
            )
        else:
            self.events.append(CheckpointWritten(self.task, snapshot.epoch))


def path_of(folder: Path, task: str) -> Path:
    """Returns where the checkpoint of a task lies in the folder of its sweep."""
    return folder / "checkpoints" / f"{task}.npz"


def discard(path: Path) -> None:
    """Removes a checkpoint that nobody needs any more, and its folder with the last one."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there are others, or there was none
        path.parent.rmdir()


def find(root: Path, wanted: set[MemberKey]) -> list[Checkpoint]:
    """Returns the checkpoints below `root` with a replicate that is wanted, the farthest first."""
    paths = folders.search(root, "[0-9]*/*/checkpoints/*.npz")
    found = [checkpoint for path in paths if (checkpoint := read(path)) is not None]
    useful = [checkpoint for checkpoint in found if wanted & checkpoint.curves.keys()]
    return sorted(useful, key=lambda checkpoint: checkpoint.epoch, reverse=True)


def member_key(identity: str, replicate: Replicate) -> MemberKey:
    """Returns the key of a replicate among those of all commands."""
    return identity, replicate.weight_seed, replicate.batch_seed


def read(path: Path) -> Checkpoint | None:
    """Returns what a file says of its cohort; None, and a warning, if it cannot be used."""
    try:
        about = _about(path)
    except FileNotFoundError:  # its cohort has come to the end in another command
        return None
    except Exception as error:  # a damaged archive raises almost anything
        reason = " ".join(f"{error or type(error).__name__}".split())
        log.warning("%s: cannot be read (%s). It is not used.", path, reason)
        return None
    return Checkpoint(
        path=path,
        epoch=about.epoch,
        members=about.members,
        rates=about.rates,
        curves={key: (steps, curves) for key, steps, curves in about.curves},
        seconds=about.seconds,
        program=about.program,
    )


def _about(path: Path) -> _About:
    """Reads what a checkpoint says of its arrays; raises almost anything if it is damaged.

    The arrays of one that this program has written are not compressed, so that they cannot take up
    more room than the file.
    """
    with opened(path) as file:
        with zipfile.ZipFile(file) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
            if total > path.stat().st_size:
                raise ValueError("its arrays are larger than the file")
            if archive.getinfo(f"{_ABOUT}.npy").file_size > MAX_BYTES:
                raise ValueError(f"its `{_ABOUT}` is too large")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            about = from_json(_About, arrays[_ABOUT].tobytes())
    if reason := about.fault():
        raise ValueError(reason)
    return about


def remove_needless(root: Path) -> None:
    """Removes checkpoints that no command is to go on from, unless their command is alive.

    Those are the old ones, and those whose replicates have all come to their end elsewhere.
    """
    paths = folders.search(root, "[0-9]*/*/checkpoints/*.npz")
    found = {path: checkpoint for path in paths if (checkpoint := read(path)) is not None}
    keys = {key for checkpoint in found.values() for key in checkpoint.curves}
    ended = reuse.ended(root, keys)
    for path in paths:
        with unused(path.parents[1]) as is_left, contextlib.suppress(FileNotFoundError):
            is_old = time.time() - path.stat().st_mtime > _KEPT_S
            if is_left and (is_old or (path in found and found[path].curves.keys() <= ended)):
                discard(path)
