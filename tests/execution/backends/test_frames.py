"""Frames in a file: what is appended is read, whatever happens to the file in between."""

import subprocess
import sys
import textwrap
from contextlib import suppress

import pytest

from runner.events import Heartbeat, Logged, TaskEnded
from runner.execution.backends.frames import (
    DamagedError,
    Follower,
    Followers,
    Frame,
    FrameWriter,
    decode,
    encode,
)
from runner.execution.backends.order import ConflictError, InOrder
from runner.execution.backends.task_files import Attempt, frames_file, log_tail
from tests.execution.backends.made_up import keys, task, whole

ATTEMPT = Attempt('3.0 "é"', 2)
EVENTS = whole(task("3", keys(2)), 1)


def frames(events):
    return [Frame(*ATTEMPT, number, event) for number, event in enumerate(events)]


@pytest.fixture
def path(tmp_path):
    file = frames_file(tmp_path, ATTEMPT)
    file.parent.mkdir(parents=True)
    return file


@pytest.fixture
def follower(path):
    return Follower(path, patience_s=0.0)


@pytest.mark.parametrize("frame", frames(EVENTS), ids=lambda frame: type(frame.event).__name__)
def test_what_is_encoded_is_decoded(frame):
    content = b"abc" + encode(frame)
    assert decode(content, 3) == (frame, len(content))
    assert all(decode(content[:end], 3) is None for end in range(3, len(content)))


def test_every_flipped_byte_is_noticed():
    content = encode(frames(EVENTS)[0]) + bytes(2**16)  # a length may have become larger
    for place in range(len(encode(frames(EVENTS)[0]))):
        changed = bytearray(content)
        changed[place] ^= 0x10
        with suppress(DamagedError):
            assert decode(bytes(changed)) is None


@pytest.mark.parametrize("step", [11, 10_000])
def test_a_file_that_grows_is_read_once(path, follower, step):
    content = b"".join(map(encode, frames(EVENTS)))
    assert list(follower.frames()) == []
    came = []
    for end in range(0, len(content) + step, step):
        path.write_bytes(content[:end])
        came += follower.frames()
    assert came == frames(EVENTS)


def test_a_frame_larger_than_a_read_is_read(path, follower):
    large = frames([Logged(30, "x" * 5_000_000), Heartbeat("3")])
    path.write_bytes(b"".join(map(encode, large)))
    assert list(follower.frames()) == large


def test_a_damaged_frame_ends_it_with_one_warning(path, follower, caplog):
    first, second, third = map(encode, frames(EVENTS)[:3])
    path.write_bytes(first + second[:-1] + b"?" + third)
    assert list(follower.frames()) == frames(EVENTS)[:1]
    assert follower.is_damaged
    path.write_bytes(first + second + third)
    assert list(follower.frames()) == []
    [record] = caplog.records
    assert f"{path} is damaged at byte {len(first)} (a checksum" in record.getMessage()


def test_damage_that_was_a_delay_of_the_disk_is_none(path, caplog):
    patient = Follower(path, patience_s=60.0)
    content = encode(frames(EVENTS)[0])
    path.write_bytes(content[:9] + bytes(len(content) - 9))
    assert list(patient.frames()) == []
    path.write_bytes(content)
    assert list(patient.frames()) == frames(EVENTS)[:1]
    assert not caplog.records


def test_a_file_that_was_replaced_or_cut_is_read_from_its_start(path, follower):
    path.write_bytes(b"".join(map(encode, frames(EVENTS)[:3])))
    assert len(list(follower.frames())) == 3
    beside = path.with_name("new")
    beside.write_bytes(b"".join(map(encode, frames(EVENTS))))
    beside.replace(path)
    assert list(follower.frames()) == frames(EVENTS)
    path.write_bytes(encode(frames(EVENTS)[0]))
    assert list(follower.frames()) == frames(EVENTS)[:1]


