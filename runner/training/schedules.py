"""Courses of the learning rate over the updates of a training: Keras's, with or without warmup.

With warmup of w steps the rate at step t < w is `learning_rate * t / w`, as `CosineDecay` has it
(Goyal et al., 2017, section 2.2). The schedule begins after that, and is fitted into the T steps
that are left. All count updates from 0.
"""

from typing import Any

import keras
import numpy as np
from keras.optimizers import schedules


class WarmedUp(schedules.LearningRateSchedule):
    """A linear rise from 0 to the learning rate, then what comes after it."""

    def __init__(self, learning_rate: Any, num_steps: int, after: Any) -> None:
        """Joins both.

        Args:
          learning_rate: What the rise ends at.
          num_steps: How long it takes, at least 1.
          after: A Keras schedule, called with the steps since then, or a number.
        """
        self.learning_rate = learning_rate
        self.num_steps = num_steps
        self.after = after

    def __call__(self, step: Any) -> Any:
        """Returns the rate of the update after so many others."""
        peak = keras.ops.convert_to_tensor(self.learning_rate)
        length = keras.ops.cast(self.num_steps, peak.dtype)
        step = keras.ops.cast(step, peak.dtype)
        since = keras.ops.maximum(step - length, 0)
        after = self.after(since) if callable(self.after) else self.after
        return keras.ops.where(step < length, peak * step / length, after)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            "learning_rate": self.learning_rate,
            "num_steps": self.num_steps,
            "after": self.after,
        }


def steps(value: float, num_steps: int) -> int:
    """Returns a number of steps that may be given as a fraction of all."""
    return round(value * num_steps) if value < 1 else int(value)


def schedule(settings: Any, num_steps: int) -> Any:
    """Returns what Keras takes as the learning rate: a number or a schedule.

    Args:
      settings: Of any optimizer.
      num_steps: Updates in the whole training, at least 1.
    """
    start = np.dtype(keras.config.floatx()).type(settings.learning_rate)  # schedules compute in it
    warmup = steps(settings.warmup, num_steps)
    left = max(num_steps - warmup, 1)
    after = _without_warmup(settings, start, left)
    return WarmedUp(start, warmup, after) if warmup else after


def _without_warmup(settings: Any, start: Any, num_steps: int) -> Any:
    final = settings.final_fraction
    match settings.schedule:
        case "cosine":
            return schedules.CosineDecay(start, num_steps, alpha=final)
        case "linear":
            return schedules.PolynomialDecay(start, num_steps, end_learning_rate=start * final)
        case "step" | "exponential" as kind:
            every = max(steps(settings.decay_every, num_steps), 1)
            factor = settings.decay_factor
            return schedules.ExponentialDecay(start, every, factor, staircase=kind == "step")
        case _:
            return settings.learning_rate
