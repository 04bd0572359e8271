// Package pipeline runs router, planner and executor for one chat message and puts their answers together.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/traceferry/traceferry/integration/peers/go/internal/agents"
	jeevesv1 "github.com/traceferry/traceferry/integration/peers/go/internal/gen/jeeves/v1"
	"github.com/traceferry/traceferry/integration/peers/go/internal/telemetry"
)

// Agents answers questions; agents.Client does, over Kafka.
type Agents interface {
	Ask(ctx context.Context, question agents.Question, onPartial func(string) error) (string, error)
}

// Emit takes what happens on the way, in order. Stages that run side by side call it at the same time.
type Emit func(*jeevesv1.PipelineEvent) error

const (
	sequential = "sequential"
	parallel   = "parallel"

	started   = "started"
	completed = "completed"
)

// Execute returns the answer to one message. emit may be nil: then no events are sent, and text comes in one piece.
func Execute(ctx context.Context, request *jeevesv1.PipelineRequest, asked Agents, emit Emit) (string, error) {
	mode := request.GetMode()
	switch mode {
	case "":
		mode = sequential
	case sequential, parallel:
	default:
		return "", &agents.StageError{Code: agents.Invalid, Message: fmt.Sprintf("mode: %q is neither %s nor %s", mode, sequential, parallel)}
	}
	attributes := []attribute.KeyValue{
		attribute.String("jeeves.pipeline.name", "chat"),
		attribute.String("jeeves.pipeline.mode", mode),
		attribute.String("jeeves.request.id", request.GetRequestId()),
		attribute.String("jeeves.envelope.id", uuid.NewString()),
		attribute.String("jeeves.session.id", request.GetSessionId()),
	}
	if user := request.GetUserId(); user != "" {
		attributes = append(attributes, attribute.String("jeeves.user.id", user))
	}
	run := run{request, asked, emit}
	var answer string
	err := telemetry.InSpan(ctx, "pipeline.execute", attributes, func(ctx context.Context, span trace.Span) error {
		span.AddEvent("pipeline.started")
		answers, err := run.stages(ctx, mode)
		if err != nil {
			span.SetAttributes(attribute.String("termination.reason", reason(err)))
			return err
		}
		span.AddEvent("pipeline.completed")
		answer = strings.Join(answers, " ")
		return nil
	})
	return answer, err
}

// run is one execution of the pipeline.
type run struct {
	request *jeevesv1.PipelineRequest
	agents  Agents
	emit    Emit
}

func (r run) stages(ctx context.Context, mode string) ([]string, error) {
	if err := r.route(ctx); err != nil {
		return nil, err
	}
	asked := []string{"planner", "executor"}
	if mode == parallel {
		return r.sideBySide(ctx, asked)
	}
	answers := make([]string, len(asked))
	for i, agent := range asked {
		if err := r.report(agent, started); err != nil {
			return nil, err
		}
		answer, err := r.ask(ctx, agent)
		if err != nil {
			return nil, err
		}
		answers[i] = answer
	}
	return answers, nil
}

func (r run) sideBySide(ctx context.Context, asked []string) ([]string, error) {
	// Reported before any of them works, so that the events of their starts come in order.
	for _, agent := range asked {
		if err := r.report(agent, started); err != nil {
			return nil, err
		}
	}
	answers := make([]string, len(asked))
	// One that fails ends the others, so that none outlives the pipeline's span.
	group, ctx := errgroup.WithContext(ctx)
	for i, agent := range asked {
		group.Go(func() (err error) {
			answers[i], err = r.ask(ctx, agent)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return answers, nil
}

// route would choose the agents; this one always takes both.
func (r run) route(ctx context.Context) error {
	if err := r.report("router", started); err != nil {
		return err
	}
	attributes := []attribute.KeyValue{
		attribute.String("jeeves.agent.name", "router"),
		attribute.String("jeeves.agent.type", "service"),
		attribute.Int("jeeves.llm.calls", 0),
		attribute.String("jeeves.request.id", telemetry.RequestID(ctx)),
		attribute.String("gen_ai.operation.name", "invoke_agent"),
		attribute.String("gen_ai.agent.name", "router"),
	}
	err := telemetry.InSpan(ctx, "agent.process", attributes, func(_ context.Context, span trace.Span) error {
		span.SetAttributes(attribute.StringSlice("jeeves.router.agents", []string{"planner", "executor"}))
		return nil
	})
	if err != nil {
		return err
	}
	return r.report("router", completed)
}

// ask runs a stage whose start has been reported.
func (r run) ask(ctx context.Context, agent string) (string, error) {
	var onPartial func(string) error
	if agent == "planner" && r.emit != nil {
		onPartial = func(text string) error {
			return r.emit(&jeevesv1.PipelineEvent{Event: &jeevesv1.PipelineEvent_Text{Text: text}})
		}
	}
	question := agents.Question{
		RequestID: r.request.GetRequestId(),
		SessionID: r.request.GetSessionId(),
		Agent:     agent,
		Message:   r.request.GetMessage(),
	}
	answer, err := r.agents.Ask(ctx, question, onPartial)
	if err != nil {
		return "", err
	}
	return answer, r.report(agent, completed)
}

func (r run) report(agent, state string) error {
	if r.emit == nil {
		return nil
	}
	stage := &jeevesv1.StageEvent{Agent: agent, State: state}
	return r.emit(&jeevesv1.PipelineEvent{Event: &jeevesv1.PipelineEvent_Stage{Stage: stage}})
}

func reason(err error) string {
	if stage, ok := errors.AsType[*agents.StageError](err); ok {
		return strings.ToLower(string(stage.Code))
	}
	return "error"
}
