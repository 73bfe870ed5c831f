"""Whatever is mistyped is refused, by name, with what may be meant; nothing is ignored."""

import re
import sys
import warnings

import pytest

# What is typed -> what is suggested. Each with `+`, with `++` and without, and in sweeps.
UNKNOWN_KEYS = {
    "seed": "seeds",
    "datset": "dataset",
    "optimiser": "optimizer",
    "initializer": "init",
    "INIT": "init",
    "lr": "optimizer.learning_rate",
    "batch_size": "training.batch_size",
    "learning_rate": "optimizer.learning_rate",
    "training.epoch": "training.epochs",
    "training.lr": "optimizer.learning_rate",
    "model.widht": "model.width",
    "hydra.verbos": "hydra.verbose",
    "hydra.sweep.dirr": "hydra.sweep.dir",
}

# What is typed -> what its line must say. All of a list are typed at once.
REFUSED_TOGETHER = {
    "options": {
        "experiment=artcle": "`experiment` must be one of article.* Did you mean `article`",
        "model=../init/zero": "`model` must be one of applications, autoencoder, cnn, conv1d, "
        "custom, mlp, resnet, rnn, transformer, unet",
        "init=he_norml": "`init` must be one of .*keras1/he_normal.* Did you mean `he_normal`",
        "dataset=[0,0]": "`dataset` must be one of .* Received: 0, 0",
        "training=null": "`training` must be one of .* Did you mean `none`",
        "report=": "`report` must be one of default. Received: ''",
        "hydra/launcher=cohrt": "`hydra/launcher` must be left out: the launcher `cohort` plans",
    },
    "options and keys": {
        "experiment=artcle": "Did you mean `article`",
        "+seed=7": "`seed` is not a setting. Did you mean `seeds`",
        "training.epoch=3": "Did you mean `training.epochs`",
    },
    "options with settings": {
        "init='he_norml(gain=2)'": r"Received: 'he_norml\(gain=2\)'. Did you mean `he_normal`",
        "optimizer='sgd(lr=1)'": "`optimizer.lr` is not .*=sgd. Did you mean `optimizer.learning_r",
        "model='mlp(width=-1)'": "`model.width` must be a positive integer or .* Received: -1",
        "dataset='iris(0.1)'": "`dataset` must be an option, .* `0.1` has no name",
        "training='default(epochs=1, epochs=2)'": "`epochs` is given twice",
        "engine='keras(a=1)'": "`engine.a` is not a setting of engine=keras",
        "diagnostics='full(examples=8'": "A parenthesis or a bracket is not closed",
        "execution='local(workers=${oc.env:A})'": r"own: execution.<key>=\$\{...\}",
        "experiment='article(seeds=3)'": "`experiment` must be one of article",
        "report='default(a.b)'": "`a.b` has no name",
    },
    "classes and functions that are not there": {
        "init=RandomNorml": "Did you mean `RandomNormal`",
        "model='nowhere.build(width=3)'": "must be one of .* There is no module `nowhere`",
        "optimizer=keras1.Adam": "`optimizer` must be one of .* There is no module `keras1`",
    },
    "options in one pair of quotes": {
        "init=he_normal(gain=0.5)": """ twice: init="'he_normal\\(gain=0.5\\)'"$""",
        "model=a.b(c=d, e='f'),mlp": r""" twice: model="'a.b\(c=d, e=\\'f\\'\)',mlp"$""",
        "report.baseline=normal(scale=1)": """ twice: report.baseline="'normal\\(scale=1\\)'"$""",
    },
    "several options of one group": {
        "init=[zero,ones]": "`init` must be one option.* --multirun init=zero,ones",
        "dataset=[digits,iris]": "`dataset` must be one option.* --multirun dataset=digits,iris",
        "model=[mlp]": "`model` must be one option",
    },
    "other ways to choose": {
        "+experiment=article": "Write experiment=article",
        "++optimizer=adam": "Write optimizer=adam",
        "init@model.second=ones": "Write init=ones",
        "init/keras1=he_normal": "Write init=keras1/he_normal",
        "hydra=null": "hydra.<key>=",
        "~model": "`model` cannot be removed",
        "~training=default": "`training` cannot be removed",
    },
    "keys": {
        "init.name=zero": "Write init=zero",
        "~seeds": "`seeds` cannot be removed",
        "~model.width": "`model.width` cannot be removed",
        "~nothing": "`nothing` is not a setting",
        "+model/sub=x": "`model/sub` is not a group",
        "model.width@here=1": "`model.width` is not a group",
        "+training={epoch:3}": "`training.epoch` .* Did you mean `training.epochs`",
        "++engine.x=3": "`engine.x` is not a setting of engine=vectorized",
        "+model.arguments.x=1": "`model.arguments` .* setting of applications, custom",
        "++seed=1": "`seed` is not a setting. Did you mean `seeds`",
        "+init.scale=1": "`init.scale` .* setting of uniform, normal",
    },
    "no key=value": {
        "seeds=[0,1": "bracket is not closed",
        "init='zero": "quotation mark is not closed",
        "model.width=3 seeds=2": "an argument of its own",
        "init": "has no `=`",
        "init:zero": "has no `=`",
        "=3": "key stands right before",
        "model..width=3": "names with dots",
        "init =zero": "key stands right before",
        "model==mlp": "quotes twice",
        "dataset=iris,": "last comma",
    },
    "several values": {
        "seeds=1,2": r"has several values.* add --multirun.* write seeds=\[1,2\]",
        "init=zero,ones": r"has several values.* add --multirun\.$",
        "model.width=range(3,5)": r"has several values.* add --multirun\.$",
    },
}

