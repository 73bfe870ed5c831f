"""How often the report's verdicts are wrong, and what they need: by simulation, no training.

Scores are drawn, not trained, and judged by the product's own functions: most sweeps as arrays by
`verdicts.decide`, some through records on the disk, which must give the same verdicts.
"""

import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from runner import report
from runner.design import DEFAULT_BASELINES, DEFAULT_LOOKS, Design
from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord, write_record
from runner.report.progress import next_seeds
from runner.report.statistics import paired, verdicts
from runner.report.statistics.proportions import wilson_interval
from runner.report.verdict import judge

LEVEL = 0.05
# Sweeps that are judged again and again are this many times fewer.
_FEWER = 5
_SWEEPS_ON_DISK = 1
# One case in a thousand is beyond this by chance alone.
_SURE = 0.998
_SEED = 20261128
# Scores of the normal law are accuracies of this mean and spread, far from 0 and 1.
_MEAN, _SPREAD = 0.8, 0.01
_UNINFORMED = 0.1

Looks = tuple[int, ...] | None
Law = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]


def normal(generator: np.random.Generator, effects: np.ndarray, seeds: int) -> np.ndarray:
    """Returns accuracies, shape (initializers, seeds), that differ by `effects` on average."""
    noise = generator.normal(size=(len(effects), seeds)) + generator.normal(size=seeds)
    return _MEAN + effects[:, np.newaxis] + _SPREAD * noise


def skewed(generator: np.random.Generator, effects: np.ndarray, seeds: int) -> np.ndarray:
    """Returns lognormal losses, of which a few are many times the median."""
    return effects[:, np.newaxis] + generator.lognormal(size=(len(effects), seeds))


def skewed_reference(
    generator: np.random.Generator, effects: np.ndarray, seeds: int, sigma: float
) -> np.ndarray:
    """Returns losses of one mean, those of the first initializer lognormal, the others normal."""
    values = 2 + 0.05 * generator.normal(size=(len(effects), seeds))
    values[0] += generator.lognormal(sigma=sigma, size=seeds) - math.exp(sigma**2 / 2)
    return values + effects[:, np.newaxis]


def coarse(
    generator: np.random.Generator,
    effects: np.ndarray,
    seeds: int,
    examples: int,
    mean: float = 0.9,
) -> np.ndarray:
    """Returns accuracies over few examples: shares in steps of 1 / examples."""
    shares = np.broadcast_to((mean + effects)[:, np.newaxis], (len(effects), seeds))
    return generator.binomial(examples, shares) / examples


