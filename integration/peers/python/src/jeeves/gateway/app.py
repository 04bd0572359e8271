"""The application: its pages, its errors, and the instrumentation as its documentation sets it up."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from starlette.exceptions import HTTPException

from jeeves.config import Config
from jeeves.gateway.chat import router
from jeeves.gateway.edge import App, Edge, note_span
from jeeves.gateway.errors import HttpError, refused
from jeeves.service import message_of, say
from jeeves.v1.orchestrator_pb2_grpc import OrchestratorStub

_HEALTH = r"^https?://[^/]*/(healthz|readyz)$"


def make_app(config: Config, orchestrator: OrchestratorStub) -> App:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.config = config
    app.state.orchestrator = orchestrator
    app.include_router(router)
    app.add_api_route("/healthz", _ok)
    app.add_api_route("/readyz", _ok)
    app.add_exception_handler(HttpError, _answer)
    app.add_exception_handler(HTTPException, _no_page)
    app.add_exception_handler(Exception, _broken)
    FastAPIInstrumentor.instrument_app(
        app,
        server_request_hook=note_span,
        excluded_urls=_HEALTH,
        # A span for every message of the server is no news to anybody.
        exclude_spans=["receive", "send"],
    )
    return Edge(app, config)


async def _ok() -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _answer(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HttpError):
        raise error
    if error.status == 500:
        say(f"jeeves-gateway: a request failed: {message_of(error.__cause__ or error)}")
    return JSONResponse(error.body, error.status)


async def _no_page(request: Request, error: Exception) -> JSONResponse:
    return await _answer(request, refused(404, f"Cannot {request.method} {request.url.path}"))


async def _broken(request: Request, error: Exception) -> JSONResponse:
    return await _answer(request, refused(500, "Internal server error"))
