package agents

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/plugin/kotel"
)

const (
	clientID      = "jeeves-orchestrator"
	requestsTopic = "jeeves.agents.requests"
	repliesTopic  = "jeeves.agents.replies"

	// A consumer that stops does not wait long for the last of its empty polls.
	fetchMaxWait = 250 * time.Millisecond
	retryAfter   = 200 * time.Millisecond
)

// Connect is done when no reply can be missed any more: the group begins at the end of the topic as it was at
// this moment, and its partitions are assigned.
func Connect(ctx context.Context, brokers []string, stageTimeout time.Duration) (_ *Client, err error) {
	group := clientID + "-" + uuid.NewString()
	c := &Client{
		stageTimeout: stageTimeout,
		reading:      make(chan struct{}),
		tracer:       kotel.NewTracer(kotel.ClientID(clientID), kotel.ConsumerGroup(group)),
	}
	common := []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID(clientID),
		kgo.AllowAutoTopicCreation(),
		kgo.WithHooks(kotel.NewKotel(kotel.WithTracer(c.tracer)).Hooks()...),
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelError, func() string { return "kafka: " })),
	}
	c.producer, err = kgo.NewClient(append(common,
		// A request does not wait for others to fill a batch.
		kgo.ProducerLinger(0),
		// The client's own choice is Snappy, which kafkajs cannot read.
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	defer func() {
		if err != nil {
			c.producer.Close()
		}
	}()
	// The first request does not pay for what every producer asks its broker once.
	if _, _, err := c.producer.ProducerID(ctx); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	partitions, err := beginAtEnd(ctx, c.producer, group)
	if err != nil {
		return nil, err
	}

	assigned := make(chan int, 16)
	c.consumer, err = kgo.NewClient(append(common,
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(repliesTopic),
		// Only for partitions that the topic gets later: all there are begin where they were marked.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(fetchMaxWait),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			select {
			case assigned <- len(added[repliesTopic]):
			default: // Nobody counts any more.
			}
		}),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	go c.read()
	for missing := partitions; missing > 0; {
		select {
		case count := <-assigned:
			missing -= count
		case <-ctx.Done():
			c.consumer.Close()
			<-c.reading
			return nil, fmt.Errorf("kafka: no partitions of %s: %w", repliesTopic, context.Cause(ctx))
		}
	}
	return c, nil
}

// beginAtEnd marks the present end of the replies as the place where the group begins: old replies answer
// nobody who still waits, and what comes from now on is not missed however long the group takes to form. Gives
// the number of partitions.
func beginAtEnd(ctx context.Context, client *kgo.Client, group string) (int, error) {
	admin := kadm.NewClient(client)
	for {
		ends, err := ends(ctx, client, admin)
		if err == nil {
			err = admin.CommitAllOffsets(ctx, group, ends.Offsets())
		}
		if err == nil {
			return len(ends[repliesTopic]), nil
		}
		// A broker that has just started refuses for a while, and so does a topic that was just created.
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return 0, fmt.Errorf("kafka: %w (%w)", err, context.Cause(ctx))
		}
	}
}

func ends(ctx context.Context, client *kgo.Client, admin *kadm.Client) (kadm.ListedOffsets, error) {
	ends, err := admin.ListEndOffsets(ctx, repliesTopic)
	if err != nil {
		return nil, err
	}
	if err := ends.Error(); err != nil {
		return nil, errors.Join(err, create(ctx, client))
	}
	return ends, nil
}

// create asks for the topic as consumers do where the broker makes topics when they are first named.
func create(ctx context.Context, client *kgo.Client) error {
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(repliesTopic)
	request := kmsg.NewPtrMetadataRequest()
	request.Topics = append(request.Topics, topic)
	request.AllowAutoTopicCreation = true
	_, err := request.RequestWith(ctx, client)
	return err
}
