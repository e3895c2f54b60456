package listen_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/queue"
	"github.com/landfast/landfast/internal/trigger"
)

// caller is somebody with a token.
type caller struct {
	*endpoint
	token string
}

func withToken(t *testing.T, actions string) *caller {
	t.Helper()
	token, hash := trigger.NewToken()
	e := start(t, "[[token]]\nname = \"ci\"\napps = [\"web\", \"shop\"]\nactions = ["+actions+"]\nhash = \""+hash+"\"\n")
	return &caller{e, token}
}

// do calls the API and gives the response, whose body the test ends.
func (c *caller) do(method, path, body string, headers ...string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.addr+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// call is do, of which the status and the whole body count.
func (c *caller) call(method, path, body string, headers ...string) (int, string) {
	c.t.Helper()
	res := c.do(method, path, body, headers...) //nolint:bodyclose // do sees to it
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

const deployments = "/v1/apps/web/deployments"

// One call of several apps queues all or nothing.
func TestSeveralAppsAtOnce(t *testing.T) {
	c := withToken(t, `"deploy"`)
	all := `{"deployments":[{"app":"web","ref":"main"},{"app":"shop","ref":"main"}]}`
	if status, body := c.call(http.MethodPost, "/v1/deployments", all); status != http.StatusNotFound || c.waiting() != 0 {
		t.Errorf("without a queue for the second: status %d, %s, %d events", status, body, c.waiting())
	}
	if err := queue.Make(c.spool, "shop", -1, -1, -1); err != nil {
		t.Fatal(err)
	}
	status, body := c.call(http.MethodPost, "/v1/deployments", all)
	var out struct{ Events []struct{ App, ID string } }
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != http.StatusAccepted || len(out.Events) != 2 || out.Events[0].ID >= out.Events[1].ID {
		t.Errorf("status %d, %s, %v", status, body, err)
	}
	if status, _ := c.call(http.MethodPost, "/v1/deployments", `{"deployments":[{"app":"web"},{"app":"other"}]}`); status != http.StatusForbidden || c.waiting() != 1 {
		t.Errorf("with one that the token is not for: status %d, %d events", status, c.waiting())
	}
}

// Who follows sees the lines as they come, and can take the event back meanwhile.
func TestFollowAndCancel(t *testing.T) {
	c := withToken(t, `"deploy", "show", "cancel"`)
	res := c.do(http.MethodPost, deployments, `{"ref":"main"}`, "Accept", "text/event-stream") //nolint:bodyclose // do sees to it
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %v", res.StatusCode, res.Header)
	}
	q, err := queue.Open(c.spool, "web")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	all, err := q.List()
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	id := all[0].Event.ID
	if status, body := c.call(http.MethodPost, deployments+"/"+id+"/cancel", ""); status != http.StatusAccepted {
		t.Errorf("cancel: status %d, %s", status, body)
	}
	if claim, err := q.Claim(t.Context()); claim != nil || err != nil {
		t.Errorf("%+v, %v", claim, err)
	}
	var got []string
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var l queue.Line
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatal(err)
			}
			if l.State != "" {
				got = append(got, string(l.State))
			}
		}
	}
	if strings.Join(got, " ") != "queued cancelled" {
		t.Errorf("followed %q", got)
	}
	if status, body := c.call(http.MethodGet, deployments+"/"+id+"?wait=1", ""); status != http.StatusOK || !strings.Contains(body, `"state":"cancelled"`) {
		t.Errorf("the outcome: status %d, %s", status, body)
	}
	if status, body := c.call(http.MethodGet, deployments, ""); status != http.StatusOK || strings.Count(body, `"event":`) != 2 {
		t.Errorf("the list: status %d, %s", status, body)
	}
}

// A listener that ends finishes requests, and does not wait with those who wait.
func TestEndWithFollowers(t *testing.T) {
	c := withToken(t, `"deploy", "show"`)
	res := c.do(http.MethodPost, deployments, `{"ref":"main"}`, "Accept", "text/event-stream") //nolint:bodyclose // do sees to it
	first := make([]byte, 6)                                                                   // the id, before anything has happened
	if _, err := io.ReadFull(res.Body, first); string(first) != "event:" || err != nil {
		t.Fatalf("%q, %v", first, err)
	}
	ended := make(chan struct{})
	go func() { c.end(); close(ended) }()
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(res.Body); err != nil {
		t.Error(err)
	}
	<-ended
	if strings.Contains(c.log.String(), c.token) {
		t.Error("the log holds the token")
	}
}

// What is sent twice under one key is one event.
func TestIdempotencyKey(t *testing.T) {
	c := withToken(t, `"deploy"`)
	for range 2 {
		if status, body := c.call(http.MethodPost, deployments, `{"ref":"main"}`, "Idempotency-Key", "run-1"); status != http.StatusAccepted {
			t.Fatalf("status %d, %s", status, body)
		}
	}
	q, err := queue.Open(c.spool, "web")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	claim, err := q.Claim(t.Context())
	if err != nil || claim == nil {
		t.Fatal(claim, err)
	}
	if err := claim.Done(t.Context(), queue.Outcome{}); err != nil {
		t.Fatal(err)
	}
	if claim, err = q.Claim(t.Context()); claim != nil || err != nil {
		t.Errorf("%+v, %v", claim, err)
	}
}
