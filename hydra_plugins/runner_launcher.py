"""Hydra's door to `runner`: the launcher `cohort`, and the user's own `conf` folder.

Hydra imports every module of `hydra_plugins` at every start, so nothing heavy stands at the top.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


@dataclass
class CohortLauncherConf:
    """`hydra/launcher=cohort`; it has no settings."""

    _target_: str = "hydra_plugins.runner_launcher.CohortLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="cohort", node=CohortLauncherConf, provider="runner"
)


class CohortLauncher(Launcher):
    """Hands all jobs of a sweep to `runner` at once, so that they are checked and trained together.

    Every job gets its folder, its `.hydra` files and its log as under Hydra's own launchers. The
    jobs are only resolved one by one; what the task function would do is done for all of them.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps what Hydra hands over before the sweep."""
        self.loader = ComposedOnce(hydra_context.config_loader)
        hydra_context.config_loader = cast(ConfigLoader, self.loader)  # the sweeper's too
        self.hydra_context = hydra_context
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Runs the jobs and returns one `JobReturn` each, in their order."""
        from runner.config import ConfigError
        from runner.execution.configure import Job
        from runner.execution.sweep import run

        setup_globals()
        jobs: list[Job] = []

        def collect(cfg: DictConfig) -> None:
            jobs.append(Job.from_hydra(HydraConfig.get(), cfg))

        returns = [
            self._run_job(initial_job_idx + position, overrides, collect)
            for position, overrides in enumerate(job_overrides)
        ]
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        results = run(jobs) if jobs else {}
        for index, job_return in enumerate(returns, initial_job_idx):
            if index in results:
                result = results[index]
                job_return.return_value = (
                    ConfigError(result.error) if result.error else result.value
                )
                job_return.status = JobStatus.FAILED if result.error else JobStatus.COMPLETED
        return returns

    def _run_job(self, index: int, overrides: Sequence[str], task: TaskFunction) -> JobReturn:
        config = self.loader.take(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = index
            config.hydra.job.num = index
        return run_job(
            hydra_context=self.hydra_context,
            task_function=task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


class ComposedOnce:
    """A config loader that keeps what the sweeper composes to check it, for the launch."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Composes a job and keeps it."""
        config = self._loader.load_sweep_config(master_config, sweep_overrides)
        self._composed[tuple(sweep_overrides)] = config
        return config

    def take(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Returns a job that was kept, once, or composes it."""
        kept = self._composed.pop(tuple(sweep_overrides), None)
        return kept or self._loader.load_sweep_config(master_config, sweep_overrides)


class WorkingFolderSearchPath(SearchPathPlugin):
    """Lets a folder `conf` in the working directory add options to every group."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Appends the folder if there is one."""
        folder = Path.cwd() / "conf"
        if folder.is_dir():
            search_path.append(provider="working-folder", path=f"file://{folder}")
