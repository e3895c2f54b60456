package trigger_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

func hashOf256() hash.Hash { return sha256.New() }

// good is a configuration with two triggers of a provider, and a message for the
// first.
func good(t *testing.T, p hostconf.Provider) (set *trigger.Set, h http.Header, body string) {
	t.Helper()
	config := ""
	for _, name := range []string{"web", "other"} {
		config += fmt.Sprintf("[[trigger]]\nname = %q\napp = %q\nprovider = %q\n", name, name, p)
		switch p {
		case hostconf.Generic:
			config += "[trigger.generic]\nheader = \"X-Signature\"\nprefix = \"v1=\"\nencoding = \"base64\"\nalgorithm = \"sha512\"\n"
		case hostconf.Standard:
		default:
			config += "repository = \"shop/web\"\nbranches = [\"main\"]\n"
		}
	}
	body = `{"object_kind":"push","ref":"refs/heads/main","after":"bffeb74224043ba2feb48d137756c8a9331c449a","repository":{"full_name":"shop/web"},` +
		`"project":{"path_with_namespace":"shop/web"},"push":{"changes":[{"new":{"type":"branch","name":"main","target":{"hash":"bffeb74224043ba2feb48d137756c8a9331c449a"}}}]}}`
	h = trigger.Header("X-GitHub-Event", "push", "X-Gitea-Event", "push", "X-Event-Key", "repo:push", "Content-Type", "application/json")
	sign(t, p, h, body)
	secrets := secretsFor(p)
	if p == hostconf.Standard {
		secrets["other.secret"] = trigger.NewSecret(true)
	}
	return newSet(t, config, secrets), h, body
}

// signatureHeader is where each provider signs.
func signatureHeader(p hostconf.Provider) string {
	return map[hostconf.Provider]string{
		hostconf.GitHub: "X-Hub-Signature-256", hostconf.GitLab: "X-Gitlab-Token", hostconf.Gitea: "X-Gitea-Signature",
		hostconf.Forgejo: "X-Forgejo-Signature", hostconf.Bitbucket: "X-Hub-Signature", hostconf.Generic: "X-Signature",
		hostconf.Standard: "webhook-signature",
	}[p]
}

// forgery changes a good message into one that nobody with the secret sent.
type forgery struct {
	name   string
	change func(h http.Header, body string) (trigger string, changed string)
}

func forgeries(p hostconf.Provider) []forgery {
	name := signatureHeader(p)
	header := func(what string, f func(string) string) forgery {
		return forgery{what, func(h http.Header, body string) (string, string) {
			h.Set(name, f(h.Get(name)))
			return "web", body
		}}
	}
	text := func(what string, f func(string) string) forgery {
		return forgery{what, func(_ http.Header, body string) (string, string) { return "web", f(body) }}
	}
	all := []forgery{
		{"no signature", func(h http.Header, body string) (string, string) { h.Del(name); return "web", body }},
		header("an empty signature", func(string) string { return "" }),
		header("a space", func(string) string { return " " }),
		header("the prefix alone", func(s string) string { return s[:min(strings.IndexAny(s+"=", "=,")+1, len(s)-1)] }),
		header("without prefix or beginning", func(s string) string { return s[7:] }),
		header("cut short", func(s string) string { return s[:len(s)-2] }),
		header("too long", func(s string) string { return s + "00" }),
		header("much too long", func(s string) string { return s + strings.Repeat("0", 1<<16) }),
		header("one character off", func(s string) string { return s[:len(s)-6] + swap(s[len(s)-6]) + s[len(s)-5:] }),
		header("first character off", func(s string) string { return strings.Replace(s, s[8:9], swap(s[8]), 1) }),
		header("zeroes", func(s string) string { return s[:7] + strings.Repeat("0", len(s)-7) }),
		header("SHA-1", func(string) string {
			m := hmac.New(sha1.New, []byte(secretText))
			return "sha1=" + hex.EncodeToString(m.Sum(nil))
		}),
		header("an empty secret", func(string) string { return "sha256=" + hex256("", "") }),
		header("another secret", func(string) string { return "sha256=" + hex256(otherText, "x") }),
		header("the secret itself, as a signature", func(string) string { return "sha256=" + secretText }),
		header("twice, with a comma", func(s string) string { return s[:len(s)-4] + "0000," + s[:len(s)-4] + "0000" }),
		header("a NUL inside", func(s string) string { return s[:9] + "\x00" + s[10:] }),
		{"one good and one bad header", func(h http.Header, body string) (string, string) {
			h.Add(name, h.Get(name)+"x")
			return "web", body
		}},
		{"the header twice", func(h http.Header, body string) (string, string) { h.Add(name, h.Get(name)); return "web", body }},
		{"for another trigger", func(_ http.Header, body string) (string, string) { return "other", body }},
		{"for no trigger", func(_ http.Header, body string) (string, string) { return "nobody", body }},
		{"for a path", func(_ http.Header, body string) (string, string) { return "../web", body }},
	}
	if p == hostconf.GitLab { // its token does not cover the body
		return all
	}
	return append(all,
		text("one byte more", func(s string) string { return s + "\n" }),
		text("one byte less", func(s string) string { return s[:len(s)-1] }),
		text("another branch", func(s string) string { return strings.ReplaceAll(s, "main", "evil") }),
		text("another commit", func(s string) string { return strings.ReplaceAll(s, "bffeb7", "000000") }),
		text("nothing", func(string) string { return "" }),
		text("the same JSON, written otherwise", func(s string) string { return strings.Replace(s, `":`, `": `, 1) }),
		text("a form", func(s string) string { return "payload=" + s }),
	)
}

