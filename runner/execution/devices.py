"""Which device `device=auto` stands for: the one where the whole sweep should have ended first.

It is decided once in a command, for everything that it trains and may come to train. What a sweep
has begun on one device goes on there, whatever is predicted: numbers of two devices round
differently, and are never mixed.

Predicted are compilation and training, which differ; imports and the report take as long on either.
What a step takes stands in `runner.training.memory`. What was compiled before does not count: the
device would change from one command to the next.

The figures come from the benchmark on two cores (results/benchmark/README.md), and from one machine
with an H200 and 16 cores (TensorFlow 2.21). Microseconds per step and replicate on that card, by
the vectorized engine, and seconds until it trained at full speed, for 10 and for 100 replicates:

    MLP 64-64-64-10     13.8    1.57    18 s    27 s
    MLP 784-64-64-10     9.17   1.73    24 s    23 s
    CNN on 28 x 28     205    241       44 s    39 s

From the shell to the report, five replicates of the first one took 51 s there and 32 s on the
cores; ten initializers x 12 seeds of it, 67 s and 45 s.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner.datasets.dataset import Dataset
from runner.design import rounds
from runner.machine import Room
from runner.plan import AUTO, Configuration
from runner.report.names import counted
from runner.training.forms import Form, candidates
from runner.training.memory import Need, need

CPU, GPU = "/CPU:0", "/GPU:0"
"""TensorFlow's names of the devices that `device=auto` chooses from."""

# Seconds that a program takes to be traced and compiled: at the least, and for each operation of
# each replica that stands in its graph by itself. On two cores 4 to 6.6 s with a replica axis, and
# 8.4 s for ten replicas of 16 operations; on the GPU see above, where these are the CNN's.
_COMPILE_S = {CPU: (4.0, 0.027), GPU: (20.0, 0.13)}

# Until a GPU is ready: what the differences of the whole commands, 19 s and 22 s, leave.
_GPU_START_S = 3.0

# Bytes that a core moves in a second; assumed.
_CORE_BYTES = 1e10

# What a step of the engine `keras` takes besides: its MLP on two cores, and the mean of `fit` on
# the GPU, 7 to 24 ms.
_KERAS_STEP_S = {CPU: 1.5e-3, GPU: 1.6e-2}

# Imports of each process beside this one, 10 to 17 s there, where several share the work.
_IMPORTS_S = 14.0


@dataclass(frozen=True)
class Work:
    """What replicates that are trained together take.

    Attributes:
      need: Of one replica.
      num_replicates: How many they are.
      num_steps: Of the training of each.
      forms: Device -> form of the program; empty for the engine `keras`, which trains them one by
        one.
    """

    need: Need
    num_replicates: int
    num_steps: int
    forms: Mapping[str, Form]

    def training_s(self, device: str, room: Room) -> float:
        """Returns about how many seconds the training takes.

        Args:
          device: TensorFlow's name.
          room: What it may use of the processor.
        """
        kind = GPU if "GPU" in device else CPU
        steps = self.num_steps * self.num_replicates
        own_s = 0.0 if self.forms else _KERAS_STEP_S[kind]
        if kind == CPU:
            moving_s = self.need.moved_bytes / (_CORE_BYTES * room.cores)
            return steps * (own_s + max(self.need.step_s(room), moving_s))
        if not self.forms:
            return steps * (own_s + self.need.gpu_step_s(1, 0))
        form = self.forms[GPU]
        together = form.max_replicas if form.name == "stacked" else 1
        num_calls = math.ceil(self.num_replicates / together)
        return self.num_steps * self.need.gpu_step_s(self.num_replicates, num_calls)

    def compiling_s(self, device: str) -> float:
        """Returns about how many seconds its program takes to be traced and compiled."""
        if not self.num_steps:
            return 0.0
        form = self.forms.get(device)
        least, each = _COMPILE_S[CPU if form and not form.jit else device]
        is_unrolled = form is not None and form.name == "unrolled"
        in_graph = min(form.max_replicas, self.num_replicates) if form and is_unrolled else 1
        return least + each * self.need.num_operations * in_graph


def work_of(item: Configuration, model: Any, dataset: Dataset, num_replicates: int) -> Work:
    """Returns what replicates of a configuration, and of those like it, take.

    Args:
      item: The configuration.
      model: Its built Keras model.
      dataset: What it is trained on.
      num_replicates: How many they are, of all configurations that are trained together.
    """
    from runner.training.precision import computing_in

    size, epochs = item.training.batch_size, item.training.epochs
    with computing_in(item.training.precision):
        one = need(model, dataset.train.x, size)
    forms = {
        device: candidates(model, item.optimizer, device, num_replicates, epochs)[0]
        for device in ((CPU, GPU) if item.engine == "vectorized" else ())
    }
    return Work(one, num_replicates, epochs * dataset.steps_per_epoch(size), forms)


def num_replicates(item: Configuration) -> int:
    """Returns how many replicates of a configuration a command may train, look by look."""
    if item.settings["seeds"] != AUTO:
        return len(item.replicates)
    looks = item.settings["report"].get("looks")
    return rounds(tuple(looks) if looks else None)[-1]


def shared(item: Configuration) -> str:
    """Returns what configurations have in common whose replicates one program can train.

    They differ in initializer, seeds and learning rate. A custom optimizer may do anything with
    its learning rate, so it must be the same then.
    """
    optimizer = item.optimizer.settings
    if optimizer.mixes_rates:
        optimizer = replace(optimizer, learning_rate=1.0)
    parts = (item.dataset, item.model, item.optimizer.name, optimizer, item.training, item.engine)
    return repr(parts)


def predicted_s(works: Sequence[Work], room: Room, num_gpus: int) -> dict[str, float]:
    """Returns about how many seconds compilation and training take: on the CPU and on the GPUs.

    Args:
      works: What is trained, one after the other.
      room: What this machine has for it besides GPUs.
      num_gpus: How many share the work, at least 1.
    """
    seconds = {CPU: 0.0, GPU: _GPU_START_S + (_IMPORTS_S if num_gpus > 1 else 0.0)}
    for work in works:
        busy = min(room.cores, work.num_replicates) if work.forms else room.cores
        training = {
            CPU: work.training_s(CPU, replace(room, cores=busy)),
            GPU: work.training_s(GPU, room) / num_gpus,
        }
        for device, training_s in training.items():
            seconds[device] += work.compiling_s(device) + training_s
    return seconds


def decided(seconds: Mapping[str, float], finished: Mapping[str, int]) -> tuple[str, str]:
    """Returns the device for a sweep, and why: the end of a sentence that begins with its name.

    Args:
      seconds: Device -> what is predicted there.
      finished: Device -> replicates of the sweep that earlier commands have trained there.
    """
    most = max(finished, key=lambda device: finished[device], default="")
    if most and finished[most]:
        count = finished[most]
        verb = "was" if count == 1 else "were"
        return most, f"where {counted(count, 'replicate')} of this sweep {verb} trained before"
    best, other = sorted(seconds, key=lambda device: (seconds[device], device))
    return best, (
        f"as compiling and training should take {seconds[best]:.0f} s there, "
        f"and {seconds[other]:.0f} s on {other.strip('/')}"
    )
