"""How configurations are composed: as Hydra does, strictly, and with one clear line per mistake.

Every composition of a command, of the whole and of each job of a sweep, passes through `Loader`.
"""

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal import hydra as application
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import ResultDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, ListConfig, Node, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.config import ConfigError
from runner.execution import options, typed
from runner.execution.mistakes import file_mistake, one_line


@dataclass
class Schema:
    """The top level of the configuration; each group's settings are checked by its own code."""

    dataset: Any = MISSING
    model: Any = MISSING
    init: Any = MISSING
    optimizer: Any = MISSING
    training: Any = MISSING
    diagnostics: Any = MISSING
    engine: Any = MISSING
    execution: Any = MISSING
    tracking: Any = MISSING
    report: Any = MISSING
    seeds: Any = MISSING
    weight_seeds: Any = None
    batch_seeds: Any = None
    device: str = MISSING
    rerun: bool = MISSING
    dry_run: bool = MISSING
    verbose: bool = MISSING
    compilation_cache: bool = MISSING


_TOP = [field.name for field in fields(Schema)]

_CONFIG = "config"

EXPERIMENT = "experiment"
"""What else every configuration may choose."""

_PACKAGE = Path(__file__).resolve().parents[1]

CONF = _PACKAGE / "_conf" if (_PACKAGE / "_conf").is_dir() else _PACKAGE.parent / "conf"
"""The options. An installed wheel carries the folder inside the package, a checkout beside it."""

# Hydra's own settings that the layout of the results does not leave open, as they stand in YAML.
_FIXED = {"hydra.run.dir": "${hydra.sweep.dir}/0", "hydra.sweep.subdir": "${hydra.job.num}"}

_LAUNCHER = "hydra_plugins.runner_launcher.CohortLauncher"


@contextmanager
def strictly() -> Iterator[None]:
    """Lets Hydra compose by `Schema` and with `Loader`."""
    ConfigStore.instance().store(name="base_config", node=Schema)
    application.ConfigLoaderImpl = Loader  # type: ignore[misc]
    try:
        yield
    finally:
        application.ConfigLoaderImpl = ConfigLoaderImpl  # type: ignore[misc]


