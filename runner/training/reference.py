"""The reference engine: a Keras model, trained batch by batch, one replicate after the other.

It is what `keras.Model.fit` does, with three differences: the order of the data comes from the
seed's own stream, every batch's loss is looked at, and epoch 0 is an evaluation of the untrained
model. One compiled model serves all members; before each, every variable of the model and of the
optimizer is put back to what it was, so nothing passes from one member to the next.
"""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from runner import seeds
from runner.datasets.dataset import Part
from runner.imports import told
from runner.models import outputs_logits
from runner.records import EpochRecord, Outcome
from runner.training import optimizers
from runner.training.cohort import Cohort, Member
from runner.variables import variable_path

# Examples per evaluation call: large enough to be quick, small enough for the memory.
_EVALUATION_ROWS = 1024

Metrics = dict[str, float]


class _DivergedError(Exception):
    """The loss became non-finite or too large at `step`."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


def train(cohort: Cohort) -> Iterator[EpochRecord | Outcome]:
    """Trains the members in turn; yields a record per epoch, then the member's outcome.

    A member that raises ends as `failed`, one whose loss is lost as `diverged`; the others go on.
    """
    import tensorflow as tf

    with tf.device(cohort.device):
        reference = _Reference(cohort)
        for position, member in enumerate(cohort.members):
            yield from reference.train(position, member)


class _Reference:
    """The compiled model of a cohort and the state that it had before any training."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.model = cohort.model
        num_steps = max(cohort.training.epochs * cohort.steps_per_epoch, 1)
        optimizer = optimizers.make(
            cohort.optimizer.name, cohort.optimizer.settings, num_steps=num_steps
        )
        self.model.compile(
            optimizer=optimizer,
            loss=_loss(self.model, cohort.dataset.task),
            metrics=_metrics(cohort.dataset.task),
        )
        optimizer.build(self.model.trainable_variables)
        self.pristine = [(variable, variable.numpy()) for variable in optimizer.variables]
        self.dropout = _seed_generators(self.model)

    def train(self, position: int, member: Member) -> Iterator[EpochRecord | Outcome]:
        """Trains one member from its initial weights to its end."""
        start = time.perf_counter()
        ending: dict[str, Any] = {"status": "finished"}
        start_values: list[np.ndarray] = []
        epoch = 0
        try:
            start_values = self._reset(member)
            for epoch in range(self.cohort.training.epochs + 1):
                metrics = self._epoch(epoch, member)
                yield _record(position, epoch, epoch * self.cohort.steps_per_epoch, metrics)
            ending["test"] = self._test()
        except _DivergedError as diverged:
            ending = {"status": "diverged", "diverged_epoch": epoch, "diverged_step": diverged.step}
        except Exception as error:  # one replicate's error must not stop the others
            ending = {"status": "failed", "error": told(error)}
        yield Outcome(
            replicate=position,
            wall_time_s=time.perf_counter() - start,
            movement=self._movement(start_values),
            **ending,
        )

    def _reset(self, member: Member) -> list[np.ndarray]:
        """Gives the model the member's weights, everything else its first state.

        Returns the initial values of the trainable variables.
        """
        for variable, value in self.pristine:
            variable.assign(value)
        self.model.set_weights(member.draw())
        for position, generator in enumerate(self.dropout):
            state = [seeds.integer(member.batch_seed, "dropout", position), 0]
            generator.state.assign(np.array(state, np.uint32))
        return [variable.numpy() for variable in self.model.trainable_variables]

    def _epoch(self, epoch: int, member: Member) -> Metrics:
        """Trains one epoch (none for epoch 0) and returns the metrics at its end."""
        data, last_step = self.cohort.dataset, epoch * self.cohort.steps_per_epoch
        if epoch == 0:
            metrics = self._evaluate(data.train)
        else:
            order = seeds.generator(member.batch_seed, "batches", epoch).permutation(
                len(data.train.x)
            )
            metrics = self._train_epoch(order, last_step - self.cohort.steps_per_epoch)
        validation = self._evaluate(data.validation)
        self._check(metrics["loss"], last_step)
        self._check(validation["loss"], last_step)
        return metrics | {f"val_{name}": value for name, value in validation.items()}

    def _train_epoch(self, order: np.ndarray, step: int) -> Metrics:
        """Trains on the training part in the given order; returns the mean over its examples."""
        train, size = self.cohort.dataset.train, self.cohort.training.batch_size
        mean = _Mean()
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            logs = self.model.train_on_batch(train.x[rows], train.y[rows], return_dict=True)
            step += 1
            self._check(float(logs["loss"]), step)
            mean.add(logs, len(rows))
        return mean.result()

    def _evaluate(self, part: Part) -> Metrics:
        mean = _Mean()
        for first in range(0, len(part.x), _EVALUATION_ROWS):
            x, y = (array[first : first + _EVALUATION_ROWS] for array in (part.x, part.y))
            mean.add(self.model.test_on_batch(x, y, return_dict=True), len(x))
        return mean.result()

    def _check(self, loss: float, step: int) -> None:
        if not math.isfinite(loss) or loss > self.cohort.training.divergence_limit:
            raise _DivergedError(step)

    def _test(self) -> Metrics:
        test = self.cohort.dataset.test
        return {} if test is None else self._evaluate(test)

    def _movement(self, start_values: list[np.ndarray]) -> dict[str, tuple[float, float]]:
        """Returns for each trainable variable its rms at the start and the rms of its change."""
        variables = self.model.trainable_variables
        return {
            variable_path(self.model, variable): (_rms(before), _rms(variable.numpy() - before))
            for variable, before in zip(variables, start_values, strict=False)
        }


class _Mean:
    """The mean of metrics over batches, weighted by the number of examples."""

    def __init__(self) -> None:
        self.total: Metrics = {}
        self.count = 0

    def add(self, logs: Mapping[str, Any], count: int) -> None:
        """Adds the means over a batch of `count` examples."""
        for name, value in logs.items():
            self.total[name] = self.total.get(name, 0.0) + float(value) * count
        self.count += count

    def result(self) -> Metrics:
        """Returns the means."""
        return {name: value / self.count for name, value in self.total.items()}


def _loss(model: Any, task: str) -> Any:
    import keras

    if task == "regression":
        return keras.losses.MeanSquaredError()
    return keras.losses.SparseCategoricalCrossentropy(from_logits=outputs_logits(model))


def _metrics(task: str) -> list[Any]:
    import keras

    if task == "regression":
        return [keras.metrics.MeanAbsoluteError(name="mae")]
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]


def _seed_generators(model: Any) -> list[Any]:
    """Returns the random state of every dropout-like layer, in the order of the layers."""
    return [
        generator
        for layer in model._flatten_layers()
        for generator in getattr(layer, "_seed_generators", [])
    ]


def _record(position: int, epoch: int, step: int, metrics: Metrics) -> EpochRecord:
    values = {name: np.array([value]) for name, value in metrics.items()}
    return EpochRecord(epoch, step, np.array([position]), values)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
