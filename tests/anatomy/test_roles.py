"""What each weight is for, in models of all architectures, written in all ways that Keras knows.

What is expected was written by hand from the architecture. A kernel is named by its layer.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest

from runner.anatomy.roles import ROLES


@dataclass(frozen=True)
class Wanted:
    """What is expected of a model.

    Attributes:
      input, output: Layers whose kernels are so; all others are hidden.
      also: Any other role -> weights that have it.
      branches: See `branch`.
      attentions: Query, key, value and output, and the numbers of heads and of a head's keys.
    """

    input: str
    output: str
    also: dict[str, str] = field(default_factory=dict)
    branches: tuple[Any, ...] = ()
    attentions: tuple[Any, ...] = ()


def branch(kernels, last="", scale="", shortcut="", multiplier=""):
    """Returns a branch; without `last` it ends with the last of its kernels."""
    names = kernels.split()
    return (names, last.split() or names[-1:], scale, shortcut.split(), multiplier)


def of_attention(name):
    return [f"{name}/{part}" for part in ("query", "key", "value", "attention_output")]


def attending(name):
    """Returns the branch of one of Keras's attentions."""
    return branch(" ".join(of_attention(name)))


WANTED = {
    "mlp": Wanted("first", "last"),
    "single": Wanted("only", "only"),
    "residual_mlp": Wanted(
        "stem",
        "head",
        {"last_of_branch": "a2 b2"},
        (branch("a1 a2"), branch("b1 b2")),
    ),
    "residual_layers": Wanted(
        "stem",
        "head",
        {"last_of_branch": "body/a/a2 body/b/b2"},
        (branch("body/a/a1 body/a/a2"), branch("body/b/b1 body/b/b2")),
    ),
    "resnet": Wanted(
        "stem",
        "head",
        {
            "last_of_branch": "a2 b2",
            "normalization_scale": " ".join(
                f"{name}_bn/gamma" for name in ("stem", "a1", "a2", "b0", "b1", "b2")
            ),
        },
        (
            branch("a1 a2", scale="a2_bn/gamma"),
            branch("b1 b2", scale="b2_bn/gamma", shortcut="b0"),
        ),
    ),
    "preactivation": Wanted(
        "stem",
        "head",
        {
            "last_of_branch": "a2 b2",
            "normalization_scale": "a1_bn/gamma a2_bn/gamma b1_bn/gamma b2_bn/gamma",
        },
        (branch("a1 a2"), branch("b1 b2", shortcut="b0")),
    ),
    "skipinit": Wanted(
        "stem",
        "head",
        {"last_of_branch": "a2"},
        (branch("a1 a2", multiplier="scaled/alpha"),),
    ),
    "squeeze_and_excite": Wanted(
        "stem",
        "head",
        {"last_of_branch": "a2", "normalization_scale": "a_bn/gamma"},
        (branch("a1 a2 squeeze excite", last="a2", scale="a_bn/gamma"),),
    ),
    "layer_scale": Wanted(
        "stem",
        "head",
        {"last_of_branch": "shrink", "normalization_scale": "norm/gamma"},
        (branch("depthwise widen shrink", multiplier="layer_scale/gamma"),),
    ),
    "transformer": Wanted(
        "a/att/query a/att/key a/att/value",
        "head",
        {
            "embedding": "embedding/token/embeddings embedding/position/embeddings",
            "query": "a/att/query b/att/query",
            "key": "a/att/key b/att/key",
            "value": "a/att/value b/att/value",
            "attention_output": "a/att/attention_output b/att/attention_output",
            "feed_forward_in": "a/ffn/in b/ffn/in",
            "feed_forward_out": "a/ffn/out b/ffn/out",
            "last_of_branch": "a/att/attention_output a/ffn/out b/att/attention_output b/ffn/out",
            "normalization_scale": "a/norm1/gamma a/norm2/gamma b/norm1/gamma b/norm2/gamma",
        },
        (
            attending("a/att"),
            branch("a/ffn/in a/ffn/out"),
            attending("b/att"),
            branch("b/ffn/in b/ffn/out"),
        ),
        ((*of_attention("a/att"), 2, 8), (*of_attention("b/att"), 2, 8)),
    ),
    "gpt": Wanted(
        "attention/c_attn",
        "",
        {
            "embedding": "wte wpe",
            "query": "attention/c_attn",
            "key": "attention/c_attn",
            "value": "attention/c_attn",
            "attention_output": "attention/c_proj",
            "feed_forward_in": "c_fc",
            "feed_forward_out": "mlp_proj",
            "last_of_branch": "attention/c_proj mlp_proj",
            "normalization_scale": "norm0/w norm1/w norm2/w",
        },
        (branch("attention/c_attn attention/c_proj"), branch("c_fc mlp_proj")),
        ((*["attention/c_attn"] * 3, "attention/c_proj", 2, 4),),
    ),
    "llama": Wanted(
        "stem",
        "head",
        {
            "query": "block/wq",
            "key": "block/wk",
            "value": "block/wv",
            "attention_output": "block/wo",
            "feed_forward_in": "block/gate block/up",
            "feed_forward_out": "block/down",
            "last_of_branch": "block/wo block/down",
            "normalization_scale": "block/norm/scale",
        },
        (
            branch("block/wq block/wk block/wv block/wo"),
            branch("block/gate block/up block/down"),
        ),
        (("block/wq", "block/wk", "block/wv", "block/wo", 4, 3),),
    ),
    "translator": Wanted(
        "encoder/query encoder/key encoder/value a_self/query a_self/key a_self/value",
        "head",
        {
            "embedding": "embedding/token/embeddings embedding/position/embeddings",
            **{
                role: " ".join(
                    f"{name}/{role}"
                    for name in ("encoder", "a_self", "a_cross", "b_self", "b_cross")
                )
                for role in ("query", "key", "value", "attention_output")
            },
            "feed_forward_in": "encoder_ffn_in a_ffn_in b_ffn_in",
            "feed_forward_out": "encoder_ffn_out a_ffn_out b_ffn_out",
            "last_of_branch": " ".join(
                f"{name}/attention_output"
                for name in ("encoder", "a_self", "a_cross", "b_self", "b_cross")
            )
            + " encoder_ffn_out a_ffn_out b_ffn_out",
            "normalization_scale": " ".join(
                f"{name}_norm/gamma"
                for name in ("encoder", "a_self", "a_cross", "b_self", "b_cross")
            )
            + " encoder_ffn_norm/gamma a_ffn_norm/gamma b_ffn_norm/gamma",
        },
        (
            attending("encoder"),
            branch("encoder_ffn_in encoder_ffn_out"),
            attending("a_self"),
            attending("a_cross"),
            branch("a_ffn_in a_ffn_out"),
            attending("b_self"),
            attending("b_cross"),
            branch("b_ffn_in b_ffn_out"),
        ),
        tuple(
            (*of_attention(name), 2, 4)
            for name in ("encoder", "a_self", "a_cross", "b_self", "b_cross")
        ),
    ),
    "vision_transformer": Wanted(
        "patches",
        "head",
        {
            "embedding": "tokens/positions",
            "query": "att/query",
            "key": "att/key",
            "value": "att/value",
            "attention_output": "att/attention_output",
            "feed_forward_in": "in",
            "feed_forward_out": "out",
            "last_of_branch": "att/attention_output out",
            "normalization_scale": "norm1/gamma norm2/gamma",
        },
        (attending("att"), branch("in out")),
        ((*of_attention("att"), 2, 4),),
    ),
    "dot_attention": Wanted(
        "query value",
        "head",
        {"query": "query", "key": "value", "value": "value"},
        (),
        (("query", "value", "value", "", 1, 4),),
    ),
    "unet": Wanted(
        "stem",
        "head",
        {
            "last_of_branch": " ".join(
                [f"down{filters}_2/pointwise_kernel" for filters in (6, 8)]
                + [f"up{filters}_2" for filters in (8, 6, 4)]
            ),
            "normalization_scale": " ".join(
                f"{name}_bn/gamma"
                for name in ["stem"]
                + [f"down{filters}_{i}" for filters in (6, 8) for i in "12"]
                + [f"up{filters}_{i}" for filters in (8, 6, 4) for i in "12"]
            ),
        },
        (
            *(
                branch(
                    f"down{n}_1/depthwise_kernel down{n}_1/pointwise_kernel "
                    f"down{n}_2/depthwise_kernel down{n}_2/pointwise_kernel",
                    scale=f"down{n}_2_bn/gamma",
                    shortcut=f"down{n}_0",
                )
                for n in (6, 8)
            ),
            *(
                branch(f"up{n}_1 up{n}_2", scale=f"up{n}_2_bn/gamma", shortcut=f"up{n}_0")
                for n in (8, 6, 4)
            ),
        ),
    ),
    "recurrent": Wanted(
        "first/forward_lstm/lstm_cell first/backward_lstm/lstm_cell",
        "head",
        {
            "embedding": "tokens/embeddings",
            "recurrent": "first/forward_lstm/lstm_cell/recurrent_kernel "
            "first/backward_lstm/lstm_cell/recurrent_kernel second/gru_cell/recurrent_kernel",
        },
    ),
    "cells": Wanted(
        "rnn/cells/own/w",
        "head",
        {
            "recurrent": "rnn/cells/own/u rnn/cells/lstm/recurrent_kernel rnn/cells/last/u "
            "added/lstm_cell/recurrent_kernel",
            "last_of_branch": "added/lstm_cell",
        },
        (branch("added/lstm_cell added/lstm_cell/recurrent_kernel", last="added/lstm_cell"),),
    ),
    "unrolled": Wanted(
        "first/lstm_cell",
        "head",
        {
            "recurrent": "first/lstm_cell/recurrent_kernel second/simple_rnn_cell/recurrent_kernel",
        },
    ),
    "shared": Wanted("stem", "head"),
    "siamese": Wanted("tower/t1", "head"),
    "two_outputs": Wanted("stem", "left right"),
    "no_shortcuts": Wanted("gate highway", "head"),
    "resnet_option": Wanted(
        "stem",
        "output",
        {
            "last_of_branch": "stage_1_block_1_conv_2 stage_2_block_1_conv_2",
            "normalization_scale": " ".join(
                f"{name}_norm/gamma"
                for name in ["stem", "stage_2_block_1_shortcut"]
                + [f"stage_{stage}_block_1_conv_{number}" for stage in "12" for number in "12"]
            ),
        },
        (
            branch(
                "stage_1_block_1_conv_1 stage_1_block_1_conv_2",
                scale="stage_1_block_1_conv_2_norm/gamma",
            ),
            branch(
                "stage_2_block_1_conv_1 stage_2_block_1_conv_2",
                scale="stage_2_block_1_conv_2_norm/gamma",
                shortcut="stage_2_block_1_shortcut",
            ),
        ),
    ),
    "resnet_option_of_bottlenecks": Wanted(
        "stem",
        "output",
        {"last_of_branch": "stage_1_block_1_conv_3 stage_2_block_1_conv_3"},
        tuple(
            branch(
                " ".join(f"stage_{stage}_block_1_conv_{number}" for number in "123"),
                shortcut=f"stage_{stage}_block_1_shortcut",
            )
            for stage in "12"
        ),
    ),
    "rnn_option": Wanted(
        "recurrent_1/forward_recurrent_1/lstm_cell recurrent_1/backward_recurrent_1/lstm_cell",
        "output",
        {
            "recurrent": " ".join(
                f"recurrent_{number}/{way}_recurrent_{number}/lstm_cell/recurrent_kernel"
                for number in "12"
                for way in ("forward", "backward")
            )
        },
    ),
    "language_model_option": Wanted(
        " ".join(of_attention("block_1_attention")[:3]),
        "output",
        {
            "embedding": "embedding/embeddings positions/embeddings",
            **{
                role: f"block_1_attention/{role}"
                for role in ("query", "key", "value", "attention_output")
            },
            "feed_forward_in": "block_1_feed_forward_in",
            "feed_forward_out": "block_1_feed_forward_out",
            "last_of_branch": "block_1_attention/attention_output block_1_feed_forward_out",
            "normalization_scale": "block_1_norm_1/gamma block_1_norm_2/gamma norm/gamma",
        },
        (
            attending("block_1_attention"),
            branch("block_1_feed_forward_in block_1_feed_forward_out"),
        ),
        ((*of_attention("block_1_attention"), 2, 4),),
    ),
    "rnn_option_of_tokens": Wanted(
        "recurrent_1/gru_cell",
        "output",
        {
            "recurrent": "recurrent_1/gru_cell/recurrent_kernel",
            "embedding": "embedding/embeddings",
        },
    ),
    "mlp_option_of_maxout": Wanted("hidden_1", "output"),
    "conv1d_option": Wanted("block_1", "output"),
    "unet_option": Wanted("down_1_conv_1", "output"),
    "autoencoder_option": Wanted("encoder_1", "output"),
    **{
        name: Wanted(
            "embedding",
            "output",
            {
                "embedding": "positions/embeddings",
                **{
                    role: f"block_1_attention/{role}"
                    for role in ("query", "key", "value", "attention_output")
                },
                "feed_forward_in": "block_1_feed_forward_in",
                "feed_forward_out": "block_1_feed_forward_out",
                "last_of_branch": "block_1_attention/attention_output block_1_feed_forward_out",
                "normalization_scale": f"block_1_norm_1/gamma block_1_norm_2/gamma{last}",
            },
            (
                attending("block_1_attention"),
                branch("block_1_feed_forward_in block_1_feed_forward_out"),
            ),
            ((*of_attention("block_1_attention"), 2, 4),),
        )
        for name, last in (
            ("transformer_option", " norm/gamma"),
            ("transformer_option_with_sums_normalized", ""),
        )
    },
}


