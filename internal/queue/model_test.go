package queue_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/queue"
)

// model is a queue with what a person would say about it: what was sent, and what
// has taken effect.
type model struct {
	*world
	rt      *rapid.T
	sent    map[string]landfast.Event
	order   []string // ids as they were given out
	applied []string // ids as they took effect
	claim   *queue.Claim
	within  *queue.Claim // the claim in which the last of applied took effect
	n       int
}

// enqueued notes an event that was acknowledged.
func (m *model) enqueued(ev landfast.Event) {
	id, err := m.w.Enqueue(context.Background(), ev)
	if err != nil {
		m.rt.Fatal(err)
	}
	m.note(id, ev)
}

func (m *model) note(id string, ev landfast.Event) {
	if len(m.order) > 0 && id <= m.order[len(m.order)-1] {
		m.rt.Fatalf("%s does not sort behind %s", id, m.order[len(m.order)-1])
	}
	m.order = append(m.order, id)
	m.sent[id] = ev
}

// some is one of the events that were sent.
func (m *model) some() string {
	if len(m.order) == 0 {
		m.rt.Skip("nothing was sent")
	}
	return rapid.SampledFrom(m.order).Draw(m.rt, "event")
}

func (m *model) push(t *rapid.T) {
	m.n++
	ev := push(m.n, rapid.SampledFrom([]string{"main", "next"}).Draw(t, "ref"))
	if rapid.IntRange(0, 9).Draw(t, "closed") == 0 {
		ev.Closed = "nobody wants it"
	}
	m.enqueued(ev)
}

func (m *model) redeliver(*rapid.T) { m.enqueued(m.sent[m.some()]) }

func (m *model) rollback(*rapid.T) {
	m.enqueued(landfast.Event{App: app, Action: landfast.ActionRollback, Provider: "api"})
}

func (m *model) cancel(*rapid.T) {
	m.enqueued(landfast.Event{App: app, Action: landfast.ActionCancel, Provider: "api", Of: m.some()})
}

func (m *model) junk(t *rapid.T) {
	m.n++
	name := fmt.Sprintf("%s/web/new/junk-%d", m.spool, m.n)
	if err := os.WriteFile(name, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// take claims the next event, and applies it.
func (m *model) take(t *rapid.T) {
	if m.claim != nil {
		t.Skip("one is claimed")
	}
	c, err := m.q.Claim(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if m.claim = c; c == nil {
		return
	}
	if _, known := m.sent[c.Event.ID]; !known {
		t.Fatalf("claimed %s, which nobody sent", c.Event.ID)
	}
	if rapid.Bool().Draw(t, "takes effect") {
		m.apply(c)
	}
}

// apply lets an event take effect, unless the worker before has done so.
func (m *model) apply(c *queue.Claim) {
	if m.within == c {
		return
	}
	if slices.Contains(m.applied, c.Event.ID) {
		if c.Attempt == 1 {
			m.rt.Fatalf("%s is claimed again as if for the first time", c.Event.ID)
		}
		return
	}
	for _, id := range m.applied {
		if id > c.Event.ID {
			m.rt.Fatalf("%s takes effect behind the newer %s\n%s", c.Event.ID, id, m.dump())
		}
		old, ev := m.sent[id], m.sent[c.Event.ID]
		if old.Delivery != "" && old.Delivery == ev.Delivery && ev.Of == "" && m.state(id) == queue.Done {
			m.rt.Fatalf("delivery %s takes effect as %s and as %s\n%s", ev.Delivery, id, c.Event.ID, m.dump())
		}
	}
	m.applied, m.within = append(m.applied, c.Event.ID), c
}

func (m *model) state(id string) queue.State {
	e, err := m.q.Show(id)
	if err != nil {
		m.rt.Fatal(err)
	}
	return e.State
}

func (m *model) finish(t *rapid.T) {
	if m.claim == nil {
		t.Skip("none is claimed")
	}
	c := m.claim
	m.claim = nil
	var err error
	how := rapid.SampledFrom([]string{"done", "done", "retry", "fail", "die"}).Draw(t, "how")
	took := slices.Contains(m.applied, c.Event.ID)
	switch {
	case how == "die":
		m.reopen()
	case how == "done" || took: // what took effect is done
		m.apply(c)
		err = c.Done(context.Background(), queue.Outcome{})
	case how == "retry":
		_, err = c.Retry(context.Background(), "later")
	default:
		err = c.Fail(context.Background(), "never")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (m *model) clockSteps(t *rapid.T) {
	m.clock.step(time.Duration(rapid.IntRange(-90, 180).Draw(t, "minutes")) * time.Minute)
}

func (m *model) replay(t *rapid.T) {
	of := m.some()
	id, err := m.q.Replay(context.Background(), of, "ann")
	if landfast.KindOf(err) == landfast.Conflict {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	ev := m.sent[of]
	ev.Of = of
	m.note(id, ev)
}

func (m *model) drop(t *rapid.T) {
	if err := m.q.Drop(context.Background(), m.some(), "ann"); err != nil && landfast.KindOf(err) != landfast.Conflict {
		t.Fatal(err)
	}
}

// check is what always holds.
func (m *model) check(t *rapid.T) {
	all, err := m.q.List()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]queue.Entry{}
	for _, e := range all {
		known[e.Event.ID] = e
	}
	for _, id := range m.order {
		e, ok := known[id]
		switch {
		case !ok:
			t.Fatalf("%s was acknowledged and is lost\n%s", id, m.dump())
		case e.State == queue.Superseded && known[e.By].Event.ID <= id:
			t.Fatalf("%s is superseded by %q, which is not newer", id, e.By)
		case e.State == queue.Duplicate && known[e.By].Event.ID == "":
			t.Fatalf("%s is a duplicate of %q, which nobody knows", id, e.By)
		case e.State == queue.Done && m.sent[id].Action != landfast.ActionCancel && !slices.Contains(m.applied, id):
			t.Fatalf("%s is done and never took effect", id)
		}
	}
}

// drain lets everything that waits take effect.
func (m *model) drain(t *rapid.T) {
	for range 1000 {
		if m.claim == nil {
			c, err := m.q.Claim(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			m.claim = c
		}
		if m.claim == nil {
			next, err := m.q.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if next.IsZero() {
				return
			}
			m.clock.step(next.Sub(m.clock.now()))
			continue
		}
		m.apply(m.claim)
		if err := m.claim.Done(context.Background(), queue.Outcome{}); err != nil {
			t.Fatal(err)
		}
		m.claim = nil
	}
	t.Fatal("it does not end")
}

// TestModel does what senders, workers, people and clocks may do, in any order.
func TestModel(t *testing.T) {
	dir := quick(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		inner := makeWorld(t, fmt.Sprint(dir, "/", n), queue.Options{Attempts: 3})
		defer inner.close()
		m := &model{world: inner, rt: rt, sent: map[string]landfast.Event{}}
		rt.Repeat(map[string]func(*rapid.T){
			"push": m.push, "push again": m.push, "redeliver": m.redeliver, "rollback": m.rollback, "cancel": m.cancel, "junk": m.junk,
			"take": m.take, "take again": m.take, "finish": m.finish, "finish again": m.finish,
			"clock": m.clockSteps, "replay": m.replay, "drop": m.drop, "": m.check,
		})
		m.drain(rt)
		m.check(rt)
		all, err := m.q.List()
		if err != nil {
			rt.Fatal(err)
		}
		for _, e := range all {
			if !e.State.Ended() {
				rt.Fatalf("%s is %s in the end", e.Event.ID, e.State)
			}
		}
	})
}
