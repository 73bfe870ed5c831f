"""Where MLflow keeps the runs: finding that place, opening it in bounded time, leaving it tidy.

A store is a server (`http://...`) or a database (`sqlite:///...`). Everything here talks to it
through an `MlflowClient` with explicit ids; MLflow itself takes seconds to import and is imported
only when a store is opened.
"""

import contextlib
import logging
import os
import re
import shlex
import shutil
import socket
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from runner.config import ConfigError
from runner.files import user_cache, write_bytes
from runner.interruption import check
from runner.locks import HeldError, Waiting, exclusive, listed_holder
from runner.masking import masked
from runner.plan import Tracking
from runner.recording import mlflow_endings
from runner.recording.mlflow_endings import Ending
from runner.stores import DEFAULT_URI, SQLITE, all_pages, unobtrusive

log = logging.getLogger(__name__)

# How each database driver calls the seconds that it waits for a connection (SQLite: for a lock).
_TIMEOUT_ARGUMENT = {
    "sqlite": "timeout",
    "postgresql": "connect_timeout",
    "mysql": "connect_timeout",
    "mssql": "timeout",
}
_PRIMARY_CODE = 0xFF  # the part of SQLite's error codes that names the kind
_TIMEOUT_S = 10  # to find out whether a store is there


@dataclass(frozen=True)
class Store:
    """An open place for runs.

    Attributes:
      client: The `MlflowClient` that writes there.
      experiment_id: The experiment that collects the sweeps.
      takes_artifacts: False for a database whose experiment keeps its files behind a server.
      uri: Its address.
    """

    client: Any
    experiment_id: str
    takes_artifacts: bool
    uri: str

    def search(self, query: str) -> list[Any]:
        """Returns all runs of the experiment that meet a query, the newest first."""
        return all_pages(self.client.search_runs, [self.experiment_id], query)

    def log(
        self,
        run_id: str,
        points: Sequence[Any] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Sends all in one call; the client splits what exceeds the limits of a request."""
        from mlflow.entities import Param, RunTag

        self.client.log_batch(
            run_id,
            points,
            [Param(key, value) for key, value in (params or {}).items()],
            [RunTag(key, value) for key, value in (tags or {}).items()],
        )

    def end(self, endings: Sequence[Ending]) -> None:
        """Ends runs: an SQLite database takes them all at once, where nothing prevents it."""
        left = list(endings)
        if self.uri.startswith(SQLITE):
            plain = [ending for ending in endings if mlflow_endings.is_plain(ending)]
            try:
                mlflow_endings.write(self.uri, plain)
                left = [ending for ending in endings if ending not in plain]
            except Exception as error:  # the client can say what is wrong, if anything is
                log.debug("MLflow's runs could not be ended at once.", exc_info=error)
        for ending in left:
            self.log(ending.run_id, ending.points, ending.params, ending.tags)
            self.client.set_terminated(ending.run_id, ending.status, ending.ended_ms)


def resolve_uri(settings: Tracking, environment: Mapping[str, str] = os.environ) -> str:
    """Returns the store's address: `tracking.uri`, else `MLFLOW_TRACKING_URI`, else `DEFAULT_URI`.

    A relative SQLite path is taken from the working directory of this moment.

    Raises:
      ConfigError: An SQLite address does not name a file.
    """
    uri = settings.uri or environment.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if not uri.startswith("sqlite:"):
        return uri
    file = uri.removeprefix(SQLITE)
    if file in (uri, "", ":memory:"):
        raise ConfigError.at(
            "tracking.uri", "a server or a database file", uri, f"Such as {DEFAULT_URI}."
        )
    return f"{SQLITE}{Path(file).absolute()}"


def ui_command(uri: str) -> str:
    """Returns what to type, or the page to open, to browse the runs of the store at `uri`.

    Plain `mlflow ui` opens `mlflow.db` of the working directory, unless a folder of runs from an
    older MLflow lies beside it or the environment names another store.
    """
    if uri.startswith("http"):
        return ui_address(uri)
    path = Path(uri.removeprefix(SQLITE))
    old_runs = any(Path("mlruns").glob("[0-9]*/meta.yaml"))
    elsewhere = old_runs or "MLFLOW_BACKEND_STORE_URI" in os.environ
    if path == Path(DEFAULT_URI.removeprefix(SQLITE)).absolute() and not elsewhere:
        return "mlflow ui"
    return f"mlflow ui --backend-store-uri {shlex.quote(masked(uri))}"


def ui_address(uri: str) -> str:
    """Returns where the store's UI is: the server itself, or where `mlflow ui` listens."""
    return masked(uri).rstrip("/") if uri.startswith("http") else "http://127.0.0.1:5000"


def open_store(uri: str, experiment: str) -> Store:
    """Opens the store, creating a missing database and experiment.

    Runs of the experiment whose process on this machine was killed are ended.

    Args:
      uri: From `resolve_uri`.
      experiment: Name of the experiment.

    Raises:
      ConfigError: The store cannot be used, or the experiment lies in MLflow's bin.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with unobtrusive(_TIMEOUT_S), _locked(_folder(uri)):
                client = _connect(uri)
                found = _experiment(client, uri, experiment)
                store = Store(client, found.experiment_id, _takes_artifacts(uri, found), uri)
                _close_orphans(store)
        check()
    except ConfigError:
        raise
    except HeldError as error:
        raise ConfigError(
            f"{error}. Wait for that process or end it; tracking=none trains without MLflow."
        ) from None
    except Exception as error:
        check()  # it may come from an interruption that a library caught
        raise unusable(uri, error) from None
    return store


def _takes_artifacts(uri: str, experiment: Any) -> bool:
    if uri.startswith("http") or not experiment.artifact_location.startswith("mlflow-artifacts:"):
        return True
    log.warning(
        "MLflow's experiment %r keeps its files behind a server: tables and figures stay in the "
        "results folder. Give that server's address as tracking.uri, or another "
        "tracking.experiment, to have them in MLflow.",
        experiment.name,
    )
    return False


def unusable(uri: str, error: Exception) -> ConfigError:
    """Returns the one line that says why the store at `uri` cannot be used."""
    return ConfigError.at(
        "tracking.uri",
        "an MLflow server or database that can be used",
        masked(uri),
        f"{reason(error)}. Correct it or start the server; tracking=none trains without MLflow.",
    )


def tell_loss(uri: str, why: str) -> None:
    """Tells that the store at `uri` stopped working."""
    log.warning(
        "MLflow at %s stopped working (%s). Training goes on and the records are on disk.",
        masked(uri),
        why,
    )


def reason(error: BaseException) -> str:
    """Returns one short line from the bottom of an exception's causes, without passwords."""
    root = error
    while cause := root.__cause__ or root.__context__:
        root = cause
    told = error if isinstance(root, KeyError) else root  # MLflow looks things up in tables
    text = " ".join(masked(str(told) or type(told).__name__).split()).rstrip(".")
    return text if len(text) <= 200 else text[:199] + "…"


def _folder(uri: str) -> Path | None:
    """Returns the folder of an SQLite database, made if it was missing; None for other stores."""
    if not uri.startswith(SQLITE):
        return None
    folder = Path(uri.removeprefix(SQLITE)).parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _locked(folder: Path | None) -> contextlib.AbstractContextManager[None]:
    """Lets one process at a time in: several that create one database break its migrations."""
    if folder is None:
        return contextlib.nullcontext()
    return exclusive(folder, f"MLflow's database in {folder}")


def _connect(uri: str) -> Any:
    from mlflow import MlflowClient

    if uri.partition(":")[0].partition("+")[0] in _TIMEOUT_ARGUMENT:
        _try_database(uri)
    return MlflowClient(tracking_uri=uri)


def _try_database(uri: str) -> None:
    """Connects once, because MLflow would retry for minutes.

    An SQLite database is one that can be written to, and has its tables, after that.
    """
    import sqlalchemy

    url = sqlalchemy.make_url(uri)
    backend = url.get_backend_name()
    timeout_s = 0 if backend == "sqlite" else _TIMEOUT_S
    engine = sqlalchemy.create_engine(url, connect_args={_TIMEOUT_ARGUMENT[backend]: timeout_s})
    try:
        with engine.connect() as connection:
            if backend != "sqlite":
                return
            begin = partial(connection.exec_driver_sql, "BEGIN IMMEDIATE")
            _waiting(Path(str(url.database))).until(lambda: _is_taken(begin))
            tables = sqlalchemy.inspect(connection).get_table_names()
    finally:
        engine.dispose()
    if not _mlflow_tables() <= set(tables):
        _make_tables(Path(str(url.database)))


def _waiting(path: Path) -> Waiting:
    return Waiting(str(path), lambda: listed_holder(path))


def _is_taken(begin: Callable[[], object]) -> bool:
    """Begins a transaction; tells whether the database was free for it."""
    import sqlalchemy

    try:
        begin()
    except sqlalchemy.exc.OperationalError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0)
        if code & _PRIMARY_CODE == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


