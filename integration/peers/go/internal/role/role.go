// Package role runs one role of the reference system as a process.
package role

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/traceferry/traceferry/integration/peers/go/internal/config"
	"github.com/traceferry/traceferry/integration/peers/go/internal/telemetry"
)

// Service is one role while it runs.
type Service struct {
	// Address is host:port where it serves.
	Address string
	// Failed receives the error with which it cannot go on. Nil where that does not happen.
	Failed <-chan error
	// Stop takes no new work, finishes what there is, and lets go of connections.
	Stop func()
}

// A role ends within 8 s of being asked to stop: a client that does not close, because its broker is gone, leaves
// time to send the spans.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 6 * time.Second
	flushTimeout = 1500 * time.Millisecond
)

var errGivenUp = fmt.Errorf("stopping was given up after %d ms", stopTimeout.Milliseconds())

// Run starts a role, prints `READY <name> <address>` on stdout when it can do its work, and stops it, its spans
// flushed, on SIGTERM, on SIGINT, and when stdin ends where STOP_WITH_STDIN is set. Returns the exit code.
func Run(name string, start func(context.Context, config.Config) (*Service, error)) int {
	// The reader of our output may end before us; spans are flushed all the same.
	signal.Ignore(syscall.SIGPIPE)
	// The context stays registered to the end: a second signal does not cut the flush short.
	asked, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	if err := run(asked, name, start); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

func run(ctx context.Context, name string, start func(context.Context, config.Config) (*Service, error)) error {
	settings, err := config.Read()
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	if settings.StopWithStdin {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		go func() {
			// The starter holds the other end: when it is gone, however it went, so are we.
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	flush, err := telemetry.Start(ctx)
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	defer func() {
		limited, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := flush(limited); err != nil {
			fmt.Fprintf(os.Stderr, "%s: spans were lost: %v\n", name, err)
		}
	}()
	health, err := serveHealth(settings.HealthAddress())
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	defer health.close()

	starting, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready in %s", startTimeout))
	var service *Service
	inTime := ends(starting, stopTimeout, func() { service, err = start(starting, settings) })
	cause := context.Cause(starting)
	cancel()
	switch {
	case !inTime && ctx.Err() != nil:
		return errGivenUp
	case !inTime:
		return fmt.Errorf("cannot start: %w", cause)
	case err != nil && ctx.Err() != nil:
		return nil // Asked to stop before it was ready.
	case err != nil:
		return fmt.Errorf("cannot start: %w", err)
	}
	health.ready.Store(true)
	if _, err := fmt.Printf("READY %s %s\n", name, service.Address); err != nil {
		slog.Warn("the ready line was not read", "error", err)
	}

	var failure error
	select {
	case <-ctx.Done():
	case why := <-service.Failed:
		failure = fmt.Errorf("cannot go on: %w", why)
	}
	health.ready.Store(false)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if !ends(over, stopTimeout, service.Stop) {
		return errors.Join(failure, errGivenUp)
	}
	return failure
}

// ends does an act and waits for it: once ctx is done, only for grace more. Returns true when it came to an end.
func ends(ctx context.Context, grace time.Duration, act func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		act()
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(grace):
		return false
	}
}
