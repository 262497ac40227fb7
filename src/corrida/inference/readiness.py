"""Whether files can be scored now: what each worker last said of its models, whether one lives, and whether the run is whole."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from corrida.errors import CorridaError, DamagedRun, Refused
from corrida.inference.database import Database, workers
from corrida.inference.locks import is_held
from corrida.inference.models import Model, check_models, resolve_model
from corrida.inference.problems import public
from corrida.runs import layout

if TYPE_CHECKING:
    from pathlib import Path

NO_WORKER = "no worker is running; start one with `corrida worker` or `corrida serve`"


def tell(database: Database, executor: str, alias: str, digest: str | None, why: str | None) -> None:
    """Write down what a worker says of the run of its alias.

    Args:
        database: of the jobs.
        executor: id of the worker.
        alias: whose run it loads.
        digest: seal of the run; None while it has none.
        why: it cannot be loaded, in words for everybody; None when nothing is known against it.
    """
    said = {"alias": alias, "run_digest": digest, "why": why, "time": time.time()}
    with database.transaction() as connection:
        connection.execute(sa.update(workers).where(workers.c.executor == executor).values(**said))


def no_worker(database: Database, spool_id: str) -> str | None:
    """Tell that no worker of a spool lives; None when one does."""
    return None if _living(database, spool_id) else NO_WORKER


def loading_trouble(database: Database, spool_id: str, model: Model) -> str | None:
    """Tell why no worker of a spool can load a run; None when one can, or none has tried."""
    said = [
        row.why if row.run_digest in {model.digest, None} else None for row in _living(database, spool_id)
    ]
    if not said or None in said:
        return None
    return f"no worker can load the run {model.run_id}: {said[0]}"


def _living(database: Database, spool_id: str) -> list[Any]:
    query = sa.select(workers.c.executor, workers.c.run_digest, workers.c.why).where(
        workers.c.spool == spool_id
    )
    with database.reading() as connection:
        found = connection.execute(query.order_by(workers.c.time.desc())).all()
    return [row for row in found if is_held(database, row.executor)]


class ModelCheck:
    """Whether the run of an alias is whole; digests are computed again only when a file has changed."""

    def __init__(self, store: Path, alias: str) -> None:
        """Look at the run of ``alias`` in ``store``."""
        self._store, self._alias = store, alias
        self._seen: tuple[object, str | None] | None = None
        self._lock = threading.Lock()

    def model(self) -> Model:
        """Return the run.

        Raises:
            NotFound, Refused: there is none, or it is not what it was.
        """
        try:
            model = resolve_model(self._store, f"@{self._alias}")
        except DamagedRun as error:
            raise Refused(str(error)) from None
        with self._lock:
            state = (model.digest, _state(model.folder))
            if self._seen is None or self._seen[0] != state:
                self._seen = (state, _damage(model))
            damage = self._seen[1]
        if damage is not None:
            raise Refused(damage)
        return model


def _damage(model: Model) -> str | None:
    try:
        check_models(model)
    except CorridaError as error:
        return public(str(error), (model.folder,))
    return None


def _state(folder: Path) -> tuple[object, ...]:
    """Return what differs once a file of the models was written, added or removed."""
    paths = [folder / layout.RUN, *sorted((folder / layout.MODELS_DIR).rglob("*"))]
    found = [(path, path.lstat()) for path in paths]
    return tuple(
        (path, stat.st_mode, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        for path, stat in found
    )
