"""`python -m runner` that tells where its time went.

Prints as its last line, as JSON, the seconds of the imports and of the engine. The heavy imports
are made first, so that what follows pays for none of them.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

_BEGAN = time.perf_counter()


def main() -> None:
    """Runs the command line with this script's arguments."""
    import mlflow  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import vl_convert  # noqa: F401

    from runner.training.tensorflow import start

    start()
    import runner.__main__
    import runner.report.files
    from runner.training import reference, vectorized  # noqa: F401

    imports_s = time.perf_counter() - _BEGAN
    engine_s = 0.0
    train = vectorized.train

    def timed(cohort: Any) -> Iterator[Any]:
        nonlocal engine_s
        events = train(cohort)
        while True:
            began = time.perf_counter()
            event = next(events, None)
            engine_s += time.perf_counter() - began
            if event is None:
                return
            yield event

    vectorized.train = timed
    try:
        runner.__main__.main()
    finally:
        print(json.dumps({"imports_s": imports_s, "engine_s": engine_s}), flush=True)


if __name__ == "__main__":
    from runner.machine import few_collections

    with few_collections():
        main()
