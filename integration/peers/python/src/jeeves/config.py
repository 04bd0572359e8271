"""The settings that the roles read from the environment, besides the OTEL_* variables."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")
Relation = Literal["child", "link", "none"]

_RELATIONS: dict[str, Relation] = {"child": "child", "link": "link", "none": "none"}
_TRUE = frozenset({"true", "1", "yes", "on", "y", "enabled"})
_FALSE = frozenset({"false", "0", "no", "off", "n", "disabled"})


class ConfigError(Exception):
    """Names each variable that has a wrong value."""


@dataclass(frozen=True, slots=True)
class Config:
    """Each role uses what it needs."""

    # 0 chooses a free port, which the ready line prints.
    port: int
    # Loopback, unless somebody says otherwise: a container does.
    host: str
    health_port: int | None
    kafka_brokers: str
    redis_url: str
    orchestrator_address: str
    llm_gateway_address: str
    llm_base_url: str
    llm_model: str
    # Sent to the provider as a bearer token; never recorded.
    llm_api_key: str | None
    # The relation of a request from outside to the trace that its headers name.
    edge_relation: Relation
    # The names of the baggage that is let in from outside; None lets in all of it.
    edge_baggage: frozenset[str] | None
    record_prompts: bool
    provider_directives: bool


def read_config(env: Mapping[str, str] = os.environ) -> Config:
    """Reads the environment. Raises ConfigError with a line that names each wrong variable."""
    wrong: list[str] = []

    def read(name: str, parse: Callable[[str], T], default: T) -> T:
        value = env.get(name, "")
        if value == "":
            return default
        try:
            return parse(value)
        except ValueError as error:
            wrong.append(f"{name}: {error}")
            return default

    config = Config(
        port=read("PORT", _port, 0),
        host=read("HOST", str, "127.0.0.1"),
        health_port=read("HEALTH_PORT", _port, None),
        kafka_brokers=read("KAFKA_BROKERS", str, "127.0.0.1:9092"),
        redis_url=read("REDIS_URL", str, "redis://127.0.0.1:6379"),
        orchestrator_address=read("ORCHESTRATOR_ADDRESS", str, "127.0.0.1:50051"),
        llm_gateway_address=read("LLM_GATEWAY_ADDRESS", str, "127.0.0.1:50052"),
        llm_base_url=read("LLM_BASE_URL", str, "http://127.0.0.1:8081"),
        llm_model=read("LLM_MODEL", str, "jeeves-1"),
        llm_api_key=read("LLM_API_KEY", str, None),
        edge_relation=read("EDGE_RELATION", _relation, "child"),
        # Set and empty lets in nothing, so it is no default.
        edge_baggage=_names(env["EDGE_BAGGAGE"]) if "EDGE_BAGGAGE" in env else None,
        record_prompts=read("RECORD_PROMPTS", _flag, False),
        provider_directives=read("PROVIDER_DIRECTIVES", _flag, False),
    )
    if wrong:
        raise ConfigError(f"wrong configuration: {'; '.join(wrong)}")
    return config


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value) <= 65_535):
        raise ValueError(f"expected a port, a whole number up to 65535, received {value!r}")
    return int(value)


def _flag(value: str) -> bool:
    word = value.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"expected true or false, received {value!r}")
    return word in _TRUE


def _relation(value: str) -> Relation:
    if value not in _RELATIONS:
        raise ValueError(f"expected one of child, link, none, received {value!r}")
    return _RELATIONS[value]


def _names(value: str) -> frozenset[str]:
    return frozenset(name.strip() for name in value.split(",") if name.strip())
