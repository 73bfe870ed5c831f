"""Bad input: one clear line, exit code 1, nothing trained, no traceback."""

import pytest

# What is typed -> what the line must say.
REFUSED = {
    "unknown init": (["init=he"], "`init` must be one of"),
    "unknown key": (["model.widht=3"], "widht"),
    "unknown dataset": (["dataset=imagenet"], "`dataset` must be one of"),
    "negative width": (["model.width=-1"], r"`model.width` must be a positive integer"),
    "text for a number": (["model.width=wide"], r"`model.width` must be a positive integer"),
    "unknown activation": (["model.activation=rulu"], "`model.activation`"),
    "dropout of 1": (["model.dropout=1"], "`model.dropout` must be"),
    "no epochs": (["training.epochs=0"], "`training.epochs` must be a positive integer"),
    "no batch": (["training.batch_size=0"], "`training.batch_size` must be a positive integer"),
    "negative rate": (["optimizer.learning_rate=-1"], "`optimizer.learning_rate` must be"),
    "unknown metric to stop by": (
        ["training.early_stopping.patience=3", "training.early_stopping.metric=val_acc"],
        "`training.early_stopping.metric` must be one of loss, accuracy, val_loss",
    ),
    "no patience": (
        ["training.early_stopping.patience=0"],
        "`training.early_stopping.patience` must be a positive integer, or null",
    ),
    "warmup longer than the training": (
        ["optimizer.warmup=100000"],
        "`optimizer.warmup` must be below the",
    ),
    "unknown schedule": (["optimizer.schedule=steps"], "`optimizer.schedule` must be one of"),
    "duplicate seeds": (["seeds=[1,1]"], "`seeds` must be .* distinct"),
    "no seeds": (["seeds=0"], "`seeds` must be a positive integer"),
    "negative scale": (["init=normal", "init.scale=-1"], "`init.scale` must be"),
    "unknown fallback": (["init.fallback=he"], "`init.fallback` must be"),
    "device": (["device=tpu"], "`device` must be auto, cpu, gpu"),
    "no such metric": (["report.metric=val_auc"], "`report.metric` must be one of loss, accuracy"),
    "metric of another task": (["dataset=diabetes", "report.metric=accuracy"], "`report.metric`"),
    "metric of classes for labels": (
        ["dataset=teacher", "dataset.task=multilabel", "report.metric=val_accuracy"],
        "`report.metric` must be one of loss, binary_accuracy, exact_match, .* multilabel",
    ),
    "target of classes for labels": (
        [
            *("dataset=teacher", "dataset.task=multilabel"),
            *("training.target_metric=accuracy", "training.target_value=1"),
        ],
        "`training.target_metric` must be one of loss, binary_accuracy, exact_match",
    ),
    "nothing given": (["init=custom"], "`init.target` has no default"),
    "target without value": (["training.target_metric=val_loss"], "belong together"),
    "report at": (["report.at=middle"], "`report.at` must be one of final, best"),
    "no report epoch": (["report.at=epoch"], "`report.epoch` belong together"),
    "report epoch for nothing": (["report.epoch=3"], "`report.epoch` belong together"),
    "report epoch too late": (
        ["report.at=epoch", "report.epoch=9", "training.epochs=5"],
        "`report.epoch` must be at most the number of epochs trained, 5. Received: 9",
    ),
    "looks that fall": (["report.looks=[10,5]"], "`report.looks` must be a list of rising"),
    "no list of looks": (["report.looks=12"], "`report.looks` must be a list .* such as .*12"),
    "margin": (
        ["report.margin=-0.1"],
        "`report.margin` must be a positive number, 0 for no margin",
    ),
    "margin of a share": (["report.margin=1"], "`report.margin` must be below 1, as val_accuracy"),
    "missing file": (["dataset=arrays", "dataset.path=nowhere.npz"], "nowhere.npz"),
    "no file named": (["dataset=table", "dataset.target=y"], "`dataset.path`"),
    "no validation": (["dataset.validation=0"], "`dataset.validation`"),
    "dry run": (["dry_run=maybe"], "dry_run"),
    "verbose": (["verbose=maybe"], "verbose"),
    "another folder for jobs": (["hydra.job.chdir=true"], "`hydra.job.chdir` must be false"),
}

