"""Who says that memory has run out says it in his own words."""

import pytest

from runner.training.exhaustion import is_out_of_memory


class ResourceExhaustedError(Exception):
    """Called as TensorFlow's."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (ResourceExhaustedError("{{node add}} failed to allocate memory"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 137438953472 bytes."), True),
        (RuntimeError("OOM when allocating tensor with shape[1000000,1000000]"), True),
        (RuntimeError("std::bad_alloc"), True),
        (ValueError("Shapes (3, 4) and (4, 4) are incompatible"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_it_is_recognized(error, expected):
    assert is_out_of_memory(error) is expected
