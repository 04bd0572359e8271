package role

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// health serves /healthz and /readyz. It is not traced.
type health struct {
	server *http.Server
	ready  atomic.Bool
}

// serveHealth serves nothing where the address is empty.
func serveHealth(address string) (*health, error) {
	h := &health{}
	if address == "" {
		return h, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("health pages: %w", err)
	}
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	go func() {
		if err := h.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			slog.Warn("health pages", "error", err)
		}
	}()
	return h, nil
}

func (h *health) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	code, text := http.StatusNotFound, "no such page"
	switch {
	case request.URL.Path == "/healthz", request.URL.Path == "/readyz" && h.ready.Load():
		code, text = http.StatusOK, "ok"
	case request.URL.Path == "/readyz":
		code, text = http.StatusServiceUnavailable, "not ready"
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(code)
	// An error here means that the client is gone: nothing is left to do.
	_ = json.NewEncoder(response).Encode(map[string]string{"status": text})
}

func (h *health) close() {
	if h.server == nil {
		return
	}
	if err := h.server.Close(); err != nil {
		slog.Warn("health pages", "error", err)
	}
}
