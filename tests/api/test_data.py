from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runner.api import data
from runner.config import ConfigError
from runner.datasets import CATALOGUE, load

X = np.arange(60, dtype=np.float32).reshape(20, 3)
Y = np.arange(20) % 2
TEXTS = np.where(Y, "yes", "no")
FRAME = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
TABLE = FRAME.assign(color=np.where(np.arange(20) % 3, "red", "blue"), label=TEXTS)


def given(folder, x, y=None, target=None, input_names=(), **settings):
    names = ("sample_weight", "validation_data", "test_data")
    others = {name: settings.pop(name, None) for name in names}
    return data.settings(folder, x, y, target, **others, given=settings, input_names=input_names)


def read(found):
    """Returns the data set that settings name."""
    own = {key.removeprefix("dataset."): value for key, value in found.items() if "." in key}
    settings = CATALOGUE[found["dataset"]](**own)
    return load(found["dataset"], settings)


ALIKE = {
    "arrays": (X, Y),
    "lists": (X.tolist(), Y.tolist()),
    "float64": (X.astype(float), Y),
    "texts": (X, TEXTS),
    "objects": (X.astype(object), TEXTS.astype(object)),
    "a series": (X, pd.Series(TEXTS)),
    "booleans": (X, Y.astype(bool)),
}


@pytest.mark.parametrize("values", ALIKE.values(), ids=ALIKE)
def test_arrays_of_any_kind_are_read_as_they_are(tmp_path, values):
    expected = read(given(tmp_path, X, Y))
    found = read(given(tmp_path, *values))
    np.testing.assert_array_equal(found.train.x, expected.train.x)
    np.testing.assert_array_equal(found.train.y, expected.train.y)


def test_each_content_is_written_once(tmp_path):
    paths = {given(tmp_path, *values)["dataset.path"] for values in [(X, Y), (X.copy(), Y.copy())]}
    assert paths == {str(path) for path in tmp_path.iterdir()}
    given(tmp_path, X + 1, Y)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_table_keeps_its_columns(tmp_path):
    by_name = read(given(tmp_path, TABLE, target="label"))
    by_y = read(given(tmp_path, TABLE.drop(columns="label"), TABLE["label"]))
    assert by_name.input_shape == by_y.input_shape == (5,)  # one input for each color
    np.testing.assert_array_equal(by_name.train.x, by_y.train.x)


