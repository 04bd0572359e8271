package agents

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestARequestHasTheNamesThatTheAgentsRead(t *testing.T) {
	value, err := json.Marshal(request{
		RequestID:     "r-1",
		SessionID:     "s-1",
		Agent:         "planner",
		Message:       "Plan <a> picnic & rest",
		CorrelationID: "c-1",
		ReplyTopic:    "jeeves.agents.replies",
	})
	if err != nil {
		t.Fatal(err)
	}

	var read map[string]any
	if err := json.Unmarshal(value, &read); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"requestId": "r-1", "sessionId": "s-1", "agent": "planner", "message": "Plan <a> picnic & rest",
		"stream": false, "correlationId": "c-1", "replyTopic": "jeeves.agents.replies",
	}
	for name, value := range want {
		if read[name] != value {
			t.Errorf("%s is %v, want %v", name, read[name], value)
		}
	}
	if len(read) != len(want) {
		t.Errorf("got %s", value)
	}
}

func TestARepliesKindIsToldByTheFieldThatIsThere(t *testing.T) {
	partial, err := parseReply([]byte(`{"requestId":"r","agent":"planner","correlationId":"c","partial":"At your"}`))
	if err != nil || partial.Partial == nil || *partial.Partial != "At your" || partial.Result != nil {
		t.Errorf("got %+v, %v", partial, err)
	}
	// An executor may have nothing to say, and is done all the same.
	empty, err := parseReply([]byte(`{"correlationId":"c","result":"","later":{"field":1}}`))
	if err != nil || empty.Result == nil || *empty.Result != "" {
		t.Errorf("got %+v, %v", empty, err)
	}
	failed, err := parseReply([]byte(`{"correlationId":"c","failure":{"code":"UNAVAILABLE","message":"the provider answered 500"}}`))
	if err != nil || failed.Failure == nil || *failed.Failure != (failure{Unavailable, "the provider answered 500"}) {
		t.Errorf("got %+v, %v", failed, err)
	}
}

func TestWhatIsNoReplyIsRefusedWithAReason(t *testing.T) {
	for value, reason := range map[string]string{
		``:                    "not a reply",
		`secret words`:        "not a reply",
		`"text"`:              "not a reply",
		`{"result":"x"}`:      "correlationId",
		`{"correlationId":1}`: "not a reply",
		`{"correlationId":"c","failure":{"code":"TIMEOUT","message":"m"}}`: "failure.code",
	} {
		_, err := parseReply([]byte(value))
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q gives %v, want a mention of %s", value, err, reason)
		}
		if err != nil && strings.Contains(err.Error(), "secret words") {
			t.Errorf("%v repeats the message", err)
		}
	}
}
