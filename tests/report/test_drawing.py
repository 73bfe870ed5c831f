import json
from pathlib import Path

import pytest

from runner.report import drawing, libraries

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
def expected() -> drawing.Image:
    text = drawing.svg(json.dumps(SPEC))
    return drawing.Image(text, drawing.png(text))


def test_another_process_draws_the_same(expected: drawing.Image) -> None:
    with drawing.Drawer(1) as drawer:
        images = [drawer.draw(SPEC) for _ in range(2)]
        assert [image.result(60) for image in images] == [expected] * 2


def test_a_process_that_has_died_is_replaced(expected: drawing.Image) -> None:
    with drawing.Drawer(1) as drawer:
        drawer.processes[0].kill()
        drawer.processes[0].wait()
        assert drawer.draw(SPEC).result(60) == expected


def test_the_process_ends_with_its_block() -> None:
    with drawing.Drawer(1) as drawer:
        (process,) = drawer.processes
    assert process.poll() is not None


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