# What a user's own layer does with its input and a vector, and whether that scales a normalization.
SCALES = {
    "root": (
        lambda k, x, g: (x - k.mean(x, -1, True)) / k.sqrt(k.var(x, -1, True) + 1e-5) * g,
        True,
    ),
    "reciprocal root": (lambda k, x, g: x * k.rsqrt(k.mean(x * x, -1, True) + 1e-5) * g, True),
    "scaled reciprocal": (lambda k, x, g: x * (k.rsqrt(k.mean(x * x, -1, True) + 1e-5) * g), True),
    "power": (lambda k, x, g: g * (x * (k.mean(x**2, -1, True) + 1e-5) ** -0.5), True),
    "scaled before": (lambda k, x, g: g * x / (k.std(x, -1, True) + 1e-5), True),
    "gate": (lambda k, x, g: x * g, False),
    "gate of a gate": (lambda k, x, g: x * k.sigmoid(x) * g, False),
    "offset": (lambda k, x, g: x / k.sqrt(k.mean(x * x, -1, True) + 1e-5) + g, False),
}


@pytest.fixture(scope="module")
def read(keras):
    """A function from a model to its weights by name, and its structure."""
    from runner.anatomy.kernels import weights, with_products
    from runner.anatomy.roles import structure

    def read(model):
        # What a subclassed model takes is not known to Keras.
        x = getattr(model, "inputs", None) or [keras.KerasTensor((None, 10))]
        x = x if len(x) > 1 else x[0]
        places = with_products(model, weights(model), x)
        names = {None: ""} | {
            place.position: place.path.removesuffix("/kernel") for place in places
        }
        return places, names, structure(model, places, x)

    return read


