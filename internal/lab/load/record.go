package load

import (
	"slices"
	"time"
)

// Request is one request of the record.
type Request struct {
	Began, Ended time.Duration // since the load was started
	Way          int           // in Options.Ways
	Failure      string        // its kind, as in Failure; "": a good answer
}

// Now is how long the load has been going on, on the clock of the record.
func (r *Run) Now() time.Duration { return time.Since(r.began) }

// Record gives the requests that have ended, in the order in which they did. It is
// empty without Options.Record.
func (r *Run) Record() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.record)
}

// Times are what some requests had. Unlike a Result's they are exact.
type Times struct {
	Requests, Failed int
	Failures         map[string]int // by kind

	P50, P99, Max time.Duration // of the good answers
}

// Window sums up the requests that were in progress at some time from a moment on
// until another (that one left out), in one of some ways; nil: in any.
func Window(record []Request, from, until time.Duration, ways []int) Times {
	return Sum(func(yield func(Request) bool) {
		for _, q := range record {
			if q.Began < until && q.Ended >= from && (ways == nil || slices.Contains(ways, q.Way)) && !yield(q) {
				return
			}
		}
	})
}

// Sum sums up requests.
func Sum(requests func(yield func(Request) bool)) Times {
	t := Times{Failures: map[string]int{}}
	var good []time.Duration
	for q := range requests {
		t.Requests++
		if q.Failure != "" {
			t.Failed++
			t.Failures[q.Failure]++
			continue
		}
		good = append(good, q.Ended-q.Began)
	}
	if len(good) == 0 {
		return t
	}
	slices.Sort(good)
	rank := func(share float64) time.Duration {
		return good[max(0, int(float64(len(good))*share+0.999999)-1)]
	}
	t.P50, t.P99, t.Max = rank(0.50), rank(0.99), good[len(good)-1]
	return t
}
