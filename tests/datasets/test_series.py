"""Time series: .ts files of every kind, lengths, missing values, and what is refused."""

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets import load
from runner.datasets.series import Series

HEADER = ["# made by hand", "", "@problemName Gestures", "@timeStamps false"]
CLASSES = "@classLabel true left right"
# Two dimensions of three steps, in turns of two classes.
ROWS = [f"{n},{n + 0.5},-{n}:1,2,{n}:{'left' if n % 2 else 'right'}" for n in range(20)]


@pytest.fixture
def file(tmp_path):
    """Writes a .ts file and returns its path."""

    def write(rows=ROWS, header=(*HEADER, CLASSES, "@data"), name="a.ts"):
        (tmp_path / name).write_text("\n".join([*header, *rows]) + "\n", encoding="utf-8")
        return str(tmp_path / name)

    return write


def read(path, **settings):
    return Series(path=path, **settings).read()


def test_series_of_classes(file):
    examples = read(file())
    assert examples.x.shape == (20, 3, 2)
    np.testing.assert_array_equal(examples.x[3], [[3, 1], [3.5, 2], [-3, 3]])
    assert examples.task == "classification"
    assert examples.y[:2].tolist() == ["right", "left"]
    dataset = load("series", Series(path=file()))
    assert (dataset.input_shape, dataset.classes) == ((3, 2), ("left", "right"))


@pytest.mark.parametrize(
    "header",
    [
        ["@CLASSLABEL TRUE left right", "@DATA"],
        ["\ufeff@problemName caf\xe9", "@univariate true", CLASSES, "@data", "# more"],
        ["@classLabel true", "@seriesLength 3", "@missing false", "% and this", "@Data", ""],
    ],
)
def test_headers(file, header):
    assert read(file(header=header)).x.shape == (20, 3, 2)


def test_numbers_as_targets(file):
    rows = [f"{n},1,2:{n / 4}" for n in range(20)]
    examples = read(file(rows, ["@targetLabel true", "@classLabel false", "@data"]))
    assert (examples.task, examples.x.shape) == ("regression", (20, 3, 1))
    np.testing.assert_array_equal(examples.y, np.arange(20) / 4)


@pytest.mark.parametrize("names", [("x_TRAIN.ts", "x_TEST.ts"), ("y_train.ts", "y_Test.ts")])
def test_pairs_of_files(file, names):
    path = file(name=names[0])
    file(ROWS[:7], name=names[1])
    dataset = load("series", Series(path=path))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (16, 4, 7)
    with pytest.raises(ConfigError, match=r"_TRAIN\.ts of a pair.*the file of the test part"):
        read(path.replace(*names))


def test_series_of_several_lengths(file):
    rows = ["1,2,3:5:left", "4:6,8:right", *ROWS]
    with pytest.raises(ConfigError, match=r"one length.* lengths from 1 to 3,.*ragged=pad"):
        read(file(rows))
    examples = read(file(rows), ragged="pad")
    np.testing.assert_array_equal(np.isnan(examples.x[:2]).sum(axis=1), [[0, 2], [2, 1]])
    dataset = load("series", Series(path=file(rows), ragged="pad", test=0.0))
    x = np.concatenate([dataset.train.x, dataset.validation.x])
    # What pads is the mean, that is 0: found at the end of what was the shortest one.
    assert (np.abs(x[:, 1:, 0]).sum(axis=1) < 1e-6).sum() == 1
    assert "series of 1 to 3 steps are filled up" in dataset.notes[0]


def test_a_test_part_with_longer_series(file):
    path = file(name="x_TRAIN.ts")
    file(["1,2,3,4:1,2,3:left"], name="x_TEST.ts")
    with pytest.raises(ConfigError, match="lengths from 3 to 4"):
        read(path)
    assert read(path, ragged="pad").x_test.shape == (1, 4, 2)


