"""One role as a process: ready line, health checks, and an end that loses nothing."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from opentelemetry.sdk.trace import TracerProvider

from jeeves.config import Config, read_config
from jeeves.tracing import start_tracing

# A role ends within 8 s: a client that does not close, because its broker is gone, leaves time to send the spans.
STOP_TIMEOUT_S = 6.0
FLUSH_TIMEOUT_S = 1.5
_MAX_LOG_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Service:
    """One role while it runs."""

    # Takes no new work, finishes what it has, lets go of its connections.
    stop: Callable[[], Awaitable[None]]
    # `host:port` where it serves, for roles that do.
    address: str = "-"
    # True when it can do its work now.
    ready: Callable[[], bool] = lambda: True
    # Ends, with its error where there is one, when the role cannot go on. None where that does not happen.
    failed: Awaitable[object] | None = None


def run_role(name: str, start: Callable[[Config], Awaitable[Service]]) -> NoReturn:
    """Runs one role until SIGTERM, SIGINT or, with STOP_WITH_STDIN, the end of stdin; then ends the process."""
    _log_lines()
    tracing: TracerProvider | None = None
    try:
        config = read_config()
        tracing = start_tracing()
        # Not `asyncio.run`, which waits for tasks of libraries that do not end when they are cancelled.
        code = asyncio.new_event_loop().run_until_complete(_run(name, config, start, tracing))
    except Exception as error:
        say(f"{name}: cannot start: {message_of(error)}")
        code = 1
    _end(name, tracing, code)


async def _run(
    name: str, config: Config, start: Callable[[Config], Awaitable[Service]], tracing: TracerProvider
) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if "STOP_WITH_STDIN" in os.environ:
        _on_end_of_stdin(lambda: loop.call_soon_threadsafe(stopping.set))

    stop_wanted = asyncio.ensure_future(stopping.wait())
    starting = asyncio.ensure_future(start(config))
    await asyncio.wait({starting, stop_wanted}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        with _giving_up(name, tracing):
            starting.cancel()
            await asyncio.wait({starting})
        return 0
    service = starting.result()
    if config.health_port is not None:
        from jeeves.health import serve_health

        serve_health(config.host, config.health_port, service.ready)
    sys.stdout.write(f"READY {name} {service.address}\n")
    sys.stdout.flush()

    code = 0
    if service.failed is None:
        await stop_wanted
    else:
        failed = asyncio.ensure_future(service.failed)
        await asyncio.wait({failed, stop_wanted}, return_when=asyncio.FIRST_COMPLETED)
        if not stop_wanted.done():
            say(f"{name}: cannot go on: {_why_ended(failed)}")
            code = 1
    with _giving_up(name, tracing):
        try:
            await service.stop()
        except Exception as error:
            say(f"{name}: while stopping: {message_of(error)}")
    return code


def _why_ended(work: asyncio.Future[object]) -> str:
    if work.cancelled():
        return "its work was cancelled"
    error = work.exception()
    return "its work ended" if error is None else message_of(error)


def _on_end_of_stdin(act: Callable[[], object]) -> None:
    # The starter holds the other end of stdin: when it is gone, however it went, so are we.
    def wait() -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        act()

    threading.Thread(target=wait, name="stdin", daemon=True).start()


@contextmanager
def _giving_up(name: str, tracing: TracerProvider) -> Iterator[None]:
    # A thread, because what does not stop may ignore that it is cancelled, or hold the event loop.
    def end() -> None:
        say(f"{name}: stopping was given up after {STOP_TIMEOUT_S * 1000:.0f} ms")
        _end(name, tracing, 1)

    timer = threading.Timer(STOP_TIMEOUT_S, end)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


# Taken by the thread that ends the process, and never given back: spans are flushed once.
_ending = threading.Lock()


def _end(name: str, tracing: TracerProvider | None, code: int) -> NoReturn:
    _ending.acquire()
    if tracing is not None:
        _flush(name, tracing)
    sys.stdout.flush()
    # Threads of libraries that still wait for something have no say in it.
    os._exit(code)


def _flush(name: str, tracing: TracerProvider) -> None:
    # An exporter whose backend is gone tries for longer than a role has.
    flushing = threading.Thread(target=tracing.shutdown, name="flush", daemon=True)
    flushing.start()
    flushing.join(FLUSH_TIMEOUT_S)
    if flushing.is_alive():
        say(f"{name}: spans were lost: the exporter did not end in {FLUSH_TIMEOUT_S:g} s")


def host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def message_of(error: BaseException) -> str:
    return str(error) or type(error).__name__


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class _Line(logging.Formatter):
    """One short line, whatever a stranger's header had in it."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {message_of(record.exc_info[1])}"
        printable = "".join(c if c.isprintable() else "?" for c in text)
        return f"{record.name}: {printable[:_MAX_LOG_CHARACTERS]}"


def _log_lines() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
