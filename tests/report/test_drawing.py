import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.report.render import libraries, svg

SPEC = {
    "data": {"values": [{"x": 1, "y": 2}, {"x": 3, "y": 1}]},
    "mark": {"type": "point", "clip": True},
    "encoding": {
        "x": {"field": "x", "type": "quantitative"},
        "y": {"field": "y"},
        "color": {"field": "x", "type": "quantitative"},  # its legend has a gradient
    },
    "background": "white",
}


@pytest.fixture(scope="module")
def expected() -> str:
    return svg.svg(json.dumps(SPEC))


def test_another_process_draws_the_same_and_ends_with_its_block(expected: str) -> None:
    with svg.Drawer(1) as drawer:
        images = [drawer.draw(SPEC) for _ in range(2)]
        assert [image() for image in images] == [expected] * 2
        (process,) = drawer.pool._processes.values()
    assert not process.is_alive()


def test_a_process_that_has_died_is_no_loss(expected: str) -> None:
    with svg.Drawer(1) as drawer:
        assert drawer.draw(SPEC)() == expected
        (process,) = drawer.pool._processes.values()
        process.kill()
        process.join()
        assert drawer.draw(SPEC)() == expected


# A script as people write it: nothing guards it against being imported.
SCRIPT = """
import signal, time
from runner.report.render.svg import Drawer
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
print("begun", flush=True)
try:
    with Drawer(1) as drawer:
        drawer.draw({"data": {"values": []}, "mark": "point"})
        print(*drawer.pool._processes, flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_script_draws_without_being_run_again_and_leaves_no_process(
    tmp_path: Path, number: int
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        drawing = int(process.stdout.readline())
        # A terminal interrupts all processes, of which one has only begun to start.
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        assert process.stdout.read() == ("interrupted\n" if number == signal.SIGINT else "")
        assert "Traceback" not in process.stderr.read()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{drawing}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{drawing}").exists()


def test_libraries_are_bundled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(libraries, "_bundled", lambda: "script")
    assert libraries.libraries() == "script"
    monkeypatch.setattr(libraries, "_bundled", lambda: "another")
    assert libraries.libraries() == "script"


def test_libraries_need_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runner").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(libraries, "_bundled", lambda: "script")
    assert libraries.libraries() == "script"