# What is typed alone -> what the one line says.
REFUSED = {
    "sweep over lists": (
        ["--multirun", "init=[zero,ones],he_normal"],
        "--multirun init=zero,ones,he_normal",
    ),
    "sweep over a wrong option": (["--multirun", "experiment=article,artcle"], "mean `article`"),
    "sweep over a sweep": (["--multirun", "experiment=article,lonely"], "`experiment` cannot be"),
    "sweep over what one option with settings lacks": (
        ["--multirun", "init='he_normal(gain=2)','normal(scale=1)'", "init.gain=3"],
        "`init.gain` is not a setting of init=normal",
    ),
    "sweep over what one option lacks": (
        ["--multirun", "init=uniform,zero", "init.scale=0.1"],
        "`init.scale` is not a setting of init=zero",
    ),
    "sweep over Hydra": (["--multirun", "hydra/job_logging=runner,none"], "same in a whole sweep"),
    "missing": (["seeds=???"], "`seeds` has no default"),
    "missing below": (["init=custom"], "`init.target` has no default"),
    "interpolation": (["seeds=${nothing}"], "`seeds` cannot be resolved: .*nothing"),
    "resolver": (["model.width=${oops:}"], "`model.width` cannot be resolved: .*oops"),
    "loggers": (["hydra.verbose=${seeds}"], "`hydra.verbose` must be true, false"),
    "no mode": (["hydra.mode=FOO"], r"`hydra.mode` .* \[RUN, MULTIRUN\]. Received: hydra.mode=FOO"),
    "no folder": (["hydra.sweep.dir="], "`hydra.sweep.dir` must be a folder"),
    "null folder": (["hydra.sweep.dir=null"], "`hydra.sweep.dir` .* must not be null"),
    "impossible folder": (["hydra.sweep.dir=/proc/x"], "/proc/x cannot be used"),
    "folder of a job": (["hydra.run.dir=x"], "`hydra.run.dir` must be left as it is"),
    "no batch": (["hydra.sweeper.max_batch_size=0"], "max_batch_size` must be a positive"),
    "rerun": (["--experimental-rerun", "x"], "--experimental-rerun does not work"),
    "package": (["--package", "model"], "add --cfg job"),
    "two commands": (["--multirun", "--run"], "One of --run and --multirun must be left out"),
    "folder that is not there": (["--config-dir", "missing"], "missing' not found"),
    "other configuration": (["--config-name", "other"], "`--config-name` must be one of config"),
}

