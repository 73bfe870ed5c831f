"""Hydra's door to `runner`: the launcher `cohort`, and the user's own `conf` folder.

Hydra imports every module of `hydra_plugins` at every start, so nothing heavy stands at the top.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException


@dataclass
class CohortLauncherConf:
    """`hydra/launcher=cohort`; it has no settings."""

    _target_: str = "hydra_plugins.runner_launcher.CohortLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="cohort", node=CohortLauncherConf, provider="runner"
)

# For options that name the user's code: keys of `arguments` can be set without a `+`, as the user's
# function decides which there are. YAML has no word for that.
_OPEN = OmegaConf.create({"arguments": DictConfig({}, flags={"struct": False})})
ConfigStore.instance().store(name="open_arguments", node=_OPEN, provider="runner")


class CohortLauncher(Launcher):
    """Hands all jobs of a sweep to `runner` at once, so that they are checked and trained together.

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
        """Runs the jobs and returns one `JobReturn` each, in their order."""
        from runner.config import ConfigError
        from runner.execution.apart import are_run_apart
        from runner.execution.configure import Job
        from runner.execution.sweep import run, run_apart

        setup_globals()
        jobs: list[Job] = []

        def collect(cfg: DictConfig) -> None:
            jobs.append(Job.from_hydra(HydraConfig.get(), cfg))

        returns = [
            self._run_job(initial_job_idx + position, overrides, collect)
            for position, overrides in enumerate(job_overrides)
        ]
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        apart = are_run_apart(self.config)
        train = run_apart if apart else run
        results = train(jobs) if jobs else {}
        for index, job_return in enumerate(returns, initial_job_idx):
            if index in results:
                result = results[index]
                # Sweepers stop at the first job that failed; other batches are to come. What failed
                # is on disk, and decides the exit code when the sweep is finished.
                error = None if apart else result.error
                job_return.return_value = ConfigError(error) if error else result.value
                job_return.status = JobStatus.FAILED if error else JobStatus.COMPLETED
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


class QuickLoader:
    """A config loader that does not compose for each job what its neighbours have in common.

    Hydra composes a job in a sixth of a second, and twice: to check it, and to launch it. Only the
    choice of options needs that: jobs with the same options are copies that differ in values.
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
        try:
            config = self._from_base(master_config, sweep_overrides)
        except (HydraException, OmegaConfBaseException):  # Hydra's own message is the better one
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
            self._bases[key] = self._loader.load_sweep_config(master_config, choices)
        config = copy.deepcopy(self._bases[key])
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        tasks = [override for override in overrides if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in tasks]
        names = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=tasks,
            kv_sep=names.kv_sep,
            item_sep=names.item_sep,
            exclude_keys=names.exclude_keys,
        )
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

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
