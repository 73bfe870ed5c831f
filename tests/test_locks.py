"""Waiting for another process: not in silence, not for ever, and it is said for whom."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import runner
from runner import locks
from runner.config import ConfigError
from runner.interruption import stoppable
from runner.locks import HeldError, Waiting, exclusive, hold, listed_holder
from runner.recording import mlflow_store

NO_PROCESS = 2**22 + 1  # Linux numbers none so

FOLDER = """
import sys, time
from pathlib import Path
from runner.locks import exclusive

with exclusive(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(600)
"""

DATABASE = """
import sqlite3, sys, time

connection = sqlite3.connect(f"{sys.argv[1]}/mlflow.db", isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def holding(code, folder):
    """Lets another process hold the lock, suspended as by Ctrl-Z."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "held\n"
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            yield process
        finally:
            process.kill()


@pytest.fixture
def quick(monkeypatch):
    """Tells at once, and gives up soon."""
    monkeypatch.setattr(locks, "NOTICE_S", 0.0)
    monkeypatch.setattr(locks, "PATIENCE_S", 0.3)


def use_folder(folder):
    with exclusive(folder, "it"):
        pass


def use_database(folder):
    mlflow_store._try_database(f"sqlite:///{folder}/mlflow.db")


needs_list = pytest.mark.skipif(
    not Path("/proc/locks").exists(), reason="the operating system does not list locks"
)


@pytest.mark.parametrize(
    ("code", "use"),
    [(FOLDER, use_folder), pytest.param(DATABASE, use_database, marks=needs_list)],
)
def test_who_holds_it_is_told_and_then_it_is_given_up(tmp_path, quick, caplog, code, use):
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("CREATE TABLE anything (number)")
    with holding(code, tmp_path) as process:
        with pytest.raises(HeldError, match=rf"held by process {process.pid} on ") as caught:
            use(tmp_path)
        told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    for text in (str(caught.value), told[0]):
        assert f"process {process.pid} on {os.uname().nodename} (" in text
        assert Path(sys.executable).name in text
        assert f"suspended; `kill -CONT {process.pid}` lets it go on" in text
        assert ("since 20" in text) == (code is FOLDER)


def test_a_store_that_is_held_is_refused_in_one_line(tmp_path, quick):
    with holding(FOLDER, tmp_path), pytest.raises(ConfigError) as caught:
        mlflow_store.open_store(f"sqlite:///{tmp_path}/mlflow.db", "runner")
    assert str(caught.value).endswith("tracking=none trains without MLflow.")
    assert "\n" not in str(caught.value)


def test_nothing_is_said_where_nobody_holds_it(tmp_path, quick, caplog):
    use_folder(tmp_path)
    use_folder(tmp_path)
    assert not caplog.records
    assert list(tmp_path.iterdir()) == []
    assert listed_holder(tmp_path) == "another process"


def test_who_waits_can_be_interrupted():
    def taken():
        signal.raise_signal(signal.SIGTERM)
        return False

    began_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt), stoppable():
        Waiting("it", lambda: "nobody").until(taken)
    assert time.monotonic() - began_s < locks.NOTICE_S


@pytest.mark.parametrize(
    ("host", "pid", "refusal"),
    [
        (
            socket.gethostname(),
            os.getpid(),
            r"^process \d+ on .*; if that has ended, remove .*note$",
        ),
        ("elsewhere", 1, r"^process 1 on elsewhere \(.*; if that has ended, remove .*note$"),
        (socket.gethostname(), NO_PROCESS, None),
    ],
    ids=["lives", "elsewhere", "ended"],
)
def test_without_locks_a_note_says_who_holds_a_file(tmp_path, monkeypatch, host, pid, refusal):
    monkeypatch.setattr(locks, "lock", lambda descriptor: None)
    note = tmp_path / "note"
    note.write_text(json.dumps({"pid": pid, "host": host, "command": "it", "since": "today"}))
    if refusal:
        with pytest.raises(HeldError, match=refusal):
            hold(note)
    else:
        os.close(hold(note))
        assert json.loads(note.read_text())["pid"] == os.getpid()


def test_a_file_is_held_once(tmp_path):
    first = hold(tmp_path / "note")
    with pytest.raises(HeldError, match=rf"^process {os.getpid()} on "):
        hold(tmp_path / "note")
    os.close(first)
    os.close(hold(tmp_path / "note"))
