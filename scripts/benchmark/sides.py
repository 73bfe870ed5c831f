"""The sides of the comparison: ways to train the replicates of a work with the same arithmetic.

Each side trains the same model on the same data from the same weights with SGD in the same batches,
evaluates the validation part after every epoch and yields the training loss of every epoch. A side
runs in a process of its own (`serve`), so that it cannot disturb the others and its memory can be
told; the libraries are imported there.
"""

import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

from benchmark.fit_sides import Fit, Joblib, peak_memory_bytes
from benchmark.peak import Product
from benchmark.works import BATCH_SIZE, WORKS, Work, batch_seed, epoch_flops, initial_weights
from runner.events import EpochEnded
from runner.plan import Choice, Key, Training
from runner.terminal import DETAIL
from runner.training.cohort import Cohort, Member

# More than any measurement takes; an engine wants to know before it starts.
_MANY_EPOCHS = 1_000_000

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
        self.epoch = self.end_of_call = 0
        self.curves: Losses = {replicate: [] for replicate in range(num_replicates)}

    def start(self) -> None:
        """Runs epoch 0, which compiles; the reference engine compiles in epoch 1."""
        from runner.training.tensorflow import device_name, num_gpus

        device = device_name("gpu" if num_gpus() else "cpu")
        if self.name == "vectorized":
            from runner.training import vectorized

            train: Any = vectorized.train
            self._watch_calls(vectorized._Training)
        else:
            from runner.training import reference

            train = reference.train
        handler = logging.Handler()
        handler.emit = self._take_note  # type: ignore[method-assign]
        logging.getLogger("runner").addHandler(handler)
        logging.getLogger("runner").setLevel(DETAIL)
        self.events: Iterator[Any] = train(self._cohort(device))
        next(self.events)
        self.advance(1)

    def _watch_calls(self, training: Any) -> None:
        """Notes the last epoch of every call: its records come at once, not one an epoch."""
        epochs = training._epochs

        def watched(training: Any, first: int, count: int) -> Any:
            self.end_of_call = first + count - 1
            return epochs(training, first, count)

        training._epochs = watched

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
                Member(lambda r=r: weights[r], batch_seed(r), rate, Key(r, 0, 0))  # type: ignore[misc]
                for r in self.curves
            ],
        )

    def advance(self, epochs: int) -> float:
        """Takes the next records, to the end of a call; returns the seconds of so many epochs."""
        began, first = time.perf_counter(), self.epoch
        while self.epoch < max(first + epochs, self.end_of_call):
            event = next(self.events)
            if not isinstance(event, EpochEnded) or len(event.keys) < self.num_replicates:
                raise RuntimeError(f"a replicate was lost: {event}")
            for key, loss in zip(event.keys, event.metrics["loss"], strict=True):
                self.curves[key.configuration].append(loss)
            self.epoch += 1
        return (time.perf_counter() - began) / (self.epoch - first) * epochs

    def losses(self, epochs: int) -> Losses:
        """Goes on where the training stands."""
        done = len(self.curves[0])
        if done < epochs:
            self.advance(epochs - done)
        return self.curves

    def latest(self) -> Losses:
        """Returns the losses of all epochs so far."""
        return self.curves


def make(name: str, work: Work, num_replicates: int) -> Side:
    """Returns the side of this name."""
    if name == "jax":
        from benchmark.jax_side import Jax

        return Jax(work, num_replicates)
    if name in ("torch", "torch vmap"):
        from benchmark.torch_side import Torch, TorchVmap

        return Torch(work, 1) if name == "torch" else TorchVmap(work, num_replicates)
    if name == "joblib":
        return Joblib(work)
    if name in ("fit", "fit tuned"):
        return Fit(work, tuned=name == "fit tuned")
    return Engine(work, num_replicates, name)


def serve(connection: Any, name: str, work: str, num_replicates: int) -> None:
    """Answers the calls of the measuring process until it hangs up."""
    os.setsid()  # with the processes that it starts, it can be stopped as a group
    if name in ("jax", "torch", "torch vmap"):
        os.environ["KERAS_BACKEND"] = name.partition(" ")[0]
    elif name in ("keras", "vectorized", "product"):
        from runner.training.tensorflow import start, threads_per_operation

        convolutional = name == "vectorized" and WORKS[work].convolutional
        start(threads_per_operation(convolutional, num_replicates))
    elif name != "joblib":
        import keras  # noqa: F401  (with TensorFlow's own settings, and before the clock runs)
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
        memory = peak_memory_bytes() + sum(getattr(side, "processes", {}).values())
        return side.note, side.shuffles, side.num_replicates, memory, _device_memory_bytes()
    if method == "epoch":
        data = work.dataset()
        return epoch_flops(work.model(), data), math.ceil(len(data.train) / BATCH_SIZE)
    return getattr(side, method)(*arguments)


def _device_memory_bytes() -> float:
    """Returns the most memory of a GPU that the library of this process has held; NaN without."""
    if "torch" in sys.modules:
        import torch

        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else math.nan
    if "jax" in sys.modules:
        import jax

        return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", math.nan)
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        if tf.config.list_logical_devices("GPU"):
            return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return math.nan
