"""Missing cells of a table: what is dropped, and what they are filled in with."""

import numpy as np
import pandas as pd
import pytest

from runner.config import ConfigError
from runner.datasets import load
from runner.datasets.missing import Fill
from runner.datasets.table import Table

ROW = np.arange(60)


def frame():
    table = pd.DataFrame({"size": ROW + 0.5, "kind": list("aab") * 20, "flag": ROW % 4 > 0})
    table = table.assign(price=ROW % 2).astype({"flag": object})
    table.loc[[3, 4], "size"] = np.nan
    table.loc[[4, 5, 6], "kind"] = None
    table.loc[8, "flag"] = None
    table["price"] = table["price"].where(ROW != 9)
    return table


@pytest.fixture(params=["csv", "parquet", "feather"])
def path(request, tmp_path):
    """The same table in each format."""
    place = tmp_path / f"a.{request.param}"
    if request.param == "csv":
        frame().to_csv(place, index=False)
    else:
        getattr(frame(), f"to_{request.param}")(place)
    return str(place)


def test_refused_unless_asked_for(path):
    with pytest.raises(ConfigError, match=r"2 in column 'size', 3 in column 'kind'.*missing=fill"):
        load("table", Table(path=path, target="price"))


def test_dropped(path):
    dataset = load("table", Table(path=path, target="price", missing="drop"))
    told = dataset.describe()
    assert sum(told[f"num_{part}"] for part in ("train", "validation", "test")) == 54
    assert any("6 of 60 rows are left out: a value is missing" in note for note in dataset.notes)


def test_filled_in(path):
    settings = Table(path=path, target="price", missing="fill", standardize=False)
    dataset = load("table", settings)
    read = settings.read()
    assert read.inputs == ("size", "kind=a", "kind=b", "flag")
    assert len(read.x) == 59  # one has no target
    parts = [dataset.train, dataset.validation, dataset.test]
    x = np.concatenate([part.x for part in parts])
    assert set(np.unique(x[:, 1:])) == {0, 1}
    np.testing.assert_array_equal(x[:, 1] + x[:, 2], 1)
    for note in ("1 of 60 rows are left out: a target", "6 missing values are filled in"):
        assert any(note in told for told in dataset.notes)


def test_true_and_false_as_targets(path):
    for missing, num in (("drop", 54), ("fill", 59)):
        read = Table(path=path, target="flag", missing=missing).read()
        assert (read.y.dtype, len(read.y)) == (bool, num)


@pytest.mark.parametrize("dtype", ["str", pd.CategoricalDtype(["a", "b"])])
def test_texts_that_are_all_missing(tmp_path, dtype):
    frame().assign(kind=pd.array([None] * 60, dtype)).to_parquet(tmp_path / "a.parquet")
    settings = Table(path=str(tmp_path / "a.parquet"), target="price", missing="fill")
    with pytest.raises(ConfigError, match=r"a value in each column. Received: none in 'kind'"):
        load("table", settings)


def test_values_of_the_training_part():
    x = np.array([[1, 1, 0, 1], [np.nan, 0, 1, 1], [3, np.nan, np.nan, 0], [2, 0, 1, np.nan]])
    fitted = Fill(categories=((1, 2), (3,))).fit(x)
    np.testing.assert_array_equal(fitted.values, [2, 0, 1, 1])
    np.testing.assert_array_equal(fitted.apply(np.full((1, 4), np.nan)), [[2, 0, 1, 1]])
    np.testing.assert_array_equal(fitted.apply(x)[0], x[0])


def test_no_row_is_left(tmp_path):
    frame().assign(size=np.nan).to_csv(tmp_path / "a.csv")
    settings = Table(path=str(tmp_path / "a.csv"), target="price", missing="drop")
    with pytest.raises(ConfigError, match=r"a row without missing values. Received: 60 rows"):
        load("table", settings)
