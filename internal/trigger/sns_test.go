package trigger_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/trigger"
)

const (
	topic   = "arn:aws:sns:eu-west-1:123456789012:deploy"
	certURL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
	aiaURL  = "http://crt.r2m01.amazontrust.com/r2m01.cer"
	confirm = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + topic + "&Token=abc"
)

// authority is a root, an intermediate and a leaf, as SNS has them.
type authority struct {
	roots          *x509.CertPool
	leaf, above    []byte // PEM; DER
	key            *rsa.PrivateKey
	strange        []byte // a leaf of the same root for another name, PEM
	strangeKey     *rsa.PrivateKey
	selfSigned     []byte
	expired, small []byte
	smallKey       *rsa.PrivateKey
}

var newAuthority = sync.OnceValue(func() *authority {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	newKey := func(bits int) *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		must(err)
		return k
	}
	serial := int64(0)
	cert := func(name string, ca bool, until time.Time, key, by *rsa.PrivateKey, parent *x509.Certificate, aia ...string) *x509.Certificate {
		serial++
		c := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: testNow.Add(-48 * time.Hour), NotAfter: until,
			IsCA: ca, BasicConstraintsValid: true, IssuingCertificateURL: aia,
		}
		if !ca {
			c.DNSNames = []string{name}
		}
		if parent == nil {
			parent = c
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
		must(err)
		c, err = x509.ParseCertificate(der)
		must(err)
		return c
	}
	text := func(c *x509.Certificate) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	later := testNow.Add(24 * time.Hour)
	rootKey, aboveKey := newKey(2048), newKey(2048)
	a := &authority{roots: x509.NewCertPool(), key: newKey(2048), strangeKey: newKey(2048), smallKey: newKey(1024)}
	root := cert("Test Root", true, later, rootKey, rootKey, nil)
	above := cert("Test Intermediate", true, later, aboveKey, rootKey, root)
	a.roots.AddCert(root)
	a.above = above.Raw
	a.leaf = text(cert("sns.amazonaws.com", false, later, a.key, aboveKey, above, aiaURL))
	a.strange = text(cert("s3.amazonaws.com", false, later, a.strangeKey, aboveKey, above, aiaURL))
	a.selfSigned = text(cert("sns.amazonaws.com", false, later, a.strangeKey, a.strangeKey, nil))
	a.expired = text(cert("sns.amazonaws.com", false, testNow.Add(-time.Hour), a.key, aboveKey, above, aiaURL))
	a.small = text(cert("sns.amazonaws.com", false, later, a.smallKey, aboveKey, above, aiaURL))
	return a
})

// message of SNS, as a map so that tests can spoil it.
func snsMessage(kind, text string) map[string]string {
	m := map[string]string{
		"Type": kind, "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": topic, "Message": text,
		"Timestamp": testNow.Add(-time.Second).Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": "2", "SigningCertURL": certURL,
	}
	if kind == "Notification" {
		m["Subject"] = "My First Message"
	} else {
		m["Token"], m["SubscribeURL"] = "abc", confirm
	}
	return m
}

// signSNS signs as the documentation says.
func signSNS(m map[string]string, key *rsa.PrivateKey) {
	var b strings.Builder
	for _, name := range []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"} {
		if v, ok := m[name]; ok && (m["Type"] != "Notification" || name != "Token" && name != "SubscribeURL") {
			b.WriteString(name + "\n" + v + "\n")
		}
	}
	hash, digest := crypto.SHA256, sha256.Sum256([]byte(b.String()))
	sum := digest[:]
	if m["SignatureVersion"] == "1" {
		old := sha1.Sum([]byte(b.String()))
		hash, sum = crypto.SHA1, old[:]
	}
	sig, err := rsa.SignPKCS1v15(nil, key, hash, sum)
	if err != nil {
		panic(err)
	}
	m["Signature"] = base64.StdEncoding.EncodeToString(sig)
}

// web is a network of addresses.
type web struct {
	pages map[string][]byte
	asked []string
}

func (w *web) Fetch(_ context.Context, address string) ([]byte, error) {
	w.asked = append(w.asked, address)
	if text, ok := w.pages[address]; ok {
		return text, nil
	}
	return nil, errors.New("404 Not Found")
}

