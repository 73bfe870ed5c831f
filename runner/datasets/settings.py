"""The settings that every data set shares, and what reading one gives."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from runner.config import (
    BOOLEAN,
    FRACTION,
    NON_NEGATIVE_INTEGER,
    POSITIVE_INTEGER,
    PROPER_FRACTION,
    one_of,
    optional,
    setting,
)
from runner.tasks import TASKS, Task

TASK = one_of(*TASKS)
DEFAULT_TEST = 0.2


@dataclass(frozen=True)
class Examples:
    """What a data set reads: examples as they come, before they are checked and split.

    Attributes:
      x: Inputs, shape (n, ...), any numeric dtype.
      y: Targets, shape (n,) or (n, k): numbers, texts, or rows of numbers.
      task: What the targets are, or None to tell it from them.
      key: The setting to blame for bad data.
      source: Where the data comes from, for the messages.
      inputs: Names of the columns of `x`, where they have names.
      target: Name of `y`.
      classes: Names of the labels 0..k-1, where the source knows them.
      x_test, y_test: The official test part, or None.
      vocabulary: How many different whole numbers, from 0, the inputs are; 0 where they are
        quantities.
      notes: What was done to read it that a person should know, as sentences.
    """

    x: np.ndarray
    y: np.ndarray
    task: Task | None
    key: str = "dataset"
    source: str = ""
    inputs: tuple[str, ...] = ()
    target: str = "y"
    classes: tuple[str, ...] = ()
    x_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    vocabulary: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Common:
    """What holds for every data set.

    Attributes:
      validation: Fraction of the examples in the validation part. Where there is an official test
        part, it is a fraction of the others.
      split_seed: Seed of the streams `split` and `subset`; the same for all replicates.
      standardize: Whether inputs and regression targets are shifted and scaled to mean 0 and
        variance 1 on the training part. None is as True, but for inputs that the model looks up.
      subset: Number of examples to keep, drawn before the split (an official test part stays
        whole), or None for all.
    """

    validation: float = setting(PROPER_FRACTION, 0.2)
    split_seed: int = setting(NON_NEGATIVE_INTEGER, 0)
    standardize: bool | None = setting(optional(BOOLEAN), None)
    subset: int | None = setting(optional(POSITIVE_INTEGER), None)

    # Overridden by a setting where a test part has to be drawn.
    test: ClassVar[float | None] = None


@dataclass(frozen=True)
class DrawnTest(Common):
    """As `Common`; and `test`, the fraction of all examples in the test part, 0 for none."""

    test: float = setting(FRACTION, DEFAULT_TEST)  # type: ignore[misc]


class Settings(Protocol):
    """What every member of the catalogue is: frozen settings that know how to read."""

    @property
    def validation(self) -> float: ...
    @property
    def test(self) -> float | None: ...
    @property
    def split_seed(self) -> int: ...
    @property
    def standardize(self) -> bool | None: ...
    @property
    def subset(self) -> int | None: ...

    def read(self) -> Examples:
        """Returns all examples, as they come.

        Raises:
          ConfigError: They cannot be read.
        """
        ...
