"""One sweep in this process, by what people have in a notebook."""

import os
import random
import signal
import sys
import threading

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra

import runner

WIDTH = 4
RATE = {"optimizer.learning_rate": 0.01}


def build(input_shape, num_outputs):
    import keras

    hidden = keras.layers.Dense(WIDTH, activation="relu")
    return keras.Sequential([keras.Input(input_shape), hidden, keras.layers.Dense(num_outputs)])


@pytest.fixture(scope="module")
def data():
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(60, 3)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The working directory."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield folder


def compare(data, **settings):
    known = {"init": ["keep", "zero"], "seeds": 2, "epochs": 1, "tracking": "none"}
    return runner.compare(build, *data, **{**known, "report.figures": False, **settings})


@pytest.fixture(scope="module")
def result(keras, folder, data):
    return compare(data, optimizer="adam", **{"optimizer.learning_rate": [0.01, 0.1]})


def test_every_setting_reaches_the_sweep(result):
    assert sorted({record.init for record in result.configurations}) == ["keep", "zero"]
    assert {r.factors["optimizer.learning_rate"] for r in result.configurations} == {0.01, 0.1}
    assert list(result.replicates["seed"]) == [0, 1] * 4
    assert set(result.replicates["status"]) == {"finished"}
    assert result.sweep.command.startswith("runner.compare(build=build, x=x, y=y, init=['keep'")


def test_the_results_are_those_of_a_command(result, folder):
    assert result.folders[0].resolve() == (folder / "results" / "latest").resolve()
    assert repr(runner.load("results/latest")) == repr(result)
    assert (folder / "results" / "latest" / "0" / ".hydra" / "config.yaml").exists()


def test_data_are_written_once(result, folder):
    assert len(list((folder / "results" / "data").iterdir())) == 1


@pytest.mark.slow
def test_what_a_function_uses_is_trained_again_if_it_has_changed(result, data, monkeypatch):
    monkeypatch.setitem(globals(), "WIDTH", 5)
    changed = compare(data, optimizer="adam", init="keep", **RATE)
    assert changed.replicates["reused_from"].isna().all()


def state(keras):
    return {
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "attention": keras.config.is_flash_attention_enabled(),
        "hydra": GlobalHydra.instance().is_initialized(),
        "argv": list(sys.argv),
        "hook": sys.unraisablehook,
        "policy": keras.config.dtype_policy().name,
        "environment": {**os.environ},
    }


def test_the_process_is_left_as_it_was(result, data, keras, monkeypatch):
    import tensorflow as tf

    keras.utils.set_random_seed(3)
    expected = float(tf.random.uniform([])), keras.layers.Dense(1).name
    keras.utils.set_random_seed(3)
    keras.config.disable_flash_attention()
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    try:
        before = state(keras)
        again = compare(data, optimizer="adam", init="keep", **RATE)
        assert state(keras) == before
        compare(data, init="keep", dry_run=True, **{"training.precision": "bfloat16"})
        assert state(keras) == before
    finally:
        keras.config.enable_flash_attention()
    assert again.replicates["reused_from"].notna().all()
    assert float(tf.random.uniform([])) == expected[0]
    assert keras.layers.Dense(1).name != expected[1]  # names are counted on


def test_a_thread_may_call_it(result, data):
    found = []
    settings = {"optimizer": "adam", "init": "keep", **RATE}
    thread = threading.Thread(target=lambda: found.append(compare(data, **settings)))
    thread.start()
    thread.join()
    assert found[0].replicates["reused_from"].notna().all()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"epochs": "x"}, r"`epochs` must be a positive integer. Received: 'x'"),
        ({"init": "he_norml"}, r"`init` must be one of .* Did you mean `he_normal`"),
        ({"training.epochz": 3}, r"`training.epochz` is not a setting of training=default"),
        ({"device": "tpu"}, r"`device` must be auto, cpu, gpu, or gpu:<number>"),
        ({"dataset": "digits"}, r"`dataset` must be left out where `x` is given"),
        ({"model": "mlp"}, r"`model` must be left out: `build` says"),
        ({"target": "y"}, r"`target` must be left out"),
        ({"validation_data": (1, 2, 3, 4)}, r"`validation_data` must be \(x, y\)"),
    ],
)
def test_a_mistake_is_a_value_error(folder, data, settings, text):
    with pytest.raises(ValueError, match=text):
        compare(data, **settings)


def test_an_unknown_keyword_is_a_type_error(data):
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        compare(data, epoch=3)


def test_step_0_is_inspected(result, data, folder):
    before = sorted(folder.rglob("*"))
    look = runner.inspect(build, *data, init=["he_normal", "zero"], seeds=2)
    assert list(look.verdicts["configuration"]) == ["he_normal", "zero"]
    assert look.verdict.splitlines()[1].startswith("zero is symmetric: ")
    assert look.advice.startswith("zero: Try init=")
    assert {"measured", "predicted"} <= set(look.table)
    assert len(look.plot().to_dict()["datasets"]) > 0
    for shown in (repr(look), look._repr_html_()):
        assert "symmetric" in shown
        assert "theory" in shown
    assert sorted(folder.rglob("*")) == before  # nothing is left