PACKAGE = "# @package _global_\n"
# File below conf/, its content, and what the line about it says.
FILES = {
    "top-level keys": (
        ("experiment/mine", PACKAGE + "sedes: 3\noptimiser: adam\n"),
        r"conf/experiment/mine.yaml: .*`seeds`\?.*`optimizer`\?",
    ),
    "keys of an option": (
        ("experiment/mine", PACKAGE + "training: {epoch: 3}\n"),
        "`training.epoch` .* Did you mean `training.epochs`",
    ),
    "option": (
        ("experiment/mine", PACKAGE + "defaults: [{override /init: he_norml}]\n"),
        "`init` must be one of .* Did you mean `he_normal`.* A file chose it",
    ),
    "option with a wrong setting": (
        ("experiment/mine", PACKAGE + "defaults: [{override /init: he_normal(gian=2)}]\n"),
        "`init.gian` is not a setting of init=he_normal. Did you mean `init.gain`",
    ),
    "option with settings that is not closed": (
        ("experiment/mine", PACKAGE + "defaults: [{override /init: he_normal(gain=2}]\n"),
        r"Received: 'he_normal\(gain=2'. A parenthesis or a bracket is not closed",
    ),
    "sweep without quotes": (
        (
            "experiment/mine",
            PACKAGE + "hydra: {mode: MULTIRUN, sweeper: {params: {init: 'zero(bias=1),ones'}}}\n",
        ),
        """ twice: init="'zero\\(bias=1\\)',ones"$""",
    ),
    "group": (
        ("experiment/mine", PACKAGE + "defaults: [{override /inti: zero}]\n"),
        "conf/experiment/mine.yaml: `inti` .* Did you mean `override /init`",
    ),
    "option outside the defaults": (
        ("experiment/mine", PACKAGE + "init: zero\n"),
        "Received: 'zero'. A file chooses .* `- override /init: ",
    ),
    "keys of Hydra": (
        ("experiment/mine", PACKAGE + "hydra: {sweeper: {parms: {init: 'zero,ones'}}}\n"),
        "conf/experiment/mine.yaml: `hydra.sweeper.parms` .* Did you mean `hydra.sweeper.params`",
    ),
    "several options": (
        ("experiment/mine", PACKAGE + "defaults: [{override /init: [zero, ones]}]\n"),
        "`init` must be one option. A file chooses several",
    ),
    "wrong package": (("experiment/mine", "# @package _global\nseeds: 3\n"), "must start with"),
    "no package": (("experiment/mine", "seeds: 3\n"), "must start with .* _global_"),
    "sweep over an unknown key": (
        ("experiment/mine", PACKAGE + "hydra: {mode: MULTIRUN, sweeper: {params: {inti: 'a,b'}}}"),
        "`inti` is not a setting. Did you mean `init`",
    ),
    "keys of a file": (("init/mine", "name: uniform\nscal: 1\n"), "Did you mean `init.scale`"),
    "list": (("init/mine", "[a, b]\n"), "`init` must be the `name` and the settings"),
    "no YAML": (("init/mine", "name: [uniform\n"), "conf/init/mine.yaml, line 2: not valid YAML"),
    "tab": (("init/mine", "name:\tuniform\n"), "conf/init/mine.yaml, line 1: .*not with tabs"),
    "no UTF-8": (("init/mine", b"name: uniform # \xe9\n"), "conf/init/mine.yaml: .* UTF-8"),
}


def lines(command, *arguments):
    done = command(*arguments, "tracking=none")
    assert done.code == 1, done.output
    assert "Traceback" not in done.output
    assert "To append to your" not in done.output
    return done.output.splitlines()


def says(told, pattern):
    return [line for line in told if re.search(pattern, line)]


@pytest.mark.parametrize("plus", ["", "+"])
def test_unknown_keys_are_named_with_what_may_be_meant(command, plus):
    told = lines(command, *(f"{plus}{key}=7" for key in UNKNOWN_KEYS))
    assert len(told) == len(UNKNOWN_KEYS)
    for line, (key, meant) in zip(told, UNKNOWN_KEYS.items(), strict=True):
        assert line.startswith(f"`{key}` is not a setting")
        assert f"Did you mean `{meant}`?" in line


@pytest.mark.parametrize("batches", [(), ("hydra.sweeper.max_batch_size=1",)])
def test_unknown_keys_of_a_sweep_are_named_once(command, batches, tmp_path):
    keys = [key for key in UNKNOWN_KEYS if not key.startswith("hydra")]
    swept = (f"+{key}=1,2,3" for key in keys)
    told = lines(command, "--multirun", *batches, *swept)
    assert [line.split("`")[1] for line in told] == keys
    assert not list(tmp_path.rglob("results/*/*"))


@pytest.mark.parametrize("kind", REFUSED_TOGETHER)
def test_all_mistakes_of_a_kind_are_told_at_once(command, kind):
    mistakes = REFUSED_TOGETHER[kind]
    told = lines(command, *mistakes)
    assert len(told) == len(mistakes)
    for line, pattern in zip(told, mistakes.values(), strict=True):
        assert says([line], pattern), line


def write(tmp_path, name, content):
    path = tmp_path / "conf" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.sampled
@pytest.mark.parametrize("name", REFUSED)
def test_one_line_tells_a_mistake(command, name, tmp_path):
    write(tmp_path, "experiment/lonely", PACKAGE)
    arguments, pattern = REFUSED[name]
    told = lines(command, *arguments)
    assert says(told, pattern), told
    assert len([line for line in told if "HYDRA_FULL_ERROR" not in line]) == 1


