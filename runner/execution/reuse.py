"""What earlier commands have already finished: found by key and seeds, and not trained again.

A replicate is reused if it came to its end, `finished` or `diverged`; what failed or was
interrupted is trained. The newest record counts. What was measured of it before training is
measured anew where the settings of that differ (`runner.execution.diagnostics`).
"""

import dataclasses
import logging
import math
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from runner.design import Design
from runner.execution import saving
from runner.execution.folders import search
from runner.execution.preflight import Ready
from runner.files import read_bytes
from runner.plan import Replicate
from runner.records import (
    RecordError,
    ReplicateRecord,
    SweepRecord,
    misfit,
    read_configuration,
    read_replicate,
    read_sweep,
)
from runner.report.names import counted
from runner.terminal import DETAIL

log = logging.getLogger(__name__)

ENDED = ("finished", "diverged")

# The part of a configuration's file that is looked at: thousands of them have to be quick.
_IDENTITY = re.compile(rb'"identity": "([0-9a-f]{64})"')


def settled(earlier: Sequence[Ready], ready: Sequence[Ready], root: Path | None) -> list[Ready]:
    """Returns configurations with what need not be trained of them; says in a line how much it is.

    No replicate is trained for two of them: configurations of a sweep may have some in common, the
    same one named twice, or with more seeds.

    One that reuses any, and has no design yet, takes over the one that they were trained for.

    Args:
      earlier: Other configurations of the sweep, which have been trained.
      ready: What is to be trained.
      root: Folder of `<date>/<time>/<number>/configuration.json`, whose replicates are reused; None
        to train all.
    """
    seen = {key for item in earlier for key in _to_train(item)}
    saved = {key for item in earlier if _is_saved(item) for key in _to_train(item)}
    again = 0
    faults: list[str] = []
    folders = _folders(root, {item.record.identity for item in ready}, faults) if root else {}
    found = []
    for item in ready:
        if root:
            own = folders.get(item.record.identity, [])
            records, homes = _earlier(item, own, root, faults)
            item = _with_saved(item, own)
            lacking = saving.retrained(item, records)
            again += len(lacking)
            item = _with_reused(item, [r for r in records if r.key not in lacking])
            if item.record.design is None and (design := _first_design(homes)) is not None:
                record = dataclasses.replace(item.record, design=design)
                item = dataclasses.replace(item, record=record)
        found.append(_sharing(item, saved if _is_saved(item) else seen))
        seen |= _to_train(found[-1])
        saved |= _to_train(found[-1]) if _is_saved(item) else set()
    _warn_of(faults)
    _tell(found, again)
    return found


def _with_reused(item: Ready, records: Sequence[ReplicateRecord]) -> Ready:
    """Returns `item` with records of some of its replicates, which need not be trained."""
    own = [dataclasses.replace(record, configuration=item.record.index) for record in records]
    return dataclasses.replace(item, reused=(*item.reused, *own))


def _with_saved(item: Ready, homes: Sequence[Path]) -> Ready:
    """Returns `item` with the files in which these folders keep weights that it is to keep."""
    if item.configuration.training.save == "none":
        return item
    origins = {r.key: saving.Origin.of(item, r) for r in item.replicates}
    found = {key: saving.find(homes, origin) for key, origin in origins.items()}
    return dataclasses.replace(item, saved={key: path for key, path in found.items() if path})


def _is_saved(item: Ready) -> bool:
    """Tells whether a configuration is to keep what only training gives: the last weights."""
    return item.configuration.training.save == "end"


def _to_train(item: Ready) -> set[tuple[str, Replicate]]:
    return {(item.record.identity, replicate) for replicate in item.replicates}


def _sharing(item: Ready, seen: set[tuple[str, Replicate]]) -> Ready:
    identity = item.record.identity
    shared = (replicate for replicate in item.replicates if (identity, replicate) in seen)
    return dataclasses.replace(item, shared=(*item.shared, *shared))


def from_sweep(item: Ready, records: Iterable[ReplicateRecord], sweep: SweepRecord) -> Ready:
    """Returns a configuration that reuses nothing but what others of its sweep trained for it.

    Args:
      item: The configuration, which shares some.
      records: What has ended in the sweep, in whichever status.
      sweep: The sweep.
    """
    wanted = {replicate.key for replicate in item.shared}
    found = [
        dataclasses.replace(record, reused_from=f"{sweep.name}/{record.configuration}")
        for record in records
        if record.identity == item.record.identity
        and record.reused_from is None
        and record.key in wanted
    ]
    once = {record.key: record for record in found}  # more than one may have trained it
    return _with_reused(dataclasses.replace(item, reused=(), shared=()), list(once.values()))


def _tell(ready: Sequence[Ready], again: int) -> None:
    """Says in one line what need not be trained, if there is any, and in one what must be again."""
    if again:
        log.info(
            "%s already finished, but the last weights were not kept; for training.save=end %s "
            "trained again.",
            f"{counted(again, 'replicate')} {'was' if again == 1 else 'were'}",
            "it is" if again == 1 else "they are",
        )
    reused = sum(len(item.reused) for item in ready)
    if reused:
        total = sum(len(item.configuration.replicates) for item in ready)
        log.info(
            "%d of %d replicates were already finished; rerun=true trains them again.",
            reused,
            total,
        )


