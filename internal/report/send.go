package report

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// refused is an answer that trying again does not change.
type refused struct{ error }

// tryTime is how long one try may take.
const tryTime = 30 * time.Second

// send tells one receiver.
func (b *Outbox) send(ctx context.Context, e *entry) error {
	i := slices.IndexFunc(b.Reports, func(r hostconf.Report) bool { return r.Name == e.To })
	if i < 0 {
		return refused{errors.New("there is no such report any more")}
	}
	to := &b.Reports[i]
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	if to.Provider == "command" {
		return command(ctx, to, e.Report)
	}
	credential, _ := to.Secret()
	text, err := b.Secret(credential.ID)
	if err != nil {
		return err
	}
	request, err := requestFor(ctx, to, e, strings.TrimSpace(string(text)), b.Now())
	if err != nil {
		return err
	}
	return b.post(request)
}

// post sends a request and judges the answer. Nothing of the answer but its status
// is believed, and redirects are not followed: they could lead the secret away.
func (b *Outbox) post(request *http.Request) error {
	request.Header.Set("User-Agent", "landfast")
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{}
	if b.Client != nil {
		client = *b.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(request)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the address may be the secret
		}
		return fmt.Errorf("it does not answer: %w", err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10)) // the status says enough
	switch {
	case answer.StatusCode/100 == 2:
		return nil
	case bytes.Contains(text, []byte("Cannot transition status")):
		return nil // GitLab's way to say that it has this status already
	}
	err = fmt.Errorf("it answers %s", answer.Status)
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusGone, http.StatusUnprocessableEntity, http.StatusMethodNotAllowed:
		return refused{err}
	}
	return err
}

var (
	repositoryForm = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$`)
	commitForm     = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// requestFor is what a receiver gets.
func requestFor(ctx context.Context, to *hostconf.Report, e *entry, secret string, now time.Time) (*http.Request, error) {
	switch to.Provider {
	case "webhook":
		body, err := json.Marshal(map[string]any{"type": "deployment." + string(e.Report.State), "timestamp": e.Report.Time, "data": e.Report})
		if err != nil {
			return nil, err
		}
		h, err := trigger.Sign(secret, e.ID, now, body)
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL.Text, bytes.NewReader(body))
		if err == nil {
			r.Header = h
		}
		return r, err
	case "slack":
		u, err := url.Parse(secret)
		if err != nil || u.Scheme != "https" && !to.Insecure {
			return nil, refused{errors.New("its secret is not an https address")}
		}
		return jsonRequest(ctx, secret, map[string]string{"text": line(e.Report)})
	}
	return status(ctx, to, e.Report, secret)
}

func jsonRequest(ctx context.Context, address string, body any) (*http.Request, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return nil, refused{errors.New("its address is not one")}
	}
	return r, nil
}

// status is a commit status of a forge: one context for each app and host, so that
// several do not overwrite each other.
func status(ctx context.Context, to *hostconf.Report, r Report, token string) (*http.Request, error) {
	repository := cmp.Or(r.Repository, to.Repository)
	if !repositoryForm.MatchString(repository) || strings.Contains(repository, "..") || !commitForm.MatchString(r.Commit) {
		return nil, refused{errors.New("the event names no repository or no commit")}
	}
	name := cmp.Or(to.Context, "landfast/"+r.App+"@"+r.Host)
	target := strings.NewReplacer("APP", r.App, "DEPLOYMENT", r.Deployment).Replace(to.Target)
	body := map[string]string{"state": string(r.State), "description": cut(describe(r), 140), "context": name}
	if target != "" {
		body["target_url"] = target
	}
	var address string
	header := http.Header{}
	switch to.Provider {
	case "gitlab":
		address = cmp.Or(to.API.Text, "https://gitlab.com/api/v4") + "/projects/" + url.PathEscape(repository) + "/statuses/" + r.Commit
		delete(body, "context")
		body["name"] = name
		if r.State == Failure {
			body["state"] = "failed"
		}
		header.Set("Private-Token", token)
	case "gitea", "forgejo":
		address = to.API.Text + "/repos/" + repository + "/statuses/" + r.Commit
		header.Set("Authorization", "token "+token)
	default:
		address = cmp.Or(to.API.Text, "https://api.github.com") + "/repos/" + repository + "/statuses/" + r.Commit
		header.Set("Authorization", "Bearer "+token)
		header.Set("Accept", "application/vnd.github+json")
		header.Set("X-Github-Api-Version", "2022-11-28")
	}
	request, err := jsonRequest(ctx, address, body)
	if err == nil {
		request.Header = header
	}
	return request, err
}

// describe says in words how it stands.
func describe(r Report) string {
	switch r.State {
	case Pending:
		return "being deployed to " + r.Host
	case Success:
		return "live on " + r.Host
	}
	return strings.TrimSuffix("not deployed to "+r.Host+": "+r.Reason, ": ")
}

// line is a report for people. What others wrote is made harmless for Slack, which
// reads < > & as markup.
func line(r Report) string {
	what := r.App
	if len(r.Commit) >= 7 {
		what += " " + r.Commit[:7]
	}
	text := what + ": " + describe(r)
	if r.Message != "" {
		text += " (" + cut(r.Message, 100) + ")"
	}
	if r.Actor != "" {
		text += ", by " + r.Actor
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// cut is s, not longer than n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// command runs a program that gets the report on its standard input.
func command(ctx context.Context, to *hostconf.Report, r Report) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, to.Command[0], to.Command[1:]...)
	cmd.Stdin = bytes.NewReader(append(text, '\n'))
	cmd.WaitDelay = 5 * time.Second // for what it left running
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", to.Command[0], err, cut(strings.TrimSpace(out.String()), 200))
	}
	return nil
}
