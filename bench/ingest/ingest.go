// Package ingest measures how many events an endpoint answers, and how long a
// sender waits for its answer: Landfast's listener, whose answer means that the
// event is on the disk, beside adnanh/webhook, whose answer means that it was read.
//
// It asserts no time: a number is for reading, in docs/reference/bench-ingest.md or
// on the terminal of whoever ran it. "make bench" runs it.
package ingest

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Row is what one endpoint did for some clients at once.
type Row struct {
	Name    string
	Clients int
	Took    time.Duration   // all of it
	Waits   []time.Duration // of each event, until it was answered
}

// Rate is the number of events answered in a second.
func (r Row) Rate() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(len(r.Waits)) / r.Took.Seconds()
}

// Quantile is the wait that this part of the events did not exceed; 0 for none.
func (r Row) Quantile(part float64) time.Duration {
	if len(r.Waits) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(r.Waits))
	return s[min(int(part*float64(len(s))), len(s)-1)]
}

// WriteTable writes rows as a Markdown table that can be read as text.
func WriteTable(w io.Writer, rows []Row) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r.Name))
	}
	fmt.Fprintf(w, "| %-*s | clients | events/s |     p50 |     p99 | longest |\n", width, "")
	fmt.Fprintf(w, "| %s | ------: | -------: | ------: | ------: | ------: |\n", dashes(width))
	for _, r := range rows {
		ms := func(part float64) string {
			return fmt.Sprintf("%.1f ms", float64(r.Quantile(part))/float64(time.Millisecond))
		}
		fmt.Fprintf(w, "| %-*s | %7d | %8.0f | %7s | %7s | %7s |\n", width, r.Name, r.Clients, r.Rate(), ms(0.5), ms(0.99), ms(1))
	}
}

func dashes(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = '-'
	}
	return string(b)
}
