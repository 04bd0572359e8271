package agents

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The JSON form of proto/jeeves/v1/agents.proto. It is written by hand rather than by protojson, because a
// reply with an empty result differs from a reply without one.

type request struct {
	RequestID     string `json:"requestId"`
	SessionID     string `json:"sessionId"`
	Agent         string `json:"agent"`
	Message       string `json:"message"`
	Stream        bool   `json:"stream"`
	CorrelationID string `json:"correlationId"`
	ReplyTopic    string `json:"replyTopic"`
}

// reply carries one of Partial, Result and Failure.
type reply struct {
	CorrelationID string   `json:"correlationId"`
	Partial       *string  `json:"partial"`
	Result        *string  `json:"result"`
	Failure       *failure `json:"failure"`
}

type failure struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func parseReply(value []byte) (reply, error) {
	var parsed reply
	if err := json.Unmarshal(value, &parsed); err != nil {
		return reply{}, fmt.Errorf("not a reply: %w", err)
	}
	if parsed.CorrelationID == "" {
		return reply{}, errors.New("correlationId: missing")
	}
	if parsed.Failure != nil {
		switch parsed.Failure.Code {
		case Invalid, Unavailable, Internal:
		default:
			return reply{}, fmt.Errorf("failure.code: %q is none of %s, %s, %s",
				parsed.Failure.Code, Invalid, Unavailable, Internal)
		}
	}
	return parsed, nil
}
