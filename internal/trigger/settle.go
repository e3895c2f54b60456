package trigger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/hostconf"
)

// Settled is what became of one message of the quarantine.
type Settled struct {
	Trigger string `json:"trigger"`
	Outcome string `json:"outcome"` // queued, confirmed, refused, waits, given up
	Reason  string `json:"reason,omitempty"`
}

// The outcomes.
const (
	OutcomeQueued    = "queued"
	OutcomeConfirmed = "confirmed"
	OutcomeRefused   = "refused"
	OutcomeWaits     = "waits"
	OutcomeGivenUp   = "given up"
)

// Settle verifies the messages of the quarantine, the oldest first: it fetches the
// certificates they need, gives the events of good ones to enqueue, confirms
// subscriptions that are allowed, and drops what is refused. A message leaves the
// quarantine only after that; one whose certificate cannot be fetched waits, for a
// day at most. Only one process may settle at a time; two would do no harm but do it
// twice, which the queue notices.
func (s *Set) Settle(ctx context.Context, q *Quarantine, f Fetcher, enqueue func(context.Context, landfast.Event) error) ([]Settled, error) {
	names, err := q.names()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	root, err := os.OpenRoot(q.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	failed := map[string]error{} // addresses that do not answer are asked once
	var all []Settled
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return all, err
		}
		m, err := q.load(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		one := Settled{Outcome: OutcomeRefused, Reason: "what was stored is damaged"}
		if err == nil {
			if one, err = s.settle(ctx, m, f, failed, enqueue); err != nil {
				return all, err
			}
		}
		all = append(all, one)
		if one.Outcome == OutcomeWaits {
			continue
		}
		if err := atomicfile.Remove(root, name); err != nil {
			return all, fmt.Errorf("take a message out of the quarantine: %w", err)
		}
	}
	return all, nil
}

// settle judges one message. An error is of the disk or of the queue: the message
// stays.
func (s *Set) settle(ctx context.Context, m *Stored, f Fetcher, failed map[string]error, enqueue func(context.Context, landfast.Event) error) (Settled, error) {
	done := Settled{Trigger: m.Trigger}
	waits := func(err error) (Settled, error) {
		done.Outcome, done.Reason = OutcomeWaits, err.Error()
		if s.now().Sub(m.Received) > maxStoredAge {
			done.Outcome = OutcomeGivenUp
		}
		return done, nil
	}
	v, err := s.judge(ctx, m, f, failed)
	if _, refused := errors.AsType[*Refusal](err); refused {
		done.Outcome, done.Reason = OutcomeRefused, err.Error()
		return done, nil
	}
	if err != nil {
		return waits(err)
	}
	if v.Confirm != "" {
		if _, err := f.Fetch(ctx, v.Confirm); err != nil {
			return waits(err)
		}
		done.Outcome = OutcomeConfirmed
		return done, nil
	}
	done.Outcome = OutcomeQueued
	for _, ev := range v.Events {
		if err := enqueue(ctx, ev); err != nil {
			return done, err
		}
	}
	return done, nil
}

// judge verifies one message, after it has fetched what that takes.
func (s *Set) judge(ctx context.Context, m *Stored, f Fetcher, failed map[string]error) (Verdict, error) {
	t := s.triggers[m.Trigger]
	if t == nil || t.Provider != hostconf.SNS {
		return Verdict{}, refuse(404, "there is no such trigger")
	}
	r := m.request()
	parsed, err := t.parseSNS(r)
	if err != nil {
		return Verdict{}, err
	}
	if err := parsed.verify(s); errors.Is(err, errNotFetched) {
		at := parsed.SigningCertURL
		if failed[at] == nil {
			failed[at] = s.fetchCertificate(ctx, f, parsed)
		}
		if failed[at] != nil {
			return Verdict{}, failed[at]
		}
	}
	return t.handleSNS(r, true)
}
