"""Options with settings of their own: a label chooses what it was printed for."""

import dataclasses
import json
import re

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from runner.config import ConfigError, choose
from runner.execution import composing, options
from runner.execution.configure import GROUPS
from runner.labels import PATHS
from runner.models.activations import PARAMETERS
from runner.plan import Choice

OPTIONS = [(group, option) for group, catalogue in GROUPS.items() for option in catalogue]

# Each setting takes those of these that its rule accepts.
VALUES = (
    *(1.0, 0.1, 1 / 3, 1e-7, 1e300, 123456.789, 0.5, 2, 3, 4, 7, True, False, None, "keep", "gelu"),
    *("C:\\my data\\a (1).csv", "größe", "null", "1"),
    *("it's", ",", "a,b", [], ["*/w", "dense_[12]/kernel"], [5, 20], "classification"),
    {"a": 1, "b": 1.0, "bias": "x y", "weights": "fixed", "arguments": {"1": [None, "true"]}},
    {"nodelist": "a[1-2]"},
    {"patience": 3, "metric": "val_accuracy", "min_delta": 0.5},
    *("fan_out", "uniform", "cosine", "max", "average", "none", "best", "healthy", "val_loss"),
    *("glorot_uniform", "regression", "tanh", "utf-8", "id", "exact", "truncated_normal"),
    *("bfloat16", "paper", "start", "bottleneck", "group", "gru", "zca", "words", "drop", "pad"),
    *("convolutional", "input", "stream", "my.losses.f", ["mse", "my.metrics.f"]),
    *({"0": 2.5, "größe": 0.5}, "balanced"),
)

# Labels show a short tag of these, as there is much in them.
TAGGED = {("init", "rules")}

# Of more names than these a setting takes none.
FROM_A_LIST = {
    "application": ("MobileNetV2", "VGG16"),
    "activation": ("tanh", "gelu", *(name for one in PARAMETERS.values() for name in one.defaults)),
}

# What names a class or a function; the second stands for the same as the first.
NAMES = {
    "init": ("HeNormal", "keras.initializers.HeNormal", "he_normal", "my-module.b.C", "m:C"),
    "optimizer": ("Lamb", "keras.optimizers.Lamb", "m.make"),
    "model": ("m.build", "m:build", "keras.applications.ResNet50"),
}


@pytest.fixture(scope="module")
def repository():
    with initialize_config_dir(str(composing.CONF), version_base="1.3", job_name="runner"):
        loader = GlobalHydra.instance().config_loader()
        return CachingConfigRepository(options.Repository(loader.config_search_path))


def accepted(rule, default):
    """Returns those of `VALUES` that a rule accepts and that differ from the default."""
    found = []
    for value in VALUES:
        try:
            converted = rule.accept(value)
        except (TypeError, ValueError, ConfigError):
            continue
        if repr(converted) != repr(default):
            found.append(value)
    return found


def changed(group, option, spec):
    """Yields settings with each single change, and some with all settings changed at once."""
    values = {
        field.name: NAMES[group]
        if option == "custom" and field.name in PATHS
        else FROM_A_LIST.get(field.name) or accepted(field.metadata["rule"], field.default)
        for field in dataclasses.fields(spec)
        if (group, field.name) not in TAGGED
    }
    required = {
        field.name: values[field.name][0]
        for field in dataclasses.fields(spec)
        if field.default is field.default_factory is dataclasses.MISSING
    }
    yield required
    for key, listed in values.items():
        yield from ({**required, key: value} for value in listed)
    for key in values.keys() & PARAMETERS.keys():  # each belongs to some activations
        for name in PARAMETERS[key].defaults:
            yield from ({**required, "activation": name, key: value} for value in values[key])
    for place in range(3):
        yield {key: listed[place % len(listed)] for key, listed in values.items() if listed}


def read_back(group, label, repository):
    """Returns the option and settings that a label chooses."""
    found = options.chosen(group, label, repository)
    config = OmegaConf.create({group: repository.load_config(f"{group}/{found.option}").config})
    options.set_in(config, group, found)
    node = OmegaConf.to_container(config[group])
    return Choice(node["name"], choose(GROUPS[group], node, group))


@pytest.mark.sampled
@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_a_label_chooses_the_settings_it_was_printed_for(group, option, repository, monkeypatch):
    monkeypatch.setattr(options, "_is_module", lambda name: True)
    spec, tried = GROUPS[group][option], set()
    for settings in changed(group, option, spec):
        try:
            choice = Choice(option, choose(GROUPS[group], {"name": option, **settings}, group))
        except ConfigError:  # settings that exclude each other
            continue
        tried |= settings.keys()
        assert repr(read_back(group, choice.label, repository)) == repr(choice), choice.label
    fields = {field.name for field in dataclasses.fields(spec)}
    assert tried == {name for name in fields if (group, name) not in TAGGED}


def test_rules_may_stand_in_a_label_but_their_tag_is_none(repository):
    choice = read_back("init", "he_normal(rules=[{role: output, init: zero}])", repository)
    assert choice.settings.rules[0].plain() == {"role": "output", "init": "zero"}
    assert choice.label.startswith("he_normal(rules=1-")
    with pytest.raises(
        ConfigError, match=r"`init.rules` must be .* a tag of rules which no sweep in results/ has"
    ):
        options.chosen("init", choice.label, repository)


def test_a_tag_of_rules_stands_for_those_of_the_newest_sweep(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rules = [{"role": "output", "init": "zero"}, {"index": 0, "init": "normal", "scale": 0.1}]
    settings = choose(GROUPS["init"], {"name": "he_normal", "rules": rules}, "init")
    folder = tmp_path / "results" / "2026-01-01" / "00-00-00" / "0"
    folder.mkdir(parents=True)
    (folder.parent / "1").mkdir()
    (folder.parent / "1" / "configuration.json").write_text("{")
    record = {"settings": {"init": {"name": "he_normal", "rules": rules}}}
    (folder / "configuration.json").write_text(json.dumps(record))
    label = Choice("he_normal", settings).label
    assert re.fullmatch(r"he_normal\(rules=2-[0-9a-f]{4}\)", label)
    assert read_back("init", label, repository).settings == settings


def test_the_mark_of_a_label_is_no_setting(repository):
    label = Choice("custom", GROUPS["init"]["custom"](target="RandomNormal")).label_with(
        weights="fixed"
    )
    assert label == "RandomNormal(weights=fixed)"
    assert options.chosen("init", label, repository).arguments == {}
    other = options.chosen("init", "RandomNormal(arguments.weights=fixed)", repository)
    assert other.arguments == {"weights": "fixed"}


def test_a_label_without_parentheses_is_the_option(repository):
    assert options.chosen("init", "he_normal", repository) == options.Chosen("he_normal")
    found = options.chosen("init", "Zeros", repository)
    assert found == options.Chosen("custom", {"target": "Zeros"})


@pytest.mark.parametrize(
    ("group", "module", "base"),
    [("init", "initializers", "Initializer"), ("optimizer", "optimizers", "Optimizer")],
)
def test_keras_classes_are_known_without_its_import(keras, repository, group, module, base):
    home = getattr(keras, module)
    classes = {
        name
        for name, value in vars(home).items()
        if isinstance(value, type) and issubclass(value, getattr(home, base)) and name[0].isupper()
    }
    assert len(classes) > 10
    for name in classes:
        found = options.chosen(group, f"{name}(a=1)", repository)
        assert (found.settings, found.arguments) == ({"target": name}, {"a": 1})
    for name in (module, "Dense", "get", "schedules"):
        with pytest.raises(options.UnknownOptionError):
            options.chosen(group, name, repository)
