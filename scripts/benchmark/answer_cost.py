"""What an answer costs: the trainings of `seeds=auto` beside those of fixed numbers of seeds.

Real trainings are made once. Blocks of their seeds, drawn without replacement, are then judged by
the product's own functions again and again, as if only some of them had been trained.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.error_rates import Case, Drawn, disagrees, look
from benchmark.trained_scores import EPOCHS, FRESH, INITS, KNOWN, SEEDS, scores
from runner.design import DEFAULT_LOOKS, DEFAULT_MARGIN
from runner.report.statistics.verdicts import EQUIVALENT, UNKNOWN, WITHIN

TARGET_RATIO = 2 / 3
_SHUFFLES = 3
_FEWEST = 3
_SEED = 20261129


@dataclass(frozen=True)
class Pool:
    """The trainings of one sweep; what is true of them are their means over all seeds."""

    name: str
    all: Drawn

    def orders(self) -> Iterator[Drawn]:
        """Yields the trainings with their seeds in other orders, the same every time."""
        generator = np.random.default_rng([_SEED, *self.name.encode()])
        for _ in range(_SHUFFLES):
            order = generator.permutation(self.all.values.shape[1])
            yield Drawn(self.all.values[:, order], self.all.trained[:, order])

    def blocks(self, size: int) -> Iterator[Drawn]:
        """Yields sweeps of so many seeds; those of one order have no seed in common."""
        for drawn in self.orders():
            for first in range(0, drawn.values.shape[1] - size + 1, size):
                seeds = slice(first, first + size)
                yield Drawn(drawn.values[:, seeds], drawn.trained[:, seeds])


@dataclass(frozen=True)
class Cost:
    """What a procedure came to, summed over sweeps.

    Attributes:
      sweeps: Their number.
      trainings: Of all of them.
      pairs, decided: Comparisons, and how many of them have a verdict.
      wrong: Sweeps with a difference in a direction that is not that of the whole pool.
      beyond, equivalent: Comparisons that differ by the margin or more over the whole pool, and how
        many of them were called equivalent.
    """

    sweeps: int
    trainings: int
    pairs: int
    decided: int
    wrong: int
    beyond: int
    equivalent: int

    @property
    def share(self) -> float:
        """Of the comparisons that are decided."""
        return self.decided / self.pairs

    @property
    def mean_trainings(self) -> float:
        """Of a sweep."""
        return self.trainings / self.sweeps


def summed(costs: Iterable[Cost]) -> Cost:
    """Returns all together."""
    return Cost(*map(sum, zip(*(vars(cost).values() for cost in costs), strict=True)))


def cost(pool: Pool, looks: tuple[int, ...]) -> Cost:
    """Returns what it takes to go on from look to look while a comparison is open.

    Args:
      pool: Trainings.
      looks: Numbers of seeds; one for a fixed number.
    """
    case = _case(looks)
    return summed(_judged(pool, case, drawn) for drawn in pool.blocks(looks[-1]))


def _case(looks: tuple[int, ...]) -> Case:
    return Case("", size=len(INITS), looks=looks, margin=DEFAULT_MARGIN, asked=())


def _judged(pool: Pool, case: Case, drawn: Drawn) -> Cost:
    (frame,), asked = look(case, drawn)
    first, second = frame["first"].to_numpy(), frame["second"].to_numpy()
    truth, learned = pool.all.values, pool.all.trained.mean(axis=1)
    distance = np.nanmean(truth[first] - truth[second], axis=1)
    fails = np.sign(learned[second] - learned[first])
    wrong = ((frame["sign"] != 0) & (frame["sign"] != np.sign(distance))) | (
        (frame["fails"] != 0) & (frame["fails"] != fails)
    )
    is_beyond = np.abs(distance) >= DEFAULT_MARGIN
    return Cost(
        sweeps=1,
        trainings=int(asked.sum()),
        pairs=len(frame),
        decided=int((frame["verdict"] != UNKNOWN).sum()),
        wrong=int(wrong.any()),
        beyond=int(is_beyond.sum()),
        equivalent=int((frame["verdict"].isin([EQUIVALENT, WITHIN]) & is_beyond).sum()),
    )


def smallest(automatic: Cost, fixed: Sequence[Cost]) -> Cost | None:
    """Returns the cheapest of the fixed designs that decides as large a share; None for none."""
    enough = (each for each in fixed if each.share >= automatic.share)
    return min(enough, key=lambda each: each.mean_trainings, default=None)


def ratio(automatic: Cost, other: Cost | None) -> float:
    """Returns how many trainings `seeds=auto` takes for one of the other; NaN without one."""
    return automatic.mean_trainings / other.mean_trainings if other else float("nan")


def measure(folder: Path, quick: bool, head: str) -> int:
    """Writes answer_cost.md into the folder, and answer_cost.parquet where it is not there.

    Args:
      folder: Of the results.
      quick: Few and short trainings, which are not kept.
      head: Machine, versions, date.

    Returns:
      The exit code: 1 if `seeds=auto` takes more than the target, or records on the disk give other
      verdicts than arrays.
    """
    seeds, epochs = (DEFAULT_LOOKS[-1], 1) if quick else (SEEDS, EPOCHS)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) if quick else folder
        pools = _pools(scores(place / "answer_cost.parquet", seeds, epochs))
    print("judging ...", flush=True)
    automatic = [cost(pool, DEFAULT_LOOKS) for pool in pools]
    fixed = [[cost(pool, (count,)) for count in range(_FEWEST, seeds + 1)] for pool in pools]
    case = _case(DEFAULT_LOOKS)
    others = [pool.name for pool in pools if disagrees(case, next(pool.blocks(DEFAULT_LOOKS[-1])))]
    for name in others:
        print(f"{name}: the records give another verdict than the arrays")
    rows = [
        (pool.name, of, smallest(of, each))
        for pool, of, each in zip(pools, automatic, fixed, strict=True)
    ]
    totals = []
    for name, ways in (("all that the rules were chosen on", KNOWN), ("all others", FRESH)):
        places = [n for n, pool in enumerate(pools) if pool.name.partition(", ")[2] in ways]
        together = summed(automatic[n] for n in places)
        designs = [summed(of) for of in zip(*(fixed[n] for n in places), strict=True)]
        totals.append((f"**{name}, one number of seeds**", together, smallest(together, designs)))
    text = _page(head, [*rows, *totals], others, seeds)
    (folder / "answer_cost.md").write_text(text, "utf-8")
    print(text)
    reached = all(ratio(together, best) <= TARGET_RATIO for _, together, best in totals)
    return 1 if others or not reached else 0


def _pools(table: pd.DataFrame) -> list[Pool]:
    found = []
    for name, rows in table.groupby("sweep", sort=False):
        shaped = rows.pivot(index="init", columns="seed", values=["val_accuracy", "trained"])
        shaped = shaped.loc[list(INITS)]
        drawn = Drawn(shaped["val_accuracy"].to_numpy(float), shaped["trained"].to_numpy(bool))
        found.append(Pool(str(name), drawn))
    return found


def _page(
    head: str,
    rows: Sequence[tuple[str, Cost, Cost | None]],
    others: Sequence[str],
    seeds: int,
) -> str:
    """Returns the Markdown of everything.

    Args:
      head: Machine, versions, date.
      rows: Name, what `seeds=auto` takes, and the smallest fixed design.
      others: Sweeps with another verdict through records on the disk.
      seeds: Of each pool.
    """
    lines = [
        f"| {name} | {automatic.share:.3f} | {_errors(automatic)} | {automatic.mean_trainings:.0f} "
        f"| {_fixed(best)} | {ratio(automatic, best):.2f} |"
        for name, automatic, best in rows
    ]
    blocks = rows[0][1].sweeps
    text = _HEAD.format(
        head=head,
        looks=", ".join(map(str, DEFAULT_LOOKS)),
        size=len(INITS),
        margin=DEFAULT_MARGIN,
        blocks=blocks,
        orders=_SHUFFLES,
        last=DEFAULT_LOOKS[-1],
        sweeps=len(rows) - 2,
        seeds=seeds,
        others=len(others),
        target=TARGET_RATIO,
    )
    return text + "\n".join(lines) + "\n"


def _fixed(best: Cost | None) -> str:
    if best is None:
        return "none | | |"
    seeds = best.mean_trainings / len(INITS)
    return f"{seeds:.0f} | {_errors(best)} | {best.mean_trainings:.0f}"


def _errors(of: Cost) -> str:
    equivalent = f"{100 * of.equivalent / of.beyond:.1f}" if of.beyond else "0"
    return f"{100 * of.wrong / of.sweeps:.1f}, {equivalent}"


_HEAD = """\
# What an answer costs

