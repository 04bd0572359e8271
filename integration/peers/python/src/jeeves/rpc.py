"""gRPC as the roles use it: one channel that stays open, traced by the standard interceptors."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor
from opentelemetry.instrumentation.grpc.filters import health_check, negate

from jeeves.service import host_port

SHUTDOWN_GRACE_S = 3.0

_CHANNEL_OPTIONS = [
    # The other roles are beside us, not behind the proxy that leads outside.
    ("grpc.enable_http_proxy", 0),
    # A role that comes back is found within a second or two.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
_SERVER_OPTIONS = [
    # A port in use is an error, not something to share.
    ("grpc.so_reuseport", 0),
    # Baggage may have 8 KB, which is all that gRPC would take otherwise.
    ("grpc.max_metadata_size", 32_768),
    ("grpc.absolute_max_metadata_size", 65_536),
]

_draining: set[asyncio.Task[None]] = set()


def open_channel(address: str) -> grpc.aio.Channel:
    """A traced channel; it connects with its first call."""
    return grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS, interceptors=aio_client_interceptors())


async def replies(call: Any) -> AsyncIterator[Any]:
    """The messages of a streaming call. Letting go of the iterator cancels the call and ends its span."""
    finished = False
    try:
        async for message in call:
            yield message
        finished = True
    finally:
        if not finished:
            call.cancel()
            # The instrumentation's span ends when its own iterator does, and that one waits to be asked for more. It
            # is asked in a task of its own: a task that is cancelled cannot wait.
            task = asyncio.ensure_future(_drain(call))
            _draining.add(task)
            task.add_done_callback(_draining.discard)


async def _drain(call: Any) -> None:
    try:
        async for _ in call:
            pass
    except (asyncio.CancelledError, grpc.RpcError):
        pass


def new_server() -> grpc.aio.Server:
    """A traced server; health checks are not traced."""
    tracing = aio_server_interceptor(filter_=negate(health_check()))
    return grpc.aio.server(interceptors=[tracing], options=_SERVER_OPTIONS)


async def serve(server: grpc.aio.Server, host: str, port: int) -> str:
    """Serves what was added to the server, and the standard health service. Returns `host:port`."""
    checks = health.aio.HealthServicer()
    await checks.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    bound = server.add_insecure_port(host_port(host, port))
    await server.start()
    return host_port(host, bound)