class Loader(ConfigLoaderImpl):
    """Hydra's loader, which also refuses what would have no effect."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = options.Repository(config_search_path)
        self._told: set[Path] = set()
        self._known: dict[tuple[str | None, ...], tuple[RunMode, DictConfig]] = {}
        self._options: dict[str, DictConfig | None] = {}
        self._set_above: dict[tuple[str, ...], DictConfig | None] = {}

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Composes the configuration of a run, or what all jobs of a sweep have in common.

        The settings of a group whose options are swept over are left to the jobs.

        Raises:
          ConfigError: Some option or key does not exist, or some file cannot be used.
        """
        if config_name is None:  # Hydra's own, for --hydra-help
            return super().load_configuration(config_name, overrides, run_mode)
        given = typed.read(overrides)
        lines = [str(each.input_line) for each in given]
        _, repository = self._parse_overrides_and_create_caching_repo(config_name, lines)
        groups = _groups()
        choices = [each for each in given if typed.is_choice(each, repository)]
        problems = [typed.choice_problem(each, repository, groups) for each in choices]
        if any(problems):
            wrong = [each for each, problem in zip(choices, problems, strict=True) if problem]
            _refuse([*problems, *self._key_problems(config_name, given, choices, wrong, run_mode)])
        swept = self._swept(config_name, given, choices) if run_mode == RunMode.MULTIRUN else set()
        settings = [
            each
            for each in given
            if each not in choices and each.key_or_group.partition(".")[0] not in swept
        ]
        config = self._composed(config_name, choices, settings, run_mode, repository)
        _refuse(typed.key_problem(each, config) for each in settings)
        _refuse([*_group_problems(config, swept), *_hydra_problems(config)])
        if validate_sweep_overrides:
            is_sweep = run_mode == RunMode.MULTIRUN
            _refuse(typed.sweep_problem(each, is_sweep, groups) for each in given)
            self._tell_unused(config, repository)
        _read_params(config)
        note_tasks(config, [each for each in given if not each.is_hydra_override()])
        return config

    def _key_problems(
        self,
        config_name: str | None,
        given: Sequence[Override],
        choices: Sequence[Override],
        wrong: Sequence[Override],
        run_mode: RunMode,
    ) -> list[str | None]:
        """Returns what is wrong with the settings of all groups but those with a wrong choice."""
        try:
            config = self._loaded(config_name, [c for c in choices if c not in wrong], run_mode)
        except Exception:  # told once the choices are right
            return []
        unclear = {each.key_or_group for each in wrong}
        settings = [each for each in given if each not in choices]
        clear = [each for each in settings if each.key_or_group.partition(".")[0] not in unclear]
        return [typed.key_problem(each, config) for each in clear]

    def _tell_unused(self, config: DictConfig, repository: IConfigRepository) -> None:
        for path in _unused_files(config, repository):
            if path not in self._told:
                print(f"{path} is not used: runner has an option of that name.", file=sys.stderr)
                self._told.add(path)

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Composes a job of a sweep.

        Raises:
          ConfigError: As above, or the job's experiment is a sweep of its own.
        """
        config = super().load_sweep_config(master_config, sweep_overrides)
        key = "hydra.sweeper.params"
        if OmegaConf.select(config, key) != OmegaConf.select(master_config, key):
            choice = config.hydra.runtime.choices.get(EXPERIMENT)
            raise ConfigError(
                f"`{EXPERIMENT}` cannot be swept over where one is a sweep by itself. Received: "
                f"{choice}. Run each alone; `python -m runner.report` compares their folders."
            )
        return config

    def exchanged(self, job: DictConfig, before: str, after: str) -> DictConfig | None:
        """Returns a job of a sweep with another option of one group, in a tenth of the time.

        The rest of the job is copied, but for what was typed for it.

        Args:
          job: As Hydra composed it, with nothing but options chosen for it.
          before: The choice that was typed for it.
          after: The one for the new job.

        Returns:
          None where the choice may change more than the settings of the group, or cannot be made.
        """
        if job.hydra.job.config_name != _CONFIG:
            return None
        old, new = (self._option(text) for text in (before, after))
        if old is None or new is None or (group := str(next(iter(old)))) not in new:
            return None
        above = self._above(job, group)
        if above is None or (above and any(self._is_label(text) for text in (before, after))):
            return None
        if job[group] != OmegaConf.merge(old[group], above):  # something else sets a part of it
            return None
        config = copy.deepcopy(job)
        config[group] = OmegaConf.merge(new[group], above)
        (override,) = typed.read([after])
        config.hydra.runtime.choices[group] = override.value()
        if any(_group_problems(config, {*_groups()} - {group})):
            return None
        self._tell_unused(config, self.repository)
        return config

    def _above(self, job: DictConfig, group: str) -> DictConfig | None:
        """Returns what an experiment sets in a group, whichever its option is; None for no answer.

        There is none where files choose others by what is chosen in the group, or where something
        is set that the option then overrides.
        """
        none = OmegaConf.create({})
        if job.hydra.runtime.choices.get(EXPERIMENT) is None:
            return none
        lines = [*job.hydra.overrides.hydra, *job.hydra.overrides.task]
        key = (group, *(line for line in lines if not line.startswith(f"{group}=")))
        if key not in self._set_above:
            given = [typed.line(each) for each in typed.read(lines)]
            defaults = self.compute_defaults_list(_CONFIG, given, RunMode.RUN).defaults
            self._set_above[key] = self._set_by(defaults, group)
        return self._set_above[key]

    def _set_by(self, defaults: Sequence[ResultDefault], group: str) -> DictConfig | None:
        parents = {str(default.config_path): str(default.parent) for default in defaults}
        above, is_below = OmegaConf.create({}), True
        for default in defaults:
            path = str(default.config_path)
            if _is_of(path, group, parents):
                is_below = False
                continue
            loaded = self.repository.load_config(path)
            chosen = loaded.defaults_list if loaded is not None else None
            if chosen is None or any("${" in str(vars(each)) for each in chosen):
                return None
            node = self._load_single_config(default, self.repository).config._get_node(group)
            if not isinstance(node, Node) or node._is_missing():
                continue
            if is_below or not isinstance(node, DictConfig):
                return None
            above.merge_with(node)
        return above

    def _is_label(self, line: str) -> bool:
        (override,) = typed.read([line])
        path = f"{override.key_or_group}/{override.value()}"
        return options.labelled(path, self.repository) is not None

    def _option(self, line: str) -> DictConfig | None:
        """Returns the settings of a group, below its name, as its option and nothing else has them.

        None if the choice is wrong, or if it says something of other groups.
        """
        if line not in self._options:
            try:
                self._options[line] = self._composed_option(line)
            except (ConfigError, HydraException, OmegaConfBaseException):  # told when composed
                self._options[line] = None
        return self._options[line]

    def _composed_option(self, line: str) -> DictConfig | None:
        (override,) = typed.read([line])
        group, option = override.key_or_group, override.value()
        repository = CachingConfigRepository(self.repository)
        if group not in _groups() or typed.choice_problem(override, repository, _groups()):
            return None
        added = replace(override, type=OverrideType.ADD)  # to a configuration that has no group
        found = create_defaults_list(repository, None, [added], False, skip_missing=False)
        config = self._compose_config_from_defaults_list(found.defaults, repository)
        is_all = found.overrides.known_choices == {group: option} and list(config) == [group]
        return config if is_all else None

    def _compose_config_from_defaults_list(
        self, defaults: list[ResultDefault], repo: IConfigRepository
    ) -> DictConfig:
        config = super()._compose_config_from_defaults_list(defaults, repo)
        for path in [str(default.config_path) for default in defaults]:
            if found := options.labelled(path, repo):
                options.set_in(config, path.partition("/")[0], found)
        return config

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        """Returns what may be chosen, for --help and `glob(...)`; folders belong to their group."""
        if not group_name or group_name.partition("/")[0] == "hydra":
            if config_name or overrides:
                return super().get_group_options(group_name, results_filter, config_name, overrides)
            # Hydra would read its own settings anew for each of the groups that --help tells of.
            return list(self.repository.get_group_options(group_name, results_filter))
        is_folder = results_filter == ObjectType.GROUP
        return [] if is_folder else sorted(options.listed(group_name, self.repository))

    def _swept(
        self, config_name: str | None, given: Sequence[Override], choices: Sequence[Override]
    ) -> set[str]:
        """Returns the groups that are swept over, by the command line or by an experiment."""
        parts = [*choices, *(each for each in given if each.is_hydra_override())]
        try:
            config = self._loaded(config_name, parts, RunMode.MULTIRUN)
        except Exception:  # it will be raised again, and told then
            return set()
        keys = [each.key_or_group for each in given if each.is_sweep_override()]
        keys += OmegaConf.select(config, "hydra.sweeper.params") or ()
        return {str(key) for key in keys}.intersection(_groups())

    def _composed(
        self,
        config_name: str | None,
        choices: Sequence[Override],
        settings: Sequence[Override],
        run_mode: RunMode,
        repository: IConfigRepository,
    ) -> DictConfig:
        """Composes; of what Hydra raises, the user's part becomes a `ConfigError`."""
        try:
            return self._loaded(config_name, [*choices, *settings], run_mode)
        except Exception as error:
            try:
                config = self._loaded(config_name, choices, run_mode)
            except Exception as cause:
                plain = partial(self._loaded, config_name, [], run_mode)
                text = file_mistake(cause, config_name, _groups(), repository, plain)
                raise ConfigError(text) from cause
            _refuse(typed.key_problem(each, config) for each in settings)
            opened = typed.opened(settings, config)
            if opened == settings:
                raise ConfigError(one_line(error)) from error
            return self._composed(config_name, choices, opened, run_mode, repository)

    def _loaded(
        self, config_name: str | None, given: Sequence[Override], run_mode: RunMode
    ) -> DictConfig:
        """Composes once, however often a command asks: for its mode, what it sweeps over, and all.

        The mode decides nothing but whether an option that is missing is an error.
        """
        lines = [typed.line(each) for each in given]
        mode, config = self._known.get(key := (config_name, *lines), (None, None))
        if config is None or (mode != run_mode and "???" in config.hydra.runtime.choices.values()):
            config = super().load_configuration(
                config_name, lines, run_mode, validate_sweep_overrides=False
            )
            self._known[key] = run_mode, config
        return copy.deepcopy(config)


