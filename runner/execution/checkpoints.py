"""Checkpoints: where a cohort is between two epochs, on disk, so that the same command goes on.

A checkpoint lies in its sweep's folder, `checkpoints/<number>.npz`, until its cohort has come to
the end. It holds the engine's snapshot, the keys of its members and the curves so far. A later
command takes up those of its members that it wants; the others stay in the program, frozen, because
the last bits of the numbers depend on the program's shape.
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.execution import folders
from runner.execution.stream import Key, Stream
from runner.interruption import is_asked
from runner.plan import Replicate
from runner.records import Curves, remove_halves, replacing

if TYPE_CHECKING:
    from runner.training.cohort import Snapshot

log = logging.getLogger(__name__)

MemberKey = tuple[str, int, int]
"""Identity of the configuration, seed of the weights, seed of the batches."""

# Writing a checkpoint takes at most one part in so many of the time.
_WRITING_SHARE = 20

_ABOUT = "about"


@dataclass(frozen=True)
class Checkpoint:
    """What a file says of a cohort, without the arrays.

    Attributes:
      path: The file.
      epoch: The last whole epoch.
      members: All replicates of the program, in its order, and the learning rate of each.
      curves: Steps and curves of those that were under way, by key.
    """

    path: Path
    epoch: int
    members: list[MemberKey]
    rates: list[float]
    curves: dict[MemberKey, tuple[list[int], Curves]]
    about: Mapping[str, Any] = field(repr=False)

    def snapshot(self, wanted: Sequence[bool]) -> "Snapshot":
        """Returns the engine's snapshot, in which only the `wanted` members are alive."""
        from runner.training.cohort import Snapshot

        with self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in arrays.files if name != _ABOUT}
        alive = [key in self.curves for key in self.members]
        return Snapshot(
            epoch=self.epoch,
            members=list(range(len(self.members))),
            alive=np.array(alive) & np.array(wanted),
            seconds=self.about["seconds"],
            program=self.about["program"],
            arrays=values,
        )


@dataclass
class Keeper:
    """Is called when an engine pauses: writes a checkpoint when one is due, and lets it end.

    Attributes:
      path: The file to write.
      every_s: Seconds between two checkpoints.
      stream: Knows the curves.
      keys: The replicate at each position of the cohort.
      identities: Number of a configuration -> its key.
      rates: The learning rate at each position.
      replaces: An earlier checkpoint, which nobody needs once there is a newer one.
    """

    path: Path
    every_s: float
    stream: Stream
    keys: Sequence[Key | MemberKey]
    identities: Mapping[int, str]
    rates: Sequence[float]
    replaces: Path | None = None
    next_s: float = 0.0
    works: bool = True

    def __post_init__(self) -> None:
        self.next_s = time.monotonic() + self.every_s

    def __call__(self, take: "Callable[[], Snapshot]") -> None:
        """Writes a checkpoint if it is time, or if the command is to end; then ends it.

        Raises:
          KeyboardInterrupt: The command is to end.
        """
        stopping = is_asked()
        if self.works and (stopping or time.monotonic() >= self.next_s):
            began = time.monotonic()
            self._write(take())
            ended = time.monotonic()
            self.next_s = ended + max(self.every_s, _WRITING_SHARE * (ended - began))
        if stopping:
            raise KeyboardInterrupt

    def _write(self, snapshot: "Snapshot") -> None:
        keys = [self._member(self.keys[position]) for position in snapshot.members]
        running = {self._member(key): value for key, value in self.stream.running.items()}
        about = {
            "epoch": snapshot.epoch,
            "seconds": snapshot.seconds,
            "program": dict(snapshot.program),
            "members": keys,
            "rates": [self.rates[position] for position in snapshot.members],
            "curves": [
                [key, *running[key]]
                for key, alive in zip(keys, snapshot.alive, strict=True)
                if alive and key in running
            ],
        }
        arrays = {_ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8), **snapshot.arrays}
        try:
            with replacing(self.path) as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            if self.replaces is not None:
                discard(self.replaces)
        except OSError as error:
            self.works = False
            log.warning(
                "%s: no checkpoint can be written (%s). Training goes on.", self.path, error
            )

    def _member(self, key: Key | MemberKey) -> MemberKey:
        if len(key) == 3:
            return key
        index, replicate = key
        return member_key(self.identities[index], replicate)


def discard(path: Path) -> None:
    """Removes a checkpoint that nobody needs any more, and its folder with the last one."""
    path.unlink(missing_ok=True)
    remove_halves(path)
    with contextlib.suppress(OSError):  # there are others, or there was none
        path.parent.rmdir()


def find(root: Path, wanted: set[MemberKey]) -> list[Checkpoint]:
    """Returns the checkpoints below `root` with a replicate that is wanted, the farthest first."""
    paths = folders.search(root, "[0-9]*/*/checkpoints/*.npz")
    found = [checkpoint for path in paths if (checkpoint := _read(path)) is not None]
    useful = [checkpoint for checkpoint in found if wanted & checkpoint.curves.keys()]
    return sorted(useful, key=lambda checkpoint: checkpoint.epoch, reverse=True)


def member_key(identity: str, replicate: Replicate) -> MemberKey:
    """Returns the key of a replicate among those of all commands."""
    return identity, replicate.weight_seed, replicate.batch_seed


def _read(path: Path) -> Checkpoint | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(arrays[_ABOUT].tobytes())
        return Checkpoint(
            path=path,
            epoch=about["epoch"],
            members=[_tuple(key) for key in about["members"]],
            rates=about["rates"],
            curves={_tuple(key): (steps, curves) for key, steps, curves in about["curves"]},
            about=about,
        )
    except FileNotFoundError:  # its cohort has come to the end in another command
        return None
    except Exception as error:  # a damaged archive raises almost anything
        log.warning("%s: cannot be read (%s). It is not used.", path, error)
        return None


def _tuple(key: Sequence[Any]) -> MemberKey:
    identity, weight_seed, batch_seed = key
    return str(identity), int(weight_seed), int(batch_seed)
