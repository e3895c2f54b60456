package rootsvc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
)

// Socket is where the root service listens. Mode 0660, group landfast.
const Socket = "/run/landfast/root.sock"

// Verb is one thing that the root service does.
type Verb string

// The verbs. There are no others.
const (
	VerbDeploy   Verb = "deploy"   // make incoming/ID live
	VerbBuild    Verb = "build"    // run [build] of incoming/ID, whose result the next deploy of ID takes
	VerbDiscard  Verb = "discard"  // remove incoming/ID and what was built of it
	VerbRollback Verb = "rollback" // go back to a release on the host
	VerbResume   Verb = "resume"   // end what was interrupted
	VerbStart    Verb = "start"
	VerbStop     Verb = "stop"
	VerbRestart  Verb = "restart"
	VerbReload   Verb = "reload" // one that the policy declares
)

// Request is one line of JSON.
type Request struct {
	Verb     Verb   `json:"verb"`
	App      string `json:"app"`
	Incoming string `json:"incoming,omitempty"` // deploy, build, discard: the directory below incoming/
	Origin   Origin `json:"origin,omitzero"`    // deploy: where it came from, for people
	Release  string `json:"release,omitempty"`  // rollback: "": the last good one
	Reload   string `json:"reload,omitempty"`   // reload: its name in the policy
	Actor    string `json:"actor,omitempty"`    // who asked, as the caller says
	Force    bool   `json:"force,omitempty"`
}

// Origin says where a release came from. Root believes nothing of it and keeps it for
// people.
type Origin struct {
	Repository string `json:"repository,omitempty"`
	Commit     string `json:"commit,omitempty"`
	Digest     string `json:"digest,omitempty"`
}

// Watch is told what happens, as it happens; it may be nil.
type Watch struct {
	Event func(deploy.Event)
	Log   func(line string) // a line that a build wrote
}

func (w Watch) event(e deploy.Event) {
	if w.Event != nil {
		w.Event(e)
	}
}

func (w Watch) log(line string) {
	if w.Log != nil {
		w.Log(line)
	}
}

// Deployer deploys on one machine. Direct does it, Client has it done. Errors have the
// kinds of deploy.Engine, and Invalid for what the policy refuses.
type Deployer interface {
	// Deploy makes what is in incoming/ID live, and takes it away in the end. When the
	// live release came by that delivery already, nothing is done, and the record has no id.
	Deploy(ctx context.Context, r Request, w Watch) (landfast.Deployment, error)
	// Rollback goes back to a release on the host.
	Rollback(ctx context.Context, r Request, w Watch) (landfast.Deployment, error)
	// Resume ends what was interrupted; nil when there is nothing.
	Resume(ctx context.Context, r Request, w Watch) (*landfast.Deployment, error)
	// Build runs the steps of [build] on incoming/ID. A manifest without them is no
	// error. When ctx ends, the step under way is stopped.
	Build(ctx context.Context, r Request, w Watch) error
	// Discard removes incoming/ID; it is no error when it is not there.
	Discard(ctx context.Context, r Request) error
	// Power starts, stops or restarts the units of the app, as the verb says.
	Power(ctx context.Context, r Request) ([]landfast.UnitStatus, error)
	// Reload tests and reloads something that the policy declares.
	Reload(ctx context.Context, r Request, w Watch) error
}

// line is one line of the answer; one of its fields is set.
type line struct {
	Event  *deploy.Event `json:"event,omitempty"`
	Log    *string       `json:"log,omitempty"`
	Result *result       `json:"result,omitempty"`
}

// result is the last line.
type result struct {
	Deployment *landfast.Deployment  `json:"deployment,omitempty"`
	Units      []landfast.UnitStatus `json:"units,omitempty"`
	Error      *fault                `json:"error,omitempty"`
}

// fault is an error on its way.
type fault struct {
	Kind    landfast.Kind `json:"kind"`
	Message string        `json:"message"`
	Hint    string        `json:"hint,omitempty"`
}

