"""The sides of the comparison: ways to train the replicates of a work with the same arithmetic.

Each side trains the same model on the same data from the same weights with SGD in the same batches,
evaluates the validation part after every epoch and yields the training loss of every epoch. A side
runs in a process of its own (`serve`), so that it cannot disturb the others and its memory can be
told; the libraries are imported there.
"""

import logging
import math
import os
import resource
import time
from collections.abc import Iterator
from typing import Any, Protocol

from benchmark.works import BATCH_SIZE, WORKS, Work, batch_seed, epoch_flops, initial_weights
from runner.machine import num_cores
from runner.plan import Choice, Training
from runner.records import EpochRecord
from runner.training.cohort import Cohort, Member
from runner.training.randomness import epoch_order, first_state, seed_generators

# More than any measurement takes; an engine wants to know before it starts.
_MANY_EPOCHS = 1_000_000
_STEPS_PER_EXECUTION = 16

Losses = dict[int, list[float]]
"""Replicate -> training loss of the epochs 1, 2, ..."""


class Side(Protocol):
    """A way to train.

    Attributes:
      num_replicates: How many it trains in one `advance`.
      shuffles: Whether the data order in `advance` is its own and not the seed's.
      note: How it does it, for the table.
    """

    num_replicates: int
    shuffles: bool
    note: str

    def start(self) -> None:
        """Builds and compiles everything; afterwards `advance` takes as long as it ever will."""

    def advance(self, epochs: int) -> float:
        """Trains; returns the seconds."""

    def losses(self, epochs: int) -> Losses:
        """Returns the losses in the order of the seeds, of so many epochs or more."""

    def latest(self) -> Losses:
        """Returns the losses of what `advance` has trained last."""


class Engine:
    """One of this project's engines."""

    shuffles = False

    def __init__(self, work: Work, num_replicates: int, name: str) -> None:
        self.work = work
        self.num_replicates = num_replicates
        self.name = name
        self.note = ""
        self.curves: Losses = {replicate: [] for replicate in range(num_replicates)}

    def start(self) -> None:
        """Runs epoch 0, which compiles; the reference engine compiles in epoch 1."""
        from runner.training.tensorflow import device_name

        device = device_name("auto")
        if self.name == "vectorized":
            from runner.training import vectorized as engine
        else:
            from runner.training import reference as engine
        handler = logging.Handler()
        handler.emit = self._take_note  # type: ignore[method-assign]
        logging.getLogger("runner").addHandler(handler)
        logging.getLogger("runner").setLevel(logging.INFO)
        self.events: Iterator[Any] = engine.train(self._cohort(device))
        next(self.events)
        self.advance(1)

    def _take_note(self, record: logging.LogRecord) -> None:
        self.note = record.getMessage().removeprefix("Engine: ").removesuffix(".")

    def _cohort(self, device: str) -> Cohort:
        from runner.training import optimizers

        model, rate = self.work.model(), self.work.learning_rate
        weights = [initial_weights(model, replicate) for replicate in self.curves]
        return Cohort(
            model=model,
            dataset=self.work.dataset(),
            optimizer=Choice("sgd", optimizers.CATALOGUE["sgd"]()),
            training=Training(epochs=_MANY_EPOCHS, batch_size=BATCH_SIZE),
            device=device,
            members=[
                Member(lambda r=r: weights[r], batch_seed(r), rate)  # type: ignore[misc]
                for r in self.curves
            ],
        )

    def advance(self, epochs: int) -> float:
        """Takes the next records."""
        began = time.perf_counter()
        for _ in range(epochs):
            event = next(self.events)
            if not isinstance(event, EpochRecord) or len(event.replicates) < self.num_replicates:
                raise RuntimeError(f"a replicate was lost: {event}")
            for replicate, loss in zip(event.replicates, event.metrics["loss"], strict=True):
                self.curves[int(replicate)].append(float(loss))
        return time.perf_counter() - began

    def losses(self, epochs: int) -> Losses:
        """Goes on where the training stands."""
        done = len(self.curves[0])
        if done < epochs:
            self.advance(epochs - done)
        return self.curves

    def latest(self) -> Losses:
        """Returns the losses of all epochs so far."""
        return self.curves


