package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

// maxRedirects is how many redirects a download follows.
const maxRedirects = 10

// download gets an archive over https, or from S3, into a file of the work directory. The
// digest is required before anything is sent: https says whom we talk to, not
// that this is the archive that was meant.
func download(ctx context.Context, location, want string, o Options) (*archiveFile, error) {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "https" && (u.Scheme != objectScheme || o.Object == nil) || u.Host == "" {
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("cannot get an archive from %s", redact(location)),
			Hint: "use https, s3, or the path of a file",
		}
	}
	if want == "" {
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%s needs a digest", u.Redacted()),
			Hint: `add digest = "sha256:..." to [source]; sha256sum prints it`,
		}
	}
	f, err := os.CreateTemp(o.Work, workPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("download %s: %w", u.Redacted(), err)
	}
	a := &archiveFile{File: f, temp: true}
	if err := a.fill(ctx, u, location, o); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// fill writes what u gives to f, and takes its digest on the way.
func (f *archiveFile) fill(ctx context.Context, u *url.URL, location string, o Options) error {
	stall := time.Duration(o.Stall) * time.Second
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing came for %v", stall)) })
	defer watch.Stop()

	body, total, err := f.open(ctx, u, location, o)
	if err != nil {
		return err
	}
	defer body.Close()
	limit := archiveLimit(o.Limits)
	if total > limit {
		return tree.TooLarge(o.Limits.Bytes)
	}
	h := sha256.New()
	var done int64
	buf := make([]byte, 128<<10)
	for {
		n, err := body.Read(buf)
		watch.Reset(stall)
		if done += int64(n); done > limit {
			return tree.TooLarge(o.Limits.Bytes)
		}
		h.Write(buf[:n])
		if _, err := f.Write(buf[:n]); err != nil {
			return fmt.Errorf("download %s: %w", u.Redacted(), err)
		}
		o.progress("download", done, max(total, 0))
		if errors.Is(err, io.EOF) && ctx.Err() == nil { // a server may end an answer because we hung up
			break
		}
		if err != nil {
			return unreachable(ctx, u, err)
		}
	}
	f.sum = hex.EncodeToString(h.Sum(nil))
	f.state, err = statOf(f.File)
	return err
}

// objectScheme begins the location of an object of S3.
const objectScheme = "s3"

// open begins to get what u names; a name in S3 is taken as it stands in location.
func (f *archiveFile) open(ctx context.Context, u *url.URL, location string, o Options) (io.ReadCloser, int64, error) {
	if u.Scheme == objectScheme {
		return o.Object(ctx, location)
	}
	return get(ctx, u, o)
}

// get sends the request and judges the answer. Total is -1 when the server does
// not say how much will come.
func get(ctx context.Context, u *url.URL, o Options) (body io.ReadCloser, total int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept-Encoding", "identity") // the digest is of the bytes the server keeps
	request.Header.Set("User-Agent", "landfast")
	client := *newClient()
	if o.Client != nil {
		client = *o.Client
	}
	client.CheckRedirect = onlyHTTPS
	answer, err := client.Do(request)
	if err != nil {
		return nil, 0, unreachable(ctx, u, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, answer.ContentLength, nil
	}
	kind, hint := landfast.Invalid, "check the location and its password or token"
	switch {
	case answer.StatusCode == http.StatusNotFound, answer.StatusCode == http.StatusGone:
		kind, hint = landfast.NotFound, "check the location"
	case answer.StatusCode >= 500, answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode == http.StatusRequestTimeout:
		kind, hint = landfast.Unavailable, "try again later"
	}
	err = &landfast.Error{Kind: kind, Msg: fmt.Sprintf("%s answered %s", u.Redacted(), answer.Status), Hint: hint}
	return nil, 0, errors.Join(err, answer.Body.Close())
}

// newClient is a client of our own: the proxy of the environment, and a limit
// on how long each part of a request may take, but not on the whole.
func newClient() *http.Client {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		DisableKeepAlives:     true, // one request: leave no connection behind
	}}
}

// errInsecureRedirect is a redirect away from https.
var errInsecureRedirect = errors.New("redirected to something other than https")

func onlyHTTPS(request *http.Request, via []*http.Request) error {
	if request.URL.Scheme != "https" {
		return errInsecureRedirect
	}
	if len(via) >= maxRedirects {
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	}
	return nil
}

// unreachable is the error for a download that the network did not finish.
func unreachable(ctx context.Context, u *url.URL, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
			return cause
		}
		err = cause
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // it repeats the location, with its password
	}
	kind, hint := landfast.Unavailable, "try again later"
	if errors.Is(err, errInsecureRedirect) {
		kind, hint = landfast.Invalid, "name the location it redirects to, if you trust it"
	}
	return &landfast.Error{Kind: kind, Msg: "cannot download " + u.Redacted(), Hint: hint, Err: err}
}
