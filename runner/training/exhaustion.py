"""Tells that memory has run out, whoever says so."""

_WORDS = ("resource_exhausted", "resourceexhausted", "out of memory", "bad_alloc", "oom when")


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether numpy, TensorFlow, XLA or a GPU raised `error` for want of memory."""
    text = f"{type(error).__name__}: {error}".lower()
    return isinstance(error, MemoryError) or any(words in text for words in _WORDS)