def _is_of(path: str, group: str, parents: Mapping[str, str]) -> bool:
    """Tells whether a file is an option of a group, or has been chosen by one."""
    seen = set()
    while path not in seen and not path.startswith(f"{group}/"):
        seen.add(path)
        path = parents.get(path, path)
    return path.startswith(f"{group}/")


def _read_params(config: DictConfig) -> None:
    """Reads what an experiment sweeps over as what is typed; Hydra gets it as it wants it.

    Raises:
      ConfigError: Some of it cannot be read.
    """
    params = OmegaConf.select(config, "hydra.sweeper.params")
    for key in list(params or ()):
        text = params._get_node(key)._value()  # as it stands in YAML
        if isinstance(text, str):
            (override,) = typed.read([f"{key}={text}"])
            params[key] = override.get_value_string()


def note_tasks(config: DictConfig, tasks: Sequence[Override]) -> None:
    """Writes what was typed for a configuration into it, as Hydra does."""
    config.hydra.overrides.task = [each.input_line for each in tasks]
    names = config.hydra.job.config.override_dirname
    config.hydra.job.override_dirname = get_overrides_dirname(
        overrides=list(tasks),
        kv_sep=names.kv_sep,
        item_sep=names.item_sep,
        exclude_keys=names.exclude_keys,
    )


