package rootsvc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
)

// How long a caller may take to send its request, and to take one line of the answer.
const (
	requestLimit = 5 * time.Second
	answerLimit  = 2 * time.Second
)

// Server answers one connection. Its fields are set once, before use.
type Server struct {
	Deployer  Deployer
	WorkerUID int // of the account of the workers; -1: there is none
	// UnitOf tells the unit that a process belongs to.
	UnitOf func(ctx context.Context, pid int) (string, error)
	// Log gets one line for each request: who, which verb, which app, how it ended.
	Log *slog.Logger
	Now func() time.Time
}

// Serve reads one request from c, does it, answers, and closes c. It blocks until what
// was asked has ended; a caller that goes away ends a build, and nothing else.
func (s *Server) Serve(ctx context.Context, c *net.UnixConn) error {
	defer func() { _ = c.Close() }() // the answer was sent, or nobody is there
	begun := s.Now()
	peer, err := PeerOf(c)
	if err != nil {
		return err
	}
	out := &answer{conn: c}
	req, err := s.request(ctx, c, peer)
	var res result
	if err == nil {
		res, err = s.do(ctx, c, req, out.watch())
	}
	res.Error = faultOf(err)
	out.send(line{Result: &res})
	s.record(ctx, peer, req, res, s.Now().Sub(begun))
	return nil
}

// request reads the request and decides whether this peer may make it. Who may not ask
// at all is told nothing about the request.
func (s *Server) request(ctx context.Context, c *net.UnixConn, peer Peer) (Request, error) {
	if peer.UID != 0 && peer.UID != s.WorkerUID {
		return Request{}, s.allowed(ctx, peer, "")
	}
	if err := c.SetReadDeadline(time.Now().Add(requestLimit)); err != nil {
		return Request{}, err
	}
	req, err := readRequest(c)
	if err != nil {
		return req, err
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return req, err
	}
	return req, s.allowed(ctx, peer, req.App)
}

func (s *Server) do(ctx context.Context, c *net.UnixConn, r Request, w Watch) (res result, err error) {
	deployment := func(d landfast.Deployment, err error) (result, error) {
		if d.ID == "" && d.To == "" {
			return result{}, err
		}
		return result{Deployment: &d}, err
	}
	switch r.Verb {
	case VerbDeploy:
		return deployment(s.Deployer.Deploy(ctx, r, w))
	case VerbRollback:
		return deployment(s.Deployer.Rollback(ctx, r, w))
	case VerbResume:
		d, err := s.Deployer.Resume(ctx, r, w)
		return result{Deployment: d}, err
	case VerbBuild:
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() { // ends when the connection is closed, at the latest by Serve
			if _, err := c.Read(make([]byte, 1)); err != nil {
				cancel(errCallerGone)
			}
		}()
		return result{}, s.Deployer.Build(ctx, r, w)
	case VerbDiscard:
		return result{}, s.Deployer.Discard(ctx, r)
	case VerbReload:
		return result{}, s.Deployer.Reload(ctx, r, w)
	case VerbStart, VerbStop, VerbRestart:
		res.Units, err = s.Deployer.Power(ctx, r)
		return res, err
	}
	return result{}, invalid("%q is not a verb of the root service", r.Verb)
}

var errCallerGone = errors.New("whoever asked for it has gone")

// record writes the line of the journal.
func (s *Server) record(ctx context.Context, p Peer, r Request, res result, took time.Duration) {
	attrs := []any{
		slog.Int("uid", p.UID),
		slog.Int("pid", p.PID),
		slog.String("verb", string(r.Verb)),
		slog.String("app", r.App),
	}
	for _, a := range []struct{ key, value string }{
		{"actor", r.Actor},
		{"incoming", r.Incoming},
		{"repository", r.Origin.Repository},
		{"commit", r.Origin.Commit},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	outcome := "ok"
	if res.Deployment != nil {
		outcome = string(res.Deployment.Status)
		attrs = append(attrs, slog.String("deployment", res.Deployment.ID))
	}
	level := slog.LevelInfo
	if res.Error != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", res.Error.Message))
		if res.Deployment == nil {
			outcome = "refused"
			if res.Error.Kind != landfast.Invalid && res.Error.Kind != landfast.NotFound && res.Error.Kind != landfast.Conflict {
				outcome = "failed"
			}
		}
	}
	attrs = append(attrs, slog.String("outcome", outcome), slog.Duration("took", took.Round(time.Millisecond)))
	s.Log.Log(ctx, level, "request", attrs...)
}

// answer writes lines to a caller as long as it is there.
type answer struct {
	mu   sync.Mutex
	conn net.Conn
	gone bool
}

func (a *answer) watch() Watch {
	return Watch{
		Event: func(e deploy.Event) { a.send(line{Event: &e}) },
		Log:   func(text string) { a.send(line{Log: &text}) },
	}
}

// send writes one line. A caller that has gone, or does not read, is written to no more.
func (a *answer) send(l line) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return
	}
	text, err := json.Marshal(l)
	if err == nil {
		err = a.conn.SetWriteDeadline(time.Now().Add(answerLimit))
	}
	if err == nil {
		_, err = io.Writer(a.conn).Write(append(text, '\n'))
	}
	a.gone = err != nil
}
