"""What `sweep.json` says of the machine."""

from runner.execution.environment import sweep_record


def test_the_machine_is_told_with_its_gpus(tmp_path):
    plain = sweep_record(tmp_path, 0.95, "id").machine
    told = sweep_record(tmp_path, 0.95, "id", ["GPU:0 one", "GPU:1 other"]).machine
    assert told == f"{plain}; GPU:0 one; GPU:1 other"
    assert " core" in plain