type snsWorld struct {
	*authority
	set   *trigger.Set
	cache *trigger.Cache
	q     *trigger.Quarantine
	net   *web
}

func newSNSWorld(t testing.TB, more string) *snsWorld {
	t.Helper()
	w := &snsWorld{authority: newAuthority(), cache: trigger.OpenCache(t.TempDir()), q: trigger.OpenQuarantine(t.TempDir())}
	w.net = &web{pages: map[string][]byte{certURL: w.leaf, aiaURL: w.above, confirm: []byte("<ConfirmSubscriptionResponse/>")}}
	config := "[[trigger]]\nname = \"fleet\"\napps = [\"www\", \"blog\"]\nprovider = \"sns\"\ntopics = [\"" + topic + "\"]\n" + more
	config += "[[trigger]]\nname = \"hook\"\napp = \"www\"\nprovider = \"generic\"\n"
	// As in the process that settles, which has the secret of no trigger.
	w.set = newSet(t, config, nil, func(o *trigger.Options) { o.Cache, o.Roots, o.Secret = w.cache, w.roots, nil })
	return w
}

// warm puts the certificate into the cache as settling does.
func (w *snsWorld) warm(t testing.TB) {
	t.Helper()
	text := append(append([]byte{}, w.leaf...), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.above})...)
	if err := w.cache.PutCertificate(certURL, text); err != nil {
		t.Fatal(err)
	}
}

func (w *snsWorld) handle(t testing.TB, m map[string]string) (trigger.Verdict, error) {
	t.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return handle(w.set, "fleet", trigger.Header("Content-Type", "text/plain; charset=UTF-8"), string(body))
}

