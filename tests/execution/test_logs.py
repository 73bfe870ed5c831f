"""Each line is written once: into the log of the configuration that it concerns, or the sweep's."""

import logging
import resource
from pathlib import Path

import pytest

from runner.execution.configure import Job
from runner.execution.logs import about, logging_for
from runner.terminal import LogFile

log = logging.getLogger("runner")


def jobs_in(folder, count):
    for index in range(count):
        (folder / str(index)).mkdir()
    return [Job(index, folder, {}, folder / str(index) / "runner.log") for index in range(count)]


def lines_of(file: Path) -> list[str]:
    """Returns the lines of a log without their times."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [line.split(" ", 2)[2] for line in text.splitlines()]


def test_a_line_is_written_where_it_belongs(tmp_path):
    jobs = jobs_in(tmp_path, 3)
    with logging_for(jobs):
        log.error("of all")
        with about([0, 1]):
            log.error("of two")
            with about([1]):
                log.error("of one")
        with about([1, 1]):
            log.error("of the same one")
    log.error("of none")
    assert lines_of(tmp_path / "runner.log") == ["ERROR runner: of all", "ERROR runner: of two"]
    own = [lines_of(job.log_file) for job in jobs]
    assert own == [[], ["ERROR runner: of one", "ERROR runner: of the same one"], []]


def test_more_jobs_than_a_process_may_have_files_are_logged(tmp_path):
    jobs = jobs_in(tmp_path, 200)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = len(list(Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken + 50, limits[1]))
    try:
        with logging_for(jobs):
            for job in jobs:
                with about([job.index]):
                    log.error("told to %d", job.index)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    told = [lines_of(job.log_file) for job in jobs]
    assert told == [[f"ERROR runner: told to {index}"] for index in range(200)]
    assert not (tmp_path / "runner.log").exists()


def test_what_hydra_logs_already_is_not_logged_twice(tmp_path):
    jobs = jobs_in(tmp_path, 1)
    handler = LogFile(jobs[0].log_file)  # as `conf/hydra/job_logging/runner.yaml` has it
    logging.getLogger().addHandler(handler)
    try:
        with logging_for(jobs):
            log.error("of the only one")
    finally:
        logging.getLogger().removeHandler(handler)
    assert lines_of(jobs[0].log_file) == ["ERROR runner: of the only one"]
    assert not (tmp_path / "runner.log").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_that_cannot_be_written_is_told_of_once(capsys):
    handler = LogFile("/dev/full")
    for number in range(3):
        handler.handle(logging.makeLogRecord({"msg": f"line {number}"}))
    assert capsys.readouterr().err == "/dev/full cannot be written (No space left on device).\n"
