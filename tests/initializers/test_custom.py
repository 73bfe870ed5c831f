"""The user's own initializers, and Keras's by import path."""

import numpy as np
import pytest

from runner import seeds
from runner.config import ConfigError


@pytest.fixture(scope="module")
def prepare(keras, option):
    """A function that prepares a target for a model with two equal kernels."""
    from runner.initializers import draw

    model = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4) for _ in range(2))])

    def of(target, arguments=None, model=model, **settings):
        init = option("custom", target=target, arguments=arguments or {}, **settings)
        return draw.prepare(draw.Subject(model), init)

    return of


def test_keras_class_draws_what_the_named_option_draws(keras, option, prepare):
    model = keras.Sequential([keras.Input((4,)), keras.layers.EinsumDense("ab,bcd->acd", (2, 3))])
    from runner.initializers import draw

    drawer = prepare("keras.initializers.HeNormal", model=model)
    named = draw.prepare(draw.Subject(model), option("he_normal"))
    np.testing.assert_array_equal(drawer.draw(1)[0], named.draw(1)[0])
    assert drawer.label == prepare("HeNormal", model=model).label == "HeNormal"


def test_arguments_reach_the_class(prepare):
    drawer = prepare("keras.initializers.RandomUniform", {"minval": 1.0, "maxval": 2.0})
    kernel = drawer.draw(0)[0]
    assert (kernel >= 1).all()
    assert (kernel < 2).all()


CLASS = """
import keras

class Shifted:
    def __init__(self, shift, seed=None):
        self.shift, self.seed = shift, seed

    def __call__(self, shape, dtype=None):
        return self.shift + keras.random.normal(shape, dtype=dtype, seed=self.seed)
"""
FUNCTION = """
import keras

def shifted(shape, dtype=None, *, shift, seed):
    return shift + keras.random.normal(shape, dtype=dtype, seed=seed)
"""


ANY = """
import keras

class Any:
    def __init__(self, **kwargs):
        self.shift, self.seed = kwargs["shift"], kwargs["seed"]

    def __call__(self, shape, dtype=None):
        return self.shift + keras.random.normal(shape, dtype=dtype, seed=self.seed)
"""


@pytest.mark.parametrize(
    ("source", "name"), [(CLASS, "Shifted"), (FUNCTION, "shifted"), (ANY, "Any")]
)
def test_classes_and_functions_get_arguments_and_a_seed_per_kernel(
    keras, prepare, user_module, source, name
):
    values = prepare(f"{user_module(source)}.{name}", {"shift": 5.0}).draw(2)
    for position in (0, 2):
        seed = seeds.integer(2, "weights", position)
        expected = 5.0 + keras.random.normal((4, 4), seed=seed)
        np.testing.assert_array_equal(values[position], expected)


def test_any_arguments_may_be_handed_on_to_what_takes_no_seed(prepare, user_module):
    name = user_module(
        "import keras\n"
        "class Flat(keras.initializers.Constant):\n"
        "    def __init__(self, **kwargs):\n"
        "        super().__init__(**kwargs)\n"
    )
    drawer = prepare(f"{name}.Flat", {"value": 2.0})
    np.testing.assert_array_equal(drawer.draw(0)[0], np.full((4, 4), 2.0))
    assert drawer.label == f"{name}.Flat(value=2.0, weights=fixed)"
    with pytest.raises(ConfigError, match=r"`init.arguments` .*TypeError: .*'colour'"):
        prepare(f"{name}.Flat", {"colour": 2.0})


def test_a_function_without_seed_may_be_fixed(prepare, user_module):
    name = user_module("import numpy as np\ndef flat(shape, dtype):\n    return np.ones(shape)\n")
    drawer = prepare(f"{name}.flat")
    kernel = drawer.draw(0)[0]  # numpy's float64 is cast, as Keras does
    np.testing.assert_array_equal(kernel, np.ones((4, 4), "float32"))
    assert kernel.dtype == np.float32
    assert drawer.is_fixed
    assert drawer.label == f"{name}.flat(weights=fixed)"


