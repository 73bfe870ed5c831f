"""Small models of the architectures that people know, each written as it is written in the wild.

Every function builds a model; what layers are called is what tests name them by.
"""

import keras
from keras import layers, ops

from runner import models
from runner.tasks import Signature


def mlp():
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, "relu", name="first"),
            layers.Dense(5, "relu", name="second"),
            layers.Dense(3, name="last"),
        ]
    )


def single():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, name="only")])


def residual_mlp():
    inputs = keras.Input((4,))
    x = layers.Dense(8, name="stem")(inputs)
    for block in "ab":
        y = layers.Dense(8, "relu", name=f"{block}1")(x)
        x = layers.add([x, layers.Dense(8, name=f"{block}2")(y)])
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


class Residual(layers.Layer):
    """Adds what layers make of an input to it."""

    def __init__(self, *inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        y = x
        for layer in self.inner:
            y = layer(y)
        return x + y


def residual_layers():
    class Net(keras.Model):  # its call takes no argument `training`
        def __init__(self):
            super().__init__()
            self.stem = layers.Dense(8, name="stem")
            self.body = keras.Sequential(
                [
                    Residual(
                        layers.Dense(8, "gelu", name="a1"),
                        layers.Dropout(0.1),
                        layers.Dense(8, name="a2"),
                        name="a",
                    ),
                    Residual(
                        layers.Dense(8, "swish", name="b1"), layers.Dense(8, name="b2"), name="b"
                    ),
                ],
                name="body",
            )
            self.head = layers.Dense(3, name="head")

        def call(self, x):
            return self.head(self.body(self.stem(x)))

    model = Net()
    model(keras.Input((10,)))
    return model


def resnet():
    def conv(x, filters, name, size=3, strides=1):
        x = layers.Conv2D(filters, size, strides, "same", use_bias=False, name=name)(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    inputs = keras.Input((8, 8, 3))
    x = layers.Activation("relu")(conv(inputs, 4, "stem"))
    for block, filters, strides in (("a", 4, 1), ("b", 6, 2)):
        y = layers.Activation("relu")(conv(x, filters, f"{block}1", strides=strides))
        y = conv(y, filters, f"{block}2")
        shortcut = conv(x, filters, f"{block}0", 1, strides) if strides > 1 else x
        x = layers.Activation("relu")(layers.Add()([shortcut, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, "softmax", name="head")(x))


def preactivation():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    for block, filters, strides in (("a", 4, 1), ("b", 6, 2)):
        before = layers.ReLU()(layers.BatchNormalization(name=f"{block}1_bn")(x))
        shortcut = x
        if strides > 1:
            shortcut = layers.Conv2D(filters, 1, strides, name=f"{block}0")(before)
        y = layers.Conv2D(filters, 3, strides, "same", name=f"{block}1")(before)
        y = layers.ReLU()(layers.BatchNormalization(name=f"{block}2_bn")(y))
        y = layers.Conv2D(filters, 3, padding="same", name=f"{block}2")(y)
        x = shortcut + y
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


def skipinit():
    class Scaled(layers.Layer):
        def build(self, shape):
            self.alpha = self.add_weight(shape=(), initializer="ones", name="alpha")

        def call(self, x):
            return self.alpha * x

    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="a1")(x)
    y = layers.Conv2D(4, 3, padding="same", name="a2")(y)
    x = x + Scaled(name="scaled")(y)
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten()(x)))


def squeeze_and_excite():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="a1")(x)
    y = layers.BatchNormalization(name="a_bn")(layers.Conv2D(4, 3, padding="same", name="a2")(y))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Dense(2, "relu", name="squeeze")(gate)
    gate = layers.Dense(4, "sigmoid", name="excite")(gate)
    x = layers.add([x, layers.multiply([y, gate])])
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten()(x)))


def layer_scale():
    """A block of ConvNeXt."""

    class LayerScale(layers.Layer):
        def build(self, shape):
            self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")

        def call(self, x):
            return x * self.gamma

    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 2, 2, name="stem")(inputs)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.LayerNormalization(name="norm")(y)
    y = layers.Dense(4, name="shrink")(layers.Dense(16, "gelu", name="widen")(y))
    x = layers.Add()([LayerScale(name="layer_scale")(y), x])
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.GlobalMaxPooling2D()(x)))


class TransformerBlock(layers.Layer):
    """As in Keras's example of text classification."""

    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.att = layers.MultiHeadAttention(num_heads, embed_dim, name="att")
        self.ffn = keras.Sequential(
            [layers.Dense(ff_dim, "relu", name="in"), layers.Dense(embed_dim, name="out")],
            name="ffn",
        )
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6, name="norm1")
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6, name="norm2")
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, inputs):
        attn_output = self.att(inputs, inputs)
        attn_output = self.dropout1(attn_output)
        out1 = self.layernorm1(inputs + attn_output)
        ffn_output = self.ffn(out1)
        ffn_output = self.dropout2(ffn_output)
        return self.layernorm2(out1 + ffn_output)