def with_mixed_versions(
    sweep: SweepRecord, records: Iterable[ReplicateRecord], root: Path
) -> SweepRecord:
    """Returns a sweep's record with the versions that these replicates were trained with, too.

    Only what differs is told; TensorFlow, Keras and `runner` cannot, they are part of the key.

    Args:
      sweep: The record, with the versions of this process.
      records: Replicates that are reused.
      root: Folder of all results.
    """
    mixed = {library: set(others) for library, others in sweep.mixed_versions.items()}
    sources = {record.reused_from for record in records if record.reused_from}
    for theirs in [_versions(root / source) for source in sources]:
        for library in theirs.keys() & sweep.versions.keys():
            if theirs[library] != sweep.versions[library]:
                mixed.setdefault(library, set()).add(theirs[library])
    listed = {library: sorted(others) for library, others in sorted(mixed.items())}
    for library, others in listed.items():
        if others != sweep.mixed_versions.get(library):
            told = (library, ", ".join(others), sweep.versions[library])
            log.warning(
                "Some reused replicates were trained with %s %s; this command uses %s.", *told
            )
    return dataclasses.replace(sweep, mixed_versions=listed)


def _versions(source: Path) -> Mapping[str, str]:
    """Returns the versions of the sweep of a configuration's folder; none if it is not here."""
    try:
        return read_sweep(source.parent).versions
    except RecordError:
        return {}


def ended(root: Path, keys: Collection[tuple[str, int, int]]) -> set[tuple[str, int, int]]:
    """Returns those replicates that have come to their end in a results folder below `root`.

    Args:
      root: As of `from_disk`.
      keys: Identity of the configuration, seed of the weights, seed of the batches.
    """
    folders = _folders(root, {identity for identity, *_ in keys}, []) if keys else {}
    return {key for key in keys if any(_has_ended(home, key) for home in folders.get(key[0], []))}


def _has_ended(home: Path, key: tuple[str, int, int]) -> bool:
    identity, weight_seed, batch_seed = key
    name = Replicate(weight_seed, batch_seed).key
    try:
        record = read_replicate(home / "replicates" / f"{name}.json")
    except RecordError:
        return False
    return record.status in ENDED and record.identity == identity


def _warn_of(faults: Sequence[str]) -> None:
    """Warns in one line of what cannot be reused; the log has each with its reason."""
    if not faults:
        return
    for fault in faults[1:]:
        log.log(DETAIL, "%s", fault)
    more = f" {len(faults) - 1} more cannot be reused; the log names them." if faults[1:] else ""
    log.warning("%s%s", faults[0], more)


def _folders(root: Path, wanted: set[str], faults: list[str]) -> dict[str, list[Path]]:
    """Returns the folders of configurations by their key, the newest first; adds to `faults`."""
    found: dict[str, list[Path]] = {}
    for path in search(root, "[0-9]*/*/*/configuration.json"):
        try:
            match = _IDENTITY.search(read_bytes(path))
        except OSError as error:  # another command may have removed it
            if os.path.lexists(path):
                reason = error.strerror or error
                faults.append(f"{path}: cannot be read ({reason}). It is not reused.")
            continue
        if match and (key := match[1].decode()) in wanted:
            found.setdefault(key, []).append(path.parent)
    return found


def _earlier(
    item: Ready, folders: Sequence[Path], root: Path, faults: list[str]
) -> tuple[list[ReplicateRecord], set[Path]]:
    """Returns what has ended of a configuration, and the folders of configurations that hold it."""
    found = [_first(item, replicate, folders, root, faults) for replicate in item.replicates]
    ended = [each for each in found if each is not None]
    return [record for record, _ in ended], {folder for _, folder in ended}


def _first_design(homes: Iterable[Path]) -> Design | None:
    """Returns the design in these folders of configurations that was fixed first.

    Those that have none are of a version that stamped none.
    """
    designs = {}
    for home in homes:
        try:
            if (design := read_configuration(home / "configuration.json").design) is not None:
                designs[_started(home.parent)] = design
        except RecordError as error:
            log.warning("%s Its design is not known.", error)
    return designs[min(designs)] if designs else None


def _started(folder: Path) -> tuple[float, Path]:
    """Returns by what sweeps are in the order of their start; those that do not tell come last."""
    try:
        return datetime.fromisoformat(read_sweep(folder).started).timestamp(), folder
    except (RecordError, ValueError):
        return math.inf, folder


def _first(
    item: Ready, replicate: Replicate, folders: Sequence[Path], root: Path, faults: list[str]
) -> tuple[ReplicateRecord, Path] | None:
    """Returns the newest record of a replicate that had come to its end, and where it is."""
    for folder in folders:
        path = folder / "replicates" / f"{replicate.key}.json"
        if not os.path.lexists(path):
            continue
        try:
            record = read_replicate(path)
        except RecordError as error:
            faults.append(f"{error} It is not reused.")
            continue
        if reason := misfit(item.record, record):
            faults.append(f"{path}: {reason}. It is not reused.")
        elif _serves(record, replicate, item):
            source = record.reused_from or folder.relative_to(root).as_posix()
            return dataclasses.replace(record, reused_from=source), folder
    return None


def _serves(record: ReplicateRecord, replicate: Replicate, item: Ready) -> bool:
    """Tells whether a record can stand for a replicate."""
    same = record.identity == item.record.identity
    return record.status in ENDED and same and is_of(record, replicate)


def is_of(record: ReplicateRecord, replicate: Replicate) -> bool:
    """Tells whether a record is that of a replicate, whatever its file is called."""
    return (record.weight_seed, record.batch_seed) == (
        replicate.weight_seed,
        replicate.batch_seed,
    )
