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


def given(folder, x, y=None, target=None, validation_data=None, test_data=None, **settings):
    return data.settings(folder, x, y, target, validation_data, test_data, settings)


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


def test_several_inputs_have_names(tmp_path):
    found = read(given(tmp_path, {"left": X[:, :1], "right": X[:, 1:]}, Y))
    assert found.input_shape == {"left": (1,), "right": (2,)}


WRONG = {
    "lengths": ((X, Y[:5]), {}, r"`x` and `y` must hold as many examples as targets.*\(5,\)"),
    "no targets": ((X,), {}, r"`y` is missing"),
    "no inputs": ((None, Y), {}, r"`x` is missing: y alone"),
    "nothing": ((None,), {}, r"`x` is missing. Give x and y, or name a data set"),
    "twice": ((X, Y), {"dataset": "digits"}, r"`dataset` must be left out where `x` is given"),
    "a text": (("abc", Y), {}, r"`x` and `y` must hold as many"),
    "ragged": (([[1, 2], [3]], [0, 1]), {}, r"`x` must be an array of numbers"),
    "strange objects": ((X, [object()] * 20), {}, r"`y` must be .* It holds a object"),
    "a target of arrays": ((X, Y, "y"), {}, r"`target` must be left out: it names a column"),
    "three parts": ((X, Y), {"validation_data": (X, Y, Y)}, r"`validation_data` must be \(x, y\)"),
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
        "weights": tf.data.Dataset.from_tensor_slices((X, Y, Y)).batch(7),
        "empty": pairs.batch(7).take(0),
    }


@pytest.mark.parametrize("name", ["batches", "examples", "texts", "unknown length"])
def test_a_stream_is_read_as_its_examples(tmp_path: Path, streams, name):
    expected, found = read(given(tmp_path, X, Y)), read(given(tmp_path, streams[name]))
    np.testing.assert_array_equal(found.train.x, expected.train.x)
    np.testing.assert_array_equal(found.train.y, expected.train.y)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("infinite", "an infinite one"),
        ("inputs", "yields x alone"),
        ("weights", "yields 3 parts"),
        ("empty", "an empty one"),
    ],
)
def test_a_stream_that_is_no_data_is_refused(tmp_path, streams, name, text):
    with pytest.raises(ConfigError, match=rf"`x` must be a tf.data.Dataset .*{text}"):
        given(tmp_path, streams[name])
