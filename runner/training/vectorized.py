"""The engine that trains all replicates of a cohort together.

It yields what the reference engine yields, to rounding: `runner.training.program` says how one
program trains many replicas, `runner.training.forms` which form of it suits the model. Replicas are
cut into chunks of one size (the last one is filled up with copies that nobody looks at), so that
one compiled program serves all, on as many threads as there are cores.
"""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf

from runner.imports import told
from runner.machine import num_cores
from runner.records import EpochRecord, Outcome
from runner.training.cohort import Cohort, Member, Snapshot, movement
from runner.training.exhaustion import is_out_of_memory
from runner.training.forms import Form, candidates
from runner.training.memory import Need, need
from runner.training.objective import METRIC
from runner.training.program import Constants, Epochs, Program, State
from runner.training.randomness import epoch_order, first_state, seed_generators
from runner.training.tensorflow import on_device

log = logging.getLogger(__name__)

# What training changes in a `State` besides `alive`.
_VARIABLES = ("trainable", "other", "optimizer")

Metrics = dict[str, np.ndarray]

# Epochs in one call of the program at the most, and how long a call should take: long enough to
# forget what a call costs, short enough for people to see the training move.
_MAX_EPOCHS = 16
_CALL_S = 0.3

# Bytes of the data orders that one call is given, at the most.
_MAX_ORDERS = 16 * 2**20


@dataclass
class _Chunk:
    """Replicas that run through the program together.

    Attributes:
      positions: Of its members in the cohort; shorter than the program is wide in the last chunk.
      state: Where they are.
      constants: What they keep.
      start: First values of the trainable variables, each (replicas, *shape).
    """

    positions: np.ndarray
    state: State
    constants: Constants
    start: list[np.ndarray] = field(repr=False)


def train(cohort: Cohort) -> Iterator[EpochRecord | Outcome]:
    """Trains all members; yields a record per epoch for those that are alive, and their outcomes.

    A member whose weights cannot be drawn ends as `failed`; one whose loss is lost is frozen and
    ends as `diverged`; neither touches the others.
    """
    count, on_gpu = len(cohort.members), "GPU" in cohort.device
    whole = on_gpu or cohort.resume is not None  # which has been found to fit
    at_a_time = count if whole else min(_need(cohort).max_replicas(), count)
    if at_a_time < count:
        log.info("Engine: %d of %d replicates at a time, for want of memory.", at_a_time, count)
    for first in range(0, count, at_a_time):
        yield from _train_some(cohort, range(first, min(first + at_a_time, count)))


def _need(cohort: Cohort) -> Need:
    return need(cohort.model, cohort.training.batch_size)


def _train_some(cohort: Cohort, positions: Sequence[int]) -> Iterator[EpochRecord | Outcome]:
    began = time.perf_counter()
    drawn: dict[int, list[np.ndarray]] = {}
    for position in positions:
        try:
            drawn[position] = cohort.members[position].draw()
        except Exception as error:  # one replicate's error must not stop the others
            yield Outcome(position, "failed", 0.0, error=told(error))
    if drawn:
        yield from on_device(cohort.device, _train_drawn(cohort, drawn, began))


def _train_drawn(
    cohort: Cohort, drawn: dict[int, list[np.ndarray]], began: float
) -> Iterator[EpochRecord | Outcome]:
    yield from _Training(cohort, drawn, began).run()