@pytest.mark.parametrize("word", ["?", "NaN", " nan "])
def test_missing_values(file, word):
    path = file([f"1,{word},3:1,2,3:left", f"1,2,3:{word},{word},3:left", *ROWS])
    with pytest.raises(ConfigError, match=r"no missing values.*Received: 3 in 2 series.*=fill"):
        read(path)
    dropped = read(path, missing="drop")
    assert len(dropped.x) == 20
    assert "2 of 22 series are left out" in dropped.notes[0]
    filled = load("series", Series(path=path, missing="fill"))
    assert sum(map(len, (filled.train, filled.validation, filled.test))) == 22
    assert "3 missing values are filled in" in filled.notes[0]


def test_missing_targets(file):
    rows = [row.replace("left", "nan").replace("right", "1.5") for row in ROWS[:2]]
    rows += [row.rpartition(":")[0] + f":{number}" for number, row in enumerate(ROWS)]
    path = file(rows, header=(*HEADER, "@targetLabel true", "@data"))
    with pytest.raises(ConfigError, match="only finite numbers"):
        load("series", Series(path=path))
    for missing, why in (("drop", "a missing value"), ("fill", "no target")):
        examples = read(path, missing=missing)
        assert len(examples.x) == 21
        assert f"1 of 22 series are left out because they have {why}" in examples.notes[0]


def test_arrays(tmp_path):
    path = str(tmp_path / "a.npz")
    x = np.random.default_rng(0).normal(size=(30, 8))
    np.savez(path, x=x, y=np.arange(30) % 2)
    assert read(path).x.shape == (30, 8, 1)
    x[4, 5:] = np.nan
    np.savez(path, x=x, y=np.arange(30) % 2, x_test=x, y_test=np.arange(30) % 2)
    with pytest.raises(ConfigError, match="lengths from 5 to 8"):
        read(path)
    padded = read(path, ragged="pad")
    assert (len(padded.x), len(padded.x_test), padded.x_test.shape[2]) == (30, 30, 1)
    x[4] = np.nan
    x[7, 3] = np.nan
    np.savez(path, x=x, y=np.arange(30) % 2)
    with pytest.raises(ConfigError, match="9 in 2 series"):
        read(path, ragged="pad")
    np.savez(path, x=x[..., None, None], y=np.arange(30))
    with pytest.raises(ConfigError, match=r"shape \(n, steps\).*x of shape \(30, 8, 1, 1\)"):
        read(path)


LABELLED = (CLASSES, "@data")
WRONG = {
    "no data": ((), (CLASSES,), "hold the line @data"),
    "nothing after it": ((), LABELLED, "at least one example. Received: nothing after @data"),
    "series before it": (("1,2:left",), (CLASSES,), r"keys before @data. Received: '1,2:left' in"),
    "no labels": (("1,2",), ("@classLabel false", "@data"), "Received: neither"),
    "no label key": (("1,2",), ("@data",), "Received: neither"),
    "a number that is none": (("1,b:left",), LABELLED, "'b' in line 3"),
    "an empty dimension": (("1,2::left",), LABELLED, "'' in line 3"),
    "no label": (("1,2",), LABELLED, "Received: 0 dimensions in line 3"),
    "more dimensions": (("1:left", "1:2:left"), LABELLED, "2 dimensions in line 4, and 1"),
    "another class": (("1,2:up",), LABELLED, r"classes \['left', 'right'\].*'up' in line 3"),
    "no target": (("1,2:x",), ("@targetLabel true", "@data"), "numbers as targets.*'x' in line 3"),
    "time stamps": (
        ("(0,1),(1,2):left",),
        ("@timeStamps true", *LABELLED),
        "without time stamps",
    ),
    "infinite": (("1,inf:left", "1,2:right") * 9, LABELLED, "only finite numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files(file, case):
    rows, header, message = WRONG[case]
    with pytest.raises(ConfigError, match=f"`dataset.path` must .*{message}") as caught:
        load("series", Series(path=file(rows, header)))
    assert "\n" not in str(caught.value)


def test_test_part_of_another_kind(file):
    path = file(name="x_TRAIN.ts")
    file(["1,2,3:left"], name="x_TEST.ts")
    with pytest.raises(ConfigError, match=r"like those of the training part. Received: 1 dim"):
        read(path)


@pytest.mark.parametrize("name", ["a.csv", "a"])
def test_other_files(name):
    with pytest.raises(ConfigError, match=r"must end with \.ts or \.npz"):
        read(name)
