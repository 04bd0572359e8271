package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func environment(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

func TestAnEmptyEnvironmentGivesTheDefaults(t *testing.T) {
	config, err := read(environment(nil))
	if err != nil {
		t.Fatal(err)
	}

	want := Config{
		Host:         "127.0.0.1",
		HealthPort:   -1,
		KafkaBrokers: []string{"127.0.0.1:9092"},
		StageTimeout: 20 * time.Second,
	}
	if !reflect.DeepEqual(config, want) {
		t.Errorf("got %+v, want %+v", config, want)
	}
	if config.HealthAddress() != "" {
		t.Errorf("health pages at %q, want none", config.HealthAddress())
	}
}

func TestEveryVariableIsObeyed(t *testing.T) {
	config, err := read(environment(map[string]string{
		"HOST":             "::1",
		"PORT":             "50051",
		"HEALTH_PORT":      "8080",
		"KAFKA_BROKERS":    "one:9092, two:9093",
		"STAGE_TIMEOUT_MS": "1500",
		"STOP_WITH_STDIN":  "",
	}))
	if err != nil {
		t.Fatal(err)
	}

	want := Config{
		Host:          "::1",
		Port:          50051,
		HealthPort:    8080,
		KafkaBrokers:  []string{"one:9092", "two:9093"},
		StageTimeout:  1500 * time.Millisecond,
		StopWithStdin: true,
	}
	if !reflect.DeepEqual(config, want) {
		t.Errorf("got %+v, want %+v", config, want)
	}
	if config.Address() != "[::1]:50051" || config.HealthAddress() != "[::1]:8080" {
		t.Errorf("got %q and %q", config.Address(), config.HealthAddress())
	}
}

func TestEveryWrongVariableIsNamed(t *testing.T) {
	_, err := read(environment(map[string]string{
		"PORT":             "eighty",
		"HEALTH_PORT":      "65536",
		"KAFKA_BROKERS":    "localhost",
		"STAGE_TIMEOUT_MS": "-1",
	}))
	if err == nil {
		t.Fatal("want an error")
	}

	if !strings.HasPrefix(err.Error(), `wrong configuration: PORT: "eighty" is not`) {
		t.Errorf("got %q", err)
	}
	for _, name := range []string{"HEALTH_PORT: ", "KAFKA_BROKERS: ", "STAGE_TIMEOUT_MS: "} {
		if !strings.Contains(err.Error(), "; "+name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}
