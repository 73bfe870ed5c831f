"""Generated data against the laws that it is drawn from."""

import numpy as np
import pytest

from runner.config import ConfigError, convert
from runner.datasets import load
from runner.datasets.generated import Spirals, Teacher


@pytest.mark.parametrize("kind", [Spirals, Teacher])
def test_the_seed_is_the_draw(kind):
    first, again, other = kind().read(), kind().read(), kind(seed=1).read()
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
