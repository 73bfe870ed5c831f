"""The vectorized engine against the reference engine, and its replicas against each other."""

import dataclasses
import re
import uuid
from functools import partial

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets.dataset import Part
from runner.plan import Training
from runner.tasks import Signature
from runner.training.cohort import Member
from tests.training.cohorts import (
    BATCH,
    CLASSES,
    ENDS,
    MODELS,
    SHAPE,
    adding_losses,
    assert_same,
    cnn,
    cohort,
    dataset,
    lstm,
    member,
    mlp,
    of_words,
    run,
    words,
)
from tests.training.test_streaming import subclass_with_two_inputs, two_inputs, with_words


def some_slow(values, quick):
    """Marks what need not be in every run: a program takes seconds to compile."""
    return [v if v in quick else pytest.param(v, marks=pytest.mark.slow) for v in values]


# Of all ends, float64 tells below; rounding differs where outputs are clipped probabilities.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["labels, sigmoid", "one output, sigmoid", "softmax layer", "tokens, softmax"]
)
def test_ends_train_as_in_the_reference_engine(keras, engines, name):
    make, task, num_outputs = ENDS[name]
    model, data = make(keras), dataset(task, num_outputs)
    work = cohort(model, [member(model, seed) for seed in range(3)], "adam", data=data)
    # Adam divides by small numbers at first, which amplifies rounding.
    assert_same(engines, work, rtol=5e-5)


OPTIMIZERS = {
    "momentum": {"ema": 0.8},
    "adam": {"schedule": "step", "warmup": 3},
    "adamw": {"schedule": "cosine", "warmup": 0.2, "final_fraction": 0.1, "ema": 0.5},
    "rmsprop": {"schedule": "linear", "final_fraction": 0.2},
    "sgd": {"schedule": "exponential", "weight_decay": 0.1},
    "lion": {"warmup": 0.3},
    "adagrad": {"clipvalue": 0.01},
    "nadam": {"clipnorm": 0.1},
    "adamax": {"global_clipnorm": 0.1},
}


@pytest.mark.parametrize("name", some_slow(OPTIMIZERS, quick=["adamw"]))
def test_optimizers_update_as_in_the_reference_engine(keras, engines, name):
    model = mlp(keras)
    # Adaptive steps divide by small numbers at first, which amplifies rounding.
    members = [member(model, seed, rate=0.003) for seed in range(2)]
    assert_same(engines, cohort(model, members, name, **OPTIMIZERS[name]), rtol=5e-5)


@pytest.mark.slow
def test_short_sequences_train_alike_one_by_one(keras, engines):
    """An optimizer that looks at whole variables; XLA compiles the unrolled steps."""
    model = lstm(keras)
    members = [member(model, seed) for seed in range(2)]
    assert_same(engines, cohort(model, members, "adam", clipnorm=0.1), rtol=2e-5)


def keeping_biases(learning_rate):
    """Returns an optimizer that knows variables by TensorFlow's names."""
    import keras

    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=0.9)
    optimizer.exclude_from_weight_decay(var_names=["bias", "dense_1/"])
    return optimizer


def halved(learning_rate):
    """Returns an optimizer that calculates with the rate."""
    import keras

    return keras.optimizers.SGD(learning_rate * 0.5)


def with_others_inside(learning_rate):
    """Returns an optimizer that has others, and that knows variables by Keras's paths."""
    import keras

    nadam, sgd = keras.optimizers.Nadam(learning_rate), keras.optimizers.SGD(learning_rate)
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(nadam, {".*/bias": sgd}), loss_scale_factor=64.0
    )


def scaling(learning_rate):
    """Returns an optimizer that scales the loss as it finds fit."""
    import keras

    inner = keras.optimizers.SGD(learning_rate)
    return keras.optimizers.LossScaleOptimizer(inner, dynamic_growth_steps=3)


