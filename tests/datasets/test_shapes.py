"""Images of another size, as sequences, and whitened inputs."""

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets import CATALOGUE, load
from runner.datasets.shapes import resized
from runner.datasets.whitening import Whitening


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_a_smaller_image_is_an_average_and_keeps_its_kind(dtype):
    x = np.zeros((2, 8, 8, 2), dtype)
    x[1, ..., 1] = 200
    small = resized(x, 2, 4)
    assert (small.shape, small.dtype) == (
        (2, 2, 4, 2),
        np.uint8 if dtype == np.uint8 else "float32",
    )
    np.testing.assert_allclose(small[1, ..., 1], 200)
    np.testing.assert_array_equal(small[0], 0)


def test_a_larger_image_keeps_corners_and_channels(numbers):
    x = numbers.integers(0, 256, (3, 4, 5, 3), np.uint8)
    large = resized(x, 12, 15)
    np.testing.assert_array_equal(large[:, ::11, ::14], x[:, ::3, ::4])


def test_pixel_by_pixel():
    settings = {"test": 0.0, "subset": 100}
    images = load("digits", CATALOGUE["digits"](**settings))
    rows = load("digits", CATALOGUE["digits"](**settings, as_sequence=True))
    np.testing.assert_array_equal(images.train.x.reshape(len(images.train), 64, 1), rows.train.x)
    small = load("digits", CATALOGUE["digits"](**settings, as_sequence=True, resize=(4, 6)))
    assert small.input_shape == (24, 1)


def mixed(numbers, num):
    """Correlated inputs, one of which never varies."""
    x = numbers.normal(size=(num, 4)) @ numbers.normal(size=(4, 4)) + 3
    x[:, 3] = 1
    return x


@pytest.mark.parametrize("kind", ["zca", "pca"])
def test_whitened_inputs_are_uncorrelated(numbers, kind):
    x = mixed(numbers, 500)
    fitted = Whitening.fit(x, kind)
    white = fitted.apply(x).astype(float)
    assert white.shape == ((500, 4) if kind == "zca" else (500, 3))
    varying = white[:, :3]
    # Rounded to single precision.
    np.testing.assert_allclose(varying.T @ varying / 500, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-6)
    other = mixed(numbers, 5)
    distances = np.linalg.norm((other - fitted.mean) @ fitted.matrix, axis=1)
    np.testing.assert_allclose(np.linalg.norm(fitted.apply(other), axis=1), distances, rtol=1e-6)


def test_zca_is_nearest_to_the_inputs_and_pca_starts_with_the_largest_variance(numbers):
    x = numbers.normal(size=(2000, 3)) * [1, 2, 5]
    centred = x - x.mean(axis=0)
    zca, pca = (Whitening.fit(x, kind).apply(x) for kind in ("zca", "pca"))
    distance = [np.sum((white - centred / centred.std(axis=0)) ** 2) for white in (zca, pca)]
    assert distance[0] < 0.01 * distance[1]
    assert abs(np.corrcoef(pca[:, 0], x[:, 2])[0, 1]) > 0.99


@pytest.mark.parametrize("kind", ["zca", "pca"])
def test_the_training_part_decides(kind):
    dataset = load("iris", CATALOGUE["iris"](whiten=kind))
    x = dataset.train.x.astype(float)
    np.testing.assert_allclose(x.T @ x / len(x), np.eye(4), atol=1e-5)
    assert np.abs(np.cov(dataset.validation.x.T) - np.eye(4)).max() > 0.01


def test_what_is_no_image_and_what_is_too_large(tmp_path):
    path = str(tmp_path / "a.npz")
    np.savez(path, x=np.random.default_rng(0).normal(size=(30, 4100)), y=np.arange(30) % 2)
    for settings, rule in (
        ({"resize": (2, 2)}, r"`dataset.resize` must be null .*Received: \[2, 2\], .*\(4100,\)"),
        ({"as_sequence": True}, r"`dataset.as_sequence` must be false .*Received: True"),
        ({"whiten": "zca"}, "`dataset.whiten` must be null for more than 4096 inputs"),
    ):
        with pytest.raises(ConfigError, match=rule):
            load("arrays", CATALOGUE["arrays"](path=path, **settings))
    np.savez(path, x=np.ones((30, 3)), y=np.arange(30) % 2)
    with pytest.raises(ConfigError, match=r"`dataset.whiten` must be null where no input varies"):
        load("arrays", CATALOGUE["arrays"](path=path, whiten="pca"))
