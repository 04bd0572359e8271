package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/traceferry/traceferry/integration/peers/go/internal/agents"
	jeevesv1 "github.com/traceferry/traceferry/integration/peers/go/internal/gen/jeeves/v1"
)

// answering is the agents: it notes which span each question was asked in.
type answering struct {
	mu     sync.Mutex
	asked  []string
	within map[string]trace.SpanContext
	work   func(ctx context.Context, agent string, onPartial func(string) error) (string, error)
}

func (a *answering) Ask(ctx context.Context, question agents.Question, onPartial func(string) error) (string, error) {
	a.mu.Lock()
	a.asked = append(a.asked, question.Agent)
	if a.within == nil {
		a.within = make(map[string]trace.SpanContext)
	}
	a.within[question.Agent] = trace.SpanContextFromContext(ctx)
	a.mu.Unlock()
	if a.work != nil {
		return a.work(ctx, question.Agent, onPartial)
	}
	return question.Agent + " says " + question.Message, nil
}

func recordSpans(t *testing.T) *tracetest.InMemoryExporter {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(exporter)))
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	return exporter
}

func named(t *testing.T, exporter *tracetest.InMemoryExporter, name string) tracetest.SpanStub {
	t.Helper()
	for _, span := range exporter.GetSpans() {
		if span.Name == name {
			return span
		}
	}
	t.Fatalf("no span %s", name)
	return tracetest.SpanStub{}
}

func value(span tracetest.SpanStub, key attribute.Key) string {
	set := attribute.NewSet(span.Attributes...)
	found, _ := set.Value(key)
	return found.String()
}

func TestStagesRunInOrderInThePipelinesOwnSpan(t *testing.T) {
	spans := recordSpans(t)
	member, err := baggage.NewMemberRaw("jeeves.request.id", "from baggage")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx := baggage.ContextWithBaggage(t.Context(), entries)
	var asked answering

	answer, err := Execute(ctx, &jeevesv1.PipelineRequest{RequestId: "r-1", SessionId: "s-1", UserId: "u-1", Message: "hello"}, &asked, nil)

	if err != nil || answer != "planner says hello executor says hello" {
		t.Errorf("got %q, %v", answer, err)
	}
	if !slices.Equal(asked.asked, []string{"planner", "executor"}) {
		t.Errorf("asked %v", asked.asked)
	}
	execute, router := named(t, spans, "pipeline.execute"), named(t, spans, "agent.process")
	for agent, within := range asked.within {
		if within.SpanID() != execute.SpanContext.SpanID() {
			t.Errorf("%s was asked outside pipeline.execute", agent)
		}
	}
	for key, want := range map[attribute.Key]string{
		"jeeves.pipeline.name": "chat", "jeeves.pipeline.mode": "sequential",
		"jeeves.request.id": "r-1", "jeeves.session.id": "s-1", "jeeves.user.id": "u-1",
	} {
		if got := value(execute, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if len(execute.Events) != 2 || execute.Events[0].Name != "pipeline.started" || execute.Events[1].Name != "pipeline.completed" {
		t.Errorf("events %v", execute.Events)
	}
	if got := value(router, "jeeves.request.id"); got != "from baggage" {
		t.Errorf("the router's request id is %q", got)
	}
	if router.Parent.SpanID() != execute.SpanContext.SpanID() {
		t.Error("the router ran outside pipeline.execute")
	}
}

func TestWhoWatchesSeesEachStageAndThePlannersText(t *testing.T) {
	asked := answering{work: func(_ context.Context, agent string, onPartial func(string) error) (string, error) {
		if onPartial != nil {
			if err := errors.Join(onPartial("At your"), onPartial(" service.")); err != nil {
				return "", err
			}
		}
		return agent, nil
	}}
	var seen []string
	watch := func(event *jeevesv1.PipelineEvent) error {
		if stage := event.GetStage(); stage != nil {
			seen = append(seen, stage.GetAgent()+" "+stage.GetState())
		} else {
			seen = append(seen, event.GetText())
		}
		return nil
	}

	if _, err := Execute(t.Context(), &jeevesv1.PipelineRequest{}, &asked, watch); err != nil {
		t.Fatal(err)
	}

	want := []string{
		"router started", "router completed", "planner started", "At your", " service.", "planner completed",
		"executor started", "executor completed",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("got %q", seen)
	}
}

func TestAStageThatFailsEndsThePipelineWithItsReason(t *testing.T) {
	spans := recordSpans(t)
	asked := answering{work: func(context.Context, string, func(string) error) (string, error) {
		return "", &agents.StageError{Code: agents.Unavailable, Message: "the provider answered 500"}
	}}

	_, err := Execute(t.Context(), &jeevesv1.PipelineRequest{}, &asked, nil)

	if err == nil || err.Error() != "the provider answered 500" || !slices.Equal(asked.asked, []string{"planner"}) {
		t.Errorf("got %v after asking %v", err, asked.asked)
	}
	execute := named(t, spans, "pipeline.execute")
	if value(execute, "termination.reason") != "unavailable" || execute.Status.Code != codes.Error {
		t.Errorf("got %v, %v", execute.Attributes, execute.Status)
	}
}

func TestSideBySideOneThatFailsEndsTheOther(t *testing.T) {
	executorAsked := make(chan struct{})
	asked := answering{work: func(ctx context.Context, agent string, _ func(string) error) (string, error) {
		if agent == "executor" {
			close(executorAsked)
			<-ctx.Done()
			return "", context.Cause(ctx)
		}
		<-executorAsked
		return "", &agents.StageError{Code: agents.Invalid, Message: "no"}
	}}

	_, err := Execute(t.Context(), &jeevesv1.PipelineRequest{Mode: "parallel"}, &asked, nil)

	if stage, ok := errors.AsType[*agents.StageError](err); !ok || stage.Code != agents.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownModeIsRefused(t *testing.T) {
	_, err := Execute(t.Context(), &jeevesv1.PipelineRequest{Mode: "sideways"}, &answering{}, nil)

	if stage, ok := errors.AsType[*agents.StageError](err); !ok || stage.Code != agents.Invalid || !strings.Contains(stage.Message, "sideways") {
		t.Errorf("got %v", err)
	}
}