@pytest.fixture(scope="module")
def built(keras, read):
    """A function from the name of an architecture to a model, its weights, names and structure."""
    from tests.anatomy import architectures

    @cache
    def built(name):
        keras.utils.clear_session(free_memory=False)  # cells are named by how many there are
        model = getattr(architectures, name)()
        return model, *read(model)

    return built


@pytest.mark.sampled
@pytest.mark.parametrize("name", WANTED)
def test_architectures_as_they_are_written(built, name):
    wanted, (_, places, names, found) = WANTED[name], built(name)
    roles = {role: set(weights.split()) for role, weights in wanted.also.items()}
    roles |= {"input": set(wanted.input.split()), "output": set(wanted.output.split())}
    kernels = {names[place.position] for place in places if place.is_kernel}
    roles["hidden"] = kernels - roles["input"] - roles["output"]
    assert {role: {names[i] for i in found.having(role)} for role in ROLES} == {
        role: roles.get(role, set()) for role in ROLES
    }
    assert [
        (
            [names[kernel] for kernel in one.kernels],
            [names[kernel] for kernel in one.last],
            names[one.scale],
            [names[kernel] for kernel in one.shortcut],
            names[one.multiplier],
        )
        for one in found.branches
    ] == list(wanted.branches)
    assert [
        (
            *(names[i] for i in (one.query, one.key, one.value, one.output)),
            one.num_heads,
            one.key_dim,
        )
        for one in found.attentions
    ] == list(wanted.attentions)


