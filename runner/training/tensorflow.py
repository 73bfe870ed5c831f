"""Starts TensorFlow quietly and finds the device that the configuration asks for."""

import logging
import os
import re
from typing import Any

from runner.config import ConfigError
from runner.terminal import quiet_stderr

log = logging.getLogger(__name__)

DEVICE_RULE = "auto, cpu, gpu, or gpu:<number>"


def check_device(device: str) -> str:
    """Returns `device` if it is well-formed.

    Raises:
      ConfigError: It is not.
    """
    if not re.fullmatch(r"auto|cpu|gpu(:\d+)?", device):
        raise ConfigError.at("device", DEVICE_RULE, device)
    return device


def start() -> Any:
    """Imports TensorFlow and Keras without their chatter; returns the `tensorflow` module."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with quiet_stderr():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.list_logical_devices()  # starts the devices, which log too
    return tf


def device_name(device: str) -> str:
    """Returns TensorFlow's name of the device to train on.

    Args:
      device: `"auto"` (the first GPU if there is one), `"cpu"`, `"gpu"` or `"gpu:<number>"`.

    Raises:
      ConfigError: A GPU was asked for that TensorFlow does not see.
    """
    tf = start()
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu" or (device == "auto" and not gpus):
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
