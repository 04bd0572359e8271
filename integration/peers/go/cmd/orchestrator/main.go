// The role jeeves-orchestrator: runs the pipeline for one chat message and asks the agents over Kafka.
package main

import (
	"context"
	"log/slog"
	"net"
	"os"

	"github.com/traceferry/traceferry/integration/peers/go/internal/agents"
	"github.com/traceferry/traceferry/integration/peers/go/internal/config"
	"github.com/traceferry/traceferry/integration/peers/go/internal/role"
	"github.com/traceferry/traceferry/integration/peers/go/internal/server"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	os.Exit(role.Run("jeeves-orchestrator", start))
}

func start(ctx context.Context, settings config.Config) (*role.Service, error) {
	// First, so that a port in use is reported at once.
	listener, err := net.Listen("tcp", settings.Address())
	if err != nil {
		return nil, err
	}
	client, err := agents.Connect(ctx, settings.KafkaBrokers, settings.StageTimeout)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	grpc := server.New(client)
	failed := make(chan error, 1)
	go func() {
		if err := grpc.Serve(listener); err != nil {
			failed <- err
		}
	}()
	return &role.Service{
		Address: listener.Addr().String(),
		Failed:  failed,
		Stop: func() {
			grpc.Stop()
			client.Close()
		},
	}, nil
}
