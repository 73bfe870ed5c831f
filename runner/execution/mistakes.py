"""What Hydra, OmegaConf, YAML and the system say about mistakes, in one line for people."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from hydra._internal.config_repository import IConfigRepository
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from runner.config import ConfigError
from runner.execution import options, typed
from runner.spelling import closest

# Lines of Hydra's messages that lead astray, or that only the author of a program needs.
_NOISE = re.compile(
    r"To append to|See https://|Config search path|\tprovider=|\s*(full_key|\w+_type):?"
)

# What Hydra and runner keep beside the files.
_NO_CONFIGURATIONS = ("_dummy_empty_config_", "base_config", "base_init")


def one_line(error: BaseException) -> str:
    """Returns what an error says in one line."""
    if isinstance(error, yaml.MarkedYAMLError):
        return _yaml(error)
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        why = re.sub(r"field '.*' is not Optional", "it must not be null", _first_line(error))
        return f"`{error.full_key}` cannot be used: {why}."
    if isinstance(error, ConfigError | HydraException):
        cause = error.__cause__
        if isinstance(cause, OmegaConfBaseException):
            received = _in_one(error)
            return one_line(cause) + (f" {received}" if received.startswith("Received") else "")
        return _in_one(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be used: {error.strerror}."
    return f"{type(error).__name__}: {_in_one(error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _in_one(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if not _NOISE.match(line)]
    text = " ".join(" ".join(lines).split())
    return re.sub(r"^Error merging override (.*)", r"Received: \1.", text)


def _yaml(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"{_shortened(mark.name)}, line {mark.line + 1}" if mark else "a file"
    tab = " Indent with blanks, not with tabs." if "\\t" in str(error.problem) else ""
    return f"{place}: not valid YAML: {error.problem or error.context}.{tab}"


def file_mistake(
    error: Exception,
    config_name: str | None,
    groups: Sequence[str],
    repository: IConfigRepository,
    plain: Callable[[], DictConfig],
) -> str:
    """Returns what is wrong with a file of the configuration, or with the choice that it makes.

    Args:
      error: What composing raised, without any value from the command line.
      config_name: The file that all begins with.
      groups: The groups that every configuration has.
      repository: Where the files are.
      plain: Composes the configuration without any choices.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing(error, config_name, groups, repository)
    if isinstance(error, UnicodeDecodeError):
        return f"{', '.join(_undecodable(repository))}: not a text file in UTF-8 ({error.reason})."
    found = re.match(r"In '(.+?)': (?:Could not override '(.+?)')?", str(error))
    if found is None:
        return one_line(error)
    file, group = found.groups()
    path, cause = _path(file, repository), error.__context__
    if group:
        group = group.partition("@")[0]
        meant = "".join(f" Did you mean `override /{each}`?" for each in closest(group, groups)[:1])
        return f"{path}: `{group}` is not a group of options.{meant}"
    if not isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return f"{path}: {one_line(cause or error)}"
    loaded = repository.load_config(file)
    names = [str(name) for name in (loaded.config if loaded else ())]
    key = str(cause.full_key)
    if key.partition(".")[0] not in names:
        return (
            f"{path} must start with the line `# @package _global_`. "
            "Its settings are those of the whole configuration."
        )
    known = plain()
    problems = [problem for name in (*names, key) if (problem := typed.unknown(name, known))]
    return f"{path}: {' '.join(dict.fromkeys(problems)) or one_line(cause)}"


def _missing(
    error: MissingConfigException,
    config_name: str | None,
    groups: Sequence[str],
    repository: IConfigRepository,
) -> str:
    name = str(error.missing_cfg_file)
    if name == config_name:
        files = repository.get_group_options("")
        found = ", ".join(file for file in files if file not in _NO_CONFIGURATIONS)
        return (
            f"`--config-name` must be one of {found}. Received: {name}. Leave it out for `config`."
        )
    group = next((each for each in groups if name.startswith(f"{each}/")), name.rpartition("/")[0])
    option = name.removeprefix(f"{group}/")
    wrong = " ".join(options.problems(group, [option], repository))
    return f"{wrong} A file chose it."


def _path(name: str, repository: IConfigRepository) -> str:
    """Returns the file of an option, from where the user is if it is below."""
    for source in repository.get_sources():
        path = Path(source.path, f"{name}.yaml")
        if source.scheme() == "file" and path.is_file():
            return _shortened(str(path))
    return name


def _shortened(path: str) -> str:
    return path.removeprefix(f"{Path.cwd()}/")


def _undecodable(repository: IConfigRepository) -> list[str]:
    found = []
    for source in repository.get_sources():
        for path in Path(source.path).rglob("*.yaml") if source.scheme() == "file" else ():
            try:
                path.read_text("utf-8")
            except UnicodeDecodeError:
                found.append(_shortened(str(path)))
    return found
