"""`keras.Model.fit`: as people write it, tuned, and in many processes."""

import os
import resource
import time
from typing import Any

from benchmark.works import BATCH_SIZE, WORKS, Work, batch_seed, initial_weights
from runner.machine import num_cores
from runner.training.randomness import epoch_order, first_state, seed_generators

_STEPS_PER_EXECUTION = 16


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
        if self.work.convolutional:
            self.note += ", oneDNN"

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

    def losses(self, epochs: int) -> dict[int, list[float]]:
        """Trains replicate 0 again, in the seed's order."""
        self._reset(0)
        train, losses = self.data.train, []
        for epoch in range(1, epochs + 1):
            order = epoch_order(batch_seed(0), epoch, len(train))
            x, y = train.x[order], train.y[order]
            history = self.model.fit(x, y, batch_size=BATCH_SIZE, shuffle=False, verbose=0)
            losses += history.history["loss"]
        return {0: losses}

    def latest(self) -> dict[int, list[float]]:
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
        self.curves: dict[int, list[float]] = {}

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

    def losses(self, epochs: int) -> dict[int, list[float]]:
        """Returns no losses in the seed's order: `fit` is checked on its own."""
        return {}

    def latest(self) -> dict[int, list[float]]:
        """Returns the losses of the last training."""
        return self.curves


_in_worker: dict[str, Fit] = {}


def train_in_worker(name: str, replicate: int, epochs: int) -> tuple[list[float], int, int]:
    """Trains a replicate in a process of joblib; returns its losses, process and peak memory."""
    if name not in _in_worker:
        _one_thread()
        _in_worker[name] = Fit(WORKS[name])
        _in_worker[name].start()
    fit = _in_worker[name]
    fit.train(replicate, epochs)
    return fit.curves[replicate], os.getpid(), peak_memory_bytes()


def _one_thread() -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def peak_memory_bytes() -> int:
    """Returns the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