@pytest.mark.parametrize("name", [name for name, wanted in WANTED.items() if wanted.attentions])
def test_what_attentions_attend_to(built, name):
    """What is not their own input: in the translator, what the encoder makes."""
    _, _, names, found = built(name)
    told = {
        names[one.query]: one.context and {names[kernel] for kernel in one.context}
        for one in found.attentions
    }
    encoder = {*of_attention("encoder"), "encoder_ffn_in", "encoder_ffn_out"}
    assert told == {query: encoder if "cross" in query else None for query in told}


def test_what_follows_on_a_kernel(built):
    _, _, names, found = built("transformer")
    after = {names[kernel]: kinds for kernel, kinds in found.after.items()}
    assert set(after) == {names[kernel] for kernel in found.order}
    assert {name for name, kinds in after.items() if "Relu" in kinds} == {
        *("a/ffn/in", "b/ffn/in", "dense")
    }
    # Softmax of the scores, and of the model's outputs.
    assert {name for name, kinds in after.items() if "Softmax" in kinds} == {
        *(f"{block}/att/{part}" for block in "ab" for part in ("query", "key")),
        "head",
    }


@pytest.mark.sampled
@pytest.mark.parametrize("name", [name for name, wanted in WANTED.items() if wanted.branches])
def test_branches_whose_ends_are_zero_add_nothing(built, numbers, name):
    """Then the model's outputs do not change with their other kernels."""
    model, places, _, found = built(name)
    shape = getattr(model, "input_shape", (None, 10))
    x = numbers.integers(1, 9, (2, *shape[1:])).astype("float32")
    values = {place.position: place.variable.numpy() for place in places}

    def outputs(zeros, other):
        for position, value in values.items():
            redrawn = other.get(position, value)
            places[position].variable.assign(np.zeros_like(value) if position in zeros else redrawn)
        return np.asarray(model(x, training=False))

    inside = {kernel for one in found.branches for kernel in one.kernels}
    other = {k: numbers.normal(size=values[k].shape).astype("float32") for k in inside}
    assert not np.array_equal(outputs([], {}), outputs([], other))
    for ends in (
        {kernel for one in found.branches for kernel in one.last},
        {end for one in found.branches for end in (one.scale, one.multiplier) if end is not None},
    ):
        if ends:
            np.testing.assert_array_equal(outputs(ends, {}), outputs(ends, other))
    outputs([], {})


@pytest.mark.parametrize("name", SCALES)
def test_scales_of_ones_own_normalizations(keras, read, name):
    use, is_scale = SCALES[name]

    class Own(keras.layers.Layer):
        def build(self, shape):
            self.vector = self.add_weight(shape=(shape[-1],), name="vector")

        def call(self, x):
            return use(keras.ops, x, self.vector)

    layers = [keras.layers.Dense(4), Own(), keras.layers.Dense(2)]
    _, names, found = read(keras.Sequential([keras.Input((3,)), *layers]))
    scales = [
        names[position].rpartition("/")[2] for position in found.having("normalization_scale")
    ]
    assert scales == ["vector"] * is_scale


def test_a_model_that_cannot_be_called_on_a_symbolic_batch_says_why(keras, read):
    class Eager(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            if not hasattr(x, "numpy"):
                raise TypeError("needs values")
            return self.dense(x)

    model = Eager()
    model(np.zeros((2, 10), "float32"))
    with pytest.raises(TypeError, match="needs values"):
        read(model)
