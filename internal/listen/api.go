package listen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/queue"
	"github.com/landfast/landfast/internal/trigger"
)

// order is what a caller asks for, one app.
type order struct {
	App      string `json:"app,omitempty"`
	Action   string `json:"action,omitempty"` // deploy (default), rollback
	Ref      string `json:"ref,omitempty"`    // refs/heads/main, or main
	Commit   string `json:"commit,omitempty"`
	Location string `json:"location,omitempty"` // of an artifact, with its digest
	Digest   string `json:"digest,omitempty"`
	Release  string `json:"release,omitempty"` // rollback: which; "": the last good one
	Force    bool   `json:"force,omitempty"`
	Message  string `json:"message,omitempty"`
}

// event is what the order asks for, or what is wrong with it.
func (o order) event(who trigger.Identity, now time.Time, key string) (landfast.Event, error) {
	ev := landfast.Event{
		App: o.App, Action: landfast.Action(o.Action), Provider: "api", Trigger: who.Name, Received: now.UTC(),
		Ref: o.Ref, Commit: o.Commit, Location: o.Location, Digest: o.Digest, Release: o.Release,
		Force: o.Force, Actor: who.String(), Message: o.Message,
	}
	if key != "" {
		ev.Delivery = who.Name + ":" + key
	}
	bad := func(format string, args ...any) (landfast.Event, error) {
		return ev, &trigger.Refusal{Status: http.StatusBadRequest, Reason: fmt.Sprintf(format, args...)}
	}
	if ev.Action == "" {
		ev.Action = landfast.ActionDeploy
	}
	if ev.Ref != "" && !strings.HasPrefix(ev.Ref, "refs/") {
		ev.Ref = "refs/heads/" + ev.Ref
	}
	if why := contradicts(ev); why != "" {
		return bad("%s", why)
	}
	switch {
	case ev.Location != "" && ev.Digest == "":
		return bad("an artifact needs its digest, sha256:…")
	case ev.Digest != "" && ev.Location == "":
		return bad("digest goes with location")
	case ev.Commit != "" && strings.Trim(ev.Commit, "0123456789abcdef") != "":
		return bad("commit is not a full id in lower case")
	}
	return ev, nil
}

// contradicts says what of an event does not go with its action, or "".
func contradicts(ev landfast.Event) string {
	named := ev.Ref != "" || ev.Commit != "" || ev.Location != ""
	switch {
	case ev.Action != landfast.ActionDeploy && ev.Action != landfast.ActionRollback:
		return fmt.Sprintf("action %q is neither deploy nor rollback", ev.Action)
	case ev.Action == landfast.ActionRollback && named:
		return "a rollback takes a release, and no ref, commit or location"
	case ev.Action == landfast.ActionDeploy && ev.Release != "":
		return "release is for a rollback"
	}
	return ""
}

// decode reads a body strictly.
func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && d.More() {
		err = fmt.Errorf("something follows the value")
	}
	if err != nil {
		return &trigger.Refusal{Status: http.StatusBadRequest, Reason: "the body is not what this path takes: " + err.Error()}
	}
	return nil
}

func (s *Server) deployOne(r *request) error {
	body, err := s.body(r.w, r.Request)
	if err != nil {
		return err
	}
	o := order{}
	if len(bytes.TrimSpace(body)) > 0 {
		if err := decode(body, &o); err != nil {
			return err
		}
	}
	if o.App != "" && o.App != r.PathValue("app") {
		return &trigger.Refusal{Status: http.StatusBadRequest, Reason: "app differs from the one in the path"}
	}
	o.App = r.PathValue("app")
	taken, err := s.take(r, []order{o})
	if err != nil {
		return err
	}
	if s.wants(r) {
		return s.follow(r, o.App, taken[0].ID)
	}
	r.answer(http.StatusAccepted, taken[0])
	return nil
}

// maxOrders is how many apps one call may name.
const maxOrders = 100