func TestSNSMessages(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t, "actions = [\"deploy\", \"rollback\"]\ntags = [\"v*\"]\nbranches = [\"main\"]\n")
	w.warm(t)
	commit := "bffeb74224043ba2feb48d137756c8a9331c449a"
	for _, c := range []struct {
		text    string
		version string
		want    landfast.Event // Ref, Commit, Action, App, Closed, Release
		status  int
	}{
		{"deploy www", "2", landfast.Event{App: "www", Action: "deploy"}, 0},
		{"deploy www\n", "1", landfast.Event{App: "www", Action: "deploy"}, 0},
		{"deploy www@main", "2", landfast.Event{App: "www", Action: "deploy", Ref: "refs/heads/main"}, 0},
		{"deploy www@v1.2", "2", landfast.Event{App: "www", Action: "deploy", Ref: "refs/tags/v1.2"}, 0},
		{"deploy www@topic", "2", landfast.Event{App: "www", Action: "deploy", Ref: "refs/heads/topic", Closed: "the branch is not one that this trigger is for"}, 0},
		{"deploy blog@" + commit, "2", landfast.Event{App: "blog", Action: "deploy", Commit: commit}, 0},
		{"rollback blog", "2", landfast.Event{App: "blog", Action: "rollback"}, 0},
		{"rollback blog@20261121T013000Z-4be1c9a", "2", landfast.Event{App: "blog", Action: "rollback", Release: "20261121T013000Z-4be1c9a"}, 0},
		{"deploy shop", "2", landfast.Event{}, 403},
		{"update www", "2", landfast.Event{}, 403},
		{"destroy www", "2", landfast.Event{}, 400},
		{"deploy", "2", landfast.Event{}, 400},
		{"deploy www blog", "2", landfast.Event{}, 400},
		{"deploy www@", "2", landfast.Event{}, 400},
		{"deploy www@-x", "2", landfast.Event{}, 400},
		{"deploy ../www", "2", landfast.Event{}, 400},
		{"deploy www\nrollback www", "2", landfast.Event{}, 400},
		{"rollback blog@../x", "2", landfast.Event{}, 400},
		{"", "2", landfast.Event{}, 400},
	} {
		m := snsMessage("Notification", c.text)
		m["SignatureVersion"] = c.version
		signSNS(m, w.key)
		v, err := w.handle(t, m)
		if got := status(t, err); got != c.status {
			t.Errorf("%q: %d (%v), want %d", c.text, got, err, c.status)
			continue
		}
		if c.status != 0 {
			continue
		}
		if len(v.Events) != 1 {
			t.Errorf("%q: %+v", c.text, v)
			continue
		}
		got := v.Events[0]
		if got.Delivery != m["MessageId"] || got.Provider != "sns" {
			t.Errorf("%q: %+v", c.text, got)
		}
		if got.App != c.want.App || got.Action != c.want.Action || got.Ref != c.want.Ref || got.Commit != c.want.Commit || got.Closed != c.want.Closed || got.Release != c.want.Release {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
}

// TestSNSForgeries: none is accepted, with the certificate in the cache and without.
func TestSNSForgeries(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t, "")
	w.warm(t)
	a := w.authority
	set := func(name, value string) func(map[string]string) {
		return func(m map[string]string) { m[name] = value }
	}
	before := func(f func(map[string]string)) func(map[string]string) { // changed, then signed by a stranger
		return func(m map[string]string) { f(m); signSNS(m, a.strangeKey) }
	}
	behind := func(f func(map[string]string)) func(map[string]string) { // signed well after the change
		return func(m map[string]string) { f(m); signSNS(m, a.key) }
	}
	table := map[string]func(map[string]string){
		"another message":          set("Message", "deploy blog"),
		"another id":               set("MessageId", "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf325"),
		"another subject":          set("Subject", "x"),
		"no subject":               func(m map[string]string) { delete(m, "Subject") },
		"another time":             set("Timestamp", testNow.Format(time.RFC3339)),
		"no signature":             set("Signature", ""),
		"a signature of nothing":   set("Signature", "AAAA"),
		"a malformed signature":    set("Signature", "%%%"),
		"a long signature":         set("Signature", strings.Repeat("A", 4096)),
		"a stranger's signature":   before(func(map[string]string) {}),
		"version 3":                set("SignatureVersion", "3"),
		"no version":               set("SignatureVersion", ""),
		"version 1 for 2":          set("SignatureVersion", "1"),
		"another type":             behind(set("Type", "Notice")),
		"type changed":             set("Type", "UnsubscribeConfirmation"),
		"another topic":            behind(set("TopicArn", topic+"2")),
		"another account":          behind(set("TopicArn", "arn:aws:sns:eu-west-1:210987654321:deploy")),
		"the topic as a prefix":    behind(set("TopicArn", topic+"/x")),
		"an id that is none":       behind(set("MessageId", "../../x")),
		"too old":                  behind(set("Timestamp", testNow.Add(-25*time.Hour).Format(time.RFC3339))),
		"from the future":          behind(set("Timestamp", testNow.Add(time.Hour).Format(time.RFC3339))),
		"a time that is none":      behind(set("Timestamp", "now")),
		"certificate by http":      set("SigningCertURL", "http"+certURL[5:]),
		"certificate elsewhere":    set("SigningCertURL", "https://evil.example.org/SimpleNotificationService-1.pem"),
		"certificate as userinfo":  set("SigningCertURL", "https://sns.eu-west-1.amazonaws.com@evil.example.org/x.pem"),
		"certificate with user":    set("SigningCertURL", "https://a@sns.eu-west-1.amazonaws.com/x.pem"),
		"certificate as subdomain": set("SigningCertURL", "https://sns.eu-west-1.amazonaws.com.evil.org/x.pem"),
		"certificate on a port":    set("SigningCertURL", "https://sns.eu-west-1.amazonaws.com:8443/x.pem"),
		"certificate in a bucket":  set("SigningCertURL", "https://s3.eu-west-1.amazonaws.com/x.pem"),
		"bucket called sns":        set("SigningCertURL", "https://sns.s3.amazonaws.com/x.pem"),
		"certificate with dots":    set("SigningCertURL", "https://sns.a.b.amazonaws.com/x.pem"),
		"certificate of a region":  set("SigningCertURL", "https://sns.us-east-1.amazonaws.com/x.pem"),
		"certificate with query":   set("SigningCertURL", certURL+"?x=.pem"),
		"certificate no pem":       set("SigningCertURL", "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"),
		"certificate upper case":   set("SigningCertURL", strings.Replace(certURL, "sns.", "SNS.", 1)),
		"certificate with newline": set("SigningCertURL", certURL+"\n"),
	}
	n := 0
	for name, spoil := range table {
		for _, world := range []*snsWorld{w, newSNSWorld(t, "")} {
			m := snsMessage("Notification", "deploy www")
			signSNS(m, a.key)
			spoil(m)
			v, err := world.handle(t, m)
			if len(v.Events) > 0 || v.Confirm != "" {
				t.Errorf("%s: %+v", name, v)
			}
			if world == w && status(t, err) < 400 {
				t.Errorf("%s: accepted", name)
			}
			if v.Later == nil {
				n++
				continue
			}
			// Not verified yet: it is when the certificate is there.
			if err := world.q.Put(v.Later); err != nil {
				t.Fatal(err)
			}
			all, err := world.set.Settle(t.Context(), world.q, world.net, func(context.Context, landfast.Event) error {
				t.Errorf("%s: queued after it was settled", name)
				return nil
			})
			if err != nil || len(all) != 1 || all[0].Outcome != trigger.OutcomeRefused {
				t.Errorf("%s: settled as %+v, %v", name, all, err)
			}
			n++
		}
	}
	if n < 2*36 {
		t.Errorf("only %d were tried", n)
	}
	if _, err := handle(w.set, "fleet", trigger.Header("x-amz-sns-rawdelivery", "true"), "deploy www"); status(t, err) != 400 {
		t.Errorf("raw delivery: %v", err)
	}
}