class TokenAndPositionEmbedding(layers.Layer):
    """As in Keras's example of text classification."""

    def __init__(self, maxlen, vocab_size, embed_dim, mask_zero=False, **kwargs):
        super().__init__(**kwargs)
        self.token_emb = layers.Embedding(vocab_size, embed_dim, mask_zero=mask_zero, name="token")
        self.pos_emb = layers.Embedding(maxlen, embed_dim, name="position")

    def call(self, x):
        maxlen = ops.shape(x)[-1]
        positions = ops.arange(start=0, stop=maxlen, step=1)
        positions = self.pos_emb(positions)
        return self.token_emb(x) + positions


def transformer():
    inputs = keras.Input((10,))
    x = TokenAndPositionEmbedding(10, 30, 8, name="embedding")(inputs)
    x = TransformerBlock(8, 2, 16, name="a")(x)
    x = TransformerBlock(8, 2, 16, name="b")(x)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(6, "relu", name="dense")(layers.Dropout(0.1)(x))
    return keras.Model(inputs, layers.Dense(2, "softmax", name="head")(x))


class CausalAttention(layers.Layer):
    """One kernel makes queries, keys and values, as in GPT-2."""

    def __init__(self, num_heads, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads

    def build(self, shape):
        width = shape[-1]
        self.qkv = self.add_weight(shape=(width, 3 * width), name="c_attn")
        self.out = self.add_weight(shape=(width, width), name="c_proj")

    def call(self, x):
        _, length, width = x.shape
        size = width // self.num_heads
        heads = [
            ops.transpose(ops.reshape(part, (-1, length, self.num_heads, size)), (0, 2, 1, 3))
            for part in ops.split(x @ self.qkv, 3, axis=-1)
        ]
        query, key, value = heads
        scores = query @ ops.transpose(key, (0, 1, 3, 2)) / size**0.5
        mask = ops.tril(ops.ones((length, length), "bool"))
        scores = ops.where(mask, scores, -1e9)
        y = ops.softmax(scores) @ value
        return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (-1, length, width)) @ self.out


class Normalized(layers.Layer):
    """A normalization of one's own."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), initializer="ones", name="w")

    def call(self, x):
        return x * ops.rsqrt(ops.mean(ops.square(x), -1, keepdims=True) + 1e-6) * self.w


def gpt():
    """The table of tokens makes the logits too."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__(name="gpt")
            self.tokens = self.add_weight(shape=(30, 8), name="wte")
            self.positions = self.add_weight(shape=(10, 8), name="wpe")
            self.norms = [Normalized(name=f"norm{i}") for i in range(3)]
            self.attention = CausalAttention(2, name="attention")
            self.widen = layers.Dense(32, "gelu", name="c_fc")
            self.shrink = layers.Dense(8, name="mlp_proj")

        def call(self, tokens):
            x = ops.take(self.tokens, ops.cast(tokens, "int32"), axis=0) + self.positions
            x = x + self.attention(self.norms[0](x))
            x = x + self.shrink(self.widen(self.norms[1](x)))
            return self.norms[2](x) @ ops.transpose(self.tokens)

    model = Net()
    model(keras.Input((10,)))
    return model


def llama():
    """Parallel blocks, grouped queries, a gate; heads by einsum, the softmax by hand."""

    class Block(layers.Layer):
        def build(self, shape):
            def kernel(name, *sizes):
                return self.add_weight(shape=sizes, name=name)

            self.norm = layers.RMSNormalization(name="norm")
            self.wq, self.wk = kernel("wq", 8, 4, 3), kernel("wk", 8, 2, 3)
            self.wv, self.wo = kernel("wv", 8, 2, 3), kernel("wo", 4, 3, 8)
            self.gate, self.up = kernel("gate", 8, 20), kernel("up", 8, 20)
            self.down = kernel("down", 20, 8)

        def call(self, x):
            h = self.norm(x)
            q = ops.einsum("btd,dhk->bthk", h, self.wq)
            k = ops.repeat(ops.einsum("btd,dhk->bthk", h, self.wk), 2, axis=2)
            v = ops.repeat(ops.einsum("btd,dhk->bthk", h, self.wv), 2, axis=2)
            scores = ops.exp(ops.einsum("bthk,bshk->bhts", q, k) / 3**0.5)
            scores = scores / ops.sum(scores, -1, keepdims=True)
            attended = ops.einsum("bhts,bshk->bthk", scores, v)
            attended = ops.einsum("bthk,hkd->btd", attended, self.wo)
            return x + attended + (ops.silu(h @ self.gate) * (h @ self.up)) @ self.down

    inputs = keras.Input((10, 5))
    x = layers.Dense(8, name="stem")(inputs)
    x = Block(name="block")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x[:, -1]))


