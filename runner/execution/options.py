"""What is chosen where an option is named: a file, and the settings that stand in parentheses.

`normal(scale=0.01)` is the option `normal` with that setting, and `RandomNormal(stddev=0.1)`, which
is no option, the option `custom` with that class. Such a label may stand wherever Hydra takes an
option. Its settings take the place of those of all files; the command line's take theirs.
"""

import ast
import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, open_dict

from runner.config import ClassRule, ConfigError, not_a_setting, shown
from runner.execution.folders import ROOT
from runner.initializers.rules import RULES, TAG
from runner.labels import ARGUMENTS, FIXED, MARK, PATHS, read
from runner.spelling import did_you_mean

_CUSTOM = "custom"


@dataclass(frozen=True)
class Chosen:
    """What a label chooses.

    Attributes:
      option: The option, by the name of its file.
      settings: What the label sets.
      arguments: What it sets for the user's own function.
    """

    option: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


class UnknownOptionError(LookupError):
    """Nothing has that name."""


class Repository(ConfigRepository):
    """Hydra's repository of files, where a label stands for the file of its option."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Loads a file by its path without `.yaml`, such as `init/normal(scale=0.01)`."""
        found = labelled(config_path, self)
        group = config_path.partition("/")[0]
        return super().load_config(f"{group}/{found.option}" if found else config_path)


def labelled(config_path: str, repository: IConfigRepository) -> Chosen | None:
    """Returns what is chosen where a path ends with a label instead of a file's name.

    Raises:
      ConfigError: The label cannot be read, or sets what its option does not have.
    """
    group, _, text = config_path.partition("/")
    if group not in _catalogues() or not text or repository.config_exists(config_path):
        return None
    try:
        return chosen(group, text, repository)
    except UnknownOptionError:
        return None


def chosen(group: str, text: str, repository: IConfigRepository) -> Chosen:
    """Returns what is chosen by the name of an option or by a label.

    Args:
      group: The group, such as `"init"`.
      text: The name or label.
      repository: Where the options are.

    Raises:
      UnknownOptionError: There is no such option, nor a class or function of that name.
      ConfigError: The label cannot be read, or sets what its option does not have.
    """
    names = listed(group, repository)
    if text.removesuffix(".yaml") in names:
        return Chosen(text)
    catalogue = _catalogues().get(group)
    if catalogue is None:
        raise UnknownOptionError
    name, settings = _read(group, text)
    if name in names:
        loaded = repository.load_config(f"{group}/{name}")
        file = loaded.config if loaded else None
        spec = catalogue.get(str(file.get("name"))) if isinstance(file, DictConfig) else None
        return Chosen(name, settings) if spec is None else _checked(group, name, spec, settings)
    spec = catalogue.get(_CUSTOM)
    if spec is None or _CUSTOM not in names:
        raise UnknownOptionError
    return _checked(group, _CUSTOM, spec, {**_path(spec, name), **settings})


def listed(group: str, repository: IConfigRepository) -> list[str]:
    """Returns the options of a group, those of its subfolders as `folder/option`."""
    found = repository.get_group_options(group, ObjectType.CONFIG)
    for folder in repository.get_group_options(group, ObjectType.GROUP):
        found += [f"{folder}/{name}" for name in listed(f"{group}/{folder}", repository)]
    return found


def problems(group: str, names: Sequence[Any], repository: IConfigRepository) -> list[str]:
    """Returns what is wrong with the options that are chosen, as sentences.

    Args:
      group: Their group.
      names: Their names or labels, as they come.
      repository: Where the options are.
    """
    wrong: list[Any] = []
    found: list[str] = []
    hints: list[str] = []
    for name in names:
        try:
            if not isinstance(name, str):
                raise UnknownOptionError
            chosen(group, name, repository)
        except UnknownOptionError as error:
            wrong.append(name)
            hints += error.args
        except ConfigError as error:
            found.append(str(error))
    if wrong:
        found.insert(0, " ".join([_unknown(group, wrong, listed(group, repository)), *hints]))
    return found


def set_in(config: DictConfig, group: str, found: Chosen) -> None:
    """Sets in a composed configuration what a label sets."""
    node = config.get(group)
    if not isinstance(node, DictConfig):  # told elsewhere
        return
    with open_dict(node):
        for key, value in found.settings.items():
            node[key] = value
        if found.arguments and node.get(ARGUMENTS) is None:
            node[ARGUMENTS] = {}
        for key, value in found.arguments.items():
            node[ARGUMENTS][key] = value


