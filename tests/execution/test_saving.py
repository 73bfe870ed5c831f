"""Weights of replicates as files: whose they are, when they are there, and what stands against."""

import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from runner.execution import saving
from runner.execution.checkpoints import CheckpointWriter
from runner.records import read_replicates

# What the engine is given is spied on by `trained`, and nothing is compiled.
TINY = (
    *("dataset=iris", "model.width=8", "model.batch_norm=true", "training.epochs=2"),
    *("report.figures=false", "tracking=none", "diagnostics=none", "engine=keras"),
)
PAIR = (*TINY, "seeds=2")
KEEP = "training.save={}".format
SLOW = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these train."""


def plain(keras):
    """The model of these commands as a user of Keras writes it."""
    layers = keras.layers
    hidden = [layer for _ in range(2) for layer in _hidden(layers)]
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3)])


def _hidden(layers):
    return layers.Dense(8), layers.BatchNormalization(), layers.Activation("relu")


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.resolve() for path in folder.glob("*/weights/*")
    }


def weights(keras, path):
    model = plain(keras)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of numpy about Keras and h5py
        model.load_weights(path)
    return model.get_weights()


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


TWO = {"0/weights/seed-0.weights.h5", "0/weights/seed-1.weights.h5"}


@pytest.mark.parametrize("engine", ["keras", pytest.param("vectorized", marks=SLOW)])
def test_the_end_and_the_start_are_those_of_the_training(command, keras, engine):
    own = (*PAIR, f"engine={engine}")
    done = command(*own, KEEP("end"))
    assert done.code == 0
    assert "Weights (training.save=end): 2 files of " in done.output
    assert set(files(done.folder)) == TWO
    assert not (done.folder / saving.ARRIVING).exists()
    ends = {key: weights(keras, path) for key, path in files(done.folder).items()}
    again = command(*own, KEEP("start"), "rerun=true")
    starts = {key: weights(keras, path) for key, path in files(again.folder).items()}
    names = [path for name in ("hidden_1", "hidden_2") for path in _paths(name)] + ["output/kernel"]
    for key, record in zip(sorted(TWO), read_replicates(done.folder), strict=True):
        model = plain(keras)
        by_path = dict(
            zip(_all_paths(model), zip(starts[key], ends[key], strict=True), strict=True)
        )
        for path in names:
            start, end = by_path[path]
            pair = (_rms(start), _rms(end - start))
            assert record.movement[path] == pytest.approx(pair, rel=1e-12)


def _paths(name):
    return [f"{name}/kernel", f"{name}/bias", f"{name}_norm/gamma", f"{name}_norm/beta"]


def _all_paths(model):
    """Returns what the weights are called in the model of the command."""
    moving = [["moving_mean", "moving_variance"]] * 2
    hidden = [
        [*_paths(f"hidden_{number}"), *(f"{number}/{name}" for name in names)]
        for number, names in enumerate(moving, start=1)
    ]
    return [*hidden[0], *hidden[1], "output/kernel", "output/bias"]


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


# First command, second command -> seeds that the second trains, what it says, files it links.
AGAIN = {
    ("none", "start"): ([], "2 of 2 replicates were already finished", False),
    ("start", "start"): ([], "2 of 2 replicates were already finished", True),
    ("end", "start"): ([], "2 of 2 replicates were already finished", False),
    ("end", "end"): ([], "2 of 2 replicates were already finished", True),
    ("end", "none"): ([], "2 of 2 replicates were already finished", False),
    ("none", "end"): ([0, 1], "the last weights were not kept; for training.save=end", False),
    ("start", "end"): ([0, 1], "the last weights were not kept; for training.save=end", False),
}
USUAL = [("none", "start"), ("end", "end"), ("none", "end")]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("pair", "wanted"),
    [
        pytest.param(*case, id="-".join(case[0]), marks=() if case[0] in USUAL else SLOW)
        for case in AGAIN.items()
    ],
)
def test_what_was_kept_is_linked_or_drawn_or_trained_again(command, trained, keras, pair, wanted):
    first, second = pair
    seeds, text, links = wanted
    there = command(*PAIR, KEEP(first)).folder.resolve()
    trained.clear()
    done = command(*PAIR, KEEP(second))
    assert done.code == 0
    assert text in done.output
    assert trained == seeds
    here = files(done.folder)
    assert set(here) == (set() if second == "none" else TWO)
    before = files(there)
    assert [path.samefile(before[key]) for key, path in here.items() if key in before] == (
        [links] * len(here) if first != "none" else []
    )
    contents = {key: weights(keras, path) for key, path in here.items()}
    shutil.rmtree(there)  # the new folder needs nothing of it
    assert all(same(contents[key], weights(keras, path)) for key, path in here.items())


@pytest.mark.sampled
@pytest.mark.parametrize("save", ["start", "end"])
@pytest.mark.parametrize(
    "options",
    [(), pytest.param(("rerun=true", "hydra.sweeper.max_batch_size=1"), marks=SLOW)],
)
def test_configurations_that_share_a_replicate_have_a_file_each(command, keras, save, options):
    twins = ("--multirun", *TINY, "init=zero,he_normal,zero", "seeds=1")
    done = command(*twins, KEEP(save), *options)
    assert done.code == 0
    found = files(done.folder)
    assert set(found) == {f"{index}/weights/seed-0.weights.h5" for index in range(3)}
    zero, other, twin = (weights(keras, found[key]) for key in sorted(found))
    assert same(zero, twin)
    assert not same(zero, other)


@pytest.mark.parametrize(
    "saves", ["none,end", *(pytest.param(each, marks=SLOW) for each in ("end,none", "start,end"))]
)
def test_what_is_kept_may_differ_within_a_sweep(command, saves):
    done = command("--multirun", *TINY, "seeds=1", KEEP(saves))
    assert done.code == 0
    wanted = [index for index, save in enumerate(saves.split(",")) if save != "none"]
    assert set(files(done.folder)) == {f"{index}/weights/seed-0.weights.h5" for index in wanted}
    first, second = read_replicates(done.folder)
    assert first.identity == second.identity
    assert first.curves == second.curves


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "changed": lambda content: content.replace(content[-4000:-3000], bytes(1000)),
    "no weights": lambda content: b"",
}


@pytest.mark.parametrize(
    "damage",
    [pytest.param(DAMAGES[name], id=name, marks=() if name == "cut" else SLOW) for name in DAMAGES],
)
def test_a_damaged_file_is_named_and_its_replicate_trained_again(command, trained, damage):
    there = command(*PAIR, KEEP("end")).folder.resolve()
    path = files(there)["0/weights/seed-1.weights.h5"]
    path.write_bytes(damage(path.read_bytes()))
    trained.clear()
    done = command(*PAIR, KEEP("end"))
    assert done.code == 0
    assert trained == [1]
    text = done.output.replace("\n", "")
    assert "seed-1.weights.h5: cannot be read as weights (" in text
    assert "1 replicate was already finished, but the last weights were not kept" in text
    assert set(files(done.folder)) == TWO


@pytest.mark.slow
def test_a_replicate_that_diverged_has_a_start_and_no_end(command, trained):
    lost = (*PAIR, "optimizer.learning_rate=1e20")
    end = command(*lost, KEEP("end"))
    assert end.code == 0
    assert files(end.folder) == {}
    again = command(*lost, KEEP("end"))
    assert (again.code, len(trained)) == (0, 2)
    assert set(files(command(*lost, KEEP("start")).folder)) == TWO


@SLOW
def test_without_training_there_is_a_start(command):
    bare = tuple(option for option in PAIR if "epochs" not in option)
    done = command(*bare, "training=none", KEEP("start"))
    assert done.code == 0
    assert set(files(done.folder)) == TWO
    refused = command(*bare, "training=none", KEEP("end"))
    assert refused.code == 1
    assert "`training.save` must be one of none, start. Received: 'end'." in refused.output


def test_a_disk_without_room_is_told_before_training(command, trained, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 9_000))
    done = command(*PAIR, KEEP("end"))
    assert done.code == 1
    assert trained == []
    line = " ".join(done.output.split())
    assert "training.save=end, 2 files of " in line
    assert "and 9.0 kB free in results/" in line
    assert "Make room, or set training.save=none." in line


def test_what_cannot_be_written_is_told_and_the_command_fails(command, monkeypatch):
    def full(path, *_):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(saving, "write", full)
    done = command(*PAIR, KEEP("end"))
    assert done.code == 1
    assert {record.status for record in read_replicates(done.folder)} == {"finished"}
    text = " ".join(done.output.split())
    assert "weights cannot be written: OSError: " in text
    assert "Weights are missing: " in text


HIDING = """
    import keras

    class Hidden(keras.layers.Dense):
        def save_own_variables(self, store):
            store["0"] = self.kernel

        def load_own_variables(self, store):
            self.kernel.assign(store["0"])

    def net(input_shape, num_outputs):
        return keras.Sequential([keras.Input(input_shape), Hidden(num_outputs)])
