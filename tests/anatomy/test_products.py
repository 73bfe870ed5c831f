"""Which matrices of a user's layer are kernels, and along which axes it multiplies with them."""

import numpy as np
import pytest

from runner.config import ConfigError

# What a layer does with its input and its weights, the shapes of these, the shape of an example,
# and the weights that are factors of a product, with the axes that it sums over and makes; an empty
# tuple where they are those of the shape.
CASES = {
    "operator": (lambda k, t, x, w: x @ w, [(4, 3)], (4,), {0: ()}),
    "positions": (lambda k, t, x, w: k.ops.matmul(x, w), [(4, 3)], (5, 4), {0: ()}),
    "dot": (lambda k, t, x, w: k.ops.dot(x, w), [(4, 3)], (4,), {0: ()}),
    "tensordot": (lambda k, t, x, w: k.ops.tensordot(x, w, axes=1), [(4, 3)], (5, 4), {0: ()}),
    "transposed": (
        lambda k, t, x, w: k.ops.matmul(x, k.ops.transpose(w)),
        [(3, 4)],
        (4,),
        {0: ((1,), (0,))},
    ),
    "transposed by an argument": (
        lambda k, t, x, w: t.matmul(x, w, transpose_b=True),
        [(3, 4)],
        (4,),
        {0: ((1,), (0,))},
    ),
    "cast": (
        lambda k, t, x, w: t.cast(x, "float64") @ t.cast(w, "float64"),
        [(4, 3)],
        (4,),
        {0: ()},
    ),
    "einsum": (
        lambda k, t, x, w: k.ops.einsum("btd,dhk->bthk", x, w),
        [(4, 2, 3)],
        (5, 4),
        {0: ((0,), (1, 2))},
    ),
    "einsum with an ellipsis": (
        lambda k, t, x, w: t.einsum("...d,hd->...h", x, w),
        [(3, 4)],
        (5, 4),
        {0: ((1,), (0,))},
    ),
    "over two axes": (
        lambda k, t, x, w: t.tensordot(x, w, axes=[[1, 2], [1, 0]]),
        [(4, 5, 3)],
        (5, 4),
        {0: ((0, 1), (2,))},
    ),
    "reshaped": (
        lambda k, t, x, w: x @ t.reshape(w, (4, 6)),
        [(4, 2, 3)],
        (4,),
        {0: ((0,), (1, 2))},
    ),
    "one of a stack": (
        lambda k, t, x, w: x @ w[0] + x @ w[1],
        [(2, 4, 3)],
        (4,),
        {0: ((1,), (2,))},
    ),
    "from behind": (lambda k, t, x, w: x @ w[..., 1], [(4, 3, 2)], (4,), {0: ((0,), (1,))}),
    "unstacked": (
        lambda k, t, x, w: sum(x @ one for one in t.unstack(w)),
        [(2, 4, 3)],
        (4,),
        {0: ((1,), (2,))},
    ),
    "gathered by a fixed index": (
        lambda k, t, x, w: x @ t.gather(w, 1),
        [(2, 4, 3)],
        (4,),
        {0: ((1,), (2,))},
    ),
    "split": (
        lambda k, t, x, w: sum(x @ one for one in k.ops.split(w, 2, axis=1)),
        [(4, 6)],
        (4,),
        {0: ()},
    ),
    "joined": (
        lambda k, t, x, a, b: x @ k.ops.concatenate([a, b], axis=1),
        [(4, 3), (4, 2)],
        (4,),
        {0: (), 1: ()},
    ),
    "groups": (
        lambda k, t, x, w: t.matmul(t.reshape(x, (-1, 2, 1, 2)), w),
        [(2, 2, 3)],
        (4,),
        {0: ((1,), (2,))},
    ),
    "low rank": (lambda k, t, x, u, v: x @ u @ v, [(4, 2), (2, 3)], (4,), {0: (), 1: ()}),
    "low rank, multiplied first": (
        lambda k, t, x, u, v: x @ (u @ v),
        [(4, 2), (2, 3)],
        (4,),
        {0: None, 1: None},
    ),
    "adapted": (
        lambda k, t, x, w, u, v: x @ (w + u @ v),
        [(4, 3), (4, 2), (2, 3)],
        (4,),
        {0: (), 1: None, 2: None},
    ),
    "normalized and scaled": (
        lambda k, t, x, v, g: x @ (t.nn.l2_normalize(v, 0) * g),
        [(4, 3), (3,)],
        (4,),
        {0: ()},
    ),
    "masked by a gate": (
        lambda k, t, x, w, m: x @ (w * t.sigmoid(m)),
        [(4, 3), (4, 3)],
        (4,),
        {0: ()},
    ),
    "positive": (lambda k, t, x, w: x @ t.nn.softplus(w), [(4, 3)], (4,), {0: ()}),
    "straight-through signs": (
        lambda k, t, x, w: x @ (w + t.stop_gradient(t.sign(w) - w)),
        [(4, 3)],
        (4,),
        {0: ()},
    ),
    "also in a penalty": (
        lambda k, t, x, w: x @ w + t.reduce_sum(w * w),
        [(4, 3)],
        (4,),
        {0: ()},
    ),
    "summed by hand": (
        lambda k, t, x, w: k.ops.sum(k.ops.expand_dims(x, 1) * w, axis=-1),
        [(3, 4)],
        (4,),
        {0: ((1,), (0,))},
    ),
    "chosen by the data": (
        lambda k, t, x, w: t.einsum("bi,kio,bk->bo", x, w, t.nn.softmax(x[:, :2])),
        [(2, 4, 3)],
        (4,),
        {0: ((1,), (0, 2))},
    ),
    "convolution": (lambda k, t, x, w: k.ops.conv(x, w), [(3, 4, 3)], (5, 4), {0: None}),
    "transposed convolution": (
        lambda k, t, x, w: k.ops.conv_transpose(x, w, 1),
        [(3, 3, 5, 2)],
        (8, 8, 2),
        {0: None},
    ),
    "separable convolution": (
        lambda k, t, x, d, p: k.ops.separable_conv(x, d, p),
        [(3, 3, 2, 1), (1, 1, 2, 3)],
        (8, 8, 2),
        {0: None, 1: None},
    ),
    "loop": (
        lambda k, t, x, w: t.while_loop(
            lambda i, h: i < 3, lambda i, h: (i + 1, t.tanh(h @ w)), (0, x)
        )[1],
        [(4, 4)],
        (4,),
        {0: ()},
    ),
    "state that starts at zero": (
        lambda k, t, x, w: t.while_loop(
            lambda i, h: i < 3, lambda i, h: (i + 1, x + h @ w), (0, t.zeros_like(x))
        )[1],
        [(4, 4)],
        (4,),
        {0: ()},
    ),
    "mapped": (
        lambda k, t, x, w: t.map_fn(lambda row: t.linalg.matvec(w, row), x),
        [(3, 4)],
        (4,),
        {0: ((1,), (0,))},
    ),
    "branch": (
        lambda k, t, x, w: t.cond(t.reduce_sum(x) > 0, lambda: x @ w, lambda: x @ (2 * w)),
        [(4, 3)],
        (4,),
        {0: ()},
    ),
    "function": (
        lambda k, t, x, w: t.function(lambda: x @ t.convert_to_tensor(w))(),
        [(4, 3)],
        (4,),
        {0: ()},
    ),
    # None of these is a factor of a product.
    "gate": (lambda k, t, x, g: x * g, [(5, 4)], (5, 4), {}),
    "outer product": (
        lambda k, t, x, g: t.matmul(x[..., None], g[:, None, :]),
        [(4, 3)],
        (4, 4),
        {},
    ),
    "gate by einsum": (lambda k, t, x, g: k.ops.einsum("btc,tc->btc", x, g), [(5, 4)], (5, 4), {}),
    "gate and mean": (lambda k, t, x, g: t.reduce_mean(x * g, 1), [(5, 4)], (5, 4), {}),
    "offset before a product": (
        lambda k, t, x, e, w: (x + e) @ w,
        [(5, 4), (4, 3)],
        (5, 4),
        {1: ()},
    ),
    "token before a product": (
        lambda k, t, x, c, w: t.concat([t.tile(c[None], [t.shape(x)[0], 1, 1]), x], 1) @ w,
        [(1, 4), (4, 3)],
        (5, 4),
        {1: ()},
    ),
    "centres": (
        lambda k, t, x, c: t.reduce_sum((x[:, None] - c) ** 2, -1),
        [(3, 4)],
        (4,),
        {},
    ),
    "looked up": (lambda k, t, x, w: t.gather(w, t.cast(x, "int32")), [(9, 4)], (4,), {}),
    "looked up and multiplied": (
        lambda k, t, x, w: k.ops.take(w, k.ops.cast(x, "int32"), axis=0) @ t.transpose(w),
        [(9, 4)],
        (4,),
        {},
    ),
    "penalty only": (lambda k, t, x, w: x * t.reduce_sum(t.transpose(w) @ w), [(4, 4)], (4,), {}),
    "vector": (lambda k, t, x, w: t.linalg.matvec(x, w), [(4,)], (5, 4), {}),
}


