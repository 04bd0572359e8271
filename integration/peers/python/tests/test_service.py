"""A role ends its process, so each of these has one of its own."""

import os
import subprocess
import sys
from pathlib import Path

_ROLE = """
import asyncio, os, signal
from jeeves import service
from opentelemetry import trace

service.STOP_TIMEOUT_S = 0.2

def ask_to_stop():
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)

async def at_once():
    pass

async def never():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def breaks():
    raise ConnectionError("the queue is gone")

async def start(config):
    trace.get_tracer("t").start_span("work done").end()
    {start}

service.run_role("role", start)
"""


def _run(start: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent.parent / "src"),
        "OTEL_TRACES_EXPORTER": "console",
        **variables,
    }
    command = [sys.executable, "-c", _ROLE.replace("{start}", start)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603


def test_a_role_that_does_not_stop_is_given_up_and_its_spans_are_sent() -> None:
    ended = _run("ask_to_stop(); return service.Service(stop=never)")

    assert (ended.returncode, ended.stderr) == (1, "role: stopping was given up after 200 ms\n")
    assert '"name": "work done"' in ended.stdout


def test_a_role_that_does_not_stop_while_it_starts_is_given_up_as_well() -> None:
    ended = _run("ask_to_stop(); await never()")

    assert (ended.returncode, ended.stderr) == (1, "role: stopping was given up after 200 ms\n")
    assert "READY" not in ended.stdout


def test_a_role_whose_work_fails_says_why_and_ends_after_its_spans_are_sent() -> None:
    ended = _run("return service.Service(stop=at_once, failed=breaks())")

    assert (ended.returncode, ended.stderr) == (1, "role: cannot go on: the queue is gone\n")
    assert '"name": "work done"' in ended.stdout


def test_a_role_whose_work_just_ends_does_not_stay() -> None:
    ended = _run("return service.Service(stop=at_once, failed=at_once())")

    assert (ended.returncode, ended.stderr) == (1, "role: cannot go on: its work ended\n")


def test_the_environment_may_name_the_instance() -> None:
    ended = _run(
        "ask_to_stop(); return service.Service(stop=at_once)", OTEL_RESOURCE_ATTRIBUTES="service.instance.id=planner-7"
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert '"service.instance.id": "planner-7"' in ended.stdout
