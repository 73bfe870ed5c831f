"""Jobs are composed quickly, and come out as Hydra itself composes them."""

import pytest
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from hydra_plugins.runner_launcher import QuickLoader
from runner.config import ConfigError
from runner.execution import composing, folders

JOBS = [
    ["init=zero"],
    ["init=zero", "optimizer.learning_rate=0.1"],
    ["init=zero", "optimizer.learning_rate=0.2", "seeds=[1,2]"],
    ["optimizer.learning_rate=0.2", "init=zero", "optimizer=adam", "model.width=5"],
    ["init=he_normal", "init.gain=null", "model.width=5", "model.width=6"],
    ["init=zero", "+model.extra={a:1}", "++model.more='x y'", "~report.figures"],
    ["+init@model.second=ones", "model.second.bias=1"],
    ["~optimizer"],
    ["init=zero", "optimizer.learning_rate=3", "hydra.verbose=true", "hydra/job_logging=none"],
    ["experiment=article", "model.width=32"],
]
WRONG = [
    ["init=zer"],
    ["init=zero", "optimizer.learning_rat=1"],
    ["init=zero", "optimizer.learning_rate.deeper=1"],
    ["init=zero", "model.width@here=1"],
    ["init=zero", "~optimizer.learning_rat"],
    ["init=zero", "optimizer={"],
]


# As the product composes them. Each follows one that differs in one choice, or in more.
EXCHANGED = [
    ["init=zero", "model=mlp"],
    ["init=he_normal", "model=mlp", "init.gain=2"],
    ["init='normal(scale=0.02)'", "model=mlp"],
    ["init=keras1/he_normal", "model=mlp", "seeds=3"],
    ["init=keras1/he_normal", "model=cnn"],
    ["init=zero", "model=cnn"],
    ["init=mine", "model=cnn"],
    ["init=HeNormal", "model=cnn"],
    ["init=ones", "experiment=article"],
    ["init=zero", "experiment=article"],
    ["init=far_reaching", "model=cnn"],
    ["init=ones", "model=cnn"],
    ["init=chooses", "model=cnn"],
    ["init=zero", "model=cnn"],
    ["init=zero", "model=mlp", "optimizer=sgd"],
    ["init=zero", "model=mlp", "optimizer=adam"],
]
# The user's own: one that adds to another, one that says something of another group, in two ways.
OWN = {
    "part_of_part": "bias_scale: 0.7\nkernels: [a]\n",
    "part": "defaults: [/part_of_part@_here_]\nfallback: ones\n",
    "init/first": "defaults: [/base_init@_here_, /part@_here_]\nname: ones\n",
    "init/mine": "defaults: [he_normal]\ngain: 3.0\nbias: 0.5\n",
    "init/far_reaching": "# @package _global_\nmodel: {depth: 3}\ninit: {name: zero}\n",
    "init/chooses": "defaults: [/base_init@_here_, override /optimizer: adam]\nname: zero\n",
    "optimizer/glorot_uniform": "defaults: [sgd]\nlearning_rate: 0.2\n",
    "optimizer/first": "defaults: [sgd]\nlearning_rate: 0.1\n",
    "optimizer/zero": "defaults: [sgd]\nlearning_rate: 0.3\n",
    "optimizer/normal": "defaults: [sgd]\nlearning_rate: 0.4\n",
}
# The user's own experiments -> how many of the jobs of `SWEPT` are composed as a whole: the first,
# the label where settings are set above it, all where something else depends on the option.
EXPERIMENTS = {
    "article": ("", 2),
    "says_nothing_of_it": ("model: {width: 8}\n", 1),
    "sets_what_is_so_anyway": ("init: {bias: 0.0}\n", 2),
    "refers": ("init: {bias: '${optimizer.learning_rate}'}\n", 2),
    "adds_to_another": ("defaults: [/experiment/refers]\ninit: {bias_scale: 0.2}\n", 2),
    "chooses_too": ("defaults: [override /init: ones]\ninit: {bias: 0.3}\n", 2),
    "sets_what_some_have": ("init: {scale: 0.05}\n", 7),
    "chooses_by_it": ("defaults: [override /optimizer: '${init}']\n", 7),
}
SWEPT = ("first", "zero", "mine", "'normal(scale=0.02)'", "keras1/identity", "he_uniform", "normal")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def strict(tmp_path, monkeypatch):
    """The product's loader with options of the user's own, and the configuration of a sweep."""
    folders.register_resolver()
    own = {f"experiment/{name}": text for name, (text, _) in EXPERIMENTS.items() if text}
    for name, text in OWN.items():
        write(tmp_path / "conf" / f"{name}.yaml", text)
    for name, text in own.items():
        write(tmp_path / "conf" / f"{name}.yaml", f"# @package _global_\n{text}")
    monkeypatch.chdir(tmp_path)
    with (
        composing.strictly(),
        initialize_config_dir(str(composing.CONF), version_base="1.3", job_name="runner"),
    ):
        loader = composing.Loader(GlobalHydra.instance().config_loader().get_search_path())
        arguments = ["init=zero,ones", "hydra.sweep.dir=elsewhere"]
        yield loader, loader.load_configuration("config", arguments, run_mode=RunMode.MULTIRUN)


