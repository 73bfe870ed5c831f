"""Ends many runs at once where MLflow keeps them in an SQLite database.

MLflow's client needs five transactions and tens of milliseconds to end a run that has two hundred
numbers, so that a sweep would wait for it when all has been trained. Here one transaction ends all
runs, in MLflow's own tables, as the client would have. Whatever is unusual is left to the client.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Longer texts may have to be cut, which is up to MLflow.
_LONGEST = 250


@dataclass(frozen=True)
class Ending:
    """What a run gets when it ends.

    Attributes:
      run_id: The run.
      status: As MLflow calls it, such as `"FINISHED"`.
      ended_ms: When, in milliseconds since 1970.
      points: MLflow's metrics, all finite.
      params, tags: Texts by name.
    """

    run_id: str
    status: str
    ended_ms: int
    points: Sequence[Any] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def is_plain(ending: Ending) -> bool:
    """Tells whether all that a run gets can be written as it is."""
    texts = [
        text for named in (ending.params, ending.tags) for pair in named.items() for text in pair
    ]
    return all(len(text) <= _LONGEST for text in [*texts, *(p.key for p in ending.points)])


def write(uri: str, endings: Sequence[Ending]) -> None:
    """Ends all of these runs, or none.

    Args:
      uri: Of an SQLite database with MLflow's tables.
      endings: What they get; each `is_plain`.

    Raises:
      LookupError: One of them is not there, or has been deleted.
      sqlalchemy.exc.SQLAlchemyError: The database cannot be written.
    """
    if not endings:
        return
    import sqlalchemy
    from mlflow.store.db.utils import Base
    from sqlalchemy.dialects.sqlite import insert

    tables = Base.metadata.tables
    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
    try:
        with engine.begin() as connection:
            _end(connection, tables["runs"], endings)
            metrics = [_row(e.run_id, point) for e in endings for point in e.points]
            params = _texts(endings, lambda ending: ending.params)
            tags = _texts(endings, lambda ending: ending.tags)
            latest, newer = insert(tables["latest_metrics"]), ("step", "timestamp", "value")
            place, told = ["key", "run_uuid"], latest.excluded
            statements = {
                "metrics": (insert(tables["metrics"]).on_conflict_do_nothing(), metrics),
                "params": (insert(tables["params"]).on_conflict_do_nothing(), params),
                "tags": (_replacing(insert(tables["tags"]), place, ["value"]), tags),
                "latest_metrics": (
                    _replacing(
                        latest,
                        place,
                        [*newer, "is_nan"],
                        sqlalchemy.tuple_(*(told[name] for name in newer))
                        > sqlalchemy.tuple_(*(latest.table.c[name] for name in newer)),
                    ),
                    _latest(metrics),
                ),
            }
            for statement, rows in statements.values():
                if rows:
                    connection.execute(statement, rows)
    finally:
        engine.dispose()


def _end(connection: Any, runs: Any, endings: Iterable[Ending]) -> None:
    for ending in endings:
        mine = (runs.c.run_uuid == ending.run_id) & (runs.c.lifecycle_stage == "active")
        values = {"status": ending.status, "end_time": ending.ended_ms}
        if connection.execute(runs.update().where(mine).values(**values)).rowcount != 1:
            raise LookupError(f"there is no run {ending.run_id}")


def _replacing(statement: Any, place: list[str], columns: list[str], where: Any = None) -> Any:
    new = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=place, set_=new, where=where)


def _row(run_id: str, point: Any) -> dict[str, Any]:
    return {
        "run_uuid": run_id,
        "key": point.key,
        "value": point.value,
        "timestamp": point.timestamp,
        "step": point.step,
        "is_nan": False,
    }


def _latest(metrics: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the last row of each metric of each run."""
    ordered = sorted(metrics, key=lambda row: (row["step"], row["timestamp"], row["value"]))
    return list({(row["run_uuid"], row["key"]): row for row in ordered}.values())


def _texts(
    endings: Iterable[Ending], of: Callable[[Ending], Mapping[str, str]]
) -> list[dict[str, str]]:
    return [
        {"run_uuid": ending.run_id, "key": key, "value": value}
        for ending in endings
        for key, value in of(ending).items()
    ]
