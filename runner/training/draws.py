"""The numbers that layers draw while they are trained: the same in every program, on every device.

Left to itself, TensorFlow draws other numbers under XLA than without it, and others on a GPU than
on a CPU; so dropout masks would depend on how a program is built. Here all of them come from the
counter-based generator Philox4x32-10, keyed by what Keras's seed generator says (a seed, and the
number of the draw), in integer arithmetic that has one result wherever it runs. TensorFlow's own
kernel of the generator gives the same bits, and is quicker on a CPU where XLA does not compile.

All are the same to the bit. A mask takes 16 bits an element: its rate is the nearest multiple of
2^-16. A normal number is a quantile, from a table whose steps are so fine that linear interpolation
between them is wrong by at most 2e-5; in integers too, for XLA rounds logarithm and cosine by the
place of a number in a program, so that a replica's bits would depend on its neighbours.

Reference:
  Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np
import tensorflow as tf
from keras.src.backend.tensorflow import random as keras_random  # no public place draws for all

_ROUNDS = 10
# Salmon et al., section 3.3: multipliers of the counter, and what is added to the key, per round.
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_PHILOX = 1  # TensorFlow's number of it
_WORDS = 4  # that one value of the counter gives

# Quantiles: steps of the table in each octave, as bits; bits between two steps; and the unit, as
# bits after the point.
_STEP_BITS, _BETWEEN_BITS, _UNIT_BITS = 6, 13, 22
_MANTISSA_BITS = 23

# What is drawn by rejection or by sorting has no such form.
_WITHOUT_XLA = ("beta", "binomial", "categorical", "gamma", "shuffle")


@contextmanager
def drawn_alike(jit: bool, device: str, has_other_forms: bool = False) -> Iterator[None]:
    """Lets Keras draw these numbers meanwhile.

    Args:
      jit: Whether XLA is going to compile what is traced.
      device: TensorFlow's name.
      has_other_forms: Whether what XLA would not draw rightly, such as `keras.random.gamma`,
        raises `NotImplementedError`.
    """
    bits = _kernel_bits if not jit and "CPU" in device else _plain_bits
    replaced = {function.__name__: partial(function, bits) for function in _DRAWS}
    if jit and has_other_forms:
        replaced |= {name: partial(_refuse, name) for name in _WITHOUT_XLA}
    kept = {name: getattr(keras_random, name) for name in replaced}
    try:
        for name, function in replaced.items():
            setattr(keras_random, name, function)
        yield
    finally:
        for name, function in kept.items():
            setattr(keras_random, name, function)


_Bits = Callable[[Any, Any], Any]
"""(seed, shape) -> random bits of this shape, uint32."""


def uniform(
    bits: _Bits,
    shape: Any,
    minval: Any = 0.0,
    maxval: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Any:
    """Draws as `keras.random.uniform` does."""
    dtype = _dtype(dtype)
    low, high = tf.cast(minval, dtype), tf.cast(maxval, dtype)
    return _fractions(bits(seed, shape), dtype) * (high - low) + low


def randint(
    bits: _Bits, shape: Any, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None
) -> Any:
    """Draws as `keras.random.randint` does; at most 2^32 different integers."""
    low, high = tf.cast(minval, tf.int64), tf.cast(maxval, tf.int64)
    return tf.cast(low + tf.cast(bits(seed, shape), tf.int64) % (high - low), _dtype(dtype))


def normal(
    bits: _Bits,
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Any:
    """Draws as `keras.random.normal` does."""
    return _quantiles(bits(seed, shape), 0.0, _dtype(dtype)) * stddev + mean


def truncated_normal(
    bits: _Bits,
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Any:
    """Draws as `keras.random.truncated_normal` does: within two standard deviations."""
    return _quantiles(bits(seed, shape), NormalDist().cdf(-2), _dtype(dtype)) * stddev + mean


def dropout(bits: _Bits, inputs: Any, rate: Any, noise_shape: Any = None, seed: Any = None) -> Any:
    """Drops out as `keras.random.dropout` does."""
    if rate == 1.0:
        return tf.zeros_like(inputs)
    if rate == 0.0:
        return inputs
    shape = _known(inputs)
    if noise_shape is not None:
        shape = [
            n if wanted is None else wanted for n, wanted in zip(shape, noise_shape, strict=True)
        ]
    words = bits(seed, [-(-_count(shape) // 2)])
    upper = tf.bitwise.right_shift(words, tf.constant(16, tf.uint32))
    halves = tf.stack([words & 0xFFFF, upper], axis=1)
    limit = tf.cast(tf.round(rate * 2.0**16), tf.uint32)
    keep = tf.reshape(tf.reshape(halves, [-1])[: _count(shape)], shape) >= limit
    return tf.where(keep, inputs / tf.cast(1 - rate, inputs.dtype), tf.zeros([], inputs.dtype))


_DRAWS = (uniform, randint, normal, truncated_normal, dropout)


def _refuse(name: str, *args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError(f"keras.random.{name} is drawn without XLA")


def _dtype(dtype: Any) -> Any:
    return tf.as_dtype(dtype or keras_random.floatx())


def _known(tensor: Any) -> list[Any]:
    """Returns the lengths of the axes, as numbers where they are known."""
    lengths = tensor.shape.as_list()
    if None not in lengths:
        return lengths
    dynamic = tf.unstack(tf.shape(tensor))
    return [b if a is None else a for a, b in zip(lengths, dynamic, strict=True)]


def _count(shape: Any) -> Any:
    """Returns how many numbers an array of this shape has."""
    shape = tf.convert_to_tensor(shape, tf.int32)
    known = tf.get_static_value(shape)
    return tf.reduce_prod(shape) if known is None else math.prod(known.tolist())


def _fractions(bits: Any, dtype: Any) -> Any:
    """Returns numbers k 2^-b of [0, 1) with as many bits b as the dtype has, all exact."""
    digits = {tf.float64: 32, tf.float32: 24, tf.float16: 11, tf.bfloat16: 8}[dtype]
    whole = tf.bitwise.right_shift(bits, tf.constant(32 - digits, tf.uint32))
    return tf.cast(whole, dtype) * tf.constant(2.0**-digits, dtype)


def _quantiles(bits: Any, cut: float, dtype: Any) -> Any:
    """Returns normal numbers without the outermost ones.

    Of 32 bits k s the last one is the sign of the number, and (k + 1/2) 2^-32 of the others, k, the
    share of numbers beyond it. The exponent of k as a float and the first bits of its mantissa tell
    the step of the table.

    Args:
      bits: Random bits, uint32.
      cut: Share of the standard normal law that is cut off on either side.
      dtype: Of the result.
    """
    values, steps = _table(cut)
    beyond = tf.cast(tf.bitwise.right_shift(bits, tf.constant(1, tf.uint32)), tf.int32)
    place = tf.bitcast(tf.cast(beyond, tf.float32), tf.int32)
    rest = _MANTISSA_BITS - _STEP_BITS
    step = tf.maximum(tf.bitwise.right_shift(place, rest) - _FIRST_STEP + 1, 0)
    between = tf.bitwise.right_shift(place & (2**rest - 1), rest - _BETWEEN_BITS)
    down = tf.bitwise.right_shift(tf.gather(steps, step) * between, _BETWEEN_BITS)
    value = tf.gather(values, step) - down
    value = tf.where(bits & 1 > 0, -value, value)
    wide = dtype if dtype == tf.float64 else tf.float32
    return tf.cast(tf.cast(value, wide) * tf.constant(2.0**-_UNIT_BITS, wide), dtype)


_FIRST_STEP = 127 << _STEP_BITS  # of the number 1 as a float32, whose exponent is written as 127


@functools.cache
def _table(cut: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the quantiles at the steps, and by how much they fall to the next; int32.

    The first is that of k = 0, the last that of 2^31, to which the largest k are rounded.
    """
    octaves = np.exp2(np.arange(31))[:, np.newaxis]
    starts = octaves * (1 + np.arange(2**_STEP_BITS) / 2**_STEP_BITS)
    beyond = (np.array([0, *starts.ravel(), 2**31 - 0.5]) + 0.5) / 2**32
    law = NormalDist()
    quantiles = np.array([-law.inv_cdf(cut + (1 - 2 * cut) * share) for share in beyond])
    values = np.round(quantiles * 2**_UNIT_BITS).astype(np.int32)
    steps = values - np.append(values[1:], np.int32(0))
    steps[0] = 0  # to 1 there is nothing between
    return values, steps


