"""A console that is lost, full or not there: the command goes on, and its exit code is its own."""

import logging
import os
import pty
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import runner
from runner.terminal import DETAIL, ConsoleHandler

ROOT = Path(runner.__file__).parents[1]

# All ways in which this project and its libraries speak, and more of it than a buffer takes.
SPEAKING = """
import logging, sys, warnings

from runner.terminal import ConsoleHandler, quiet_stderr, tolerate_any_console

tolerate_any_console()
from rich import get_console
from rich.progress import track

logging.basicConfig(handlers=[ConsoleHandler(), logging.StreamHandler()])
with open("result", "w") as file:
    for number in track(range(2000)):
        print("a line of text", number)
        print("a line of text", number, file=sys.stderr, flush=True)
        file.write("x")
get_console().print("[bold]a line")
logging.error("a line")
warnings.warn("a warning")
try:
    with quiet_stderr():
        raise KeyError
except KeyError:
    pass
print("the last words", end="")
"""


def command(folder, *arguments, **streams):
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **{"stdin": subprocess.DEVNULL, **streams},
    )
    return process


def gone_reader(stack):
    reading, writing = os.pipe()
    os.close(reading)
    stack.callback(os.close, writing)
    return writing


def gone_terminal(stack):
    controlling, terminal = pty.openpty()
    os.close(controlling)
    stack.callback(os.close, terminal)
    return terminal


def full_disk(stack):
    return stack.enter_context(Path("/dev/full").open("wb"))


def only_readable(stack):
    return stack.enter_context(Path(os.devnull).open("rb"))


LOST = [gone_reader, gone_terminal, full_disk, only_readable]


@pytest.mark.parametrize(
    ("names", "lost"),
    [
        *((["stdout", "stderr"], lost) for lost in LOST),
        (["stdout"], gone_reader),
        (["stderr"], full_disk),
    ],
)
def test_a_console_that_takes_nothing_is_spoken_to_in_vain(tmp_path, names, lost):
    with ExitStack() as stack:
        streams = {name: lost(stack) for name in names}
        others = {name: subprocess.PIPE for name in {"stdout", "stderr"} - set(names)}
        process = stack.enter_context(command(tmp_path, "-c", SPEAKING, **streams, **others))
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "result").read_text() == "x" * 2000
    if output is not None:
        assert output.endswith(b"the last words")
    if errors is not None:
        assert b"Error" not in errors
        assert b"ignored" not in errors


@pytest.mark.parametrize("closed", [[1], [2], [0, 1, 2]])
def test_no_file_takes_the_place_of_a_stream_that_is_not_there(tmp_path, closed):
    def close():
        for descriptor in closed:
            os.close(descriptor)

    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with command(tmp_path, "-c", SPEAKING, preexec_fn=close, **streams) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "result").read_text() == "x" * 2000
    assert output.endswith(b"the last words") == (1 not in closed)
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("module", "lost"),
    [("runner", gone_reader), ("runner.report", full_disk), ("runner.sync", gone_reader)],
)
def test_help_that_nobody_reads_is_no_error(tmp_path, module, lost):
    with ExitStack() as stack:
        streams = {"stdout": lost(stack), "stderr": subprocess.PIPE}
        process = stack.enter_context(command(tmp_path, "-m", module, "--help", **streams))
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.parametrize(
    ("verbose", "level", "is_shown"),
    [(False, DETAIL, False), (True, DETAIL, True), (False, logging.DEBUG, True)],
)
def test_details_are_shown_where_they_are_asked_for(capsys, monkeypatch, verbose, level, is_shown):
    monkeypatch.setattr(logging.root, "level", level)
    for number, text in ((logging.INFO, "a line"), (DETAIL, "a detail")):
        record = logging.makeLogRecord({"levelno": number, "msg": text})
        ConsoleHandler(verbose).handle(record)
    assert capsys.readouterr().out.splitlines() == ["a line", "a detail"][: 1 + is_shown]


@pytest.mark.slow
@pytest.mark.parametrize("lost", [gone_reader, full_disk])
def test_a_training_comes_to_its_end_without_a_console(tmp_path, lost):
    arguments = ("dataset=iris", "training.epochs=2", "seeds=2", "report.figures=false")
    with ExitStack() as stack:
        console = lost(stack)
        process = stack.enter_context(
            command(tmp_path, "-m", "runner", *arguments, stdout=console, stderr=console)
        )
        assert process.wait(180) == 0
    folder = tmp_path / "results" / "latest"
    assert len(list(folder.glob("0/replicates/*.json"))) == 2
    assert (folder / "report.html").exists()
    assert (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_a_refusal_keeps_its_exit_code_without_a_console(tmp_path):
    with ExitStack() as stack:
        console = gone_reader(stack)
        process = stack.enter_context(
            command(tmp_path, "-m", "runner", "init=nowhere", stdout=console, stderr=console)
        )
        assert process.wait(60) == 1
