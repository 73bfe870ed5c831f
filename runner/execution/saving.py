"""Weights of replicates as files that plain Keras loads: what `training.save` asks for.

Whoever trains a replicate writes its file into the folder `arriving` of the sweep and tells of it;
the command moves it to `<number>/weights/<replicate>.weights.h5`. What is not trained is linked to
the file of whoever trained it. Initial weights of which there is no file are drawn again; of last
weights there is none but by training, so a replicate without them is trained again.

A replicate that diverged, failed or was interrupted has no last weights.
"""

import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from runner.config import ConfigError
from runner.events import WeightsWritten
from runner.execution.logs import about
from runner.execution.preflight import Ready
from runner.files import link, opened, replacing
from runner.imports import told
from runner.interruption import check
from runner.plan import Key, Replicate, Save
from runner.records import ARRIVING, ReplicateRecord, Status, weights_file
from runner.report.names import counted
from runner.training.programs import building

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.training.cohort import Cohort, Member

log = logging.getLogger(__name__)

# What a file says of itself stands in a line behind the weights, where HDF5 does not look.
_LINE_BYTES = 1024
_CHUNK_BYTES = 1 << 20

# Which replicates have weights to keep, by how they have ended.
_DUE: dict[Save, Sequence[Status]] = {
    "none": (),
    "start": ("finished", "diverged"),
    "end": ("finished",),
}


@dataclass(frozen=True)
class Origin:
    """Whose weights a file holds.

    Attributes:
      identity: Key of the configuration; see `runner.execution.identity`.
      weight_seed, batch_seed: Of the replicate.
      save: When they were its weights.
    """

    identity: str
    weight_seed: int
    batch_seed: int
    save: Save

    @classmethod
    def of(cls, item: Ready, replicate: Replicate) -> "Origin":
        """Returns that of the file that a configuration wants of a replicate."""
        seeds = replicate.weight_seed, replicate.batch_seed
        return cls(item.record.identity, *seeds, item.configuration.training.save)


def write(path: Path, model: Any, values: Sequence[np.ndarray], origin: Origin) -> None:
    """Writes weights in Keras's format, the whole file or none; the model keeps its own.

    Args:
      path: The file.
      model: Whose weights they are.
      values: In the order of `model.weights`.
      origin: What the file says of itself.

    Raises:
      OSError: It cannot be written. The model's own code may raise anything.
    """
    with _saved(model, values) as whole, whole.open("rb") as source, replacing(path) as target:
        shutil.copyfileobj(source, target)
        said = {**asdict(origin), "sha256": _digest(source, source.tell())}
        target.write(b"\n" + json.dumps(said).encode())


@contextmanager
def _saved(model: Any, values: Sequence[np.ndarray]) -> Iterator[Path]:
    """Lets Keras write weights of a model into a file that is there for the block."""
    import keras

    with TemporaryDirectory(prefix="runner-") as scratch:
        path = Path(scratch) / "model.weights.h5"
        with building:
            own = model.get_weights()
            model.set_weights(values)
            try:
                with _quiet():
                    keras.saving.save_weights(model, path, objects_to_skip=_skipped(model))
            finally:
                model.set_weights(own)
        yield path


def _skipped(model: Any) -> list[Any]:
    """Returns what is not saved: an optimizer's state, as nobody else's has the same variables."""
    return [getattr(model, "optimizer", None)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Leaves out what numpy warns of when Keras hands its variables to h5py."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _digest(file: BinaryIO, size: int) -> str:
    """Returns the SHA-256 of the first bytes of a file."""
    digest = sha256()
    file.seek(0)
    while size and (content := file.read(min(size, _CHUNK_BYTES))):
        digest.update(content)
        size -= len(content)
    return digest.hexdigest()


def find(homes: Iterable[Path], origin: Origin) -> Path | None:
    """Returns the file of a replicate's weights in one of these folders of configurations.

    A damaged one is passed over, with a warning.
    """
    key = Replicate(origin.weight_seed, origin.batch_seed).key
    for path in (weights_file(home, key) for home in homes):
        try:
            if _origin(path) == origin:
                return path
        except FileNotFoundError:
            continue
        except Exception as error:  # a damaged file raises almost anything
            log.warning("%s: cannot be read as weights (%s). It is not used.", path, told(error))
    return None


def _origin(path: Path) -> Origin:
    """Returns whose weights a file holds, without a look at these: damaged ones may take for ever.

    Raises:
      OSError, ValueError, TypeError, KeyError: It cannot be read, or is not as `write` has written
        it.
    """
    with opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _LINE_BYTES, 0))
        line = file.read().rpartition(b"\n")[2]
        said = json.loads(line)
        if said.pop("sha256") != _digest(file, size - len(line) - 1):
            raise ValueError("not all of it is what was written")
    return Origin(**said)