func faultOf(err error) *fault {
	if err == nil {
		return nil
	}
	f := &fault{Kind: landfast.KindOf(err), Message: err.Error()}
	if e, ok := errors.AsType[*landfast.Error](err); ok && e.Hint != "" && strings.HasSuffix(f.Message, "; "+e.Hint) {
		f.Hint, f.Message = e.Hint, strings.TrimSuffix(f.Message, "; "+e.Hint)
	}
	return f
}

func (f *fault) error() error {
	if f == nil {
		return nil
	}
	return &landfast.Error{Kind: f.Kind, Msg: f.Message, Hint: f.Hint}
}

// maxRequest bounds the line of a request.
const maxRequest = 64 << 10

var (
	appNames    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$`)
	incomingIDs = regexp.MustCompile(`^[A-Za-z0-9]{1,40}([._-][A-Za-z0-9]{1,40}){0,3}$`)
	commits     = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
	digests     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	reloadNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,60}$`)
)

// readRequest reads one request. What is not one is an error of kind Invalid.
func readRequest(r io.Reader) (Request, error) {
	var req Request
	buf := make([]byte, 0, 4<<10)
	for {
		i := bytes.IndexByte(buf, '\n')
		if i >= 0 {
			buf = buf[:i]
			break
		}
		if len(buf) >= maxRequest {
			return req, invalid("the request is longer than %d bytes", maxRequest)
		}
		chunk := make([]byte, 4<<10)
		n, err := r.Read(chunk)
		buf = append(buf, chunk[:n]...)
		if errors.Is(err, io.EOF) && n == 0 {
			return req, invalid("the request has no end")
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return req, fmt.Errorf("read the request: %w", err)
		}
	}
	return decodeRequest(buf)
}

func decodeRequest(text []byte) (Request, error) {
	var req Request
	if !utf8.Valid(text) {
		return req, invalid("the request is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		return req, invalid("the request cannot be understood: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return req, invalid("there is something behind the request")
	}
	return req, req.check()
}

// check refuses what no caller in good order sends.
func (r *Request) check() error {
	switch r.Verb {
	case VerbDeploy, VerbBuild, VerbDiscard, VerbRollback, VerbResume, VerbStart, VerbStop, VerbRestart, VerbReload:
	default:
		return invalid("%q is not a verb of the root service", r.Verb)
	}
	return r.arguments()
}

// arguments refuses those that no verb takes.
func (r *Request) arguments() error {
	takesIncoming := r.Verb == VerbDeploy || r.Verb == VerbBuild || r.Verb == VerbDiscard
	switch {
	case !appNames.MatchString(r.App):
		return invalid("%q cannot be the name of an app", r.App)
	case takesIncoming != (r.Incoming != ""), r.Incoming != "" && !incomingIDs.MatchString(r.Incoming):
		return invalid("%q cannot be what %s takes from incoming", r.Incoming, r.Verb)
	case (r.Verb == VerbReload) != (r.Reload != ""), r.Reload != "" && !reloadNames.MatchString(r.Reload):
		return invalid("%q cannot be the name of a reload", r.Reload)
	case r.Release != "" && (r.Verb != VerbRollback || landfast.CheckReleaseID(r.Release) != nil):
		return invalid("%q is not a release to roll back to", r.Release)
	}
	return r.names()
}

// names refuses what may not stand in a line of a log, or of the history of an app.
func (r *Request) names() error {
	switch {
	case r.Origin.Commit != "" && !commits.MatchString(r.Origin.Commit):
		return invalid("%q is not a commit", r.Origin.Commit)
	case r.Origin.Digest != "" && !digests.MatchString(r.Origin.Digest):
		return invalid("%q is not a digest", r.Origin.Digest)
	case !oneLine(r.Actor, 200), !oneLine(r.Origin.Repository, 500):
		return invalid("a name in the request is too long, or not text of one line")
	}
	return nil
}

// oneLine reports whether s is text that may stand in a line of a log.
func oneLine(s string, most int) bool {
	return len(s) <= most && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func invalid(format string, args ...any) error {
	return &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf(format, args...)}
}