def translator():
    """Encoder and decoder, with a mask that comes from the tokens."""

    def attended(x, context, name, **kwargs):
        attention = layers.MultiHeadAttention(2, 4, name=name)
        return layers.LayerNormalization(name=f"{name}_norm")(x + attention(x, context, **kwargs))

    def feed_forward(x, name):
        y = layers.Dense(8, name=f"{name}_out")(layers.Dense(16, "relu", name=f"{name}_in")(x))
        return layers.LayerNormalization(name=f"{name}_norm")(x + y)

    tokens = keras.Input((10,), dtype="int32")
    embedding = TokenAndPositionEmbedding(10, 30, 8, mask_zero=True, name="embedding")
    source = embedding(tokens)
    mask = ops.not_equal(tokens, 0)[:, None, :]
    encoded = attended(source, source, "encoder", attention_mask=mask)
    encoded = feed_forward(encoded, "encoder_ffn")
    x = embedding(ops.flip(tokens, axis=1))
    for block in "ab":
        x = attended(x, x, f"{block}_self", use_causal_mask=True)
        x = attended(x, encoded, f"{block}_cross", attention_mask=mask)
        x = feed_forward(x, f"{block}_ffn")
    return keras.Model(tokens, layers.Dense(30, name="head")(x))


def vision_transformer():
    """A class token and positions of its own."""

    class Tokens(layers.Layer):
        def build(self, shape):
            self.cls = self.add_weight(shape=(1, 1, 8), name="class_token")
            self.positions = self.add_weight(shape=(1, 17, 8), name="positions")

        def call(self, x):
            cls = ops.tile(self.cls, (ops.shape(x)[0], 1, 1))
            return ops.concatenate([cls, x], axis=1) + self.positions

    inputs = keras.Input((8, 8, 3))
    x = layers.Reshape((16, 8))(layers.Conv2D(8, 2, 2, name="patches")(inputs))
    x = Tokens(name="tokens")(x)
    h = layers.LayerNormalization(name="norm1")(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4, name="att")(h, h)])
    h = layers.LayerNormalization(name="norm2")(x)
    h = layers.Dense(16, keras.activations.gelu, name="in")(h)
    x = layers.Add()([layers.Dense(8, name="out")(h), x])
    return keras.Model(inputs, layers.Dense(3, name="head")(x[:, 0]))


def dot_attention():
    """Keras's layer without kernels; the values' kernel makes the keys too."""
    inputs = keras.Input((6, 5))
    query, value = (layers.Dense(4, name=name)(inputs) for name in ("query", "value"))
    x = layers.Attention()([query, value])
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.GlobalMaxPooling1D()(x)))


def unet():
    """As in Keras's example of segmentation, smaller."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="stem")(inputs)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.Activation("relu")(x)
    previous_block_activation = x
    for filters in (6, 8):
        for i in "12":
            x = layers.Activation("relu")(x)
            x = layers.SeparableConv2D(filters, 3, padding="same", name=f"down{filters}_{i}")(x)
            x = layers.BatchNormalization(name=f"down{filters}_{i}_bn")(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(filters, 1, strides=2, padding="same", name=f"down{filters}_0")(
            previous_block_activation
        )
        x = layers.add([x, residual])
        previous_block_activation = x
    for filters in (8, 6, 4):
        for i in "12":
            x = layers.Activation("relu")(x)
            x = layers.Conv2DTranspose(filters, 3, padding="same", name=f"up{filters}_{i}")(x)
            x = layers.BatchNormalization(name=f"up{filters}_{i}_bn")(x)
        x = layers.UpSampling2D(2)(x)
        residual = layers.UpSampling2D(2)(previous_block_activation)
        residual = layers.Conv2D(filters, 1, padding="same", name=f"up{filters}_0")(residual)
        x = layers.add([x, residual])
        previous_block_activation = x
    x = layers.Conv2D(2, 3, activation="softmax", padding="same", name="head")(x)
    return keras.Model(inputs, x)


def recurrent():
    inputs = keras.Input((7,))
    x = layers.Embedding(20, 4, name="tokens")(inputs)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="first")(x)
    x = layers.GRU(3, name="second")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


class Cell(layers.Layer):
    """A recurrent cell of one's own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.state_size = units

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.state_size), name="w")
        self.u = self.add_weight(shape=(self.state_size, self.state_size), name="u")

    def call(self, x, states):
        h = ops.tanh(x @ self.w + states[0] @ self.u)
        return h, [h]


