"""Jobs are composed quickly, and come out as Hydra itself composes them."""

import pytest
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from hydra_plugins.runner_launcher import QuickLoader
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
    calls = []
    load = hydra.load_sweep_config
    monkeypatch.setattr(
        hydra, "load_sweep_config", lambda *args: calls.append(args[1]) or load(*args)
    )
    for rate in (0.1, 0.2, 0.3):
        for init in ("zero", "ones"):
            quick.load_sweep_config(master, [f"init={init}", f"optimizer.learning_rate={rate}"])
    assert calls == [["init=zero"], ["init=ones"]]
    first, again = (quick.take(master, ["init=zero", "seeds=3"]) for _ in range(2))
    assert first == again
    assert first is not again
    assert len(calls) == 2
