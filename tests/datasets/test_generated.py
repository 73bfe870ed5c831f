"""Generated data against the laws that it is drawn from."""

import numpy as np
import pytest
from PIL import Image

from runner.config import ConfigError, convert
from runner.datasets import load
from runner.datasets.generated import Spirals, Teacher
from runner.datasets.generated_sequences import Adding, Copy, Parity
from runner.datasets.image_fit import ImageFit
from runner.datasets.shapeset import CLASSES, Shapeset, inside


@pytest.mark.parametrize("kind", [Spirals, Teacher, Adding, Copy, Parity, Shapeset])
def test_the_seed_is_the_draw(kind):
    first, again = kind(size=300).read(), kind(size=300).read()
    other = kind(size=300, seed=1).read()
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.x, other.x)


def test_spirals_without_noise_lie_on_their_arms():
    drawn = Spirals(size=300, arms=4, turns=2.0, noise=0.0).read()
    radius = np.linalg.norm(drawn.x, axis=1)
    angle = np.arctan2(drawn.x[:, 1], drawn.x[:, 0])
    arm = (angle / (2 * np.pi) - 2.0 * radius) * 4 - drawn.y
    np.testing.assert_allclose(arm, 4 * np.round(arm / 4), atol=1e-9)
    assert radius.max() < 1


def test_spirals_spread_evenly_over_arms_and_area():
    drawn = Spirals(size=4000, arms=4, noise=0.0).read()
    assert np.bincount(drawn.y).tolist() == [1000] * 4
    # The squared radius is uniform in [0, 1): standard error of the mean 0.29 / sqrt(4000); five.
    assert np.mean(np.sum(drawn.x**2, axis=1)) == pytest.approx(0.5, abs=0.023)


def test_spirals_lie_in_a_plane_of_many_dimensions():
    x = Spirals(size=500, dimension=6, noise=0.0).read().x
    singular = np.linalg.svd(x, compute_uv=False)
    assert x.shape == (500, 6)
    assert singular[1] > 1
    np.testing.assert_allclose(singular[2:], 0, atol=1e-9)


def test_noise_of_spirals_has_its_standard_deviation():
    # Ten of the twelve directions hold noise alone: take the plane of the spiral out.
    x = Spirals(size=4000, dimension=12, noise=0.2).read().x
    plane = np.linalg.svd(x, full_matrices=False)[2][:2]
    rest = x - x @ plane.T @ plane
    # 4000 x 10 independent values: relative standard error 1 / sqrt(80000); five of them.
    assert np.sqrt(np.sum(rest**2) / (4000 * 10)) == pytest.approx(0.2, rel=0.018)


def test_the_teacher_is_a_function_of_its_inputs():
    quiet, noisy = (Teacher(task="regression", noise=noise).read() for noise in (0.0, 0.5))
    np.testing.assert_array_equal(quiet.x, noisy.x)
    np.testing.assert_allclose(quiet.y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(quiet.y.std(axis=0), 1)
    # 2000 x 4 draws of the noise: relative standard error 1 / sqrt(16000); five of them.
    assert (noisy.y - quiet.y).std() == pytest.approx(0.5, rel=0.04)


def test_the_class_of_a_teacher_is_its_largest_output():
    quantities = Teacher(task="regression", outputs=5).read()
    classes = Teacher(task="classification", outputs=5).read()
    np.testing.assert_array_equal(classes.y, quantities.y.argmax(axis=1))


def test_the_labels_of_a_teacher_are_the_signs_of_its_outputs():
    quantities = Teacher(task="regression", outputs=5).read()
    dataset = load("teacher", Teacher(task="multilabel", outputs=5))
    assert (dataset.task, dataset.num_outputs, dataset.task_guess) == ("multilabel", 5, "")
    parts = (dataset.train, dataset.validation, dataset.test)
    counts = sum(part.y.sum(axis=0) for part in parts)
    np.testing.assert_array_equal(counts, (quantities.y > 0).sum(axis=0))


def test_a_regression_of_several_targets():
    dataset = load("teacher", Teacher(task="regression", outputs=3))
    assert dataset.num_outputs == 3
    assert dataset.classes == ()
    assert dataset.train.y.shape == (1200, 3)
    np.testing.assert_allclose(dataset.train.y.std(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Spirals, {"arms": 1}, "`dataset.arms` must be an integer of at least 2. Received: 1"),
        (Spirals, {"dimension": 1}, "`dataset.dimension` must be an integer of at least 2"),
        (Spirals, {"noise": -1}, "`dataset.noise` must be a non-negative number"),
        (Teacher, {"size": 1}, "`dataset.size` must be an integer of at least 2"),
        (
            Teacher,
            {"task": "both"},
            "`dataset.task` must be one of classification, multilabel, regression",
        ),
    ],
)
def test_settings_that_make_no_sense(kind, settings, message):
    with pytest.raises(ConfigError, match=message):
        convert(kind, settings, "dataset")


def test_a_teacher_of_one_class_is_refused():
    with pytest.raises(ConfigError, match="`dataset` must hold at least two classes"):
        load("teacher", Teacher(outputs=1))


