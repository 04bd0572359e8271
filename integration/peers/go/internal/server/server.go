// Package server serves jeeves.v1.Orchestrator over gRPC, and the standard health service.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/traceferry/traceferry/integration/peers/go/internal/agents"
	jeevesv1 "github.com/traceferry/traceferry/integration/peers/go/internal/gen/jeeves/v1"
	"github.com/traceferry/traceferry/integration/peers/go/internal/pipeline"
)

// Calls under way may finish for so long once the server stops.
const grace = 3 * time.Second

// Server is the gRPC server of the orchestrator.
type Server struct {
	grpc   *grpc.Server
	health *health.Server
}

// New makes a server that does not listen yet. Health checks are not traced.
func New(asked pipeline.Agents) *Server {
	tracing := otelgrpc.NewServerHandler(otelgrpc.WithFilter(filters.Not(filters.HealthCheck())))
	s := &Server{
		// Spans end with their calls: a server that has stopped has none left.
		grpc:   grpc.NewServer(grpc.StatsHandler(tracing), grpc.WaitForHandlers(true)),
		health: health.NewServer(),
	}
	jeevesv1.RegisterOrchestratorServer(s.grpc, &orchestrator{agents: asked})
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	return s
}

// Serve serves until Stop; it takes the listener over.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.grpc.Serve(listener); err != nil {
		return fmt.Errorf("grpc: %w", err)
	}
	return nil
}

// Stop takes no new calls, lets those under way finish for a while, then ends them.
func (s *Server) Stop() {
	s.health.Shutdown()
	force := time.AfterFunc(grace, s.grpc.Stop)
	defer force.Stop()
	s.grpc.GracefulStop()
}

type orchestrator struct {
	jeevesv1.UnimplementedOrchestratorServer
	agents pipeline.Agents
}

func (o *orchestrator) ExecutePipeline(
	ctx context.Context, request *jeevesv1.PipelineRequest,
) (*jeevesv1.PipelineReply, error) {
	return o.run(ctx, request, nil)
}

func (o *orchestrator) StreamPipeline(
	request *jeevesv1.PipelineRequest, stream grpc.ServerStreamingServer[jeevesv1.PipelineEvent],
) error {
	// A stream takes one message at a time, and stages may run side by side.
	var sending sync.Mutex
	emit := func(event *jeevesv1.PipelineEvent) error {
		sending.Lock()
		defer sending.Unlock()
		if err := stream.Send(event); err != nil {
			if stream.Context().Err() != nil {
				return agents.CallerGone
			}
			return fmt.Errorf("could not send: %w", err)
		}
		return nil
	}
	done, err := o.run(stream.Context(), request, emit)
	if err != nil {
		return err
	}
	return stream.Send(&jeevesv1.PipelineEvent{Event: &jeevesv1.PipelineEvent_Done{Done: done}})
}

func (o *orchestrator) run(
	ctx context.Context, request *jeevesv1.PipelineRequest, emit pipeline.Emit,
) (*jeevesv1.PipelineReply, error) {
	answer, err := pipeline.Execute(ctx, request, o.agents, emit)
	if err != nil {
		return nil, status.Error(codeOf(err), err.Error())
	}
	return &jeevesv1.PipelineReply{RequestId: request.GetRequestId(), Reply: answer}, nil
}

func codeOf(err error) codes.Code {
	stage, ok := errors.AsType[*agents.StageError](err)
	if !ok {
		return codes.Internal
	}
	switch stage.Code {
	case agents.Invalid:
		return codes.InvalidArgument
	case agents.Unavailable:
		return codes.Unavailable
	case agents.TimedOut:
		return codes.DeadlineExceeded
	case agents.Cancelled:
		return codes.Canceled
	default:
		return codes.Internal
	}
}
