"""The errors that callers get: a status and a clean message, none of our insides."""

from http import HTTPStatus

import grpc

_HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: (400, "INVALID"),
    grpc.StatusCode.UNAVAILABLE: (503, "UNAVAILABLE"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (503, "UNAVAILABLE"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (504, "TIMEOUT"),
}


class HttpError(Exception):
    """An answer with this status and body."""

    def __init__(self, status: int, body: dict[str, object]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def invalid(message: str) -> HttpError:
    """The body was read, and is not what it should be."""
    return HttpError(400, {"error": {"code": "INVALID", "message": message}})


def refused(status: int, message: str) -> HttpError:
    """The request did not get as far as that; in the words of the gateway's first implementation."""
    return HttpError(status, {"message": message, "error": HTTPStatus(status).phrase, "statusCode": status})


def to_http_error(error: Exception, request_id: str) -> HttpError:
    """The orchestrator failed."""
    status, code, message = 500, "INTERNAL", "the request could not be answered"
    if isinstance(error, grpc.aio.AioRpcError) and error.code() in _HTTP_STATUS:
        status, code = _HTTP_STATUS[error.code()]
        message = error.details() or ""
    return HttpError(status, {"error": {"code": code, "message": message}, "request_id": request_id})
