package agents

import (
	"context"
	"errors"
)

// Code says why a stage failed.
type Code string

// The first three are the words of an agent, the others are the orchestrator's own.
const (
	Invalid     Code = "INVALID"
	Unavailable Code = "UNAVAILABLE"
	Internal    Code = "INTERNAL"
	TimedOut    Code = "TIMEOUT"
	Cancelled   Code = "CANCELLED"
)

// StageError tells that a stage failed: by the word of the agent, because no reply came in time, or because
// nobody waits any more.
type StageError struct {
	Code    Code
	Message string
}

func (e *StageError) Error() string { return e.Message }

// CallerGone is the reason of a stage that nobody waits for any more.
var CallerGone = &StageError{Code: Cancelled, Message: "the caller went away"}

// whyDone tells why the context of a stage is done. Whoever ends it for a reason gives a StageError as its
// cause; what is left is the caller's own context.
func whyDone(ctx context.Context) error {
	if stage, ok := errors.AsType[*StageError](context.Cause(ctx)); ok {
		return stage
	}
	return CallerGone
}
