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
	// Failed tells when it cannot go on. Nil where that does not happen.
	Failed <-chan error
	// Stop takes no new work, finishes what there is, and lets go of connections.
	Stop func()
}

const (
	startTimeout = 30 * time.Second
	// A role that cannot stop by then is ended; its spans were flushed when it could.
	stopTimeout  = 8 * time.Second
	flushTimeout = 3 * time.Second
)

// Run starts a role, prints `READY <name> <address>` on stdout when it can do its work, and stops it, its spans
// flushed, on SIGTERM, on SIGINT, and when stdin ends where STOP_WITH_STDIN is set. Gives the exit code.
func Run(name string, start func(context.Context, config.Config) (*Service, error)) int {
	// Whoever read our output may be gone before us; spans are flushed all the same.
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
	service, err := start(starting, settings)
	cancel()
	if err != nil {
		if ctx.Err() != nil {
			return nil // Asked to stop before it was ready.
		}
		return fmt.Errorf("cannot start: %w", err)
	}
	health.ready.Store(true)
	if _, err := fmt.Printf("READY %s %s\n", name, service.Address); err != nil {
		slog.Warn("the ready line was not read", "error", err)
	}

	select {
	case <-ctx.Done():
		err = nil
	case err = <-service.Failed:
		err = errors.Join(errors.New("cannot go on"), err)
	}
	time.AfterFunc(stopTimeout, func() {
		fmt.Fprintf(os.Stderr, "%s: did not stop in %s\n", name, stopTimeout)
		os.Exit(1)
	})
	health.ready.Store(false)
	service.Stop()
	return err
}