class Fit:
    """`keras.Model.fit`, one replicate after the other; one is measured."""

    num_replicates = 1
    shuffles = True

    def __init__(self, work: Work, tuned: bool = False) -> None:
        self.work = work
        self.tuned = tuned
        self.note = "one replicate measured"

    def start(self) -> None:
        """Compiles the model; the tuned side with XLA or without, whichever is quicker."""
        self.data = self.work.dataset()
        if not self.tuned:
            self._compile()
            self.advance(1)
            return
        times = {}
        for jit in (False, True):
            self._compile(jit_compile=jit, steps_per_execution=_STEPS_PER_EXECUTION)
            self.advance(1)
            times[jit] = self.advance(2)
        jit = times[True] < times[False]
        if not jit:
            self._compile(jit_compile=jit, steps_per_execution=_STEPS_PER_EXECUTION)
            self.advance(1)
        self.note += f", {_STEPS_PER_EXECUTION} steps per execution, jit_compile={jit}"

    def _compile(self, **options: Any) -> None:
        import keras

        self.model = self.work.model()
        self.first = {0: initial_weights(self.model, 0)}
        self.model.compile(
            keras.optimizers.SGD(self.work.learning_rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            **({"jit_compile": False} | options),
        )

    def advance(self, epochs: int) -> float:
        """Trains replicate 0 from its initial weights."""
        return self.train(0, epochs)

    def train(self, replicate: int, epochs: int) -> float:
        """Trains a replicate from its initial weights; returns the seconds."""
        self._reset(replicate)
        train, validation = self.data.train, self.data.validation
        began = time.perf_counter()
        history = self.model.fit(
            train.x,
            train.y,
            batch_size=BATCH_SIZE,
            epochs=epochs,
            validation_data=(validation.x, validation.y),
            verbose=0,
        )
        seconds = time.perf_counter() - began
        self.curves = {replicate: history.history["loss"]}
        return seconds

    def _reset(self, replicate: int) -> None:
        if replicate not in self.first:
            pristine = initial_weights(self.work.model(), replicate)
            self.first[replicate] = pristine
        self.model.set_weights(self.first[replicate])
        for position, generator in enumerate(seed_generators(self.model)):
            generator.state.assign(first_state(batch_seed(replicate), position))

    def losses(self, epochs: int) -> Losses:
        """Trains replicate 0 again, in the seed's order."""
        self._reset(0)
        train, losses = self.data.train, []
        for epoch in range(1, epochs + 1):
            order = epoch_order(batch_seed(0), epoch, len(train))
            x, y = train.x[order], train.y[order]
            history = self.model.fit(x, y, batch_size=BATCH_SIZE, shuffle=False, verbose=0)
            losses += history.history["loss"]
        return {0: losses}

    def latest(self) -> Losses:
        """Returns the losses of the last training."""
        return self.curves


class Joblib:
    """`fit` in as many processes as there are cores, each with one thread."""

    shuffles = True

    def __init__(self, work: Work) -> None:
        import joblib

        self.work = work
        self.num_replicates = num_cores()
        self.note = f"{self.num_replicates} replicates measured, in as many processes"
        self.delayed = joblib.delayed
        self.parallel = joblib.Parallel(self.num_replicates, idle_worker_timeout=3600)
        self.name = next(name for name, one in WORKS.items() if one is work)
        self.processes: dict[int, int] = {}
        self.curves: Losses = {}

    def start(self) -> None:
        """Runs until every process has been met twice: it has then compiled its model."""
        meetings: dict[int, int] = {}
        while len(meetings) < self.num_replicates or min(meetings.values()) < 2:
            self.advance(1)
            for process in self.processes:
                meetings[process] = meetings.get(process, 0) + 1

    def advance(self, epochs: int) -> float:
        """Trains one replicate in every process."""
        began = time.perf_counter()
        answers = self.parallel(
            self.delayed(train_in_worker)(self.name, replicate, epochs)
            for replicate in range(self.num_replicates)
        )
        seconds = time.perf_counter() - began
        self.curves = {replicate: losses for replicate, (losses, _, _) in enumerate(answers)}
        self.processes = {process: memory for _, process, memory in answers}
        return seconds

    def losses(self, epochs: int) -> Losses:
        """Returns no losses in the seed's order: `fit` is checked on its own."""
        return {}

    def latest(self) -> Losses:
        """Returns the losses of the last training."""
        return self.curves


_in_worker: dict[str, Fit] = {}


def train_in_worker(name: str, replicate: int, epochs: int) -> tuple[list[float], int, int]:
    """Trains a replicate in a process of joblib; returns its losses, process and peak memory."""
    if name not in _in_worker:
        from runner.training.tensorflow import start

        _one_thread()
        start()
        _in_worker[name] = Fit(WORKS[name])
        _in_worker[name].start()
    fit = _in_worker[name]
    fit.train(replicate, epochs)
    return fit.curves[replicate], os.getpid(), _peak_memory_bytes()


def _one_thread() -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _peak_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Product:
    """Not a side: the machine's quickest matrix product, as TensorFlow does it."""

    size = 4096

    def flops_per_s(self) -> float:
        """Returns the best of a few float32 products of square matrices."""
        import tensorflow as tf

        a = tf.random.normal((self.size, self.size))
        times = []
        for _ in range(4):
            began = time.perf_counter()
            tf.matmul(a, a).numpy()
            times.append(time.perf_counter() - began)
        return 2 * self.size**3 / min(times)


def make(name: str, work: Work, num_replicates: int) -> Side:
    """Returns the side of this name."""
    if name == "jax":
        from benchmark.jax_side import Jax

        return Jax(work, num_replicates)
    if name == "joblib":
        return Joblib(work)
    if name in ("fit", "fit tuned"):
        return Fit(work, tuned=name == "fit tuned")
    return Engine(work, num_replicates, name)


def serve(connection: Any, name: str, work: str, num_replicates: int) -> None:
    """Answers the calls of the measuring process until it hangs up."""
    os.setsid()  # with the processes that it starts, it can be stopped as a group
    if name == "jax":
        os.environ["KERAS_BACKEND"] = "jax"
    else:
        from runner.training.tensorflow import start

        if name != "joblib":
            start()
    side = Product() if name == "product" else make(name, WORKS[work], num_replicates)
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send(_answer(side, WORKS[work], method, arguments))
        except Exception as error:
            connection.send(RuntimeError(f"{type(error).__name__}: {error}"[:300]))


def _answer(side: Any, work: Work, method: str, arguments: tuple[Any, ...]) -> Any:
    if method == "describe":
        # The processes of joblib count as well.
        memory = _peak_memory_bytes() + sum(getattr(side, "processes", {}).values())
        return side.note, side.shuffles, side.num_replicates, memory
    if method == "epoch":
        data = work.dataset()
        return epoch_flops(work.model(), data), math.ceil(len(data.train) / BATCH_SIZE)
    return getattr(side, method)(*arguments)
