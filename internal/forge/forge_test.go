package forge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/forge"
)

// standIn has the webhooks of one repository, as each forge documents its API.
func standIn(t *testing.T) *httptest.Server {
	t.Helper()
	hooks := map[string]map[string]any{}
	pinged := map[string]bool{}
	mine := map[string]func(http.ResponseWriter, *http.Request, string){}
	for prefix, c := range map[string]struct{ auth, ping string }{
		"/repos/shop/web/hooks":             {"Authorization: Bearer tok", "pings"},
		"/api/v4/projects/shop%2Fweb/hooks": {"Private-Token: tok", "test/push_events"},
		"/api/v1/repos/shop/web/hooks":      {"Authorization: token tok", "tests"},
	} {
		serve := func(w http.ResponseWriter, r *http.Request, rest string) {
			name, value, _ := strings.Cut(c.auth, ": ")
			if r.Header.Get(name) != value {
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, `{"message":"Bad credentials"}`)
				return
			}
			id, action, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
			switch {
			case r.Method == http.MethodPost && rest == "":
				var b map[string]any
				if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
					t.Error(err)
				}
				config, _ := b["config"].(map[string]any)
				if strings.HasPrefix(prefix, "/repos") && (b["name"] != "web" || config["insecure_ssl"] != "0" || config["content_type"] != "json") ||
					strings.HasPrefix(prefix, "/api/v4") && (b["enable_ssl_verification"] != true || b["push_events"] != true || b["token"] == nil && b["signing_token"] == nil) ||
					strings.HasPrefix(prefix, "/api/v1") && b["type"] != "gitea" {
					w.WriteHeader(http.StatusUnprocessableEntity)
					return
				}
				b["id"] = 7
				hooks["7"] = b
				w.WriteHeader(http.StatusCreated)
				_ = json.NewEncoder(w).Encode(b)
			case r.Method == http.MethodGet && rest == "":
				all := []any{}
				if r.URL.Query().Get("page") == "1" {
					for _, h := range hooks {
						all = append(all, h)
					}
				}
				_ = json.NewEncoder(w).Encode(all)
			case hooks[id] == nil:
				w.WriteHeader(http.StatusNotFound)
			case r.Method == http.MethodPost && action == c.ping:
				pinged[id] = true
				w.WriteHeader(http.StatusNoContent)
			case r.Method == http.MethodDelete && pinged[id]:
				delete(hooks, id)
				w.WriteHeader(http.StatusNoContent)
			default:
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		}
		mine[prefix] = serve
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for prefix, serve := range mine {
			if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix); ok {
				serve(w, r, rest)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestHooks(t *testing.T) {
	for provider, path := range map[string]string{"github": "", "gitlab": "/api/v4", "gitea": "/api/v1"} {
		s := standIn(t)
		ctx := t.Context()
		r := &forge.Repository{Provider: provider, API: s.URL + path, Token: "tok", Name: "shop/web", Client: s.Client()}
		const address = "https://deploy.example.org/hooks/web"
		if _, err := r.Find(ctx, address); landfast.KindOf(err) != landfast.NotFound {
			t.Errorf("%s: %v", provider, err)
		}
		made, err := r.Create(ctx, address, "whsec_x")
		if err != nil || made.ID != 7 {
			t.Fatalf("%s: %+v, %v", provider, made, err)
		}
		found, err := r.Find(ctx, address)
		if err != nil || found != made || found.URL != address {
			t.Errorf("%s: %+v, %v", provider, found, err)
		}
		if err := r.Ping(ctx, 7); err != nil {
			t.Errorf("%s: %v", provider, err)
		}
		for range 2 {
			if err := r.Delete(ctx, 7); err != nil {
				t.Errorf("%s: %v", provider, err)
			}
		}
		r.Token = "bad"
		if _, err := r.Find(ctx, address); landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), "token") {
			t.Errorf("%s: %v", provider, err)
		}
		r.Name = "../x"
		if _, err := r.Find(ctx, address); landfast.KindOf(err) != landfast.Invalid {
			t.Errorf("%s: %v", provider, err)
		}
	}
}

// TestRefusals never send the token anywhere.
func TestRefusals(t *testing.T) {
	for _, r := range []forge.Repository{
		{Provider: "github", API: "http://example.org", Name: "a/b"},
		{Provider: "gitea", Name: "a/b"},
		{Provider: "sns", Name: "a/b"},
	} {
		if _, err := r.Find(t.Context(), "x"); landfast.KindOf(err) != landfast.Invalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
	r := forge.Repository{Provider: "gitea", API: "https://127.0.0.1:1", Name: "a/b"}
	if _, err := r.Find(t.Context(), "x"); landfast.KindOf(err) != landfast.Unavailable {
		t.Errorf("%v", err)
	}
}