def _key(seed: Any) -> tuple[Any, Any]:
    """Returns the two words of the key; the seed generator goes on to its next state."""
    state = tf.cast(keras_random.draw_seed(seed), tf.int64)
    words = tf.cast(tf.bitwise.bitwise_and(state, tf.constant(0xFFFFFFFF, tf.int64)), tf.uint32)
    return words[0], words[1]


def _kernel_bits(seed: Any, shape: Any) -> Any:
    """Returns the bits of TensorFlow's kernel."""
    low, high = (tf.cast(word, tf.uint64) for word in _key(seed))
    key = low + tf.bitwise.left_shift(high, tf.constant(32, tf.uint64))
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape, key=key[None], counter=tf.zeros([2], tf.uint64), alg=_PHILOX, dtype=tf.uint32
    )


def _plain_bits(seed: Any, shape: Any) -> Any:
    """Returns the same bits by operations on integers, which can have a replica axis too."""
    count = _count(shape)
    blocks = -(-count // _WORDS)
    key = list(_key(seed))
    zeros = tf.zeros([blocks], tf.uint32)
    words = [tf.cast(tf.range(blocks), tf.uint32), zeros, zeros, zeros]
    for number in range(_ROUNDS):
        if number:
            key = [k + tf.constant(step, tf.uint32) for k, step in zip(key, _WEYL, strict=True)]
        (high_0, low_0), (high_1, low_1) = (
            _product(words[2 * place], factor) for place, factor in enumerate(_MULTIPLIERS)
        )
        words = [high_1 ^ words[1] ^ key[0], low_1, high_0 ^ words[3] ^ key[1], low_0]
    return tf.reshape(tf.reshape(tf.stack(words, axis=1), [-1])[:count], shape)


def _product(word: Any, factor: int) -> tuple[Any, Any]:
    """Returns the upper and the lower word of a product."""
    product = tf.cast(word, tf.uint64) * tf.constant(factor, tf.uint64)
    upper = tf.bitwise.right_shift(product, tf.constant(32, tf.uint64))
    return tf.cast(upper, tf.uint32), tf.cast(product, tf.uint32)
