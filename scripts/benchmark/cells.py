"""Processes that measure one side of one work each, and what is read from them."""

import math
import multiprocessing
import os
import signal
import statistics
import time
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from benchmark.sides import Losses, serve
from benchmark.works import WORKS
from runner.training.tensorflow import ONEDNN

CHECK_EPOCHS = 5
# Rounding of float32, amplified by some dozens of steps.
EXACT = 1e-3
# Other dropout masks than the engines': the spread of the loss between seeds.
LOOSE = 0.25
# Another data order for one replicate: twice that spread, for both orders are luck.
SHUFFLED = 0.5


class OverCapError(Exception):
    """A cell has used up its time."""


def prepare_processes() -> None:
    """Starts a process with TensorFlow imported as the engines do, for others to inherit it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "benchmark.sides"])
    given = os.environ.get(ONEDNN)
    os.environ.setdefault(ONEDNN, "1")
    forkserver.ensure_running()
    if given is None:
        del os.environ[ONEDNN]


def _context(side: str, work: str) -> Any:
    """Returns how the process begins: with oneDNN for TensorFlow, or as TensorFlow decides."""
    told = side in ("keras", "vectorized", "product")
    told |= side == "fit tuned" and WORKS[work].convolutional
    return multiprocessing.get_context("forkserver" if told else "spawn")


@dataclass
class Cell:
    """A side at work on some replicates, in its own process.

    Attributes:
      side: Name of the side.
      work: Name of the work.
      num_replicates: How many the process trains together; 1 for sides that loop.
      cap_s: Time after which it is stopped.
      compile_s: What it took until it could train at full speed.
      epochs: Trained in one repetition.
      times_s: Of the repetitions.
      check: Whether it reached the same loss as the others, in words.
      problem: Why there is no measurement, or less of it than asked for.
      memory_bytes, device_memory_bytes: The most that its process has held, and on a GPU.
    """

    side: str
    work: str
    num_replicates: int
    cap_s: float
    compile_s: float = math.nan
    epochs: int = 0
    times_s: list[float] = field(default_factory=list)
    loss: float = math.nan
    check: str = ""
    problem: str = ""
    note: str = ""
    shuffles: bool = False
    memory_bytes: float = math.nan
    device_memory_bytes: float = math.nan

    def __post_init__(self) -> None:
        context = _context(self.side, self.work)
        self._connection, child = context.Pipe()
        arguments = (child, self.side, self.work, self.num_replicates)
        self._process = context.Process(target=serve, args=arguments)
        self._process.start()
        child.close()

    @property
    def seconds_per_epoch_and_replicate(self) -> float:
        """The median over the repetitions; NaN if there is none."""
        if not self.times_s:
            return math.nan
        return statistics.median(self.times_s) / self.epochs / self.num_replicates

    def call(self, method: str, *arguments: Any) -> Any:
        """Returns what the side's method returns.

        Raises:
          OverCapError: It did not in the time that was left.
          RuntimeError: The method raised, or the process has died.
        """
        began = time.perf_counter()
        try:
            self._connection.send((method, arguments))
            if not self._connection.poll(max(self.cap_s, 0.0)):
                self.stop()
                raise OverCapError
            answer = self._connection.recv()
        except (EOFError, BrokenPipeError) as error:
            raise RuntimeError("its process has died") from error
        finally:
            self.cap_s -= time.perf_counter() - began
        if isinstance(answer, Exception):
            raise answer
        return answer

    def start(self, repetition_s: float) -> None:
        """Compiles; finds how many epochs make a repetition of about `repetition_s`."""
        self.note, *_ = self.call("describe")
        began = time.perf_counter()
        self.call("start")
        self.compile_s = time.perf_counter() - began
        self.note, self.shuffles, self.num_replicates, *_ = self.call("describe")
        # A call of `fit` has costs that its epochs share.
        fewest = CHECK_EPOCHS if self.shuffles else 1
        seconds = self.call("advance", fewest) / fewest
        self.epochs = max(fewest, min(round(repetition_s / seconds), 50))

    def repeat(self) -> None:
        """Measures once more."""
        self.times_s.append(self.call("advance", self.epochs))

    def attempt(self, method: str, *arguments: Any) -> None:
        """Does one of the above; a cell that fails is done with and says why."""
        if self.problem:
            return
        try:
            getattr(self, method)(*arguments)
        except OverCapError:
            self.problem = "stopped: over the time cap"
        except RuntimeError as error:
            self.problem = str(error)
            self.stop()

    def finish(self, expected: Losses, exact: bool) -> None:
        """Checks the losses, against `expected` and as addition to it; reads the memory."""
        timed = self.call("latest")
        if self.shuffles:
            self._compare(timed, expected, SHUFFLED)
        if not self.check:
            losses = self.call("losses", CHECK_EPOCHS)
            self._compare(losses, expected, EXACT if exact else LOOSE)
            if exact and not self.shuffles:
                for replicate, curve in losses.items():
                    expected.setdefault(replicate, list(curve))
        self.check = self.check or "same"
        *_, self.memory_bytes, self.device_memory_bytes = self.call("describe")

    def _compare(self, losses: Losses, expected: Losses, tolerance: float) -> None:
        """Compares the mean loss over the replicates that both know, at the last common epoch."""
        common = sorted(losses.keys() & expected.keys())
        if common:
            lengths = [len(curves[r]) for curves in (losses, expected) for r in common]
            epoch = min(*lengths, CHECK_EPOCHS)
            pairs = [(losses[r][epoch - 1], expected[r][epoch - 1]) for r in common]
            got, wanted = (statistics.fmean(values) for values in zip(*pairs, strict=True))
            self.loss = got
            apart = max(abs(a - b) for a, b in pairs) if tolerance == EXACT else abs(got - wanted)
            if not apart <= tolerance * abs(wanted):
                self.check = f"FAILED: loss {got:.5f} instead of {wanted:.5f} in epoch {epoch}"

    def stop(self) -> None:
        """Ends the process and those that it has started."""
        if self._process.is_alive():
            if math.isnan(self.memory_bytes):
                self.memory_bytes = _peak_memory_bytes(self._process.pid)
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._connection.close()


def _peak_memory_bytes(group: int) -> float:
    """Returns the most memory that a process and its own have held; NaN where nothing tells."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) == group:
                lines = status.read_text("utf-8").splitlines()
                found += [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
        except OSError:  # it has ended meanwhile
            continue
    return sum(found) * 1024.0 if found else math.nan
