"""Which examples go where: a stratified subset, then training, validation and test part.

The draws depend on `dataset.split_seed` alone. Every part holds every class, each as near to its
share of all examples as whole numbers allow. Of several labels, the sets that occur often enough
are what classes are otherwise. Regression is the case of a single stratum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runner import seeds
from runner.config import ConfigError, shown
from runner.datasets.settings import Settings


@dataclass(frozen=True)
class Rows:
    """Ascending positions of the examples of each part, int64."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray | None


def draw(
    labels: np.ndarray, names: Sequence[str], settings: Settings, validation: float, test: float
) -> Rows:
    """Draws the subset and splits it.

    Args:
      labels: Stratum of each example, shape (n,), integers 0..k-1, none of them unused.
      names: Names of the strata, for the messages.
      settings: Subset and seed.
      validation: Fraction of the validation part; 0 for none.
      test: Fraction of the test part; 0 for none.

    Raises:
      ConfigError: The subset is larger than the data, or a part would lack a class.
    """
    num_parts = 1 + bool(validation) + bool(test)
    check_fractions(validation, test)
    rows = _subset(labels, num_parts, settings)
    num_test = round(len(rows) * test)
    num_validation = round(len(rows) * validation)
    fractions = {"validation": validation, "test": test}
    sizes = {"validation": num_validation, "test": num_test}
    _check_sizes(len(rows), fractions, sizes, len(names))
    _check_strata(np.bincount(labels[rows]), names, num_parts, settings)

    generator = seeds.generator(settings.split_seed, "split")
    held_out = None
    if test:
        held_out, rows = _divide(generator, labels, rows, num_test, leave=num_parts - 1)
    chosen = rows[:0]
    if validation:
        chosen, rows = _divide(generator, labels, rows, num_validation, leave=1)
    return Rows(rows, chosen, held_out)


def label_sets(y: np.ndarray, settings: Settings, validation: float, test: float) -> np.ndarray:
    """Returns the strata of examples that have several labels, integers 0..k-1, shape (n,).

    A set of labels that is frequent enough for an example in every part is a stratum; all others
    are one together.

    Args:
      y: Labels, 0 or 1, shape (n, labels).
      settings: Subset.
      validation, test: Fractions of those parts; 0 for none.
    """
    parts = [part for part in (validation, 1 - validation - test, test) if part]
    smallest = min(parts) * min((settings.subset or len(y)) / len(y), 1)
    _, of_row, counts = np.unique(y, axis=0, return_inverse=True, return_counts=True)
    if smallest <= 0:
        return np.zeros(len(y), np.int64)
    enough = max(1 / smallest, len(parts))
    largest_first = np.argsort(-counts, kind="stable")
    sizes = counts[largest_first]
    num = int((sizes >= enough).sum())
    while num and 0 < sizes[num:].sum() < enough:
        num -= 1
    rank = np.empty_like(largest_first)
    rank[largest_first] = np.arange(len(counts))
    return np.minimum(rank[of_row.reshape(-1)], num)


def _subset(labels: np.ndarray, num_parts: int, settings: Settings) -> np.ndarray:
    everything = np.arange(len(labels))
    if settings.subset is None:
        return everything
    counts = np.bincount(labels)
    least = np.minimum(counts, num_parts)
    if not least.sum() <= settings.subset <= len(labels):
        raise ConfigError.at(
            "dataset.subset",
            f"from {least.sum()} (some examples of every class for each part) "
            f"to {len(labels)} (all there are)",
            settings.subset,
        )
    taken = shares(counts, settings.subset, least, counts)
    generator = seeds.generator(settings.split_seed, "subset")
    return choose_rows(generator, labels, taken)


def _divide(
    generator: np.random.Generator,
    labels: np.ndarray,
    rows: np.ndarray,
    total: int,
    leave: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns `total` of the rows, and the others: of each class at least `leave`."""
    counts = np.bincount(labels[rows])
    taken = shares(counts, total, np.ones_like(counts), counts - leave)
    chosen = choose_rows(generator, labels[rows], taken)
    return rows[chosen], np.delete(rows, chosen)


def shares(counts: np.ndarray, total: int, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Returns how many to take of each class: in proportion, rounded by largest remainder.

    Args:
      counts: Examples of each class, shape (k,).
      total: How many to take in all, from `least.sum()` to `most.sum()`.
      least, most: Bounds for each class, shape (k,).

    Returns:
      Integers that sum to `total`, shape (k,). The first of equal classes yields.
    """
    quota = counts * (total / counts.sum())
    taken = np.clip(np.floor(quota).astype(np.int64), least, most)
    while (missing := total - taken.sum()) != 0:
        step = 1 if missing > 0 else -1
        movable = taken < most if step > 0 else taken > least
        taken[np.argmax(np.where(movable, step * (quota - taken), -np.inf))] += step
    return taken


def choose_rows(
    generator: np.random.Generator, labels: np.ndarray, taken: np.ndarray
) -> np.ndarray:
    """Returns ascending random positions, `taken[c]` of those with label c."""
    order = generator.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    grouped = labels[by_class]
    rank = np.arange(len(labels)) - np.searchsorted(grouped, grouped)
    return np.sort(by_class[rank < taken[grouped]])


def check_fractions(validation: float, test: float) -> None:
    """Raises `ConfigError` where nothing would be left to train on."""
    if validation + test >= 1:
        raise ConfigError(
            "`dataset.validation` and `dataset.test` must leave something to train on: their sum "
            f"must be below 1. Received: {validation:g} and {test:g}."
        )


def _check_sizes(
    num_rows: int, fractions: Mapping[str, float], sizes: Mapping[str, int], num_strata: int
) -> None:
    least = f"an example of each of the {num_strata} classes" if num_strata > 1 else "an example"
    for name, fraction in fractions.items():
        if fraction and sizes[name] < num_strata:
            raise ConfigError(
                f"`dataset.{name}` must be large enough that the {name} part holds {least}. "
                f"Received: {fraction:g}, that is {sizes[name]} of {num_rows} examples."
            )
    num_train = num_rows - sum(sizes.values())
    if num_train < num_strata:
        told = " and ".join(f"{fraction:g}" for fraction in fractions.values())
        raise ConfigError(
            "`dataset.validation` and `dataset.test` must be small enough that the training part "
            f"holds {least}. Received: {told}, which leave {max(num_train, 0)} of {num_rows} "
            "examples."
        )


def _check_strata(
    counts: np.ndarray, names: Sequence[str], num_parts: int, settings: Settings
) -> None:
    smallest = int(np.argmin(counts))
    if counts[smallest] >= num_parts:
        return
    keys = "`dataset.validation` and `dataset.test`" if num_parts == 3 else "`dataset.validation`"
    of_every, of_this = "", ""
    if len(names) > 1:
        of_every, of_this = " of every class", f" of class {shown(names[smallest])}"
    larger = " Or enlarge `dataset.subset`." if settings.subset is not None else ""
    raise ConfigError(
        f"{keys} must find at least {num_parts} examples{of_every}, one for each part. "
        f"Received: {counts[smallest]}{of_this}. Add some, or leave those out.{larger}"
    )
