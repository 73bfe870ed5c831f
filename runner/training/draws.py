"""The numbers that layers draw while they are trained: the same in every program, on every device.

Left to itself, TensorFlow draws other numbers under XLA than without it, and others on a GPU than
on a CPU; so dropout masks would depend on how a program is built. Here all of them come from the
counter-based generator Philox4x32-10, keyed by what Keras's seed generator says (a seed, and the
number of the draw), in integer arithmetic that has one result wherever it runs. TensorFlow's own
kernel of the generator gives the same bits, and is quicker on a CPU where XLA does not compile.

Uniform numbers and dropout masks are the same to the bit, normal numbers to rounding. A mask takes
16 bits an element: its rate is the nearest multiple of 2^-16.

Reference:
  Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import tensorflow as tf
from keras.src.backend.tensorflow import random as keras_random  # no public place draws for all

_ROUNDS = 10
# Salmon et al., section 3.3: multipliers of the counter, and what is added to the key, per round.
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_PHILOX = 1  # TensorFlow's number of it
_WORDS = 4  # that one value of the counter gives

# What is drawn by rejection or by sorting has no such form; and XLA rounds logarithm and cosine by
# the place of a number in a program, so a replica's bits would depend on its neighbours.
_WITHOUT_XLA = (
    *("beta", "binomial", "categorical", "gamma", "shuffle"),
    *("normal", "truncated_normal"),
)


@contextmanager
def drawn_alike(jit: bool, device: str, has_other_forms: bool = False) -> Iterator[None]:
    """Lets Keras draw these numbers meanwhile.

    Args:
      jit: Whether XLA is going to compile what is traced.
      device: TensorFlow's name.
      has_other_forms: Whether what XLA would not draw rightly, such as `keras.random.normal`,
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
    """Draws as `keras.random.normal` does, by the method of Box and Muller."""
    dtype = _dtype(dtype)
    wide = dtype if dtype == tf.float64 else tf.float32
    radius, angle = tf.unstack(_fractions(bits(seed, tf.concat([[2], shape], 0)), wide))
    radius = tf.sqrt(-2 * tf.math.log(1 - radius))  # of 0 < u <= 1
    return tf.cast(radius * tf.cos(2 * math.pi * angle), dtype) * stddev + mean


def truncated_normal(
    bits: _Bits,
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Any:
    """Draws as `keras.random.truncated_normal` does, from the inverse of the distribution."""
    dtype = _dtype(dtype)
    wide = dtype if dtype == tf.float64 else tf.float32
    between = (2 * _fractions(bits(seed, shape), wide) - 1) * math.erf(math.sqrt(2))
    return tf.cast(math.sqrt(2) * tf.math.erfinv(between), dtype) * stddev + mean


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
