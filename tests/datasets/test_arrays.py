"""A user's .npz file: what is read, and one clear line for what cannot be."""

import os
from pathlib import Path

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets import load
from runner.datasets.arrays import Arrays

X = np.arange(120.0).reshape(60, 2)
Y = np.arange(60) % 3


@pytest.fixture
def file(tmp_path):
    """Writes arrays to a file and returns its settings."""

    def write(**arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **arrays)
        return str(path)

    return write


def at(value, *place):
    """A copy of X with `value` at some places."""
    x = X.copy()
    for row, column in place:
        x[row, column] = value
    return x


def test_reads_the_arrays(file):
    dataset = load("arrays", Arrays(path=file(x=X, y=Y), standardize=False))
    assert dataset.task == "classification"
    every_x = np.concatenate([dataset.train.x, dataset.validation.x, dataset.test.x])
    every_y = np.concatenate([dataset.train.y, dataset.validation.y, dataset.test.y])
    order = np.argsort(every_x[:, 0])
    np.testing.assert_array_equal(every_x[order], X)
    np.testing.assert_array_equal(every_y[order], Y)


def test_the_files_own_test_part_stays(file):
    path = file(x=X, y=Y, x_test=X[:9] + 1, y_test=Y[:9])
    dataset = load("arrays", Arrays(path=path, standardize=False))
    np.testing.assert_array_equal(dataset.test.x, X[:9] + 1)
    np.testing.assert_array_equal(dataset.test.y, Y[:9])
    assert (len(dataset.train), len(dataset.validation)) == (48, 12)


def test_the_test_part_is_scaled_by_the_training_part(file):
    y = np.linspace(0, 5, 60)
    settings = Arrays(path=file(x=X, y=y, x_test=X + 1000, y_test=y + 1000))
    dataset = load("arrays", settings)
    assert dataset.test.x.mean() > 10
    assert dataset.test.y.mean() > 10


@pytest.mark.parametrize(("test", "size"), [(None, 12), (0.1, 6), (0.0, 0)])
def test_a_test_part_is_drawn_where_the_file_has_none(file, test, size):
    dataset = load("arrays", Arrays(path=file(x=X, y=Y), test=test))
    assert dataset.describe()["num_test"] == size


@pytest.mark.parametrize(
    ("x", "shape"),
    [(X[:, 0], (1,)), (X, (2,)), (X.reshape(60, 2, 1), (2, 1)), (X > 9, (2,)), (X[:, :1], (1,))],
)
def test_inputs_of_any_rank_and_number(file, x, shape):
    assert load("arrays", Arrays(path=file(x=x, y=Y))).input_shape == shape


def test_a_column_of_labels_is_a_list_of_labels(file):
    flat = load("arrays", Arrays(path=file(x=X, y=Y)))
    column = load("arrays", Arrays(path=file(x=X, y=Y[:, np.newaxis])))
    assert flat.fingerprint == column.fingerprint


def test_texts_of_bytes_are_texts(file):
    y = np.array([b"no", "j\xe4".encode()])[Y % 2]
    assert load("arrays", Arrays(path=file(x=X, y=y))).classes == ("j\xe4", "no")


