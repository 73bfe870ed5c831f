"""Hydra's door to `runner`: the launcher `cohort`, and the user's own `conf` folder.

Hydra imports every module of `hydra_plugins` at every start, so nothing heavy stands at the top.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

_BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


@dataclass
class CohortLauncherConf:
    """`hydra/launcher=cohort`; it has no settings."""

    _target_: str = "hydra_plugins.runner_launcher.CohortLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="cohort", node=CohortLauncherConf, provider="runner"
)


class CohortLauncher(Launcher):
    """Hands the jobs of a batch to `runner` at once: they are checked and trained together.

    Every job gets its folder, its `.hydra` files and its log as under Hydra's own launchers. The
    jobs are only resolved one by one; what the task function would do is done for all of them.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps what Hydra hands over before the sweep."""
        self.loader = QuickLoader(hydra_context.config_loader)
        hydra_context.config_loader = cast(ConfigLoader, self.loader)  # the sweeper's too
        self.hydra_context = hydra_context
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Runs a batch of jobs and returns one `JobReturn` each, in their order.

        None of them is told to have failed, for that would end the sweeper: what failed is on disk,
        and decides the exit code.
        """
        from runner.execution import current
        from runner.execution.configure import Job

        setup_globals()
        jobs: list[Job] = []

        def collect(cfg: DictConfig) -> None:
            jobs.append(Job.from_hydra(HydraConfig.get(), cfg))

        returns = [
            self._run_job(initial_job_idx + position, overrides, collect)
            for position, overrides in enumerate(job_overrides)
        ]
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        values = current.train(jobs, is_whole=self._launches_once()) if jobs else {}
        if self.config.dry_run and not self._is_planned():
            print("What the sweeper would launch next depends on the results.")
            raise SystemExit(0)
        for index, job_return in enumerate(returns, initial_job_idx):
            if index in values:
                value = values[index]
                job_return.return_value = self._worst() if math.isnan(value) else value
        return returns

    def _launches_once(self) -> bool:
        """Tells whether the sweeper launches all of its jobs in one batch."""
        batch = OmegaConf.select(self.config, "hydra.sweeper.max_batch_size")
        return self._is_planned() and batch is None

    def _is_planned(self) -> bool:
        """Tells whether the sweeper knows all of its jobs beforehand."""
        return self.config.hydra.sweeper._target_ == _BASIC_SWEEPER

    def _worst(self) -> float:
        """Returns the value of a job without one, which an optimizing sweeper is to avoid.

        Optuna takes no NaN.
        """
        direction = OmegaConf.select(self.config, "hydra.sweeper.direction")
        name = direction.name if isinstance(direction, Enum) else direction
        return -math.inf if name == "maximize" else math.inf

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


class QuickLoader:
    """A config loader that does not compose for each job what its neighbours have in common.

    Hydra composes a job in a sixth of a second, and twice: to check it, and to launch it. Only the
    choice of options needs that: jobs with the same options are copies that differ in values, and
    jobs with another option of one group differ in its settings.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Composes a job, as Hydra would, and keeps it.

        Raises:
          HydraException: The overrides do not fit the configuration.
        """
        from runner.config import ConfigError

        try:
            config = self._from_base(master_config, sweep_overrides)
        # Hydra's own message is the better one.
        except (ConfigError, HydraException, OmegaConfBaseException):
            config = self._loader.load_sweep_config(master_config, sweep_overrides)
        self._composed[tuple(sweep_overrides)] = config
        return config

    def take(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Returns a job that was kept, once, or composes it."""
        key = tuple(sweep_overrides)
        if key not in self._composed:
            self.load_sweep_config(master_config, sweep_overrides)
        return self._composed.pop(key)

    def _from_base(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Returns a copy of the job without the values among its overrides, with them applied.

        These are the last steps of `ConfigLoaderImpl.load_sweep_config`; what is before them
        depends on the other overrides only.
        """
        from runner.execution.composing import note_tasks, refuse_unknown
        from runner.execution.typed import opened

        overrides = OverridesParser.create().parse_overrides(sweep_overrides)
        values: list[Override] = []
        choices: list[str] = []
        for override, line in zip(overrides, sweep_overrides, strict=True):
            if self._is_value(override):
                values.append(override)
            else:
                choices.append(line)
        key = tuple(choices)
        if key not in self._bases:
            found = self._beside(key)
            if found is None:
                found = self._loader.load_sweep_config(master_config, choices)
            self._bases[key] = found
        config = copy.deepcopy(self._bases[key])
        refuse_unknown(values, config)
        ConfigLoaderImpl._apply_overrides_to_config(opened(values, config), config)
        note_tasks(config, [override for override in overrides if not override.is_hydra_override()])
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def _beside(self, choices: Sequence[str]) -> DictConfig | None:
        """Returns what is composed for these choices, from a job that differs in one of them."""
        from runner.execution.composing import Loader

        if not isinstance(self._loader, Loader):
            return None
        for known, config in self._bases.items():
            if len(known) == len(choices):
                pairs = [pair for pair in zip(known, choices, strict=True) if pair[0] != pair[1]]
                found = self._loader.exchanged(config, *pairs[0]) if len(pairs) == 1 else None
                if found is not None:
                    return found
        return None

    def _is_value(self, override: Override) -> bool:
        """Tells whether an override says nothing about which options there are."""
        name = override.key_or_group
        return not (override.is_hydra_override() or self._loader.repository.group_exists(name))


class WorkingFolderSearchPath(SearchPathPlugin):
    """Lets a folder `conf` in the working directory add options to every group."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Appends the folder if there is one."""
        folder = Path.cwd() / "conf"
        if folder.is_dir():
            search_path.append(provider="working-folder", path=f"file://{folder}")
