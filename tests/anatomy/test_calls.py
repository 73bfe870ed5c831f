"""Which recurrent layers Keras may hand to cuDNN."""

import pytest

from runner.anatomy.calls import keep_from_cudnn

SHAPE = (5, 3)


def words(keras, zero):
    layers = keras.layers
    body = [layers.Embedding(4, 3, mask_zero=zero), layers.GRU(2)]
    return keras.Sequential([keras.Input((5,), dtype="int32"), *body])


def chain(keras, *body):
    return keras.Sequential([keras.Input(SHAPE), *body])


def with_own_mask(keras):
    class Own(keras.layers.Layer):
        def compute_mask(self, inputs, previous_mask=None):
            return inputs[..., 0] > 0

        def call(self, x):
            return x

    return chain(keras, Own(), keras.layers.LSTM(2))


def bidirectional(keras):
    layers = keras.layers
    return chain(keras, layers.Masking(), layers.Bidirectional(layers.LSTM(2)))


# Model, whether a GPU's cuDNN may compute its layers.
MODELS = {
    "no masks": (lambda keras: chain(keras, keras.layers.LSTM(2)), True),
    "words": (lambda keras: words(keras, zero=False), True),
    "words and blanks": (lambda keras: words(keras, zero=True), False),
    "masks": (lambda keras: chain(keras, keras.layers.Masking(), keras.layers.GRU(2)), False),
    "masks of its own": (with_own_mask, False),
    "masks in both directions": (bidirectional, False),
}


@pytest.mark.parametrize(("make", "is_possible"), MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("device", ["/CPU:0", "/GPU:0"])
def test_cudnn_is_given_what_it_can_compute(keras, monkeypatch, make, is_possible, device):
    import tensorflow as tf

    model = make(keras)

    def wishes():
        return {layer.use_cudnn for layer in model._flatten_layers() if hasattr(layer, "use_cudnn")}

    keep_from_cudnn(model, device)
    assert wishes() == {"auto"}  # nobody sees a GPU
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a GPU"])
    keep_from_cudnn(model, device)
    assert wishes() == {"auto" if is_possible and "GPU" in device else False}


@pytest.mark.parametrize("wish", [True, False])
def test_what_was_asked_for_is_kept(keras, monkeypatch, wish):
    import tensorflow as tf

    layer = keras.layers.LSTM(2)
    model = chain(keras, layer)
    layer.use_cudnn = wish
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a GPU"])
    keep_from_cudnn(model, "/CPU:0")
    assert layer.use_cudnn is wish
