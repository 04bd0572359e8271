package agents

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

func TestEachReplyReachesTheOneThatWaitsForIt(t *testing.T) {
	var waiting pending
	var group sync.WaitGroup
	for i := range 100 {
		id := fmt.Sprintf("c-%d", i)
		replies := waiting.expect(id, func(error) { t.Errorf("%s failed", id) })
		group.Go(func() {
			if got := <-replies; got.CorrelationID != id {
				t.Errorf("%s got the reply to %s", id, got.CorrelationID)
			}
		})
		group.Go(func() { waiting.settle(reply{CorrelationID: id}) })
	}
	group.Wait()
}

func TestRepliesToSomebodyElseArePassedOver(t *testing.T) {
	var waiting pending
	waiting.settle(reply{CorrelationID: "another orchestrator's"})
	replies := waiting.expect("c-1", nil)
	waiting.forget("c-1")
	waiting.settle(reply{CorrelationID: "c-1"})

	if len(replies) != 0 || len(waiting.waiting) != 0 {
		t.Errorf("%d replies kept, %d waiting", len(replies), len(waiting.waiting))
	}
}

func TestWhoDoesNotTakeItsRepliesLosesItsStageAndHoldsUpNobody(t *testing.T) {
	var waiting pending
	ctx, fail := context.WithCancelCause(t.Context())
	waiting.expect("slow", fail)
	quick := waiting.expect("quick", nil)

	for range maxWaitingReplies + 1 {
		waiting.settle(reply{CorrelationID: "slow"})
	}
	waiting.settle(reply{CorrelationID: "quick"})

	stage, ok := errors.AsType[*StageError](whyDone(ctx))
	if !ok || stage.Code != Internal {
		t.Errorf("got %v", whyDone(ctx))
	}
	if len(quick) != 1 {
		t.Error("the quick one has no reply")
	}
}

func TestAStageWhoseCallerLeftIsCancelled(t *testing.T) {
	caller, leave := context.WithCancel(t.Context())
	ctx, fail := context.WithCancelCause(caller)
	defer fail(nil)
	leave()
	<-ctx.Done()

	if why := whyDone(ctx); why != CallerGone {
		t.Errorf("got %v", why)
	}
}
