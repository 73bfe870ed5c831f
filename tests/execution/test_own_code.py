"""A user's own model, layers and initializers, through the command."""

import json

import pandas as pd
import pytest

MODULE = """
import keras
from elsewhere import lazy


class Linear(keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units), initializer="random_normal")
        same = keras.initializers.RandomNormal(seed=1)
        self.gate = self.add_weight(shape=(1, self.units), initializer=same)

    def call(self, x):
        return x @ self.w * self.gate


def build(input_shape, num_outputs, units=3):
    first = keras.layers.Dense(units, "relu", kernel_initializer="lecun_normal")
    model = keras.Sequential([keras.Input(input_shape), first, Linear(num_outputs)])
    model.compile("adam", "mse", metrics=["accuracy"])
    return model


def gates_only(input_shape, num_outputs):
    layers = [keras.layers.LayerNormalization(), keras.layers.Lambda(lambda x: x[:, :num_outputs])]
    return keras.Sequential([keras.Input(input_shape), *layers])


class Fixed(keras.initializers.HeNormal):
    def __init__(self):
        super().__init__(seed=42)
"""
LIBRARY = """
import types


class Lazy(types.ModuleType):
    def __getattribute__(self, name):
        raise AttributeError(f"`{name}` is not available.")


lazy = Lazy("lazy")
"""
OPTIONS = (
    *("dataset=iris", "tracking=none", "report.figures=false", "diagnostics=none", "engine=keras"),
    "model=custom",
)


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """Writes a module into the working directory, and a library of it into another folder."""
    library = tmp_path / "site"
    library.mkdir()
    (library / "elsewhere.py").write_text(LIBRARY)
    (library / "elsewhere-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(library)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_code.py").write_text(MODULE)


@pytest.mark.slow
def test_what_is_drawn_and_what_is_not_is_said(command, own_code):
    done = command(
        *("--multirun", *OPTIONS, "seeds=2", "training=none", "model.function=own_code.build"),
        *("model.arguments.units=2", "init=custom", "init.target=own_code.Fixed,HeNormal"),
    )
    assert done.code == 0, done.output
    for text in (
        "linear/w     2 × 3      2       3 used in a product",
        "its compile settings are not used (loss mse, optimizer Adam, metrics accuracy)",
        "`init` replaces its kernels' own initializers (dense/kernel: LecunNormal)",
        "`init` draws 84.2 % of the trainable parameters; linear/gate (1, 3) keep",  # 16 of 19
        "! Same kernels for every seed: own_code.Fixed(weights=fixed), whose seeds differ in no",
        "! Not drawn: linear/gate start",
    ):
        assert text in done.output
    replicates = pd.read_csv(done.folder / "replicates.csv")
    assert set(replicates["init"]) == {"own_code.Fixed(weights=fixed)", "HeNormal"}
    record = json.loads((done.folder / "0" / "configuration.json").read_text())
    assert record["varies"] == []  # nothing is trained
    assert record["undrawn"] == ["linear/gate"]
    origins = {kernel["path"]: kernel["origin"] for kernel in record["kernels"]}
    assert origins == {"dense/kernel": "name", "linear/w": "product"}


def test_a_model_without_kernels_is_refused(command, own_code):
    done = command(*OPTIONS, "model.function=own_code.gates_only", "init=he_normal")
    assert done.code == 1
    assert "`init` must have a kernel to draw. Received: he_normal" in done.output
    assert "init.kernels=" in done.output
    assert not list(done.folder.glob("0/replicates/*"))
