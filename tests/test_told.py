"""Errors in one line: the true type, the message without what is around it, the user's line."""

import importlib
import sys

import pytest

from runner.imports import told

SOURCE = """
import keras
import tensorflow as tf
from keras import layers


class Wide(layers.Layer):
    def call(self, x):
        return x @ tf.ones((7, 3))  # wide


class Looking(layers.Layer):
    def call(self, x):
        return tf.gather(tf.ones((3, 3)), tf.cast(x[:, 0] * 9, tf.int32))  # looking


class Refusing(layers.Layer):
    def call(self, x):
        raise NotImplementedError("first\\n  second")  # refusing


class Net(keras.Model):
    def __init__(self, hidden):
        super().__init__()
        self.hidden, self.last = hidden, layers.Dense(3)

    def call(self, x):
        return self.last(self.hidden(x))


def eager(x):
    Net(Wide())(x)


def symbolic(x):
    Wide()(keras.Input((5,)))


def graph(x):
    model = Net(Wide())
    tf.function(lambda x: model(x), autograph=False)(x)


def own(x):
    tf.function(Net(Refusing()), autograph=False)(x)


def converted(x):
    def inside(x):
        if x.shape[0] == 4:
            raise LookupError("nothing there")  # converted
        return x

    tf.function(inside)(x)


def running(x):
    model = keras.Sequential([Looking()])
    model.compile("sgd", "mse")
    model.train_on_batch(x, x[:, :3])


def compiled(x):
    tf.function(Looking(), autograph=False)(x)


def law(shape, dtype=None):
    raise KeyError("no such law")  # law


def initializer(x):
    layers.Dense(3, kernel_initializer=law)(x)


def function(x):
    layers.Lambda(lambda x: x.no_such_name)(x)  # function


def named(x):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, name="first layer")])
    tf.function(lambda x: model(x), autograph=False)(x)  # named


def chained(x):
    try:
        {}["a"]  # chained
    except KeyError as error:
        raise RuntimeError("cannot build") from error


def retold(x):
    try:
        {}["a"]  # retold
    except KeyError as error:
        raise RuntimeError(f"it raised KeyError: {error}") from error


def silent(x):
    raise AssertionError  # silent


def long(x):
    raise ValueError("word " * 100)  # long
"""

# Where the line stands if not at the mark of the same name.
MARKS = {"eager": "wide", "symbolic": "wide", "graph": "wide", "own": "refusing"}
MARKS |= {"running": "looking", "compiled": "looking", "initializer": "law"}

DIMENSIONS = "Dimensions must be equal, but are 5 and 7 for MatMul with input shapes"
TOLD = {
    "eager": "InvalidArgumentError: Matrix size-incompatible: In[0]: [4,5], In[1]: [7,3]",
    "symbolic": f"ValueError: {DIMENSIONS}: [?,5], [7,3].",
    "graph": f"ValueError: {DIMENSIONS}: [4,5], [7,3].",
    "own": "NotImplementedError: first second",
    "converted": "LookupError: nothing there",
    "running": "InvalidArgumentError: indices[0] = 9 is not in [0, 3)",
    "compiled": "InvalidArgumentError: indices[0] = 9 is not in [0, 3)",
    "initializer": "KeyError: 'no such law'",
    "function": "AttributeError: ",
    "named": "ValueError: 'first layer' is not a valid scope name.",
    "chained": "RuntimeError: cannot build; caused by KeyError: 'a'",
    "retold": "RuntimeError: it raised KeyError: 'a'",
    "silent": "AssertionError",
    "long": "ValueError: word word ",
}


@pytest.fixture(scope="module")
def users(keras, tmp_path_factory):
    """The user's module, in the working directory."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "their_net.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        yield importlib.import_module("their_net")
    keras.utils.clear_session(free_memory=False)  # Keras stays in a scope whose name is refused


def caught(call, *arguments):
    try:
        call(*arguments)
    except BaseException as error:  # as raised
        return told(error)
    raise AssertionError("nothing was raised")


@pytest.mark.filterwarnings("ignore::UserWarning:keras")  # of layers that cannot be built
@pytest.mark.parametrize("name", TOLD)
def test_the_line_names_the_cause_and_the_users_line(users, name):
    import tensorflow as tf

    line = caught(getattr(users, name), tf.ones((4, 5)))
    mark = f"  # {MARKS.get(name, name)}"
    number = next(n for n, text in enumerate(SOURCE.splitlines(), 1) if text.endswith(mark))
    assert line.startswith(TOLD[name])
    assert line.endswith(f" (their_net.py:{number})")
    assert len(line) <= 300
    around = ("\n", "\x1b", "in user code", "{{", "Arguments received")
    assert not any(part in line for part in around)


def test_where_no_file_of_the_users_is_to_blame_the_layer_is_named():
    text = (
        "Exception encountered when calling Net.call().\n\n\x1b[1mno shape. Error encountered:\n\n"
        "Exception encountered when calling Dense.call().\n\n\x1b[1mtoo wide\x1b[0m\n\n"
        "Arguments received by Dense.call():\n  • x=1\x1b[0m\n\nArguments received by Net.call():"
    )
    assert told(ValueError(text)) == "ValueError: too wide (in Dense.call)"
    text = "{{function_node f}} out of range\n\t [[{{node net/gather/GatherV2}}]] [Op:f]"
    assert told(ValueError(text)) == "ValueError: out of range (in net/gather/GatherV2)"
    assert told(ValueError("plain")) == "ValueError: plain"
