package trigger_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// TestPublishedVectors checks the vectors that GitHub and Standard Webhooks publish.
func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	github := trigger.Request{
		Body:   []byte("Hello, World!"),
		Header: trigger.Header("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
	}
	conf := &hostconf.Trigger{Provider: hostconf.GitHub}
	if err := trigger.VerifyWith(conf, "It's a Secret to Everybody", github, testNow); err != nil {
		t.Errorf("GitHub's vector: %v", err)
	}
	const known = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	at := time.Unix(1614265330, 0)
	for _, p := range []hostconf.Provider{hostconf.Standard, hostconf.GitLab} {
		conf := &hostconf.Trigger{Provider: p}
		conf.Tolerance.Span = 5 * time.Minute
		standard := trigger.Request{Body: []byte(`{"test": 2432232314}`), Header: trigger.Header(
			"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330",
			"webhook-signature", "v1,bm90IHRoZSByaWdodCBvbmUsIGJ1dCBhcyBsb25nISE= v1a,abc v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")}
		if err := trigger.VerifyWith(conf, known, standard, at); err != nil {
			t.Errorf("%s, the vector of Standard Webhooks: %v", p, err)
		}
		for _, off := range []time.Duration{-301 * time.Second, 301 * time.Second} {
			if got := status(t, trigger.VerifyWith(conf, known, standard, at.Add(off))); got != 403 {
				t.Errorf("%s, %v off: %d, want 403", p, off, got)
			}
		}
	}
	// What we sign ourselves is the same.
	h, err := trigger.Sign(standardText, "msg_1", at, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(standardText, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	want := "v1," + base64.StdEncoding.EncodeToString(mac(hashOf256, string(key), "msg_1.1614265330.x"))
	if got := h.Get("webhook-signature"); got != want {
		t.Errorf("Sign gives %s, want %s", got, want)
	}
}

// TestWeakSecrets are refused when the program starts.
func TestWeakSecrets(t *testing.T) {
	t.Parallel()
	for _, weak := range []string{
		"", "\n", "short", "123456789012345", "aaaaaaaaaaaaaaaaaaaaaaaa", "It's a Secret to Everybody", "changemechangeme",
		"ababababababababababab", " 6b1f0a9c5e3d7b28f4a1", "passwordpassword", secretText + "\nshort", strings.Repeat(secretText+"\n", 5),
	} {
		if trigger.Weak(weak, hostconf.GitHub) == nil {
			t.Errorf("%q is taken", weak)
		}
	}
	for _, weak := range []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_not base64", "whsec_c2hvcnQ=", secretText + "!"} {
		if trigger.Weak(weak, hostconf.Standard) == nil {
			t.Errorf("%q is taken for Standard Webhooks", weak)
		}
	}
	for _, p := range []hostconf.Provider{hostconf.GitHub, hostconf.GitLab} {
		if err := trigger.Weak(trigger.NewSecret(false)+"\r\n"+trigger.NewSecret(false), p); err != nil {
			t.Errorf("a new secret: %v", err)
		}
	}
	if err := trigger.Weak(trigger.NewSecret(true), hostconf.Standard); err != nil {
		t.Errorf("a new secret: %v", err)
	}
}