"""


def test_a_model_that_keras_does_not_save_is_refused(command, tmp_path, trained):
    (tmp_path / "hiding.py").write_text(textwrap.dedent(HIDING))
    own = [option for option in PAIR if not option.startswith("model")]
    done = command(*own, "model=custom", "model.function=hiding.net", KEEP("start"))
    assert done.code == 1
    assert trained == []
    assert "hiding.net, of which it does not save " in " ".join(done.output.split())


@SLOW
def test_a_training_that_goes_on_keeps_both(command, monkeypatch):
    call, calls = CheckpointWriter.__call__, []

    def paused(self, take):
        calls.append(1)
        if len(calls) == 5:  # in the middle of the second replicate
            signal.raise_signal(signal.SIGTERM)
        call(self, take)

    monkeypatch.setattr(CheckpointWriter, "__call__", paused)
    whole = {}
    for save in ("start", "end"):
        calls.clear()
        stopped = command(*PAIR, KEEP("none"))
        assert stopped.code != 0
        done = command(*PAIR, KEEP(save))
        assert done.code == 0
        assert "Going on after epoch 1" in done.output
        found = files(done.folder)
        assert set(found) == TWO
        whole[save] = [saving._origin(path) for path in found.values()]
        shutil.rmtree("results")
    assert {origin.save for origin in whole["end"]} == {"end"}
    assert {origin.save for origin in whole["start"]} == {"start"}


@SLOW
def test_workers_hand_the_same_files_over(command, keras):
    here = command(*PAIR, KEEP("end")).folder.resolve()
    one_each = ("execution.workers=2", "execution.cores=1", "execution.task_s=0.001")
    done = command(*PAIR, KEEP("end"), "rerun=true", *one_each)
    assert done.code == 0
    found, wanted = files(done.folder), files(here)
    assert set(found) == TWO
    assert all(same(weights(keras, found[k]), weights(keras, wanted[k])) for k in TWO)


PLAIN = """
    import sys

    import keras

    assert "runner" not in sys.modules
    layers = keras.layers
    hidden = [
        layer
        for _ in range(2)
        for layer in (layers.Dense(8), layers.BatchNormalization(), layers.Activation("relu"))
    ]
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3)])
    model.compile("sgd", "mse")
    model.load_weights(sys.argv[1])
    print(sum(float(abs(value).sum()) for value in model.get_weights()))
    assert "runner" not in sys.modules
"""


@SLOW
def test_plain_keras_loads_them_without_runner(command, keras, tmp_path):
    done = command(*PAIR, KEEP("end"))
    path = Path(files(done.folder)["0/weights/seed-1.weights.h5"])
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PLAIN), str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    wanted = sum(float(abs(value).sum()) for value in weights(keras, path))
    assert float(told.split()[-1]) == wanted
