"""Weights of examples: a column or an array, divided like the examples, and no input."""

import numpy as np
import pandas as pd
import pytest

from runner.config import ConfigError
from runner.datasets import load
from runner.datasets.arrays import Arrays
from runner.datasets.table import Table

ROWS = 60
X = np.arange(2.0 * ROWS).reshape(ROWS, 2)
Y = np.arange(ROWS) % 3
# Tells of each example which it is.
WEIGHT = X[:, 0] + 1


@pytest.fixture
def file(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "mine.npz", **arrays)
        return str(tmp_path / "mine.npz")

    return write


@pytest.fixture
def table(tmp_path):
    def write(suffix="csv", **columns):
        frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": Y, "w": WEIGHT} | columns)
        path = tmp_path / f"mine.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
        return str(path)

    return write


def parts(dataset):
    return [part for part in (dataset.train, dataset.validation, dataset.test) if part]


def assert_follows(dataset):
    """Checks that each example has its own weight."""
    assert sum(map(len, parts(dataset))) == ROWS
    for part in parts(dataset):
        assert part.weight.dtype == np.float32
        x = np.asarray(part.x)[:, 0]
        np.testing.assert_allclose(part.weight, x + 1)


@pytest.mark.parametrize("test", [0.2, 0.0])
def test_an_array_is_divided_like_the_examples(file, test):
    path = file(x=X, y=Y, w=WEIGHT)
    settings = Arrays(path=path, sample_weight="w", standardize=False, test=test)
    assert_follows(load("arrays", settings))


@pytest.mark.parametrize("name", ["x", "x_train"])
def test_parts_have_arrays_of_their_own(file, name):
    rows = {name: slice(0, 30), "x_val": slice(30, 45), "x_test": slice(45, 60)}
    arrays = {}
    for key, of in rows.items():
        of_part = {key: X[of], key.replace("x", "y"): Y[of], key.replace("x", "w"): WEIGHT[of]}
        arrays |= of_part
    settings = Arrays(path=file(**arrays), sample_weight="w", standardize=False)
    assert_follows(load("arrays", settings))


def test_several_inputs_share_weights(file):
    path = file(**{"x.left": X, "x.right": X, "y": Y, "w": WEIGHT[:, np.newaxis]})
    dataset = load("arrays", Arrays(path=path, sample_weight="w", standardize=False))
    for part in parts(dataset):
        np.testing.assert_allclose(part.weight, part.x.inputs["left"][:, 0] + 1)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_is_no_input(table, suffix):
    settings = Table(path=table(suffix), target="y", sample_weight="w", standardize=False)
    dataset = load("table", settings)
    assert dataset.input_shape == (2,)
    assert_follows(dataset)
    without = Table(path=table(suffix), target="y", drop=("w",), standardize=False)
    assert dataset.fingerprint != load("table", without).fingerprint


@pytest.mark.parametrize("missing", ["drop", "fill"])
def test_examples_without_a_weight_are_left_out(file, table, missing):
    weight = np.where(np.arange(ROWS) < 6, np.nan, WEIGHT)
    array = Arrays(path=file(x=X, y=Y, w=weight), sample_weight="w", missing=missing)
    column = Table(path=table(w=weight), target="y", sample_weight="w", missing=missing)
    for name, settings in (("arrays", array), ("table", column)):
        dataset = load(name, settings)
        assert sum(map(len, parts(dataset))) == ROWS - 6
        assert all((part.weight > 6).all() for part in parts(dataset))


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (WEIGHT[1:], r"float64 of shape \(59,\) for 60 examples"),
        (np.stack([WEIGHT] * 2, 1), r"float64 of shape \(60, 2\) for 60 examples"),
        (WEIGHT.astype(str), "<U"),
        (WEIGHT * np.inf, "60 values NaN or infinite"),
        (np.where(WEIGHT > 3, WEIGHT, np.nan), "2 values NaN"),
        (WEIGHT - 2, "the least is -1"),
        (WEIGHT * 0, "0 in the test part"),
    ],
)
def test_arrays_that_are_no_weights(file, weight, said):
    path = file(x=X, y=Y, w=weight)
    with pytest.raises(ConfigError, match=f"`dataset.sample_weight` must name .*{said}"):
        load("arrays", Arrays(path=path, sample_weight="w"))


def test_arrays_that_are_not_there(file):
    path = file(x=X, y=Y, x_test=X, y_test=Y, weights=WEIGHT)
    with pytest.raises(
        ConfigError, match=r"for each part.*without weight and weight_test.*`weights`"
    ):
        load("arrays", Arrays(path=path, sample_weight="weight"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sample_weight": "v"}, "`dataset.sample_weight` must name a column"),
        ({"sample_weight": "y"}, "neither the target column"),
        ({"sample_weight": "w", "keep": ("w",)}, "nor one of `dataset.keep`"),
        ({"sample_weight": "t"}, "a column of numbers"),
    ],
)
def test_columns_that_are_no_weights(table, settings, said):
    path = table(t=["a", "b", "c"] * (ROWS // 3))
    with pytest.raises(ConfigError, match=said):
        load("table", Table(path=path, target="y", **settings))
