package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Failure is a kind of failure, and the version that answered, if one did.
type Failure struct {
	Kind    string // refused, reset, closed, timeout, status 503, or other
	Version string
}

// String gives "status 503 from 3".
func (f Failure) String() string {
	if f.Version == "" {
		return f.Kind
	}
	return f.Kind + " from " + f.Version
}

// Result is what clients got in a span of time.
type Result struct {
	Took     time.Duration
	OK       int64 // good answers: status 200 to 399
	Failed   int64
	Failures map[Failure]int64
	Example  string           // the text of the first failure
	Versions map[string]int64 // good answers by version
	Methods  map[string]int64 // good answers by method
	Gap      time.Duration    // the longest time without a good answer

	// Latencies of the good answers, with their connection. P50 and P99 are
	// rounded up, by 7 % at most.
	P50, P99, Max time.Duration
}

// Requests is the number of requests that ended.
func (r Result) Requests() int64 { return r.OK + r.Failed }

// Lost is the number of failures without an answer of a server.
func (r Result) Lost() int64 {
	var n int64
	for f, count := range r.Failures {
		if !strings.HasPrefix(f.Kind, statusKind) {
			n += count
		}
	}
	return n
}

// String is the result on one line.
func (r Result) String() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%d requests, %d failed", r.Requests(), r.Failed)
	order := func(x, y Failure) int { return strings.Compare(x.String(), y.String()) }
	for i, f := range slices.SortedFunc(maps.Keys(r.Failures), order) {
		_, _ = fmt.Fprintf(&b, "%s%d %s", sep(i, " (", ", "), r.Failures[f], f)
	}
	if len(r.Failures) > 0 {
		b.WriteString(")")
	}
	for i, v := range slices.Sorted(maps.Keys(r.Versions)) {
		_, _ = fmt.Fprintf(&b, "%s%d by %s", sep(i, "; answered: ", ", "), r.Versions[v], v)
	}
	_, _ = fmt.Fprintf(&b, "; longest gap %s; p50 %s, p99 %s, max %s", round(r.Gap), round(r.P50), round(r.P99), round(r.Max))
	return b.String()
}

func sep(i int, first, next string) string {
	if i == 0 {
		return first
	}
	return next
}

func round(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

// tally counts.
type tally struct {
	began, ended time.Time
	good         time.Time // of the last good answer, or when counting began
	part         Result
	latencies    histogram
}

// newTally counts from began on, with the last good answer at good.
func newTally(began, good time.Time) tally {
	return tally{began: began, good: good, part: Result{
		Failures: map[Failure]int64{}, Versions: map[string]int64{}, Methods: map[string]int64{},
	}}
}

// outcome is how one request ended.
type outcome struct {
	way             int
	method, version string
	err             error
}

func (t *tally) count(began, ended time.Time, o outcome) {
	r := &t.part
	if o.err != nil {
		if r.Failed == 0 {
			r.Example = o.err.Error()
		}
		r.Failed++
		r.Failures[Failure{kind(o.err), o.version}]++
		return
	}
	r.OK++
	r.Versions[o.version]++
	r.Methods[o.method]++
	r.Gap = max(r.Gap, ended.Sub(t.good))
	t.good = ended
	took := ended.Sub(began)
	r.Max = max(r.Max, took)
	t.latencies.add(took)
}

// result is what was counted until now; it shares nothing with the tally.
func (t *tally) result(now time.Time) Result {
	r := t.part
	r.Took = now.Sub(t.began)
	r.Gap = max(r.Gap, now.Sub(t.good))
	r.Failures, r.Versions, r.Methods = maps.Clone(r.Failures), maps.Clone(r.Versions), maps.Clone(r.Methods)
	r.P50 = min(t.latencies.quantile(0.50), r.Max)
	r.P99 = min(t.latencies.quantile(0.99), r.Max)
	return r
}

const statusKind = "status "

// kind sorts an error.
func kind(err error) string {
	_, answered := errors.AsType[statusError](err)
	switch {
	case answered:
		return err.Error()
	case errors.Is(err, unix.ECONNREFUSED):
		return "refused"
	case errors.Is(err, unix.ECONNRESET):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, unix.EPIPE):
		return "closed"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, unix.ETIMEDOUT):
		return "timeout"
	}
	return "other"
}

// histogram counts durations in steps of 1/16 of a power of two of microseconds.
type histogram [64 * 16]int64

func (h *histogram) add(d time.Duration) { h[slot(d)]++ }

func slot(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 16 {
		return int(us)
	}
	power := bits.Len64(us) - 5 // us>>power is in 16..31
	return power*16 + int(us>>power)
}

// upper is the end of a slot.
func upper(i int) time.Duration {
	if i < 16 {
		return time.Duration(i+1) * time.Microsecond
	}
	power := i/16 - 1
	return time.Duration(uint64(i%16+17)<<power) * time.Microsecond
}

// quantile is the smallest duration that a share q of all do not exceed; 0 when
// there are none.
func (h *histogram) quantile(q float64) time.Duration {
	var all, seen int64
	for _, n := range h {
		all += n
	}
	for i, n := range h {
		seen += n
		if n > 0 && float64(seen) >= q*float64(all) {
			return upper(i)
		}
	}
	return 0
}