{head}
Real trainings, {size} initializers compared with glorot_uniform at a margin of {margin} and 95 %
confidence, in {sweeps} sweeps: data set, hidden layers, activation, optimizer. Each has a pool of
{seeds} seeds, in {orders} orders of which blocks of {last} are taken without replacement, {blocks}
in all. On each block `seeds=auto` (looks at {looks}) is played as the command plays it. A fixed
design trains all initializers with one number of seeds and looks once; the smallest is given that
decides at least as large a share of the comparisons.

- wrong %: of the blocks, those with a difference in a direction that is not that of the whole pool;
  of the comparisons that differ by the margin or more over the whole pool, those that are called
  equivalent. Each is to be 5 at most. Blocks share their pool with each other and with the truth,
  and the mean of a pool has an error of its own, so one unlucky comparison counts several times.
- trainings: per block, of all initializers together.
- ratio: trainings of `seeds=auto` for one of the fixed design. The target is {target:.2f} for
  sweeps together, with one number of seeds; in a row of a single sweep the fixed design is the best
  for that sweep, which nobody knows beforehand.
- The first twenty sweeps were there when it was chosen how the looks share their level, and when a
  comparison is given up. The others were trained afterwards.

One block of each sweep was also written as records, read and judged: {others} had other verdicts.

| sweep | decided | wrong % | trainings | fixed: seeds | wrong % | trainings | ratio |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
