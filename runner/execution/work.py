"""Trains cohort after cohort; what happens to one does not touch the others.

A cohort goes on from its checkpoint where there is one. If memory runs out it is split and both
halves are tried; if it fails otherwise, those of its replicates that were under way fail with it.
"""

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.execution import folders, reuse
from runner.execution.checkpoints import (
    Checkpoint,
    Keeper,
    MemberKey,
    discard,
    find,
    member_key,
    remove_needless,
)
from runner.execution.cohorts import Pair, cohort_of, cohorts, engine, pairs_of
from runner.execution.diagnostics import Diagnostician, unmet
from runner.execution.logs import about
from runner.execution.preflight import Ready
from runner.execution.stream import Key, Stream, TrainingError
from runner.imports import told
from runner.interruption import check
from runner.training.exhaustion import is_out_of_memory

if TYPE_CHECKING:
    from runner.training.cohort import Cohort

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """Replicates that are trained together.

    Attributes:
      pairs: The replicates.
      checkpoint: Where they go on, or None to start from the beginning.
    """

    pairs: Sequence[Pair]
    checkpoint: Checkpoint | None = None


def train_all(
    ready: Sequence[Ready],
    stream: Stream,
    diagnostician: Diagnostician,
    folder: Path,
    rerun: bool,
) -> None:
    """Hands on what earlier commands have finished, and trains all that is to be trained.

    Args:
      ready: The configurations.
      stream: Where the records go.
      diagnostician: Measures before training.
      folder: The sweep's folder; checkpoints are kept there.
      rerun: Whether the checkpoints of earlier commands are left alone.

    Raises:
      KeyboardInterrupt: Interrupted; a checkpoint of what was under way has been written.
    """
    remove_needless(folders.ROOT)
    for item in ready:
        with about([item.record.index]):
            stream.replay(diagnostician.renewed(item))
    waiting = deque(work for items in cohorts(ready) for work in _divided(items, rerun))
    number = 0
    while waiting:
        check()
        work = waiting.popleft()
        path = folder / "checkpoints" / f"{_first_index(work)}-{number}.npz"
        number += 1
        with about(item.record.index for item, _ in work.pairs):
            rest = _train(work, stream, path, diagnostician)
        waiting.extendleft(reversed(rest))
    ended = [record for records in stream.ended.values() for record in records]
    for item in ready:
        if item.shared:
            with about([item.record.index]):
                stream.replay(diagnostician.renewed(reuse.from_sweep(item, ended, stream.sweep)))


def _first_index(work: Work) -> int:
    return min(item.record.index for item, _ in work.pairs)


def _divided(items: Sequence[Ready], rerun: bool) -> Iterable[Work]:
    """Yields a group's replicates: those of each checkpoint together, and the others."""
    pending = {member_key(item.record.identity, rep): (item, rep) for item, rep in pairs_of(items)}
    for checkpoint in [] if rerun else find(folders.ROOT, set(pending)):
        keys = [key for key in checkpoint.members if key in checkpoint.curves and key in pending]
        if keys:
            yield Work([pending.pop(key) for key in keys], checkpoint)
    if pending:
        yield Work(list(pending.values()))


def _train(work: Work, stream: Stream, path: Path, diagnostician: Diagnostician) -> list[Work]:
    """Trains replicates together; returns what has to be tried again in another way."""
    keys = [_key(pair) for pair in work.pairs]
    try:
        _run(work, stream, path, diagnostician)
    except TrainingError as error:
        # Only the text is kept: the exception holds on to the memory of the engine.
        reason, memory = told(error.__cause__ or error), is_out_of_memory(error.__cause__ or error)
        log.debug("The engine raised.", exc_info=error)
    else:
        discard(path)
        if (replaced := _replaced(work)) is not None:
            discard(replaced)
        return []
    ended = stream.ended_keys()
    left = [pair for pair in work.pairs if _key(pair) not in ended]
    if work.checkpoint is not None:
        log.warning("%s cannot be used (%s).", work.checkpoint.path, reason)
        stream.forget(keys)
        return [Work(left)]
    if memory and len(left) > 1:
        half = len(left) // 2
        told_of = (len(left), len(left) - half, half)
        log.warning("Out of memory with %d replicates at once; trying %d and %d.", *told_of)
        stream.forget(keys)
        return [Work(left[: len(left) - half]), Work(left[len(left) - half :])]
    for pair in left:
        stream.fail(_key(pair), reason)
    return []


