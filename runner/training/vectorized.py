"""The engine that trains all replicates of a cohort together.

It yields what the reference engine yields, to rounding: `runner.training.program` says how one
program trains many replicas, `runner.training.forms` which form of it suits the model. Replicas are
cut into chunks of one size (the last one is filled up with copies that nobody looks at), so that
one compiled program serves all, on as many threads as there are cores. Chunks without a replica
that is alive are not trained on.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from runner.events import EpochEnded, ReplicateEnded
from runner.imports import told
from runner.terminal import DETAIL
from runner.training import batches
from runner.training.cohort import Cohort, Member, Snapshot, movement
from runner.training.forms import Form
from runner.training.grouping import Grouping
from runner.training.objective import finished
from runner.training.program import Constants, Epochs, Program, State
from runner.training.randomness import epoch_order, first_state, seed_generators
from runner.training.tensorflow import on_device

log = logging.getLogger(__name__)

# What training changes in a `State` besides `alive`.
_VARIABLES = ("trainable", "other", "optimizer", "best", "progress")

Metrics = dict[str, np.ndarray]


class Epoch(NamedTuple):
    """What there is to say of an epoch.

    Attributes:
      metrics: Of all replicates, by name.
      fine: Which of them have not diverged, by position in the cohort.
      stopped: Which of those early stopping ended.
      bad_steps: The first bad step of those that were lost in a step.
    """

    metrics: Metrics
    fine: np.ndarray
    stopped: np.ndarray
    bad_steps: dict[int, int]


# How long a call of the program should take: long enough to forget what a call costs, short enough
# for people to see the training move.
_CALL_S = 0.3

# Of a device's memory for what is prepared while something else is trained.
_SHARE_BESIDE = 0.1


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


class _Way:
    """Where a chunk is within a streamed epoch.

    Attributes:
      state: Where its replicas are.
      loss, metrics: Of the steps so far, as in `Epochs`, by block.
      bad_step: The first step of the epoch whose loss was lost, or -1; (replicas,).
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.loss: list[np.ndarray] = []
        self.metrics: list[np.ndarray] = []
        self.bad_step = np.full(state.alive.shape, -1)

    def add(self, first: int, count: int, state: State, bad_step: Any, *measured: Any) -> None:
        """Takes what `count` steps from the step `first` on have yielded."""
        self.state = state
        loss, metrics = (values.numpy()[:count] for values in measured)
        self.loss.append(loss)
        self.metrics.append(metrics)
        bad_step = bad_step.numpy()
        self.bad_step = np.where(bad_step >= 0, first + bad_step, self.bad_step)


def train(cohort: Cohort) -> Iterator[EpochEnded | ReplicateEnded]:
    """Trains all members; yields an event per epoch for those that are alive, and their ends.

    A member whose weights cannot be drawn ends as `failed`; one whose loss is lost is frozen and
    ends as `diverged`; neither touches the others.
    """
    grouping = Grouping(cohort)
    if len(grouping.groups) > 1:
        sizes = grouping.size, len(cohort.members)
        log.log(DETAIL, "Engine: memory suffices for %d of %d replicates at a time.", *sizes)
    for positions in grouping.groups:
        yield from _train_some(grouping, positions)


def prepare(cohort: Cohort, later: Callable[[Callable[[], Any]], Any]) -> Program | None:
    """Traces the programs that `train` will call; it may do so meanwhile, in another thread.

    Nothing is drawn and nothing trained. Programs that are called too early for their first weights
    get those that the model was built with.

    Args:
      cohort: The cohort; its program has a key.
      later: Is given what has the programs compiled: functions, for any threads.

    Returns:
      What to hold on to until `train` has begun; None where nothing was traced: a cohort without
      training, data that are streamed, too little memory to spare, programs that are known.
    """
    grouping = Grouping(cohort)
    form = grouping.forms[0]
    width = grouping.width(form)
    if grouping.is_streamed or not cohort.training.epochs or not _has_room(grouping, width):
        return None
    program = grouping.program(form, width)
    if program.num_traces:
        return None
    with tf.device(cohort.device):
        _Training(grouping, {0: cohort.model.get_weights()}, time.perf_counter()).prepare(later)
    return program


