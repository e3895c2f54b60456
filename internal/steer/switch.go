package steer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Switch says who is to get the new connections of a public port.
type Switch struct {
	Public  Public
	Owner   Owner
	Private uint16 // where the owner listens

	// Wait is how long the owner may take until it listens; 0: it does so by now.
	Wait time.Duration

	// Over are units whose ordinary listeners on the public port are known to be
	// there, such as the app's own before it is steered for the first time. Anybody
	// else's is refused, and with Anyway only told of: steering comes first.
	Over   []string
	Anyway bool

	// If is asked last, while nobody else can change the table; false leaves all as
	// it is. nil: true.
	If func() (bool, error)
}

// Switched is what a Switch has changed.
type Switched struct {
	Done     bool     `json:"done"` // false: If was against it
	Families []Family `json:"families"`
	Warnings []string `json:"warnings,omitempty"`
}

// Set makes the kernel hand new connections to the owner of s, from now on, and only
// to it. It is idempotent; a refusal changes nothing.
func (t *Table) Set(ctx context.Context, s Switch) (Switched, error) {
	found, err := s.await(ctx)
	if err != nil {
		return Switched{}, err
	}
	defer closeAll(found)
	unlock, err := lock(ctx, t.dir)
	if err != nil {
		return Switched{}, err
	}
	defer unlock()
	warnings, err := s.check(found)
	if err != nil {
		return Switched{}, err
	}
	if s.If != nil {
		if ok, err := s.If(); !ok || err != nil {
			return Switched{}, err
		}
	}
	done := Switched{Done: true, Warnings: warnings}
	for _, k := range s.Public.keys() {
		chosen := choose(found, k.family())
		if chosen == nil {
			continue
		}
		if err := put(t.table, k, chosen.fd); err != nil {
			return Switched{}, explainPut(chosen, err)
		}
		done.Families = append(done.Families, familyOf(k.family()))
	}
	// What the former owner served and this one cannot is refused, not left behind.
	for _, k := range s.Public.keys() {
		if choose(found, k.family()) == nil {
			if _, err := drop(t.table, k); err != nil {
				return Switched{}, explain(err)
			}
		}
	}
	return done, nil
}

// await waits until the owner listens.
func (s Switch) await(ctx context.Context) ([]*taken, error) {
	if s.Private == s.Public.Port {
		return nil, invalid(fmt.Sprintf("port %d cannot be public and private at once", s.Private), "choose another private port")
	}
	timeout, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		found, err := s.Owner.find(s.Private)
		if err == nil {
			return found, nil
		}
		if refused, ok := errors.AsType[*landfast.Error](err); ok {
			return nil, refused
		}
		if !errors.Is(err, errNotYet) {
			return nil, err
		}
		if pause(timeout, wait) == nil {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return nil, fmt.Errorf("wait until %s listens on port %d: %w", s.Owner, s.Private, err)
		}
		return nil, s.Owner.silence(s.Private)
	}
}

// check refuses what would not work, and warns of what works otherwise than one may
// think.
func (s Switch) check(found []*taken) (warnings []string, err error) {
	if served := s.families(found); len(served) == 0 {
		return nil, invalid(
			fmt.Sprintf("%s listens on %s, which cannot serve %s", s.Owner, found[0].local, s.Public),
			"IPv4 is served by what listens on 127.0.0.1, IPv6 by [::1], both by [::]")
	} else if want := len(s.Public.keys()); want > len(served) && served[0] == IPv4 {
		warnings = append(warnings, fmt.Sprintf("clients over IPv6 are refused: %s listens on %s, which serves IPv4 only; [::] serves both", s.Owner, found[0].local))
	} else if want > len(served) {
		warnings = append(warnings, fmt.Sprintf("clients over IPv4 are refused: %s listens on %s, which serves IPv6 only", s.Owner, found[0].local))
	}
	there, err := listeners(s.Private)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if n := sameAddress(there, f.local); f.shared && n > 1 {
			warnings = append(warnings, fmt.Sprintf("%d sockets share %s (SO_REUSEPORT), and when the one of process %d closes, nobody is steered to: let one process listen and share its socket", n, f.local, f.pid))
			break
		}
	}
	before, err := s.inFront()
	if err != nil || len(before) == 0 {
		return warnings, err
	}
	if !s.Anyway {
		return nil, &landfast.Error{
			Kind: landfast.Conflict, Msg: fmt.Sprintf("port %s is taken: %s listens there", s.Public, strings.Join(before, ", ")),
			Hint: "stop it, or choose another public port",
		}
	}
	return append(warnings, fmt.Sprintf("%s listens on port %s and gets no connections as long as %s runs", strings.Join(before, ", "), s.Public, s.Owner)), nil
}

// families are those that can be served.
func (s Switch) families(found []*taken) []Family {
	var all []Family
	for _, k := range s.Public.keys() {
		if choose(found, k.family()) != nil {
			all = append(all, familyOf(k.family()))
		}
	}
	return all
}

// inFront names those who listen on the public port in the ordinary way and are not
// known to.
func (s Switch) inFront() ([]string, error) {
	there, err := listeners(s.Public.Port)
	if err != nil {
		return nil, err
	}
	there = s.Public.ordinary(there)
	by, err := holders(there)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range by.of(there) {
		if !slices.Contains(s.Over, p.Unit) {
			names = append(names, p.String())
		}
	}
	return names, nil
}

// ordinary are those of some listeners that listen on a public address in the
// ordinary way.
func (p Public) ordinary(there []socket) []socket {
	return slices.DeleteFunc(slices.Clone(there), func(s socket) bool {
		return s.local.Port() != p.Port || !p.meets(s.local.Addr())
	})
}

func explainPut(t *taken, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("the kernel does not steer to the socket of %s: it has another use already", processOf(t.pid)), Err: err,
		}
	}
	return explain(fmt.Errorf("steer to %s: %w", t.local, err))
}

// Unset ends the steering of a public port; established connections go on. It reports
// whether there was any.
func (t *Table) Unset(ctx context.Context, p Public) (bool, error) {
	unlock, err := lock(ctx, t.dir)
	if err != nil {
		return false, err
	}
	defer unlock()
	was := false
	for _, k := range p.keys() {
		dropped, err := drop(t.table, k)
		if err != nil {
			return was, explain(err)
		}
		was = was || dropped
	}
	return was, nil
}
