"""A model that looks words up gets their numbers, from arrays and from columns of a table."""

import numpy as np
import pandas as pd
import pytest

SOURCE = """
from keras import Input, Model, Sequential, layers, ops

def words(input_shape, num_outputs):
    hidden = [layers.Embedding(60, 8), layers.GlobalAveragePooling1D()]
    last = [layers.Dense(16, activation="relu"), layers.Dense(num_outputs)]
    return Sequential([Input(input_shape), *hidden, *last])

def column(input_shape, num_outputs):
    inputs = Input(input_shape)
    word = layers.Embedding(60, 8)(inputs[:, 0])
    return Model(inputs, layers.Dense(num_outputs)(ops.concatenate([word, inputs[:, 1:]], axis=1)))

def remainder(input_shape, num_outputs):
    bits = layers.Lambda(lambda x: ops.mod(x, 2.0))
    return Sequential([Input(input_shape), bits, layers.Dense(num_outputs)])
"""

USUAL = (
    *("tracking=none", "diagnostics=none", "engine=keras", "seeds=1", "report.figures=false"),
    *("optimizer=adam", "optimizer.learning_rate=0.02", "training.epochs=12", "model=custom"),
)


def trained(command, *overrides):
    done = command(*USUAL, *overrides)
    assert done.code == 0, done.output
    comparison = pd.read_csv(done.folder / "comparison.csv")
    return done.output, comparison["mean"].item()


@pytest.mark.slow
def test_words_are_learned(command, tmp_path, monkeypatch, numbers):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lookup_user_models.py").write_text(SOURCE)
    x = numbers.integers(2, 60, (900, 10))
    np.savez(tmp_path / "words.npz", x=x, y=(x % 2).sum(axis=1) >= 5)
    output, accuracy = trained(
        command,
        *("dataset=arrays", "dataset.path=words.npz", "model.function=lookup_user_models.words"),
    )
    assert "inputs are not standardized, because layer 'embedding'" in output
    # 180 validation examples; of standardized numbers nothing can be learned but the larger class.
    assert accuracy > 0.9

    table = pd.DataFrame({"word": x[:, 0], "large": x[:, 1] * 1000.0, "y": x[:, 0] % 2})
    table.to_csv(tmp_path / "words.csv", index=False)
    output, accuracy = trained(
        command,
        *("dataset=table", "dataset.path=words.csv", "dataset.target=y"),
        "model.function=lookup_user_models.column",
    )
    assert "1 of 2 inputs are not standardized, because layer 'embedding'" in output
    assert "1 of 2 inputs are whole numbers, and are standardized. If" in output
    assert accuracy > 0.9

    output, accuracy = trained(
        command,
        *("dataset=table", "dataset.path=words.csv", "dataset.target=y"),
        "model.function=lookup_user_models.remainder",
    )
    assert "inputs are not standardized, because the model compares or rounds" in output
    assert accuracy > 0.9
