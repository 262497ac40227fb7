"""A client of any MLflow, with an address that was checked, patience that has an end, and errors in one sentence."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from corrida.bridges.mlflow.require import require_mlflow
from corrida.errors import BadInput, TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""MLflow itself repeats a request for four minutes. What the user has set in the environment stands."""


def checked_uri(uri: str) -> str:
    """Return the address of a tracking server or database in full.

    Args:
        uri: ``http(s)://…``, ``sqlite:///file.db``, another database, ``corrida:folder``, ``databricks``; or the path of a
            SQLite file.

    Raises:
        BadInput: it is none, or names a folder of files, which MLflow refuses since 3.13.
    """
    text = str(uri).strip()
    if not text:
        raise BadInput(
            "the address of MLflow is empty; give one such as sqlite:///mlflow.db or http://host:5000"
        )
    scheme = text.split(":", 1)[0].lower() if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text) else ""
    if scheme == "file" or (not scheme and text != "databricks" and not text.endswith((".db", ".sqlite"))):
        raise BadInput(
            f"MLflow refuses folders of files such as {text!r} since 3.13; give sqlite:///mlflow.db for a database, "
            "corrida:runs for folders that corrida keeps, or the address of a server, http://host:5000"
        )
    if not scheme:
        return text if text == "databricks" else f"sqlite:///{Path(text).absolute()}"
    if scheme == "sqlite" and (found := re.fullmatch(r"sqlite:///(?!/)([^?]+)(\?.*)?", text)):
        if ":memory:" in text:
            return text
        return f"sqlite:///{Path(found.group(1)).absolute()}{found.group(2) or ''}"
    return text


def shown_uri(uri: str) -> str:
    """Return an address without its password, and a path by its name only."""
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).name}"
    parts = urlsplit(uri)
    if parts.password or parts.username:
        host = parts.hostname or ""
        place = f"{host}:{parts.port}" if parts.port else host
        return urlunsplit((parts.scheme, place, parts.path, "", ""))
    return uri


def open_client(uri: str) -> MlflowClient:
    """Return a client of the MLflow at ``uri``, which has answered.

    Raises:
        BadInput: the address is none.
        MissingExtra: MLflow is not installed, or of a version that corrida does not know.
        TrackingError: nobody answers there, or does not let us in.
    """
    address = checked_uri(uri)
    require_mlflow()
    if (
        address.startswith("sqlite:///")
        and not (folder := Path(address.removeprefix("sqlite:///")).parent).is_dir()
    ):
        raise BadInput(
            f"there is no folder {folder.name!r} for the database {shown_uri(address)}; make it first"
        )
    with explained(f"opening {shown_uri(address)}"), quiet(), patient(), _artifacts_beside(address):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=address)
        client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def _artifacts_beside(address: str) -> Iterator[None]:
    """Let a new SQLite database keep its artifacts beside it, not in the working folder of whoever makes it."""
    name = "_MLFLOW_SERVER_ARTIFACT_ROOT"
    if not address.startswith("sqlite:///") or ":memory:" in address or name in os.environ:
        yield
        return
    os.environ[name] = (Path(address.removeprefix("sqlite:///").split("?")[0]).parent / "mlruns").as_uri()
    try:
        yield
    finally:
        os.environ.pop(name, None)


@contextlib.contextmanager
def patient(*, retries: int | None = None, timeout: int | None = None) -> Iterator[None]:
    """Let MLflow's requests fail after seconds, not minutes; its settings are those of the process.

    Args:
        retries: how often a request is repeated; 2 unless the environment says otherwise.
        timeout: seconds that a request may take.
    """
    wanted = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    if retries is not None:
        wanted["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = str(retries)
    if timeout is not None:
        wanted["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(timeout)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what MLflow's database layer logs while it makes or opens a database off the terminal."""
    import logging

    names = (
        *(
            "alembic",
            "alembic.runtime.migration",
            "mlflow.store.db.utils",
            "mlflow.tracking.fluent",
            "urllib3",
        ),
        "mlflow.utils.databricks_utils",
    )
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what MLflow raises into one sentence.

    Args:
        doing: what was being done.

    Raises:
        TrackingError: whatever MLflow, a database or the network raised.
    """
    try:
        yield
    except Exception as error:
        if not _is_foreign(error):
            raise
        raise TrackingError(f"{doing} failed: {reason(error)}") from error


def _is_foreign(error: BaseException) -> bool:
    roots = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    return bool(roots & {"mlflow", "requests", "urllib3", "sqlalchemy", "sqlite3", "databricks"})


_REASONS = (
    (
        r"connection refused|max retries exceeded|failed to establish|connectionerror|connection aborted|remote end closed",
        "nobody answers there; see whether the server runs and the address is right",
    ),
    (r"timed out|timeout", "the server takes too long to answer"),
    (
        r"error code 40[13]\b|unauthenticated|permission_denied",
        (
            "the server does not let us in; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN"
        ),
    ),
    (
        r"databricks.*(auth|credential|configure|profile|host)|(auth|credential|configure|profile|host).*databricks",
        (
            "Databricks needs its address and a token; run databricks configure, or set DATABRICKS_HOST and "
            "DATABRICKS_TOKEN"
        ),
    ),
    (
        r"out-of-date database schema|detected out-of-date",
        "the database is of an older MLflow; make a copy of it, and run mlflow db upgrade on it",
    ),
    (
        r"can't locate revision",
        "the database is of a newer MLflow than the one that is installed; install that version",
    ),
    (
        r"unsupported uri|no registered|could not find a registered",
        "MLflow knows no such address; give sqlite:///mlflow.db, corrida:runs or http://host:5000",
    ),
    (r"file is not a database", "the file is no SQLite database"),
)


def reason(error: BaseException) -> str:
    """Return in one sentence why MLflow refused."""
    said = " ".join(str(error).split())
    for pattern, sentence in _REASONS:
        if re.search(pattern, said, re.IGNORECASE):
            return sentence
    return said[:300] or type(error).__name__


def is_temporary(error: BaseException) -> bool:
    """Tell whether the same request may succeed later: nobody answered, or the server or its database was overloaded."""
    low = str(error).lower()
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    words = (
        "connection refused",
        "max retries exceeded",
        "failed to establish",
        "connection aborted",
        "timed out",
    )
    if any(word in low for word in (*words, "database is locked", "remote end closed", "connection reset")):
        return True
    return bool(re.search(r"error code (?:429|50[0234])\b", low)) or "temporarily_unavailable" in low