@dataclass(frozen=True)
class Case:
    """A kind of sweep, and how people look at it.

    Attributes:
      name: For the table.
      law: Draws scores.
      size: Number of initializers.
      has_baseline: Whether the first is what the others are compared with, else all pairs are.
      effects: By how much the mean of each initializer is more than that of the last ones; 0 of
        those that are not named.
      diverging, unlearned: Share of the replicates of all initializers that diverge, or finish
        without having learned.
      bad: Whether no replicate of the last initializer learns.
      looks, margin: Of the design.
      asked: At how many seeds people look; None for all at once; empty for those who go on as the
        report advises.
      later: How many of the last initializers are added in a later command.
      metric: The endpoint.
    """

    name: str
    law: Law = normal
    size: int = 6
    has_baseline: bool = True
    effects: tuple[float, ...] = ()
    diverging: float = 0.0
    unlearned: float = 0.0
    bad: bool = False
    looks: Looks = DEFAULT_LOOKS
    margin: float = math.nan
    asked: tuple[int, ...] | None = None
    later: int = 0
    metric: str = "val_accuracy"

    @property
    def seeds(self) -> int:
        """The most that an initializer gets."""
        return max(self.asked or self.looks or DEFAULT_LOOKS)

    @property
    def means(self) -> np.ndarray:
        """The effects of all initializers."""
        return np.array([*self.effects, *[0.0] * (self.size - len(self.effects))])

    def families(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns the pairs of each family: their first and second initializers."""
        first, second = np.triu_indices(self.size, k=1)
        tested = (first == 0) | (not self.has_baseline)
        is_later = second >= self.size - self.later
        chosen = (tested & ~is_later, tested & is_later)
        return [(first[of], second[of]) for of in chosen if of.any()]


@dataclass(frozen=True)
class Drawn:
    """A sweep: scores, NaN where a replicate diverged, and which learned; (initializers, seeds)."""

    values: np.ndarray
    trained: np.ndarray


def draw(case: Case, generator: np.random.Generator) -> Drawn:
    """Returns one sweep of a case."""
    values = case.law(generator, case.means, case.seeds)
    luck = generator.random(values.shape)
    diverges, idles = luck < case.diverging, luck > 1 - case.unlearned
    if case.bad:
        idles[-1] = True
    values = np.where(idles, _UNINFORMED, np.where(diverges, np.nan, values))
    return Drawn(values, ~(diverges | idles))


def told(case: Case, drawn: Drawn, asked: np.ndarray) -> pd.DataFrame:
    """Returns the verdicts on the pairs of all families.

    Args:
      case: The kind of sweep.
      drawn: The sweep.
      asked: How many seeds each initializer has, shape (initializers,).
    """
    frames = []
    for first, second in case.families():
        sides = [first, second]
        is_asked = np.arange(case.seeds) < np.minimum(*asked[sides])[:, np.newaxis]
        values = paired.differences(*(drawn.values[side] for side in sides))
        pairs = verdicts.Pairs(
            values=np.where(is_asked, values, np.nan),
            is_asked=is_asked,
            has_ended=is_asked,
            has_outcome=np.stack([is_asked] * 2),
            has_trained=drawn.trained[sides],
        )
        frame = verdicts.decide(pairs, case.looks, LEVEL, case.margin, len(first))
        frame["first"], frame["second"], frame["asked"] = first, second, is_asked.sum(axis=1)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def advised(case: Case, drawn: Drawn) -> np.ndarray:
    """Returns how many seeds each initializer gets of who goes on while anything is open."""
    looks = np.array(case.looks or DEFAULT_LOOKS)
    asked = np.full(case.size, looks[0])
    while True:
        frame = told(case, drawn, asked)
        is_open = (frame["verdict"] == verdicts.UNKNOWN) & (frame["asked"] < looks[-1])
        is_open &= frame["chance"] >= verdicts.LEAST_CHANCE
        if not is_open.any():
            return asked
        for pair in frame[is_open].to_dict("records"):
            sides = [pair["first"], pair["second"]]
            asked[sides] = np.maximum(asked[sides], looks[looks > pair["asked"]][0])


def look(case: Case, drawn: Drawn) -> tuple[list[pd.DataFrame], np.ndarray]:
    """Returns the verdicts each time that people look, and the seeds of each initializer."""
    if case.asked == ():
        asked = advised(case, drawn)
        return [told(case, drawn, asked)], asked
    each = [np.full(case.size, count) for count in case.asked or (case.seeds,)]
    return [told(case, drawn, asked) for asked in each], each[-1]


@dataclass(frozen=True)
class Counts:
    """What a number of sweeps gave.

    Attributes:
      sweeps: Their number.
      wrong: Sweeps with a difference, or a direction of one, that is not there.
      wrong_later: The same in the family that was added later.
      beyond, equivalent: Pairs that differ by the margin or more, and how many were called
        equivalent.
      right, known: Pairs that have an answer, and how many got it.
      seeds: Mean number until it is known, or to the last look, over the pairs with an answer.
    """

    sweeps: int
    wrong: int
    wrong_later: int
    beyond: int
    equivalent: int
    right: int
    known: int
    seeds: float


def simulate(case: Case, sweeps: int) -> Counts:
    """Returns what sweeps of a case give, seeded by its name."""
    generator = np.random.default_rng([_SEED, *case.name.encode()])
    frames, numbers = [], []
    for number in range(sweeps):
        looks, _ = look(case, draw(case, generator))
        frames += looks
        numbers += [number] * sum(map(len, looks))
    frame = pd.concat(frames, ignore_index=True).assign(sweep=numbers)
    first, second = frame["first"].to_numpy(), frame["second"].to_numpy()
    means, learns = case.means, np.ones(case.size)
    learns[-1] -= case.bad
    distance, fails = means[first] - means[second], learns[second] - learns[first]
    # Among survivors, one that never learns is below the others.
    sign = np.sign(distance - (_MEAN - _UNINFORMED) * fails)
    wrong = ((frame["sign"] != 0) & (frame["sign"] != sign)) | (
        (frame["fails"] != 0) & (frame["fails"] != fails)
    )
    is_same = frame["verdict"].isin([verdicts.EQUIVALENT, verdicts.WITHIN])
    is_beyond = (np.abs(distance) >= case.margin - 1e-12) | (fails != 0)
    has_margin = not math.isnan(case.margin)
    differs = (distance != 0) | (fails != 0)
    found = np.where(differs, (frame["sign"] != 0) | (frame["fails"] != 0), is_same)
    answerable = differs if not has_margin else ~is_beyond
    is_later = second >= case.size - case.later
    return Counts(
        sweeps=sweeps,
        wrong=frame.loc[wrong, "sweep"].nunique(),
        wrong_later=frame.loc[wrong & is_later, "sweep"].nunique(),
        beyond=int(is_beyond.sum()) if has_margin else 0,
        equivalent=int((is_same & is_beyond).sum()),
        right=int(answerable.sum()),
        known=int(found[answerable].sum()),
        seeds=float(frame["decided_at"].astype(float).fillna(case.seeds)[answerable].mean()),
    )


def disagreements(case: Case, sweeps: int) -> list[str]:
    """Returns which sweeps have another verdict through records on the disk than as arrays."""
    generator = np.random.default_rng([_SEED, *case.name.encode()])
    return [
        f"{case.name}, sweep {number}"
        for number in range(sweeps)
        if disagrees(case, draw(case, generator))
    ]


def disagrees(case: Case, drawn: Drawn) -> bool:
    """Tells whether a sweep has another verdict through records on the disk than as arrays."""
    looks, asked = look(case, drawn)
    with tempfile.TemporaryDirectory() as place:
        frame, own = _through_records(case, drawn, asked, Path(place))
    expected = looks[-1].set_index(["first", "second"])
    columns = ["verdict", "decided_at", "sign", "fails"]
    return not (own == asked).all() or not frame.loc[expected.index, columns].equals(
        expected[columns]
    )


def _through_records(
    case: Case, drawn: Drawn, asked: np.ndarray, folder: Path
) -> tuple[pd.DataFrame, np.ndarray]:
    """Returns the verdicts by pair of a sweep that is written and read, and its numbers of seeds.

    Of people who go on as the report advises, its advice decides how many seeds there are.
    """
    sweep = SweepRecord("2026-01-01/00-00-00", "benchmark", "2026-01-01T00:00:00+00:00", {}, "")
    is_advised = case.asked == ()
    seeds = np.full(case.size, (case.looks or DEFAULT_LOOKS)[0]) if is_advised else asked.copy()
    while True:
        configurations = [_configuration(case, index, int(n)) for index, n in enumerate(seeds)]
        records = [
            _replicate(case, drawn, index, seed)
            for index, count in enumerate(seeds)
            for seed in range(count)
        ]
        more = next_seeds(sweep, configurations, records) if is_advised else {}
        if not more:
            break
        seeds[list(more)] = list(more.values())
    write_record(folder / "sweep.json", sweep, flushes_folder=False)
    for record in configurations:
        write_record(folder / str(record.index) / "configuration.json", record, False)
    for replicate in records:
        home = folder / str(replicate.configuration) / "replicates"
        write_record(home / f"{replicate.key}.json", replicate, False)
    (cell,) = judge(report.load(folder))
    frame = cell.pairs[cell.pairs["is_tested"]]
    return frame.set_index(["configuration_a", "configuration_b"]), seeds


def _configuration(case: Case, index: int, seeds: int) -> ConfigurationRecord:
    first = DEFAULT_BASELINES[-1] if case.has_baseline else "normal"
    inits = [first, *map(str, range(1, case.size))]
    families = case.families()
    family = int(index >= case.size - case.later)
    return ConfigurationRecord(
        index=index,
        init=inits[index],
        factors={},
        settings={"training": {"name": "default"}, "seeds": seeds},
        dataset={
            "name": "digits",
            "fingerprint": "8f3a91c2",
            "num_outputs": 10,
            "uninformed_loss": math.log(10),
        },
        endpoint=case.metric,
        num_replicates=seeds,
        design=Design(
            case.looks,
            f"family {family}",
            inits[0] if case.has_baseline else None,
            None if math.isnan(case.margin) else case.margin,
            len(families[family][0]),
        ),
    )


def _replicate(case: Case, drawn: Drawn, index: int, seed: int) -> ReplicateRecord:
    value, learned = float(drawn.values[index, seed]), bool(drawn.trained[index, seed])
    diverged = math.isnan(value)
    curves = {
        "loss": [math.log(10), 0.1 if learned else math.log(10)],
        "accuracy": [_UNINFORMED, 1.0 if learned else _UNINFORMED],
        case.metric: [_UNINFORMED, value],
    }
    return ReplicateRecord(
        configuration=index,
        seed=seed,
        weight_seed=seed,
        batch_seed=seed,
        status="diverged" if diverged else "finished",
        steps=[0] if diverged else [0, 9],
        curves={name: line[:1] if diverged else line for name, line in curves.items()},
        wall_time_s=1.0,
        diverged_epoch=1 if diverged else None,
        diverged_step=9 if diverged else None,
    )


def _cases() -> list[Case]:
    """Returns all cases, in the order of the table."""
    sizes = [Case("two initializers", size=2)]
    sizes += [
        Case(f"{word}, {how}", size=size, has_baseline=how == "baseline")
        for size, word in ((6, "six"), (10, "ten"))
        for how in ("baseline", "all pairs")
    ]
    rules: dict[str, dict] = {
        "looks 5, 10, 20, 40": {},
        "one look at 12": {"looks": (12,)},
        "any number of looks": {"looks": None},
        "looked at 5, then as advised": {"asked": ()},
    }
    laws: dict[str, dict] = {
        "lognormal losses": {"law": skewed, "metric": "val_loss"},
        "accuracies of 30 examples": {"law": partial(coarse, examples=30)},
        "accuracies of 360 examples": {"law": partial(coarse, examples=360)},
        "0.1 diverge": {"diverging": 0.1},
        "0.3 diverge": {"diverging": 0.3},
        "0.2 never learn": {"unlearned": 0.2},
        "0.1 diverge, 0.1 never learn": {"diverging": 0.1, "unlearned": 0.1},
    }
    found = [
        replace(case, name=f"normal; {case.name}; {rule}", **options)
        for rule, options in rules.items()
        for case in sizes
    ]
    found += [
        replace(case, name=f"{law}; {case.name}; {rule}", **options, **rules[rule])
        for law, options in laws.items()
        for rule in rules
        for case in sizes
        if case.name == "six, baseline" or (rule == "looks 5, 10, 20, 40" and case.size < 10)
    ]
    for how in ("baseline", "all pairs"):
        has_baseline = how == "baseline"
        found += [
            Case(
                f"normal; six, {how}; looked at 5, 10, 15, 20, 30, 50",
                has_baseline=has_baseline,
                asked=(5, 10, 15, 20, 30, 50),
            ),
            Case(
                f"normal; any number, six, {how}; looked at 5, 6, 8, 12, 20, 30, 40",
                has_baseline=has_baseline,
                looks=None,
                asked=(5, 6, 8, 12, 20, 30, 40),
            ),
            Case(f"one of ten never learns; {how}", size=10, has_baseline=has_baseline, bad=True),
            Case(
                f"one of ten is 5 sd worse; {how}",
                size=10,
                has_baseline=has_baseline,
                effects=(*[0.05] * 9, 0.0),
            ),
            Case(f"normal; five and one added later, {how}", has_baseline=has_baseline, later=1),
        ]
    found += [
        Case(
            f"one mean; baseline lognormal (sigma {sigma:g}), five others normal; {rule}",
            law=partial(skewed_reference, sigma=sigma),
            metric="val_loss",
            **rules[rule],
        )
        for sigma in (0.5, 1.0)
        for rule in ("looks 5, 10, 20, 40", "one look at 12", "any number of looks")
    ]
    return found + _powers() + _equivalences()


def _powers() -> list[Case]:
    """Returns pairs that differ."""
    std = _SPREAD * math.sqrt(2)
    return [
        Case(f"a difference of {d:g} sd; {rule}", size=2, effects=(d * std,), looks=looks)
        for rule, looks in (("looks 5, 10, 20, 40", DEFAULT_LOOKS), ("any number of looks", None))
        for d in (0.3, 0.5, 1.0, 2.0)
    ]


def _equivalences() -> list[Case]:
    """Returns pairs that are equal, and pairs that differ by exactly the margin."""
    std = _SPREAD * math.sqrt(2)
    found = [
        Case(
            f"{what}, margin of {share:g} sd; {rule}",
            size=2,
            effects=(share * std if what == "at the margin" else 0.0,),
            looks=looks,
            margin=share * std,
        )
        for what in ("equal", "at the margin")
        for rule, looks in (("looks 5, 10, 20, 40", DEFAULT_LOOKS), ("any number of looks", None))
        for share in (0.5, 1.0, 2.0)
    ]
    margin = Case("at the margin", size=2, effects=(0.005,), margin=0.005)
    laws: dict[str, dict] = {
        "lognormal losses, margin of 1": {
            "law": skewed, "metric": "val_loss", "margin": 1.0, "effects": (1.0,),
        },
        "accuracies of 360 examples, 0.9": {"law": partial(coarse, examples=360)},
        "accuracies of 30 examples, 0.9": {"law": partial(coarse, examples=30)},
        "accuracies of 360 examples, 0.99": {"law": partial(coarse, examples=360, mean=0.99)},
        "accuracies of 30 examples, 0.99": {"law": partial(coarse, examples=30, mean=0.99)},
        "0.1 diverge, margin of 1 sd": {"diverging": 0.1, "margin": std, "effects": (std,)},
        "six, baseline, margin of 1 sd": {"size": 6, "margin": std, "effects": (std,)},
        "as advised, margin of 1 sd": {"asked": (), "margin": std, "effects": (std,)},
    }  # fmt: skip
    return found + [
        replace(margin, name=f"at the margin; {law}", **options) for law, options in laws.items()
    ]


CASES = _cases()


def _measured(place: int, sweeps: int) -> tuple[Counts, list[str]]:
    case = CASES[place]
    number = sweeps if case.asked is None else max(1, sweeps // _FEWER)
    return simulate(case, number), disagreements(case, _SWEEPS_ON_DISK)


def measure(folder: Path, sweeps: int, head: str) -> int:
    """Writes error_rates.md into the folder; returns the exit code.

    Args:
      folder: Of the results.
      sweeps: Of each case.
      head: Machine, versions, date.
    """
    began_s = time.perf_counter()
    counts, disagreeing = [], []
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for case, (found, wrong) in zip(
            CASES, pool.map(_measured, range(len(CASES)), [sweeps] * len(CASES)), strict=True
        ):
            print(f"{case.name}: {found.wrong} of {found.sweeps}", flush=True)
            counts.append(found)
            disagreeing += wrong
    text = _page(head, counts, len(disagreeing))
    (folder / "error_rates.md").write_text(text, "utf-8")
    print(f"{text}\n{time.perf_counter() - began_s:.0f} s in all")
    for sweep in disagreeing:
        print(f"{sweep}: the records give another verdict than the arrays")
    return 1 if disagreeing else 0


def _page(head: str, counts: Sequence[Counts], others: int) -> str:
    """Returns the Markdown of everything."""
    lines = [_HEAD.format(head=head, on_disk=_SWEEPS_ON_DISK * len(CASES), others=others)]
    for case, found in zip(CASES, counts, strict=True):
        power = found.known / found.right if found.right else math.nan
        cells = [
            case.name,
            found.sweeps,
            *_share(found.wrong, found.sweeps),
            *_share(found.equivalent, found.beyond),
            f"{power:.3f}" if found.right else "",
            f"{found.seeds:.1f}" if found.right else "",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |\n")
        if case.later:
            cells[0], cells[2:4] = "- the one alone", _share(found.wrong_later, found.sweeps)
            lines.append(f"| {' | '.join(map(str, cells))} |\n")
    return "".join(lines)


def _share(count: int, number: int) -> tuple[str, str]:
    """Returns a share and its interval in percent, marked where it is surely above the level."""
    if not number:
        return "", ""
    low, high = (100 * float(end) for end in wilson_interval(count, number, 0.95))
    is_above = float(wilson_interval(count, number, _SURE)[0]) > LEVEL
    text = f"{100 * count / number:.2f}"
    return f"**{text}**" if is_above else text, f"{low:.1f} to {high:.1f}"


_HEAD = """\
# How often a verdict is wrong

{head}
Scores are drawn from known laws, nothing is trained, and the functions of the report judge them at
95 % confidence. A row is a kind of sweep: its law, the number of initializers and the family of
comparisons (each with the baseline, or all pairs), and when people look. Where nothing else is
said, all initializers are equal, and have 40 seeds.

- false differences: percent of sweeps with any difference that is not there, or in the wrong
  direction, at any look, with its 95 % interval (Wilson). The rule: at most 5.
- false equivalence: percent of pairs that differ by the margin or more and are called equivalent.
  The rule: at most 5, per comparison.
- power, mean seeds: share of the pairs with an answer (different, or within the margin) that got
  it, and at how many seeds on average; pairs that did not count with all of their seeds.
- **Bold**: above 5 by more than chance explains once in a thousand cases.
- as advised: people look at 5 seeds, train what the report asks for while anything is open that
  more seeds are likely to decide, and look again.

{on_disk} of the sweeps were also written as records, read and judged: {others} had other verdicts.

Above 5, with a caution in the report where it occurs: two families (a configuration added later has
its own 5), and a lognormal reference beside narrow normal ones of the same mean, whose differences
have its skew. Losses of one law, however skewed, stay below.

| case | sweeps | false differences % | 95 % | false equivalence % | 95 % | power | mean seeds |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
