// Shows what OpenTelemetry's propagators for Go read from headers, and what they write. An HTTP server:
//
//	POST /extract {"headers": {"traceparent": "...", "baggage": "..."}}
//	  -> {"traceId": "...", "spanId": "...", "flags": 1, "remote": true, "traceState": "", "baggage": {"key": "value"}}
//	POST /inject {"traceId": "...", "spanId": "...", "flags": 3, "traceState": "", "baggage": {"key": "value"}}
//	  -> {"traceparent": "...", "baggage": "..."}
//
// A trace context that is not accepted is all zeros, and not remote. HOST and PORT say where it listens.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// name is the name in its output. The linker sets another one in a build with another OpenTelemetry (old.mod).
var name = "go-headers"

const (
	maxBody     = 64 << 10
	readTimeout = 5 * time.Second
)

var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

type headers struct {
	Headers map[string]string `json:"headers"`
}

// spanContext is a trace context and the baggage beside it, decoded.
type spanContext struct {
	TraceID    string            `json:"traceId"`
	SpanID     string            `json:"spanId"`
	Flags      byte              `json:"flags"`
	Remote     bool              `json:"remote"`
	TraceState string            `json:"traceState"`
	Baggage    map[string]string `json:"baggage"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if _, ok := os.LookupEnv("STOP_WITH_STDIN"); ok {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	address := net.JoinHostPort(variable("HOST", "127.0.0.1"), variable("PORT", "0"))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /extract", answer(extract))
	mux.HandleFunc("POST /inject", answer(inject))
	server := &http.Server{Handler: mux, ReadTimeout: readTimeout, MaxHeaderBytes: 16 << 10}
	context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.Background(), readTimeout)
		defer cancel()
		_ = server.Shutdown(limited)
	})
	fmt.Printf("READY %s %s\n", name, listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot go on: %w", err)
	}
	return nil
}

func variable(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// answer reads JSON and writes JSON; an error of work is the caller's mistake.
func answer[In, Out any](work func(In) (Out, error)) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		var in In
		err := json.NewDecoder(http.MaxBytesReader(response, request.Body, maxBody)).Decode(&in)
		var out any
		if err == nil {
			out, err = work(in)
		}
		response.Header().Set("Content-Type", "application/json")
		if err != nil {
			response.WriteHeader(http.StatusBadRequest)
			out = map[string]string{"error": err.Error()}
		}
		// An error here means that the client is gone: nothing is left to do.
		_ = json.NewEncoder(response).Encode(out)
	}
}

func extract(given headers) (spanContext, error) {
	ctx := propagator.Extract(context.Background(), propagation.MapCarrier(given.Headers))
	span := trace.SpanContextFromContext(ctx)
	members := make(map[string]string)
	for _, member := range baggage.FromContext(ctx).Members() {
		members[member.Key()] = member.Value()
	}
	return spanContext{
		TraceID:    span.TraceID().String(),
		SpanID:     span.SpanID().String(),
		Flags:      byte(span.TraceFlags()),
		Remote:     span.IsRemote(),
		TraceState: span.TraceState().String(),
		Baggage:    members,
	}, nil
}

func inject(given spanContext) (propagation.MapCarrier, error) {
	config, err := given.config()
	if err != nil {
		return nil, err
	}
	var members []baggage.Member
	for key, value := range given.Baggage {
		member, err := baggage.NewMemberRaw(key, value)
		if err != nil {
			return nil, fmt.Errorf("baggage: %w", err)
		}
		members = append(members, member)
	}
	entries, err := baggage.New(members...)
	if err != nil {
		return nil, fmt.Errorf("baggage: %w", err)
	}
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(config))
	written := propagation.MapCarrier{}
	propagator.Inject(baggage.ContextWithBaggage(ctx, entries), written)
	return written, nil
}

func (c spanContext) config() (config trace.SpanContextConfig, err error) {
	if config.TraceID, err = trace.TraceIDFromHex(c.TraceID); err != nil {
		return config, fmt.Errorf("traceId: %w", err)
	}
	if config.SpanID, err = trace.SpanIDFromHex(c.SpanID); err != nil {
		return config, fmt.Errorf("spanId: %w", err)
	}
	config.TraceFlags = trace.TraceFlags(c.Flags)
	if config.TraceState, err = trace.ParseTraceState(c.TraceState); err != nil {
		return config, fmt.Errorf("traceState: %w", err)
	}
	return config, nil
}