def refuse_unknown(settings: Iterable[Override], config: DictConfig) -> None:
    """Checks that each setting is one that the configuration knows.

    Raises:
      ConfigError: One is not; all are named, in a line each.
    """
    _refuse(typed.key_problem(each, config) for each in settings)


def _refuse(problems: Iterable[str | None]) -> None:
    if lines := list(dict.fromkeys(problem for problem in problems if problem)):
        raise ConfigError("\n".join(lines))


def _groups() -> list[str]:
    from runner.execution.configure import GROUPS

    return [*GROUPS, EXPERIMENT]


def _group_problems(config: DictConfig, swept: set[str]) -> Iterator[str]:
    """Yields what is missing, what is no option, and what a file sets but no option knows."""
    from runner.execution.configure import GROUPS, not_an_option

    present = [str(key) for key in config]
    if missing := [key for key in _TOP if key not in present]:
        keys = ", ".join(missing)
        yield f"The configuration lacks {keys}. Your own file must have `config` in its defaults."
    for group in [each for each in GROUPS if each in present and each not in swept]:
        if group not in config.hydra.runtime.choices:
            yield f"`{group}` must be one option. A file chooses several. For a sweep see --help."
        node = config._get_node(group)
        if isinstance(node, DictConfig) and not (node._is_none() or node._is_missing()):
            problems = (typed.unknown(f"{group}.{name}", config) for name in map(str, node))
            yield from filter(None, problems)
        elif isinstance(node, Node) and not (node._is_missing() or node._is_interpolation()):
            yield str(not_an_option(group, node._value()))


def _hydra_problems(config: DictConfig) -> Iterator[str]:
    """Yields what Hydra would stumble over later, or take without the effect that is expected."""
    verbose = OmegaConf.select(config, "hydra.verbose", throw_on_resolution_failure=False)
    if not isinstance(verbose, bool | str | ListConfig):
        yield str(ConfigError.at("hydra.verbose", "true, false, or names of loggers", verbose))
    if OmegaConf.select(config, "hydra.job.chdir"):
        yield str(ConfigError.at("hydra.job.chdir", "false: paths start from where you are", True))
    for key, value in _FIXED.items():
        if (received := _raw(config, key)) != value:
            yield str(ConfigError.at(key, "left as it is. Set `hydra.sweep.dir`", received))
    if not str(_raw(config, "hydra.sweep.dir") or "").strip():
        yield str(ConfigError.at("hydra.sweep.dir", "a folder", ""))
    if (target := OmegaConf.select(config, "hydra.launcher._target_")) != _LAUNCHER:
        yield typed.launcher_problem(target)
    if storage := OmegaConf.select(config, "hydra.sweeper.storage"):
        rule = "null: SQLAlchemy 2.1, which MLflow uses, breaks Optuna's databases"
        yield str(ConfigError.at("hydra.sweeper.storage", rule, storage))
    size = OmegaConf.select(config, "hydra.sweeper.max_batch_size")
    if size is not None and size < 1:
        yield str(ConfigError.at("hydra.sweeper.max_batch_size", "a positive integer", size))


def _raw(config: DictConfig, key: str) -> object:
    """Returns a value as it stands in YAML: resolving the folder of a sweep claims it."""
    above, _, name = key.rpartition(".")
    node = OmegaConf.select(config, above)._get_node(name)
    return node._value() if isinstance(node, Node) else None


def _unused_files(config: DictConfig, repository: IConfigRepository) -> Iterator[Path]:
    """Yields the user's files in whose place the options of the same name are used."""
    folders = {source.provider: Path(source.path) for source in repository.get_sources()}
    if "working-folder" not in folders:
        return
    for group, option in config.hydra.runtime.choices.items():
        found = options.labelled(f"{group}/{option}", repository)
        name = f"{group}/{found.option if found else option}.yaml"
        own, used = folders["working-folder"] / name, folders["main"] / name
        if own.is_file() and used.is_file() and own.read_bytes() != used.read_bytes():
            yield own