def cells():
    inputs = keras.Input((4, 3))
    inner = [Cell(3, name="own"), layers.LSTMCell(3, name="lstm"), Cell(3, name="last")]
    cell = layers.StackedRNNCells(inner, name="cells")
    x = layers.RNN(cell, return_sequences=True, name="rnn")(inputs)
    x = x + layers.LSTM(3, return_sequences=True, name="added")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def unrolled():
    inputs = keras.Input((4, 3))
    x = layers.LSTM(3, unroll=True, return_sequences=True, name="first")(inputs)
    x = layers.SimpleRNN(3, unroll=True, name="second")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def shared():
    """A layer that is used three times, and one that is not used."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.stem = layers.Dense(4, name="stem")
            self.twice = layers.Dense(4, "tanh", name="shared")
            self.unused = layers.Dense(4, name="unused")
            self.unused.build((None, 4))
            self.head = layers.Dense(2, name="head")

        def call(self, x):
            x = self.stem(x)
            for _ in range(3):
                x = self.twice(x)
            return self.head(x)

    model = Net()
    model(keras.Input((10,)))
    return model


def siamese():
    tower = keras.Sequential(
        [layers.Dense(4, "relu", name="t1"), layers.Dense(4, name="t2")], name="tower"
    )
    one, other = keras.Input((3,), name="one"), keras.Input((3,), name="other")
    x = layers.add([tower(one), tower(other)])
    return keras.Model([one, other], layers.Dense(1, name="head")(x))


def two_outputs():
    inputs = keras.Input((4,))
    x = layers.Dense(5, "relu", name="stem")(inputs)
    outputs = {name: layers.Dense(2, name=name)(x) for name in ("left", "right")}
    return keras.Model(inputs, outputs)


def no_shortcuts():
    """Sums and joins that are none: a highway, projections side by side, branches joined."""
    inputs = keras.Input((4,))
    gate = layers.Dense(4, "sigmoid", name="gate")(inputs)
    x = gate * layers.Dense(4, "relu", name="highway")(inputs) + (1 - gate) * inputs
    x = layers.Dense(4, name="left")(x) + layers.Dense(4, name="right")(x)
    x = layers.concatenate([x, layers.Dense(4, "gelu", name="joined")(x)])
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def option(name, shape, **settings):
    """Returns an option of the group `model`."""
    return models.build(
        name, models.CATALOGUE[name](**settings), Signature(shape, (3,), "classification")
    )


def resnet_option():
    return option("resnet", (8, 8, 1), depth=(1, 1), width=4, residual_scale=0.5)


def resnet_option_of_bottlenecks():
    settings = {"block": "bottleneck", "preactivation": True, "normalization": "none"}
    return option("resnet", (8, 8, 1), depth=(1, 1), width=2, **settings)


def rnn_option():
    return option("rnn", (4, 3), width=3, depth=2, bidirectional=True)


def transformer_option():
    return option("transformer", (8, 8, 1), width=8, depth=1, heads=2, feed_forward=16)


def transformer_option_with_sums_normalized():
    settings = {"width": 8, "depth": 1, "heads": 2, "feed_forward": 16}
    return option("transformer", (5, 3), prenorm=False, **settings)


def option_of_tokens(name, outputs, **settings):
    """Returns an option for 9 kinds of tokens."""
    task = "classification"
    return models.build(name, models.CATALOGUE[name](**settings), Signature((6,), outputs, task, 9))


def language_model_option():
    settings = {"width": 8, "depth": 1, "heads": 2, "feed_forward": 16}
    signature = Signature((6,), (6, 9), "classification", 9)
    return models.transformer.build(models.CATALOGUE["transformer"](**settings), signature)


def rnn_option_of_tokens():
    return option_of_tokens("rnn", (2,), cell="gru", width=3)


def mlp_option_of_maxout():
    return option("mlp", (4,), width=5, activation=("maxout", "prelu"))


def mlp_option_of_sines():
    return option("mlp", (4,), width=5, activation="sine")


def conv1d_option():
    return option("conv1d", (6, 2), filters=4, depth=2, dilation=2, causal=True)


def unet_option():
    return option("unet", (8, 8, 3), width=2, depth=1)


def autoencoder_option():
    return option("autoencoder", (8, 8, 3), kind="convolutional", width=4, bottleneck=3)


def mobile_net():
    arguments = {"alpha": 0.1}
    return option("applications", (32, 32, 3), application="MobileNetV2", arguments=arguments)
