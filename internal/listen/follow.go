package listen

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/landfast/landfast/internal/trigger"
)

// pulse is how often a stream says that it lives: proxies cut those that say nothing.
const pulse = 15 * time.Second

// follow answers with the outcome of an event, or streams its lines until then.
func (s *Server) follow(r *request, app, id string) error {
	events, err := s.o.Events(app)
	if err != nil {
		return err
	}
	defer func() { _ = events.Close() }() // it was only read
	if _, err := events.Show(id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), followLimit)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	// The time limits of the connection are those of a request that is read.
	control := http.NewResponseController(r.w)
	_ = control.SetReadDeadline(time.Time{})
	if streams(r) {
		return (&stream{r: r, control: control}).run(ctx, events, app, id)
	}
	for _, err := range events.Follow(ctx, id) {
		if err != nil && ctx.Err() != nil {
			return &trigger.Refusal{Status: http.StatusServiceUnavailable, Reason: "it has not ended yet, ask again"}
		}
		if err != nil {
			return err
		}
	}
	e, err := events.Show(id)
	if err != nil {
		return err
	}
	r.answer(http.StatusOK, e)
	return nil
}

// stream is an answer of server-sent events.
type stream struct {
	r       *request
	control *http.ResponseController
	mu      sync.Mutex
}

// run tells the id of the event at once, and then its lines as they come.
func (s *stream) run(ctx context.Context, events Events, app, id string) error {
	s.r.status = http.StatusOK
	h := s.r.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	if err := s.tell("event", accepted{App: app, ID: id}); err != nil {
		return err
	}
	beat := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.pulse(beat)
	}()
	defer func() { close(beat); <-done }()
	for line, err := range events.Follow(ctx, id) {
		if err != nil {
			return err
		}
		kind := "progress"
		if line.State != "" {
			kind = "state"
		}
		if err := s.tell(kind, line); err != nil {
			return err
		}
	}
	return nil
}

// tell writes one event.
func (s *stream) tell(kind string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", kind, text))
}

func (s *stream) write(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.control.SetWriteDeadline(time.Now().Add(writeLimit)) // whoever stops reading is left
	if _, err := s.r.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

// pulse writes a comment now and then, until end is closed.
func (s *stream) pulse(end <-chan struct{}) {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-tick.C:
			if s.write(": waiting\n\n") != nil {
				return
			}
		}
	}
}