@pytest.mark.parametrize("length", [2, 7, 50])
def test_adding_sums_two_marked_numbers(length):
    drawn = Adding(size=4000, length=length).read()
    values, marks = drawn.x[..., 0], drawn.x[..., 1]
    assert drawn.x.shape == (4000, length, 2)
    for half in (marks[:, : length // 2], marks[:, length // 2 :]):
        np.testing.assert_array_equal(half.sum(axis=1), 1)
        # Every step is marked: a fair one is missed with probability (1 - 1/25)**4000.
        assert half.any(axis=0).all()
    assert set(np.unique(marks)) <= {0, 1}
    np.testing.assert_allclose(drawn.y, values[marks == 1].reshape(-1, 2).sum(axis=1))
    # Two uniform numbers. Of 4000: standard error 0.0065 of the mean, 0.0025 of the variance; five.
    assert drawn.y.mean() == pytest.approx(1, abs=0.033)
    assert drawn.y.var() == pytest.approx(1 / 6, abs=0.013)


def test_copy_repeats_its_symbols_after_the_mark():
    drawn = Copy(size=500, symbols=3, alphabet=5, delay=4).read()
    assert drawn.x.shape == drawn.y.shape == (500, 10)
    symbols = drawn.x[:, :3]
    assert set(np.unique(symbols)) == {1, 2, 3, 4, 5}
    np.testing.assert_array_equal(drawn.x[:, 3:], np.tile([0, 0, 0, 6, 0, 0, 0], (500, 1)))
    np.testing.assert_array_equal(drawn.y[:, :7], 0)
    np.testing.assert_array_equal(drawn.y[:, 7:], symbols)
    dataset = load("copy", Copy(size=500, symbols=3, alphabet=5, delay=4))
    assert (dataset.task, dataset.vocabulary, dataset.num_outputs) == ("tokens", 7, 7)
    assert dataset.train.x.dtype == dataset.train.y.dtype == np.int32


@pytest.mark.parametrize("relevant", [1, 3, None])
def test_parity_is_that_of_some_signs(relevant):
    drawn = Parity(size=400, length=10, relevant=relevant).read()
    signs = drawn.x[..., 0]
    assert set(np.unique(signs)) == {-1, 1}
    assert len(np.unique(signs, axis=0)) == 400
    # One set of places explains all classes: the product of its signs is (-1)**class.
    sets = ((np.arange(1024)[:, np.newaxis] >> np.arange(10)) & 1).astype(bool)
    products = np.array([signs[:, places].prod(axis=1) for places in sets])
    explained = sets[(products == 1 - 2 * drawn.y).all(axis=1)]
    assert explained.sum(axis=1).tolist() == [relevant or 10]


def test_parity_of_all_rows():
    drawn = Parity(size=8, length=3, relevant=None).read()
    assert np.bincount(drawn.y).tolist() == [4, 4]


@pytest.mark.parametrize("kind", range(3))
def test_shapes_are_of_equal_area(kind):
    axis = np.linspace(-3, 3, 601)
    mask = inside(kind, np.stack(np.meshgrid(axis, axis)))
    # Cells of 0.01: an error of half a cell along a border shorter than 9.
    assert mask.sum() * 0.01**2 == pytest.approx(np.pi, abs=0.045)
    down, right = np.nonzero(mask)
    assert axis[right].mean() == pytest.approx(0, abs=0.01)
    assert axis[down].mean() == pytest.approx(0, abs=0.01)


def test_pictures_of_shapes():
    drawn = Shapeset(size=300, pixels=20).read()
    assert (drawn.x.shape, drawn.x.dtype, len(CLASSES)) == ((300, 20, 20, 1), np.uint8, 9)
    for image, label in zip(drawn.x[..., 0], drawn.y, strict=True):
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        greys, counts = np.unique(image, return_counts=True)
        # A pixel that a shape only touches is mixed, at the border of the picture too.
        assert np.mean(border == greys[counts.argmax()]) > 0.5
        # A plane for the background and for each shape; each differs from the others by 0.2.
        planes = greys[counts >= 8]
        assert len(planes) >= 2
        if label < 3:
            rest = np.abs(image - float(greys[counts.argmax()])).max()
            assert rest >= 0.2 * 255 - 1
    assert set(np.bincount(drawn.y)) == {33, 34}


def test_an_image_as_a_function_of_the_place(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    settings = ImageFit(path=str(tmp_path / "a.png"), size=(3, 4))
    drawn = settings.read()
    np.testing.assert_allclose(
        drawn.x[:5].T, [[-0.75, -0.25, 0.25, 0.75, -0.75], [-2 / 3] * 4 + [0]]
    )
    np.testing.assert_allclose(drawn.y, pixels.reshape(12, 3) / 255)
    dataset = load("image_fit", settings)
    assert (dataset.task, dataset.num_outputs) == ("regression", 3)
    assert 0 <= dataset.train.y.min() < dataset.train.y.max() <= 1
    grey = load("image_fit", ImageFit(grey=True, size=(16, 24)))
    assert (grey.num_outputs, len(grey.train) + len(grey.validation)) == (1, 307)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Parity(size=9, length=3), "`dataset.size` must be at most 8, .*rows of 3 signs"),
        (
            Parity(length=20, relevant=21),
            r"`dataset.relevant` must be at most 20 \(`dataset.length`",
        ),
        (ImageFit(path="a.txt"), "`dataset.path` must name an image.*'a.txt'. Its name must end"),
    ],
)
def test_settings_that_do_not_fit_each_other(settings, message):
    with pytest.raises(ConfigError, match=message):
        settings.read()