// TestSNSCertificates: only SNS's own, with a chain to a root, count.
func TestSNSCertificates(t *testing.T) {
	t.Parallel()
	a := newAuthority()
	above := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.above})
	for name, c := range map[string]struct {
		text []byte
		key  *rsa.PrivateKey
	}{
		"for another name": {append(a.strange, above...), a.strangeKey},
		"self-signed":      {a.selfSigned, a.strangeKey},
		"without a chain":  {a.leaf, a.key},
		"expired":          {append(a.expired, above...), a.key},
		"a short key":      {append(a.small, above...), a.smallKey},
		"not a key file":   {[]byte("hello"), a.key},
		"empty":            {nil, a.key},
	} {
		w := newSNSWorld(t, "")
		if err := w.cache.PutCertificate(certURL, c.text); err != nil {
			t.Fatal(err)
		}
		m := snsMessage("Notification", "deploy www")
		signSNS(m, c.key)
		if v, err := w.handle(t, m); status(t, err) != 403 || len(v.Events) > 0 {
			t.Errorf("%s, from the cache: %+v, %v", name, v, err)
		}
		if name == "without a chain" {
			continue // what is above is fetched then
		}
		w = newSNSWorld(t, "")
		w.net.pages[certURL] = c.text
		v, err := w.handle(t, m)
		if err != nil || v.Later == nil {
			t.Fatalf("%s: %+v, %v", name, v, err)
		}
		if err := w.q.Put(v.Later); err != nil {
			t.Fatal(err)
		}
		all, err := w.set.Settle(t.Context(), w.q, w.net, func(context.Context, landfast.Event) error {
			t.Errorf("%s: queued", name)
			return nil
		})
		if err != nil || len(all) != 1 || all[0].Outcome == trigger.OutcomeQueued {
			t.Errorf("%s, fetched: %+v, %v", name, all, err)
		}
	}
}