def _mlflow_tables() -> set[str]:
    from mlflow.store.db.utils import Base  # this module knows of all of them

    return set(Base.metadata.tables)


def _make_tables(path: Path) -> None:
    """Lets MLflow make its tables, or add those that an older MLflow did not have.

    It does so in a hundred transactions, and cannot go on from the middle of them. So it works on
    another file, which then replaces the content of the database in a single one: whoever kills
    this, and whoever has the database open, never has half of them.

    Raises:
      OSError: Another process has written to the database in the meantime.
    """
    for left in path.parent.glob(f".{path.name}.*"):  # by a process that was killed in here
        shutil.rmtree(left, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        with contextlib.closing(sqlite3.connect(path)) as watch:
            before = _commits(watch)
            if not _tables(watch):
                _make_anew(beside / path.name)
            else:
                _copy_database(path, beside / path.name)
                _let_mlflow_migrate(f"{SQLITE}{beside / path.name}")
            if _commits(watch) != before:
                raise OSError("another process writes to it while its tables are being renewed")
        _copy_database(beside / path.name, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _make_anew(path: Path) -> None:
    """Makes a database with tables that are empty.

    MLflow takes seconds for that. So the first one is kept in the user's cache, and the next ones
    are copies of it.
    """
    from mlflow.version import VERSION

    try:
        kept = user_cache().absolute() / f"mlflow-{VERSION}.db"
    except RuntimeError:  # no home
        kept = None
    if kept is not None and _is_whole(kept):
        shutil.copyfile(kept, path)
        return
    _let_mlflow_migrate(f"{SQLITE}{path}")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        # MLflow's first one, which knows the folder that it was made in; it is made again.
        connection.execute("DELETE FROM experiments")
    if kept is not None:
        with contextlib.suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(kept, path.read_bytes())


def _is_whole(path: Path) -> bool:
    """Tells whether a file is an SQLite database with all of MLflow's tables."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as kept:
            is_sound = kept.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return is_sound and _mlflow_tables() <= _tables(kept)
    except sqlite3.Error:
        return False


def _tables(connection: sqlite3.Connection) -> set[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in found}


def _commits(connection: sqlite3.Connection) -> int:
    """Returns a number that changes whenever another connection changes the database."""
    return connection.execute("PRAGMA data_version").fetchone()[0]


def _let_mlflow_migrate(uri: str) -> None:
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def _copy_database(source: Path, target: Path) -> None:
    """Replaces the content of one SQLite database by another's, all at once or not at all.

    Raises:
      HeldError: Another process does not let go of the target.
    """
    waiting = _waiting(target)

    def go_on(status: int, remaining: int, _: int) -> None:
        if remaining:
            waiting.go_on()

    with (
        contextlib.closing(sqlite3.connect(source)) as read,
        contextlib.closing(sqlite3.connect(target, timeout=0)) as written,
    ):
        read.backup(written, progress=go_on)


def _experiment(client: Any, uri: str, name: str) -> Any:
    found = client.get_experiment_by_name(name)
    if found is None:
        return client.get_experiment(client.create_experiment(name, _artifact_location(uri, name)))
    if found.lifecycle_stage == "deleted":
        raise ConfigError(
            f"`tracking.experiment` must be an experiment that is not deleted. Received: {name!r}. "
            f"Take another name, or bring it back: MLFLOW_TRACKING_URI={shlex.quote(masked(uri))} "
            f"mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    return found


def _artifact_location(uri: str, name: str) -> str | None:
    """Returns a folder beside an SQLite database, for MLflow keeps an absolute path for ever."""
    folder = _folder(uri)
    return (folder / "mlruns" / re.sub(r"[^\w-]", "_", name)).as_uri() if folder else None


def process_tags() -> dict[str, str]:
    """Returns the tags by which a run can be told to belong to this process."""
    pid = os.getpid()
    return {
        "runner.host": socket.gethostname(),
        "runner.pid": str(pid),
        "runner.process_start": _process_start(pid) or "unknown",
    }


def _close_orphans(store: Store) -> None:
    """Ends the running runs of processes of this machine that are gone."""
    here = f"tags.`runner.host` = '{socket.gethostname()}'"
    for run in store.search(f"attributes.status = 'RUNNING' and {here}"):
        if not _is_alive(run.data.tags["runner.pid"], run.data.tags["runner.process_start"]):
            store.client.set_tag(run.info.run_id, "status", "interrupted")
            store.client.set_terminated(run.info.run_id, "KILLED")


def _process_start(pid: int | str) -> str | None:
    """Returns a process's start in ticks since boot; None if it has ended or cannot be asked."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return None if state in "ZX" else fields[18]


def is_elsewhere_alive(tags: Mapping[str, str], mine: Mapping[str, str]) -> bool:
    """Tells whether the run with these tags belongs to another living process of this machine.

    Args:
      tags: Of a run.
      mine: From `process_tags`.
    """
    theirs = {key: tags.get(key, "") for key in mine}
    if theirs == mine or theirs["runner.host"] != mine["runner.host"]:
        return False
    return _is_alive(theirs["runner.pid"], theirs["runner.process_start"])


def _is_alive(pid: str, start: str) -> bool:
    if Path("/proc/self/stat").exists():
        return _process_start(pid) == start
    if sys.platform == "win32":
        return True  # signal 0 would end the process there
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