@pytest.fixture(scope="module")
def own_layer(keras):
    """A class of layers that do anything with weights of any shapes."""
    import tensorflow as tf

    class Own(keras.layers.Layer):
        def __init__(self, use, shapes, **kwargs):
            super().__init__(**kwargs)
            self.use, self.shapes = use, shapes

        def build(self, shape):
            self.held = [self.add_weight(shape=s, initializer="random_normal") for s in self.shapes]

        def call(self, x):
            return self.use(keras, tf, x, *self.held)

    return Own


@pytest.fixture(scope="module")
def found(keras):
    """A function from a model and the shape of an example to its kernels."""
    from runner.initializers import draw

    return lambda model, shape: [p for p in draw.Subject(model, shape).places if p.is_kernel]


@pytest.mark.parametrize("case", CASES)
def test_factors_of_products_are_kernels(keras, own_layer, found, case):
    use, shapes, shape, expected = CASES[case]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, own_layer(use, shapes)(inputs))
    kernels = {kernel.position: kernel.product for kernel in found(model, shape)}
    usual = {place: None if axes == () else axes for place, axes in expected.items()}
    assert kernels == usual


def test_a_weight_that_is_given_to_one_of_keras_layers_is_its_input(keras, own_layer, found):
    attention = keras.layers.MultiHeadAttention(2, 3)

    def use(k, t, x, latents):
        return attention(t.tile(latents[None], [t.shape(x)[0], 1, 1]), x)

    layer = own_layer(use, [(3, 4)])
    layer.attention = attention
    inputs = keras.Input((5, 4))
    kernels = found(keras.Model(inputs, layer(inputs)), (5, 4))
    assert {kernel.origin for kernel in kernels} == {"name"}
    assert len(kernels) == 4