class _Training:
    """A cohort on its way through the epochs."""

    def __init__(self, cohort: Cohort, drawn: dict[int, list[np.ndarray]], began: float) -> None:
        self.cohort = cohort
        self.drawn = drawn
        self.began = began
        self.num_threads = 1 if "GPU" in cohort.device else num_cores()
        self.batch_seeds = sorted({cohort.members[position].batch_seed for position in drawn})
        data = cohort.dataset
        parts = {"train": data.train, "val": data.validation, "test": data.test}
        self.parts = {
            name: (tf.constant(part.x), tf.constant(part.y)) for name, part in parts.items() if part
        }
        self.alive = np.zeros(len(cohort.members), bool)
        self.alive[list(drawn)] = True
        self.share_s = 0.0
        order_bytes = 4 * len(self.batch_seeds) * len(data.train)
        self.max_epochs = max(
            min(_MAX_EPOCHS, cohort.training.epochs, _MAX_ORDERS // order_bytes), 1
        )
        self.threads = ThreadPoolExecutor(self.num_threads)

    def run(self) -> Iterator[EpochRecord | Outcome]:
        """Yields the stream of records."""
        with self.threads:
            epoch, count = 1, 1
            first = self._start()
            if (resume := self.cohort.resume) is None:
                yield from self._begin(first)
            else:
                self._restore(resume)
                epoch = resume.epoch + 1
            while epoch <= self.cohort.training.epochs and self.alive.any():
                count = min(count, self.cohort.training.epochs - epoch + 1)
                began = time.perf_counter()
                done = self._epochs(epoch, count)
                seconds = time.perf_counter() - began
                for metrics, alive, bad_steps in done:
                    yield from self._close(epoch, metrics, alive, bad_steps)
                    epoch += 1
                self.cohort.at_pause(partial(self._snapshot, epoch - 1))
                count = min(max(int(count * _CALL_S / seconds), 1), self.max_epochs)
            if self.alive.any():
                yield from self._finish()

    def _start(self) -> Metrics:
        """Builds the quickest program that works; returns the metrics of the untrained models."""
        c = self.cohort
        forms = candidates(c.model, c.optimizer, c.device, len(self.drawn), c.training.epochs)
        if c.resume is not None:
            forms = [form for form in forms if form.name == c.resume.program["form"]]
        for form in forms:
            try:
                self._build(form)
                metrics = self._evaluate("train") | _prefixed("val_", self._evaluate("val"))
                if c.training.epochs:
                    self._train(self.chunks[0], self._orders(1, 1), 1)  # compiles; for nothing else
            except Exception as error:
                if form is forms[-1] or is_out_of_memory(error):
                    raise
                log.info("Engine: %s does not work here (%s).", form.name, told(error))
            else:
                log.info(
                    "Engine: %s%s, %d replicas in %d programs of %d on %d threads: %s.",
                    form.name,
                    " with XLA" if form.jit else "",
                    len(self.drawn),
                    len(self.chunks),
                    self.program.num_replicas,
                    self.num_threads,
                    form.reason,
                )
                return metrics
        raise AssertionError  # the last form has returned or raised

    def _build(self, form: Form) -> None:
        count, limit = len(self.drawn), form.max_replicas
        if "GPU" not in self.cohort.device:
            limit = max(1, min(limit, _need(self.cohort).max_in_step() // self.num_threads))
        # As few chunks as the form and the memory allow, but as many as keep all threads busy.
        rounds = math.ceil(count / (self.num_threads * limit))
        width = math.ceil(count / (self.num_threads * rounds))
        if self.cohort.resume is not None:
            width = self.cohort.resume.program["width"]
        self.program = Program(self.cohort, form, width)
        positions = np.array(sorted(self.drawn))
        self.chunks = [
            self._chunk(positions[first : first + width]) for first in range(0, count, width)
        ]

    def _chunk(self, positions: np.ndarray) -> _Chunk:
        missing = self.program.num_replicas - len(positions)
        filled = [*positions, *[positions[0]] * missing]
        members = [self.cohort.members[position] for position in filled]
        trainable, other = self._values(filled, members)
        order_of = [self.batch_seeds.index(member.batch_seed) for member in members]
        rates = np.array([[member.learning_rate] for member in members])
        constants = Constants(
            tf.constant(order_of, tf.int32),
            tf.constant(rates, tf.as_dtype(self.cohort.model.trainable_variables[0].dtype)),
        )
        return _Chunk(positions, self.program.state(trainable, other), constants, trainable)

    def _snapshot(self, epoch: int) -> Snapshot:
        """Returns where the cohort is after an epoch."""
        members = sorted(self.drawn)
        return Snapshot(
            epoch=epoch,
            members=members,
            alive=self.alive[members],
            seconds=time.perf_counter() - self.began,
            program={"form": self.program.form.name, "width": self.program.num_replicas},
            arrays={
                f"{number}.{kind}.{index}": value.numpy()
                for number, chunk in enumerate(self.chunks)
                for kind in _VARIABLES
                for index, value in enumerate(getattr(chunk.state, kind))
            },
        )

    def _restore(self, snapshot: Snapshot) -> None:
        """Puts the cohort where it was."""
        self.began -= snapshot.seconds
        self.alive[list(snapshot.members)] = snapshot.alive
        self._set_alive(self.alive)
        for number, chunk in enumerate(self.chunks):
            values = {
                kind: [
                    tf.constant(snapshot.array(f"{number}.{kind}.{index}", value), value.dtype)
                    for index, value in enumerate(getattr(chunk.state, kind))
                ]
                for kind in _VARIABLES
            }
            chunk.state = chunk.state._replace(**values)

    def _set_alive(self, alive: np.ndarray) -> None:
        """Freezes the replicas that are not `alive`, by position in the cohort, and all fillers."""
        for chunk in self.chunks:
            flags = np.zeros(self.program.num_replicas, bool)
            flags[: len(chunk.positions)] = alive[chunk.positions]
            chunk.state = chunk.state._replace(alive=tf.constant(flags))

    def _values(
        self, positions: Sequence[int], members: Sequence[Member]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Returns the first values of the model's variables, each (replicas, *shape)."""
        model = self.cohort.model
        drawn = [self.drawn[position] for position in positions]
        place = {id(weight): index for index, weight in enumerate(model.weights)}
        generators = {id(g.state): index for index, g in enumerate(seed_generators(model))}

        def values(variable: Any) -> np.ndarray:
            if id(variable) in place:
                return np.stack([weights[place[id(variable)]] for weights in drawn])
            if id(variable) in generators:
                index = generators[id(variable)]
                return np.stack([first_state(member.batch_seed, index) for member in members])
            return np.stack([variable.numpy()] * len(members))

        return (
            [values(variable) for variable in model.trainable_variables],
            [values(variable) for variable in model.non_trainable_variables],
        )

    def _orders(self, epoch: int, count: int) -> Any:
        """Returns the orders of `count` epochs, filled up to (max_epochs, orders, examples)."""
        num_examples = len(self.cohort.dataset.train)
        orders = np.zeros((self.max_epochs, len(self.batch_seeds), num_examples), np.int32)
        for row, seed in product(range(count), range(len(self.batch_seeds))):
            orders[row, seed] = epoch_order(self.batch_seeds[seed], epoch + row, num_examples)
        return tf.constant(orders)

    def _train(self, chunk: _Chunk, orders: Any, count: int) -> tuple[State, Epochs]:
        parts = self.parts["train"], self.parts["val"]
        return self.program.train(
            chunk.state, chunk.constants, *parts, orders, tf.constant(count, tf.int32)
        )

    def _each_chunk(self, work: Any) -> list[Any]:
        """Returns the work's result for every chunk, done on all threads."""
        if self.num_threads == 1 or len(self.chunks) == 1:
            return [work(chunk) for chunk in self.chunks]

        def placed(chunk: _Chunk) -> Any:
            with tf.device(self.cohort.device):
                return work(chunk)

        return list(self.threads.map(placed, self.chunks))

    def _evaluate(self, part: str) -> Metrics:
        count = self.parts[part][0].shape[0]

        def work(chunk: _Chunk) -> list[np.ndarray]:
            sums = self.program.evaluate(chunk.state, *self.parts[part])
            # Divided here: XLA would multiply by the reciprocal, which is not quite the same.
            return [value.numpy() / count for value in sums]

        return self._joined(self._each_chunk(work))

    def _epochs(self, first: int, count: int) -> list[tuple[Metrics, np.ndarray, dict[int, int]]]:
        """Trains epochs `first` to `first + count - 1`.

        Returns:
          For each its metrics, which replicates are alive after it, and the first bad step of those
          that were lost in a step.
        """
        orders = self._orders(first, count)

        def work(chunk: _Chunk) -> Epochs:
            chunk.state, results = self._train(chunk, orders, count)
            return Epochs(*(values.numpy()[:count] for values in results))

        done = self._each_chunk(work)
        return [self._epoch(first + row, row, done) for row in range(count)]

    def _epoch(
        self, epoch: int, row: int, done: Sequence[Epochs]
    ) -> tuple[Metrics, np.ndarray, dict[int, int]]:
        """Returns what `_epochs` says of one epoch, from that row of what the chunks yielded."""
        train, validation = self.cohort.dataset.train, self.cohort.dataset.validation
        size = self.cohort.training.batch_size
        sizes = np.diff([*range(0, len(train), size), len(train)])
        alive = np.zeros(len(self.cohort.members), bool)
        first_step = (epoch - 1) * self.cohort.steps_per_epoch + 1
        means, val_means, bad_steps = [], [], {}
        for chunk, results in zip(self.chunks, done, strict=True):
            steps = [v[row].astype(float) * sizes[:, None] for v in (results.loss, results.metric)]
            if self.cohort.dataset.task == "classification":
                steps[1] = np.rint(steps[1])  # numbers of examples, exactly
            means.append([step.sum(axis=0) / len(train) for step in steps])
            sums = results.val_loss[row], results.val_metric[row]
            val_means.append([value / len(validation) for value in sums])
            alive[chunk.positions] = results.alive[row, : len(chunk.positions)]
            for position, step in zip(chunk.positions, results.bad_step[row], strict=False):
                if step >= 0:
                    bad_steps[int(position)] = first_step + int(step)
        metrics = self._joined(means) | _prefixed("val_", self._joined(val_means))
        return metrics, alive, bad_steps

    def _joined(self, values: Sequence[Sequence[np.ndarray]]) -> Metrics:
        """Returns loss and metric by the position in the cohort, from those of the chunks."""
        names = ("loss", METRIC[self.cohort.dataset.task])
        joined = {name: np.full(len(self.cohort.members), np.nan) for name in names}
        for chunk, results in zip(self.chunks, values, strict=True):
            for name, result in zip(names, results, strict=True):
                joined[name][chunk.positions] = result[: len(chunk.positions)]
        return joined

    def _begin(self, metrics: Metrics) -> Iterator[EpochRecord | Outcome]:
        """Yields the records of the untrained models, and freezes those that are lost already."""
        limit = self.cohort.training.divergence_limit
        with np.errstate(invalid="ignore"):
            fine = np.all([metrics[name] <= limit for name in ("loss", "val_loss")], axis=0)
        self._set_alive(fine)
        yield from self._close(0, metrics, fine, {})

    def _close(
        self, epoch: int, metrics: Metrics, alive: np.ndarray, bad_steps: dict[int, int]
    ) -> Iterator[EpochRecord | Outcome]:
        """Yields the record of an epoch and the outcomes of those that it has lost."""
        last_step = epoch * self.cohort.steps_per_epoch
        lost = self.alive & ~alive
        self.alive &= alive
        rows = np.flatnonzero(self.alive)
        if rows.size:
            values = {name: value[rows] for name, value in metrics.items()}
            yield EpochRecord(epoch, last_step, rows, values)
        for position in np.flatnonzero(lost):
            step = bad_steps.get(int(position), last_step)
            yield self._outcome(int(position), "diverged", diverged_epoch=epoch, diverged_step=step)

    def _finish(self) -> Iterator[Outcome]:
        """Yields the outcomes of all that have come to the end."""
        if self.cohort.training.epochs:
            for chunk in self.chunks:
                chunk.state = self.program.finalize(chunk.state)
        test = self._evaluate("test") if "test" in self.parts else {}
        self.share_s = self._share_s()  # before others use the time between the outcomes
        for chunk in self.chunks:
            for replica, position in enumerate(chunk.positions.tolist()):
                if self.alive[position]:
                    end = self.program.trainable_values(chunk.state, replica)
                    start = [values[replica] for values in chunk.start]
                    yield self._outcome(
                        position,
                        "finished",
                        test={name: float(values[position]) for name, values in test.items()},
                        movement=movement(self.cohort.model, start, end),
                    )

    def _share_s(self) -> float:
        """Returns a replicate's share of the time that the cohort has taken so far."""
        return (time.perf_counter() - self.began) / len(self.drawn)

    def _outcome(self, position: int, status: Any, **details: Any) -> Outcome:
        share_s = self.share_s or self._share_s()
        shared = len(self.drawn) > 1
        return Outcome(position, status, share_s, wall_time_shared=shared, **details)


def _prefixed(prefix: str, metrics: Metrics) -> Metrics:
    return {f"{prefix}{name}": values for name, values in metrics.items()}
