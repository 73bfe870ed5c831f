"""Standardization against numbers that can be checked by hand."""

import numpy as np
import pytest

from runner.datasets import scaling


def test_flat_inputs_per_feature():
    x = np.array([[0.0, 10], [2, 10], [4, 40], [6, 40]])
    fitted = scaling.standardization(x)
    np.testing.assert_allclose(fitted.shift, [3, 25])
    np.testing.assert_allclose(fitted.scale, [1 / np.sqrt(5), 1 / 15])
    np.testing.assert_allclose(fitted.apply(x)[0], [-3 / np.sqrt(5), -1], rtol=1e-6)


def test_images_per_channel(numbers):
    x = numbers.integers(0, 256, (30, 5, 4, 3), np.uint8)
    fitted = scaling.standardization(x)
    assert fitted.scale.shape == (3,)
    pixels = x.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(fitted.shift, pixels.mean(axis=0))
    np.testing.assert_allclose(fitted.scale, 1 / pixels.std(axis=0))


def test_other_parts_are_scaled_as_the_training_part():
    fitted = scaling.standardization(np.array([[1.0], [3.0]]))
    np.testing.assert_array_equal(fitted.apply(np.array([[5.0]])), [[3]])


# The mean of thirty times 0.1 is not 0.1 to the last bit.
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e30, -3.0])
def test_a_constant_feature_becomes_zero_everywhere(constant):
    x = np.column_stack([np.full(30, constant), np.arange(30)])
    fitted = scaling.standardization(x)
    other = np.array([[constant + 1, 3]])
    np.testing.assert_array_equal(fitted.apply(x)[:, 0], 0)
    np.testing.assert_array_equal(fitted.apply(other)[:, 0], 0)
    assert fitted.apply(x)[:, 1].std() == pytest.approx(1)


def test_a_large_offset_does_not_drown_the_spread():
    x = 1e9 + np.arange(10.0)[:, np.newaxis]
    scaled = scaling.standardization(x).apply(x)
    assert scaled.std() == pytest.approx(1, rel=1e-5)


def test_blocks_do_not_change_the_numbers(numbers, monkeypatch):
    x = numbers.normal(size=(101, 7))
    whole = scaling.standardization(x).apply(x)
    monkeypatch.setattr(scaling, "_BLOCK_VALUES", 70)
    np.testing.assert_allclose(scaling.standardization(x).apply(x), whole, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("shape", "dtype", "largest"),
    [((2, 3, 3, 1), np.uint8, 1), ((2, 3), np.uint8, 255), ((2, 3, 3, 1), np.int64, 255)],
)
def test_only_images_of_bytes_are_brought_to_the_unit_range(shape, dtype, largest):
    x = np.full(shape, 255, dtype)
    scaled = scaling.plain(x).apply(x)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, largest, rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.array([[1.0, 0.5, -3, 2**25], [2, 1, 4, 0]]), (0, 2)),
        (np.array([[[1.0, 2]], [[3, 4.5]]]), (0,)),
        (np.array([[1, 2], [3, 4]]), (0, 1)),
        (np.array([[1, 200]], np.uint8), (0, 1)),
        (np.array([[[1, 200]]], np.uint8), ()),
        (np.array([[True, False]]), (0, 1)),
    ],
)
def test_whole_numbers_that_may_be_codes(x, expected):
    assert scaling.whole(x) == expected