@pytest.mark.sampled
@pytest.mark.parametrize("kind", FILES)
def test_mistakes_in_files_of_the_user(command, kind, tmp_path):
    (name, content), pattern = FILES[kind]
    write(tmp_path, name, content)
    told = lines(command, name.replace("/", "="))
    assert len(says(told, pattern)) == 1, told


@pytest.mark.parametrize(
    ("argument", "meant"), [("--init=zero", "init=zero"), ("-init=zero", "init=zero")]
)
def test_a_setting_with_dashes(command, argument, meant):
    done = command(argument)
    assert done.code == 2
    assert done.output.splitlines()[-1].endswith(f"Write {meant}")


def test_the_last_of_two_values_counts_and_that_is_told(command):
    done = command("seeds=7", "seeds=0", "tracking=none")
    assert done.code == 1
    assert says(done.output.splitlines(), "`seeds` is given 2 times: the last one counts")
    assert says(done.output.splitlines(), "`seeds` must be .* Received: 0")


def test_a_file_of_the_user_that_is_not_used_is_told(command, tmp_path):
    write(tmp_path, "init/zero", "name: ones\n")
    done = command("init=zero", "seeds=0", "tracking=none")
    assert done.output.count("conf/init/zero.yaml is not used: runner has an option of that") == 1


def test_all_of_an_error_is_shown_where_it_is_wanted(command, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="`seed` is not a setting"):
        command("+seed=7")


@pytest.mark.parametrize(("backend", "place"), [("jax", "environment"), ("torch", "file")])
def test_keras_with_another_backend(command, monkeypatch, tmp_path, backend, place):
    if place == "environment":
        monkeypatch.setenv("KERAS_BACKEND", backend)
    else:
        monkeypatch.delenv("KERAS_BACKEND", raising=False)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        (tmp_path / "keras.json").write_text(f'{{"backend": "{backend}"}}')
    told = lines(command, "dataset=iris")
    assert len(told) == 1
    assert says(told, f"must compute with TensorFlow.* Received: '{backend}' .*KERAS_BACKEND=tens")
    assert command("--cfg", "job").code == 0


def test_the_version(command):
    done = command("--version")
    assert done.code == 0
    assert done.output.startswith("runner ")


def test_help_lists_every_option_of_a_group_with_it(command):
    done = command("--help")
    assert done.code == 0
    (init,) = says(done.output.splitlines(), "^init: ")
    assert "he_normal" in init
    assert "keras1/he_normal" in init
    assert "experiment: article" in done.output
    assert "hydra/launcher: basic, cohort" in command("--hydra-help").output


# Typed -> what becomes of it: what Hydra itself would refuse for lack of a `+` or of quotes.
ACCEPTED = {
    "settings of all options of a sweep": (
        ["--multirun", "init=uniform,normal", "init.scale=0.1"],
        [("init", "scale", 0.1), ("init", "scale", 0.1)],
    ),
    "settings of all options of an experiment": (
        ["experiment=sweep", "init.scale=0.2"],
        [("init", "scale", 0.2), ("init", "scale", 0.2)],
    ),
    "arguments of a user's function": (
        ["model=custom", "model.function=a.b", "model.arguments.width=3"],
        [("model", "arguments", {"width": 3})],
    ),
    "swept arguments": (
        ["--multirun", "model=custom", "model.function=a.b", "model.arguments.width=3,4"],
        [("model", "arguments", {"width": 3}), ("model", "arguments", {"width": 4})],
    ),
    "an option with settings": (
        ["init='keras1/he_normal(gain=0.5, kernels=[*/w])'"],
        [("init", "gain", 0.5)],
    ),
    "options with settings": (
        ["--multirun", "init='he_normal(gain=0.5)','normal(scale=1e-05)',uniform"],
        [("init", "gain", 0.5), ("init", "scale", 1e-05), ("init", "scale", 0.05)],
    ),
    "options with settings, in batches": (
        ["--multirun", "model='mlp(width=3)','mlp(width=4)'", "hydra.sweeper.max_batch_size=1"],
        [("model", "width", 3), ("model", "width", 4)],
    ),
    "a setting of all options with settings": (
        ["--multirun", "init='he_normal(gain=0.5)','orthogonal(bias=1)'", "init.gain=2"],
        [("init", "gain", 2), ("init", "gain", 2)],
    ),
    "settings of an option against those of an experiment": (
        ["experiment=file", "init='uniform(scale=3)'"],
        [("init", "scale", 3)],
    ),
    "an option with settings in an experiment": (
        ["experiment=label"],
        [("init", "scale", 7)],
    ),
    "a sweep over options with settings in an experiment": (
        ["experiment=labels"],
        [("init", "scale", 0.5), ("init", "arguments", {"a": "b c"})],
    ),
    "options of the user with settings": (
        ["init='short(scale=9)'"],
        [("init", "scale", 9)],
    ),
    "a class of Keras": (
        ["init='RandomNormal(stddev=0.1, weights=fixed)'"],
        [("init", "arguments", {"stddev": 0.1})],
    ),
    "a class of Keras alone": (
        ["optimizer=Lamb"],
        [("optimizer", "target", "Lamb")],
    ),
    "a function of the user": (
        ["model='my_models.build(width=3, model=\\'a b\\')'"],
        [("model", "arguments", {"width": 3, "model": "a b"})],
    ),
    "quotes as they are printed": (
        ["--multirun", "model='my_models.build(path='a b')','mlp(width=5)',cnn", "seeds=1,2"],
        [
            *[("model", "arguments", {"path": "a b"})] * 2,
            *[("model", "width", 5)] * 2,
            *[("model", "filters", 16)] * 2,
        ],
    ),
    "a label as a baseline": (
        ["report.baseline='my_module.Mine(a='b c')'"],
        [("report", "baseline", "my_module.Mine(a='b c')")],
    ),
    "a plus that is not needed": (
        ["+optimizer.learning_rate=3"],
        [("optimizer", "learning_rate", 3)],
    ),
    "settings that a user's file leaves out": (
        ["init=short", "init.bias=1"],
        [("init", "bias", 1)],
    ),
    "a comma": (
        ["dataset=table", "dataset.target=y", "dataset.path=a", "dataset.decimal=,"],
        [("dataset", "decimal", ",")],
    ),
    "signs that Hydra's grammar lacks": (
        ["dataset=table", "dataset.target=y", "dataset.path=größe (1)#.csv"],
        [("dataset", "path", "größe (1)#.csv")],
    ),
}


