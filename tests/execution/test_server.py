"""A real MLflow server on a real PostgreSQL, which goes away in the middle of a sweep."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

import runner
from runner.records import read_replicates

pytestmark = pytest.mark.server

ROOT = Path(runner.__file__).parents[1]
DEADLINE_S = 180.0
USER, SECRET = "me", "hunter2-and-more"
AUTHENTICATION = """[mlflow]
default_permission = MANAGE
database_uri = sqlite:///{folder}/users.db
admin_username = {user}
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 600
"""
SWEEP = (
    *("--multirun", "init=zero,he_normal", "engine=keras", "dataset=iris", "model.width=8"),
    *("training.epochs=200", "seeds=3", "report.figures=false"),
)


@pytest.fixture
def address():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def home():
    """A folder that PostgreSQL's own user may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="runner-server-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "a server"


@contextmanager
def server(folder, address):
    """Runs `scripts/mlflow_server.sh` with accounts; yields its process group when it answers."""
    folder.mkdir(exist_ok=True)
    settings = folder / "accounts.ini"
    settings.write_text(AUTHENTICATION.format(folder=folder, user=USER, password=SECRET))
    script = ["bash", str(ROOT / "scripts" / "mlflow_server.sh")]
    output = folder / "output"
    with output.open("w") as stream:  # a pipe that nobody reads would stop the server when full
        process = subprocess.Popen(
            [*script, str(folder), address.rpartition(":")[2], "--app-name", "basic-auth"],
            env={
                **os.environ,
                "PYTHON": sys.executable,
                "MLFLOW_AUTH_CONFIG_PATH": str(settings),
                "MLFLOW_FLASK_SERVER_SECRET_KEY": "of no use elsewhere",
            },
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(lambda: answers(address), process, output.read_text)
        yield process.pid
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=DEADLINE_S)


def answers(address):
    try:
        return urllib.request.urlopen(f"{address}/health", timeout=1).status == 200
    except OSError:
        return False


def wait_for(condition, process, output):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, output()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def environment(address, password=SECRET):
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": address,
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": password,
    }


def run(module, *arguments, address, folder, password=SECRET):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment(address, password),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


def test_a_server_that_dies_and_comes_back_gets_everything(
    tmp_path, home, address, stored, same_as_disk, monkeypatch
):
    from mlflow import MlflowClient

    for name, value in environment(address).items():
        monkeypatch.setenv(name, value)
    with server(home, address) as group:
        sweep = subprocess.Popen(
            [sys.executable, "-m", "runner", *SWEEP],
            cwd=tmp_path,
            env=environment(address),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_for(
            lambda: len(list(tmp_path.glob("results/[0-9]*/*/*/replicates/*.json"))) >= 2,
            sweep,
            lambda: sweep.communicate()[0],
        )
        os.killpg(group, signal.SIGKILL)
    output, _ = sweep.communicate(timeout=DEADLINE_S)
    assert sweep.returncode == 0, output
    assert output.count("stopped working") == 1
    assert "Traceback" not in output
    assert "python -m runner.sync results/" in output
    folder = (tmp_path / "results" / "latest").resolve()
    assert len(read_replicates(folder)) == 6

    with server(home, address):
        client = MlflowClient(address)
        sent = run("runner.sync", str(folder), address=address, folder=tmp_path)
        assert sent.returncode == 0, sent.stderr
        once = stored(folder, client)
        same_as_disk(folder, once)
        assert "report.html" in once[f"{folder.parent.name}/{folder.name}"].files
        again = run("runner.sync", str(folder), address=address, folder=tmp_path)
        assert again.returncode == 0, again.stderr
        assert stored(folder, client) == once

        stranger = run("runner.sync", str(folder), address=address, folder=tmp_path, password="no")
        assert stranger.returncode == 1
        assert len(stranger.stderr.splitlines()) == 1
        assert "`tracking.uri` must be an MLflow server" in stranger.stderr

    outputs = [output, sent.stdout, sent.stderr]
    assert not any(SECRET in text for text in outputs)
    files = [path for path in tmp_path.rglob("results/**/*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    assert not any(SECRET in str(run) for run in once.values())