def test_paths_are_relative_to_the_working_directory_or_home(file, tmp_path, monkeypatch):
    file(x=X, y=Y)
    monkeypatch.chdir(tmp_path)
    relative = load("arrays", Arrays(path="mine.npz"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load("arrays", Arrays(path="~/mine.npz")).fingerprint == relative.fingerprint


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r"without y; it has: \['x'\]"),
        ({"x": X, "y": Y, "y_test": Y}, "both x_test and y_test or neither.*without x_test"),
        ({"x": X, "y": Y[:-1]}, "as many inputs as targets. Received: 60 in x and 59 in 'y'"),
        ({"x": X[:0], "y": Y[:0]}, r"at least one example. Received: x of shape \(0, 2\)"),
        ({"x": X[:, :0], "y": Y}, r"at least one example. Received: x of shape \(60, 0\)"),
        ({"x": np.float64(3), "y": Y}, r"at least one example. Received: x of shape \(\)"),
        ({"x": X.astype(object), "y": Y}, "arrays of numbers.*Received: x in .*Python objects"),
        ({"x": X, "y": np.array([None, 1] * 30)}, "Received: y in .*Python objects"),
        ({"x": X.astype(str), "y": Y}, "numbers in x. Received: the dtype"),
        ({"x": X + 1j, "y": Y}, "numbers in x. Received: the dtype 'complex128'"),
        ({"x": X, "y": Y.astype("M8[s]")}, "'y' as one text or number.*datetime64"),
        (
            {"x": at(np.nan, (3, 1)), "y": Y},
            "only finite.*Received: 1 value NaN.* in column 1 of x",
        ),
        ({"x": at(np.inf, (3, 0), (4, 1)), "y": Y}, "2 values .* in columns 0, 1 of x"),
        ({"x": at(1e39, (3, 0)), "y": Y}, "fit single precision. Received: 1 value"),
        ({"x": X.reshape(60, 2, 1) * np.nan, "y": Y}, "Received: 120 values .* in 'x'"),
        ({"x": X, "y": np.where(Y, Y, np.nan)}, "Received: 20 values NaN.* in 'y'"),
        ({"x": X, "y": Y * 0}, "at least two classes"),
        ({"x": X, "y": Y * 0 + 0.5}, "targets that differ.*all 36 training rows of 'y'"),
        (
            {"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y},
            r"shape of .*x_test.*\(1,\) and \(2,\)",
        ),
        ({"x": X, "y": Y, "x_test": X, "y_test": np.eye(3)[Y]}, r"in y_test as in y.*\(3,\) and"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, r"test labels that occur.*\['3'\]"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y[1:]}, "60 in x_test and 59 in 'y_test'"),
        ({"x": X, "y": Y, "x_test": X * np.nan, "y_test": Y}, "columns 0, 1 of x_test"),
    ],
)
def test_arrays_that_cannot_be_trained_on(file, arrays, message):
    with pytest.raises(ConfigError, match=f"`dataset.path` must .*({message})") as caught:
        load("arrays", Arrays(path=file(**arrays)))
    assert "\n" not in str(caught.value)


def test_a_fraction_beside_the_files_own_test_part(file):
    path = file(x=X, y=Y, x_test=X, y_test=Y)
    with pytest.raises(ConfigError, match=r"`dataset.test` must be null .*Received: 0\.1"):
        load("arrays", Arrays(path=path, test=0.1))


def write_zeros(path):
    path.write_bytes(bytes(100))


def write_nothing(path):
    path.write_bytes(b"")


def write_npy(path):
    with path.open("wb") as file:
        np.save(file, X)


def write_half(path):
    np.savez(path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[:700])


def write_flipped(path):
    np.savez_compressed(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[80:120] = bytes(40)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "write", [write_zeros, write_nothing, write_npy, write_half, write_flipped, Path.mkdir]
)
def test_files_that_are_no_archive_of_arrays(tmp_path, write):
    path = tmp_path / "mine.npz"
    write(path)
    with pytest.raises(ConfigError, match=r"`dataset.path` must .*mine\.npz") as caught:
        load("arrays", Arrays(path=str(path)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (None, "`dataset.path` is missing: it must name a .npz file"),
        ("none.npz", r"Received: 'none\.npz'. There is no such file in '.*'"),
        ("/no\nwhere/none.npz", r"Received: '/no\\nwhere/none\.npz'. There is no such file\."),
        ("mine.npy", r"Its name must end with \.npz"),
        ("~nobody-of-this-name/mine.npz", "There is no such file"),
        (f"{'a' * 5000}.npz", "File name too long|no such file"),
    ],
)
def test_paths_that_lead_nowhere(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message) as caught:
        load("arrays", Arrays(path=path))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(file):
    path = Path(file(x=X, y=Y))
    path.chmod(0)
    with pytest.raises(ConfigError, match="Permission denied"):
        load("arrays", Arrays(path=str(path)))


@pytest.mark.parametrize("standardize", [None, False])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64])
def test_inputs_that_are_looked_up_stay_as_they_are(file, dtype, standardize):
    x = (np.arange(200) * 7 % 201).astype(dtype).reshape(50, 2, 2)
    settings = Arrays(path=file(x=x, y=np.arange(50) % 2), standardize=standardize)
    usual = load("arrays", settings).train.x[:]
    left = load("arrays", settings, looked_up=(1,)).train.x[:]
    np.testing.assert_array_equal(left[..., 0], usual[..., 0])
    assert set(left[..., 1].ravel()) <= set(x[..., 1].ravel().astype(np.float32))
    assert left.dtype == np.float32


