"""What a comparison changes in the process that it runs in, and puts back."""

import logging
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from hydra import version
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime

from runner.config import ConfigError
from runner.terminal import DETAIL, ConsoleHandler, MaskingFormatter

_HYDRA = "1.3"
_SCHEMA = "base_config.yaml"


@contextmanager
def unchanged() -> Iterator[None]:
    """Leaves Hydra, Keras and all generators of random numbers as they were before the block."""
    with ExitStack() as stack:
        for keep in (_hydra, _generators, _tensorflow, _keras):
            stack.enter_context(keep())
        yield


@contextmanager
def _hydra() -> Iterator[None]:
    base, runtime = version.VersionBase.instance(), JobRuntime.instance()
    former = base.version_base, HydraConfig.instance().cfg, dict(runtime.conf)
    schema = ConfigStore.instance().repo.get(_SCHEMA)
    version.setbase(_HYDRA)
    try:
        yield
    finally:
        base.version_base, HydraConfig.instance().cfg, conf = former
        runtime.conf.clear()
        runtime.conf.update(conf)
        ConfigStore.instance().repo.pop(_SCHEMA, None)
        if schema is not None:
            ConfigStore.instance().repo[_SCHEMA] = schema


@contextmanager
def _generators() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _tensorflow() -> Iterator[None]:
    """Keeps the seed, where the generator stands, and whether graphs are optimized."""
    if "tensorflow" not in sys.modules:
        yield
        return
    import tensorflow as tf
    from tensorflow.python.eager.context import context

    here: Any = context()
    seed, stands = here._seed, here._rng.getstate() if hasattr(here, "_rng") else None
    option = "disable_meta_optimizer"
    is_off = tf.config.optimizer.get_experimental_options().get(option, False)
    try:
        yield
    finally:
        here._set_global_seed(seed)
        if stands is not None:
            here._rng.setstate(stands)
        tf.config.optimizer.set_experimental_options({option: is_off})


@contextmanager
def _keras() -> Iterator[None]:
    """Keeps what `keras.config` sets, the names that Keras has given, and its seeds.

    Raises:
      ConfigError: Keras computes with something else than TensorFlow already.
    """
    if "keras" not in sys.modules:
        yield
        return
    import keras
    from keras.src.backend.common import global_state

    if (backend := keras.backend.backend()) != "tensorflow":
        raise ConfigError(
            f"Keras must compute with TensorFlow here. Received: {backend!r}, with which it was "
            "imported. Set KERAS_BACKEND=tensorflow before the first import of Keras."
        )
    former = global_state.GLOBAL_STATE_TRACKER, global_state.GLOBAL_SETTINGS_TRACKER
    try:
        yield
    finally:
        global_state.GLOBAL_STATE_TRACKER, global_state.GLOBAL_SETTINGS_TRACKER = former


class _Formatter(MaskingFormatter):
    """Formats lines in the words of a call."""

    def __init__(self, wording: Callable[[str], str]) -> None:
        super().__init__("%(message)s")
        self._wording = wording

    def format(self, record: logging.LogRecord) -> str:
        return self._wording(super().format(record))


@contextmanager
def logged(
    verbose: bool, level: int = DETAIL, wording: Callable[[str], str] = str
) -> Iterator[None]:
    """Prints what `runner` logs while the block runs.

    Args:
      verbose: Whether details are printed too.
      level: What is below it is not printed.
      wording: Says each line in the words of the call.
    """
    logger, handler = logging.getLogger("runner"), ConsoleHandler(verbose)
    handler.setLevel(level)
    handler.setFormatter(_Formatter(wording))
    former = logger.level
    logger.setLevel(DETAIL)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(former)
