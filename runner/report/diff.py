"""What changed from one sweep to another: in what was asked for, and in what came of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runner.records import ConfigurationRecord, SweepRecord
from runner.report import names
from runner.report.render.json import SCHEMA_VERSION, Command, command
from runner.report.results import Results
from runner.report.selection import settings
from runner.report.sweep import Sweep
from runner.report.verdict import Cell, Outcome, Standing, baseline_label
from runner.summary import paired_difference

Subject = Literal["settings", "data", "versions", "machine", "seeds", "design"]

_SEEDS = ("seeds", "weight_seeds", "batch_seeds")
# What changes what is told of the numbers, or where they are, but not the numbers.
_TELLING = {
    *("compilation_cache", "diagnostics", "dry_run", "execution", "report", "rerun", "tracking"),
    "verbose",
}
_TELLING |= {"training.target_metric", "training.target_value", "training.checkpoint_every_s"}

# What the reference is compared with is itself.
_NO_VERDICT = {"reference", "unknown", "unfinished"}


@dataclass(frozen=True)
class Change:
    """Something that the sweeps do not share.

    Attributes:
      subject: What sort of thing it is.
      key: Its name.
      a, b: Its value in either; several where it varies in the sweep, null where it has none.
    """

    subject: Subject
    key: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Score:
    """What a configuration reaches in one of the sweeps.

    Attributes:
      mean, ci_low, ci_high: Of the endpoint over the finished replicates.
      num_asked, num_finished: Replicates.
      outcome: Against the reference of its cell.
      reference: That reference.
    """

    mean: float | None
    ci_low: float | None
    ci_high: float | None
    num_asked: int
    num_finished: int
    outcome: Outcome
    reference: str | None


@dataclass(frozen=True)
class Paired:
    """Mean of b minus a on the seeds that both finished, with its interval: exploratory.

    Attributes:
      mean, ci_low, ci_high: The interval is not corrected for the number of initializers.
      num_pairs: Number of seeds.
    """

    mean: float | None
    ci_low: float | None
    ci_high: float | None
    num_pairs: int


@dataclass(frozen=True)
class Common:
    """A configuration that both sweeps have.

    Attributes:
      init: Label of the initializer.
      setting: Values of the factors that vary in either sweep; empty where none does.
      endpoint_a, endpoint_b: What is compared in either, in words.
      a, b: What it reaches.
      agrees: Whether both have the same verdict against the same reference; null where either has
        none.
      changed: What decides its numbers and differs between the two.
      difference: Where at most one thing changed and both were asked for the same seeds.
    """

    init: str
    setting: str
    endpoint_a: str
    endpoint_b: str
    a: Score
    b: Score
    agrees: bool | None
    changed: Sequence[str]
    difference: Paired | None


@dataclass(frozen=True)
class SweepDiff:
    """What changed from one sweep to another.

    Attributes:
      kind: `diff`.
      schema_version: Of this structure.
      a, b: The sweeps.
      confidence: Level of the intervals of differences.
      changes: What was asked for, or ran, otherwise.
      only_a, only_b: Initializers that only one of them has.
      outcomes: What both have.
    """

    kind: Literal["diff"]
    schema_version: int
    a: Sequence[Command]
    b: Sequence[Command]
    confidence: float
    changes: Sequence[Change]
    only_a: Sequence[str]
    only_b: Sequence[str]
    outcomes: Sequence[Common]


@dataclass(frozen=True)
class _Side:
    """One of the sweeps."""

    sweep: Sweep
    settings: Mapping[int, Mapping[str, Any]]

    @property
    def command(self) -> SweepRecord:
        return self.sweep.results.sweep

    def values(self, key: str) -> list[str]:
        """Returns the values of a setting, each once."""
        own = self.settings.values()
        return sorted({names.scalar_text(flat[key]) for flat in own if key in flat})


_Sides = tuple[_Side, _Side]
_Found = tuple[Cell, Standing]


def sweep_diff(a: Results, b: Results) -> SweepDiff:
    """Returns what changed from one sweep to another."""
    sides = _side(a), _side(b)
    inits = [list(dict.fromkeys(record.init for record in side.sweep.trained)) for side in sides]
    keys = _keys(sides)
    return SweepDiff(
        kind="diff",
        schema_version=SCHEMA_VERSION,
        a=[command(sweep) for sweep in a.sweeps],
        b=[command(sweep) for sweep in b.sweeps],
        confidence=a.sweep.confidence,
        changes=[change for change in _changes(sides, keys) if change.a != change.b],
        only_a=[init for init in inits[0] if init not in inits[1]],
        only_b=[init for init in inits[1] if init not in inits[0]],
        outcomes=list(_outcomes(sides, [key for key in keys if _decides(key)])),
    )


def _side(results: Results) -> _Side:
    sweep = Sweep(results, draws=False)
    return _Side(sweep, {record.index: settings(record) for record in sweep.trained})


def _keys(sides: _Sides) -> list[str]:
    """Returns the settings of both, without those of an option that only one of them has."""
    own = [{key for flat in side.settings.values() for key in flat} for side in sides]
    both = own[0] & own[1]
    shared = {key for key in both if sides[0].values(key) == sides[1].values(key)}
    return sorted(key for key in own[0] | own[1] if key in both or key.partition(".")[0] in shared)


def _decides(key: str) -> bool:
    """Tells whether a setting, other than the initializer and the seeds, decides numbers."""
    group = key.partition(".")[0]
    return not {key, group} & _TELLING and group != "init" and key not in _SEEDS


def _changes(sides: _Sides, keys: Sequence[str]) -> Iterator[Change]:
    """Yields what may have changed, each with its value in both."""

    def change(subject: Subject, key: str, of: Iterable[Iterable[Any]]) -> Change:
        one, other = (", ".join(sorted({str(v) for v in own if v is not None})) for own in of)
        return Change(subject, key, one or None, other or None)

    for key in keys:
        is_seed = key in _SEEDS
        if is_seed or key.partition(".")[0] not in ("init", "report"):
            values = [side.values(key) for side in sides]
            told = [[] if own == ["null"] else own for own in values]  # as good as not there
            yield change("seeds" if is_seed else "settings", key, told)
    for fact in ("fingerprint", "num_train", "num_validation", "num_test"):
        yield change("data", fact, [[r.dataset.get(fact) for r in s.sweep.trained] for s in sides])
    versions = [side.command.versions for side in sides]
    for library in _libraries(sides):
        yield change("versions", library, [[own.get(library)] for own in versions])
    yield change("machine", "machine", [[side.command.machine] for side in sides])
    for name, value in _DESIGN.items():
        yield change("design", name, [[value(r) for r in side.sweep.trained] for side in sides])
    yield change("design", "confidence", [[side.command.confidence] for side in sides])


def _libraries(sides: _Sides) -> list[str]:
    return list(dict.fromkeys(key for side in sides for key in side.command.versions))


def _looks(record: ConfigurationRecord) -> str:
    if record.design is None:
        return "not fixed beforehand"
    return "any" if record.design.looks is None else str(list(record.design.looks))


_DESIGN = {
    "endpoint": names.endpoint_name,
    "looks": _looks,
    "margin": lambda record: record.design and record.design.margin,
    "baseline": lambda r: r.design.reference if r.design else baseline_label(r),
}


def _outcomes(sides: _Sides, keys: Sequence[str]) -> Iterator[Common]:
    """Yields the configurations that both have: same initializer, same value of what varies."""
    varying = [key for key in keys if any(len(side.values(key)) > 1 for side in sides)]
    shortened = names.short_keys(varying)
    first, second = (_by_place(side, varying) for side in sides)
    for place in first:
        if place in second:
            texts = zip(varying, place[1:], strict=True)
            setting = ", ".join(f"{shortened[key]}={value}" for key, value in texts)
            yield _outcome(sides, (first[place], second[place]), setting, keys)


def _by_place(side: _Side, varying: Sequence[str]) -> dict[tuple[str, ...], _Found]:
    found: dict[tuple[str, ...], _Found] = {}
    for cell in side.sweep.cells:
        for standing in cell.standings:
            flat = side.settings[standing.record.index]
            texts = (names.scalar_text(flat.get(key)) for key in varying)
            found.setdefault((standing.record.init, *texts), (cell, standing))
    return found


def _outcome(
    sides: _Sides, found: tuple[_Found, _Found], setting: str, keys: Sequence[str]
) -> Common:
    first, second = (standing.record for _, standing in found)
    a, b = (_score(cell, standing) for cell, standing in found)
    has_verdict = {a.outcome, b.outcome}.isdisjoint(_NO_VERDICT)
    changed = _changed(sides, first, second, keys)
    return Common(
        init=first.init,
        setting=setting,
        endpoint_a=names.endpoint_name(first),
        endpoint_b=names.endpoint_name(second),
        a=a,
        b=b,
        agrees=(a.outcome, a.reference) == (b.outcome, b.reference) if has_verdict else None,
        changed=changed,
        difference=None if len(changed) > 1 else _difference(sides, first, second),
    )


def _score(cell: Cell, standing: Standing) -> Score:
    score = standing.score
    return Score(
        mean=score.mean,
        ci_low=score.low,
        ci_high=score.high,
        num_asked=standing.record.num_replicates,
        num_finished=score.count,
        outcome=standing.outcome,
        reference=cell.reference.record.init if cell.reference else None,
    )


def _changed(
    sides: _Sides, first: ConfigurationRecord, second: ConfigurationRecord, keys: Sequence[str]
) -> list[str]:
    """Returns what decides the numbers of two configurations and is not the same."""
    a, b = (side.settings[r.index] for side, r in zip(sides, (first, second), strict=True))
    found = [key for key in keys if a.get(key) != b.get(key)]
    of_data = first.dataset.get("fingerprint") != second.dataset.get("fingerprint")
    if of_data and not any(key.startswith("dataset") for key in found):
        found.append("data")
    old, new = (side.command.versions for side in sides)
    return found + [key for key in _libraries(sides) if old.get(key) != new.get(key)]


def _difference(
    sides: _Sides, first: ConfigurationRecord, second: ConfigurationRecord
) -> Paired | None:
    """Returns b minus a, seed by seed; none of other endpoints, and none of crossed seeds."""
    seeds = [[record.settings.get(key) for key in _SEEDS] for record in (first, second)]
    is_crossed = any(side.sweep.scores.crossed for side in sides)
    same_metric = names.endpoint_name(first) == names.endpoint_name(second)
    if seeds[0] != seeds[1] or is_crossed or not same_metric:
        return None
    a, b = (
        side.sweep.scores.finished[record.index]
        for side, record in zip(sides, (first, second), strict=True)
    )
    a, b = a.align(b)
    summary = paired_difference(b, a, sides[0].command.confidence)
    if not summary.count:
        return None
    return Paired(summary.mean, summary.low, summary.high, summary.count)
