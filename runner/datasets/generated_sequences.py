"""Sequences drawn from a known law, whose answer needs what came long before.

All draws come from the stream `data` of `dataset.seed`.
"""

from dataclasses import dataclass

import numpy as np

from runner import seeds
from runner.config import NON_NEGATIVE_INTEGER, POSITIVE_INTEGER, ConfigError, optional, setting
from runner.datasets.generated import AT_LEAST_TWO
from runner.datasets.settings import DEFAULT_TEST, FRACTION, DrawnTest, Examples, Split

_BLANK = 0


@dataclass(frozen=True)
class Adding(DrawnTest):
    """The sum of two marked numbers of a sequence.

    Law: at step t = 1..T the inputs are a number u_t, uniform in [0, 1), and a mark m_t, which is 1
    at one step of the first half and at one of the second, both uniform, and else 0. The target is
    the sum of u_t m_t over all steps. The variance of the target is 1/6.

    Attributes:
      size: Number of examples.
      length: T, the steps of a sequence.
      seed: Seed of the draw.

    Reference: Le, Jaitly and Hinton, 2015, "A simple way to initialize recurrent networks of
    rectified linear units", section 4.1; after Hochreiter and Schmidhuber, 1997.
    """

    size: int = setting(AT_LEAST_TWO, 5000)
    length: int = setting(AT_LEAST_TWO, 50)
    seed: int = setting(NON_NEGATIVE_INTEGER, 0)

    def read(self) -> Examples:
        """Returns inputs of shape (size, length, 2), and sums, shape (size,)."""
        generator = seeds.generator(self.seed, "data")
        x = np.zeros((self.size, self.length, 2))
        x[..., 0] = generator.random((self.size, self.length))
        rows, half = np.arange(self.size), self.length // 2
        for start, end in ((0, half), (half, self.length)):
            x[rows, generator.integers(start, end, self.size), 1] = 1
        y = (x[..., 0] * x[..., 1]).sum(axis=1)
        return Examples(x, y, "regression", source="adding")


@dataclass(frozen=True)
class Copy(Split):
    """Symbols to be repeated after a pause.

    Law: an example is `symbols` tokens, each uniform over `alphabet` different ones, `delay - 1`
    blanks, the mark that says that the pause is over, and as many blanks as symbols. The target is
    a blank at each step, and at the last ones the symbols in their order. Token 0 is the blank,
    1 to `alphabet` are the symbols, and the last is the mark. Who remembers nothing can at best
    have a loss of symbols ln(alphabet) / (delay + 2 symbols).

    Attributes:
      size: Number of examples.
      symbols: To be remembered.
      alphabet: Number of different symbols.
      delay: Steps from the last symbol to the mark.
      seed: Seed of the draw.

    Reference: Arjovsky, Shah and Bengio, 2016, "Unitary evolution recurrent neural networks",
    section 5.1.
    """

    size: int = setting(AT_LEAST_TWO, 5000)
    symbols: int = setting(POSITIVE_INTEGER, 10)
    alphabet: int = setting(AT_LEAST_TWO, 8)
    delay: int = setting(POSITIVE_INTEGER, 20)
    seed: int = setting(NON_NEGATIVE_INTEGER, 0)
    test: float = setting(FRACTION, DEFAULT_TEST)  # type: ignore[misc]

    def read(self) -> Examples:
        """Returns tokens and targets, both of shape (size, delay + 2 symbols), int32."""
        generator = seeds.generator(self.seed, "data")
        drawn = generator.integers(1, self.alphabet + 1, (self.size, self.symbols), np.int32)
        length = self.delay + 2 * self.symbols
        x, y = (np.full((self.size, length), _BLANK, np.int32) for _ in range(2))
        x[:, : self.symbols] = y[:, -self.symbols :] = drawn
        x[:, self.symbols + self.delay - 1] = self.alphabet + 1
        return Examples(x, y, "tokens", source="copy", vocabulary=self.alphabet + 2)


@dataclass(frozen=True)
class Parity(DrawnTest):
    """Whether a row of signs has an odd number of minus signs.

    Law: the inputs are `length` signs, +1 or -1, all rows different; `relevant` places are drawn
    once, uniformly. The class is 1 where an odd number of the signs at those places is -1. No
    smaller set of places says anything about it.

    Attributes:
      size: Number of examples.
      length: Signs of an example: a sequence with one feature.
      relevant: How many of them count, or None for all.
      seed: Seed of the draw.

    Reference: Minsky and Papert, 1969, "Perceptrons"; of few relevant places: Barak et al., 2022,
    "Hidden progress in deep learning: SGD learns parities near the computational limit".
    """

    size: int = setting(AT_LEAST_TWO, 5000)
    length: int = setting(AT_LEAST_TWO, 30)
    relevant: int | None = setting(optional(POSITIVE_INTEGER), 3)
    seed: int = setting(NON_NEGATIVE_INTEGER, 0)

    def read(self) -> Examples:
        """Returns signs, shape (size, length, 1), and classes.

        Raises:
          ConfigError: There are fewer different rows, or places.
        """
        num_rows = 2**self.length
        if self.size > num_rows:
            rule = f"at most {num_rows}, the number of different rows of {self.length} signs"
            raise ConfigError.at("dataset.size", rule, self.size)
        relevant = self.length if self.relevant is None else self.relevant
        if relevant > self.length:
            rule = f"at most {self.length} (`dataset.length`), or null"
            raise ConfigError.at("dataset.relevant", rule, relevant)
        generator = seeds.generator(self.seed, "data")
        places = np.sort(generator.permutation(self.length)[:relevant])
        minus = self._rows(generator)
        y = minus[:, places].sum(axis=1) % 2
        return Examples((1.0 - 2 * minus)[..., np.newaxis], y, "classification", source="parity")

    def _rows(self, generator: np.random.Generator) -> np.ndarray:
        """Returns different rows of 0 and 1, shape (size, length)."""
        rows = np.empty((0, self.length), np.int8)
        while len(rows) < self.size:
            more = generator.integers(0, 2, (2 * self.size, self.length), np.int8)
            rows = np.concatenate([rows, more])
            rows = rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])]
        return rows[: self.size]