PARTS = {
    "arrays": lambda n: (X[:n], Y[:n]),
    "a frame and targets": lambda n: (FRAME[:n], Y[:n]),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_parts_of_ones_own_stay_whole(tmp_path, part):
    whole = read(given(tmp_path, *part(20), validation_data=part(6)))
    assert [len(whole.train), len(whole.validation), whole.test] == [20, 6, None]
    whole = read(given(tmp_path, *part(20), validation_data=part(6), test_data=part(5)))
    assert [len(p) for p in (whole.train, whole.validation, whole.test)] == [20, 6, 5]
    drawn = read(given(tmp_path, *part(20), test_data=part(5)))
    assert len(drawn.train) + len(drawn.validation) == 20


def test_a_frame_with_its_target_may_be_a_part(tmp_path):
    numbers = FRAME.assign(label=TEXTS)
    found = read(given(tmp_path, numbers, target="label", validation_data=numbers[:6]))
    assert [len(found.train), len(found.validation)] == [20, 6]


@pytest.mark.parametrize("kind", [dict, list, tuple])
def test_several_inputs_have_names(tmp_path, kind):
    inputs = {"left": X[:, :1], "right": X[:, 1:]}
    x = inputs if kind is dict else kind(inputs.values())
    found = read(given(tmp_path, x, Y, input_names=("left", "right")))
    assert found.input_shape == {"left": (1,), "right": (2,)}


WEIGHT = np.arange(20) % 3 + 1.0
WEIGHTED = {
    "arrays": lambda: ((X, Y), {"sample_weight": WEIGHT}),
    "a frame": lambda: ((TABLE, None, "label"), {"sample_weight": WEIGHT}),
    "a column": lambda: ((TABLE.assign(w=WEIGHT), None, "label"), {"sample_weight": "w"}),
}


@pytest.mark.parametrize("values", WEIGHTED.values(), ids=WEIGHTED)
def test_weights_follow_their_examples(tmp_path, values):
    positional, more = values()
    found = read(given(tmp_path, *positional, **more))
    parts = (found.train, found.validation, found.test)
    assert sorted(np.concatenate([part.weight for part in parts])) == sorted(WEIGHT)


def test_parts_without_weights_count_as_one(tmp_path):
    part = X[:6], Y[:6]
    found = read(given(tmp_path, X, Y, validation_data=part, test_data=(*part, WEIGHT[:6])))
    assert [part.weight.tolist() for part in (found.train, found.validation, found.test)] == [
        [1.0] * 20,
        [1.0] * 6,
        WEIGHT[:6].tolist(),
    ]


WRONG = {
    "lengths": ((X, Y[:5]), {}, r"`x` and `y` must hold as many examples as targets.*\(5,\)"),
    "no targets": ((X,), {}, r"`y` is missing"),
    "no inputs": ((None, Y), {}, r"`x` is missing: y alone"),
    "nothing": ((None,), {}, r"`x` is missing. Give x and y, or name a data set"),
    "twice": ((X, Y), {"dataset": "digits"}, r"`dataset` must be left out where `x` is given"),
    "a file": (("abc.csv", Y), {}, r"`x` must hold the examples. .*'dataset.path': 'abc.csv'"),
    "ragged": (([[1, 2], [3]], [0, 1]), {}, r"`x` must be an array of numbers"),
    "strange objects": ((X, [object()] * 20), {}, r"`y` must be .* It holds a object"),
    "a target of arrays": ((X, Y, "y"), {}, r"`target` must be left out: it names a column"),
    "four parts": (
        (X, Y),
        {"validation_data": (X, Y, Y, Y)},
        r"`validation_data` must be \(x, y\)",
    ),
    "a share": ((X, Y), {"validation_data": 0.2}, r"Received: 0.2. A share .* dataset.validation"),
    "weights of other length": (
        (X, Y),
        {"sample_weight": Y[:3]},
        r"`sample_weight` and `y` must hold as many weights.*\(3,\) and \(20,\)",
    ),
    "several inputs without names": (
        ([X, X[:, :1]], Y),
        {},
        r"`x` must map the names of the model's inputs .*a list of arrays of shapes \(20, 3\)",
    ),
    "a generator": ((iter(X), Y), {}, r"`x` must be an array .*'iterator'. Give arrays"),
    "targets by the name of a column": ((TABLE, "label"), {}, r"`y` .*target='label'"),
    "several targets by names": ((TABLE, None, ["a", "b"]), {}, r"`target` .*y=x\[\["),
    "lengths of a part": (
        (X, Y),
        {"test_data": (X, Y[:3])},
        r"`test_data\[0\]` and `test_data\[1\]` must hold as many",
    ),
    "a table without a target": ((TABLE,), {}, r"Give `target`, a column of x, or `y`"),
    "a target twice": ((TABLE, Y, "label"), {}, r"Give `target`.*Received: both"),
    "texts in a part": (
        (TABLE, None, "label"),
        {"validation_data": TABLE},
        r"`x` must be a frame with columns of numbers only.*\['color'\]",
    ),
    "a column that is missing": (
        (FRAME, Y),
        {"validation_data": (FRAME[["a"]], Y)},
        r"`validation_data` must be a frame with the columns of x.*'b', 'c'",
    ),
}


@pytest.mark.parametrize(("values", "more", "text"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_trained_on_is_refused(tmp_path, values, more, text):
    with pytest.raises(ConfigError, match=text):
        given(tmp_path, *values, **more)
    assert not list(tmp_path.iterdir())


def test_what_passes_the_memory_is_refused_before_it_is_copied(tmp_path):
    huge = np.broadcast_to(np.float32(0), (10**9, 10**4))
    with pytest.raises(ConfigError, match=r"`x` must fit 33% of this machine's free memory"):
        given(tmp_path, huge, Y)


@pytest.fixture(scope="module")
def streams(keras):
    import tensorflow as tf

    pairs = tf.data.Dataset.from_tensor_slices((X, Y))
    return {
        "batches": pairs.batch(7),
        "examples": pairs,
        "texts": tf.data.Dataset.from_tensor_slices((X, TEXTS)).batch(7),
        "unknown length": pairs.batch(7).filter(lambda x, y: True),
        "infinite": pairs.batch(7).repeat(),
        "inputs": tf.data.Dataset.from_tensor_slices(X).batch(7),
        "weights": tf.data.Dataset.from_tensor_slices((X, Y, WEIGHT)).batch(7),
        "two inputs": tf.data.Dataset.from_tensor_slices(((X[:, :1], X), Y)).batch(7),
        "four parts": tf.data.Dataset.from_tensor_slices((X, Y, Y, Y)).batch(7),
        "empty": pairs.batch(7).take(0),
    }


@pytest.mark.parametrize("name", ["batches", "examples", "texts", "unknown length"])
def test_a_stream_is_read_as_its_examples(tmp_path: Path, streams, name):
    expected, found = read(given(tmp_path, X, Y)), read(given(tmp_path, streams[name]))
    np.testing.assert_array_equal(found.train.x, expected.train.x)
    np.testing.assert_array_equal(found.train.y, expected.train.y)


def test_a_stream_may_yield_weights_and_several_inputs(tmp_path, streams):
    found = read(given(tmp_path, streams["weights"]))
    assert sorted(set(found.train.weight)) == [1, 2, 3]
    found = read(given(tmp_path, streams["two inputs"], input_names=("a", "b")))
    assert found.input_shape == {"a": (1,), "b": (3,)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("infinite", "an infinite one"),
        ("inputs", "yields x alone"),
        ("four parts", "yields 4 parts"),
        ("empty", "an empty one"),
    ],
)
def test_a_stream_that_is_no_data_is_refused(tmp_path, streams, name, text):
    with pytest.raises(ConfigError, match=rf"`x` must be a tf.data.Dataset .*{text}"):
        given(tmp_path, streams[name])