// TestSNSSettles: what waits is verified when the certificate can be had.
func TestSNSSettles(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t, "")
	m := snsMessage("Notification", "deploy www")
	signSNS(m, w.key)
	v, err := w.handle(t, m)
	if err != nil || v.Later == nil || len(v.Events) > 0 || len(w.net.asked) > 0 {
		t.Fatalf("%+v, %v, asked %v", v, err, w.net.asked)
	}
	if err := w.q.Put(v.Later); err != nil {
		t.Fatal(err)
	}
	var queued []landfast.Event
	settle := func() []trigger.Settled {
		t.Helper()
		all, err := w.set.Settle(t.Context(), w.q, w.net, func(_ context.Context, ev landfast.Event) error {
			queued = append(queued, ev)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	delete(w.net.pages, certURL)
	if all := settle(); len(all) != 1 || all[0].Outcome != trigger.OutcomeWaits || len(queued) > 0 {
		t.Fatalf("without the certificate: %+v", all)
	}
	w.net.pages[certURL] = w.leaf
	if all := settle(); len(all) != 1 || all[0].Outcome != trigger.OutcomeQueued || len(queued) != 1 || queued[0].App != "www" {
		t.Fatalf("%+v, %+v", all, queued)
	}
	if all := settle(); len(all) != 0 {
		t.Fatalf("it is still there: %+v", all)
	}
	// From now on the listener verifies alone.
	if v, err := w.handle(t, m); err != nil || len(v.Events) != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	// A queue that fails keeps the message.
	if err := w.q.Put(&trigger.Stored{Trigger: "fleet", Body: marshal(t, m), Received: testNow}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.set.Settle(t.Context(), w.q, w.net, func(context.Context, landfast.Event) error { return errors.New("disk full") }); err == nil {
		t.Error("the error of the queue is not told")
	}
	if names, err := w.q.Names(); err != nil || len(names) != 1 {
		t.Errorf("the message is gone: %v, %v", names, err)
	}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSNSConfirms only subscriptions to topics that are allowed, once verified, and
// in the process that has a network.
func TestSNSConfirms(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t, "")
	w.warm(t)
	m := snsMessage("SubscriptionConfirmation", "You have chosen to subscribe")
	signSNS(m, w.key)
	v, err := w.handle(t, m)
	if err != nil || v.Later == nil || v.Confirm != "" || len(v.Events) != 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	if err := w.q.Put(v.Later); err != nil {
		t.Fatal(err)
	}
	all, err := w.set.Settle(t.Context(), w.q, w.net, nil)
	if err != nil || len(all) != 1 || all[0].Outcome != trigger.OutcomeConfirmed {
		t.Fatalf("%+v, %v", all, err)
	}
	if len(w.net.asked) != 1 || w.net.asked[0] != confirm {
		t.Errorf("asked %v", w.net.asked)
	}
	for name, change := range map[string]func(map[string]string){
		"elsewhere":      func(m map[string]string) { m["SubscribeURL"] = "https://169.254.169.254/latest" },
		"another action": func(m map[string]string) { m["SubscribeURL"] = strings.Replace(confirm, "Confirm", "Delete", 1) },
		"another topic":  func(m map[string]string) { m["SubscribeURL"] = strings.Replace(confirm, ":deploy", ":other", 1) },
		"not allowed":    func(m map[string]string) { m["TopicArn"] += "x" },
	} {
		m := snsMessage("SubscriptionConfirmation", "x")
		change(m)
		signSNS(m, w.key)
		if v, err := w.handle(t, m); status(t, err) != 403 || v.Later != nil {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	m = snsMessage("UnsubscribeConfirmation", "You have chosen to deactivate")
	signSNS(m, w.key)
	if v, err := w.handle(t, m); err != nil || len(v.Events) != 2 || !strings.Contains(v.Events[0].Closed, "removed") {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestNoSecretNoTrigger: without its secret a trigger is not there.
func TestNoSecretNoTrigger(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t, "")
	if _, err := handle(w.set, "hook", nil, "{}"); status(t, err) != 404 {
		t.Errorf("%v", err)
	}
}

// TestQuarantineIsBounded, as anybody may fill it.
func TestQuarantineIsBounded(t *testing.T) {
	t.Parallel()
	q := trigger.OpenQuarantine(t.TempDir())
	if got := status(t, q.Put(&trigger.Stored{Body: make([]byte, 1<<20)})); got != http.StatusRequestEntityTooLarge {
		t.Errorf("a large one: %d", got)
	}
	for range 256 {
		if err := q.Put(&trigger.Stored{Body: []byte("x"), Received: testNow}); err != nil {
			t.Fatal(err)
		}
	}
	if got := status(t, q.Put(&trigger.Stored{Received: testNow})); got != 503 {
		t.Errorf("a full one: %d", got)
	}
	for range 2 {
		if err := q.Ask(); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []bool{true, false} {
		if asked, err := q.Asked(); err != nil || asked != want {
			t.Errorf("asked %v, %v", asked, err)
		}
	}
}
