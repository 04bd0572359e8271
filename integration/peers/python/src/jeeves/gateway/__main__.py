import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from jeeves.config import Config
from jeeves.gateway.app import make_app
from jeeves.rpc import open_channel
from jeeves.service import Service, host_port, run_role
from jeeves.v1.orchestrator_pb2_grpc import OrchestratorStub

_MAX_HEADER_BYTES = 64 * 1024
_BACKLOG = 1024
# Open event streams would keep the server from closing.
_SHUTDOWN_GRACE_S = 3


class _Server(uvicorn.Server):
    """Signals are the role's business, and it wants to know when the server serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


async def start(config: Config) -> Service:
    listening = _listen(config.host, config.port)
    channel = open_channel(config.orchestrator_address)
    server = _Server(
        uvicorn.Config(
            make_app(config, OrchestratorStub(channel)),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            timeout_graceful_shutdown=_SHUTDOWN_GRACE_S,
        )
    )
    serving = asyncio.ensure_future(server.serve([listening]))
    started = asyncio.ensure_future(server.serving.wait())
    await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
        raise RuntimeError("the server ended at once")

    async def stop() -> None:
        server.should_exit = True
        # An error of it is reported by `failed`.
        await asyncio.wait({serving})
        await channel.close(grace=None)

    address = host_port(config.host, listening.getsockname()[1])
    return Service(address=address, stop=stop, ready=lambda: not serving.done(), failed=serving)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


if __name__ == "__main__":
    run_role("jeeves-gateway", start)
