package telemetry

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// InSpan runs one piece of the application's work in a span of its own; an error marks it and passes on.
func InSpan(
	ctx context.Context,
	name string,
	attributes []attribute.KeyValue,
	work func(context.Context, trace.Span) error,
) error {
	ctx, span := otel.Tracer("jeeves").Start(ctx, name, trace.WithAttributes(attributes...))
	defer span.End()
	err := work(ctx, span)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// RequestID is the request's id as it travelled here in baggage; empty when it did not.
func RequestID(ctx context.Context) string {
	return baggage.FromContext(ctx).Member("jeeves.request.id").Value()
}
