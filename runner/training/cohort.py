"""What an engine is given, and how far training has moved a replicate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runner.datasets.dataset import Dataset
from runner.machine import Room, room
from runner.plan import Choice, Key, NoTraining, Training
from runner.variables import variable_path


@dataclass(frozen=True)
class Member:
    """One replicate of a cohort.

    Attributes:
      draw: Returns the initial values of all of the model's weights, in the order of
        `model.weights`.
      batch_seed: Seed of the streams `batches` and `dropout`.
      learning_rate: Of its optimizer; takes the place of the cohort's.
      key: What events call it by; None for one that only fills up a program and is never alive.
    """

    draw: Callable[[], list[np.ndarray]]
    batch_seed: int
    learning_rate: float
    key: Key | None = None


@dataclass(frozen=True)
class Snapshot:
    """Where members of a cohort are between two epochs: enough to go on as if nothing had been.

    Attributes:
      epoch: The last whole epoch.
      members: Positions in the cohort that it is about.
      alive: Which of them are still trained, shape (members,), bool.
      seconds: Time that they have taken so far.
      program: What of the program's shape the numbers depend on in their last bits.
      arrays: Every variable that training changes, by the engine's own names.
    """

    epoch: int
    members: Sequence[int]
    alive: np.ndarray
    seconds: float
    program: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    def array(self, name: str, variable: Any) -> np.ndarray:
        """Returns the values of a variable.

        Raises:
          KeyError, ValueError: The snapshot was taken of something else.
        """
        values = self.arrays[name]
        if values.shape != tuple(variable.shape):
            raise ValueError(f"{name} has the shape {values.shape}, not {tuple(variable.shape)}")
        return values


def _not_kept(key: Key, take: Callable[[], list[np.ndarray]]) -> None:
    """Lets the last weights go."""


def _no_pause(take: Callable[[], Snapshot]) -> None:
    """Goes on."""


@dataclass(frozen=True)
class Cohort:
    """Replicates that differ in their initial weights, their seeds and their learning rates.

    Attributes:
      model: A built `keras.Model`. An engine may overwrite its weights.
      dataset: What it is trained on.
      optimizer: Chosen from `optimizers.CATALOGUE`; its learning rate is not used.
      training: Epochs, batch size, divergence limit.
      device: TensorFlow's name, such as `"/CPU:0"`.
      members: The replicates.
      room: What their training may use.
      at_pause: Called between epochs, when all events so far have been yielded, with a function
        that takes a snapshot. It may raise `KeyboardInterrupt`.
      at_end: Called before it is told that a member has finished, with its key and a function that
        returns its last weights, in the order of `model.weights`. It does not raise.
      program_key: Of all that a program computes by, but for what follows from how large the data
        are and how many members there are; None where that is not known.
      resume: Where to go on; its members are all of this cohort's, and those of them that are not
        alive are not trained. Events are yielded of the epochs after it only.
    """

    model: Any
    dataset: Dataset
    optimizer: Choice
    training: Training | NoTraining
    device: str
    members: Sequence[Member]
    room: Room = field(default_factory=room)
    at_pause: Callable[[Callable[[], Snapshot]], None] = _no_pause
    at_end: Callable[[Key, Callable[[], list[np.ndarray]]], None] = _not_kept
    program_key: str | None = None
    resume: Snapshot | None = None

    def key(self, position: int) -> Key:
        """Returns what events call the member at a position by."""
        key = self.members[position].key
        assert key is not None, "a member that only fills up a program"
        return key

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer updates in an epoch."""
        return self.dataset.steps_per_epoch(self.training.batch_size)

    @property
    def num_steps(self) -> int:
        """Optimizer updates in the whole training; at least 1, for schedules."""
        return max(self.training.epochs * self.steps_per_epoch, 1)


def movement(
    model: Any, start: Sequence[np.ndarray], end: Sequence[np.ndarray]
) -> dict[str, tuple[float, float]]:
    """Returns for each trainable variable its rms at the start and the rms of its change.

    Args:
      model: Names the variables.
      start: Values before training, in the order of `model.trainable_variables`.
      end: Values after it.
    """
    return {
        variable_path(model, variable): (_rms(before), _rms(after - before))
        for variable, before, after in zip(model.trainable_variables, start, end, strict=True)
    }


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
