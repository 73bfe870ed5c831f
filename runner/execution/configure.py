"""From the tree that Hydra composed to typed configurations; needs no TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from runner import datasets, initializers, models
from runner.config import ConfigError, choose, one_of
from runner.plan import (
    Choice,
    Configuration,
    NoTracking,
    NoTraining,
    Report,
    Tracking,
    Training,
    replicates,
)
from runner.propagation.settings import CATALOGUE as DIAGNOSTICS
from runner.training import optimizers
from runner.training.tensorflow import check_device

TRAINING = {"default": Training, "none": NoTraining}
ENGINES = ("vectorized", "keras")
TRACKING = {"mlflow": Tracking, "none": NoTracking}


@dataclass(frozen=True)
class Job:
    """One job as Hydra hands it over.

    Attributes:
      index: Number in the sweep.
      folder: Folder of the sweep.
      settings: The resolved configuration as plain values.
      log_file: The job's log.
    """

    index: int
    folder: Path
    settings: Mapping[str, Any]
    log_file: Path

    @classmethod
    def from_hydra(cls, hydra_config: Any, cfg: DictConfig) -> "Job":
        """Resolves the job that Hydra is running (only there do its interpolations resolve).

        Raises:
          ConfigError: A setting that has no default was not given.
        """
        try:
            settings = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
        except MissingMandatoryValue as error:
            key = error.full_key
            raise ConfigError(
                f"`{key}` has no default. Received: nothing; give {key}=..."
            ) from None
        if OmegaConf.select(hydra_config, "job.chdir", default=False):
            raise ConfigError.at("hydra.job.chdir", "false: paths start from where you are", True)
        output = Path(hydra_config.runtime.output_dir)
        return cls(
            index=int(OmegaConf.select(hydra_config, "job.num", default=None) or 0),
            folder=Path(hydra_config.sweep.dir),
            settings={str(key): value for key, value in dict(settings).items()},  # type: ignore[arg-type]
            log_file=output / f"{hydra_config.job.name}.log",
        )


@dataclass(frozen=True)
class SweepSettings:
    """What holds for a whole sweep."""

    tracking: Tracking | NoTracking
    report: Report
    rerun: bool
    dry_run: bool


def configuration(job: Job) -> Configuration:
    """Returns the typed configuration of a job.

    Raises:
      ConfigError: A setting breaks its rule.
    """
    settings = job.settings
    return Configuration(
        index=job.index,
        folder=job.folder / str(job.index),
        dataset=_choice(datasets.CATALOGUE, settings, "dataset"),
        model=_choice(models.CATALOGUE, settings, "model"),
        init=_choice(initializers.CATALOGUE, settings, "init"),
        optimizer=_choice(optimizers.CATALOGUE, settings, "optimizer"),
        training=choose(TRAINING, settings["training"], "training"),
        diagnostics=choose(
            DIAGNOSTICS, settings.get("diagnostics", {"name": "none"}), "diagnostics"
        ),
        engine=one_of(*ENGINES).apply("engine.name", settings["engine"].get("name")),
        device=check_device(str(settings["device"])),
        replicates=replicates(settings["seeds"], settings["weight_seeds"], settings["batch_seeds"]),
        settings=settings,
    )


def sweep_settings(jobs: Sequence[Job]) -> SweepSettings:
    """Returns what must be the same in all jobs of a sweep.

    Raises:
      ConfigError: It is not, or a setting breaks its rule.
    """
    first = jobs[0].settings
    for key in ("tracking", "report", "rerun", "dry_run"):
        for job in jobs[1:]:
            if job.settings[key] != first[key]:
                raise ConfigError(f"`{key}` must be the same in every configuration of a sweep.")
    return SweepSettings(
        tracking=tracking(first["tracking"]),
        report=choose({"default": Report}, first["report"], "report"),
        rerun=first["rerun"],
        dry_run=first["dry_run"],
    )


def tracking(node: Any) -> Tracking | NoTracking:
    """Returns where the runs are tracked.

    Raises:
      ConfigError: A setting breaks its rule.
    """
    return choose(TRACKING, node, "tracking")


def _choice(catalogue: Mapping[str, type], settings: Mapping[str, Any], key: str) -> Choice:
    node = settings[key]
    if not isinstance(node, Mapping):
        raise ConfigError.at(key, "one of the options that --help lists", node)
    return Choice(str(node.get("name")), choose(catalogue, node, key))
