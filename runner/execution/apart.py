"""Notices that the jobs of a sweep are run apart, so that no call knows all of them.

Hydra's own launchers (`basic`, `joblib`, ...) run them one by one, perhaps in other processes; a
sweeper may launch them in batches (`hydra.sweeper.max_batch_size`, or one that chooses the next by
the results of the last). They write to disk only; the process that the user started makes the rest
from there (`runner.execution.finish`). Hydra calls the class in that process before any job
starts, so a sweep that is killed later can still be reported on.
"""

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from runner.config import ConfigError
from runner.execution import folders

_COHORT_LAUNCHER = "hydra_plugins.runner_launcher.CohortLauncher"
_BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"

_begun: list[Path] = []


def are_run_apart(config: DictConfig) -> bool:
    """Tells whether the jobs of a sweep reach `runner` in more than one call."""
    launcher, sweeper = config.hydra.launcher, config.hydra.sweeper
    at_once = (
        launcher._target_ == _COHORT_LAUNCHER
        and sweeper._target_ == _BASIC_SWEEPER
        and OmegaConf.select(sweeper, "max_batch_size") is None
    )
    return not at_once


class JobsApartNote(Callback):
    """Hydra's callback; it stands in `conf/config.yaml`."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Writes `sweep.json`, which no single job could, and remembers the folder.

        What would stand against the whole sweep at its end is told before anything is trained.
        """
        if not are_run_apart(config) or config.dry_run:
            return
        from runner.execution.environment import sweep_record
        from runner.records import write_record

        folder = Path(config.hydra.sweep.dir)
        try:
            folders.refuse_used(folder)
            _check_tracking(config)
        except ConfigError as error:  # Hydra makes a warning of what a callback raises
            print(error, file=sys.stderr)
            raise SystemExit(1) from error
        record = sweep_record(folder.resolve(), config.report.confidence)
        try:
            write_record(folder / "sweep.json", record)
        except OSError as error:
            print(folders.unwritten(error), file=sys.stderr)
            raise SystemExit(1) from error
        _begun.append(folder)


def _check_tracking(config: DictConfig) -> None:
    """Opens MLflow's store; not one that has yet to be created, for there may be nothing to record.

    Raises:
      ConfigError: It cannot be used, but is required.
    """
    from runner.execution.configure import tracking
    from runner.plan import Tracking
    from runner.recording.mlflow import MlflowRecorder
    from runner.recording.mlflow_store import can_be_created

    settings = tracking(OmegaConf.to_container(config.tracking, resolve=True))
    if not isinstance(settings, Tracking):
        return
    recorder = MlflowRecorder(settings)
    if not can_be_created(recorder.uri):
        recorder.connect()


def take() -> Path | None:
    """Returns the folder of the sweep whose jobs were run apart, once; None if there was none."""
    return _begun.pop() if _begun else None
