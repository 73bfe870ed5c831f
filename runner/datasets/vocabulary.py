"""Which tokens a model knows: the most frequent ones of the training part.

All texts are first numbered with every token that occurs in them; then the numbers of the training
part decide which tokens stay. Two numbers are reserved, whatever the texts hold: that of no token
and that of an unknown one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PADDING = 0
"""What follows a text that is shorter than the others."""
UNKNOWN = 1
"""A token that is not in the vocabulary."""
NUM_RESERVED = 2


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary of the training part.

    Attributes:
      table: New number of each old one, int32.
      size: How many numbers there are, the reserved ones included.
      told: What it holds, in words.
    """

    table: np.ndarray
    size: int
    told: str

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the new numbers, int32, in the same shape.

        Numbers that the training part does not reach are unknown.
        """
        return self.table[np.where(numbers < len(self.table), numbers, UNKNOWN)]


@dataclass(frozen=True)
class VocabularyLimit:
    """How many of the tokens stay.

    Attributes:
      size: Size of the vocabulary at most, the reserved numbers included; None for no limit.
      words: What the tokens are, in the plural.
    """

    size: int | None
    words: str

    def fit(self, numbers: np.ndarray) -> Vocabulary:
        """Returns the most frequent tokens; of equally frequent ones those with lower numbers.

        Args:
          numbers: Of the tokens in the training part, any shape; `PADDING` is none.
        """
        counts = np.bincount(numbers.reshape(-1), minlength=NUM_RESERVED)
        counts[:NUM_RESERVED] = 0
        frequent_first = np.argsort(-counts, kind="stable")
        found = int((counts > 0).sum())
        kept = found if self.size is None else min(found, self.size - NUM_RESERVED)
        table = np.full(len(counts), UNKNOWN, np.int32)
        table[PADDING] = PADDING
        table[frequent_first[:kept]] = np.arange(kept) + NUM_RESERVED
        of = f" of {found}" if kept < found else ""
        told = f"the vocabulary is {kept}{of} {self.words} of the training part, and 2 reserved"
        return Vocabulary(table, kept + NUM_RESERVED, f"{told} numbers")


def numbered(texts: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """Returns the tokens of texts as numbers from `NUM_RESERVED`, in the order of the tokens."""
    places = {token: 0 for text in texts for token in text}
    for number, token in enumerate(sorted(places), NUM_RESERVED):
        places[token] = number
    return [np.fromiter(map(places.__getitem__, text), np.int32, len(text)) for text in texts]
