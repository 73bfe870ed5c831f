"""What a comparison changes in the process that it runs in, and puts back."""

import logging
import os
import random
import sys
import threading
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

# Of the environment: how libraries are started.
_VARIABLES = (
    *("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"),
    *("XLA_FLAGS", "RAY_OVERRIDE_JOB_RUNTIME_ENV"),
)


@contextmanager
def unchanged() -> Iterator[None]:
    """Leaves Hydra, TensorFlow and Keras as they were before the block.

    So it does with all generators of random numbers, and with the environment.
    """
    with ExitStack() as stack:
        for keep in (_environment, _hydra, _generators, _tensorflow, _keras):
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
def _environment() -> Iterator[None]:
    former = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _tensorflow() -> Iterator[None]:
    """Keeps the seed, where the generator stands, whether graphs are optimized, and what is logged.

    Where TensorFlow is imported in the block, it is left as after an import.
    """
    seed, stands, is_off, level = None, None, False, logging.NOTSET
    option = "disable_meta_optimizer"
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        here = _context()
        seed, stands = here._seed, here._rng.getstate() if hasattr(here, "_rng") else None
        is_off = tf.config.optimizer.get_experimental_options().get(option, False)
        level = tf.get_logger().level
    try:
        yield
    finally:
        if "tensorflow" in sys.modules:
            import tensorflow as tf

            from runner.models.randomness import functions_kept

            with functions_kept():
                _context()._set_global_seed(seed)
            if stands is not None:
                _context()._rng.setstate(stands)
            tf.config.optimizer.set_experimental_options({option: is_off})
            tf.get_logger().setLevel(level)


def _context() -> Any:
    from tensorflow.python.eager.context import context

    return context()


@contextmanager
def _keras() -> Iterator[None]:
    """Keeps what `keras.config` sets, the names that Keras has given, and its seeds.

    Where Keras is imported in the block, it is left as after an import.

    Raises:
      ConfigError: Keras computes with something else than TensorFlow already.
    """
    names = "GLOBAL_STATE_TRACKER", "GLOBAL_SETTINGS_TRACKER"
    former: dict[str, Any] = {name: threading.local() for name in names}
    values: dict[str, dict[str, Any]] = {name: {} for name in names}
    if "keras" in sys.modules:
        import keras
        from keras.src.backend.common import global_state

        if (backend := keras.backend.backend()) != "tensorflow":
            raise ConfigError(
                f"Keras must compute with TensorFlow here. Received: {backend!r}, with which it "
                "was imported. Set KERAS_BACKEND=tensorflow before the first import of Keras."
            )
        former = {name: getattr(global_state, name) for name in names}
        values = {name: dict(vars(former[name])) for name in names}
    try:
        yield
    finally:
        if "keras" in sys.modules:
            from keras.src.backend.common import global_state

            for name in names:
                vars(former[name]).clear()
                vars(former[name]).update(values[name])
                setattr(global_state, name, former[name])


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
