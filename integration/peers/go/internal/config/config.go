// Package config reads the settings of a role from the environment, besides the OTEL_* variables.
package config

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config holds the settings of the orchestrator and its process.
type Config struct {
	// Host and Port are where the role listens; port 0 chooses a free one, which the ready line prints.
	Host string
	Port int
	// HealthPort is where /healthz and /readyz are served; -1 when nowhere.
	HealthPort   int
	KafkaBrokers []string
	// StageTimeout is how long one stage waits for its reply.
	StageTimeout time.Duration
	// StopWithStdin makes the role end when its standard input does.
	StopWithStdin bool
}

// Address is where the role itself listens.
func (c Config) Address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// HealthAddress is where the health pages are served; empty when nowhere.
func (c Config) HealthAddress() string {
	if c.HealthPort < 0 {
		return ""
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(c.HealthPort))
}

const (
	maxPort         = 65535
	maxMilliseconds = 24 * 60 * 60 * 1000
)

// Read reads the environment. Its error names every wrong variable.
func Read() (Config, error) { return read(os.LookupEnv) }

func read(lookup func(string) (string, bool)) (Config, error) {
	env := reader{lookup: lookup}
	_, stopWithStdin := lookup("STOP_WITH_STDIN")
	config := Config{
		Host:          env.text("HOST", "127.0.0.1"),
		Port:          env.count("PORT", 0, maxPort),
		HealthPort:    env.count("HEALTH_PORT", -1, maxPort),
		KafkaBrokers:  env.addresses("KAFKA_BROKERS", "127.0.0.1:9092"),
		StageTimeout:  time.Duration(env.count("STAGE_TIMEOUT_MS", 20_000, maxMilliseconds)) * time.Millisecond,
		StopWithStdin: stopWithStdin,
	}
	if len(env.wrong) > 0 {
		return Config{}, fmt.Errorf("wrong configuration: %s", strings.Join(env.wrong, "; "))
	}
	return config, nil
}

// reader collects the wrong variables, so that all of them are reported at once.
type reader struct {
	lookup func(string) (string, bool)
	wrong  []string
}

// text takes an empty variable for one that is not set, as OpenTelemetry's are.
func (r *reader) text(name, fallback string) string {
	if value, _ := r.lookup(name); value != "" {
		return value
	}
	return fallback
}

func (r *reader) count(name string, fallback, limit int) int {
	text := r.text(name, "")
	if text == "" {
		return fallback
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 0 || value > limit {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: %q is not a whole number from 0 to %d", name, text, limit))
		return fallback
	}
	return value
}

func (r *reader) addresses(name, fallback string) []string {
	var addresses []string
	for address := range strings.SplitSeq(r.text(name, fallback), ",") {
		address = strings.TrimSpace(address)
		if _, _, err := net.SplitHostPort(address); err != nil {
			r.wrong = append(r.wrong, fmt.Sprintf("%s: %q is not host:port", name, address))
		}
		addresses = append(addresses, address)
	}
	return addresses
}