def test_weights_are_found_wherever_they_are_held(keras, own_layer, found):
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = own_layer(lambda k, t, x, w: x @ w, [(4, 4)], name="inner")
            self._u = keras.Variable(np.ones((4, 4), "float32"))
            self.v = keras.Variable(np.ones((4, 4), "float32"), name="V")

        def call(self, x):
            return x + self.inner(x) @ self._u @ self.v

    class Net(keras.Model):  # its call takes no argument `training`
        def __init__(self):
            super().__init__()
            self.block = Block()
            self.ws = {"last": self.add_weight(shape=(4, 3), initializer="random_normal")}
            self.W = self.add_weight(shape=(4, 4), initializer="random_normal")
            self.theta = self.add_weight(shape=(4, 4), initializer="random_normal", name="theta")
            self.frozen = self.add_weight(
                shape=(4, 4), initializer="random_normal", trainable=False, name="frozen"
            )

        def call(self, x):
            return self.block(x @ self.W @ self.theta @ self.frozen) @ self.ws["last"]

    keras.utils.clear_session(free_memory=False)  # the block's name is the first of its kind
    model = Net()
    model(keras.Input((4,)))
    paths = [kernel.path for kernel in found(model, (4,))]
    assert sorted(path.removeprefix("net/") for path in paths) == sorted(
        ["ws_last", "W", "theta", "block/inner/held_0", "block/_u", "block/V"]
    )


def test_a_call_that_was_traced_before_holds_its_variables_itself(keras, found):
    import tensorflow as tf

    class Traced(keras.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], 3), name="w")

        @tf.function
        def call(self, x):
            return x @ tf.convert_to_tensor(self.w)

    model = keras.Sequential([keras.Input((4,)), Traced(name="traced")])
    assert [kernel.path for kernel in found(model, (4,))] == ["traced/w"]


def test_a_recurrent_cell_of_ones_own(keras, found):
    class Cell(keras.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.state_size = units

        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], self.state_size), name="w")
            self.u = self.add_weight(shape=(self.state_size, self.state_size), name="u")

        def call(self, x, states):
            h = keras.ops.tanh(x @ self.w + states[0] @ self.u)
            return h, [h]

    inputs = keras.Input((7, 4))
    model = keras.Model(inputs, keras.layers.RNN(Cell(5))(inputs))
    assert [kernel.name for kernel in found(model, (7, 4))] == ["w", "u"]


def test_looking_at_a_model_leaves_nothing_in_it(keras, own_layer, found):
    class Punished(own_layer):
        def call(self, x):
            self.add_loss(keras.ops.sum(self.held[0]))
            return super().call(x)

    layer = Punished(lambda k, t, x, w: x @ w, [(4, 3)])
    model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dropout(0.5)])
    before = [variable.numpy() for variable in model.variables]
    found(model, (4,))
    assert "call" not in vars(model.layers[1])
    model(np.zeros((2, 4)))
    # Twelve numbers below 1, of both signs, in single precision (6e-8 each).
    assert float(model.losses[0]) == pytest.approx(float(before[0].sum()), abs=1e-6)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_laws_see_the_inputs_that_a_product_sums_over(keras, own_layer, option):
    """Not those that the shape suggests: `w` is stored as (outputs, inputs)."""
    from runner.initializers import draw

    use, _, _, _ = CASES["transposed"]
    inputs = keras.Input((400,))
    model = keras.Model(inputs, own_layer(use, [(25, 400)])(inputs))
    drawer = draw.prepare(draw.Subject(model, (400,)), option("he_normal"))
    (kernel,) = drawer.kernels
    assert (kernel.fan_in, kernel.fan_out, kernel.origin) == (400, 25, "product")
    # 10,000 values: the standard deviation has a relative error of about 0.7 % (less, truncated).
    assert drawer.draw(0)[0].std() == pytest.approx((2 / 400) ** 0.5, rel=0.035)


def test_a_model_without_products_is_refused(keras, own_layer, option):
    from runner.initializers import draw

    use, shapes, shape, _ = CASES["gate"]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, own_layer(use, shapes, name="mine")(inputs))
    subject = draw.Subject(model, shape)
    with pytest.raises(ConfigError, match=r"`init` must have a kernel .* mine/held_0 \(5, 4\)\."):
        draw.prepare(subject, option("zero"))
    assert draw.prepare(subject, option("zero", kernels=["*/held_0"])).kernels