def test_a_second_start_of_the_same_attempt_goes_on_behind_a_half_written_frame(tmp_path, path):
    first = FrameWriter(tmp_path, ATTEMPT)
    first.write(EVENTS[0])
    first.write(EVENTS[1])
    with pytest.raises(OSError, match="another process writes it"):
        FrameWriter(tmp_path, ATTEMPT)
    assert first.close()
    with path.open("ab") as file:
        file.write(encode(frames(EVENTS)[2])[:20])
    second = FrameWriter(tmp_path, ATTEMPT)
    for event in EVENTS[2:]:
        second.write(event)
    assert second.close()
    assert list(Follower(path).frames()) == frames(EVENTS)
    with pytest.raises(FileExistsError, match="has ended already"):
        FrameWriter(tmp_path, ATTEMPT)


def test_what_a_full_disk_does_not_take_is_kept_until_there_is_room(tmp_path):
    """A limit on the size of files stands for the full disk; it is lifted for one of the files."""
    code = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        from runner.events import Heartbeat, Logged, TaskEnded
        from runner.execution.backends.frames import FrameWriter
        from runner.execution.backends.task_files import Attempt

        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        writers = [FrameWriter(Path(sys.argv[1]), Attempt(task, 1)) for task in ("full", "mended")]
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, most))
        for writer in writers:
            for number in range(5):
                writer.write(Logged(30, f"line {number}"))
            for _ in range(100):
                writer.write(Heartbeat("3"))
            assert writer.error is not None
        full, mended = writers
        assert not full.close(patience_s=0.0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        mended.write(TaskEnded("3"))
        assert mended.close(patience_s=0.0)
        """
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
    full, mended = (
        list(Follower(frames_file(tmp_path, Attempt(name, 1))).frames())
        for name in ("full", "mended")
    )
    lines = [Logged(30, f"line {number}") for number in range(5)]
    assert [frame.event for frame in mended] == [*lines, TaskEnded("3")]
    assert [frame.number for frame in mended] == list(range(6))
    assert [frame.event for frame in full] == lines[:1]


def test_followers_read_all_files_and_leave_those_that_are_gone(tmp_path):
    followers = Followers(tmp_path, patience_s=0.0)
    attempts = [Attempt("0", 1), Attempt("1", 1)]
    for attempt in attempts:
        followers.follow(attempt)
        writer = FrameWriter(tmp_path, attempt)
        writer.write(Heartbeat(attempt.task))
        assert writer.close()
    assert [frame.task for frame in followers.frames(0.0)] == ["0", "1"]
    followers.leave(attempts[0])
    assert list(followers.frames(0.0)) == []
    assert list(followers._files) == attempts[1:]


def shuffled(count):
    return [(number * 7) % count for number in range(count)]


@pytest.mark.parametrize(
    "numbers",
    [range(8), reversed(range(8)), shuffled(8), [*range(8), *range(8)], [1, 1, 0, 0, *range(2, 8)]],
)
def test_events_come_in_order_and_once(numbers):
    events = [Logged(30, f"line {number}") for number in range(8)]
    order = InOrder()
    came = [event for n in numbers for event in order.take(Frame("0", 1, n, events[n]))]
    assert came == events


@pytest.mark.parametrize("number", [0, 2])
def test_two_different_events_of_one_number_are_an_error(number):
    order = InOrder()
    for known in (0, 2):
        list(order.take(Frame("0", 1, known, Heartbeat("0"))))
    with pytest.raises(ConflictError, match=f"number {number} of attempt 1 at task 0"):
        list(order.take(Frame("0", 1, number, TaskEnded("0"))))


def test_the_tail_of_a_log_is_its_last_lines(tmp_path):
    path = tmp_path / "log"
    assert log_tail(path) == ""
    path.write_bytes(b"".join(b"line  %d\n" % n for n in range(10_000)) + b"\xff end\n\n")
    assert log_tail(path) == "line 9996 | line 9997 | line 9998 | line 9999 | \ufffd end"
