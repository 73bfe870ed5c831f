"""Compiled programs are found again, and nothing that may lie in the cache does any harm."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from runner import compiled

NAME = "xla_compile_cache__1__2__XLA_CPU_JIT.pb"
OTHER = "xla_compile_cache__3__4__XLA_CPU_JIT.pb"
CODE = b"machine code" * 100


@pytest.fixture
def root(tmp_path):
    return tmp_path / "a cache" / "runner" / "xla"


def process(root):
    """Returns what a process sees after the import."""
    kept = compiled._Kept(root)
    kept.read("key")
    kept.wait()
    return kept


def seen(kept):
    return {path.name: path.read_bytes() for path in kept.own.iterdir()}


def kept_files(root):
    return sorted((root / "key").iterdir())


@pytest.fixture
def filled(root):
    """A cache that a process has left two programs in."""
    first = process(root)
    for name in (NAME, OTHER):
        (first.own / name).write_bytes(name.encode() + CODE)
    (first.own / f"{NAME}.tmp1").write_bytes(b"half of a file")
    first.close()
    return root


def test_what_one_process_compiles_the_next_one_finds(filled):
    assert seen(process(filled)) == {name: name.encode() + CODE for name in (NAME, OTHER)}


def test_another_key_takes_the_place_of_the_first(filled, root):
    kept = process(root)
    (kept.own / OTHER.replace("3", "7")).write_bytes(CODE)  # compiled meanwhile
    kept.read("other")
    kept.wait()
    assert list(seen(kept)) == [OTHER.replace("3", "7")]
    (kept.own / NAME).write_bytes(CODE)
    kept.close()
    assert len(kept_files(root)) == 2
    assert len(list((root / "other").iterdir())) == 2


def test_a_process_leaves_nothing_but_programs(filled):
    assert [path.name for path in filled.iterdir()] == ["key"]
    assert len(kept_files(filled)) == 2


def _cut(path):
    path.write_bytes(path.read_bytes()[:50])


def _garbled(path):
    content = path.read_bytes()
    path.write_bytes(content[:50] + b"\0" + content[51:])


def _folder(path):
    path.unlink()
    path.mkdir()


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _loop(path):
    path.unlink()
    path.symlink_to(path.name)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": _cut,
    "garbled": _garbled,
    "a folder": _folder,
    "a pipe": _pipe,
    "a link to itself": _loop,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_as_if_it_were_not_there(filled, damage):
    damage(kept_files(filled)[0])
    again = process(filled)
    assert list(seen(again)) == [OTHER]
    (again.own / NAME).write_bytes(b"compiled anew")  # as TensorFlow does
    again.close()
    expected = {OTHER} if damage in (_folder, _pipe, _loop) else {NAME, OTHER}
    assert expected <= set(seen(process(filled)))


def test_processes_at_once_do_not_disturb_each_other(root):
    one, two = process(root), process(root)
    (one.own / NAME).write_bytes(CODE)
    (two.own / NAME).write_bytes(CODE + b"in another order")
    (two.own / OTHER).write_bytes(CODE)
    one.write()
    two.close()
    assert seen(one) == {NAME: CODE}  # a process that ends takes nothing from another one
    one.close()
    assert seen(process(root)) == {NAME: CODE, OTHER: CODE}


def test_the_oldest_files_make_room(filled, monkeypatch):
    for age, path in enumerate(kept_files(filled)):
        os.utime(path, (10**9 - age, 10**9 - age))
    again = process(filled)
    third = NAME.replace("1", "5")
    (again.own / third).write_bytes(CODE)
    monkeypatch.setattr(compiled, "MAX_BYTES", int(2.5 * len(CODE)))
    again.close()
    left = {path.name.rpartition(".")[0] for path in kept_files(filled)}
    assert left == {NAME, third}


def test_what_a_killed_process_left_is_removed(root):
    killed = process(root)
    os.close(killed._descriptor)
    alive = process(root)
    assert not killed.own.exists()
    process(root)
    assert alive.own.exists()


def _file_in_place(root, monkeypatch):
    root.parent.mkdir(parents=True)
    root.write_text("a file")


def _full(root, monkeypatch):
    monkeypatch.setattr(compiled, "MAX_BYTES", 2**80)


def _no_home(root, monkeypatch):
    for name in ("XDG_CACHE_HOME", "HOME", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)


def _unimported(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", object())


UNUSABLE = [_file_in_place, _full, _no_home, _unimported]


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))
    monkeypatch.setenv(compiled.FLAGS, "--tf_xla_enable_xla_devices")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(compiled, "_kept", None)
    yield
    compiled.end()


@pytest.mark.parametrize("make", UNUSABLE)
def test_a_cache_that_cannot_be_used_is_not(root, environment, monkeypatch, make):
    make(root, monkeypatch)
    compiled.use(True)
    assert os.environ[compiled.FLAGS] == "--tf_xla_enable_xla_devices"


@pytest.mark.parametrize("given", ["--tf_xla_persistent_cache_directory=mine", "a_file"])
def test_the_users_own_cache_is_left_alone(environment, monkeypatch, given):
    monkeypatch.setenv(compiled.FLAGS, given)
    compiled.use(True)
    assert os.environ[compiled.FLAGS] == given


def test_a_process_that_another_one_has_started_has_a_folder_of_its_own(environment, monkeypatch):
    compiled.use(True)
    first = os.environ[compiled.FLAGS]
    monkeypatch.setattr(compiled, "_kept", None)
    compiled.use(True)
    assert os.environ[compiled.FLAGS].count("directory=") == first.count("directory=") == 1
    assert os.environ[compiled.FLAGS] != first
    monkeypatch.setattr(compiled, "_kept", None)
    compiled.use(False)
    assert os.environ[compiled.FLAGS] == "--tf_xla_enable_xla_devices"


_PROGRAM = """
import sys
from runner import compiled
compiled.use(True)
from runner.training.tensorflow import start
tf = start()

