import asyncio
from collections.abc import AsyncIterator

import grpc.aio

from jeeves.config import Config
from jeeves.llm_gateway.generate import generate, to_status
from jeeves.llm_gateway.provider import ProviderClient
from jeeves.rpc import SHUTDOWN_GRACE_S, new_server, serve
from jeeves.service import Service, run_role
from jeeves.v1 import llm_pb2, llm_pb2_grpc


class LlmGateway(llm_pb2_grpc.LlmGatewayServicer):
    def __init__(self, config: Config, provider: ProviderClient) -> None:
        self._config = config
        self._provider = provider

    async def Generate(
        self, request: llm_pb2.GenerateRequest, context: grpc.aio.ServicerContext
    ) -> llm_pb2.GenerateReply:
        try:
            return await generate(self._config, request, lambda: self._provider.complete(request.prompt))
        except Exception as error:
            await context.abort(*to_status(error))
            raise

    async def GenerateStream(
        self, request: llm_pb2.GenerateRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[llm_pb2.GenerateChunk]:
        # The work has a task of its own: spans that stayed open across a `yield` would end in whichever context closes
        # this generator, late and with an error about a foreign token.
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        async def work() -> llm_pb2.GenerateReply:
            try:
                return await generate(
                    self._config, request, lambda: self._provider.stream(request.prompt, pieces.put_nowait)
                )
            finally:
                pieces.put_nowait(None)

        working = asyncio.ensure_future(work())
        try:
            while (piece := await pieces.get()) is not None:
                yield llm_pb2.GenerateChunk(text=piece)
            done = await working
        except Exception as error:
            await context.abort(*to_status(error))
            raise
        finally:
            working.cancel()
        yield llm_pb2.GenerateChunk(text="", done=done)


async def start(config: Config) -> Service:
    provider = ProviderClient(config)
    server = new_server()
    llm_pb2_grpc.add_LlmGatewayServicer_to_server(LlmGateway(config, provider), server)
    address = await serve(server, config.host, config.port)

    async def stop() -> None:
        await server.stop(SHUTDOWN_GRACE_S)
        await provider.close()

    return Service(address=address, stop=stop)


if __name__ == "__main__":
    run_role("jeeves-llm-gateway", start)
