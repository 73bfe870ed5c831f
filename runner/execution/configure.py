"""From the tree that Hydra composed to typed configurations; needs no TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

from runner import datasets, initializers, models
from runner.config import ConfigError, choose
from runner.design import DEFAULT_LOOKS, rounds
from runner.execution.backends.settings import CATALOGUE as EXECUTION
from runner.execution.backends.settings import Execution
from runner.plan import (
    AUTO,
    Choice,
    Configuration,
    NoTracking,
    NoTraining,
    Replicate,
    Report,
    Tracking,
    Training,
    replicates,
)
from runner.propagation.settings import CATALOGUE as DIAGNOSTICS
from runner.training import optimizers
from runner.training.tensorflow import check_device


@dataclass(frozen=True)
class _Engine:
    """How replicates are trained; there is nothing to set."""


# What each group of options has: the name of an option -> its settings.
GROUPS: dict[str, Mapping[str, type]] = {
    "dataset": datasets.CATALOGUE,
    "model": models.CATALOGUE,
    "init": initializers.CATALOGUE,
    "optimizer": optimizers.CATALOGUE,
    "training": {"default": Training, "none": NoTraining},
    "diagnostics": DIAGNOSTICS,
    "engine": {"vectorized": _Engine, "keras": _Engine},
    "execution": EXECUTION,
    "tracking": {"mlflow": Tracking, "none": NoTracking},
    "report": {"default": Report},
}


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
          ConfigError: A setting that has no default was not given, or refers to what is not there.
        """
        try:
            settings = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
        except MissingMandatoryValue as error:
            key = error.full_key
            raise ConfigError(
                f"`{key}` has no default. Received: nothing; give {key}=..."
            ) from None
        except InterpolationResolutionError as error:
            why = str(error).splitlines()[0]
            raise ConfigError(f"`{error.full_key}` cannot be resolved: {why}.") from None
        output = Path(hydra_config.runtime.output_dir)
        named = {str(key): value for key, value in dict(settings).items()}  # type: ignore[arg-type]
        return cls(
            index=int(OmegaConf.select(hydra_config, "job.num", default=None) or 0),
            folder=Path(hydra_config.sweep.dir),
            settings=_with_looks(named, hydra_config.overrides.task),
            log_file=output / f"{hydra_config.job.name}.log",
        )


def _with_looks(settings: dict[str, Any], typed: Sequence[str]) -> dict[str, Any]:
    """Returns the settings with the usual looks where `seeds=auto` would have a single one.

    A file that declares one look, such as an experiment's, means it for its own number of seeds.

    Args:
      settings: Of a job.
      typed: What stands on the command line, which holds.
    """
    report = settings.get("report")
    keys = {line.lstrip("+").partition("=")[0] for line in typed}
    if settings.get("seeds") != AUTO or not isinstance(report, Mapping):
        return settings
    looks = report.get("looks")
    if keys & {"report", "report.looks"} or not isinstance(looks, list) or len(looks) != 1:
        return settings
    return {**settings, "report": {**report, "looks": list(DEFAULT_LOOKS)}}


@dataclass(frozen=True)
class SweepSettings:
    """What holds for a whole sweep.

    Attributes:
      auto: Whether seeds are added until every comparison is decided.
      Other attributes: see `conf/config.yaml`.
    """

    execution: Execution
    tracking: Tracking | NoTracking
    report: Report
    rerun: bool
    dry_run: bool
    compilation_cache: bool
    auto: bool


def configuration(job: Job) -> Configuration:
    """Returns the typed configuration of a job.

    Raises:
      ConfigError: A setting breaks its rule.
    """
    settings = job.settings
    return Configuration(
        index=job.index,
        folder=job.folder / str(job.index),
        dataset=_choice(settings, "dataset"),
        model=_choice(settings, "model"),
        init=_choice(settings, "init"),
        optimizer=_choice(settings, "optimizer"),
        training=_choice(settings, "training").settings,
        diagnostics=_choice({"diagnostics": {"name": "none"}, **settings}, "diagnostics").settings,
        engine=_choice(settings, "engine").name,
        device=check_device(str(settings["device"])),
        replicates=_replicates(settings),
        settings=settings,
    )


def _replicates(settings: Mapping[str, Any]) -> tuple[Replicate, ...]:
    """Returns the replicates of a job: with `seeds=auto` those of the first look."""
    keys = ("seeds", "weight_seeds", "batch_seeds")
    seeds, weight_seeds, batch_seeds = (settings[key] for key in keys)
    if seeds != AUTO:
        return replicates(seeds, weight_seeds, batch_seeds)
    first = rounds(_choice(settings, "report").settings.looks)[0]
    return replicates(seeds, weight_seeds, batch_seeds, first)


def sweep_settings(jobs: Sequence[Job]) -> SweepSettings:
    """Returns what must be the same in all jobs of a sweep.

    Raises:
      ConfigError: It is not, or a setting breaks its rule.
    """
    first = jobs[0].settings
    same = ("execution", "tracking", "report", "rerun", "dry_run", "verbose", "compilation_cache")
    for key in same:
        for job in jobs[1:]:
            if job.settings[key] != first[key]:
                raise ConfigError(f"`{key}` must be the same in every configuration of a sweep.")
    return SweepSettings(
        execution=_choice(first, "execution").settings,
        tracking=tracking(first["tracking"]),
        report=_choice(first, "report").settings,
        rerun=first["rerun"],
        dry_run=first["dry_run"],
        compilation_cache=first["compilation_cache"],
        auto=_is_auto(jobs),
    )


def _is_auto(jobs: Sequence[Job]) -> bool:
    """Tells whether `seeds=auto`.

    Raises:
      ConfigError: It is so in some configurations only, or cannot be.
    """
    auto = [job for job in jobs if job.settings["seeds"] == AUTO]
    if auto and len(auto) < len(jobs):
        raise ConfigError(
            "`seeds=auto` must hold for every configuration of a sweep: how many seeds one gets "
            "depends on the others."
        )
    for job in auto:
        _replicates(job.settings)
    return bool(auto)


def tracking(node: Any) -> Tracking | NoTracking:
    """Returns where the runs are tracked.

    Raises:
      ConfigError: A setting breaks its rule.
    """
    return _choice({"tracking": node}, "tracking").settings


def _choice(settings: Mapping[str, Any], group: str) -> Choice:
    node = settings[group]
    if not isinstance(node, Mapping):
        raise not_an_option(group, node)
    return Choice(str(node.get("name")), choose(GROUPS[group], node, group))


def not_an_option(group: str, received: object) -> ConfigError:
    """Returns the error about what stands in the place of an option's settings."""
    advice = f"A file chooses an option in its defaults: `- override /{group}: <option>`."
    return ConfigError.at(group, "the `name` and the settings of an option", received, advice)