class Saver:
    """Writes weights of the replicates of a task, for the command to take away.

    Attributes:
      folder: Of the sweep; None if the command does not see what is written.
      ready: The task's configurations, by their numbers.
    """

    def __init__(self, folder: Path | None, ready: Mapping[int, Ready]) -> None:
        self.folder = folder
        self.ready = ready
        self._events: list[WeightsWritten] = []
        self._kept: set[Key] = set()
        self._reasons: set[str] = set()

    def watching(self, cohort: "Cohort") -> "Cohort":
        """Returns a cohort whose weights are written when they are there."""
        save = cohort.training.save
        if self.folder is None or save == "none":
            return cohort
        if save == "end":
            return replace(cohort, at_end=self._keep_last)
        return replace(cohort, members=[self._watched(member) for member in cohort.members])

    def written(self) -> Iterator[WeightsWritten]:
        """Yields what was written since, each once."""
        while self._events:
            yield self._events.pop(0)

    def _watched(self, member: "Member") -> "Member":
        if member.key is None:
            return member
        return replace(member, draw=partial(self._drawn, member.key, member.draw))

    def _drawn(self, key: Key, draw: "Callable[[], list[np.ndarray]]") -> list[np.ndarray]:
        values = draw()
        if key not in self._kept:
            self._keep(key, values)
        return values

    def _keep_last(self, key: Key, take: "Callable[[], list[np.ndarray]]") -> None:
        self._keep(key, take())

    def _keep(self, key: Key, values: Sequence[np.ndarray]) -> None:
        """Writes weights; what stands against it is told, and training goes on."""
        item, name = self.ready[key.configuration], f"{key.configuration}-{key.replicate.key}"
        file = f"{ARRIVING}/{name}.weights.h5"
        assert self.folder is not None, "a folder that the command sees"
        try:
            write(self.folder / file, item.model, values, Origin.of(item, key.replicate))
        except Exception as error:
            check()  # it may come from an interruption that a library caught
            _warn(item, error, self._reasons)
        else:
            self._kept.add(key)
            self._events.append(WeightsWritten(key, file))


def _warn(item: Ready, error: Exception, reasons: set[str]) -> None:
    """Warns that weights are not kept, once for each reason."""
    reason = told(error)
    if reason not in reasons:
        reasons.add(reason)
        with about([item.record.index]):
            log.warning("%s: weights cannot be written: %s.", item.record.init, reason.rstrip("."))


def provide(
    item: Ready, folder: Path, records: Iterable[ReplicateRecord], homes: Sequence[Path] = ()
) -> None:
    """Sees to the files of replicates that no task of this command has written.

    They are linked to the files of whoever trained them; initial weights may be drawn again.

    Args:
      item: Their configuration.
      folder: Of the sweep.
      records: Of replicates that have ended.
      homes: Folders of other configurations with the same key, whose files will do.
    """
    save, reasons = item.configuration.training.save, set[str]()
    home = folder / str(item.record.index)
    lacking = [
        Replicate(record.weight_seed, record.batch_seed)
        for record in records
        if record.status in _DUE[save] and not weights_file(home, record.key).exists()
    ]
    draw = item.drawer.together([replicate.weight_seed for replicate in lacking])
    for replicate in lacking:
        check()
        path, origin = weights_file(home, replicate.key), Origin.of(item, replicate)
        try:
            source = item.saved.get(replicate.key) or find(homes, origin)
            if source is not None:
                link(source, path)
            elif save == "start":
                with building:
                    write(path, item.model, draw(replicate.weight_seed), origin)
        except Exception as error:
            check()
            _warn(item, error, reasons)


