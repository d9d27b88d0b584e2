"""Errors as OpenAI's clients know them: a status, and {"error": {...}} with what can be done."""

import errno
import json
import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mingle.errors import BusyError, CapacityError, InputError, MingleError

log = logging.getLogger(__name__)

RETRY_S = 1
OURS = "server_error"
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    499: "client_gone",
    429: "rate_limit_error",
    503: "capacity_error",
}


class UnsupportedError(InputError):
    """The model that is served, or this server, cannot do what was asked for."""


class AbsentError(InputError):
    """What a request names is not there."""


class ClientGoneError(MingleError):
    """Nobody waits for the answer any more."""


def status_of(error: Exception) -> int:
    """The HTTP status that tells of an error."""
    match error:
        case OSError(errno=errno.ENOSPC):
            return 503
        case ClientGoneError():
            return 499
        case AbsentError():
            return 404
        case BusyError():
            return 429
        case CapacityError():
            return 503
        case InputError():
            return 400
        case MingleError():
            return 400 if error.exit_code == 2 else 500
        case _:
            return 500


def kind_of(status: int) -> str:
    """The kind of error that a status tells of, in OpenAI's words."""
    return KINDS.get(status, "invalid_request_error" if status < 500 else OURS)


def body_of(status: int, message: str, *, code: str | None = None, param: str | None = None) -> Any:
    """The JSON of an error."""
    kind = kind_of(status)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def describe(error: Exception) -> tuple[int, Any]:
    """Status and JSON of an error; our own faults are logged and keep their details here."""
    status = status_of(error)
    if status == 500:
        log.error("a request failed", exc_info=error)
    if isinstance(error, MingleError):
        message = str(error)
    else:
        full = "the server's disk is full; try again later"
        message = full if status == 503 else "Mingle failed; its log says how"
    code = "unsupported" if isinstance(error, UnsupportedError) else None
    return status, body_of(status, message, code=code)


class SafeJson(JSONResponse):
    """JSON that may repeat what a client sent, half characters (lone surrogates) included."""

    def render(self, content: Any) -> bytes:
        """The bytes; a half character becomes a question mark."""
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def answer_with(status: int, body: Any) -> JSONResponse:
    """An error as a response."""
    headers = {"Retry-After": str(RETRY_S)} if status in (429, 503) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return SafeJson(body, status, headers=headers)


def handle_errors(app: FastAPI) -> None:
    """Answer every error of a route in this form."""

    async def ours(_: Request, error: Exception) -> Response:
        return answer_with(*describe(error))

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, OSError):  # of the disk, while a body was being received
            return answer_with(*describe(error.__cause__))
        response = answer_with(error.status_code, body_of(error.status_code, str(error.detail)))
        response.headers.update(error.headers or {})
        return response

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first: dict[str, Any] = dict(error.errors()[0])
        where = ".".join(str(step) for step in first["loc"] if step != "body")
        message = f"{where or 'the request'}: {first['msg']}"
        return answer_with(400, body_of(400, message, code="invalid_value", param=where or None))

    app.add_exception_handler(MingleError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, ours)