CUSTOM = {
    "lamb": {"target": "Lamb", "schedule": "cosine"},
    "muon": {"target": "Muon", "arguments": {"exclude_layers": ["dense_1"]}},
    "loss scale": {"target": "SGD", "arguments": {"loss_scale_factor": 1024.0}},
    "accumulated gradients": {
        "target": "Adam",
        "arguments": {"gradient_accumulation_steps": 3, "clipnorm": 0.1},
    },
    "moving average": {"target": "SGD", "arguments": {"use_ema": True, "ema_momentum": 0.5}},
    "moving average that overwrites": {
        "target": "SGD",
        "arguments": {
            "use_ema": True,
            "ema_momentum": 0.5,
            "ema_overwrite_frequency": 2,
            "gradient_accumulation_steps": 2,
        },
    },
    "excluded from decay": {"target": f"{__name__}.keeping_biases"},
    "calculated rate": {"target": f"{__name__}.halved"},
    "others inside": {"target": f"{__name__}.with_others_inside"},
    "scaling": {"target": f"{__name__}.scaling"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CUSTOM)
def test_custom_optimizers_update_as_in_the_reference_engine(keras, engines, name):
    keras.utils.clear_session(free_memory=False)  # the layers are called dense and dense_1
    model = mlp(keras)
    members = [member(model, seed, rate=0.02) for seed in range(2)]
    assert_same(engines, cohort(model, members, "custom", **CUSTOM[name]), rtol=5e-5)


@pytest.mark.slow
def test_losses_of_any_shape_count_and_what_has_no_gradient_is_not_decayed(keras, engines):
    model = adding_losses(keras)
    decay = {"weight_decay": 0.9}
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        assert_same(engines, cohort(model, [member(model, s) for s in (0, 1)], **decay), rtol=2e-5)


def test_a_model_that_changes_while_it_is_evaluated_is_refused(keras, engines):
    class Counting(keras.layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            self.count.assign_add(1)
            return x

    layers = keras.layers
    stack = [keras.Input(SHAPE), layers.Flatten(), Counting(), layers.Dense(CLASSES)]
    model = keras.Sequential(stack)
    with pytest.raises(ConfigError, match=r"must not change its variables.* Set engine=keras\."):
        run(engines["vectorized"], cohort(model, [member(model, 0)]))


def test_a_model_that_is_evaluated_at_random_is_refused(keras, engines):
    class Noise(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(0)

        def call(self, x):
            return x + keras.random.normal(x.shape[1:], seed=self.seed_generator)

    layers = keras.layers
    stack = [keras.Input(SHAPE), layers.Flatten(), Noise(), layers.Dense(CLASSES)]
    model = keras.Sequential(stack)
    with pytest.raises(ConfigError, match=r"random numbers while it is.* Set engine=keras\."):
        run(engines["vectorized"], cohort(model, [member(model, 0)]))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["reference", "vectorized"])
def test_masks_do_not_depend_on_what_is_evaluated(keras, engines, engine):
    model = lstm(keras, dropout=0.5)
    members = [member(model, 0)]
    train = dataset().train  # 21 times, so that the reference engine evaluates it in two calls
    often = Part(np.tile(train.x, (21, 1, 1, 1)), np.tile(train.y, 21))
    longer = dataclasses.replace(dataset(), validation=often)

    def losses(data):
        curves, _ = run(engines[engine], cohort(model, members, epochs=3, data=data))
        return [curves[0, epoch]["loss"] for epoch in (1, 2, 3)]

    assert losses(dataset()) == losses(longer)


def first_rows(count):
    """Returns data with so few training examples."""
    whole = dataset()
    part = Part(whole.train.x[:count], whole.train.y[:count])
    return dataclasses.replace(whole, train=part)


@pytest.mark.slow
def test_fewer_rows_than_a_batch_are_one_step(keras, engines):
    model = mlp(keras)
    few = cohort(model, [member(model, seed) for seed in range(2)], data=first_rows(7))
    assert few.num_steps == few.training.epochs
    assert_same(engines, few, rtol=2e-5)


WHOLE_RUNS = {
    **{name: (model, "sgd", {}, 1e-9) for name, model in MODELS.items()},
    "batch norm and adam": (lambda keras: mlp(keras, batch_norm=True), "adam", {}, 1e-9),
    "momentum": (mlp, "momentum", {}, 1e-9),
    "adamw": (mlp, "adamw", {}, 1e-9),
    "rmsprop": (mlp, "rmsprop", {}, 1e-9),
    "adamw, cosine": (mlp, "adamw", {"schedule": "cosine", "warmup": 0.1, "ema": 0.9}, 1e-9),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE_RUNS)
def test_float64_agrees_over_a_whole_run(keras, engines, float64, name):
    build, optimizer, settings, rtol = WHOLE_RUNS[name]
    model = build(keras)
    members = [member(model, seed) for seed in range(2)]
    assert_same(engines, cohort(model, members, optimizer, epochs=5, **settings), rtol)


SMALL = {"width": 8, "heads": 2, "feed_forward": 16}
# Kinds of inputs and outputs -> (model, data).
KINDS = {
    **{
        f"end, {name}": (make, partial(dataset, task, num_outputs))
        for name, (make, task, num_outputs) in ENDS.items()
    },
    "two inputs": (two_inputs, lambda: with_words(dataset())),
    "class with two inputs": (subclass_with_two_inputs, lambda: with_words(dataset())),
    "next token, transformer": (lambda keras: of_words("transformer", **SMALL), words),
    "next token, lstm": (lambda keras: of_words("rnn", width=4), words),
    "next token, causal convolutions": (
        lambda keras: of_words("conv1d", filters=4, depth=1, causal=True),
        words,
    ),
    "class of tokens, transformer": (
        lambda keras: of_words("transformer", "classification", **SMALL),
        lambda: words("classification"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_float64_agrees_for_all_inputs_and_outputs(keras, engines, float64, name):
    build, data = KINDS[name]
    model = build(keras)
    members = [member(model, seed) for seed in range(2)]
    assert_same(engines, cohort(model, members, "momentum", epochs=5, data=data()), 1e-9)


def test_every_replica_has_its_own_learning_rate(keras, engines):
    model = mlp(keras)
    members = [member(model, 0, rate) for rate in (0.1, 0.01, 0.001)]
    together, _ = run(engines["vectorized"], cohort(model, members, "adam", schedule="cosine"))
    alone, _ = run(engines["reference"], cohort(model, members, "adam", schedule="cosine"))
    for position in range(3):
        value = together[position, 2]["val_loss"]
        assert value == pytest.approx(alone[position, 2]["val_loss"], rel=1e-5)
    assert len({together[position, 2]["val_loss"] for position in range(3)}) == 3


BESIDE_STRANGERS = [11, 0, 12, 2, 13, 1]
EPOCHS = 3  # 12 steps


def independent(engines, model):
    """Returns the curves of six replicas, half of which have trained in other slots as well."""
    key = uuid.uuid4().hex  # both times by the same program
    first, second = (
        run(
            engines["vectorized"],
            dataclasses.replace(
                cohort(model, [member(model, seed) for seed in some], epochs=EPOCHS),
                program_key=key,
            ),
        )[0]
        for some in (range(6), BESIDE_STRANGERS)
    )
    for epoch in range(EPOCHS + 1):
        for slot, seed in enumerate(BESIDE_STRANGERS):
            if seed < 6:
                own, other = dict(second[slot, epoch]), dict(first[seed, epoch])
                # Of what training sums up, a float32 may round otherwise in another lane of the
                # processor; what has been learned may not.
                assert own.pop("loss") == pytest.approx(other.pop("loss"), rel=2**-23)
                assert own == other
    return first


@pytest.mark.parametrize("name", some_slow(MODELS, quick=["mlp", "cnn with many channels"]))
def test_float32_agrees_and_bits_do_not_depend_on_slot_or_neighbours(keras, engines, name):
    model = MODELS[name](keras)
    got = independent(engines, model)
    own = cohort(model, [member(model, seed) for seed in (0, 1)], epochs=EPOCHS)
    wanted, _ = run(engines["reference"], own)
    for key, metrics in wanted.items():
        assert got[key] == pytest.approx(metrics, rel=1e-5), key


@pytest.mark.slow
def test_a_slight_coupling_would_be_seen(keras, engines, monkeypatch):
    import tensorflow as tf

    from runner.training.pure import PureOptimizer

    apply = PureOptimizer.apply

    def coupled(self, values, state, gradients):
        mixed = [0.999 * g + 0.001 * tf.reduce_mean(g, 0, keepdims=True) for g in gradients]
        return apply(self, values, state, mixed)

    monkeypatch.setattr(PureOptimizer, "apply", coupled)
    with pytest.raises(AssertionError, match="comparison failed"):
        independent(engines, mlp(keras))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 10, 37])
def test_numbers_agree_between_program_shapes(keras, engines, count):
    model = mlp(keras)
    # Seed 0 stands in every cohort.
    curves, _ = run(engines["vectorized"], cohort(model, [member(model, s) for s in range(count)]))
    wanted, _ = run(engines["reference"], cohort(model, [member(model, 0)]))
    for epoch in range(3):
        assert curves[0, epoch] == pytest.approx(wanted[0, epoch], rel=1e-5)


BAD = [{"rate": 1e6}, pytest.param({"spoil": True}, marks=pytest.mark.slow)]


@pytest.mark.slow
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_lost_replica_leaves_the_bits_of_the_others_alone(keras, engines, batch_norm, bad):
    model = mlp(keras, batch_norm=batch_norm)
    healthy = [member(model, seed) for seed in range(4)]
    spoiled = [*healthy[:2], member(model, 2, **bad), healthy[3]]
    wanted, _ = run(engines["vectorized"], cohort(model, healthy, epochs=3))
    got, ends = run(engines["vectorized"], cohort(model, spoiled, epochs=3))
    assert ends[2].status == "diverged"
    for position in (0, 1, 3):
        assert ends[position].status == "finished"
        for epoch in range(4):
            assert got[position, epoch] == wanted[position, epoch]


@pytest.mark.parametrize("bad", BAD)
def test_divergence_is_found_at_the_same_step_as_in_the_reference_engine(keras, engines, bad):
    model = mlp(keras)
    members = [member(model, 0), member(model, 1, **bad)]
    ends = [run(engine, cohort(model, members, epochs=3))[1][1] for engine in engines.values()]
    assert ends[0].diverged_step == ends[1].diverged_step
    assert ends[0].diverged_epoch == ends[1].diverged_epoch


@pytest.mark.slow
def test_equal_outputs_name_class_0_as_argmax_does(keras, engines):
    model = mlp(keras)
    zero = Member(lambda: [np.zeros_like(w.numpy()) for w in model.weights], 0, 0.1)
    curves, _ = run(engines["vectorized"], cohort(model, [zero, zero]))
    share = float(np.mean(dataset().train.y == 0))
    assert curves[0, 0]["accuracy"] == pytest.approx(share)


@pytest.mark.slow
def test_an_epoch_is_traced_once_per_program_shape(keras, engines):
    from runner.training import vectorized
    from runner.training.grouping import Grouping

    programs = []
    build = vectorized._Training._build

    class Spy(vectorized._Training):
        def _build(self, form):
            build(self, form)
            programs.append(self.program)

    model = mlp(keras)
    work = cohort(model, [member(model, seed) for seed in range(7)], epochs=4)
    drawn = {i: one.draw() for i, one in enumerate(work.members)}
    list(Spy(Grouping(work), drawn, 0.0).run())
    assert [program.num_traces for program in programs] == [1]


@pytest.mark.slow
def test_little_memory_makes_more_programs_and_the_same_numbers(keras, engines):
    from runner.training import memory

    model = mlp(keras)
    members = [member(model, seed) for seed in range(5)]
    wanted, _ = run(engines["vectorized"], cohort(model, members))
    one = memory.need(model, dataset().train.x, BATCH)
    got, ends = run(engines["vectorized"], within(4 * 2 * one.state_bytes, cohort(model, members)))
    assert {end.status for end in ends.values()} == {"finished"}
    assert got.keys() == wanted.keys()
    for key, metrics in wanted.items():
        assert got[key] == pytest.approx(metrics, rel=1e-5)


@pytest.mark.slow
def test_groups_that_follow_each_other_share_a_program(keras, engines, monkeypatch):
    from runner.training import memory, vectorized
    from runner.training.grouping import Grouping

    model = mlp(keras)
    # Groups of 2, 2 and 1; the first two follow two data orders, the last one.
    one = memory.need(model, dataset().train.x, BATCH)
    work = within(
        4 * 2 * one.state_bytes, cohort(model, [member(model, seed) for seed in range(5)])
    )
    made = []
    monkeypatch.setattr(vectorized, "Grouping", lambda work: made.append(Grouping(work)) or made[0])
    _, ends = run(engines["vectorized"], work)
    assert {end.status for end in ends.values()} == {"finished"}
    (grouping,) = made
    assert [len(group) for group in grouping.groups] == [2, 2, 1]
    form = grouping.forms[0]
    assert grouping.program(form, grouping.width(form)).num_traces == 1


def within(memory_bytes, cohort, cores=None):
    """Returns a cohort that may use so much memory, and so many cores."""
    room = dataclasses.replace(cohort.room, memory_bytes=int(memory_bytes))
    room = dataclasses.replace(room, cores=cores or room.cores)
    return dataclasses.replace(cohort, room=room)


def test_as_many_programs_run_as_there_is_memory_for(keras):
    from runner.training import grouping, memory

    model = mlp(keras)
    step = memory.need(model, dataset().train.x, BATCH).step_bytes
    members = [member(model, seed) for seed in range(5)]
    work = within(2 * 3 * step, cohort(model, members), cores=8)
    divided = grouping.Grouping(work)
    assert (divided.num_threads, divided.width(divided.forms[0])) == (3, 1)


def test_an_evaluation_holds_two_batches_of_each_replica_at_most(keras):
    """Where examples are large, however many replicas there are: see the sizes in its graph."""
    from runner.training import program
    from runner.training.forms import Form

    model, count = cnn(keras), 3
    work = cohort(model, [member(model, seed) for seed in range(count)])
    made = program.Program(work, Form("unrolled", False, count, ""), count, example_bytes=1e9)
    state = made.state(
        [np.stack([v.numpy()] * count) for v in model.trainable_variables],
        [np.stack([v.numpy()] * count) for v in model.non_trainable_variables],
    )
    x, y = np.zeros((50 * BATCH, *SHAPE), np.float32), np.zeros(50 * BATCH, np.int32)
    graph = made.evaluate.trace(state, x, y).graph
    (loop,) = (op for op in graph.get_operations() if "While" in op.type)
    body = graph._get_function(loop.get_attr("body").name).graph
    calls = [op for op in body.get_operations() if op.type.endswith("PartitionedCall")]
    assert len(calls) == count
    for call in calls:
        inner = body._get_function(call.get_attr("f").name).graph
        (maps,) = (op.outputs[0] for op in inner.get_operations() if op.type == "Conv2D")
        assert maps.shape[0] <= 2 * BATCH


@pytest.mark.parametrize("num_replicas", [1, 2])
def test_a_pooling_and_its_gradient_are_done_by_one_library(keras, engines, tmp_path, num_replicas):
    """TensorFlow's own kernel of the gradient takes ten times as long as that of oneDNN."""
    import tensorflow as tf

    model = cnn(keras)
    members = [member(model, seed) for seed in range(num_replicas)]
    with tf.profiler.experimental.Profile(str(tmp_path)):
        run(engines["vectorized"], cohort(model, members, epochs=1))
    (trace,) = (path.read_bytes() for path in tmp_path.rglob("*.xplane.pb"))
    kernels = set(re.findall(rb"MaxPoolGrad:(\w*MaxPoolGrad)", trace))
    is_one_dnn = b":_MklNativeMaxPool" in trace
    assert kernels == {b"_MklNativeMaxPoolGrad" if is_one_dnn else b"MaxPoolGrad"}


def counted(monkeypatch, vectorized):
    """Returns a list to which every call of a program appends (width, epochs)."""
    calls, train = [], vectorized._Training._train

    def watched(self, chunk, orders, count):
        calls.append((tuple(chunk.positions), count))
        return train(self, chunk, orders, count)

    monkeypatch.setattr(vectorized._Training, "_train", watched)
    return calls


@pytest.fixture
def one_by_one(keras, monkeypatch):
    """Programs of one replica, on one thread, that compile quickly."""
    from runner import machine
    from runner.training import grouping
    from runner.training.forms import Form

    alone = [Form("single", False, 1, "")]
    monkeypatch.setattr(grouping, "candidates", lambda *args: list(alone))
    monkeypatch.setattr(machine, "num_cores", lambda *_: 1)


def test_no_epoch_is_trained_for_nothing(keras, engines, one_by_one, monkeypatch):
    from runner.training import vectorized

    calls = counted(monkeypatch, vectorized)
    model = mlp(keras)
    run(engines["vectorized"], cohort(model, [member(model, 0)], epochs=1))
    assert [count for _, count in calls] == [0, 1]


def test_a_program_without_living_replicas_is_not_run(keras, engines, one_by_one, monkeypatch):
    from runner.training import vectorized

    calls = counted(monkeypatch, vectorized)
    model = mlp(keras)
    members = [member(model, 0), member(model, 1, rate=1e6), member(model, 2, spoil=True)]
    curves, ends = run(engines["vectorized"], cohort(model, members, epochs=3))
    assert [ends[position].status for position in range(3)] == ["finished", *["diverged"] * 2]
    trained = {p: sum(n for (q,), n in calls if q == p) for p in range(3)}
    assert trained[0] == 3
    assert trained[1] == ends[1].diverged_epoch == 1
    assert trained[2] == 0  # its loss was lost before any training
    assert {position for position, _ in curves} == {0, 1}


def test_a_form_that_fails_when_it_trains_gives_way_to_the_next(keras, engines, monkeypatch):
    from runner.training import grouping, vectorized
    from runner.training.forms import Form

    forms = [Form("unrolled", False, 10, ""), Form("single", False, 1, "")]
    monkeypatch.setattr(grouping, "candidates", lambda *args: list(forms))
    train = vectorized._Training._train

    def fails(self, chunk, orders, count):
        done = train(self, chunk, orders, count)
        if count and self.program.form.name == "unrolled" and 0 not in chunk.positions:
            raise RuntimeError("no such kernel")
        return done

    model = mlp(keras)
    members = [member(model, 0), member(model, 1), member(model, 2, spoil=True)]
    wanted, _ = run(engines["reference"], cohort(model, members))
    monkeypatch.setattr(vectorized._Training, "_train", fails)
    got, ends = run(engines["vectorized"], cohort(model, members))
    assert [ends[position].status for position in range(3)] == ["finished", "finished", "diverged"]
    assert got.keys() == wanted.keys()
    for key, metrics in wanted.items():
        assert got[key] == pytest.approx(metrics, rel=2e-5)


@pytest.mark.slow
def test_large_sums_of_gradients_do_not_fail_inside_the_loop(keras, engines):
    from runner.models.cnn import Cnn, build

    numbers = np.random.default_rng(3)
    x = numbers.normal(size=(1000, 28, 28, 1)).astype("float32")
    part = Part(x, numbers.integers(0, CLASSES, len(x)).astype("int32"))
    signature = Signature(x.shape[1:], (CLASSES,), "classification")
    model = build(Cnn(batch_norm=True), signature)
    large = cohort(
        model,
        [member(model, seed) for seed in range(2)],
        data=dataclasses.replace(dataset(), train=part, validation=part, test=None),
    )
    training = Training(epochs=6, batch_size=512)
    _, ends = run(engines["vectorized"], dataclasses.replace(large, training=training))
    assert {end.status for end in ends.values()} == {"finished"}


@pytest.fixture
def gpu(keras):
    """The first GPU, without TF32."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow sees no GPU")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield "/GPU:0"
    tf.config.experimental.enable_tensor_float_32_execution(True)


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_trains_as_the_reference_engine_does(keras, engines, gpu, name):
    model = MODELS[name](keras)
    members = [member(model, seed) for seed in range(3)]
    assert_same(engines, cohort(model, members, device=gpu), rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gpu_updates_as_the_reference_engine_does(keras, engines, gpu, name):
    model = mlp(keras)
    members = [member(model, seed, rate) for seed, rate in enumerate((0.003, 0.001))]
    work = cohort(model, members, name, device=gpu, **OPTIMIZERS[name])
    assert_same(engines, work, rtol=2e-4)


@pytest.mark.gpu
def test_a_gpu_trains_chunk_after_chunk(keras, engines, gpu, monkeypatch):
    from runner.training import forms

    monkeypatch.setitem(forms._MAX_STACKED, "GPU", 4)  # two programs, the last one filled up
    model = mlp(keras)
    members = [member(model, seed) for seed in range(7)]
    assert_same(engines, cohort(model, members, "adam", device=gpu), rtol=1e-4)


def assert_no_more_than_noise(engine, work, other, pairs):
    """Compares replicates of two cohorts: by bits, or by rounding where a GPU repeats no bits.

    Some of a GPU's kernels add in the order in which their threads happen to end.

    Args:
      engine: Trains them.
      work, other: The cohorts.
      pairs: Which position of `work` is which one of `other`.
    """
    (first, _), (again, _), (second, _) = (run(engine, one) for one in (work, work, other))
    tolerance = 0 if first == again else 1e-4
    for position, place in pairs:
        for epoch in range(work.training.epochs + 1):
            wanted = pytest.approx(first[position, epoch], rel=tolerance, abs=tolerance)
            assert second[place, epoch] == wanted, (position, epoch)


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_on_a_gpu_slot_and_neighbours_do_not_matter(keras, engines, gpu, name):
    model = MODELS[name](keras)
    work, other = (
        cohort(model, [member(model, seed) for seed in some], device=gpu)
        for some in (range(6), BESIDE_STRANGERS)
    )
    pairs = [(seed, slot) for slot, seed in enumerate(BESIDE_STRANGERS) if seed < 6]
    assert_no_more_than_noise(engines["vectorized"], work, other, pairs)


@pytest.mark.gpu
@pytest.mark.parametrize("bad", [{"rate": 1e6}, {"spoil": True}])
@pytest.mark.parametrize("name", ["mlp", "mlp with batch norm and dropout", "cnn"])
def test_on_a_gpu_a_lost_replica_leaves_the_others_alone(keras, engines, gpu, name, bad):
    model = MODELS[name](keras)
    healthy = [member(model, seed) for seed in range(4)]
    spoiled = [*healthy[:2], member(model, 2, **bad), healthy[3]]
    work, other = (cohort(model, some, epochs=3, device=gpu) for some in (healthy, spoiled))
    assert run(engines["vectorized"], other)[1][2].status == "diverged"
    assert_no_more_than_noise(engines["vectorized"], work, other, [(p, p) for p in (0, 1, 3)])


@pytest.mark.gpu
@pytest.mark.parametrize("bad", [{"rate": 1e6}, {"spoil": True}])
def test_a_gpu_finds_divergence_at_the_same_step(keras, engines, gpu, bad):
    model = mlp(keras)
    members = [member(model, 0), member(model, 1, **bad)]
    work = cohort(model, members, epochs=3, device=gpu)
    ends = [run(engine, work)[1][1] for engine in engines.values()]
    assert ends[0].diverged_step == ends[1].diverged_step
    assert ends[0].diverged_epoch == ends[1].diverged_epoch


@pytest.mark.gpu
def test_a_gpu_holds_the_state_and_the_data(keras, engines, gpu):
    import tensorflow as tf

    from runner.training import vectorized
    from runner.training.grouping import Grouping

    model = mlp(keras)
    work = cohort(model, [member(model, seed) for seed in range(3)], "adam", device=gpu)
    with tf.device(gpu):
        drawn = {i: m.draw() for i, m in enumerate(work.members)}
        training = vectorized._Training(Grouping(work), drawn, 0.0)
        list(training.run())
    state = training.chunks[0].state
    for tensor in (*state.trainable, *state.optimizer[1:], *training.tensors["train"]):
        assert "GPU" in tensor.device


@pytest.mark.gpu
def test_gpu_memory_grows_on_demand(gpu):
    import tensorflow as tf

    for device in tf.config.list_physical_devices("GPU"):
        assert tf.config.experimental.get_memory_growth(device)
