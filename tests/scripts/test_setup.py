"""scripts/setup.sh in a checkout of its own, with stand-ins for Python, pip and uv on PATH.

The stand-in for Python runs the script's questions about the interpreter in the real one, under the
version that it pretends to have, and notes every `-m` call in place of carrying it out.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "cat", "cksum", "dirname", "grep", "ln", "mkdir", "mv", "ps", "rm", "tail", "tee")

PYTHON = """#!/bin/sh
case "$1 $2" in
  "-c "*)
    exec {real} -c 'import platform, sys
version, stand_in, question = sys.argv[1:]
sys.version_info = tuple(int(part) for part in version.split("."))
platform.python_version = lambda: version
platform.python_implementation = lambda: "{implementation}"
sys._base_executable = stand_in
exec(question)' {version} "$0" "$2" ;;
  "--version "*) echo "Python {version}" ;;
  "-m venv") mkdir -p "$3/bin" && ln -s "$0" "$3/bin/python" ;;
esac
test "$1" = -m || exit 0
echo "python $* PYTHONPATH=$PYTHONPATH" >>"$CALLS"
case "$*" in *"install"*"-r requirements.lock"*)
  echo "Collecting one==1 (from -r requirements.lock (line 1))"
  {during_install} ;;
esac
"""

UV = """#!/bin/sh
case "$1" in
  --version) echo "uv 1" ;;
  *) echo "uv $*" >>"$CALLS" ;;