def test_numbers_to_look_up_must_be_exact(file):
    x = np.full((50, 2), 2**24 + 1)
    settings = Arrays(path=file(x=x, y=np.arange(50) % 2))
    with pytest.raises(
        ConfigError, match=r"`dataset\.path` must hold numbers to look up.*16777217"
    ):
        load("arrays", settings, looked_up=(0,))


@pytest.mark.parametrize(
    ("number", "dtype"),
    [(2**31 - 1, np.int32), (2**31, None), (2**24 + 0.5, None), (0.5, "float32")],
)
@pytest.mark.parametrize("stored", [np.float64, np.int64])
def test_inputs_that_are_all_looked_up_stay_whole_numbers(file, number, dtype, stored):
    if stored is np.int64 and number != int(number):
        return
    x = np.full((50, 2), 3, stored)
    x[7, 1] = number
    settings = Arrays(path=file(x=x, y=np.arange(50) % 2), test=0.0)
    if dtype is None:
        with pytest.raises(ConfigError, match="that single precision can hold"):
            load("arrays", settings, looked_up=(0, 1), integers=True)
        return
    data = load("arrays", settings, looked_up=(0, 1), integers=True)
    assert data.train.x.dtype == data.validation.x.dtype == dtype
    assert max(data.train.x.max(), data.validation.x.max()) == max(3, number)


def test_parts_of_the_files_own(file):
    path = file(x_train=X, y_train=Y, x_val=X[:6] + 1, y_val=Y[:6], x_test=X[:9] + 2, y_test=Y[:9])
    dataset = load("arrays", Arrays(path=path, standardize=False))
    np.testing.assert_array_equal(dataset.train.x, X)
    np.testing.assert_array_equal(dataset.validation.x, X[:6] + 1)
    np.testing.assert_array_equal(dataset.validation.y, Y[:6])
    np.testing.assert_array_equal(dataset.test.x, X[:9] + 2)
    smaller = load("arrays", Arrays(path=path, subset=9))
    assert (len(smaller.train), len(smaller.validation), len(smaller.test)) == (9, 6, 9)


def test_a_test_part_is_drawn_beside_the_files_own_validation_part(file):
    path = file(x=X, y=Y, x_val=X[:6], y_val=Y[:6])
    told = load("arrays", Arrays(path=path)).describe()
    assert [told[f"num_{part}"] for part in ("train", "validation", "test")] == [48, 6, 12]
    told = load("arrays", Arrays(path=path, test=0.0)).describe()
    assert [told[f"num_{part}"] for part in ("train", "validation", "test")] == [60, 6, 0]
    with pytest.raises(ConfigError, match=r"`dataset.validation` must be null .*Received: 0\.1"):
        load("arrays", Arrays(path=path, validation=0.1))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X, "y": Y}, "without y_train"),
        ({"x_train": X, "y_train": Y, "x": X}, "x and y or x_train and y_train, not both"),
        ({"x": X, "y": Y, "x_val": X}, "without y_val"),
        ({"x": X, "y": Y, "x_val": X[:0], "y_val": Y[:0]}, r"Received: shapes \(0, 2\) and \(0,\)"),
        ({"x": X, "y": Y, "x_val": X[:5], "y_val": Y[:4]}, "as many inputs as targets in x_val"),
        ({"x": X, "y": Y, "x_val": X[:4, :1], "y_val": Y[:4]}, "kind of examples in x_val as in x"),
        ({"x": X, "y": Y, "x_val": X, "y_val": Y.astype(str)}, "kind of examples in y_val as in y"),
        ({"x": X, "y": Y, "x_val": X, "y_val": Y + 1}, r"validation labels that occur.*\['3'\]"),
    ],
)
def test_parts_that_do_not_fit(file, arrays, message):
    with pytest.raises(ConfigError, match=f"`dataset.path` must .*({message})"):
        load("arrays", Arrays(path=file(**arrays)))


def test_missing_values_are_dropped_or_filled_in(file):
    holes = at(np.nan, (3, 1), (7, 1), (8, 0))
    y = np.where(np.arange(60) == 59, np.nan, Y)
    path = file(x=holes, y=y, x_test=at(np.nan, (0, 0)), y_test=Y)
    dropped = load("arrays", Arrays(path=path, missing="drop"))
    assert len(dropped.train) + len(dropped.validation) == 56
    assert len(dropped.test) == 59
    assert "4 of 60 examples are left out" in dropped.notes[0]
    filled = load("arrays", Arrays(path=path, missing="fill", standardize=False))
    assert len(filled.train) + len(filled.validation) == 59
    x = filled.train.x
    known = np.isin(x, X.astype("float32"))
    # A number that is not of the file is the mean of the others in the training part.
    assert filled.test.x[0, 0] == pytest.approx(x[known[:, 0], 0].mean(), rel=1e-6)
    assert "4 missing values are filled in" in filled.notes[-1]
    whole = file(x=X, y=Y)
    plain, same = (load("arrays", Arrays(path=whole, missing=m)) for m in ("refuse", "fill"))
    assert plain.fingerprint == same.fingerprint


