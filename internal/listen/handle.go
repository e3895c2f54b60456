package listen

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/trigger"
)

// request is one request with what is noted of it.
type request struct {
	*http.Request
	w      http.ResponseWriter
	remote netip.Addr
	status int
	events int
	who    string
}

// handler is all routes, each counted, limited and logged.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, f func(*request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, f) })
	}
	route("GET /healthz", s.healthz)
	route("POST /hooks/{trigger}", s.hook)
	route("POST /v1/deployments", s.deployMany)
	route("POST /v1/apps/{app}/deployments", s.deployOne)
	route("GET /v1/apps/{app}/deployments", s.list)
	route("GET /v1/apps/{app}/deployments/{id}", s.show)
	route("POST /v1/apps/{app}/deployments/{id}/cancel", s.cancel)
	route("/", func(r *request) error {
		return &trigger.Refusal{Status: http.StatusNotFound, Reason: "there is nothing at this path, or not with this method"}
	})
	return mux
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, f func(*request) error) {
	began := s.o.Now()
	req := &request{Request: r, w: w, remote: s.remote(r)}
	wait, ok := s.rate.allow(req.remote)
	var err error
	if ok {
		err = f(req)
	} else {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		err = &trigger.Refusal{Status: http.StatusTooManyRequests, Reason: "too many requests from this source"}
	}
	if err != nil {
		s.refuse(req, err)
	}
	s.o.Log.LogAttrs(r.Context(), level(req.status), "request",
		slog.String("method", r.Method), slog.String("path", short(r.URL.Path)), slog.Int("status", req.status),
		slog.String("remote", req.remote.String()), slog.String("who", req.who), slog.Int("events", req.events),
		slog.Duration("took", s.o.Now().Sub(began)), slog.Any("error", err))
}

func level(status int) slog.Level {
	switch {
	case status >= 500:
		return slog.LevelError
	case status >= 400:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// short is a path as the log holds it.
func short(path string) string { return path[:min(len(path), 200)] }

// refuse answers with an error. What is not ours to tell stays in the log.
func (s *Server) refuse(r *request, err error) {
	if r.status != 0 {
		return // a stream had begun
	}
	status, reason := http.StatusServiceUnavailable, "it could not be stored, try again"
	refusal, ok := errors.AsType[*trigger.Refusal](err)
	switch {
	case ok:
		status, reason = refusal.Status, refusal.Reason
		if refusal.Refresh {
			if aerr := s.o.Quarantine.Ask(); aerr != nil {
				s.o.Log.Error("ask for what is published to be fetched", "error", aerr)
			}
		}
	case landfast.KindOf(err) == landfast.NotFound:
		status, reason = http.StatusNotFound, err.Error()
	case landfast.KindOf(err) == landfast.Conflict:
		status, reason = http.StatusConflict, err.Error()
	case landfast.KindOf(err) == landfast.Invalid:
		status, reason = http.StatusBadRequest, err.Error()
	}
	if status == http.StatusServiceUnavailable && r.w.Header().Get("Retry-After") == "" {
		r.w.Header().Set("Retry-After", "5")
	}
	if status == http.StatusUnauthorized {
		r.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	r.answer(status, errorBody{Error: errorText{Status: status, Message: reason}})
}

type errorBody struct {
	Error errorText `json:"error"`
}

type errorText struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// answer writes JSON.
func (r *request) answer(status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":{"status":500,"message":"the answer cannot be written"}}`)
	}
	r.status = status
	h := r.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	r.w.WriteHeader(status)
	_, _ = r.w.Write(append(text, '\n')) // the client may be gone
}

func (s *Server) healthz(r *request) error {
	r.answer(http.StatusOK, map[string]bool{"ok": true})
	return nil
}

// accepted is one event that was taken.
type accepted struct {
	App    string `json:"app"`
	ID     string `json:"id"`
	Closed string `json:"closed,omitempty"` // why it will not take effect
}

type acceptedBody struct {
	Events []accepted `json:"events"`
	Later  bool       `json:"later,omitempty"` // it is stored, and verified once that can be done
	Reply  any        `json:"reply,omitempty"`
}

// hook takes a message of a trigger.
func (s *Server) hook(r *request) error {
	body, err := s.body(r.w, r.Request)
	if err != nil {
		return err
	}
	name := r.PathValue("trigger")
	verdict, err := s.o.Triggers.Handle(r.Context(), trigger.Request{Trigger: name, Header: r.Header, Body: body, Remote: r.remote})
	if err != nil {
		return err
	}
	r.who = name
	out := acceptedBody{Events: []accepted{}, Reply: verdict.Reply}
	if verdict.Later != nil {
		if err := s.o.Quarantine.Put(verdict.Later); err != nil {
			return err
		}
		out.Later = true
	}
	out.Events, err = s.enqueue(r, verdict.Events)
	if landfast.KindOf(err) == landfast.NotFound {
		// The sender cannot do anything about it, and shall try again.
		return &trigger.Refusal{Status: http.StatusServiceUnavailable, Reason: "an app of this trigger is not set up on this host"}
	}
	if err != nil {
		return err
	}
	r.answer(http.StatusAccepted, out)
	return nil
}

// enqueue puts events on disk, all or none: the sender sends them again.
func (s *Server) enqueue(r *request, events []landfast.Event) ([]accepted, error) {
	ids, err := s.o.Queue.EnqueueAll(r.Context(), events)
	if err != nil {
		return nil, err
	}
	out := []accepted{}
	for i, ev := range events {
		out = append(out, accepted{App: ev.App, ID: ids[i], Closed: ev.Closed})
	}
	r.events = len(out)
	return out, nil
}

// name checks a name of the path, so that nothing else reaches the disk.
func name(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}
