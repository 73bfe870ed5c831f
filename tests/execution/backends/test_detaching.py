"""Ctrl-D at a terminal is heard; the end of a pipe is not."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import runner

LISTENING = """
import fcntl, os, sys, termios, time
from runner.execution.backends.detaching import Terminal

if os.isatty(0):
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal of this session
terminal = Terminal()
print("listening", flush=True)
until_s = time.monotonic() + float(sys.argv[1])
while not terminal.is_left and time.monotonic() < until_s:
    time.sleep(0.02)
print("left" if terminal.is_left else "stayed", flush=True)
terminal.close()
"""

LONG_S, SHORT_S = "60", "0.7"


def listening(stdin, seconds):
    """Starts a process that listens; where `stdin` is a terminal, it is that of its session."""
    return subprocess.Popen(
        [sys.executable, "-c", LISTENING, seconds],
        cwd=Path(runner.__file__).parents[1],
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("typed", "seconds", "end"),
    [
        (b"\x04", LONG_S, "left"),
        (b"some text\n\x04", LONG_S, "left"),
        (b"some text\n", SHORT_S, "stayed"),
    ],
    ids=["at once", "after a line", "only a line"],
)
def test_at_a_terminal_ctrl_d_leaves(typed, seconds, end):
    person, terminal = pty.openpty()
    try:
        with listening(terminal, seconds) as process:
            os.close(terminal)
            assert process.stdout.readline() == "listening\n"
            os.write(person, typed)
            assert process.stdout.read() == f"{end}\n"
    finally:
        os.close(person)


def test_a_terminal_that_goes_away_is_no_ctrl_d():
    person, terminal = pty.openpty()
    with listening(terminal, SHORT_S) as process:
        os.close(terminal)
        assert process.stdout.readline() == "listening\n"
        os.close(person)
        assert "left" not in process.stdout.read()


@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, subprocess.PIPE])
def test_the_end_of_a_pipe_or_file_says_nothing(stdin):
    with listening(stdin, SHORT_S) as process:
        if process.stdin is not None:
            process.stdin.close()
        assert process.stdout.read() == "listening\nstayed\n"
