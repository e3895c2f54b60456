package listen

import (
	"net/netip"
	"sync"
	"time"
)

// maxSources is how many sources are remembered. Behind it the longest quiet ones
// are forgotten, which only gives them their whole burst again.
const maxSources = 8192

// limiter counts requests by source, as token buckets.
type limiter struct {
	mu      sync.Mutex
	now     func() time.Time
	perSec  float64
	burst   float64
	sources map[netip.Prefix]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newLimiter(perMinute, burst int, now func() time.Time) *limiter {
	return &limiter{now: now, perSec: float64(perMinute) / 60, burst: float64(max(1, burst)), sources: map[netip.Prefix]bucket{}}
}

// allow takes one token of a source, or says how long it has to wait for one.
func (l *limiter) allow(addr netip.Addr) (wait time.Duration, ok bool) {
	if l.perSec <= 0 || !addr.IsValid() {
		return 0, true
	}
	bits := 32
	if addr.Is6() {
		bits = 64 // one customer has a whole network of these
	}
	source, err := addr.Prefix(bits)
	if err != nil {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b, known := l.sources[source]
	if !known {
		l.makeRoom(now)
		b = bucket{tokens: l.burst, at: now}
	}
	b.tokens = min(l.burst, b.tokens+now.Sub(b.at).Seconds()*l.perSec)
	b.at = now
	if b.tokens >= 1 {
		b.tokens--
		ok = true
	} else {
		wait = time.Duration((1 - b.tokens) / l.perSec * float64(time.Second))
	}
	l.sources[source] = b
	return wait, ok
}

// makeRoom forgets sources whose bucket is full by now, or else any: an attacker with
// so many addresses is not held by counting them.
func (l *limiter) makeRoom(now time.Time) {
	if len(l.sources) < maxSources {
		return
	}
	for s, b := range l.sources {
		if b.tokens+now.Sub(b.at).Seconds()*l.perSec >= l.burst {
			delete(l.sources, s)
		}
	}
	for s := range l.sources {
		if len(l.sources) < maxSources {
			return
		}
		delete(l.sources, s)
	}
}
