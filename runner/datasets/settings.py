"""The settings that every data set shares, and what reading one gives."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from runner.config import (
    BOOLEAN,
    FRACTION,
    NON_NEGATIVE_INTEGER,
    POSITIVE_INTEGER,
    PROPER_FRACTION,
    Rule,
    one_of,
    optional,
    setting,
)
from runner.datasets.vocabulary import VocabularyLimit
from runner.tasks import TASKS, Task

TASK = one_of(*TASKS)
MEMORY = one_of("auto", "device", "stream")
WHITEN = one_of("zca", "pca")
DEFAULT_TEST = 0.2
DEFAULT_VALIDATION = 0.2
INPUT = "input"
"""The target that makes an autoencoder of the model: the inputs themselves."""


class Fitted(Protocol):
    """What was learned from the training part."""

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Returns inputs of any part as training sees them."""
        ...


class Preparing(Protocol):
    """A step between reading and scaling that looks at the training part."""

    def fit(self, x: np.ndarray) -> Fitted:
        """Returns what the inputs of the training part, shape (n, ...), say.

        Raises:
          ConfigError: They do not say it.
        """
        ...


@dataclass(frozen=True)
class Examples:
    """What a data set reads: examples as they come, before they are checked and split.

    Attributes:
      x: Inputs, shape (n, ...), any numeric dtype; several inputs by their names.
      y: Targets: numbers, texts, or arrays of them, shape (n, ...). `x` itself where the model is
        to reproduce its inputs.
      task: What the targets are, or None to tell it from them.
      key: The setting to blame for bad data.
      source: Where the data comes from, for the messages.
      inputs: Names of the columns of `x`, where they have names.
      input_name: Name of `x` where it is one of several.
      target: Name of `y`.
      classes: Names of the labels 0..k-1, where the source knows them.
      x_test, y_test: The official test part, or None.
      weight, weight_test: How much each example counts in the loss, shape (n,), or None for 1.
      num_validation: How many of the last examples are the official validation part; 0 where the
        validation part is to be drawn.
      divided: Whether the reader itself has divided the examples as the settings say.
      steps: What is fitted on the training part and applied to all, in this order.
      limit: Which of the token numbers in the training part stay, or None for all.
      vocabulary: How many different whole numbers, from 0, the inputs are; 0 where they are
        quantities.
      notes: What was done to read it that a person should know, as sentences.
      has_pixels: Whether the targets are brightnesses of pixels.
    """

    x: Any
    y: np.ndarray
    task: Task | None
    key: str = "dataset"
    source: str = ""
    inputs: tuple[str, ...] = ()
    input_name: str = ""
    target: str = "y"
    classes: tuple[str, ...] = ()
    x_test: Any = None
    y_test: np.ndarray | None = None
    weight: np.ndarray | None = None
    weight_test: np.ndarray | None = None
    num_validation: int = 0
    divided: bool = False
    steps: tuple[Preparing, ...] = ()
    limit: VocabularyLimit | None = None
    vocabulary: int = 0
    notes: tuple[str, ...] = ()
    has_pixels: bool = False


@dataclass(frozen=True)
class Split:
    """How the examples of a data set are divided.

    Attributes:
      validation: Fraction of the examples in the validation part. Where there is an official test
        part, it is a fraction of the others.
      split_seed: Seed of the streams `split` and `subset`; the same for all replicates.
      subset: Number of examples to keep, drawn before the split (an official test or validation
        part stays whole), or None for all.
      target: `"input"` for a model that is to reproduce its inputs; None for the data's own target.
      memory: Whether the data stays on the device, or is streamed to it a few batches at a time;
        `"auto"`: streamed where it takes much of the device's memory. The numbers are the same.
    """

    validation: float | None = setting(PROPER_FRACTION, 0.2)
    split_seed: int = setting(NON_NEGATIVE_INTEGER, 0)
    subset: int | None = setting(optional(POSITIVE_INTEGER), None)
    target: str | None = setting(optional(one_of(INPUT)), None)
    memory: str = setting(MEMORY, "auto")

    # Overridden by settings where they can be chosen.
    test: ClassVar[float | None] = None
    standardize: ClassVar[bool | None] = None
    whiten: ClassVar[str | None] = None
    resize: ClassVar[tuple[int, int] | None] = None
    as_sequence: ClassVar[bool] = False


@dataclass(frozen=True)
class Common(Split):
    """What holds for every data set of quantities.

    Attributes:
      standardize: Whether inputs and regression targets are shifted and scaled to mean 0 and
        variance 1 on the training part. None is as True, but for inputs that the model looks up.
      whiten: Whether inputs are made uncorrelated with variance 1 on the training part, and how;
        see `whitening`.
    """

    standardize: bool | None = setting(optional(BOOLEAN), None)  # type: ignore[misc]
    whiten: str | None = setting(optional(WHITEN), None)  # type: ignore[misc]


@dataclass(frozen=True)
class DrawnTest(Common):
    """As `Common`; and `test`, the fraction of all examples in the test part, 0 for none."""

    test: float = setting(FRACTION, DEFAULT_TEST)  # type: ignore[misc]


def _two_lengths(value: Any) -> tuple[int, int]:
    if not isinstance(value, list | tuple):
        raise ValueError
    height, width = (POSITIVE_INTEGER.accept(length) for length in value)
    return height, width


LENGTHS = Rule("a height and a width in pixels, such as [28,28]", _two_lengths)


@dataclass(frozen=True)
class Pictures(Common):
    """As `Common`, of images.

    Attributes:
      resize: Height and width that all images are brought to, or None.
      as_sequence: Whether an image is a sequence of its pixels, row after row.
    """

    resize: tuple[int, int] | None = setting(optional(LENGTHS), None)  # type: ignore[misc]
    as_sequence: bool = setting(BOOLEAN, False)  # type: ignore[misc]


@dataclass(frozen=True)
class DrawnPictures(Pictures):
    """As `Pictures`; and `test` as in `DrawnTest`."""

    test: float = setting(FRACTION, DEFAULT_TEST)  # type: ignore[misc]


class Settings(Protocol):
    """What every member of the catalogue is: frozen settings that know how to read."""

    @property
    def validation(self) -> float | None: ...
    @property
    def test(self) -> float | None: ...
    @property
    def split_seed(self) -> int: ...
    @property
    def standardize(self) -> bool | None: ...
    @property
    def subset(self) -> int | None: ...
    @property
    def memory(self) -> str: ...
    @property
    def whiten(self) -> str | None: ...
    @property
    def resize(self) -> tuple[int, int] | None: ...
    @property
    def as_sequence(self) -> bool: ...
    @property
    def target(self) -> str | None: ...

    def read(self) -> Examples:
        """Returns all examples, as they come.

        Raises:
          ConfigError: They cannot be read.
        """
        ...
