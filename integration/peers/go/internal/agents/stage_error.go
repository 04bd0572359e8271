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

// StageError is the failure of a stage: the agent reported it, no reply came in time, or nobody waits
// any more.
type StageError struct {
	Code    Code
	Message string
}

func (e *StageError) Error() string { return e.Message }

// CallerGone is the reason of a stage that nobody waits for any more.
var CallerGone = &StageError{Code: Cancelled, Message: "the caller went away"}

// whyDone returns the reason why the context of a stage is done: the StageError that it was cancelled with, or
// else CallerGone, because only the caller's own context is left.
func whyDone(ctx context.Context) error {
	if stage, ok := errors.AsType[*StageError](context.Cause(ctx)); ok {
		return stage
	}
	return CallerGone
}
