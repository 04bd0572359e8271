"""The SDK as its documentation sets it up; the standard OTEL_* variables configure all of it.

Sampler, batching and resource read their variables themselves, and so do the propagators, with or without an SDK:
OTEL_SDK_DISABLED takes the spans away, and what comes in still goes out.
"""

import os

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from jeeves.config import ConfigError


class _NoPropagator(TextMapPropagator):
    """The propagator of OTEL_PROPAGATORS=none. The SDK's own has no parts, and `extract` of that gives no context at
    all, which the instrumentations do not expect: every request would fail.
    """

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        return Context() if context is None else context

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        pass

    @property
    def fields(self) -> set[str]:
        return set()


def start_tracing() -> TracerProvider:
    """Makes spans and exports them, from here on. The caller shuts it down."""
    named = os.environ.get("OTEL_PROPAGATORS", "").split(",")
    if "none" in (name.strip().lower() for name in named):
        propagate.set_global_textmap(_NoPropagator())
    # Its own resource has a random service.instance.id; what is given here would win over OTEL_RESOURCE_ATTRIBUTES.
    provider = TracerProvider(shutdown_on_exit=False)
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true":
        for name in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(","):
            exporter = _exporter(name.strip())
            if exporter is not None:
                provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


# Each exporter is imported only where it is wanted: the imports are most of a role's time to start.
def _exporter(name: str) -> SpanExporter | None:
    match name:
        case "none":
            return None
        case "console":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            return ConsoleSpanExporter()
        case "otlp" | "":
            return _otlp_exporter()
    raise ConfigError(f"wrong configuration: OTEL_TRACES_EXPORTER: expected otlp, console or none, received {name!r}")


def _otlp_exporter() -> SpanExporter:
    env = os.environ
    variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
    protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get(variable) or "http/protobuf"
    match protocol:
        case "http/protobuf":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            return OTLPSpanExporter()
        case "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
                OTLPSpanExporter as GrpcSpanExporter,
            )

            return GrpcSpanExporter()
    raise ConfigError(f"wrong configuration: {variable}: expected http/protobuf or grpc, received {protocol!r}")
