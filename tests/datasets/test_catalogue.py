"""What holds for every data set."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from runner.config import ConfigError, choose, convert
from runner.datasets import CATALOGUE, Dataset, Part, load

OPTIONS = Path(__file__).parents[2] / "conf" / "dataset"
OFFICIAL_TEST = {"mnist": 20, "fashion_mnist": 20, "cifar10": 20, "cifar100": 500}
REGRESSION = {"diabetes", "adding", "image_fit"}


def loaded(member, **settings):
    name, given = member
    return load(name, CATALOGUE[name](**given, **settings))


def parts(dataset):
    return [part for part in (dataset.train, dataset.validation, dataset.test) if part is not None]


def content(name):
    return yaml.safe_load((OPTIONS / f"{name}.yaml").read_text("utf-8"))


def test_every_member_is_an_option_and_the_reverse():
    assert {path.stem for path in OPTIONS.glob("*.yaml")} == set(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_options_tell_every_default(name):
    node = content(name)
    assert next(iter(node)) == "name"
    assert node["name"] == name
    assert choose(CATALOGUE, node, "dataset") == CATALOGUE[name]()
    assert set(node) == {"name", *(field.name for field in fields(CATALOGUE[name]))}


@pytest.mark.parametrize("name", OFFICIAL_TEST)
def test_an_official_test_part_cannot_be_resized(name):
    with pytest.raises(ConfigError, match=r"`dataset\.test` is not a setting"):
        convert(CATALOGUE[name], {"test": 0.1}, "dataset")


def test_arrays_fit_training(member):
    dataset = loaded(member)
    for part in parts(dataset):
        assert part.x.dtype == (np.int32 if dataset.vocabulary else np.float32)
        assert part.x.shape == (len(part), *dataset.input_shape)
        assert np.isfinite(part.x).all()
        if dataset.task == "regression":
            assert part.y.dtype == np.float32
            assert part.y.shape == (len(part), dataset.num_outputs)
        else:
            assert part.y.dtype == np.int32
            steps = dataset.input_shape if dataset.task == "tokens" else ()
            assert part.y.shape == (len(part), *steps)
            if dataset.task == "classification":
                assert set(part.y) == set(range(dataset.num_outputs))
                assert len(dataset.classes) == dataset.num_outputs
    assert (dataset.task == "regression") == (dataset.name in REGRESSION)


def test_standardized_on_the_training_part(member):
    dataset = loaded(member)
    if "standardize" not in content(member[0]):
        return
    x = np.asarray(dataset.train.x, np.float64)
    axes = tuple(range(x.ndim - 1))
    # Inputs were rounded to single precision (relative error 6e-8, a few units large).
    np.testing.assert_allclose(x.mean(axis=axes), 0, atol=1e-6)
    std = x.std(axis=axes)
    assert np.all((np.abs(std - 1) < 1e-6) | (std == 0))
    if dataset.task == "regression":
        np.testing.assert_allclose(dataset.uninformed_loss, 1, atol=1e-6)


def test_the_same_settings_give_the_same_bits(member):
    first, second = loaded(member), loaded(member)
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first.train.x, second.train.x)


@pytest.mark.sampled
@pytest.mark.parametrize(
    "settings",
    [
        {"split_seed": 1},
        {"standardize": False},
        {"validation": 0.3},
        {"resize": (5, 5)},
        {"as_sequence": True},
    ],
)
def test_the_fingerprint_tells_what_is_used(member, settings):
    names = {field.name for field in fields(CATALOGUE[member[0]])}
    if not settings.keys() <= names:
        return
    assert loaded(member).fingerprint != loaded(member, **settings).fingerprint


def test_a_subset_keeps_an_official_test_part_whole(member):
    subset = 5 * loaded(member).num_outputs  # a fifth of it still holds every class
    dataset = loaded(member, subset=subset)
    num_drawn = sum(len(part) for part in parts(dataset))
    if member[0] in OFFICIAL_TEST:
        assert len(dataset.test) == OFFICIAL_TEST[member[0]]
        num_drawn -= len(dataset.test)
    assert num_drawn == subset


def test_description_is_json(member):
    dataset = loaded(member)
    told = json.loads(json.dumps(dataset.describe()))
    assert told["name"] == member[0]
    assert told["num_train"] == len(dataset.train)
    assert told["num_test"] == len(dataset.test)
    assert told["input_shape"] == list(dataset.train.x.shape[1:])
    assert told["classes"] == list(dataset.classes)


def test_no_test_part_where_none_is_asked_for():
    dataset = load("iris", CATALOGUE["iris"](test=0.0))
    assert dataset.test is None
    assert dataset.describe()["num_test"] == 0
    assert len(dataset.train) + len(dataset.validation) == 150


def test_classes_keep_their_names():
    assert load("wine", CATALOGUE["wine"]()).classes == ("class_0", "class_1", "class_2")


def test_digits_are_images_in_the_unit_range():
    x = load("digits", CATALOGUE["digits"](standardize=False)).train.x
    assert x.shape[1:] == (8, 8, 1)
    assert (x.min(), x.max()) == (0, 1)


def test_uninformed_losses():
    digits = load("digits", CATALOGUE["digits"]())
    assert digits.uninformed_loss == pytest.approx(np.log(10), abs=1e-3)  # almost balanced
    wine = load("wine", CATALOGUE["wine"]())
    shares = np.unique(wine.train.y, return_counts=True)[1] / len(wine.train)
    assert wine.uninformed_loss == pytest.approx(stats.entropy(shares))
    assert wine.describe()["majority_share"] == shares.max()
    raw = load("diabetes", CATALOGUE["diabetes"](standardize=False))
    y = raw.train.y[:, 0].astype(float)
    guess = y.mean()
    assert raw.uninformed_loss == pytest.approx(np.mean((y - guess) ** 2))
    assert raw.uninformed_loss > 1000  # in the target's own units
    assert raw.uninformed_val_loss == pytest.approx(np.mean((raw.validation.y - guess) ** 2))
    others = np.bincount(wine.validation.y) / len(wine.validation)
    assert wine.uninformed_val_loss == pytest.approx(-np.sum(others * np.log(shares)), rel=1e-6)
    # Half of the targets lie on either side of the median, which so drops out of the sum.
    ordered, half = np.sort(y), len(y) // 2
    above_below = ordered[-half:].sum() - ordered[:half].sum()
    assert raw.uninformed_mae == pytest.approx(above_below / len(y))
    assert digits.uninformed_mae is None


def test_scores_of_the_best_constant_labels():
    """Three sets of labels, so that all can be counted by hand."""
    y = np.array([[1, 0], [1, 0], [1, 1], [0, 1], [1, 0]])
    part = Part(np.zeros((5, 1), "float32"), y.astype("int32"))
    told = Dataset("sample", "multilabel", 2, part, part, None, ()).describe()
    # Shares of 4/5 and 2/5.
    entropies = stats.entropy([0.8, 0.2]), stats.entropy([0.4, 0.6])
    assert told["uninformed_loss"] == pytest.approx(np.mean(entropies))
    assert told["uninformed_binary_accuracy"] == pytest.approx((0.8 + 0.6) / 2)
    assert told["uninformed_exact_match"] == pytest.approx(3 / 5)
    assert (told["uninformed_mae"], told["majority_share"]) == (None, None)
    digits = load("digits", CATALOGUE["digits"]()).describe()
    assert (digits["uninformed_binary_accuracy"], digits["uninformed_exact_match"]) == (None, None)


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, True, "a", None])
def test_validation_must_be_a_proper_fraction(value):
    with pytest.raises(ConfigError, match=r"`dataset\.validation` must be a number above 0"):
        convert(CATALOGUE["iris"], {"validation": value}, "dataset")
