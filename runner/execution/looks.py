"""`seeds=auto`: who gets more seeds after a look, and what is said of it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from runner.config import abridged
from runner.design import last_round
from runner.execution.preflight import Ready
from runner.plan import replicates
from runner.records import ConfigurationRecord
from runner.report.names import counted

log = logging.getLogger(__name__)

_MAX_NAMED = 6


def last_look(record: ConfigurationRecord) -> int:
    """Returns the number of seeds that a configuration gets at most."""
    return last_round(record.design, record.num_replicates)


def tell_beginning(ready: Sequence[Ready], comparisons: int) -> None:
    """Says before training what keeps `seeds=auto` from ending early, if anything does.

    Args:
      ready: The configurations.
      comparisons: How many there are between them.
    """
    if not ready:
        return
    if not comparisons:
        first = max(item.record.num_replicates for item in ready)
        log.info(
            "seeds=auto has nothing to compare here, so it trains the first look only: %s.",
            counted(first, "seed"),
        )
    elif any(item.record.design and item.record.design.margin is None for item in ready):
        log.info(
            "Without a margin only a difference can end seeds=auto early; equal initializers get "
            "%d seeds. report.margin=... names the difference that does not matter.",
            max(last_look(item.record) for item in ready),
        )


def grown(items: Sequence[Ready], wanted: Mapping[int, int]) -> list[Ready]:
    """Returns the configurations that get more seeds, with their new replicates.

    Args:
      items: Those that may.
      wanted: Number of a configuration -> how many seeds it should have in all.
    """
    return [
        _with_seeds(item, wanted[item.record.index])
        for item in items
        if wanted.get(item.record.index, 0) > item.record.num_replicates
    ]


def _with_seeds(item: Ready, count: int) -> Ready:
    new = replicates(count)[item.record.num_replicates :]
    return replace(
        item,
        configuration=replace(item.configuration, replicates=new),
        record=replace(item.record, num_replicates=count),
        reused=(),
        shared=(),
        saved={},
    )


def tell_look(items: Sequence[Ready], more: Sequence[Ready]) -> None:
    """Says what was decided at a look and who goes on.

    Args:
      items: The configurations that were looked at.
      more: Those of them that get more seeds.
    """
    left = {item.record.index for item in more}
    ended = [item.record for item in items if item.record.index not in left]
    at_last = sum(record.num_replicates == last_look(record) for record in ended)
    parts = [_counted(len(ended) - at_last, "needs no more seeds", "need")]
    parts += [_counted(at_last, "has reached the last look", "have")]
    for count in sorted({item.record.num_replicates for item in more}):
        names = [_title(i.record) for i in more if i.record.num_replicates == count]
        goes_on = _counted(len(names), f"goes on to {count} seeds", "go")
        parts.append(f"{goes_on}: {abridged(names, _MAX_NAMED)}")
    seeds = counted(max(item.record.num_replicates for item in items), "seed")
    log.info("Look at %s: %s.", seeds, "; ".join(filter(None, parts)))


def _counted(count: int, does: str, many: str) -> str:
    """Returns such as "2 configurations go on", from "goes on" and "go"; empty for none."""
    if not count:
        return ""
    first, _, rest = does.partition(" ")
    return f"{counted(count, 'configuration')} {first if count == 1 else many} {rest}"


def _title(record: ConfigurationRecord) -> str:
    return " ".join([record.init, *(f"{key}={value}" for key, value in record.factors.items())])


def tell_saved(records: Sequence[ConfigurationRecord]) -> None:
    """Says how many trainings were saved against the last look for all."""
    trained = [record for record in records if record.error is None]
    total = sum(record.num_replicates for record in trained)
    most = sum(map(last_look, trained))
    log.info("seeds=auto took %d trainings; the last look for all takes %d.", total, most)


def bounds(ready: Sequence[Ready], comparisons: int) -> str:
    """Returns the least and the most that `seeds=auto` would train, in a sentence.

    Args:
      ready: The configurations at their first look.
      comparisons: How many there are between them.
    """
    least = sum(item.record.num_replicates for item in ready)
    if not comparisons:
        return f"seeds=auto has nothing to compare: {counted(least, 'training')}."
    most = sum(last_look(item.record) for item in ready)
    return (
        f"seeds=auto: at least {counted(least, 'training')}, those of the first look, which the "
        f"table shows; at most {most:,}, the last look for all."
    )
