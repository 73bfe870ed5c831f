"""Scores of real trainings, for procedures that decide how many of them are needed.

Forty sweeps of ten initializers: five data sets, each trained in eight ways. Nothing but what is
named here differs from the defaults of the command.
"""

import contextlib
import io
import tempfile
from pathlib import Path

import pandas as pd

INITS = (
    "glorot_uniform", "uniform", "lecun_uniform", "normal", "identity", "orthogonal", "zero",
    "glorot_normal", "he_normal", "he_uniform",
)  # fmt: skip
"""The ten classic ones; the others are compared with the first."""

DATASETS = "digits", "breast_cancer", "wine", "spirals", "teacher"

Ways = dict[str, dict[str, str | int]]
"""Hidden layers, activation and optimizer -> settings."""

KNOWN: Ways = {
    "2 x relu, sgd": {},
    "2 x tanh, sgd": {"model.activation": "tanh"},
    "2 x relu, adam": {"optimizer": "adam"},
    "4 x relu, sgd": {"model.depth": 4},
}
"""On these were chosen how looks share their level, and when a comparison is given up."""

FRESH: Ways = {
    "1 x sigmoid, rmsprop": {
        "model.depth": 1,
        "model.activation": "sigmoid",
        "optimizer": "rmsprop",
    },
    "3 x elu, momentum": {"model.depth": 3, "model.activation": "elu", "optimizer": "momentum"},
    "2 x gelu, adamw": {"model.activation": "gelu", "optimizer": "adamw"},
    "6 x relu, adam": {"model.depth": 6, "optimizer": "adam"},
}
"""These were trained afterwards."""

SEEDS, EPOCHS = 80, 30


def scores(file: Path, seeds: int, epochs: int) -> pd.DataFrame:
    """Returns the final validation accuracies of all sweeps, trained unless the file has them.

    Args:
      file: Parquet; written where it is not there.
      seeds: How many every initializer is trained with.
      epochs: Of every training.

    Returns:
      One row a replicate: `sweep`, `init`, `seed`, `val_accuracy` (NaN unless it finished),
      `trained` (whether it finished and learned).
    """
    if not file.exists():
        sweeps = [(data, way) for ways in (KNOWN, FRESH) for data in DATASETS for way in ways]
        frames = []
        for number, (data, way) in enumerate(sweeps, start=1):
            print(f"training {number} of {len(sweeps)}: {data}, {way} ...", flush=True)
            frames.append(trained(data, way, seeds, epochs))
        pd.concat(frames, ignore_index=True).to_parquet(file, index=False)
    return pd.read_parquet(file)


def trained(data: str, way: str, seeds: int, epochs: int) -> pd.DataFrame:
    """Returns the scores of one sweep; see `scores`."""
    import runner
    from runner.report.scores import scores as endpoints

    settings = {
        "dataset": data,
        "init.fallback": "glorot_uniform",  # where a kernel of identity is not square
        "report.looks": "any",
        "report.figures": False,
        "diagnostics": "none",
        "tracking": "none",
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        results = runner.compare(
            "mlp", init=list(INITS), seeds=seeds, epochs=epochs, **settings, **(KNOWN | FRESH)[way]
        )
        found = endpoints(results, results.configurations)
    columns = {
        "val_accuracy": found.finished.astype("float32").stack(future_stack=True),
        "trained": found.trained.stack(future_stack=True),
    }
    names = {record.index: record.init.partition("(")[0] for record in results.configurations}
    table = pd.DataFrame(columns).rename_axis(["seed", "batch_seed", "init"]).reset_index()
    table = table.assign(sweep=f"{data}, {way}", init=table["init"].map(names))
    return table[["sweep", "init", "seed", "val_accuracy", "trained"]]
