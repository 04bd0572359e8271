// Package telemetry sets OpenTelemetry up as the standard OTEL_* variables say, and holds the span helper that
// the application's own spans are made with.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Start makes the global tracer provider and propagator. The function that it gives sends what is still held
// back, and ends tracing.
func Start(ctx context.Context) (flush func(context.Context) error, err error) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		slog.Warn("tracing", "error", err)
	}))
	// Propagators stay also where the SDK is disabled: such a service passes on what it was given.
	otel.SetTextMapPropagator(autoprop.NewTextMapPropagator())

	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		// The Go SDK does not know this variable.
		otel.SetTracerProvider(noop.NewTracerProvider())
		return func(context.Context) error { return nil }, nil
	}
	attributes, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithService(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("wrong configuration: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	options := []sdk.TracerProviderOption{sdk.WithResource(attributes)}
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, err
	}
	if exporter != nil {
		options = append(options, sdk.WithBatcher(exporter))
	}
	provider := sdk.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}

// newExporter returns nil where spans go nowhere.
func newExporter(ctx context.Context) (sdk.SpanExporter, error) {
	switch name := os.Getenv("OTEL_TRACES_EXPORTER"); name {
	case "none":
		return nil, nil
	case "console":
		return stdouttrace.New()
	case "", "otlp":
	default:
		return nil, fmt.Errorf("wrong configuration: OTEL_TRACES_EXPORTER: %q is none of otlp, console, none", name)
	}
	protocol := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	switch protocol {
	case "", "http/protobuf":
		return otlptracehttp.New(ctx)
	case "grpc":
		return otlptracegrpc.New(ctx)
	default:
		return nil, fmt.Errorf("wrong configuration: OTEL_EXPORTER_OTLP_PROTOCOL: %q is none of http/protobuf, grpc", protocol)
	}
}
