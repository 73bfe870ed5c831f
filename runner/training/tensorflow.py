"""Starts TensorFlow quietly and finds the device that the configuration asks for."""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from runner import compiled
from runner.config import ConfigError
from runner.machine import gpu_driver, has_fewer_cores, num_cores
from runner.terminal import quiet_stderr

log = logging.getLogger(__name__)

_T = TypeVar("_T")

BACKEND = "KERAS_BACKEND"
"""Environment variable: what Keras computes with."""

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
"""Environment variable: whether TensorFlow uses oneDNN on CPUs."""

INTRA_OP = "TF_NUM_INTRAOP_THREADS"
"""Environment variable: how many threads one operation of TensorFlow may use."""

XLA_FLAGS = "XLA_FLAGS"
"""Environment variable: how XLA compiles."""

_AUTOTUNING = "--xla_gpu_autotune_level="

# Trying out kernels took 5 of the 42 s of a sweep on an H200 (ten initializers x 12 seeds, a second
# of it training). What it spares in training has not been measured: a tenth would need this long.
_AUTOTUNED_S = 50.0

_is_tuned = False

DEVICE_RULE = "auto, cpu, gpu, or gpu:<number>"


def check_device(device: str) -> str:
    """Returns `device` if it is well-formed.

    Raises:
      ConfigError: It is not.
    """
    if not re.fullmatch(r"auto|cpu|gpu(:\d+)?", device):
        raise ConfigError.at("device", DEVICE_RULE, device)
    return device


def check_backend() -> None:
    """Checks that Keras is not asked to compute with something else.

    Raises:
      ConfigError: It is, by the environment or by Keras's own file of settings, which it obeys
        where the environment says nothing.
    """
    backend, place = os.environ.get(BACKEND), f"the environment variable `{BACKEND}`"
    if backend is None:
        file = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
        with suppress(OSError, ValueError, AttributeError):  # Keras takes no such file either
            backend, place = json.loads(file.read_text("utf-8")).get("backend"), f"{file}"
    if backend not in (None, "", "tensorflow"):
        raise ConfigError(
            f"Keras must compute with TensorFlow here. Received: {backend!r} from {place}. "
            f"Set {BACKEND}=tensorflow."
        )


