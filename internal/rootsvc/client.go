package rootsvc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/landfast/landfast"
)

// Client has the root service do the verbs.
type Client struct {
	// Dial connects to the service; nil: to Socket.
	Dial func(ctx context.Context) (net.Conn, error)
}

var _ Deployer = (*Client)(nil)

// maxLine bounds a line of the answer: a deployment with its steps and logs.
const maxLine = 4 << 20

// call makes one request and gives its result. When ctx ends first the connection is
// closed, and what was asked may go on without us.
func (c *Client) call(ctx context.Context, r Request, w Watch) (result, error) {
	if err := r.check(); err != nil {
		return result{}, err
	}
	dial := c.Dial
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "unix", Socket) }
	}
	conn, err := dial(ctx)
	if err != nil {
		return result{}, unreachable(err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	text, err := json.Marshal(r)
	if err != nil {
		return result{}, err
	}
	// A service that refuses whoever we are answers without reading: its answer counts.
	_, werr := conn.Write(append(text, '\n'))
	scan := bufio.NewScanner(conn)
	scan.Buffer(nil, maxLine)
	for scan.Scan() {
		var l line
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			return result{}, fmt.Errorf("read the answer of the root service: %w", err)
		}
		switch {
		case l.Event != nil:
			w.event(*l.Event)
		case l.Log != nil:
			w.log(*l.Log)
		case l.Result != nil:
			return *l.Result, l.Result.Error.error()
		}
	}
	if ctx.Err() != nil {
		return result{}, context.Cause(ctx)
	}
	return result{}, &landfast.Error{
		Kind: landfast.Unavailable, Msg: "the root service ended without an answer", Err: errors.Join(werr, scan.Err()),
		Hint: "its next request settles what it left; `journalctl -u 'landfast-root@*'` may say why",
	}
}

func unreachable(err error) error {
	e := &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot reach the root service", Err: err, Hint: "is landfast-root.socket running? `landfast setup` makes it"}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EACCES) {
		e.Kind, e.Hint = landfast.Internal, "only root and members of the group landfast may"
	}
	return e
}

// Deploy has incoming/ID made live.
func (c *Client) Deploy(ctx context.Context, r Request, w Watch) (landfast.Deployment, error) {
	r.Verb = VerbDeploy
	return deployment(c.call(ctx, r, w))
}

// Rollback has a former release made live.
func (c *Client) Rollback(ctx context.Context, r Request, w Watch) (landfast.Deployment, error) {
	r.Verb = VerbRollback
	return deployment(c.call(ctx, r, w))
}

func deployment(res result, err error) (landfast.Deployment, error) {
	if res.Deployment == nil {
		return landfast.Deployment{}, err
	}
	return *res.Deployment, err
}

// Resume has ended what was interrupted.
func (c *Client) Resume(ctx context.Context, r Request, w Watch) (*landfast.Deployment, error) {
	r.Verb = VerbResume
	res, err := c.call(ctx, r, w)
	return res.Deployment, err
}

// Build has the steps of [build] run.
func (c *Client) Build(ctx context.Context, r Request, w Watch) error {
	r.Verb = VerbBuild
	_, err := c.call(ctx, r, w)
	return err
}

// Discard has incoming/ID removed.
func (c *Client) Discard(ctx context.Context, r Request) error {
	r.Verb = VerbDiscard
	_, err := c.call(ctx, r, Watch{})
	return err
}

// Power has the units of the app started, stopped or restarted.
func (c *Client) Power(ctx context.Context, r Request) ([]landfast.UnitStatus, error) {
	res, err := c.call(ctx, r, Watch{})
	return res.Units, err
}

// Reload has something tested and reloaded.
func (c *Client) Reload(ctx context.Context, r Request, w Watch) error {
	r.Verb = VerbReload
	_, err := c.call(ctx, r, w)
	return err
}