func (s *Server) deployMany(r *request) error {
	body, err := s.body(r.w, r.Request)
	if err != nil {
		return err
	}
	var all struct {
		Deployments []order `json:"deployments"`
	}
	if err := decode(body, &all); err != nil {
		return err
	}
	if n := len(all.Deployments); n == 0 || n > maxOrders {
		return &trigger.Refusal{Status: http.StatusBadRequest, Reason: fmt.Sprintf("deployments lists %d apps, and may list 1 to %d", n, maxOrders)}
	}
	taken, err := s.take(r, all.Deployments)
	if err != nil {
		return err
	}
	r.answer(http.StatusAccepted, acceptedBody{Events: taken})
	return nil
}

// take checks all orders before it queues the first.
func (s *Server) take(r *request, orders []order) ([]accepted, error) {
	var events []landfast.Event
	for _, o := range orders {
		action := o.Action
		if action == "" {
			action = string(landfast.ActionDeploy)
		}
		who, err := s.authorize(r, o.App, action)
		if err != nil {
			return nil, err
		}
		ev, err := o.event(who, s.o.Now(), r.Header.Get("Idempotency-Key"))
		if err != nil {
			return nil, err
		}
		events = append(events, ev)
	}
	return s.enqueue(r, events)
}

func (s *Server) authorize(r *request, app, action string) (trigger.Identity, error) {
	if !name(app) {
		return trigger.Identity{}, &trigger.Refusal{Status: http.StatusBadRequest, Reason: "app is missing or cannot be the name of an app"}
	}
	who, err := s.o.Triggers.Authorize(r.Header, app, action)
	if err == nil {
		r.who = who.String()
	}
	return who, err
}

// events opens the events of the app in the path for somebody who may see them.
func (s *Server) events(r *request) (Events, error) {
	app := r.PathValue("app")
	if _, err := s.authorize(r, app, "show"); err != nil {
		return nil, err
	}
	return s.o.Events(app)
}

func (s *Server) list(r *request) error {
	events, err := s.events(r)
	if err != nil {
		return err
	}
	defer func() { _ = events.Close() }() // it was only read
	n := 20
	if text := r.URL.Query().Get("n"); text != "" {
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > 1000 {
			return &trigger.Refusal{Status: http.StatusBadRequest, Reason: "n is a number from 1 to 1000"}
		}
	}
	all, err := events.List(n)
	if err != nil {
		return err
	}
	r.answer(http.StatusOK, map[string]any{"deployments": append([]queue.Entry{}, all...)})
	return nil
}

func (s *Server) show(r *request) error {
	if s.wants(r) {
		app := r.PathValue("app")
		if _, err := s.authorize(r, app, "show"); err != nil {
			return err
		}
		return s.follow(r, app, r.PathValue("id"))
	}
	events, err := s.events(r)
	if err != nil {
		return err
	}
	defer func() { _ = events.Close() }() // it was only read
	e, err := events.Show(r.PathValue("id"))
	if err != nil {
		return err
	}
	r.answer(http.StatusOK, e)
	return nil
}

func (s *Server) cancel(r *request) error {
	app, id := r.PathValue("app"), r.PathValue("id")
	who, err := s.authorize(r, app, string(landfast.ActionCancel))
	if err != nil {
		return err
	}
	if !queue.IsID(id) {
		return &trigger.Refusal{Status: http.StatusNotFound, Reason: "there is no such deployment"}
	}
	taken, err := s.enqueue(r, []landfast.Event{{
		App: app, Action: landfast.ActionCancel, Provider: "api", Trigger: who.Name, Received: s.o.Now().UTC(), Of: id, Actor: who.String(),
	}})
	if err != nil {
		return err
	}
	r.answer(http.StatusAccepted, taken[0])
	return nil
}

// wants reports whether the caller waits for the outcome.
func (s *Server) wants(r *request) bool {
	wait := r.URL.Query().Get("wait")
	return wait != "" && wait != "0" || streams(r)
}

func streams(r *request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// followLimit is how long a caller may wait; then it asks again.
const followLimit = 30 * time.Minute

// writeLimit is how long a line of a stream may take to be read.
const writeLimit = 30 * time.Second
