"""The numbers that layers draw: known ones, alike in every program, rightly distributed."""

import math
from statistics import NormalDist

import numpy as np
import pytest

SIZE = 40_001  # no multiple of what one value of the counter gives

# Salmon et al. (2011), known answers of philox4x32-10 (`kat_vectors` of Random123) for counter 0.
ZEROS = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.fixture(scope="module")
def drawn(keras):
    """A function: what a draw gives on a CPU without XLA, with it, and beside other replicas."""
    import tensorflow as tf

    from runner.training.draws import drawn_alike

    def draw(name, *args, seed=5, **kwargs):
        generator = keras.random.SeedGenerator(0)

        def call(state):
            with keras.StatelessScope([(generator.state, state)]):
                return getattr(keras.random, name)(*args, seed=generator, **kwargs)

        def replicas(states):
            return tf.vectorized_map(call, states)[1]

        state = tf.constant([seed, 3], tf.int64)
        states = tf.constant([[1, 3], [seed, 3], [2, 3]], tf.int64)
        programs = (False, call, state), (True, call, state), (True, replicas, states)
        results = []
        for jit, function, given in programs:
            with drawn_alike(jit, "/CPU:0"):
                traced = tf.function(function, autograph=False, jit_compile=jit)
                results.append(traced(given).numpy())
        return results

    return draw


def test_the_generator_is_philox(keras):
    import tensorflow as tf

    from runner.training import draws

    for bits in (draws._plain_bits, draws._kernel_bits):
        np.testing.assert_array_equal(bits(0, [4]).numpy(), ZEROS)
    whole, part = (draws._plain_bits(2**31 + 7, [rows, 3]) for rows in (5, 2))
    assert whole.dtype == tf.uint32
    np.testing.assert_array_equal(whole[:2], part)


EXACT = {
    "uniform": ("uniform", ((SIZE,),), {}),
    "uniform, half precision": ("uniform", ((SIZE,),), {"dtype": "float16"}),
    "uniform, double precision": ("uniform", ((SIZE,),), {"dtype": "float64"}),
    "integers": ("randint", ((SIZE,), -2, 5), {}),
}


@pytest.mark.parametrize("name", EXACT)
def test_uniform_numbers_are_the_same_everywhere(drawn, name):
    draw, args, kwargs = EXACT[name]
    plain, *others = drawn(draw, *args, **kwargs)
    for other in others:
        np.testing.assert_array_equal(plain, other)
    low, high = (-2, 4) if draw == "randint" else (0, 1)
    assert plain.min() >= low
    assert plain.max() <= high
    assert draw == "randint" or plain.max() < 1
    spread = (7**2 - 1) / 12 if draw == "randint" else 1 / 12
    deviations = 5 * np.sqrt(spread / SIZE)  # five standard errors
    assert plain.astype(float).mean() == pytest.approx((low + high) / 2, abs=deviations)


def truncated_stddev():
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    return math.sqrt(1 - 2 * 2 * density / math.erf(math.sqrt(2)))


@pytest.mark.parametrize("name", ["normal", "truncated_normal"])
def test_normal_numbers_are_the_same_everywhere(drawn, name):
    plain, *others = drawn(name, (SIZE,), mean=1.0, stddev=2.0)
    for other in others:
        np.testing.assert_array_equal(plain, other)
    z = (plain.astype(float) - 1) / 2
    stddev = 1 if name == "normal" else truncated_stddev()
    assert z.mean() == pytest.approx(0, abs=5 * stddev / math.sqrt(SIZE))
    # The variance of a normal sample's variance is 2 / n; a truncated one's is smaller.
    assert z.var() == pytest.approx(stddev**2, abs=5 * math.sqrt(2 / SIZE))
    assert np.corrcoef(z[:-1], z[1:])[0, 1] == pytest.approx(0, abs=5 / math.sqrt(SIZE))


@pytest.mark.parametrize("cut", [0.0, NormalDist().cdf(-2)])
def test_normal_numbers_are_quantiles(keras, cut):
    """Of bits all over: a last bit is the sign, the others are the share of numbers beyond."""
    import tensorflow as tf

    from runner.training import draws

    numbers = np.random.default_rng(0)
    some = numbers.integers(0, 2 ** numbers.integers(1, 32, 20_000))
    bits = np.concatenate([some, np.arange(500), 2**32 - 1 - np.arange(500)]).astype(np.uint32)
    beyond = ((bits >> 1) + 0.5) / 2.0**32
    wanted = np.array([-NormalDist().inv_cdf(cut + (1 - 2 * cut) * share) for share in beyond])
    wanted[bits % 2 == 1] *= -1
    found = draws._quantiles(tf.constant(bits), cut, tf.float64).numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert np.abs(found).max() <= 2 if cut else np.abs(found).max() > 6


@pytest.mark.parametrize("noise_shape", [None, (None, 1, 7)])
def test_masks_are_the_same_everywhere(drawn, noise_shape):
    import tensorflow as tf

    rate, shape = 0.3, (401, 13, 7)
    inputs = tf.ones(shape)
    results = drawn("dropout", inputs, rate, noise_shape=noise_shape)
    masks = [result > 0 for result in results]
    for other in masks[1:]:
        np.testing.assert_array_equal(masks[0], other)
    np.testing.assert_allclose(results[0][masks[0]], 1 / (1 - rate), rtol=1e-6)
    kept = masks[0] if noise_shape is None else masks[0][:, :1]
    assert (masks[0] == kept).all()
    error = math.sqrt(rate * (1 - rate) / kept.size)
    assert kept.mean() == pytest.approx(1 - rate, abs=5 * error)


def test_every_seed_and_every_draw_has_numbers_of_its_own(keras):
    from runner.training.draws import drawn_alike

    with drawn_alike(False, "/CPU:0"):
        generators = [keras.random.SeedGenerator(seed) for seed in (0, 1)]
        values = [keras.random.uniform((99,), seed=g) for g in generators for _ in range(2)]
        again = keras.random.uniform((99,), seed=keras.random.SeedGenerator(0))
    assert len({tuple(value.numpy()) for value in values}) == 4
    np.testing.assert_array_equal(values[0], again)


def test_keras_draws_as_before_afterwards(keras):
    import tensorflow as tf

    from runner.training.draws import drawn_alike

    def draws():
        return keras.random.gamma((3,), 2.0, seed=1), keras.random.uniform((3,), seed=1)

    before = draws()
    with drawn_alike(True, "/CPU:0", has_other_forms=True):
        assert not np.array_equal(keras.random.uniform((3,), seed=1), before[1])
        with pytest.raises(NotImplementedError, match=r"keras\.random\.gamma is drawn without XLA"):
            keras.random.gamma((3,), 2.0, seed=1)
    tf.nest.map_structure(np.testing.assert_array_equal, draws(), before)
