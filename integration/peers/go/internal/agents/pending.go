package agents

import (
	"context"
	"sync"
)

// An agent sends at most ten partial replies. The consumer serves all requests, so it never waits for one of
// them: who is this far behind has lost its stage.
const maxWaitingReplies = 64

// pending matches replies to those who wait for them, by correlation id.
type pending struct {
	mu      sync.Mutex
	waiting map[string]waiter
}

type waiter struct {
	replies chan<- reply
	fail    context.CancelCauseFunc
}

// expect registers who waits. fail ends the waiter's own context when its replies cannot be kept for it.
func (p *pending) expect(correlationID string, fail context.CancelCauseFunc) <-chan reply {
	replies := make(chan reply, maxWaitingReplies)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = make(map[string]waiter)
	}
	p.waiting[correlationID] = waiter{replies, fail}
	return replies
}

func (p *pending) forget(correlationID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, correlationID)
}

// settle hands a reply over. It passes over those that answer somebody else, or nobody any more.
func (p *pending) settle(answer reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiter, ok := p.waiting[answer.CorrelationID]
	if !ok {
		return
	}
	select {
	case waiter.replies <- answer:
	default:
		waiter.fail(&StageError{Internal, "replies came faster than they were taken"})
	}
}
