package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/landfast/landfast"
)

// Dialer opens connections; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// TCP is the probe that is content with an accepted connection. target is
// host:port, or the path of a UNIX socket.
func TCP(d Dialer, target string) Probe {
	network := "tcp"
	if strings.HasPrefix(target, "/") {
		network = "unix"
	}
	return func(ctx context.Context) (string, error) {
		c, err := d.DialContext(ctx, network, target)
		if err != nil {
			return err.Error(), err
		}
		return target + " accepts connections", c.Close()
	}
}

// bodyLimit is how much of an answer is read and searched.
const bodyLimit = 1 << 20

// HTTP is the probe that makes one GET request on a connection of its own,
// follows no redirect and uses no proxy. Healthy is h.Status (0: 200-399) and a
// body that contains h.Body.
func HTTP(d Dialer, h landfast.Health) Probe {
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: d.DialContext}
	if h.Socket != "" {
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", h.Socket)
		}
	}
	client := &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Target, nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("User-Agent", "landfast-health")
		resp, err := client.Do(req)
		if err != nil {
			return err.Error(), err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
		if err != nil {
			return resp.Status, fmt.Errorf("GET %s: read the answer: %w", h.Target, err)
		}
		answer := fmt.Sprintf("GET %s answered %s: %s", h.Target, resp.Status, excerpt(body))
		if !statusWanted(h.Status, resp.StatusCode) {
			return answer, fmt.Errorf("GET %s answered %s", h.Target, resp.Status)
		}
		if !strings.Contains(string(body), h.Body) {
			return answer, fmt.Errorf("GET %s answered without %q", h.Target, h.Body)
		}
		return answer, nil
	}
}

func statusWanted(want, got int) bool {
	if want != 0 {
		return got == want
	}
	return got >= 200 && got < 400
}

// excerpt is the beginning of a body on one line, for a person.
func excerpt(b []byte) string {
	const limit = 200
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(b[:min(len(b), 4*limit)]), "?")), " ")
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return s
}