def _catalogues() -> Mapping[str, Mapping[str, type]]:
    from runner.execution.configure import GROUPS

    return GROUPS


def _read(group: str, text: str) -> tuple[str, dict[str, Any]]:
    try:
        if "${" in text:
            raise ValueError(f"Write `${{...}}` into a setting of its own: {group}.<key>=${{...}}.")
        return read(text)
    except ValueError as error:
        rule = "an option, or one with settings: name(key=value)"
        raise ConfigError.at(group, rule, text, str(error)) from None


def _checked(group: str, option: str, spec: type, given: Mapping[str, Any]) -> Chosen:
    """Returns what a label chooses, if its option has what it sets."""
    fields = {each.name: each for each in dataclasses.fields(spec)}
    settings, arguments = {}, {}
    for key, value in given.items():
        if (group, key) == ("init", "rules") and isinstance(value, str):
            value = _rules_of(value)
        if key in fields:
            fields[key].metadata["rule"].apply(f"{group}.{key}", value)
            settings[key] = value
        elif (key, value) == (MARK, FIXED):
            continue
        elif ARGUMENTS not in fields:
            raise ConfigError(not_a_setting(group, option, key, fields))
        else:
            arguments[key.removeprefix(f"{ARGUMENTS}.")] = value
    return Chosen(option, settings, arguments)


def _rules_of(tag: str) -> Any:
    """Returns the rules that a label tells by their tag, from the newest sweep that has them."""
    if TAG.fullmatch(tag):
        for path in sorted(ROOT.glob("*/*/*/configuration.json"), reverse=True):
            try:
                rules = json.loads(path.read_text("utf-8"))["settings"]["init"]["rules"]
                if str(RULES.accept(rules)) == tag:
                    return rules
            except (OSError, ValueError, LookupError, TypeError, ConfigError):
                continue  # unreadable, or of a version without rules
    return tag


def _path(spec: type, name: str) -> dict[str, str]:
    """Returns the setting of `custom` that names a class or function.

    Raises:
      UnknownOptionError: There is none of that name; why, if it is not plain.
    """
    fields = {each.name: each.metadata["rule"] for each in dataclasses.fields(spec)}
    key = next(key for key in PATHS if key in fields)
    try:
        path = str(fields[key].accept(name))
    except ValueError:
        raise UnknownOptionError from None
    if ":" not in name and "." not in name:
        if name not in _keras_classes(spec):
            raise UnknownOptionError
    elif not _is_module(path.partition(".")[0]):
        raise UnknownOptionError(f"There is no module `{path.rpartition('.')[0]}`.")
    return {key: path}


def _is_module(name: str) -> bool:
    """Tells whether something can be imported by a name without dots."""
    if Path(f"{name}.py").is_file() or Path(name).is_dir():  # the working directory
        return True
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _keras_classes(spec: type) -> list[str]:
    """Returns the classes of Keras that an option `custom` takes by their bare names."""
    rules = (each.metadata["rule"] for each in dataclasses.fields(spec))
    return [name for rule in rules if isinstance(rule, ClassRule) for name in _classes(rule.module)]


@functools.cache
def _classes(module: str) -> list[str]:
    """Returns the names of the classes in a module of Keras, whose import would take long."""
    package, _, path = module.partition(".")
    spec = find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    files = [Path(folder, *path.split("."), "__init__.py") for folder in folders]
    imports = [
        node
        for file in files
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom)
    ]
    names = (alias.asname or alias.name for node in imports for alias in node.names)
    return [name for name in names if name[0].isupper()]


def _unknown(group: str, wrong: Sequence[Any], known: Sequence[str]) -> str:
    """Returns the sentence about options that are not among those `known` of a group."""
    received = ", ".join("null" if name is None else shown(name) for name in wrong)
    names = [name.partition("(")[0] for name in wrong if isinstance(name, str)]
    spec = _catalogues().get(group, {}).get(_CUSTOM)
    classes = _keras_classes(spec) if spec else []
    meant = "".join(did_you_mean(n, [*known, *(classes if n[:1].isupper() else ())]) for n in names)
    if None in wrong and "none" in known:
        meant = " Did you mean `none`?"
    return f"`{group}` must be one of {', '.join(known)}. Received: {received}.{meant}"
