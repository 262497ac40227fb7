"""What a caller of the API is told of an error: a code, a sentence and the id of the request. Never a path or a traceback."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy.exc import DBAPIError

from corrida.errors import (
    AlreadyExists,
    BadInput,
    CorridaError,
    DatabaseError,
    InvalidName,
    NotFound,
    Refused,
    StoreError,
)
from corrida.inference.problems import public


class Rejected(CorridaError):
    """A call that is turned away.

    Attributes:
        status: of HTTP.
        code: for programs.
        retry_after: seconds after which another try makes sense, or None.
    """

    def __init__(self, status: int, code: str, sentence: str, *, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.status, self.code, self.retry_after = status, code, retry_after


class Said(NamedTuple):
    """What is said of an error."""

    status: int
    code: str
    sentence: str
    retry_after: float | None = None


_HTTP = {
    400: ("bad_request", "the request cannot be read"),
    404: ("not_found", "there is nothing under this address; /openapi.json lists what there is"),
    405: ("method_not_allowed", "this address does not take that method; /openapi.json lists what it takes"),
    406: ("not_acceptable", "the results are not there in that form"),
    413: ("too_large", "the request is too large"),
    415: ("unsupported_media_type", "files of that type are not taken"),
}


def said_of(error: Exception) -> Said:
    """Return what may be said of an error; what nobody foresaw is only said to have happened."""
    if isinstance(error, Rejected):
        return Said(error.status, error.code, str(error), error.retry_after)
    if isinstance(error, DBAPIError | DatabaseError):
        return Said(503, "unavailable", "the database of the jobs does not answer; try again", 2.0)
    if isinstance(error, StoreError):
        return Said(507, "storage", "the file cannot be kept now; the disk may be full", 30.0)
    known = _of_kind(error)
    if known is not None:
        return Said(*known, public(str(error)))
    return Said(500, "internal", "the server failed; its log says more under the id of this request")


def _of_kind(error: Exception) -> tuple[int, str] | None:
    if isinstance(error, AlreadyExists):
        return 409, "id_taken"
    if isinstance(error, InvalidName):
        return 422, "invalid_id"
    if isinstance(error, NotFound):
        return 404, "not_found"
    if isinstance(error, Refused):
        return 409, "refused"
    if isinstance(error, BadInput):
        return 422, "invalid_input"
    return None


def said_of_status(status: int) -> Said:
    """Return what is said where the framework turns a call away."""
    code, sentence = _HTTP.get(status, ("refused", "the request was turned away"))
    return Said(status, code, sentence)


def said_of_fields(errors: list[Any]) -> Said:
    """Return what is said of parameters that cannot be used: the first of them; its value is not repeated."""
    first: dict[str, Any] = errors[0] if errors else {}
    place = ".".join(str(part) for part in first.get("loc", ())[1:]) or "the request"
    return Said(422, "invalid_parameter", f"{place}: {first.get('msg', 'cannot be used')}")


def body_of(said: Said, request_id: str) -> dict[str, Any]:
    """Return the body of an answer that tells of an error."""
    return {"error": {"code": said.code, "message": said.sentence, "request_id": request_id}}
