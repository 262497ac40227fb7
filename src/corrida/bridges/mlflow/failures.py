"""Errors of corrida as MLflow reports them, and what corrida does not implement."""

from __future__ import annotations

import functools
from collections.abc import Callable
from errno import EACCES, EPERM, EROFS
from typing import Any, NoReturn, TypeVar

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from corrida.errors import AlreadyExists, BadInput, CorridaError, NotFound, StoreError

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


def failure(message: str, code: int = codes.INVALID_PARAMETER_VALUE) -> MlflowException:
    """Return an error with one of MLflow's codes."""
    return MlflowException(message, error_code=code)


def missing(message: str) -> MlflowException:
    """Return the error of something that is not there."""
    return failure(message, codes.RESOURCE_DOES_NOT_EXIST)


def not_implemented(what: str) -> NoReturn:
    """Refuse what corrida does not have.

    A plain NotImplementedError would be an internal error to a server, which clients repeat for minutes.

    Raises:
        MlflowException: with the code NOT_IMPLEMENTED, which no client repeats.
    """
    raise failure(
        f"{what} is not implemented by the tracking store of corrida, which keeps runs and their models; "
        "use a server with a database for it",
        codes.NOT_IMPLEMENTED,
    )


def translated(error: CorridaError) -> MlflowException:
    """Return an error of corrida with the code that fits; none that clients repeat, except of a failing disk.

    What cannot be read, because it is damaged or newer, is a conflict to MLflow as is what is sealed: trying again does
    not help, which an internal error would have clients do for minutes.
    """
    code = codes.RESOURCE_CONFLICT
    if isinstance(error, StoreError):
        cause = error.__cause__
        forbidden = isinstance(cause, OSError) and cause.errno in {EACCES, EPERM, EROFS}
        code = codes.PERMISSION_DENIED if forbidden else codes.INTERNAL_ERROR
    elif isinstance(error, NotFound):
        code = codes.RESOURCE_DOES_NOT_EXIST
    elif isinstance(error, AlreadyExists):
        code = codes.RESOURCE_ALREADY_EXISTS
    elif isinstance(error, BadInput):
        code = codes.INVALID_PARAMETER_VALUE
    return failure(str(error), code)


def _translating(function: F) -> F:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except CorridaError as error:
            raise translated(error) from error

    return call  # type: ignore[return-value]


_CALLED_BY_MLFLOW = frozenset(
    {
        "_search_runs", "_search_datasets", "_get_deleted_runs", "_hard_delete_run", "_hard_delete_experiment",
        "_get_deleted_logged_models", "_hard_delete_logged_model", "_create_staging_artifact",
        "_publish_staged_artifact",
    }
)  # fmt: skip


def says_it_to_mlflow(cls: C) -> C:
    """Class decorator: every method of the class raises MlflowException where corrida raises its own errors."""
    for base in cls.__mro__:
        if not base.__module__.startswith("corrida."):
            continue
        for name, value in vars(base).items():
            if (
                callable(value)
                and not isinstance(value, type)
                and (name[0] != "_" or name in _CALLED_BY_MLFLOW)
            ):
                setattr(cls, name, _translating(value))
    cls.__init__ = _translating(cls.__init__)  # type: ignore[misc]
    return cls


def refuse_the_rest(cls: C, base: type, kept: frozenset[str]) -> C:
    """Make every method of ``base`` that ``cls`` neither has nor keeps answer NOT_IMPLEMENTED at once."""
    for name in dir(base):
        value = getattr(base, name)
        if name.startswith("__") or name in kept or not callable(value) or getattr(cls, name) is not value:
            continue
        setattr(cls, name, _refusal(name, value))
    return cls


def _refusal(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    import inspect

    what = name.strip("_")
    if inspect.iscoroutinefunction(original):

        async def refuse_later(self: object, *_: Any, **__: Any) -> Any:  # noqa: ARG001
            not_implemented(what)

        return refuse_later

    def refuse(self: object, *_: Any, **__: Any) -> Any:  # noqa: ARG001
        not_implemented(what)

    refuse.__name__ = name
    return refuse
