"""`python -m runner`: Hydra composes the configurations, `runner.execution` trains them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig

from runner.execution import folders

_PACKAGE = Path(__file__).resolve().parent
# An installed wheel carries the folder inside the package, a checkout has it beside it.
_CONF = _PACKAGE / "_conf" if (_PACKAGE / "_conf").is_dir() else _PACKAGE.parent / "conf"


@dataclass
class Schema:
    """The top level of the configuration; each group's settings are checked by its own code."""

    dataset: Any = MISSING
    model: Any = MISSING
    init: Any = MISSING
    optimizer: Any = MISSING
    training: Any = MISSING
    engine: Any = MISSING
    tracking: Any = MISSING
    report: Any = MISSING
    seeds: Any = MISSING
    weight_seeds: Any = None
    batch_seeds: Any = None
    device: str = MISSING
    dry_run: bool = MISSING


@hydra.main(version_base="1.3", config_path=str(_CONF), config_name="config")
def train(cfg: DictConfig) -> float | None:
    """Trains one configuration; the jobs of a sweep go to the launcher instead.

    Returns:
      The mean of the endpoint over the replicates, for Hydra's optimizing sweepers.
    """
    from runner.config import ConfigError
    from runner.execution.configure import Job
    from runner.execution.sweep import run

    job = Job.from_hydra(HydraConfig.get(), cfg)
    result = run([job])[job.index]
    if result.error and HydraConfig.get().mode == RunMode.RUN:
        raise SystemExit(1)  # the reason has been told; Hydra would tell it again
    if result.error:
        raise ConfigError(result.error)
    return result.value


def main() -> None:
    """Runs the command line. Exit codes: 0, 1 (something failed), 130 (interrupted)."""
    folders.register_resolver()
    ConfigStore.instance().store(name="base_config", node=Schema)
    try:
        train()
    finally:
        folders.release()


if __name__ == "__main__":
    main()