def test_an_input_without_any_value_cannot_be_filled_in(file):
    x = X.copy()
    x[:, 1] = np.nan
    with pytest.raises(
        ConfigError, match=r"a value of every input in the training part.*none of 1"
    ):
        load("arrays", Arrays(path=file(x=x, y=Y), missing="fill"))
    with pytest.raises(ConfigError, match="at least one example"):
        load("arrays", Arrays(path=file(x=x, y=Y), missing="drop"))


WORDS = np.arange(180).reshape(60, 3)


def test_several_inputs(file):
    images = (np.arange(240).reshape(60, 2, 2) % 256).astype(np.uint8)
    path = file(**{"x.left": images, "x.right": WORDS}, y=Y)
    data = load("arrays", Arrays(path=path))
    assert data.input_shape == data.signature.inputs == {"left": (2, 2), "right": (3,)}
    assert data.describe()["input_shape"] == {"left": [2, 2], "right": [3]}
    alone = load("arrays", Arrays(path=file(x=WORDS, y=Y)))
    rows = data.train.x[:]
    np.testing.assert_array_equal(rows["right"], alone.train.x)
    np.testing.assert_array_equal(data.train.y, alone.train.y)
    assert rows["left"].dtype == np.float32
    assert abs(rows["left"].mean()) < 1e-6
    x, y = data.probe(5)
    assert x["left"].shape == (5, 2, 2)
    assert len(y) == 5
    renamed = load("arrays", Arrays(path=file(**{"x.left": images, "x.other": WORDS}, y=Y)))
    assert renamed.fingerprint != data.fingerprint
    path = file(**{"x.left": images, "x.right": WORDS}, y=Y)
    left = load(
        "arrays", Arrays(path=path), looked_up={"right": (0, 1, 2)}, integers={"right": True}
    )
    assert left.train.x[:2]["right"].dtype == np.int32
    np.testing.assert_array_equal(left.train.x[:]["left"], rows["left"])


def test_several_inputs_in_parts_of_the_files_own(file):
    inputs = {"left": X, "right": WORDS}
    parts = {"train": slice(None), "val": slice(6), "test": slice(9)}
    arrays = {f"x_{p}.{n}": x[rows] for p, rows in parts.items() for n, x in inputs.items()}
    path = file(**arrays, **{f"y_{part}": Y[rows] for part, rows in parts.items()})
    data = load("arrays", Arrays(path=path, standardize=False))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [60, 6, 9]
    np.testing.assert_array_equal(data.test.x[:]["right"], WORDS[:9])
    holes = at(np.nan, (3, 1))
    path = file(**{"x.left": holes, "x.right": WORDS}, y=Y)
    dropped = load("arrays", Arrays(path=path, missing="drop", test=0.0))
    assert len(dropped.train) + len(dropped.validation) == 59


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x.left": X, "x": X}, "either x or x.<input>"),
        ({"x.left": X[:5], "x.right": X}, r"Received: 5 in x\.left and 60 in 'y'"),
        ({"x.left": X, "x_test.right": X, "y_test": Y}, "the same inputs in all parts"),
        ({"x.left": X, "x_test": X, "y_test": Y}, "the same inputs in all parts"),
        ({"x.left": np.array(["a"] * 60), "x.right": X}, r"numbers in x\.left"),
    ],
)
def test_several_inputs_that_do_not_fit(file, arrays, message):
    with pytest.raises(ConfigError, match=f"`dataset.path` must .*({message})"):
        load("arrays", Arrays(path=file(**arrays, y=Y)))


def test_an_archive_that_cannot_fit_the_memory_is_refused_before_it_is_read(file, monkeypatch):
    path = file(x=np.zeros((1000, 100)), y=np.arange(1000) % 2)
    monkeypatch.setattr("runner.datasets.files.available_memory", lambda: 1.5e6)
    with pytest.raises(ConfigError, match=r"`dataset\.path` must name data that fits 50% of"):
        load("arrays", Arrays(path=path))