// swap is another hexadecimal digit.
func swap(c byte) string {
	if c == '1' {
		return "2"
	}
	return "1"
}

// TestForgeries: none is accepted, and none leaves an event.
func TestForgeries(t *testing.T) {
	t.Parallel()
	n := 0
	for _, p := range []hostconf.Provider{hostconf.GitHub, hostconf.GitLab, hostconf.Gitea, hostconf.Forgejo, hostconf.Bitbucket, hostconf.Generic, hostconf.Standard} {
		set, h, body := good(t, p)
		if v, err := handle(set, "web", h, body); err != nil || len(v.Events) != 1 || v.Events[0].Closed != "" {
			t.Fatalf("%s: the good message gives %+v, %v", p, v, err)
		}
		for _, f := range forgeries(p) {
			forged := http.Header(maps.Clone(map[string][]string(h)))
			for k, v := range forged {
				forged[k] = append([]string(nil), v...)
			}
			name, text := f.change(forged, body)
			v, err := handle(set, name, forged, text)
			got := status(t, err)
			if got < 400 || got > 404 || len(v.Events) > 0 || v.Later != nil || v.Confirm != "" {
				t.Errorf("%s, %s: %d, %+v", p, f.name, got, v)
			}
			if err != nil && (strings.Contains(err.Error(), secretText) || strings.Contains(err.Error(), standardText)) {
				t.Errorf("%s, %s: the answer tells the secret", p, f.name)
			}
			n++
		}
	}
	if n < 190 {
		t.Errorf("only %d forgeries were tried", n)
	}
	t.Logf("%d forgeries, 0 accepted", n)
}

// TestMissingAndWrong have statuses of their own.
func TestMissingAndWrong(t *testing.T) {
	t.Parallel()
	for _, p := range []hostconf.Provider{hostconf.GitHub, hostconf.GitLab, hostconf.Gitea, hostconf.Bitbucket, hostconf.Generic, hostconf.Standard} {
		set, h, body := good(t, p)
		name := signatureHeader(p)
		h.Del(name)
		if _, err := handle(set, "web", h, body); status(t, err) != 401 {
			t.Errorf("%s: missing: %v", p, err)
		}
		wrong := http.Header{}
		for k, v := range h {
			wrong[k] = v
		}
		sign(t, p, wrong, body+"x")
		if p == hostconf.GitLab {
			wrong.Set(name, otherText)
		}
		if _, err := handle(set, "web", wrong, body); status(t, err) != 403 {
			t.Errorf("%s: wrong: %v", p, err)
		}
	}
}

