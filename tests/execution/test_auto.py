"""`seeds=auto`: seeds are added look by look for those of whom a comparison is not decided.

Who that is, is the report's to say; here a script says it, but for the last test.
"""

from collections import Counter

import pandas as pd
import pytest

from runner.execution import plan as plans
from runner.execution import sweep
from runner.execution.configure import _with_looks
from runner.records import read_configurations, read_replicates
from runner.training import reference

QUIET = (
    *("dataset=iris", "model.width=4", "training.epochs=1", "report.figures=false"),
    *("engine=keras", "diagnostics=none"),
)
AUTO = ("seeds=auto", "report.looks=[3,4,6]", "init=zero,ones,he_normal")
SWEEP = ("--multirun", *QUIET, *AUTO, "tracking=none")
# Look -> who goes on from it, and to how many seeds.
SCRIPT = {3: {0: 4, 2: 4}, 4: {2: 6}, 6: {}}
ASKED = {0: 4, 1: 3, 2: 6}


@pytest.fixture
def looks(monkeypatch):
    """The looks at which it was asked how to go on, as the script answers."""
    seen = []

    def scripted(record, configurations, records):
        counts = Counter(each.configuration for each in records)
        assert all(counts[each.index] == each.num_replicates for each in configurations)
        seen.append(max(counts.values()))
        return SCRIPT[seen[-1]]

    monkeypatch.setattr(sweep, "next_seeds", scripted)
    return seen


def asked(folder):
    return {record.index: record.num_replicates for record in read_configurations(folder)}


def ended(folder):
    return Counter(
        record.configuration for record in read_replicates(folder) if record.status == "finished"
    )


def test_seeds_are_added_look_by_look(command, keras, looks, trained, database, stored):
    done = command("--multirun", *QUIET, *AUTO)
    assert done.code == 0, done.output
    assert looks == [3, 4, 6]
    assert trained == [*range(3)] * 3 + [3, 3] + [4, 5]
    assert asked(done.folder) == ended(done.folder) == ASKED
    plan = plans.read(done.folder)
    assert [each.index for each in plan.configurations] == [0, 1, 2]
    assert {task.round for task in plan.tasks} == {0, 1, 2}
    told = " ".join(done.output.split())
    for line in (
        "Look at 3 seeds: 1 configuration needs no more seeds; "
        "2 configurations go on to 4 seeds: zero, he_normal.",
        "Look at 4 seeds: 1 configuration needs no more seeds; "
        "1 configuration goes on to 6 seeds: he_normal.",
        "Look at 6 seeds: 1 configuration has reached the last look.",
        "seeds=auto took 13 trainings; the last look for all takes 18.",
    ):
        assert line in told
    assert "Without a margin" not in told
    assert {run.status for run in stored(done.folder).values()} == {"FINISHED"}
    assert pd.read_csv(done.folder / "comparison.csv")["num_finished"].tolist() == [4, 3, 6]


# In the first round, at the start of the second, within the third.
@pytest.mark.slow
@pytest.mark.parametrize("at", [2, 10, 13])
def test_the_same_command_goes_on_where_it_was_interrupted(
    command, keras, looks, trained, monkeypatch, at
):
    reset, calls = reference._Reference._reset, []

    def interrupt(self, member):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return reset(self, member)

    monkeypatch.setattr(reference._Reference, "_reset", interrupt)
    first = command(*SWEEP)
    assert first.code == 130
    num_ended = sum(ended(first.folder).values())
    trained.clear()
    looks.clear()
    again = command(*SWEEP)
    assert again.code == 0, again.output
    assert asked(again.folder) == ended(again.folder) == ASKED
    assert len(trained) == sum(ASKED.values()) - num_ended
    assert looks == [3, 4, 6]


@pytest.mark.slow
def test_workers_in_processes_train_all_rounds(command, keras, looks):
    done = command(*SWEEP, "execution.workers=2", "execution.cores=1")
    assert done.code == 0, done.output
    assert asked(done.folder) == ended(done.folder) == ASKED
    assert looks == [3, 4, 6]


def test_one_alone_has_nothing_to_compare(command, keras, looks):
    done = command(*QUIET, "seeds=auto", "tracking=none", "report.margin=0")
    assert "nothing to compare here, so it trains the first look only: 5 seeds." in done.output
    assert (asked(done.folder), looks) == ({0: 5}, [])


def test_a_dry_run_tells_the_least_and_the_most(command, keras, looks):
    done = command(*SWEEP, "report.margin=0", "dry_run=true")
    told = " ".join(done.output.split())
    assert "at least 9 trainings, those of the first look, which the table shows" in told
    assert "at most 18, the last look for all" in told
    assert "Without a margin only a difference can end seeds=auto early" in told
    assert not looks


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (("seeds=auto", "weight_seeds=[0,1]", "batch_seeds=[0,1]"), "crossed seeds have one look"),
        (("seeds=auto,5",), "`seeds=auto` must hold for every configuration"),
        (("seeds=auto", "hydra.sweeper.max_batch_size=1"), "in batches. Give a number."),
        (("seeds=automatic",), "non-negative integers, or auto. Received: 'automatic'."),
    ],
)
def test_where_it_cannot_be_one_line_says_so(command, typed, line):
    done = command("--multirun", *QUIET, "tracking=none", "init=zero,ones", *typed)
    assert done.code == 1
    assert line in done.output
    assert "Traceback" not in done.output
    assert not done.folder.exists()


# What a file says, what is typed -> the looks of `seeds=auto`.
LOOKS = {
    ((12,), ()): [5, 10, 20, 40],
    ((12,), ("experiment=article", "seeds=auto")): [5, 10, 20, 40],
    ((12,), ("report.looks=[12]",)): [12],
    ((12,), ("++report.looks=[12]",)): [12],
    ((12,), ("report=mine",)): [12],
    ((6, 12), ()): [6, 12],
}


@pytest.mark.parametrize("case", LOOKS)
def test_a_single_look_in_a_file_is_not_for_auto(case):
    looks, typed = case
    settings = {"seeds": "auto", "report": {"looks": list(looks), "margin": 1}}
    assert _with_looks(settings, typed)["report"] == {"looks": LOOKS[case], "margin": 1}
    number = {**settings, "seeds": 12}
    assert _with_looks(number, typed) == number


@pytest.mark.slow
def test_the_report_decides_who_goes_on(command, keras):
    """All zeros never learn, which the first look shows; partners of a comparison stay together."""
    done = command(
        *("--multirun", "init=zero,glorot_uniform,he_normal", "model.width=16", "seeds=auto"),
        *("training.epochs=2", "report.looks=[5,8]", "tracking=none", "report.figures=false"),
    )
    assert done.code == 0, done.output
    table = read_configurations(done.folder)
    assert {record.design.looks for record in table} == {(5, 8)}
    assert asked(done.folder) == ended(done.folder)
    counts = asked(done.folder)
    assert counts[0] == 5  # as far from the baseline as it can be
    assert counts[1] == counts[2]  # partners of a comparison
    assert f"seeds=auto took {sum(counts.values())} trainings" in " ".join(done.output.split())
