"""What an engine is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.datasets.dataset import Dataset
from runner.plan import Choice, NoTraining, Training


@dataclass(frozen=True)
class Member:
    """One replicate of a cohort.

    Attributes:
      draw: Returns the initial values of all of the model's weights, in the order of
        `model.weights`.
      batch_seed: Seed of the streams `batches` and `dropout`.
    """

    draw: Callable[[], list[np.ndarray]]
    batch_seed: int


@dataclass(frozen=True)
class Cohort:
    """Replicates that differ in nothing but their initial weights and their seeds.

    Attributes:
      model: A built `keras.Model`. An engine may overwrite its weights.
      dataset: What it is trained on.
      optimizer: Chosen from `optimizers.CATALOGUE`.
      training: Epochs, batch size, divergence limit.
      device: TensorFlow's name, such as `"/CPU:0"`.
      members: The replicates.
    """

    model: Any
    dataset: Dataset
    optimizer: Choice
    training: Training | NoTraining
    device: str
    members: Sequence[Member]

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer updates in an epoch; the last batch may be a partial one."""
        return -(-len(self.dataset.train.x) // self.training.batch_size)