// TestReplay: Standard Webhooks carry a time.
func TestReplay(t *testing.T) {
	t.Parallel()
	set, h, body := good(t, hostconf.Standard)
	for _, change := range []func(){
		func() { h.Set("webhook-timestamp", strconv.FormatInt(testNow.Unix()+1, 10)) },
		func() { h.Set("webhook-timestamp", strconv.FormatInt(testNow.Unix(), 10)+".0") },
		func() { h.Set("webhook-timestamp", "+"+strconv.FormatInt(testNow.Unix(), 10)) },
		func() { h.Set("webhook-timestamp", "") },
		func() { h.Set("webhook-id", "msg_2") },
		func() { h.Set("webhook-id", "msg_1.") },
		func() {
			old, err := trigger.Sign(standardText, "msg_1", testNow.Add(-6*time.Minute), []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			h = old
		},
	} {
		sign(t, hostconf.Standard, h, body)
		change()
		if v, err := handle(set, "web", h, body); status(t, err) < 400 || len(v.Events) > 0 {
			t.Errorf("%v: %+v, %v", h, v, err)
		}
	}
}

// TestGitLabDoesNotFallBack: a secret for signing is no token.
func TestGitLabDoesNotFallBack(t *testing.T) {
	t.Parallel()
	config := "[[trigger]]\nname = \"web\"\napp = \"web\"\nprovider = \"gitlab\"\nrepository = \"shop/web\"\nbranches = [\"main\"]\n"
	set := newSet(t, config, map[string]string{"web.secret": standardText})
	_, _, body := good(t, hostconf.GitLab)
	for _, token := range []string{standardText, strings.TrimPrefix(standardText, "whsec_"), ""} {
		if _, err := handle(set, "web", trigger.Header("X-Gitlab-Token", token), body); status(t, err) != 401 {
			t.Errorf("token %q: %v", token, err)
		}
	}
	h := http.Header{}
	sign(t, hostconf.Standard, h, body)
	if v, err := handle(set, "web", h, body); err != nil || len(v.Events) != 1 {
		t.Errorf("signed: %+v, %v", v, err)
	}
}

// TestSources: an address list, with GitHub's own ranges from the cache.
func TestSources(t *testing.T) {
	t.Parallel()
	cache := trigger.OpenCache(t.TempDir())
	config := "[[trigger]]\nname = \"web\"\napp = \"web\"\nprovider = \"github\"\nrepository = \"shop/web\"\nbranches = [\"main\"]\nsources = [\"github\", \"10.1.0.0/16\"]\n"
	set := newSet(t, config, secretsFor(hostconf.GitHub), func(o *trigger.Options) { o.Cache = cache })
	_, h, body := good(t, hostconf.GitHub)
	from := func(addr string) int {
		_, err := set.Handle(t.Context(), trigger.Request{Trigger: "web", Header: h, Body: []byte(body), Remote: netip.MustParseAddr(addr)})
		return status(t, err)
	}
	if got := from("203.0.113.9"); got != 0 {
		t.Errorf("before the ranges were ever fetched: %d, want 0", got)
	}
	if err := cache.PutRanges([]byte("192.30.252.0/22\n2a0a:a440::/29\n")); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]int{
		"192.30.252.9": 0, "::ffff:192.30.252.9": 0, "2a0a:a440::1": 0, "10.1.2.3": 0, "10.2.0.1": 403, "203.0.113.9": 403, "::1": 403,
	} {
		if got := from(addr); got != want {
			t.Errorf("%s: %d, want %d", addr, got, want)
		}
	}
}

// TestRotation: each line of a secret counts.
func TestRotation(t *testing.T) {
	t.Parallel()
	config := "[[trigger]]\nname = \"web\"\napp = \"web\"\nprovider = \"github\"\nrepository = \"shop/web\"\nbranches = [\"main\"]\n"
	set := newSet(t, config, map[string]string{"web.secret": otherText + "\n" + secretText})
	_, h, body := good(t, hostconf.GitHub)
	if v, err := handle(set, "web", h, body); err != nil || len(v.Events) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestSample is taken by each provider's trigger, and deploys nothing.
func TestSample(t *testing.T) {
	t.Parallel()
	for _, p := range []hostconf.Provider{hostconf.GitHub, hostconf.GitLab, hostconf.Gitea, hostconf.Forgejo, hostconf.Bitbucket, hostconf.Generic, hostconf.Standard} {
		set, _, _ := good(t, p)
		conf := &hostconf.Trigger{Name: "web", Provider: p}
		conf.Generic = hostconf.Shape{Header: "X-Signature", Prefix: "v1=", Encoding: "base64", Algorithm: "sha512"}
		h, body, err := trigger.Sample(conf, []byte(secretsFor(p)["web.secret"]), testNow)
		if err != nil {
			t.Fatal(err)
		}
		v, err := handle(set, "web", h, string(body))
		if err != nil || len(v.Events) != 1 || v.Events[0].Closed == "" {
			t.Errorf("%s: %+v, %v", p, v, err)
		}
	}
}
