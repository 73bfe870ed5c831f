"""The reference engine: a Keras model, trained batch by batch, one replicate after the other.

It is what `keras.Model.fit` does, with three differences: the order of the data comes from the
seed's own stream, every batch's loss is looked at, and epoch 0 is an evaluation of the untrained
model. One compiled model serves all members; before each, every variable of the model and of the
optimizer is put back to what it was, so nothing passes from one member to the next.
"""

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

import numpy as np

from runner.datasets.dataset import Part
from runner.events import EpochEnded, ReplicateEnded
from runner.imports import told
from runner.tasks import metric
from runner.training import optimizers
from runner.training.cohort import Cohort, Member, Snapshot, movement
from runner.training.draws import drawn_alike
from runner.training.objective import Objective, finished
from runner.training.programs import building
from runner.training.randomness import epoch_order, first_state, seed_generators
from runner.training.stopping import Watch, criterion
from runner.training.tensorflow import on_device

# Examples per evaluation call: large enough to be quick, small enough for the memory.
_EVALUATION_ROWS = 1024

_T = TypeVar("_T")

Metrics = dict[str, float]


class _DivergedError(Exception):
    """The loss became non-finite or too large at `step`."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


def train(cohort: Cohort) -> Iterator[EpochEnded | ReplicateEnded]:
    """Trains the members in turn; yields an event per epoch, then the member's end.

    A member that raises ends as `failed`, one whose loss is lost as `diverged`; the others go on.
    """
    yield from on_device(cohort.device, _while_building(_train_in_turn(cohort)))


def _while_building(events: Iterator[_T]) -> Iterator[_T]:
    """Yields what `events` yields; no other thread calls or changes a model meanwhile."""
    while True:
        with building:
            try:
                event = next(events)
            except StopIteration:
                return
        yield event


def _train_in_turn(cohort: Cohort) -> Iterator[EpochEnded | ReplicateEnded]:
    for rate, members in _by_rate(cohort.members):
        reference = _Reference(cohort, rate)
        for position, member in members:
            yield from reference.train(position, member)


def _by_rate(members: Sequence[Member]) -> Iterator[tuple[float, list[tuple[int, Member]]]]:
    """Yields each learning rate and the members that have it, with their positions."""
    for rate in dict.fromkeys(member.learning_rate for member in members):
        yield (
            rate,
            [(i, member) for i, member in enumerate(members) if member.learning_rate == rate],
        )


class _Reference:
    """The compiled model of a cohort and the state that it had before any training."""

    def __init__(self, cohort: Cohort, learning_rate: float) -> None:
        self.cohort = cohort
        self.model = cohort.model
        self.objective = Objective(cohort.model, cohort.dataset)
        self.settings = dataclasses.replace(cohort.optimizer.settings, learning_rate=learning_rate)
        self.model.compile(
            optimizer=self._fresh_optimizer(),
            loss=self.objective.loss,
            metrics=self.objective.keras_metrics(),
            # On a processor Keras would use XLA if it sees a GPU, too.
            jit_compile="auto" if "GPU" in cohort.device else False,
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.optimizer_state = optimizers.state(self.model.optimizer)
        self.dropout = seed_generators(self.model)
        self.criterion = criterion(cohort, self.objective.answers)

    def train(self, position: int, member: Member) -> Iterator[EpochEnded | ReplicateEnded]:
        """Trains one member from its initial weights, or from where it was, to its end."""
        start, key = time.perf_counter(), self.cohort.key(position)
        resume = self.cohort.resume
        values = None if resume is None else self._values(resume)
        ending: dict[str, Any] = {"status": "finished"}
        watch = None if self.criterion is None else Watch(self.criterion)
        self.best: list[np.ndarray] = []
        epoch = first = 0
        try:
            start_values = self._reset(member)
            if resume is not None and values is not None:
                for variable, value in zip(self._variables(), values, strict=True):
                    variable.assign(value)
                if watch is not None:
                    watch.restore(resume.arrays)
                    self.best = self._values(resume, "best.")
                start -= resume.seconds
                first = resume.epoch + 1
            for epoch in range(first, self.cohort.training.epochs + 1):
                metrics = self._epoch(epoch, member)
                yield EpochEnded(
                    keys=(key,),
                    epoch=epoch,
                    step=epoch * self.cohort.steps_per_epoch,
                    metrics={name: [value] for name, value in metrics.items()},
                )
                if watch is not None and epoch:
                    if watch.take(metrics):
                        self.best = [variable.numpy() for variable in self._variables()]
                    if watch.is_over and epoch < self.cohort.training.epochs:
                        ending["stopped_epoch"] = epoch
                        break
                self.cohort.at_pause(partial(self._snapshot, position, epoch, start, watch))
            if self.best:
                for variable, value in zip(self._variables(), self.best, strict=True):
                    variable.assign(value)
            if self.cohort.training.epochs:
                self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
            ending["test"] = self._test()
            end_values = [variable.numpy() for variable in self.model.trainable_variables]
            ending["movement"] = movement(self.model, start_values, end_values)
            self.cohort.at_end(key, self.model.get_weights)
        except _DivergedError as diverged:
            ending = {"status": "diverged", "diverged_epoch": epoch, "diverged_step": diverged.step}
        except Exception as error:  # one replicate's error must not stop the others
            ending = {"status": "failed", "error": told(error)}
        yield ReplicateEnded(
            key=key,
            wall_time_s=time.perf_counter() - start,
            **ending,
        )

    def _fresh_optimizer(self) -> Any:
        name = self.cohort.optimizer.name
        optimizer = optimizers.make(name, self.settings, self.cohort.num_steps)
        return optimizers.as_compiled(optimizer, self.model)

    def _reset(self, member: Member) -> list[np.ndarray]:
        """Gives the model the member's weights, everything else its first state.

        Returns the initial values of the trainable variables.
        """
        self.model.set_weights(member.draw())
        fresh = self._fresh_optimizer()
        fresh.build(self.model.trainable_variables)  # some start from the weights
        for variable, first in zip(self.optimizer_state, optimizers.state(fresh), strict=True):
            variable.assign(first)
        for position, generator in enumerate(self.dropout):
            generator.state.assign(first_state(member.batch_seed, position))
        return [variable.numpy() for variable in self.model.trainable_variables]

    def _snapshot(self, position: int, epoch: int, start: float, watch: Watch | None) -> Snapshot:
        """Returns where the member is after an epoch."""
        arrays = {str(number): v.numpy() for number, v in enumerate(self._variables())}
        if watch is not None:
            best = self.best or list(arrays.values())
            arrays |= {f"best.{number}": value for number, value in enumerate(best)}
            arrays |= watch.arrays()
        return Snapshot(
            epoch=epoch,
            members=[position],
            alive=np.array([True]),
            seconds=time.perf_counter() - start,
            program={},
            arrays=arrays,
        )

    def _values(self, snapshot: Snapshot, prefix: str = "") -> list[np.ndarray]:
        """Returns the values of all variables where the member, the only one here, was."""
        variables = enumerate(self._variables())
        return [snapshot.array(f"{prefix}{i}", variable) for i, variable in variables]

    def _variables(self) -> list[Any]:
        """Returns all variables that training changes."""
        states = (dropout.state for dropout in self.dropout)
        return [*self.model.weights, *self.optimizer_state, *states]

    def _epoch(self, epoch: int, member: Member) -> Metrics:
        """Trains one epoch (none for epoch 0) and returns the metrics at its end."""
        data, last_step = self.cohort.dataset, epoch * self.cohort.steps_per_epoch
        if epoch == 0:
            metrics = self._evaluate(data.train)
        else:
            order = epoch_order(member.batch_seed, epoch, len(data.train))
            metrics = self._train_epoch(order, last_step - self.cohort.steps_per_epoch)
        validation = self._evaluate(data.validation)
        self._check(metrics["loss"], last_step)
        self._check(validation["loss"], last_step)
        return metrics | {f"val_{name}": value for name, value in validation.items()}

    def _train_epoch(self, order: np.ndarray, step: int) -> Metrics:
        """Trains on the training part in the given order; returns the mean over its examples."""
        train, size = self.cohort.dataset.train, self.cohort.training.batch_size
        mean = _Mean(self.objective)
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            with self._drawn_alike():
                logs = self.model.train_on_batch(**_batch(train, rows), return_dict=True)
            step += 1
            self._check(float(logs["loss"]), step)
            mean.add(logs, len(rows))
        return mean.result()

    def _evaluate(self, part: Part) -> Metrics:
        """Returns the means over a part; what is drawn meanwhile does not change later masks.

        Recurrent layers with dropout draw masks whenever they are called.
        """
        mean = _Mean(self.objective)
        kept = [generator.state.numpy() for generator in self.dropout]
        for first in range(0, len(part.x), _EVALUATION_ROWS):
            batch = _batch(part, slice(first, first + _EVALUATION_ROWS))
            with self._drawn_alike():
                logs = self.model.test_on_batch(**batch, return_dict=True)
            mean.add(logs, len(batch["y"]))
        for generator, state in zip(self.dropout, kept, strict=True):
            generator.state.assign(state)
        return mean.result()

    def _drawn_alike(self) -> AbstractContextManager[None]:
        return drawn_alike(self.model.jit_compile, self.cohort.device)

    def _check(self, loss: float, step: int) -> None:
        if not math.isfinite(loss) or loss > self.cohort.training.divergence_limit:
            raise _DivergedError(step)

    def _test(self) -> Metrics:
        test = self.cohort.dataset.test
        return {} if test is None else self._evaluate(test)


def _batch(part: Part, rows: Any) -> dict[str, Any]:
    """Returns some examples of a part as Keras takes them."""
    weight = None if part.weight is None else part.weight[rows]
    return {"x": part.x[rows], "y": part.y[rows], "sample_weight": weight}


class _Mean:
    """The mean of metrics over batches, weighted by the number of examples."""

    def __init__(self, objective: Objective) -> None:
        self.answers = {"loss": 1, **objective.answers}
        self.total: Metrics = {}
        self.count = 0

    def add(self, logs: Mapping[str, Any], count: int) -> None:
        """Adds the means over a batch of `count` examples."""
        for name, value in logs.items():
            total = float(value) * count * self.answers[name]
            if metric(name).is_share:
                total = round(total)  # of right answers: equal ones shall be equal to the bit
            self.total[name] = self.total.get(name, 0.0) + total
        self.count += count

    def result(self) -> Metrics:
        """Returns the means, the loss first: in that order they become columns."""
        return {
            name: float(finished(name, self.total[name] / (self.count * answers)))
            for name, answers in self.answers.items()
        }
