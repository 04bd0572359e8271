// Package agents asks the agents over Kafka and matches their replies by correlation id.
package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kotel"
	"go.opentelemetry.io/otel/codes"
)

// Question is what an agent is asked in one stage.
type Question struct {
	RequestID string
	SessionID string
	Agent     string
	Message   string
}

// Client sends requests and reads all replies, in a consumer group of its own, and passes over those that
// answer somebody else.
type Client struct {
	producer     *kgo.Client
	consumer     *kgo.Client
	tracer       *kotel.Tracer
	pending      pending
	stageTimeout time.Duration
	// reading is closed when the last reply was read.
	reading chan struct{}
}

// Ask sends one request and waits for its final reply. The text on the way goes to onPartial; without it the
// answer comes in one piece. The request goes out in the span of ctx, and so does everything that the caller
// does next: a reply brings its result and no context of its own.
func (c *Client) Ask(ctx context.Context, question Question, onPartial func(string) error) (string, error) {
	if ctx.Err() != nil {
		return "", whyDone(ctx)
	}
	slow := &StageError{TimedOut, fmt.Sprintf("no reply from the %s within %d ms", question.Agent, c.stageTimeout.Milliseconds())}
	ctx, stopTimer := context.WithTimeoutCause(ctx, c.stageTimeout, slow)
	defer stopTimer()
	ctx, fail := context.WithCancelCause(ctx)
	// A request that is still held back when its stage is over is not sent any more.
	defer fail(nil)

	correlationID := uuid.NewString()
	replies := c.pending.expect(correlationID, fail)
	defer c.pending.forget(correlationID)
	sent, err := c.send(ctx, question, correlationID, onPartial != nil)
	if err != nil {
		return "", err
	}

	var result *string
	for result == nil || sent != nil {
		select {
		case err := <-sent:
			if err != nil && ctx.Err() != nil {
				return "", whyDone(ctx)
			}
			if err != nil {
				return "", fmt.Errorf("could not ask the %s: %w", question.Agent, err)
			}
			sent = nil
		case answer := <-replies:
			switch {
			case answer.Failure != nil:
				return "", &StageError{answer.Failure.Code, answer.Failure.Message}
			case answer.Result != nil:
				result = answer.Result
			case answer.Partial != nil && onPartial != nil:
				if err := onPartial(*answer.Partial); err != nil {
					return "", err
				}
			}
		case <-ctx.Done():
			return "", whyDone(ctx)
		}
	}
	return *result, nil
}

// send hands the request to the producer; the channel receives nil when the broker has it, or the error.
func (c *Client) send(ctx context.Context, question Question, correlationID string, stream bool) (<-chan error, error) {
	value, err := json.Marshal(request{
		RequestID:     question.RequestID,
		SessionID:     question.SessionID,
		Agent:         question.Agent,
		Message:       question.Message,
		Stream:        stream,
		CorrelationID: correlationID,
		ReplyTopic:    repliesTopic,
	})
	if err != nil {
		return nil, fmt.Errorf("could not write the request: %w", err)
	}
	record := &kgo.Record{
		Topic: requestsTopic,
		Key:   []byte(correlationID),
		Value: value,
		Headers: []kgo.RecordHeader{
			{Key: "correlation-id", Value: []byte(correlationID)},
			{Key: "reply-topic", Value: []byte(repliesTopic)},
		},
	}
	sent := make(chan error, 1)
	c.producer.Produce(ctx, record, func(_ *kgo.Record, err error) { sent <- err })
	return sent, nil
}

// read hands over every reply until the consumer is closed.
func (c *Client) read() {
	defer close(c.reading)
	for {
		fetches := c.consumer.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			if _, isSession := errors.AsType[*kgo.ErrGroupSession](err); isSession {
				return // The client's own log has it, and it joins again.
			}
			slog.Warn("kafka: could not fetch", "topic", topic, "partition", partition, "error", err)
		})
		fetches.EachRecord(c.take)
	}
}

func (c *Client) take(record *kgo.Record) {
	_, span := c.tracer.WithProcessSpan(record)
	defer span.End()
	answer, err := parseReply(record.Value)
	if err != nil {
		// The stage that waits for it is not known; its own timeout ends it.
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		slog.Warn("a reply cannot be read", "partition", record.Partition, "offset", record.Offset, "error", err)
		return
	}
	c.pending.settle(answer)
}

// Close leaves the group and lets go of the connections.
func (c *Client) Close() {
	c.consumer.Close()
	<-c.reading
	c.producer.Close()
}