LOOKS_UP = ["model=custom", f"model.function={__name__}.looking_up"]

NEEDS_KERAS = {
    "square identity": (
        ["init=keras1/identity", "dataset=iris"],
        r"`init.fallback`.*kernel.*\(4, 64\)|kernel.*\(4, 64\).*init.fallback",
    ),
    "no such function": (
        ["model=custom", "model.function=nothing.at_all"],
        "`model.function` .* no module `nothing`",
    ),
    "trains itself": (
        ["model=custom", f"model.function={__name__}.training_itself"],
        r"`model` must leave training to Keras.* its own train_step\. Set engine=keras\.",
    ),
    "standardized numbers looked up": (
        [*LOOKS_UP, "dataset=iris", "dataset.standardize=true"],
        r"`dataset.standardize` must be null or false .* because layer .words. looks up numbers",
    ),
    "numbers without a row": (
        [*LOOKS_UP, "dataset=iris"],
        r"`model.function` must return a model with a row .*'words' has rows for 0 to 4 .* up 7",
    ),
    "a limit below any guess": (
        ["dataset=diabetes", "dataset.standardize=false", "training.divergence_limit=1000"],
        r"`training.divergence_limit` must be well above 5\S+, the loss of the best constant.* "
        r"Received: 1000\.0\. Every replicate would count as diverged\. Raise it, or leave out "
        r"`dataset.standardize=false`\.",
    ),
    "not a model": (["model=custom", "model.function=builtins.dict"], "`model.function`"),
    "updates of another kind": (
        ["optimizer=custom", "optimizer.target=ScheduleFreeAdamW"],
        r"`optimizer.target` must be .*engine=vectorized.* Set engine=keras\.",
    ),
    "unknown baseline": (
        ["init=he_normal", "report.baseline=he_norm"],
        r"`report.baseline` must be .* sweep: he_normal\. .*'he_norm'\. Did you mean `he_normal`\?",
    ),
    "baseline of another sweep": (
        ["--multirun", "init=he_normal,zero", "report.baseline=glorot_uniform"],
        r"`report.baseline` must be .* this sweep: he_normal, zero\. Received: 'glorot_uniform'",
    ),
    "no GPU here": (["device=gpu:7"], "`device` asks for gpu:7"),
}


def training_itself(input_shape, num_outputs):
    import keras

    class Stubborn(keras.Sequential):
        def train_step(self, data):
            return {"loss": 0.0}

    layers = [keras.layers.Flatten(), keras.layers.Dense(num_outputs)]
    return Stubborn([keras.Input(input_shape), *layers])


def looking_up(input_shape, num_outputs):
    import keras

    words = keras.layers.Embedding(5, 2, name="words")
    layers = [words, keras.layers.Flatten(), keras.layers.Dense(num_outputs)]
    return keras.Sequential([keras.Input(input_shape), *layers])


def check(command, arguments, said, tmp_path):
    done = command(*arguments, "tracking=none")
    assert done.code == 1
    assert "Traceback" not in done.output
    assert not list(tmp_path.rglob("replicates")), "something was trained"
    import re

    lines = [line for line in done.output.splitlines() if re.search(said, line)]
    assert lines, done.output


@pytest.mark.sampled
@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_tensorflow_is_needed(name, command, tmp_path):
    check(command, *REFUSED[name], tmp_path)


@pytest.mark.sampled
@pytest.mark.parametrize("name", NEEDS_KERAS)
def test_refused_before_training(name, command, tmp_path, keras):
    check(command, *NEEDS_KERAS[name], tmp_path)


def test_all_bad_configurations_of_a_sweep_are_told_at_once(command, tmp_path):
    done = command("--multirun", "model.width=-1,-2", "tracking=none")
    assert done.code == 1
    assert "2 of 2 configurations cannot be trained" in done.output
    assert "Received: -1" in done.output
    assert "Received: -2" in done.output
    assert not done.folder.exists()


def test_a_dry_run_of_what_is_refused_says_so(command):
    done = command("model.width=-1", "dry_run=true")
    assert done.code == 1
    assert "No configuration can be trained. Nothing was trained." in done.output


def test_a_sweep_needs_multirun(command):
    done = command("init=zero,ones")
    assert done.code == 1
    assert "--multirun" in done.output
