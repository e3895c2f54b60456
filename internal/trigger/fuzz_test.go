package trigger_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// FuzzBodies gives signed bodies to every provider: whatever they hold, an event is
// one that git and a terminal may be given.
func FuzzBodies(f *testing.F) {
	f.Add(0, "push", `{"ref":"refs/heads/main","after":"bffeb74224043ba2feb48d137756c8a9331c449a","repository":{"full_name":"shop/web"},"head_commit":{"id":"bffeb74224043ba2feb48d137756c8a9331c449a","message":"\u001b[2J"}}`)
	f.Add(0, "release", `{"action":"published","release":{"tag_name":"../x"},"repository":{"full_name":"shop/web"}}`)
	f.Add(1, "", `{"object_kind":"pipeline","object_attributes":{"ref":"x","sha":"","status":"success","source":"push"}}`)
	f.Add(2, "push", `{"commits":null,"ref":"refs/heads/-x","after":"1"}`)
	f.Add(3, "repo:push", `{"push":{"changes":[{"new":{"type":"tag","name":"\n"}}]}}`)
	f.Add(4, "", `{"a":{"b":[{"c":"main"}]},"commit":1e400}`)
	f.Add(5, "", `[]`)
	kinds := []hostconf.Provider{hostconf.GitHub, hostconf.GitLab, hostconf.Gitea, hostconf.Bitbucket, hostconf.Generic, hostconf.Standard}
	var sets []*trigger.Set
	for _, p := range kinds {
		config := "[[trigger]]\nname = \"web\"\napp = \"web\"\nprovider = \"" + string(p) + "\"\n"
		switch p {
		case hostconf.Generic, hostconf.Standard:
			config += "[trigger.generic]\nheader = \"X-Signature\"\nprefix = \"v1=\"\nencoding = \"base64\"\nalgorithm = \"sha512\"\nref = \"a.b.0.c\"\nbranch = \"branch\"\ncommit = \"commit\"\nlocation = \"url\"\ndigest = \"sum\"\nmessage = \"message\"\ndelivery = \"id\"\nrepository = \"repo\"\n"
		default:
			config += "repository = \"**\"\nbranches = [\"**\"]\ntags = [\"**\"]\n"
		}
		sets = append(sets, newSet(f, config, secretsFor(p)))
	}
	f.Fuzz(func(t *testing.T, kind int, event, body string) {
		i := (kind%len(kinds) + len(kinds)) % len(kinds)
		h := trigger.Header("X-GitHub-Event", event, "X-Gitea-Event", event, "X-Event-Key", event, "X-GitHub-Delivery", event)
		sign(t, kinds[i], h, body)
		v, err := handle(sets[i], "web", h, body)
		if status(t, err) != 0 {
			return
		}
		for _, ev := range v.Events {
			if ev.Ref != "" && !trigger.IsRef(ev.Ref) {
				t.Errorf("the ref %q", ev.Ref)
			}
			if ev.Commit != "" && strings.Trim(ev.Commit, "0123456789abcdef") != "" {
				t.Errorf("the commit %q", ev.Commit)
			}
			for _, s := range append(ev.Paths, ev.Message, ev.Actor, ev.Repository, ev.Delivery, ev.Closed) {
				if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
					t.Errorf("%q", s)
				}
			}
		}
	})
}

// FuzzSNS gives anything to a trigger of SNS: nothing unsigned becomes an event.
func FuzzSNS(f *testing.F) {
	f.Add(`{"Type":"Notification","Signature":"AA==","SigningCertURL":"` + certURL + `"}`)
	f.Add(string(marshal(f, snsMessage("SubscriptionConfirmation", "x"))))
	w := newSNSWorld(f, "")
	w.warm(f)
	f.Fuzz(func(t *testing.T, body string) {
		v, err := handle(w.set, "fleet", nil, body)
		if status(t, err) == 0 && (len(v.Events) > 0 || v.Confirm != "") {
			t.Errorf("%+v", v)
		}
	})
}

func FuzzIdentityToken(f *testing.F) {
	k := newIssuer()
	f.Add(k.token(map[string]any{"alg": "RS256", "kid": "r1"}, goodClaims(), func(d []byte) []byte { return d }), k.set)
	f.Add("a.b.c", []byte(`{"keys":[{"kty":"RSA","kid":"1","n":"AQ","e":""}]}`))
	f.Add("", []byte(`{"keys":[{"kty":"EC","kid":"1","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Fuzz(func(t *testing.T, token string, keys []byte) {
		_ = trigger.ParseToken(token)
		if n := trigger.ParseKeys(keys); n > 64 {
			t.Errorf("%d keys", n)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add("v1,AAAA v1a,BBBB", "1614265330", "msg")
	f.Add("", "-1", "a.b")
	conf := &hostconf.Trigger{Provider: hostconf.Standard}
	f.Fuzz(func(t *testing.T, signature, stamp, id string) {
		h := trigger.Header("webhook-id", id, "webhook-timestamp", stamp, "webhook-signature", signature)
		if err := trigger.VerifyWith(conf, standardText, trigger.Request{Header: h, Body: []byte("x")}, testNow); err == nil {
			t.Error("accepted")
		}
	})
}
