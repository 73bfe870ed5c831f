"""What the machine can do at most: TensorFlow's matrix products that fill the device."""

import math
import time
from collections.abc import Callable

_FIRST_SIZE, _LAST_SIZE = 1024, 16384  # three matrices of the last one hold 3 GB
# A product that takes longer fills any device.
_FILLING_S = 0.05
# Where doubling the size gains less than this, the device is full.
_GAIN = 1.02
_ROUNDS = 3
_ROUND_S = 0.1


class Product:
    """Not a side: products of square float32 matrices."""

    def flops_per_s(self) -> tuple[dict[str, float], str]:
        """Returns the peaks, by how factors are rounded, and which of them holds for the engines.

        On a GPU TensorFlow rounds the factors to TF32 unless it is told not to.
        """
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            return {"float32": fullest(_seconds)}, "float32"
        as_engines = tf.config.experimental.tensor_float_32_execution_enabled()
        peaks = {}
        for name, is_rounded in (("float32", False), ("TF32", True)):
            tf.config.experimental.enable_tensor_float_32_execution(is_rounded)
            peaks[name] = fullest(_seconds)
        tf.config.experimental.enable_tensor_float_32_execution(as_engines)
        return peaks, "TF32" if as_engines else "float32"


def fullest(seconds: Callable[[int], float]) -> float:
    """Returns the most operations in a second, of sizes that double until the device is full.

    Args:
      seconds: From the size of two square matrices to what their product takes.
    """
    size, best = _FIRST_SIZE, 0.0
    while True:
        once = seconds(size)
        found = 2 * size**3 / once
        if found < _GAIN * best or once > _FILLING_S or size == _LAST_SIZE:
            return max(found, best)
        size, best = 2 * size, max(found, best)


def _seconds(size: int) -> float:
    """Returns what a product takes, in a row of them: the host waits for the last one only."""
    import tensorflow as tf

    # Factors of this spread keep that of the products.
    b = tf.random.normal((size, size), stddev=size**-0.5)
    first = tf.random.normal((size, size))

    def row(count: int) -> float:
        a = first
        began = time.perf_counter()
        for _ in range(count):
            a = tf.matmul(a, b)
        a[0, 0].numpy()
        return time.perf_counter() - began

    row(1)
    count = max(1, math.ceil(_ROUND_S / row(1)))
    return min(row(count) for _ in range(_ROUNDS)) / count