esac
case "$1" in venv) mkdir -p .venv/bin && ln -s "$(command -v python3)" .venv/bin/python ;; esac
"""


@dataclass(frozen=True)
class Checkout:
    """A folder with scripts/setup.sh, and the programs that it finds."""

    folder: Path
    programs: Path

    @property
    def calls_file(self) -> Path:
        return self.programs.parent / "calls"

    def put(self, name: str, text: str) -> None:
        program = self.programs / name
        program.write_text(text)
        program.chmod(0o755)

    def put_python(
        self,
        version: str = "3.12.4",
        name: str = "python3",
        implementation: str = "CPython",
        during_install: str = ":",
    ) -> None:
        self.put(
            name,
            PYTHON.format(
                real=sys.executable,
                version=version,
                implementation=implementation,
                during_install=during_install,
            ),
        )

    def setup(self) -> subprocess.CompletedProcess[str]:
        """Runs the script from another folder, under the settings of other environments."""
        self.calls_file.write_text("")
        return subprocess.run(
            ["bash", str(self.folder / "scripts" / "setup.sh")],
            cwd=self.programs,
            env={
                "PATH": str(self.programs),
                "CALLS": str(self.calls_file),
                "VIRTUAL_ENV": "/elsewhere",
                "PYTHONPATH": "/elsewhere",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """Returns what the last `setup` had Python and uv do."""
        return self.calls_file.read_text().splitlines()

    def change_lock(self) -> None:
        with (self.folder / "uv.lock").open("a") as lock:
            lock.write("# changed\n")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder, programs = tmp_path / "a path with spaces", tmp_path / "programs"
    (folder / "scripts").mkdir(parents=True)
    programs.mkdir()
    shutil.copy(ROOT / "scripts" / "setup.sh", folder / "scripts")
    for name in ("pyproject.toml", "uv.lock"):
        (folder / name).write_text(f"# {name}\n")
    (folder / "requirements.lock").write_text("one==1\n")
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (programs / tool).symlink_to(found)
    return Checkout(folder, programs)


PIP_CALLS = [r"-m venv .venv", r"-m pip install .*-r requirements.lock", r"-m pip .*--editable \."]
UV_CALLS = [r"uv venv", r"uv lock --check", r"uv sync --locked"]


def assert_calls(checkout: Checkout, *patterns: str) -> None:
    calls = [call for call in checkout.calls() if "pip --version" not in call]
    assert len(calls) == len(patterns), calls
    for call, pattern in zip(calls, patterns, strict=True):
        assert re.search(pattern, call), (call, pattern)


@pytest.mark.parametrize("version", ["3.9.18", "3.10.13", "3.11.0", "3.12.4", "3.13.1", "3.14.0"])
def test_accepts_the_versions_that_the_project_declares(checkout: Checkout, version: str) -> None:
    declared = re.search(r'requires-python = "(.*)"', (ROOT / "pyproject.toml").read_text())
    assert declared
    checkout.put_python(version)
    result = checkout.setup()
    assert (result.returncode == 0) == (version in SpecifierSet(declared[1]))


def test_refuses_unsupported_pythons_and_names_them(checkout: Checkout) -> None:
    checkout.put_python("3.10.13", name="python3")
    checkout.put_python("3.11.9", name="python", implementation="PyPy")
    checkout.put("python3.13", "#!/bin/sh\necho 'no such version' >&2\nexit 127\n")
    result = checkout.setup()
    assert result.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in result.stderr
    assert "python3: CPython 3.10.13" in result.stderr
    assert "python: PyPy 3.11.9" in result.stderr
    assert "python3.13: does not run" in result.stderr
    assert not (checkout.folder / ".venv").exists()


def test_refuses_a_machine_without_python(checkout: Checkout) -> None:
    result = checkout.setup()
    assert result.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in result.stderr


def test_passes_over_a_python_that_does_not_run(checkout: Checkout) -> None:
    checkout.put("python3.13", "#!/bin/sh\nexit 127\n")
    checkout.put_python("3.11.7", name="python3")
    result = checkout.setup()
    assert result.returncode == 0, result.stderr
    assert "Python 3.11.7" in result.stdout


def test_installs_with_pip_where_there_is_no_uv(checkout: Checkout) -> None:
    checkout.put_python()
    result = checkout.setup()
    assert result.returncode == 0, result.stderr
    assert_calls(checkout, *PIP_CALLS)
    assert all(call.endswith("PYTHONPATH=") for call in checkout.calls())


def test_installs_with_uv_where_it_is(checkout: Checkout) -> None:
    checkout.put_python()
    checkout.put("uv", UV)
    result = checkout.setup()
    assert result.returncode == 0, result.stderr
    assert_calls(checkout, *UV_CALLS)


def test_installs_the_pinned_requirements_where_uv_finds_its_lock_outdated(
    checkout: Checkout,
) -> None:
    checkout.put_python()
    checkout.put("uv", UV + 'test "$1" != lock\n')
    result = checkout.setup()
    assert result.returncode == 0, result.stderr
    assert_calls(checkout, *UV_CALLS[:2], "uv pip install .*requirements.lock", "uv pip .*editable")


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_does_nothing_when_nothing_changed(checkout: Checkout, tool: str) -> None:
    checkout.put_python()
    if tool == "uv":
        checkout.put("uv", UV)
    checkout.setup()
    result = checkout.setup()
    assert result.returncode == 0
    assert "up to date" in result.stdout
    assert_calls(checkout)


def test_updates_in_place_when_a_lock_changed(checkout: Checkout) -> None:
    checkout.put_python()
    checkout.setup()
    checkout.change_lock()
    result = checkout.setup()
    assert result.returncode == 0, result.stderr
    assert_calls(checkout, *PIP_CALLS[1:])


def test_makes_again_what_a_kill_left_behind(checkout: Checkout) -> None:
    checkout.put_python(during_install='kill -9 "$PPID"')
    assert checkout.setup().returncode == -9
    leftover = checkout.folder / ".venv" / "half-installed"
    leftover.touch()
    checkout.put_python()
    result = checkout.setup()
    assert result.returncode == 0, result.stderr
    assert "interrupted" in result.stdout
    assert not leftover.exists()
    assert_calls(checkout, *PIP_CALLS)


def test_a_failed_update_says_why_and_leaves_the_environment(checkout: Checkout) -> None:
    checkout.put_python()
    checkout.setup()
    checkout.change_lock()
    checkout.put_python(during_install='echo "no network"; exit 1')
    result = checkout.setup()
    assert result.returncode == 1
    assert "no network" in result.stderr
    checkout.put_python()
    assert checkout.setup().returncode == 0
    assert_calls(checkout, *PIP_CALLS[1:])


def test_makes_the_environment_again_when_the_checkout_moved(checkout: Checkout) -> None:
    checkout.put_python()
    checkout.setup()
    moved = Checkout(checkout.folder.with_name("moved"), checkout.programs)
    checkout.folder.rename(moved.folder)
    result = moved.setup()
    assert result.returncode == 0, result.stderr
    assert f"made for {checkout.folder}" in result.stdout
    assert_calls(moved, *PIP_CALLS)
