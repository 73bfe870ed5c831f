"""Notices that one of Hydra's own launchers (`basic`, `joblib`, ...) runs the sweep.

Its jobs run one by one, perhaps in other processes, and write to disk only; the process that the
user started makes the rest from there (`runner.execution.finish`). Hydra calls the class in that
process before any job starts, so a sweep that is killed later can still be reported on.
"""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

_COHORT_LAUNCHER = "hydra_plugins.runner_launcher.CohortLauncher"

_begun: list[Path] = []


class StockLauncherNote(Callback):
    """Hydra's callback; it stands in `conf/config.yaml`."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Writes `sweep.json`, which no single job could, and remembers the folder."""
        if config.hydra.launcher._target_ == _COHORT_LAUNCHER or config.dry_run:
            return
        from runner.execution.environment import sweep_record
        from runner.records import write_record

        folder = Path(config.hydra.sweep.dir)
        record = sweep_record(folder.resolve(), config.report.confidence)
        write_record(folder / "sweep.json", record)
        _begun.append(folder)


def take() -> Path | None:
    """Returns the folder of the sweep that a stock launcher ran, once; None if there was none."""
    return _begun.pop() if _begun else None
