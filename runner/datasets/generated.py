"""Data drawn from a known law, in any size.

All draws come from the stream `data` of `dataset.seed`.
"""

import math
from dataclasses import dataclass

import numpy as np

from runner import seeds
from runner.config import (
    NON_NEGATIVE,
    NON_NEGATIVE_INTEGER,
    POSITIVE,
    POSITIVE_INTEGER,
    Rule,
    one_of,
    setting,
)
from runner.datasets.settings import DrawnTest, Examples
from runner.tasks import Task


def _at_least_two(value: object) -> int:
    number = POSITIVE_INTEGER.accept(value)
    if number < 2:
        raise ValueError
    return number


AT_LEAST_TWO = Rule("an integer of at least 2", _at_least_two)


@dataclass(frozen=True)
class Spirals(DrawnTest):
    """Interleaved spiral arms in a plane; the class is the arm.

    Law: an example of arm a of k lies at radius r = sqrt(u), u uniform in [0, 1), and angle
    2 pi (a / k + turns r); the plane lies at random in `dimension` axes (with two axes it is them),
    and normal noise is added to every axis.

    Attributes:
      size: Number of examples, spread evenly over the arms.
      arms: Number of arms and classes.
      turns: Full turns of an arm between the centre and radius 1.
      noise: Standard deviation of the noise; the outer radius is 1.
      dimension: Number of inputs.
      seed: Seed of the draw.

    Reference: Lang and Witbrock, 1988, "Learning to tell two spirals apart" (two arms, three turns,
    no noise).
    """

    size: int = setting(AT_LEAST_TWO, 2000)
    arms: int = setting(AT_LEAST_TWO, 3)
    turns: float = setting(POSITIVE, 1.0)
    noise: float = setting(NON_NEGATIVE, 0.03)
    dimension: int = setting(AT_LEAST_TWO, 2)
    seed: int = setting(NON_NEGATIVE_INTEGER, 0)

    def read(self) -> Examples:
        """Returns the points, shape (size, dimension)."""
        generator = seeds.generator(self.seed, "data")
        y = np.arange(self.size) % self.arms
        radius = np.sqrt(generator.random(self.size))
        angle = 2 * math.pi * (y / self.arms + self.turns * radius)
        plane = radius[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        x = plane @ self._axes(generator)
        x += self.noise * generator.standard_normal(x.shape)
        return Examples(x, y, "classification", source="spirals")

    def _axes(self, generator: np.random.Generator) -> np.ndarray:
        """Returns orthonormal rows, shape (2, dimension)."""
        if self.dimension == 2:
            return np.eye(2)
        return np.linalg.qr(generator.standard_normal((self.dimension, 2)))[0].T


@dataclass(frozen=True)
class Teacher(DrawnTest):
    """Targets computed by a random network with one hidden layer, the teacher.

    Law: x ~ N(0, 1) in every axis; h = tanh(x A), A ~ N(0, 1 / dimension); o = h B, B ~ N(0, 1);
    each output is standardized over the examples, then normal noise is added. Regression: the
    target is o. Classification: the class is the largest of o.

    Attributes:
      size: Number of examples.
      dimension: Number of inputs.
      outputs: Number of classes, or of targets.
      width: Hidden units of the teacher.
      noise: Standard deviation of the noise, in units of an output's.
      seed: Seed of the draw.

    Reference: Seung, Sompolinsky and Tishby, 1992, "Statistical mechanics of learning from
    examples" (learning from a teacher network).
    """

    size: int = setting(AT_LEAST_TWO, 2000)
    dimension: int = setting(POSITIVE_INTEGER, 20)
    task: Task = setting(one_of("classification", "multilabel", "regression"), "classification")
    outputs: int = setting(POSITIVE_INTEGER, 4)
    width: int = setting(POSITIVE_INTEGER, 16)
    noise: float = setting(NON_NEGATIVE, 0.0)
    seed: int = setting(NON_NEGATIVE_INTEGER, 0)

    def read(self) -> Examples:
        """Returns inputs of shape (size, dimension) and the teacher's answers."""
        generator = seeds.generator(self.seed, "data")
        into = generator.standard_normal((self.dimension, self.width)) / math.sqrt(self.dimension)
        out = generator.standard_normal((self.width, self.outputs))
        x = generator.standard_normal((self.size, self.dimension))
        answers = np.tanh(x @ into) @ out
        answers = (answers - answers.mean(axis=0)) / answers.std(axis=0)
        answers += self.noise * generator.standard_normal(answers.shape)
        y = {
            "classification": answers.argmax(axis=1),
            "multilabel": answers > 0,
            "regression": answers,
        }[self.task]
        return Examples(x, y, self.task, source="teacher")