def set_threads(cores: int) -> None:
    """Lets TensorFlow, which must not have been imported yet, use as many threads as cores."""
    for name in (INTRA_OP, "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(cores)


def start(threads_per_operation: int = 0) -> Any:
    """Imports TensorFlow and Keras without their chatter; returns the `tensorflow` module.

    Convolutions on a CPU go to oneDNN, which TensorFlow takes by itself only on some machines and
    which is two to five times as quick; `TF_ENABLE_ONEDNN_OPTS=0` in the environment prevents it.
    Without a GPU, TensorFlow's graph optimizer is off: it takes a CPU to have 256 MiB, and saves
    memory then by splitting sums in a way that fails inside loops ("AlreadyExistsError:
    ...tmp_var", github.com/tensorflow/tensorflow/issues/25540).

    TensorFlow takes as many threads as it sees cores, for one operation and for several; where
    control groups grant fewer cores, it gets as many as those, unless `TF_NUM_INTRAOP_THREADS` in
    the environment says how many.

    Args:
      threads_per_operation: On a CPU; 0 stands for all cores. Only the first call in a process can
        set it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ[BACKEND] = "tensorflow"
    os.environ.setdefault(ONEDNN, "1")
    compiled.read(threads_per_operation)
    with quiet_stderr():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        is_set = INTRA_OP in os.environ
        granted = num_cores() if has_fewer_cores() and not is_set else 0
        threading = tf.config.threading
        with suppress(RuntimeError):  # it has started already
            if intra_op := threads_per_operation or granted:
                threading.set_intra_op_parallelism_threads(intra_op)
            if granted:
                threading.set_inter_op_parallelism_threads(granted)
        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not gpus})
        tf.config.list_logical_devices()  # starts the devices, which log too
    compiled.wait()
    return tf


def tune(training_s: float) -> None:
    """Lets XLA take a GPU's kernels untried where trying them would take longer than it spares.

    XLA reads its flags when it compiles for the first time in a process, so the first call counts.
    What the user has told it holds.

    Args:
      training_s: How long the GPU is going to train, about.
    """
    global _is_tuned
    if _is_tuned:
        return
    _is_tuned = True
    flags = os.environ.get(XLA_FLAGS, "")
    is_file = flags != "" and not flags.lstrip().startswith("-")  # with flags in it
    if training_s < _AUTOTUNED_S and not is_file and _AUTOTUNING not in flags:
        os.environ[XLA_FLAGS] = f"{flags} {_AUTOTUNING}0".lstrip()
        compiled.read_anew()


def threads_per_operation(convolutional: bool, num_replicates: int) -> int:
    """Returns what `start` should be given for the engine `vectorized`.

    Its programs for convolutions run without XLA. Where each core has one, operations need no
    other cores, and small ones are up to twice as quick without. Programs that XLA has compiled
    would wait for each other then.

    Building a model starts TensorFlow, so what needs a model is not known here: whether the user's
    own one has convolutions, and how many replicates earlier commands have finished. A single
    configuration may be all that is left of a cohort; so the smallest one counts, whole.

    Args:
      convolutional: Whether all models are the option `cnn`.
      num_replicates: Of the configuration with the fewest.
    """
    return 1 if convolutional and num_replicates >= num_cores() else 0


def num_gpus() -> int:
    """Returns how many GPUs TensorFlow sees."""
    return len(start().config.list_physical_devices("GPU"))


def device_name(device: str) -> str:
    """Returns TensorFlow's name of the device to train on.

    Args:
      device: `"cpu"`, `"gpu"` (the first one) or `"gpu:<number>"`.

    Raises:
      ConfigError: A GPU was asked for that TensorFlow does not see.
    """
    tf = start()
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu":
        return "/CPU:0"
    number = int(device.partition(":")[2] or 0)
    if number >= len(gpus):
        raise ConfigError(
            f"`device` asks for {device}, but TensorFlow sees {len(gpus)} GPUs here. "
            f"Use device=cpu, or install the CUDA libraries: pip install 'runner[gpu]'."
        )
    name = tf.config.experimental.get_device_details(gpus[number]).get("device_name", "a GPU")
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    log.info(
        "Device: GPU:%d, %s; TF32, which rounds the factors of products to 10 bits, is %s.",
        number,
        name,
        "on" if tf32 else "off",
    )
    return f"/GPU:{number}"


def gpu_description(device: str) -> str:
    """Returns what tells a GPU and its software from others, for people; `""` for a CPU.

    Args:
      device: TensorFlow's name.
    """
    import tensorflow as tf

    kind, _, number = device.strip("/").partition(":")
    if kind != "GPU":
        return ""
    gpu = tf.config.list_physical_devices("GPU")[int(number)]
    details = tf.config.experimental.get_device_details(gpu)
    built = tf.sysconfig.get_build_info()
    capability = ".".join(map(str, details.get("compute_capability", ())))
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    parts = {
        "driver": gpu_driver(),
        "compute capability": capability,
        "TensorFlow for CUDA": built.get("cuda_version", ""),
        "cuDNN": built.get("cudnn_version", ""),
        "TF32": "on" if tf32 else "off",
    }
    known = [f"{name} {value}" for name, value in parts.items() if value]
    return ", ".join([f"{device.strip('/')} {details.get('device_name', 'GPU')}", *known])


def arithmetic(device: str, is_elsewhere: bool = False) -> list[str]:
    """Returns what decides how a device rounds: its kind; of a GPU here generation and TF32, too.

    Args:
      device: TensorFlow's name.
      is_elsewhere: Whether it is on another machine.
    """
    import tensorflow as tf

    kind, _, number = device.strip("/").partition(":")
    if kind != "GPU" or is_elsewhere:
        return [kind]
    gpu = tf.config.list_physical_devices("GPU")[int(number)]
    generation = tf.config.experimental.get_device_details(gpu).get("compute_capability", ())
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    return [kind, *map(str, generation), f"TF32={tf32}"]


def on_device(device: str, events: Iterator[_T]) -> Iterator[_T]:
    """Yields what `events` yields, whose work is done on the device.

    The device's scope is left for every `yield`: it would hold for the consumer's work too, and
    TensorFlow raises where a generator that was not exhausted leaves its scope inside another one.
    """
    import tensorflow as tf

    while True:
        with tf.device(device):
            try:
                event = next(events)
            except StopIteration:
                return
        yield event
