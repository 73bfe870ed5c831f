"""Synthetic results: curves by formula from a seeded generator, written as a sweep writes them."""

import dataclasses
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner import report
from runner.design import DEFAULT_BASELINES, DEFAULT_LOOKS, Design
from runner.records import (
    ConfigurationRecord,
    KernelRecord,
    PropagationRecord,
    ReplicateRecord,
    Status,
    SweepRecord,
    write_record,
)
from runner.report.results import Results, collect

CLASSES = 10
PARAMETERS = ("dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias")
VERSIONS = {"python": "3.11.9", "runner": "0.1.0", "tensorflow": "2.21.0", "keras": "3.15.1"}


@dataclass(frozen=True)
class Behaviour:
    """How one initializer's replicates turn out.

    Attributes:
      score: Accuracy that training tends to.
      speed: Inverse of the number of epochs that it takes.
      learns: Whether it leaves the uninformed loss.
      ends: Seed -> status; a seed that is not named finishes, None leaves no record.
      fallback: Law of the last kernel, if it is not the initializer's own.
    """

    score: float = 0.95
    speed: float = 0.2
    learns: bool = True
    ends: Mapping[int, Status | None] = field(default_factory=dict)
    fallback: str | None = None


def curves(
    behaviour: Behaviour, seed: int, epochs: int, task: str, ease: float
) -> dict[str, list[float]]:
    """Returns a replicate's curves; one seed has the same luck under every initializer."""
    luck = np.random.default_rng(seed).normal(0, 0.004)
    noise = np.random.default_rng([seed, round(1e6 * behaviour.score)])
    epoch = np.arange(epochs + 1)
    progress = 1 - np.exp(-behaviour.speed * ease * epoch) if behaviour.learns else 0.0 * epoch
    jitter = noise.normal(0, 0.003, (4, epochs + 1)) * (progress > 0)
    start = math.log(CLASSES) if task == "classification" else 1.0
    gap = 1 - behaviour.score + 0.02
    loss = start * (gap / 3) ** progress * np.exp(10 * jitter[0])
    chance = 1 / CLASSES
    accuracy = chance + (behaviour.score - chance) * progress
    if task == "regression":
        return {
            "loss": list(loss),
            "mae": list(np.sqrt(loss) * 0.8),
            "val_loss": list(loss * 1.3 + abs(luck)),
            "val_mae": list(np.sqrt(loss) * 0.9 + abs(luck)),
        }
    return {
        "loss": list(loss),
        "accuracy": list(np.clip(accuracy + 0.02 * progress + jitter[1], 0, 1)),
        "val_loss": list(loss * (1 + 0.4 * progress) * np.exp(10 * jitter[2])),
        "val_accuracy": list(np.clip(accuracy + (luck + jitter[3]) * (progress > 0), 0, 1)),
    }


