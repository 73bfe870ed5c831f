"""Fixes how configurations are compared, before the first of their replicates is trained."""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from runner.design import DEFAULT_BASELINES, Design, margin_of
from runner.execution.preflight import Ready
from runner.plan import Report
from runner.records import ConfigurationRecord
from runner.report.names import counted, listed
from runner.report.scores import comparable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Family:
    """Comparisons that are corrected together.

    Attributes:
      name: Of the sweep.
      reference: See `Design`.
      comparisons: How many there are.
    """

    name: str
    reference: str | None
    comparisons: int


def family(name: str, records: Sequence[ConfigurationRecord], baseline: str | None) -> Family:
    """Returns the comparisons of a sweep.

    Those that differ in nothing but the initializer are compared; where there is one initializer
    only, all on the same data. If one of them alone has the reference's label it is compared with
    each of the others, else there are all pairs. What earlier sweeps have stamped on both sides is
    theirs.

    Args:
      name: Of the sweep.
      records: Its configurations so far, with what varies among them.
      baseline: Label that the user names as the reference.
    """
    trained = [record for record in records if record.error is None]
    has_one_init = len({record.init for record in trained}) == 1
    cells: dict[tuple[str, ...], list[ConfigurationRecord]] = {}
    for record in trained:
        factors = "" if has_one_init else json.dumps(record.factors, sort_keys=True)
        cells.setdefault((*comparable(record), factors), []).append(record)
    standing_out = (
        label
        for label in DEFAULT_BASELINES
        if not has_one_init and any(_has_one(cell, label) for cell in cells.values())
    )
    reference = baseline or next(standing_out, None)
    count = sum(_num_pairs(cell, reference, name) for cell in cells.values())
    return Family(name, reference, count)


def _has_one(cell: Sequence[ConfigurationRecord], label: str | None) -> bool:
    return [record.init for record in cell].count(str(label)) == 1


def _num_pairs(cell: Sequence[ConfigurationRecord], reference: str | None, name: str) -> int:
    with_reference = _has_one(cell, reference)
    return sum(
        any(record.design is None or record.design.family == name for record in pair)
        for pair in combinations(cell, 2)
        if not with_reference or reference in (pair[0].init, pair[1].init)
    )


def stamped(ready: Sequence[Ready], own: Family, report: Report) -> list[Ready]:
    """Returns configurations with their designs: the one of what they reuse, or this command's.

    Says in a line where that is not what this command asks for.

    Args:
      ready: After it has been settled what is reused; see `runner.execution.reuse`.
      own: The comparisons of this command.
      report: Its settings.
    """
    asked = {item.record.index: _asked(item, own, report) for item in ready}
    _tell_kept(ready, asked)
    return [
        item
        if item.record.design is not None
        else dataclasses.replace(
            item, record=dataclasses.replace(item.record, design=asked[item.record.index])
        )
        for item in ready
    ]


def _asked(item: Ready, own: Family, report: Report) -> Design:
    """Returns the design that this command asks for."""
    c = item.configuration
    is_crossed = c.settings.get("weight_seeds") is not None
    rows = {replicate.weight_seed for replicate in c.replicates}
    columns = {replicate.batch_seed for replicate in c.replicates}
    return Design(
        looks=(len(c.replicates),) if is_crossed else report.looks,
        family=own.name,
        reference=own.reference,
        margin=margin_of(item.record.endpoint, report.margin),
        comparisons=own.comparisons,
        grid=(len(rows), len(columns)) if is_crossed else None,
    )


def _tell_kept(ready: Sequence[Ready], asked: Mapping[int, Design]) -> None:
    kept: dict[str, list[str]] = {}
    for item in ready:
        design = item.record.design
        if design is not None and _told(design) != _told(asked[item.record.index]):
            kept.setdefault(f"{_told(design)} ({design.family})", []).append(item.record.init)
    if kept:
        log.info(
            "%s began with another design, fixed before training, and it stands: %s. rerun=true "
            "begins anew.",
            counted(sum(map(len, kept.values())), "configuration"),
            "; ".join(kept),
        )


def _told(design: Design) -> str:
    """Returns a design in words, without its family."""
    looks = "any" if design.looks is None else listed([str(look) for look in design.looks])
    margin = "no margin" if design.margin is None else f"margin {design.margin:g}"
    to = "all pairs" if design.reference is None else f"compared with {design.reference}"
    return f"looks at {looks} seeds, {margin}, {to}"