@pytest.fixture
def loaders():
    """Hydra's loader, one around it, and the configuration of a sweep."""
    folders.register_resolver()
    ConfigStore.instance().store(name="base_config", node=composing.Schema)
    with initialize_config_dir(str(composing.CONF), version_base="1.3", job_name="runner"):
        loader = GlobalHydra.instance().config_loader()
        arguments = ["init=zero,ones", "hydra.sweep.dir=elsewhere"]
        master = loader.load_configuration("config", arguments, run_mode=RunMode.MULTIRUN)
        yield loader, QuickLoader(loader), master


def composed(loader, master, overrides):
    config = loader.load_sweep_config(master, list(overrides))
    flags = [OmegaConf.is_struct(config), OmegaConf.is_readonly(config.hydra)]
    return OmegaConf.to_yaml(config), flags


def test_jobs_are_those_of_hydra(loaders):
    hydra, quick, master = loaders
    for overrides in JOBS:
        assert composed(quick, master, overrides) == composed(hydra, master, overrides), overrides


def outcome(loader, master, job):
    try:
        return composed(loader, master, job)
    except (ConfigError, HydraException) as error:
        return str(error)


def composed_whole(monkeypatch, loader):
    """Returns a list to which each job is added that the loader composes from nothing."""
    whole, load = [], loader.load_sweep_config
    monkeypatch.setattr(
        loader, "load_sweep_config", lambda *args: whole.append(args[1]) or load(*args)
    )
    return whole


@pytest.mark.slow
def test_options_are_exchanged_as_hydra_would_compose_them(strict, monkeypatch):
    loader, master = strict
    wanted = [outcome(loader, master, job) for job in EXCHANGED]
    whole = composed_whole(monkeypatch, loader)
    quick = QuickLoader(loader)
    for job, expected in zip(EXCHANGED, wanted, strict=True):
        assert outcome(quick, master, job) == expected, job
    assert ["init=he_normal", "model=mlp"] not in whole
    assert ["init=zero", "model=cnn"] not in whole


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "refers")) for name in EXPERIMENTS],
)
def test_what_an_experiment_sets_stays_where_options_are_exchanged(strict, monkeypatch, name):
    loader, _ = strict
    arguments = [f"experiment={name}", "init=zero,ones", "hydra.sweep.dir=elsewhere"]
    master = loader.load_configuration("config", arguments, run_mode=RunMode.MULTIRUN)
    jobs = [[f"init={init}", f"experiment={name}"] for init in SWEPT]
    wanted = [outcome(loader, master, job) for job in jobs]
    assert len(set(map(str, wanted))) == len(jobs)
    whole = composed_whole(monkeypatch, loader)
    quick = QuickLoader(loader)
    for job, expected in zip(jobs, wanted, strict=True):
        assert outcome(quick, master, job) == expected, job
    assert len({tuple(job) for job in whole}) == EXPERIMENTS[name][1]


def test_errors_are_those_of_hydra(loaders):
    hydra, quick, master = loaders
    for overrides in WRONG:
        with pytest.raises(HydraException) as wanted:
            composed(hydra, master, overrides)
        with pytest.raises(type(wanted.value)) as got:
            composed(quick, master, overrides)
        assert str(got.value) == str(wanted.value)


def test_jobs_that_differ_in_values_are_composed_once(loaders, monkeypatch):
    hydra, quick, master = loaders
    calls = composed_whole(monkeypatch, hydra)
    for rate in (0.1, 0.2, 0.3):
        for init in ("zero", "ones"):
            quick.load_sweep_config(master, [f"init={init}", f"optimizer.learning_rate={rate}"])
    assert calls == [["init=zero"], ["init=ones"]]
    first, again = (quick.take(master, ["init=zero", "seeds=3"]) for _ in range(2))
    assert first == again
    assert first is not again
    assert len(calls) == 2