@dataclass(frozen=True)
class Synthetic:
    """Writes a results folder; see `write`."""

    folder: Path
    behaviours: Mapping[str, Behaviour]
    seeds: Sequence[int] = range(5)
    epochs: int = 20
    factors: Sequence[Mapping[str, Any]] = ({},)
    task: str = "classification"
    at: str = "final"
    command: str = "python -m runner --multirun init=he_normal,zero"
    settings: Mapping[str, Any] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    error: str = "ValueError: something broke"

    def write(self) -> Path:
        """Writes records only, as a sweep does before its report."""
        sweep = SweepRecord(
            name="2026-11-23/18-02-11",
            command=self.command,
            started="2026-11-23T18:02:11+01:00",
            versions=VERSIONS,
            machine="Linux x86_64, 2 cores",
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_record(self.folder / "sweep.json", sweep)
        jobs = [(init, factors) for init in self.behaviours for factors in self.factors]
        for index, (init, factors) in enumerate(jobs):
            self._configuration(index, init, dict(factors))
        for index, (init, error) in enumerate(self.refused.items(), start=len(jobs)):
            refused = ConfigurationRecord(index, init, {}, {}, error=error)
            write_record(self.folder / str(index) / "configuration.json", refused)
        return self.folder

    def _configuration(self, index: int, init: str, factors: dict[str, Any]) -> None:
        behaviour = self.behaviours[init]
        classification = self.task == "classification"
        last_law = behaviour.fallback or init
        record = ConfigurationRecord(
            index=index,
            init=init,
            factors=factors,
            settings={
                "dataset": {"name": "digits", "validation": 0.2},
                "model": {"name": "mlp", "width": 64, "depth": 2},
                "init": {"name": init},
                "optimizer": {"name": "sgd", "learning_rate": 0.1},
                "training": {
                    "name": "default" if self.epochs else "none",
                    "epochs": self.epochs,
                    "batch_size": 128,
                },
                "seeds": len(self.seeds),
                "weight_seeds": None,
                "batch_seeds": None,
                "report": {"name": "default", "baseline": None},
                **self.settings,
            },
            dataset={
                "name": str(factors.get("dataset", "digits")),
                "task": self.task,
                "fingerprint": f"8f3a91c2{factors.get('dataset', '')}",
                "num_train": 1149,
                "num_validation": 288,
                "num_test": 360,
                "input_shape": [64],
                "num_outputs": CLASSES if classification else 1,
                "uninformed_loss": math.log(CLASSES) if classification else 1.0,
                "uninformed_mae": None if classification else 0.8,
            },
            model="mlp",
            num_parameters=8970,
            kernels=[
                KernelRecord("dense/kernel", (64, 64), init),
                KernelRecord("dense_1/kernel", (64, 10), last_law),
            ],
            endpoint="val_accuracy" if classification else "val_loss",
            endpoint_at=self.at,
            num_replicates=len(self.seeds),
        )
        for key, value in factors.items():
            group, _, name = key.partition(".")
            record.settings[group] = {**record.settings.get(group, {}), name or "name": value}
        write_record(self.folder / str(index) / "configuration.json", record)
        ease = 1 / (1 + sum(v for v in factors.values() if isinstance(v, float)))
        for seed in self.seeds:
            status = behaviour.ends.get(seed, "finished")
            if status is not None:
                self._replicate(index, behaviour, seed, status, ease)

    def _replicate(
        self, index: int, behaviour: Behaviour, seed: int, status: Status, ease: float
    ) -> None:
        values = curves(behaviour, seed, self.epochs, self.task, ease)
        whole = self.epochs + 1 if status == "finished" else min(3, self.epochs + 1)
        moved = 0.05 if behaviour.learns else 0.0
        record = ReplicateRecord(
            configuration=index,
            seed=seed,
            weight_seed=seed,
            batch_seed=seed,
            status=status,
            steps=[9 * epoch for epoch in range(whole)],
            curves={metric: line[:whole] for metric, line in values.items()},
            wall_time_s=1.5,
            diverged_epoch=whole if status == "diverged" else None,
            diverged_step=9 * whole if status == "diverged" else None,
            movement={
                name: (0.1, (moved if "_1/bias" not in name else 0.02) * (1 + 0.1 * seed))
                for name in PARAMETERS
            }
            if status == "finished" and self.epochs
            else {},
            error=self.error if status == "failed" else None,
        )
        path = self.folder / str(index) / "replicates" / f"{record.key}.json"
        write_record(path, record)


def scored(
    scores: Mapping[str, Sequence[float | Status | None]],
    *,
    endpoint: str = "val_accuracy",
    loss: Mapping[str, Sequence[float]] | None = None,
    factors: Sequence[Mapping[str, Any]] | None = None,
    at: str = "final",
    epochs: int = 1,
    crossed: bool = False,
    baseline: str | None = None,
    fingerprints: Sequence[str] | None = None,
    looks: tuple[int, ...] | None = DEFAULT_LOOKS,
    margin: float | None = None,
    added: Collection[str] = (),
) -> Results:
    """Returns results with given endpoints.

    Args:
      scores: Initializer -> for each seed its endpoint, or the status of a replicate that did not
        finish, or None for one that left no record. A key may end in "#" and a number to occur
        more than once.
      endpoint: The metric that the scores are of.
      loss: Initializer -> final training losses; others end with the loss of a trained model.
      factors: One for each configuration.
      at: Where the endpoint is taken.
      epochs: 0 for models that were not trained.
      crossed: Whether seeds 0, 1, 2, ... stand for weights 0 and batches 0, 1, 2, ...
      baseline: `report.baseline`.
      fingerprints: Of each configuration's data.
      looks, margin: Of the design; without any look there is no design.
      added: Initializers of a later family.
    """
    configurations, records = [], []
    inits = [key.partition("#")[0] for key in scores]
    reference = baseline or next((name for name in DEFAULT_BASELINES if name in inits), None)
    for index, (key, values) in enumerate(scores.items()):
        init = key.partition("#")[0]
        configurations.append(
            ConfigurationRecord(
                index=index,
                init=init,
                factors=dict(factors[index]) if factors else {},
                settings={
                    "training": {"name": "default" if epochs else "none"},
                    "weight_seeds": [0] if crossed else None,
                    "batch_seeds": list(range(len(values))) if crossed else None,
                    "report": {"baseline": baseline},
                },
                dataset={
                    "name": "digits",
                    "fingerprint": fingerprints[index] if fingerprints else "8f3a91c2",
                    "num_outputs": CLASSES,
                    "uninformed_loss": math.log(CLASSES),
                    "uninformed_mae": 0.8,
                },
                endpoint=endpoint,
                endpoint_at=at,
                num_replicates=len(values),
                design=Design(looks, f"family {int(init in added)}", reference, margin)
                if looks != ()
                else None,
            )
        )
        for seed, value in enumerate(values):
            if value is not None:
                losses = (loss or {}).get(init, [0.1] * len(values))
                record = _record(index, seed, value, endpoint, losses[seed], epochs, crossed)
                records.append(record)
    sweep = SweepRecord("2026-11-23/18-02-11", "python -m runner", "", VERSIONS, "a machine")
    return collect(sweep, configurations, records)


def _record(
    index: int,
    seed: int,
    value: float | Status,
    endpoint: str,
    final_loss: float,
    epochs: int,
    crossed: bool,
) -> ReplicateRecord:
    finished = not isinstance(value, str)
    accuracy = 0.1 if final_loss > 2 else 0.99
    curves = {"loss": [2.3, final_loss], "accuracy": [0.1, accuracy], endpoint: [0.1, value]}
    return ReplicateRecord(
        configuration=index,
        seed=None if crossed and seed else seed,
        weight_seed=0 if crossed else seed,
        batch_seed=seed,
        status="finished" if finished else value,
        steps=list(range(epochs + 1)),
        curves={name: line[-epochs - 1 :] for name, line in curves.items()} if finished else {},
        wall_time_s=1.0,
        diverged_epoch=3 if value == "diverged" else None,
        diverged_step=27 if value == "diverged" else None,
        error="ValueError: it broke" if value == "failed" else None,
    )


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes synthetic records and returns their folder."""

    def write(behaviours: Mapping[str, Behaviour], name: str = "results", **options: Any) -> Path:
        return Synthetic(tmp_path / name, behaviours, **options).write()

    return write


@pytest.fixture(name="scored")
def _scored() -> Callable[..., Results]:
    """Returns the function that makes results from given endpoints."""
    return scored


@pytest.fixture
def behaviour() -> type[Behaviour]:
    """Returns the class of an initializer's behaviour."""
    return Behaviour


DEPTH = 12


def measured(gain: float, seed: int) -> PropagationRecord:
    """Returns the record of a net whose variance grows by a factor in each layer."""
    numbers = np.random.default_rng(seed)
    rows = DEPTH + 1
    theory = gain ** np.arange(rows)
    noise = np.exp(numbers.normal(0, 0.2, rows))
    decades = float(np.log10(gain) * (DEPTH - 1))
    return PropagationRecord(
        layers=[f"hidden_{n}" for n in range(1, rows)] + ["output"],
        activations=["relu"] * DEPTH + [""],
        num_units=[256] * DEPTH + [10],
        judged=list(range(rows)),
        kernels={"dense/kernel": 0.1},
        measured={
            "preactivation_variance": list(theory * noise),
            "activation_variance": list(0.5 * theory * noise),
            "gradient_variance": list(theory[::-1] * noise),
            "correlation": list(1 - 0.9 / (1 + np.arange(rows))),
            "off_share": [0.1] * DEPTH + [None],
            "zero_share": [0.5] * DEPTH + [None],
            "unit_difference": [1.0] * rows,
            "weight_variance": [2.0 * gain] * rows,
        },
        predicted={"preactivation_variance": list(theory)},
        network={
            "loss": 2.4,
            "uninformed_loss": 2.3,
            "input_correlation": 0.1,
            "nonfinite_layers": 0.0,
            "log10_signal_gain": decades,
            "log10_gradient_gain": decades,
            "advice_strain": abs(decades) / 4,
            "advice_gain": gain**-0.5,
            "advice_gain_strain": 0.0,
            "advice_weight_variance": 2.0,
            "advice_weight_variance_strain": 0.1,
        },
        singular_values=list(np.sqrt(gain) ** np.arange(10)),
    )


def add_step_zero(folder: Path, gains: Sequence[float]) -> None:
    """Writes into the records of each configuration what a net with its gain would measure."""
    for index, gain in enumerate(gains):
        for file in (folder / str(index) / "replicates").glob("*.json"):
            content = json.loads(file.read_text())
            content["propagation"] = dataclasses.asdict(measured(gain, content["weight_seed"]))
            file.write_text(json.dumps(content))


@pytest.fixture
def with_step_zero() -> Callable[..., None]:
    """Returns the function that adds what is measured before training."""
    return add_step_zero


@pytest.fixture(scope="session")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the report of a sweep over rates, measured before training."""
    behaviours = {
        "glorot_uniform": Behaviour(0.951, 0.33),
        "normal(mean=0.0, scale=0.5)": Behaviour(0.93, ends={1: "diverged"}),
        "he_normal": Behaviour(0.953, 0.35),
        "zero": Behaviour(learns=False),
    }
    folder = Synthetic(
        tmp_path_factory.mktemp("tuned") / "results",
        behaviours,
        seeds=range(4),
        factors=[{"optimizer.learning_rate": rate} for rate in (0.1, 0.01)],
    ).write()
    add_step_zero(folder, [0.5, 0.5, 30.0, 30.0, 1.0, 1.0, 0.01, 0.01])
    report.write(folder)
    return folder


HOSTILE = "</script><script>alert(1)</script>|`x`\n[a](b)"


@pytest.fixture(scope="session")
def hostile() -> str:
    """Returns a label that breaks out of HTML, scripts, Markdown tables and code, if it can."""
    return HOSTILE


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a whole report: outcomes of every class, and a hostile label."""
    behaviours = {
        "uniform": Behaviour(0.925, 0.12),
        "identity(fallback=glorot_uniform)": Behaviour(0.951, 0.33, fallback="glorot_uniform"),
        "orthogonal": Behaviour(0.953, 0.35),
        "zero": Behaviour(learns=False),
        "he_uniform": Behaviour(0.952, 0.32),
        HOSTILE: Behaviour(0.93, 0.2, ends={1: "failed", 2: "diverged"}),
        "custom(target=a.b)": Behaviour(ends=dict.fromkeys(range(6), "diverged")),
    }
    folder = Synthetic(
        tmp_path_factory.mktemp("report") / "results",
        behaviours,
        seeds=range(6),
        epochs=12,
        factors=[{"model.kw[a.b]": 0.1}, {"model.kw[a.b]": 0.5}],
        command=f"python -m runner init={HOSTILE}",
        error=f"ValueError: {HOSTILE}",
    ).write()
    report.write(folder)
    return folder