@tf.function(autograph=False, jit_compile=True)
def function(x):
    return tf.linalg.matmul(x, x) + 1.0

for _ in range(int(sys.argv[1])):
    tf.function(lambda: tf.constant(1))()  # takes numbers
with compiled.named_alike("a function"):
    result = function(tf.fill([8, 8], 0.1))
print(result.numpy().tobytes().hex())
new = [name for name in compiled._kept.own.iterdir() if name.name not in compiled._kept._known]
print(len(new))
"""


@pytest.fixture
def elsewhere(tmp_path):
    """An environment with a cache of its own."""
    others = {name: text for name, text in os.environ.items() if name != compiled.FLAGS}
    return others | {"XDG_CACHE_HOME": str(tmp_path / "a cache")}


@pytest.mark.slow
def test_tensorflow_finds_what_is_kept_and_compiles_what_is_damaged(tmp_path, root, elsewhere):
    def run(others="0"):
        command = [sys.executable, "-c", _PROGRAM, others]
        done = subprocess.run(command, env=elsewhere, check=True, capture_output=True)
        return done.stdout.split()

    result, compiled_first = run()
    (file,) = root.rglob("*.pb.*")
    assert compiled_first == b"1"
    assert run("3") == [result, b"0"]
    file.write_bytes(b"")
    assert run() == [result, b"1"]


@pytest.mark.slow
def test_numbers_are_the_same_with_and_without_the_cache(tmp_path, root, elsewhere):
    def run(*options):
        command = [sys.executable, "-m", "runner", "dataset=iris", "training.epochs=2", "seeds=2"]
        quiet = ["tracking=none", "report.figures=false", "rerun=true", "diagnostics=none"]
        subprocess.run([*command, *quiet, *options], cwd=tmp_path, env=elsewhere, check=True)
        return pd.read_parquet((tmp_path / "results" / "latest").resolve() / "curves.parquet")

    without = run("compilation_cache=false")
    assert not root.exists()
    first, second = run(), run()
    assert list(root.rglob("*.pb.*"))
    pd.testing.assert_frame_equal(first, without, check_exact=True)
    pd.testing.assert_frame_equal(second, without, check_exact=True)