def _replaced(work: Work) -> Path | None:
    """Returns the checkpoint that nobody else may want to go on from, if this work is from one."""
    if work.checkpoint is None or len(work.checkpoint.curves) > len(work.pairs):
        return None
    return work.checkpoint.path


def _run(work: Work, stream: Stream, path: Path, diagnostician: Diagnostician) -> None:
    """Gives the replicates to their engine and records what it yields."""
    first, _ = work.pairs[0]
    cohort, keys = _cohort(work)
    items = list({item.record.index: item for item, _ in work.pairs}.values())
    diagnoses, cohort = diagnostician.diagnose(items, keys, cohort)
    stream.diagnosed(keys, diagnoses)
    if work.checkpoint is None:
        cohort, keys = _admitted(items, stream, cohort, keys)
        if not keys:
            return
    else:
        told_of = (work.checkpoint.epoch, work.checkpoint.path, len(work.pairs))
        log.info("Going on after epoch %d, from %s; replicates: %d", *told_of)
        for item, replicate in work.pairs:
            steps, curves = work.checkpoint.curves[member_key(item.record.identity, replicate)]
            stream.resume((item.record.index, replicate), steps, curves)
    keeper = Keeper(
        path=path,
        every_s=cohort.training.checkpoint_every_s,
        stream=stream,
        keys=keys,
        identities={index: record.identity for index, record in stream.configurations.items()},
        rates=[member.learning_rate for member in cohort.members],
        replaces=_replaced(work),
    )
    train = engine(first.configuration.engine)
    stream.consume(keys, train(replace(cohort, at_pause=keeper)))


def _admitted(
    items: Sequence[Ready], stream: Stream, cohort: "Cohort", keys: "Sequence[Key | MemberKey]"
) -> "tuple[Cohort, list[Key | MemberKey]]":
    """Returns the cohort without the configurations that `diagnostics.require` turns away.

    Where nothing is trained all come through: what is wrong with them is told at the end.
    """
    errors = unmet(items, stream.measured) if cohort.training.epochs else {}
    for key in keys:
        if len(key) == 2 and key[0] in errors:
            stream.fail(key, f"Not trained: {errors[key[0]]}")
    places = [place for place, key in enumerate(keys) if key[0] not in errors]
    members = [cohort.members[place] for place in places]
    return replace(cohort, members=members), [keys[place] for place in places]


def _cohort(work: Work) -> "tuple[Cohort, list[Key | MemberKey]]":
    """Returns what the engine is given, and what each position of it stands for.

    In a program that goes on there may be members that nobody wants any more; anybody's weights
    do for them, because they are frozen.
    """
    cohort = cohort_of(work.pairs)
    own: list[Key | MemberKey] = [_key(pair) for pair in work.pairs]
    if work.checkpoint is None:
        return cohort, own
    position = {
        member_key(item.record.identity, replicate): place
        for place, (item, replicate) in enumerate(work.pairs)
    }
    members, keys = [], []
    for key, rate in zip(work.checkpoint.members, work.checkpoint.rates, strict=True):
        place = position.get(key)
        filler = replace(cohort.members[0], batch_seed=key[2], learning_rate=rate)
        members.append(filler if place is None else cohort.members[place])
        keys.append(key if place is None else own[place])
    wanted = [key in position for key in work.checkpoint.members]
    try:
        snapshot = work.checkpoint.snapshot(wanted)
    except Exception as error:  # a damaged archive raises almost anything
        raise TrainingError from error
    return replace(cohort, members=members, resume=snapshot), keys


def _key(pair: Pair) -> Key:
    item, replicate = pair
    return item.record.index, replicate
