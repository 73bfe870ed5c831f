"""Programs are traced and compiled while others are trained, and nobody sees the difference."""

import threading
from types import SimpleNamespace

import pandas as pd
import pytest

from runner.execution import ahead, checkpoints
from runner.execution.ahead import Ahead
from runner.execution.plan import Task
from runner.machine import Room
from runner.plan import Key
from runner.propagation.settings import Diagnostics

TINY = (
    *("--multirun", "dataset=iris", "model.width=4", "training.epochs=3", "training.batch_size=32"),
    *("tracking=none", "report.figures=false", "seeds=2", "rerun=true"),
)
LONG_S = 60.0


@pytest.fixture(autouse=True)
def _tensorflow(keras):
    """All of these prepare programs."""


@pytest.fixture
def programs():
    """The module, which keeps nothing yet."""
    from runner.training import programs

    programs.let_go()
    return programs


@pytest.fixture
def meanwhile(monkeypatch, programs):
    """Replaces training by one that waits until the next cohort's program has been compiled.

    Returns the number of layers of each model whose training has been compiled in another thread.
    """
    from runner.training import vectorized

    compiled, changed = [], threading.Condition()
    placed, trained = vectorized._Training._placed, vectorized._Training._trained

    def compiling(self, work, *arguments):
        result = placed(self, work, *arguments)
        if work is getattr(self.program, "train", None):
            with changed:
                compiled.append(len(self.cohort.model.trainable_variables))
                changed.notify_all()
        return result

    def training(self, *of):
        layers = len(self.cohort.model.trainable_variables)
        with changed:
            assert layers == LAST or changed.wait_for(
                lambda: max(compiled, default=0) > layers, LONG_S
            )
        return trained(self, *of)

    monkeypatch.setattr(vectorized._Training, "_placed", compiling)
    monkeypatch.setattr(vectorized._Training, "_trained", training)
    return compiled


LAST = 8  # kernels and biases of three hidden layers and the last one


def results(done):
    """Returns all numbers of a sweep but for times."""
    names = ("curves.parquet", "propagation.parquet")
    return [pd.read_parquet(done.folder / name) for name in names]


@pytest.mark.slow
def test_the_next_programs_are_compiled_while_one_is_trained_and_give_the_same_bits(
    command, meanwhile, monkeypatch, programs
):
    done = command(*TINY, "model.depth=1,2,3")
    assert done.code == 0, done.output
    assert sorted(set(meanwhile)) == [4, 6, LAST]
    programs.let_go()
    monkeypatch.undo()
    monkeypatch.setattr(Ahead, "add", lambda *_: None)
    for own, alone in zip(results(done), results(command(*TINY, "model.depth=1,2,3")), strict=True):
        pd.testing.assert_frame_equal(own, alone, check_exact=True)


@pytest.mark.slow
def test_a_model_that_fails_fails_in_its_own_turn(command, monkeypatch, programs):
    from runner.training.program import Program

    gradients, threads = Program._gradients, set()

    def failing(self, *of):
        if len(self._trainable) == 6:
            threads.add(threading.current_thread().name.partition("_")[0])
            raise ValueError("two layers are too many")
        return gradients(self, *of)

    monkeypatch.setattr(Program, "_gradients", failing)
    done = command(*TINY, "model.depth=1,2,3")
    assert done.code == 1
    assert "trace" in threads
    table = pd.read_csv(done.folder / "replicates.csv")
    expected = ["finished"] * 2 + ["failed"] * 2 + ["finished"] * 2
    assert table["status"].tolist() == expected
    assert "two layers are too many" in done.output


ROOM = Room(cores=2, memory_bytes=2**30, cache_bytes=2**20)
TASKS = [Task(str(number), 0, (Key(number, 0, 0),), ROOM) for number in range(4)]


@pytest.fixture
def prepared(monkeypatch):
    """Numbers of the tasks that have been begun with; each ends when `go` is set."""
    from runner.training import vectorized

    begun, go = [], threading.Event()

    def prepare(cohort, later):
        begun.append(cohort.number)
        assert go.wait(LONG_S)
        later(lambda: begun.append("compiled"))
        return cohort

    monkeypatch.setattr(vectorized, "prepare", prepare)
    monkeypatch.setattr(ahead, "cohort_of", lambda pairs: pairs[0][0])
    monkeypatch.setattr(ahead, "replace", lambda cohort, **_: cohort)
    return begun, go


def ready(count=4, **other):
    """Returns what is looked at of configurations; `other` is of the third."""
    usual = {"engine": "vectorized", "precision": "float32", "require": None}

    def one(number):
        of = usual | (other if number == 2 else {})
        training = SimpleNamespace(precision=of["precision"])
        diagnostics = Diagnostics(require=of["require"])
        settings = SimpleNamespace(training=training, engine=of["engine"], diagnostics=diagnostics)
        return SimpleNamespace(number=number, configuration=settings)

    return {number: one(number) for number in range(count)}


def test_only_the_next_one_is_prepared_on_two_cores(prepared, tmp_path):
    begun, go = prepared
    go.set()
    made = Ahead(ready(), tmp_path)
    made.add(TASKS)
    seen = []
    for task in TASKS:
        made.begin(task)
        seen.append(len(made._begun))
        for each in made._begun.values():
            each.exception()
        made.end(task)
    made.close()
    assert max(seen) == 2
    assert [number for number in begun if number != "compiled"] == [0, 1, 2, 3]


def test_whoever_ends_the_command_waits_for_what_is_under_way_alone(prepared, tmp_path):
    begun, go = prepared
    made = Ahead(ready(), tmp_path)
    made.add(TASKS)
    timer = threading.Timer(0.05, go.set)
    timer.start()
    made.close()
    timer.join()
    assert begun == [0]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"engine": "keras"}, [0, 1, 3]),
        ({"require": "healthy"}, [0, 1, 3]),
        ({"precision": "float64"}, []),
    ],
)
def test_what_may_be_trained_otherwise_is_not_prepared(other, expected, prepared, tmp_path):
    begun, go = prepared
    go.set()
    made = Ahead(ready(**other), tmp_path)
    made.add(TASKS)
    for task in TASKS:
        for each in made._begun.values():
            each.exception()
        made.begin(task)
        made.end(task)
    made.close()
    assert [number for number in begun if number != "compiled"] == expected


def test_what_goes_on_from_a_checkpoint_is_not_prepared(prepared, tmp_path):
    begun, go = prepared
    go.set()
    path = checkpoints.path_of(tmp_path, "0")
    path.parent.mkdir()
    path.touch()
    made = Ahead(ready(), tmp_path)
    made.add(TASKS[:1])
    made.close()
    assert begun == []
