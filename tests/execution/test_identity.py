"""The key of a configuration: what decides its numbers changes it, and nothing else does."""

import sys

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from runner.execution import folders
from runner.execution.composing import CONF, strictly
from runner.execution.configure import Job
from runner.execution.preflight import Preflight, Ready

BASE = ("dataset=iris", "engine=keras", "init=normal")

DECIDES = {
    "data": ["dataset=wine"],
    "split": ["dataset.split_seed=1"],
    "scaling": ["dataset.standardize=false"],
    "model": ["model.depth=1"],
    "activation": ["model.activation=tanh"],
    "initializer": ["init=he_normal"],
    "scale": ["init.scale=0.1"],
    "optimizer": ["optimizer=adam"],
    "rate": ["optimizer.learning_rate=0.5"],
    "epochs": ["training.epochs=3"],
    "batches": ["training.batch_size=7"],
    "limit": ["training.divergence_limit=10"],
    "engine": ["engine=vectorized"],
    "nothing trained": ["training=none"],
}

TELLS = {
    "again": [],
    "spelled out": ["init.scale=0.05", "device=cpu", "optimizer.learning_rate=0.1"],
    "scaling as usual": ["dataset.standardize=true"],
    "more seeds": ["seeds=9"],
    "crossed seeds": ["weight_seeds=[0]", "batch_seeds=[0,1]"],
    "tracking": ["tracking=none"],
    "report": ["report.at=best", "report.metric=val_loss"],
    "target": ["training.target_metric=val_loss", "training.target_value=0.1"],
    "rerun": ["rerun=true"],
}


IN_PROGRAMS = {
    "activation": ["model.activation=tanh"],
    "decay": ["optimizer.weight_decay=0.1"],
    "schedule": ["optimizer.schedule=cosine"],
    "batches": ["training.batch_size=7"],
    "limit": ["training.divergence_limit=10"],
    "loss": ["training.loss=categorical_focal_crossentropy"],
    "metric": ["training.metrics=[sparse_top_k_categorical_accuracy]"],
    "smoothing": ["training.label_smoothing=0.1"],
    "stopping": ["training.early_stopping.patience=2"],
    "precision": ["training.precision=bfloat16"],
    "a rate that a function may calculate with": [
        *("optimizer=custom", "optimizer.target=Lamb", "optimizer.learning_rate=0.5"),
    ],
}

GIVEN_TO_PROGRAMS = {
    "other rows": ["dataset.split_seed=1"],
    "initializer": ["init=he_normal"],
    "seeds": ["seeds=[3,5]"],
    "rate": ["optimizer.learning_rate=0.5"],
    "epochs": ["training.epochs=3"],
    "weights by class": ["training.class_weight=balanced"],
    "kept weights": ["training.save=end"],
}


@pytest.fixture
def ready(tmp_path, monkeypatch, keras):
    """Returns a function that prepares what the overrides ask for."""
    monkeypatch.chdir(tmp_path)
    folders.register_resolver()

    def of(*overrides: str) -> Ready:
        with strictly(), initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("config", [*BASE, *overrides])
        settings = OmegaConf.to_container(config, resolve=True)
        ready, refused = Preflight().check([Job(0, tmp_path, settings, tmp_path / "log")])
        assert not refused, refused[0].error
        return ready[0]

    return of


@pytest.fixture
def key(ready):
    """Returns a function that gives the key of what the overrides ask for."""
    return lambda *overrides: ready(*overrides).record.identity


@pytest.mark.sampled
@pytest.mark.parametrize("name", DECIDES)
def test_what_decides_numbers_changes_the_key(name, key):
    assert key(*DECIDES[name]) != key()


@pytest.mark.sampled
@pytest.mark.parametrize("name", TELLS)
def test_what_only_tells_of_them_does_not(name, key):
    assert key(*TELLS[name]) == key()


def test_programs_are_told_apart_by_what_they_compute_by(ready):
    usual = ready().program_key
    lamb = ready(*IN_PROGRAMS["a rate that a function may calculate with"][:2]).program_key
    keys = [usual, lamb, *(ready(*lines).program_key for lines in IN_PROGRAMS.values())]
    assert len(set(keys)) == len(keys)


@pytest.mark.slow
def test_programs_are_not_told_apart_by_what_they_are_given(ready):
    usual = ready().program_key
    found = {name: ready(*lines).program_key for name, lines in GIVEN_TO_PROGRAMS.items()}
    assert found == dict.fromkeys(GIVEN_TO_PROGRAMS, usual)


@pytest.mark.parametrize(("init", "looks"), [("lsuv", True), ("he_normal", False)])
def test_the_size_of_the_batch_counts_where_the_initializer_looks_at_it(init, looks, key):
    usual = key(f"init={init}")
    assert (key(f"init={init}", "diagnostics.examples=64") != usual) is looks
    assert key(f"init={init}", "diagnostics=none") == usual


def test_the_data_counts_and_not_its_place(key, numbers):
    x, y = numbers.normal(size=(60, 4)), np.arange(60) % 3
    np.savez("first.npz", x=x, y=y)
    np.savez("a copy.npz", x=x, y=y)
    np.savez("other.npz", x=x + 1, y=y)
    first, copy, other = (
        key("dataset=arrays", f"dataset.path='{name}.npz'", "dataset.standardize=false")
        for name in ("first", "a copy", "other")
    )
    assert first == copy != other


MODEL = """
import keras
from identity_user_layers import units

def build(input_shape, num_outputs):
    return keras.Sequential(
        [keras.Input(input_shape), keras.layers.Dense(units()), keras.layers.Dense(num_outputs)]
    )
"""
LAYERS = "def units():\n    return 4\n"

SOURCES = {
    "same": (MODEL, LAYERS, True),
    "the model's own file": (MODEL + "# new", LAYERS, False),
    "a file that it imports": (MODEL, LAYERS + "# new", False),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_source_of_the_users_code_counts_with_what_it_imports(name, key, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    *sources, same = SOURCES[name]

    def with_sources(*texts: str) -> str:
        for module, text in zip(
            ["identity_user_model", "identity_user_layers"], texts, strict=True
        ):
            (tmp_path / f"{module}.py").write_text(text)
            sys.modules.pop(module, None)
        return key("model=custom", "model.function=identity_user_model.build")

    # Python trusts a compiled file whose source has kept its size and its second.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert (with_sources(MODEL, LAYERS) == with_sources(*sources)) is same


def test_the_source_of_what_a_rule_names_counts(key, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def with_value(value: int) -> str:
        law = (
            f"import numpy\ndef mine(shape, dtype):\n    return numpy.full(shape, {value}, dtype)\n"
        )
        (tmp_path / "identity_user_law.py").write_text(law)
        sys.modules.pop("identity_user_law", None)
        return key("init.rules=[{index: -1, init: identity_user_law.mine}]")

    assert with_value(2) == with_value(2) != with_value(3)