def _has_room(grouping: Grouping, width: int) -> bool:
    """Tells whether the first chunk may be on the device besides what is trained there."""
    cohort, one = grouping.cohort, grouping.need
    memory = batches.device_bytes(cohort.device, cohort.room.memory_bytes)
    needed = width * (one.state_bytes + one.step_bytes) + batches.num_bytes(cohort.dataset)
    return needed <= _SHARE_BESIDE * memory


def _train_some(
    grouping: Grouping, positions: Sequence[int]
) -> Iterator[EpochEnded | ReplicateEnded]:
    began = time.perf_counter()
    drawn: dict[int, list[np.ndarray]] = {}
    for position in positions:
        try:
            drawn[position] = grouping.cohort.members[position].draw()
        except Exception as error:  # one replicate's error must not stop the others
            yield ReplicateEnded(grouping.cohort.key(position), "failed", error=told(error))
    if drawn:
        yield from on_device(grouping.cohort.device, _train_drawn(grouping, drawn, began))


def _train_drawn(
    grouping: Grouping, drawn: dict[int, list[np.ndarray]], began: float
) -> Iterator[EpochEnded | ReplicateEnded]:
    yield from _Training(grouping, drawn, began).run()


class _Training:
    """A group of replicates on its way through the epochs."""

    def __init__(
        self, grouping: Grouping, drawn: dict[int, list[np.ndarray]], began: float
    ) -> None:
        self.grouping = grouping
        self.cohort = cohort = grouping.cohort
        self.drawn = drawn
        self.began = began
        self.batch_seeds = grouping.batch_seeds(drawn)
        data = cohort.dataset
        parts = {"train": data.train, "val": data.validation, "test": data.test}
        self.parts = {name: part for name, part in parts.items() if part}
        self.tensors = (
            {}
            if grouping.is_streamed
            else {name: batches.on_device(part) for name, part in self.parts.items()}
        )
        self.alive = np.zeros(len(cohort.members), bool)
        self.alive[list(drawn)] = True
        if cohort.resume is not None:
            self.began -= cohort.resume.seconds
            self.alive[list(cohort.resume.members)] = cohort.resume.alive
        self.has_trained = False
        self.share_s = 0.0
        self.threads = ThreadPoolExecutor(grouping.num_threads)

    def run(self) -> Iterator[EpochEnded | ReplicateEnded]:
        """Yields the events."""
        with self.threads:
            metrics = self._start()
            if self.cohort.resume is None:
                yield from self._begin(metrics)
            epoch = self.cohort.resume.epoch + 1 if self.cohort.resume else 1
            count = 1
            while epoch <= self.cohort.training.epochs and self.alive.any():
                count = min(count, self.cohort.training.epochs - epoch + 1)
                began = time.perf_counter()
                done = self._trained(epoch, count)
                seconds = time.perf_counter() - began
                for told in done:
                    yield from self._close(epoch, told)
                    epoch += 1
                self.cohort.at_pause(partial(self._snapshot, epoch - 1))
                count = min(max(int(count * _CALL_S / seconds), 1), self.grouping.max_epochs)
            if self.alive.any():
                yield from self._finish()

    def prepare(self, later: Callable[[Callable[[], Any]], Any]) -> None:
        """Traces the programs one after the other, for they are numbered; see the function."""
        self._build(self.grouping.forms[0])
        chunk, form = self.chunks[0], self.program.form
        parts = self.tensors["train"], self.tensors["val"]
        nothing = tf.constant(self._orders(1, 0)), tf.constant(0, tf.int32)
        calls = [(self.program.train, (chunk.state, chunk.constants, *parts, *nothing), 0)]
        calls += [
            (self.program.evaluate, (chunk.state, *tensors), len(self.parts[name]))
            for name, tensors in self.tensors.items()
        ]
        for function, arguments, num_examples in calls:
            function.trace(*arguments)
            if not num_examples or (form.jit and self._forward_s(num_examples) < _CALL_S):
                later(partial(self._placed, function, *arguments))

    def _forward_s(self, num_examples: int) -> float:
        """Returns about how long a program takes to evaluate so many examples."""
        num_batches = num_examples / self.cohort.training.batch_size
        return self.program.num_replicas * num_batches * self.grouping.need.forward_s

    def _placed(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Does work on the cohort's device, in any thread."""
        with tf.device(self.cohort.device):
            return work(*arguments)

    def _start(self) -> Metrics:
        """Builds the quickest program that works; returns the metrics where training starts."""
        while True:
            form = self.grouping.forms[0]
            try:
                self._build(form)
                metrics = self._evaluate("train") | _prefixed("val_", self._evaluate("val"))
                if self.cohort.training.epochs:
                    self._compile()
            except Exception as error:
                if not self.grouping.strike(error):
                    raise
            else:
                log.log(
                    DETAIL,
                    "Engine: %d replicates are trained together on %d threads, in %d programs of "
                    "%d (%s%s): %s.",
                    len(self.drawn),
                    self.grouping.num_threads,
                    len(self.chunks),
                    self.program.num_replicas,
                    form.name,
                    " with XLA" if form.jit else "",
                    form.reason,
                )
                return metrics

    def _compile(self) -> None:
        """Has the training compiled; trains nothing."""
        chunk = self.chunks[0]
        if not self.grouping.is_streamed:
            self._train(chunk, tf.constant(self._orders(1, 0)), 0)
            return
        for rows, _ in batches.blocks(self._orders(1, 0)[0], *self._sizes()):
            block = batches.taken(self.parts["train"], rows)
            self.program.train_block(chunk.state, chunk.constants, block, tf.constant(0))

    def _trained(self, epoch: int, count: int) -> list[Epoch]:
        """As `_epochs`; a form that fails when it trains for the first time gives way to the next.

        What failed has left nothing behind: the next form begins where this one began.
        """
        while True:
            try:
                done = self._epochs(epoch, count)
            except Exception as error:
                if self.has_trained or not self.grouping.strike(error):
                    raise
                self._start()
            else:
                self.has_trained = True
                return done

    def _build(self, form: Form) -> None:
        self.program = self.grouping.program(form, self.grouping.width(form))
        positions, width = np.array(sorted(self.drawn)), self.program.num_replicas
        self.chunks = [
            self._chunk(positions[first : first + width])
            for first in range(0, len(positions), width)
        ]
        if self.cohort.resume is not None:
            self._restore(self.cohort.resume)
        self._set_alive(self.alive)

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
            program={
                "form": self.program.form.name,
                "width": self.program.num_replicas,
                "size": self.grouping.size,
            },
            arrays={
                f"{number}.{kind}.{index}": value.numpy()
                for number, chunk in enumerate(self.chunks)
                for kind in _VARIABLES
                for index, value in enumerate(getattr(chunk.state, kind))
            },
        )

    def _restore(self, snapshot: Snapshot) -> None:
        """Puts the replicas where they were."""
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

    def _orders(self, epoch: int, count: int) -> np.ndarray:
        """Returns the orders of `count` epochs, filled up to what the program is given."""
        num_examples = len(self.cohort.dataset.train)
        orders = np.zeros(
            (self.grouping.max_epochs, self.grouping.num_orders, num_examples), np.int32
        )
        for row, seed in product(range(count), range(len(self.batch_seeds))):
            orders[row, seed] = epoch_order(self.batch_seeds[seed], epoch + row, num_examples)
        return orders

    def _train(self, chunk: _Chunk, orders: Any, count: int) -> tuple[State, Epochs]:
        parts = self.tensors["train"], self.tensors["val"]
        return self.program.train(
            chunk.state, chunk.constants, *parts, orders, tf.constant(count, tf.int32)
        )

    def _each_chunk(self, work: Callable[[_Chunk], Any]) -> list[tuple[_Chunk, Any]]:
        """Returns each chunk in which a replica is alive, and the work's result for it.

        It is done on all threads.
        """
        chunks = [chunk for chunk in self.chunks if self.alive[chunk.positions].any()]

        alone = self.grouping.num_threads == 1 or len(chunks) == 1
        placed = partial(self._placed, work)
        results = map(work, chunks) if alone else self.threads.map(placed, chunks)
        return list(zip(chunks, results, strict=True))

    def _evaluate(self, part: str) -> Metrics:
        return self._joined(self._each_chunk(lambda chunk: self._measured(chunk.state, part)))

    def _measured(self, state: State, part: str) -> list[np.ndarray]:
        """Returns loss and metrics of a part, (replicas,) each."""
        loss, metrics = self._sums(state, part)
        return self._means(loss, metrics, len(self.parts[part]))

    def _sums(self, state: State, part: str) -> list[Any]:
        """Returns the sums of loss and metrics over a part; see `Program.evaluate`."""
        count = len(self.parts[part])
        if self.grouping.is_streamed:
            size, total = self.program.block_size(count), [0.0, 0.0]
            for first in range(0, count, size):
                block = batches.taken(self.parts[part], slice(first, first + size))
                sums = self.program.measure_block(state, *block)
                total = [
                    before + values.numpy() for before, values in zip(total, sums, strict=True)
                ]
            return total
        return [value.numpy() for value in self.program.evaluate(state, *self.tensors[part])]

    def _epochs(self, first: int, count: int) -> list[Epoch]:
        """Trains epochs `first` to `first + count - 1`."""
        if self.grouping.is_streamed:
            return [self._epoch(first, 0, self._streamed(first))]
        orders = tf.constant(self._orders(first, count))

        def work(chunk: _Chunk) -> Epochs:
            chunk.state, results = self._train(chunk, orders, count)
            return Epochs(*(values.numpy()[:count] for values in results))

        done = self._each_chunk(work)
        return [self._epoch(first + row, row, done) for row in range(count)]

    def _streamed(self, epoch: int) -> list[tuple[_Chunk, Epochs]]:
        """Trains an epoch on batches that are taken from the data set while others are trained on.

        A call that fails leaves nothing behind here either: states change when the epoch has ended.
        """
        size, steps = self._sizes()
        orders, part = self._orders(epoch, 1)[0], self.parts["train"]
        ways = {id(chunk): _Way(chunk.state) for chunk in self.chunks}
        first = 0
        ahead = batches.ahead(part, batches.blocks(orders, size, steps), self.cohort.device)
        for block, count in ahead:
            self._each_chunk(partial(self._train_block, ways, block, first, count))
            first += count

        def end(chunk: _Chunk) -> Epochs:
            way = ways[id(chunk)]
            sums = self._sums(way.state, "val")
            loss, metrics = np.concatenate(way.loss), np.concatenate(way.metrics)
            state, stopped = self.program.end_epoch(way.state, loss, metrics, *sums)
            chunk.state = state
            results = loss, metrics, way.bad_step, *sums, state.alive.numpy(), stopped.numpy()
            return Epochs(*(values[np.newaxis] for values in results))

        return self._each_chunk(end)

    def _train_block(
        self, ways: dict[int, _Way], block: Any, first: int, count: int, chunk: _Chunk
    ) -> None:
        """Trains a chunk on a block of batches."""
        way = ways[id(chunk)]
        result = self.program.train_block(way.state, chunk.constants, block, tf.constant(count))
        way.add(first, count, *result)

    def _sizes(self) -> tuple[int, int]:
        """Returns the examples of a batch, and the batches of a call where data is streamed."""
        size = self.cohort.training.batch_size
        return size, batches.block_steps(self.parts["train"], self.grouping.num_orders, size)

    def _epoch(self, epoch: int, row: int, done: Sequence[tuple[_Chunk, Epochs]]) -> Epoch:
        """Returns what there is to say of one epoch, from that row of what the chunks yielded."""
        train, validation = self.cohort.dataset.train, self.cohort.dataset.validation
        size = self.cohort.training.batch_size
        sizes = np.diff([*range(0, len(train), size), len(train)])
        alive, stopped = np.zeros((2, len(self.cohort.members)), bool)
        first_step = (epoch - 1) * self.cohort.steps_per_epoch + 1
        means, val_means, bad_steps = [], [], {}
        for chunk, results in done:
            losses = results.loss[row].astype(float) * sizes[:, None]
            sums = losses.sum(axis=0), results.metrics[row].astype(float).sum(axis=0)
            means.append((chunk, self._means(*sums, len(train))))
            sums = results.val_loss[row], results.val_metrics[row]
            val_means.append((chunk, self._means(*sums, len(validation))))
            alive[chunk.positions] = results.alive[row, : len(chunk.positions)]
            stopped[chunk.positions] = results.stopped[row, : len(chunk.positions)]
            for position, step in zip(chunk.positions, results.bad_step[row], strict=False):
                if step >= 0:
                    bad_steps[int(position)] = first_step + int(step)
        metrics = self._joined(means) | _prefixed("val_", self._joined(val_means))
        return Epoch(metrics, alive | stopped, stopped, bad_steps)

    def _means(self, loss: np.ndarray, metrics: np.ndarray, count: int) -> list[np.ndarray]:
        """Returns the loss and each metric, (replicas,) each, from sums over `count` examples.

        They are divided here: XLA would multiply by the reciprocal, which is not quite the same.
        """
        answers = self.program.objective.answers.items()
        by_metric = zip(metrics.T, answers, strict=True)
        means = (finished(name, total / (count * each)) for total, (name, each) in by_metric)
        return [loss / count, *means]

    def _joined(self, values: Iterable[tuple[_Chunk, Sequence[np.ndarray]]]) -> Metrics:
        """Returns loss and metrics by the position in the cohort, from those of the chunks."""
        names = ("loss", *self.program.objective.answers)
        joined = {name: np.full(len(self.cohort.members), np.nan) for name in names}
        for chunk, results in values:
            for name, result in zip(names, results, strict=True):
                joined[name][chunk.positions] = result[: len(chunk.positions)]
        return joined

    def _begin(self, metrics: Metrics) -> Iterator[EpochEnded | ReplicateEnded]:
        """Yields the events of the untrained models, and freezes those that are lost already."""
        limit = self.cohort.training.divergence_limit
        with np.errstate(invalid="ignore"):
            fine = np.all([metrics[name] <= limit for name in ("loss", "val_loss")], axis=0)
        self._set_alive(fine)
        yield from self._close(0, Epoch(metrics, fine, np.zeros_like(fine), {}))

    def _close(self, epoch: int, told: Epoch) -> Iterator[EpochEnded | ReplicateEnded]:
        """Yields the event of an epoch and the ends of those that it has lost or stopped."""
        last_step = epoch * self.cohort.steps_per_epoch
        lost = self.alive & ~told.fine
        self.alive &= told.fine
        rows = np.flatnonzero(self.alive)
        if rows.size:
            keys = tuple(map(self.cohort.key, rows.tolist()))
            values = {name: value[rows].tolist() for name, value in told.metrics.items()}
            yield EpochEnded(keys, epoch, last_step, values)
        for position in np.flatnonzero(lost):
            step = told.bad_steps.get(int(position), last_step)
            yield self._end(int(position), "diverged", diverged_epoch=epoch, diverged_step=step)
        if epoch < self.cohort.training.epochs:
            yield from self._stop(epoch, self.alive & told.stopped)

    def _stop(self, epoch: int, stopped: np.ndarray) -> Iterator[ReplicateEnded]:
        """Yields the ends of those that early stopping ended; the others go on."""
        self.alive &= ~stopped
        for chunk in self.chunks:
            if stopped[chunk.positions].any():
                state = self.program.finalize(chunk.state)
                test = (
                    self._joined([(chunk, self._measured(state, "test"))])
                    if "test" in self.parts
                    else {}
                )
                yield from self._finished(chunk, state, stopped, test, stopped_epoch=epoch)

    def _finish(self) -> Iterator[ReplicateEnded]:
        """Yields the ends of all that have come to the end of the training."""
        if self.cohort.training.epochs:
            for chunk in self.chunks:
                chunk.state = self.program.finalize(chunk.state)
        test = self._evaluate("test") if "test" in self.parts else {}
        self.share_s = self._share_s()  # before others use the time between the outcomes
        for chunk in self.chunks:
            yield from self._finished(chunk, chunk.state, self.alive, test)

    def _finished(
        self, chunk: _Chunk, state: State, which: np.ndarray, test: Metrics, **details: Any
    ) -> Iterator[ReplicateEnded]:
        """Yields the ends of those replicates of a chunk, by position, that have come to one."""
        for replica, position in enumerate(chunk.positions.tolist()):
            if which[position]:
                end = self.program.trainable_values(state, replica)
                start = [values[replica] for values in chunk.start]
                weights = partial(self.program.weights, state, replica)
                self.cohort.at_end(self.cohort.key(position), weights)
                yield self._end(
                    position,
                    "finished",
                    test={name: float(values[position]) for name, values in test.items()},
                    movement=movement(self.cohort.model, start, end),
                    **details,
                )

    def _share_s(self) -> float:
        """Returns a replicate's share of the time that the cohort has taken so far."""
        return (time.perf_counter() - self.began) / len(self.drawn)

    def _end(self, position: int, status: Any, **details: Any) -> ReplicateEnded:
        share_s = self.share_s or self._share_s()
        shared = len(self.drawn) > 1
        key = self.cohort.key(position)
        return ReplicateEnded(key, status, share_s, wall_time_shared=shared, **details)


def _prefixed(prefix: str, metrics: Metrics) -> Metrics:
    return {f"{prefix}{name}": values for name, values in metrics.items()}