def test_a_seed_in_the_constructor_is_found_out(prepare, user_module):
    name = user_module(
        "import keras\n"
        "class Fixed(keras.initializers.HeNormal):\n"
        "    def __init__(self):\n"
        "        super().__init__(seed=42)\n"
    )
    assert prepare(f"{name}.Fixed").label == f"{name}.Fixed(weights=fixed)"
    assert not prepare("HeNormal").is_fixed


def test_value_error_means_not_defined_and_calls_the_fallback(keras, prepare):
    model = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(4, 3, name="filters")])
    target = "keras.initializers.Identity"
    with pytest.raises(ConfigError, match=r"`filters/kernel` of shape .* can only be used for 2D"):
        prepare(target, model=model)
    drawer = prepare(target, model=model, fallback="he_normal")
    assert [record.law for record in drawer.kernels] == ["he_normal"]
    assert drawer.label == "Identity(fallback=he_normal)"


def test_a_failure_for_one_seed_only_is_told_when_it_comes(prepare, user_module):
    name = user_module(
        "import numpy as np\n"
        "def picky(shape, dtype, seed):\n"
        f"    if seed == {seeds.integer(1, 'weights', 2)}:\n"
        "        raise ValueError('unlucky')\n"
        "    return np.ones(shape, dtype)\n"
    )
    drawer = prepare(f"{name}.picky")
    drawer.draw(0)
    with pytest.raises(ConfigError, match=r"every kernel and seed.*ValueError: unlucky"):
        drawer.draw(1)


BAD = """
import numpy as np
import keras

instance = keras.initializers.HeNormal(seed=1)
number = 3

class Silent:
    pass

def no_dtype(shape):
    return np.ones(shape)

def raises(shape, dtype):
    raise RuntimeError("first\\nsecond")

def wrong_shape(shape, dtype):
    return np.ones((2, 2), dtype)

def wrong_dtype(shape, dtype):
    return np.ones(shape, "int64")

def wrong_tensor(shape, dtype):
    return keras.ops.ones(shape, "float64")

def nothing(shape, dtype):
    return None

def infinite(shape, dtype):
    return np.full(shape, np.inf)

def too_large(shape, dtype):
    return np.full(shape, 1e300)

def moody(shape, dtype):
    return np.random.normal(size=shape)
"""
ERRORS = {
    "absent": r"`init.target` must name something in its module.* has no `absent`",
    "number": r"`init.target` must be the import path of a class or a function\. Received: 3",
    "instance": r"`init.target` must be the import path of a class or a function",
    "Silent": r"`init.target` must be a class whose instances can be called",
    "no_dtype": r"`init.target` must be callable as .*TypeError: no_dtype\(\) got an unexpected",
    "raises": r"called with \(4, 4\), dtype='float32' it raised RuntimeError: first second",
    "wrong_shape": r"values of the shape .*called with \(4, 4\) it returned \(2, 2\)",
    "wrong_dtype": r"values of the dtype .*called with dtype='float32' it returned int64",
    "wrong_tensor": r"values of the dtype .*called with dtype='float32' it returned float64",
    "nothing": r"values of the shape .*called with \(4, 4\) it returned \(\)",
    "infinite": r"`init` must give finite values\. .*of shape \(4, 4\)",
    "too_large": r"`init` must give finite values",
    "moody": r"`init.target` must give the same values for the same seed\. .*parameter `seed`",
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_bad_target_gets_one_clear_line(prepare, user_module, name):
    with pytest.raises(ConfigError, match=ERRORS[name]) as caught:
        prepare(f"{user_module(BAD)}.{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        ("keras.initializers.HeNormal", {"gain": 2}, r"`init.arguments` .*TypeError: .*'gain'"),
        ("keras.initializers.VarianceScaling", {"scale": -1}, r"`init.arguments` .*ValueError"),
        ("keras.initializers.HeNormal", {"seed": 2}, r"`init.arguments` must not contain `seed`"),
        ("HeNorml", {}, r"`init.target` must be a class in keras.initializers .* Try .*HeNormal"),
        ("no_such_module.Name", {}, r"`init.target` .*there is no module `no_such_module`"),
    ],
)
def test_bad_arguments_get_one_clear_line(prepare, target, arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        prepare(target, arguments)
    assert "\n" not in str(caught.value)