@pytest.mark.sampled
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_has_one_meaning_is_accepted(command, name, tmp_path, monkeypatch):
    from runner.execution import current

    write(tmp_path, "init/short", "name: uniform\n")
    params = "hydra: {mode: MULTIRUN, sweeper: {params: {init: 'uniform,normal'}}}\n"
    write(tmp_path, "experiment/sweep", PACKAGE + params)
    write(tmp_path, "experiment/file", PACKAGE + "init: {scale: 2, bias: 1}\n")
    label = "defaults: [{override /init: uniform(scale=7)}]\ninit: {scale: 2}\n"
    write(tmp_path, "experiment/label", PACKAGE + label)
    swept = "'uniform(scale=0.5)','my_models.Init(a='b c')'"
    params = f'hydra: {{mode: MULTIRUN, sweeper: {{params: {{init: "{swept}"}}}}}}\n'
    write(tmp_path, "experiment/labels", PACKAGE + params)
    (tmp_path / "my_models.py").touch()
    seen = []

    def spy(jobs, is_whole):
        seen.extend(job.settings for job in jobs)
        return {job.index: 0.0 for job in jobs}

    monkeypatch.setattr(current, "train", spy)
    arguments, expected = ACCEPTED[name]
    done = command(*arguments)
    assert done.code == 0, done.output
    assert len(seen) == len(expected)
    for settings, (group, key, value) in zip(seen, expected, strict=True):
        assert settings[group][key] == value


def test_an_optimizing_sweeper_chooses_options_with_settings(command, monkeypatch):
    from runner.execution import current

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is an old release
        import optuna  # noqa: F401
    seen = []

    def spy(jobs, is_whole):
        seen.extend(job.settings["init"] for job in jobs)
        return {job.index: 0.0 for job in jobs}

    monkeypatch.setattr(current, "train", spy)
    done = command(
        *("--multirun", "init='normal(scale=0.5)','Constant(value=2)'", "hydra/sweeper=optuna"),
        *("hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=3", "hydra.sweeper.sampler.seed=1"),
    )
    assert done.code == 0, done.output
    assert len(seen) == 6
    scales = {init.get("scale") for init in seen}
    values = {init.get("arguments", {}).get("value") for init in seen}
    assert (scales, values) == ({0.5, None}, {2, None})


def test_settings_may_stand_on_both_sides_of_an_option(monkeypatch):
    from runner import __main__

    monkeypatch.setattr(
        sys, "argv", ["runner", "seeds=2", "--multirun", "init=zero,ones", "--config-dir", "a"]
    )
    options = __main__._options()
    assert options.overrides == ["seeds=2", "init=zero,ones"]
    assert (options.multirun, options.config_dir) == (True, "a")