def missing(items: Iterable[Ready], records: Iterable[ReplicateRecord], folder: Path) -> list[Path]:
    """Returns the files that should be there by now and are not.

    Args:
      items: The configurations of a sweep.
      records: Its replicates.
      folder: Its folder.
    """
    saves = {item.record.index: item.configuration.training.save for item in items}
    paths = [
        weights_file(folder / str(record.configuration), record.key)
        for record in records
        if record.status in _DUE[saves.get(record.configuration, "none")]
    ]
    return [path for path in paths if not path.exists()]


def retrained(item: Ready, records: Iterable[ReplicateRecord]) -> set[str]:
    """Returns the keys of finished replicates that must be trained again for their last weights.

    Args:
      item: A configuration, with the files that earlier commands have kept.
      records: Its replicates that earlier commands have finished.
    """
    if item.configuration.training.save != "end":
        return set()
    due = {record.key for record in records if record.status in _DUE["end"]}
    return due - item.saved.keys()


def check_room(items: Iterable[Ready], folder: Path) -> None:
    """Says how much will be written, and checks that Keras can do it and the disk has room.

    Raises:
      ConfigError: It cannot, or has not.
    """
    sizes: dict[int, int] = {}
    counts: dict[int, int] = {}
    save: Save = "none"
    for item in items:
        if (own := item.configuration.training.save) == "none":
            continue
        count, save = _num_new(item), own
        if count and id(item.model) not in sizes:
            sizes[id(item.model)] = _size(item)
        if count:
            counts[id(item.model)] = counts.get(id(item.model), 0) + count
    total = sum(sizes[model] * count for model, count in counts.items())
    if not total:
        return
    each = " to ".join(dict.fromkeys([_told(min(sizes.values())), _told(max(sizes.values()))]))
    text = f"{counted(sum(counts.values()), 'file')} of {each}: {_told(total)}"
    free = shutil.disk_usage(folder).free
    if free < total:
        raise ConfigError(
            f"`training.save` needs room for its weights. Received: training.save={save}, "
            f"{text}, and {_told(free)} free in {folder}. Make room, or set training.save=none."
        )
    log.info("Weights (training.save=%s): %s.", save, text)


def _num_new(item: Ready) -> int:
    """Returns how many files are written of a configuration, and not linked."""
    count = len(item.replicates)
    if item.configuration.training.save == "start":
        count += sum(record.key not in item.saved for record in item.reused)
    return count


def _size(item: Ready) -> int:
    """Returns the bytes of a file of a configuration's model.

    Raises:
      ConfigError: Keras does not save and load all of the model's weights.
    """
    import keras

    model, rule = item.model, "`training.save` needs a model that Keras can save and load."
    values = model.get_weights()
    others = [(value == 0).astype(value.dtype) for value in values]
    try:
        with _saved(model, values) as path:
            size = path.stat().st_size
            try:
                model.set_weights(others)
                with _quiet():
                    keras.saving.load_weights(model, path, objects_to_skip=_skipped(model))
                pairs = zip(model.get_weights(), values, strict=True)
                lost = [place for place, pair in enumerate(pairs) if not _equal(*pair)]
            finally:
                model.set_weights(values)
    except Exception as error:
        check()
        raise ConfigError(
            f"{rule} Received: {item.record.model}, for which Keras raised: {told(error)}"
        ) from error
    if lost:
        names = ", ".join(model.weights[place].path for place in lost[:4])
        raise ConfigError(
            f"{rule} Received: {item.record.model}, of which it does not save {names}. Make each "
            "layer with weights an attribute of the model or of another layer."
        )
    return size


def _equal(left: np.ndarray, right: np.ndarray) -> bool:
    return left.tobytes() == right.tobytes()


def _told(num_bytes: int) -> str:
    """Returns a size for people.

    >>> _told(1_234_567), _told(29_944)
    ('1.2 MB', '30 kB')
    """
    size, units = float(num_bytes), ["B", "kB", "MB", "GB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if size >= 9.95 else f"{size:.1f} {units[0]}"
