"""How MLflow's stores are talked to, by whoever reads or writes there."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

DEFAULT_URI = "sqlite:///mlflow.db"

SQLITE = "sqlite:///"

_PAGE = 1000
_PATIENCE_S = 60  # servers that check a password with every request take seconds when busy

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow's own defaults retry a dead server for minutes. What the user has set is left alone."""
_LOGGERS = ("mlflow", "alembic", "sqlalchemy", "urllib3")


@contextlib.contextmanager
def unobtrusive(timeout_s: int = _PATIENCE_S) -> Iterator[None]:
    """Keeps MLflow from printing, phoning home and waiting for long while the block runs.

    Args:
      timeout_s: Of one request to a server.
    """
    wanted = ENVIRONMENT | {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout_s)}
    missing = {key: value for key, value in wanted.items() if key not in os.environ}
    os.environ.update(missing)
    try:
        import mlflow  # noqa: F401  (the first import sets the level of its own logger)

        with _silent(_LOGGERS):
            yield
    finally:
        for key in missing:
            os.environ.pop(key, None)


@contextlib.contextmanager
def _silent(names: Sequence[str]) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def all_pages(search: Callable[..., Any], *args: Any) -> list[Any]:
    """Returns everything that one of MLflow's paged searches finds."""
    found: list[Any] = []
    token = None
    while True:
        page = search(*args, max_results=_PAGE, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found
