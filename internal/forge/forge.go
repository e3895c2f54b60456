// Package forge manages the webhooks of a repository through the API of its forge:
// GitHub, GitLab, Gitea and Forgejo. A webhook made here sends pushes only, and the
// forge verifies the certificate of the host it sends them to.
package forge

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
	"regexp"
	"strings"
	"time"

	"github.com/landfast/landfast"
)

// Repository is one at a forge, with what its API asks for.
type Repository struct {
	Provider string // github, gitlab, gitea, forgejo
	API      string // "": of github and gitlab their own
	Token    string
	Name     string       // shop/web
	Client   *http.Client // nil: one of its own
}

// Hook is a webhook. ID is the forge's.
type Hook struct {
	ID  int64  `json:"id"`
	URL string `json:"url"`
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$`)

// hooks is the address of the webhooks.
func (r *Repository) hooks() (string, error) {
	if !nameForm.MatchString(r.Name) || strings.Contains(r.Name, "..") {
		return "", &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("%q is not the name of a repository", r.Name), Hint: "write shop/web"}
	}
	api := strings.TrimSuffix(r.API, "/")
	switch r.Provider {
	case "github":
		return cmp.Or(api, "https://api.github.com") + "/repos/" + r.Name + "/hooks", nil
	case "gitlab":
		return cmp.Or(api, "https://gitlab.com/api/v4") + "/projects/" + url.PathEscape(r.Name) + "/hooks", nil
	case "gitea", "forgejo":
		if api != "" {
			return api + "/repos/" + r.Name + "/hooks", nil
		}
		return "", &landfast.Error{Kind: landfast.Invalid, Msg: "which forge?", Hint: "--api https://git.example.org/api/v1"}
	}
	return "", &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("webhooks of %s cannot be managed from here", r.Provider), Hint: "paste what is printed at the forge"}
}

// Create makes a webhook for pushes to address. A secret that begins with whsec_
// becomes GitLab's signing token.
func (r *Repository) Create(ctx context.Context, address, secret string) (Hook, error) {
	config := map[string]any{"url": address, "content_type": "json", "secret": secret}
	body := map[string]any{"active": true, "events": []string{"push"}, "config": config}
	switch r.Provider {
	case "github":
		body["name"], config["insecure_ssl"] = "web", "0"
	case "gitlab":
		key := "token"
		if strings.HasPrefix(secret, "whsec_") {
			key = "signing_token"
		}
		body = map[string]any{"url": address, "push_events": true, "tag_push_events": true, "enable_ssl_verification": true, key: secret}
	default:
		body["type"] = r.Provider
	}
	var made rawHook
	err := r.call(ctx, http.MethodPost, "", body, &made)
	return made.hook(), err
}

// rawHook is a webhook as the forges tell it.
type rawHook struct {
	ID     int64  `json:"id"`
	URL    string `json:"url"` // of GitLab
	Config struct {
		URL string `json:"url"`
	} `json:"config"`
}

func (h rawHook) hook() Hook { return Hook{h.ID, cmp.Or(h.Config.URL, h.URL)} }

// Find gives the webhook that sends to address; kind NotFound when there is none.
func (r *Repository) Find(ctx context.Context, address string) (Hook, error) {
	for page := 1; page <= 20; page++ {
		var all []rawHook
		if err := r.call(ctx, http.MethodGet, fmt.Sprintf("?page=%d&per_page=50&limit=50", page), nil, &all); err != nil {
			return Hook{}, err
		}
		for _, h := range all {
			if h.hook().URL == address {
				return h.hook(), nil
			}
		}
		if len(all) == 0 {
			break
		}
	}
	return Hook{}, &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("%s has no webhook for %s", r.Name, address)}
}

// Ping has the forge send a test message.
func (r *Repository) Ping(ctx context.Context, id int64) error {
	what := map[string]string{"github": "pings", "gitlab": "test/push_events"}[r.Provider]
	return r.call(ctx, http.MethodPost, fmt.Sprintf("/%d/%s", id, cmp.Or(what, "tests")), nil, nil)
}

// Delete removes a webhook. One that is gone is no error.
func (r *Repository) Delete(ctx context.Context, id int64) error {
	err := r.call(ctx, http.MethodDelete, fmt.Sprintf("/%d", id), nil, nil)
	if landfast.KindOf(err) == landfast.NotFound {
		return nil
	}
	return err
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 4 << 20

// call asks the API. It follows no redirects, which could lead the token away.
func (r *Repository) call(ctx context.Context, method, path string, body, into any) error {
	base, err := r.hooks()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	text := []byte{}
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if request.URL.Scheme != "https" && request.URL.Hostname() != "127.0.0.1" {
		return &landfast.Error{Kind: landfast.Invalid, Msg: "the token would travel without TLS", Hint: "give the API as https://…"}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "landfast")
	switch r.Provider {
	case "github":
		request.Header.Set("Authorization", "Bearer "+r.Token)
		request.Header.Set("Accept", "application/vnd.github+json")
		request.Header.Set("X-Github-Api-Version", "2022-11-28")
	case "gitlab":
		request.Header.Set("Private-Token", r.Token)
	default:
		request.Header.Set("Authorization", "token "+r.Token)
	}
	client := http.Client{}
	if r.Client != nil {
		client = *r.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(request)
	if err != nil {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "the forge does not answer", Err: err}
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "the forge does not answer", Err: err}
	}
	if answer.StatusCode/100 != 2 {
		return refusal(answer, got)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(got, into); err != nil {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "the forge answers something that is not its API", Err: err, Hint: "check --api"}
	}
	return nil
}

// refusal is an answer that says no.
func refusal(answer *http.Response, text []byte) error {
	var said struct {
		Message any `json:"message"`
	}
	e := &landfast.Error{Kind: landfast.Invalid, Msg: "the forge answers " + answer.Status}
	if json.Unmarshal(text, &said) == nil && said.Message != nil {
		e.Err = errors.New(fmt.Sprint(said.Message))
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Hint = "the token must be good and may manage webhooks"
	case http.StatusNotFound:
		e.Kind, e.Hint = landfast.NotFound, "check --repository, and that the token may see its webhooks"
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.Kind, e.Hint = landfast.Unavailable, "try again later"
	}
	return e
}
