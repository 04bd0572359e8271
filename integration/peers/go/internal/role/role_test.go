package role

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnActThatDoesNotEndIsGivenUpOnceNobodyWantsItAnyMore(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	held := make(chan struct{})
	defer close(held)

	if ends(over, time.Millisecond, func() { <-held }) {
		t.Error("an act that was still held came to an end")
	}
}

func TestAnActMayTakeItsTimeWhileItIsWanted(t *testing.T) {
	// The clock of the bubble: nothing really sleeps.
	synctest.Test(t, func(t *testing.T) {
		if !ends(t.Context(), 0, func() { time.Sleep(time.Hour) }) {
			t.Error("an act was given up though it was still wanted")
		}
	})
}

func TestAnActMayEndWithinItsGrace(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	act := func() { <-over.Done() }
	cancel()

	if !ends(over, time.Minute, act) {
		t.Error("an act was given up though it ended")
	}
}
