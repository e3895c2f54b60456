package trigger

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
)

// Request is one message as it arrived.
type Request struct {
	Trigger string
	Header  http.Header
	Body    []byte // raw; the caller has limited its size
	Remote  netip.Addr
}

// Verdict is what a verified message means. Everything in it is to be on disk
// before the sender gets 2xx.
type Verdict struct {
	// Events are to be queued, closed ones too: one for each app.
	Events []landfast.Event
	// Later is to be stored in the Quarantine: a message that cannot be verified
	// before something was fetched, or that asks for a subscription to be confirmed.
	Later *Stored
	// Confirm is the address that confirms a subscription: it was verified, and may
	// be opened by a process with a network. "": none.
	Confirm string
	// Reply is for the sender, as JSON; nil: nothing special.
	Reply any
}

// Refusal is why a message is not taken. Its text is for the sender and tells
// nothing that helps to forge one.
type Refusal struct {
	Status int // of HTTP: 400, 401, 403, 404, 413, 503
	Reason string
	// Refresh asks for what is published to be fetched (Quarantine.Ask): with 503.
	Refresh bool
}

// Error gives the reason.
func (r *Refusal) Error() string { return r.Reason }

func refuse(status int, format string, args ...any) error {
	return &Refusal{Status: status, Reason: fmt.Sprintf(format, args...)}
}

// Options are what a Set is made of.
type Options struct {
	Config *hostconf.Config
	// Secret gives the credential called id, as hostconf.ReadSecret does. nil: the
	// process has none, so that triggers which need one are not there. That is enough
	// to Refresh and to Settle.
	Secret func(id string) ([]byte, error)
	Cache  *Cache           // nil: nothing was ever fetched
	Roots  *x509.CertPool   // who may sign SNS's certificates; nil: the system's
	Now    func() time.Time // nil: time.Now
}

// Set is all triggers, tokens and issuers of a host. It may be used by several
// goroutines.
type Set struct {
	config   *hostconf.Config
	triggers map[string]*source
	cache    *Cache
	roots    *x509.CertPool
	now      func() time.Time
}

// source is one trigger with its secrets.
type source struct {
	*hostconf.Trigger
	secrets    []secret
	repository hostconf.Pattern
	set        *Set
}

// New checks the secrets of all triggers. A secret that is missing, empty, short or
// known is an error of kind Invalid that names every such trigger. One that is
// switched off needs none, and is then not there.
func New(o Options) (*Set, error) {
	s := &Set{config: o.Config, triggers: map[string]*source{}, cache: o.Cache, roots: o.Roots, now: o.Now}
	if s.now == nil {
		s.now = time.Now
	}
	var bad []string
	for i := range o.Config.Triggers {
		t := &o.Config.Triggers[i]
		src := &source{Trigger: t, set: s}
		src.repository, _ = hostconf.NewPattern(strings.ToLower(t.Repository))
		credential, needed := t.Secret()
		if needed && o.Secret == nil {
			continue
		}
		if needed {
			text, err := o.Secret(credential.ID)
			if err != nil && !t.On() {
				continue
			}
			if err == nil {
				src.secrets, err = parseSecrets(text, t.Provider)
			}
			if err != nil {
				bad = append(bad, fmt.Sprintf("%s: %v", t, err))
				continue
			}
		}
		s.triggers[t.Name] = src
	}
	if bad != nil {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: strings.Join(bad, "; "), Hint: "`landfast trigger add` makes a good one"}
	}
	return s, nil
}

// message is what a provider reads in a verified body: one wish.
type message struct {
	event                     string // as hostconf names it; "": the sender asks outright
	action                    landfast.Action
	apps                      []string // nil: those of the trigger
	repository, ref, commit   string
	location, digest, release string
	delivery, content         string
	actor, text               string
	paths                     []string
	listed                    bool // paths are all that changed
	closed                    string
}

// provider verifies and reads the messages of one kind of sender.
type provider struct {
	verify func(t *source, r Request) error
	read   func(t *source, r Request) (all []message, reply any, err error)
}

func (t *source) provider() provider {
	switch t.Provider {
	case hostconf.GitHub:
		return provider{verifyGitHub, readGitHub}
	case hostconf.GitLab:
		return provider{verifyGitLab, readGitLab}
	case hostconf.Gitea, hostconf.Forgejo:
		return provider{verifyGitea, readGitea}
	case hostconf.Bitbucket:
		return provider{verifyBitbucket, readBitbucket}
	case hostconf.Standard:
		return provider{verifyStandard, readStandard}
	}
	return provider{verifyGeneric, readGeneric}
}

// Handle judges one message. An error is a *Refusal, or what the disk has against
// reading the cache. It does not block but on the disk, so that the context is not
// asked.
func (s *Set) Handle(_ context.Context, r Request) (Verdict, error) {
	t := s.triggers[r.Trigger]
	if t == nil {
		return Verdict{}, refuse(http.StatusNotFound, "there is no such trigger")
	}
	if err := t.checkSource(r.Remote); err != nil {
		return Verdict{}, err
	}
	if t.Provider == hostconf.SNS {
		return t.handleSNS(r, false)
	}
	p := t.provider()
	if err := p.verify(t, r); err != nil {
		return Verdict{}, err
	}
	all, reply, err := p.read(t, r)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Reply: reply}
	v.Events, err = t.events(all)
	return v, err
}

// checkSource refuses addresses that the trigger does not name.
func (t *source) checkSource(remote netip.Addr) error {
	if len(t.Sources) == 0 {
		return nil
	}
	remote = remote.Unmap().WithZone("")
	for _, s := range t.Sources {
		if s == string(hostconf.GitHub) {
			if t.set.cache.inRanges(gitHubRanges, remote) {
				return nil
			}
			continue
		}
		if p, err := hostconf.ParseRange(s); err == nil && p.Contains(remote) {
			return nil
		}
	}
	return refuse(http.StatusForbidden, "the address is not one that this trigger is for")
}

// events routes messages to apps.
func (t *source) events(all []message) ([]landfast.Event, error) {
	var events []landfast.Event
	now := t.set.now().UTC()
	for _, m := range all {
		if err := m.check(); err != nil {
			return nil, err
		}
		closed := t.closed(m)
		apps := m.apps
		if apps == nil {
			apps = t.Apps
		}
		for _, app := range apps {
			if !slices.Contains(t.Apps, app) {
				return nil, refuse(http.StatusForbidden, "the trigger is not for that app")
			}
			events = append(events, landfast.Event{
				App: app, Action: m.action, Provider: t.word(), Trigger: t.Name,
				Delivery: m.delivery, Content: m.content, Received: now,
				Repository: m.repository, Ref: m.ref, Commit: m.commit,
				Location: m.location, Digest: m.digest, Release: m.release,
				Closed: closed, Actor: m.actor, Message: m.text, Paths: m.paths,
			})
		}
	}
	return events, nil
}

// word is the provider as events name it.
func (t *source) word() string {
	if t.Provider == hostconf.Forgejo {
		return string(hostconf.Gitea)
	}
	return string(t.Provider)
}

// contentOf is the fingerprint of a body whose signature covers nothing else.
func contentOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}
